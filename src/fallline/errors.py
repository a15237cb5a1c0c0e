"""Every exception Fallline raises, one tree, and suggestions for unknown names. Knows nothing else of the
package than the table of names.

Each class is a `FalllineError` and the built-in exception a caller would expect, so both `except` forms work.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from fallline.names import instead, likest, meant


class FalllineError(Exception):
    """The base of all errors of Fallline; a message gives the expected value, the one that was seen, and a hint.

    run: where it ended a training, such as an error in a metric of the caller's: the result until then, from which
    `fl.fit(..., init=error.run)` goes on; else None.
    """

    run: Any = None


class ArgumentError(FalllineError, ValueError):
    """An argument is outside its declared range or of the wrong form."""


class ArgumentTypeError(FalllineError, TypeError):
    """An argument is of a type that cannot be used here."""


class ShapeError(FalllineError, ValueError):
    """Arrays whose shapes do not fit one another."""


class TooLargeError(ArgumentError, OverflowError):
    """A whole number that is not among those of the dtype it is to have."""


class OutOfRangeError(ShapeError, IndexError):
    """A position outside its axis."""


class CodeError(FalllineError, RuntimeError):
    """An error out of a layer, loss, optimizer, schedule or initialiser of the caller's own, which the message
    names.
    """


class CodeKeyError(CodeError, KeyError):
    """A name that is not in a dict of the caller's, such as a misspelt parameter."""

    __str__ = Exception.__str__  # KeyError's own shows a text with its quotes


class CodeIndexError(CodeError, OutOfRangeError):
    """A position outside its axis, in the caller's own code."""


class UnknownColumnError(FalllineError, KeyError):
    """A column that a history does not have."""

    __str__ = Exception.__str__  # KeyError's own shows a text with its quotes


class CodeTypeError(CodeError, TypeError):
    """A TypeError or AttributeError in the caller's own code."""


class CodeValueError(CodeError, ValueError):
    """A ValueError in the caller's own code."""


class TraceError(FalllineError, TypeError):
    """A function does something that cannot be recorded as a graph."""


class GraphError(FalllineError, ValueError):
    """A graph that is not well formed."""


class ProgramError(FalllineError, RuntimeError):
    """A program the machine refuses to run."""


class DataError(FalllineError, ValueError):
    """Data that cannot be trained on or predicted from."""


class ReadingError(DataError):
    """Data that could not be read during a training; `run` is the result until then.

    Its `__cause__` is the error of the file, the iterable or the function that the data come from.
    """


class LayerError(FalllineError, AssertionError):
    """A layer that breaks a law which all layers keep."""


class MissingFileError(FalllineError, FileNotFoundError):
    """A file or run folder that is not there."""


class MissingLibraryError(FalllineError, ImportError):
    """A library that is not installed, which only some commands need."""


class ExistingFileError(FalllineError, FileExistsError):
    """A file or run folder that would be overwritten."""


class SavingError(FalllineError, OSError):
    """A run folder that cannot be written to; `run` is the result until then."""


class GradientError(FalllineError, AssertionError):
    """A gradient that disagrees with finite differences."""


class UnknownNameError(FalllineError, AttributeError):
    """A name that a module or an object does not have. `hasattr` asks for many, so the hint is made when it is read."""

    def __init__(self, owner: str, name: str = "", known: Callable[[], Iterable[str]] = tuple) -> None:
        super().__init__(owner, name)
        self._known = known

    def __str__(self) -> str:
        owner, name = self.args
        known = [other for other in self._known() if not other.startswith("_")]
        tail = "" if name.startswith("_") else hint(name, known)
        return f"{owner} has no attribute {name!r}{tail}"


class Attributes:
    """Attributes that an object does not have: the error suggests the name that is meant."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise UnknownNameError(f"{type(self).__name__}", name, lambda: dir(self))


class NotCalled(Attributes):
    """A layer, model or run, which other libraries call like a function: the error shows the method instead."""

    __slots__ = ()
    _instead_of_a_call = (
        "fl.fit(network, (x, y), loss=...).model.predict(x), for a network of all layers, nn.Sequential(...); "
        "context.apply(layer, params, x) inside a layer of your own"
    )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ArgumentTypeError(f"{type(self).__name__} cannot be called\n  try: {self._instead_of_a_call}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A tail for an error message: `; did you mean 'relu'?` where a known name is meant or close, else nothing."""
    names = list(known)
    found = meant(name, names) or likest(name, names)
    return f"; did you mean {found!r}?" if found is not None else ""


def hint(name: str, known: Iterable[str]) -> str:
    """The same, or a replacement where the word is another library's and has no counterpart."""
    names, other = list(known), instead(name)
    return f"\n  try: {other}" if other and meant(name, names) is None else nearest(name, names)


def unknown(what: str, name: object, known: Iterable[str]) -> ArgumentError:
    """The error for a name that is not in a table: suggestions first, then all names."""
    names = sorted(known)
    head, *more = hint(str(name), names).split("\n")
    lines = [f"unknown {what} {name!r:.80}{head}", *more, f"  known: {', '.join(names)}"]
    return ArgumentError("\n".join(lines))
