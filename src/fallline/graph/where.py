"""Where a node was made: the user's innermost line outside this package and NumPy, and the part of a computation."""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from fallline.arguments import OWN

_SCIPY = f"{os.sep}site-packages{os.sep}scipy{os.sep}"  # its wrappers call us back; it must not be imported to ask


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a source file; and for whom: the part of a computation (`0 Dense(64)`, `loss`) and its direction."""

    file: str
    line: int
    part: str = ""
    backward: bool = False

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}" if self.line else self.file


NOWHERE = Where("<unknown>", 0)
_forced: ContextVar[Where | None] = ContextVar("_forced", default=None)
_part: ContextVar[str] = ContextVar("_part", default="")


def here() -> Where:
    """The user's file and line that is running now, or the place forced by `made_at`."""
    forced = _forced.get()
    if forced is not None:
        return forced
    frame, back = sys._getframe(1), None
    while is_inside(frame.f_code.co_filename) and (back := frame.f_back) is not None:
        frame = back
    return _where(frame.f_code.co_filename, frame.f_lineno, _part.get())


@functools.lru_cache(maxsize=4096)
def _where(file: str, line: int, part: str) -> Where:
    return Where(file, line, part)


@functools.lru_cache(maxsize=4096)
def going_back(where: Where) -> Where:
    """The same place, for nodes of the backward pass."""
    return replace(where, backward=True)


@functools.cache
def is_inside(file: str) -> bool:
    """Whether a file is this package's, NumPy's or SciPy's."""
    return file.startswith(OWN) or _SCIPY in file


def scipy_function() -> str | None:
    """The SciPy function written in Python that the user called and that runs now, if there is one."""
    frame, name = sys._getframe(1), None
    while frame is not None:
        file = frame.f_code.co_filename
        if _SCIPY in file:
            name = frame.f_code.co_name
        elif not file.startswith(OWN):
            break
        frame = frame.f_back  # type: ignore[assignment]
    return name


def raised_at(error: BaseException) -> Where:
    """The place that an exception comes from."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return Where(last.tb_frame.f_code.co_filename, last.tb_lineno) if last is not None else here()


@contextmanager
def made_at(where: Where) -> Iterator[None]:
    """Nodes made inside carry this place: a gradient rule's nodes belong to the line of the forward node."""
    token = _forced.set(where)
    try:
        yield
    finally:
        _forced.reset(token)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Nodes made inside belong to the part of this name; within another part, to that part of it."""
    outer = _part.get()
    token = _part.set(f"{outer} > {name}" if outer else name)
    try:
        yield
    finally:
        _part.reset(token)


def defined_at(function: Callable[..., Any]) -> Where:
    """Where a function was written, or the user's line that is running now for one without Python code."""
    inner = inspect.unwrap(function)
    code = getattr(getattr(inner, "func", inner), "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    return Where(code.co_filename, code.co_firstlineno) if code is not None else here()
