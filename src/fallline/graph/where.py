"""Where in the user's code a node was made: the innermost frame outside this package and NumPy."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

# numpy may be installed under the same prefix as the user's code, so both folders are named exactly.
_OWN = (os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep, os.path.dirname(np.__file__) + os.sep)

_SCIPY = f"{os.sep}site-packages{os.sep}scipy{os.sep}"  # its wrappers call us back; it must not be imported to ask


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a source file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}" if self.line else self.file


_forced: list[Where] = []


def here() -> Where:
    """The user's file and line that is running now, or the place forced by `made_at`."""
    if _forced:
        return _forced[-1]
    frame = sys._getframe(1)
    last = Where("<unknown>", 0)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_OWN) and _SCIPY not in name:
            return Where(name, frame.f_lineno)
        last = Where(name, frame.f_lineno)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return last


@contextmanager
def made_at(where: Where) -> Iterator[None]:
    """Nodes made inside carry this place: a gradient rule's nodes belong to the line of the forward node."""
    _forced.append(where)
    try:
        yield
    finally:
        _forced.pop()
