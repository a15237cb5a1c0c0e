"""Errors that come out of the caller's own code become errors of ours: which object it was, which line, which shapes.

Layers, losses, optimizers, schedules and initialisers may be anybody's, and are called while a graph is traced, probed
or run by NumPy. Their errors say nothing of that; `Inside` adds it.
"""

import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from fallline import tree
from fallline.arguments import OWN, shown
from fallline.errors import (
    CodeError,
    CodeIndexError,
    CodeKeyError,
    CodeTypeError,
    CodeValueError,
    FalllineError,
    nearest,
)
from fallline.graph.where import Where, defined_at

# Ours for an error of Python's. Exceptions of the caller's own classes pass, with a note.
_OURS: Mapping[type[Exception], type[FalllineError]] = {
    KeyError: CodeKeyError,
    IndexError: CodeIndexError,
    AttributeError: CodeTypeError,
    TypeError: CodeTypeError,
    ValueError: CodeValueError,
}


class Inside:
    """While code of the caller's runs: its errors name the object, the caller's line and the arguments.

    what: the object in words, such as `layer 1: Scale(3)`. given: its arguments, by name: arrays, nodes, trees of them.
    rows: which of those is a batch, whose number of rows is shown as N. ours_pass: errors of ours say all there is.
    only: the one class of errors that is meant. of: the caller's function, for where it is written.
    """

    __slots__ = ("given", "of", "only", "ours_pass", "rows", "what")

    def __init__(
        self,
        what: Callable[[], str],
        given: Mapping[str, Any] = {},
        rows: str = "",
        ours_pass: bool = False,
        only: type[Exception] = Exception,
        of: Callable[..., Any] | None = None,
    ) -> None:
        self.what, self.given, self.rows, self.ours_pass, self.only, self.of = what, given, rows, ours_pass, only, of

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        if not isinstance(error, self.only) or isinstance(error, Warning | FloatingPointError):
            return
        if isinstance(error, FalllineError) and self.ours_pass:
            return
        if getattr(error, "is_placed", False):
            self._place(error)
            return
        if isinstance(error, FalllineError):
            raised = self._more(error, str(error))
        else:
            ours = next((mine for theirs, mine in _OURS.items() if type(error) is theirs), None)
            builtin = type(error).__module__ in ("builtins", "numpy", "numpy.exceptions", "numpy._core._exceptions")
            if ours is None and not builtin:
                error.add_note(f"in {self.what()}")
                return
            ours = ours or next((mine for theirs, mine in _OURS.items() if isinstance(error, theirs)), CodeError)
            raised = ours(self._text(error, trace))
        raised.is_placed = True  # type: ignore[attr-defined]
        raise raised from (None if isinstance(error, FalllineError) else error)

    def _place(self, error: Exception) -> None:
        """Say of an inner object's error which outer one it is in."""
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (self._named(error.args[0]),)

    def _named(self, text: str) -> str:
        what = self.what()
        return f"{what}: {text}" if what else text

    def _more(self, error: FalllineError, text: str) -> FalllineError:
        head, *rest = text.split("\n")
        lines = [self._named(head), *self._shapes(), *rest]
        text = self._with_n("\n".join(lines))
        try:
            found = type(error)(text)
        except TypeError:
            found = CodeError(text)
        return found

    def _text(self, error: Exception, trace: TracebackType | None) -> str:
        name = type(error).__name__
        said = shown(error.args[0]) if isinstance(error, KeyError) and error.args else str(error) or name
        near = ""
        if isinstance(error, KeyError) and error.args:
            names = set().union(*(keys_in(value) for value in self.given.values()))
            near = nearest(str(error.args[0]), sorted(names))
        at = users_line(trace)
        if at is None and self.of is not None:  # it was not entered
            at = next((place for place in (defined_at(self.of),) if not place.file.startswith(OWN)), None)
        lines = [self._named(f"{name}: {said}{near}"), *([f"  at {at}"] if at else []), *self._shapes()]
        return self._with_n("\n".join(lines))

    def _shapes(self) -> list[str]:
        """A line for everything it was given."""
        lines = []
        for name, value in self.given.items():
            leaves = [(path, leaf) for path, leaf in tree.items(value) if hasattr(leaf, "shape")]
            parts = [f"{path} {tuple(leaf.shape)}".strip() for path, leaf in leaves]
            lines.append(f"  {name}: {', '.join(parts) or 'none'}")
        return lines

    def _with_n(self, text: str) -> str:
        """The text with N where a shape begins with the number of rows, unless something else has that length too."""
        batch = getattr(self.given.get(self.rows), "shape", ())
        others = [value for name, value in self.given.items() if name != self.rows]
        sizes = {n for leaf in tree.leaves(others) if hasattr(leaf, "shape") for n in leaf.shape[:1]}
        if not batch or (batch[0] in sizes and self.rows != "its outputs"):
            return text
        return re.sub(rf"([\[(]){batch[0]}(?=[,\])])", r"\1N", text)


def keys_in(value: Any) -> set[str]:
    """The texts that are keys in nested dicts, lists and tuples."""
    if isinstance(value, dict):
        return {key for key in value if isinstance(key, str)}.union(*map(keys_in, value.values()))
    return set().union(*map(keys_in, value)) if isinstance(value, list | tuple) else set()


def users_line(trace: TracebackType | None) -> Where | None:
    """The innermost line of the caller's code in a traceback, if it has one."""
    found = None
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith(OWN) and "site-packages" not in name:
            found = Where(name, trace.tb_lineno)
        trace = trace.tb_next
    return found
