"""Every exception Fallline raises, one tree, and the search for the nearest name. Knows nothing else of the package.

Each class is a `FalllineError` and the built-in exception a caller would expect, so both `except` forms work.
"""

import difflib
from collections.abc import Iterable
from typing import Any


class FalllineError(Exception):
    """Whatever goes wrong in Fallline; the message says what was asked, what was seen, and what to try."""


class ArgumentError(FalllineError, ValueError):
    """An argument is outside its declared range or of the wrong form."""


class ArgumentTypeError(FalllineError, TypeError):
    """An argument is of a type that cannot be used here."""


class ShapeError(FalllineError, ValueError):
    """Arrays whose shapes do not fit one another."""


class TraceError(FalllineError, TypeError):
    """A function does something that cannot be recorded as a graph."""


class GraphError(FalllineError, ValueError):
    """A graph that is not well formed."""


class ProgramError(FalllineError, RuntimeError):
    """A program the machine refuses to run."""


class DataError(FalllineError, ValueError):
    """Data that cannot be trained on or predicted from."""


class MissingFileError(FalllineError, FileNotFoundError):
    """A file or run folder that is not there."""


class ExistingFileError(FalllineError, FileExistsError):
    """A file or run folder that would be overwritten."""


class SavingError(FalllineError, OSError):
    """A run folder that cannot be written to; `run` is what the training has come to all the same."""

    run: Any = None


class GradientError(FalllineError, AssertionError):
    """A gradient that disagrees with finite differences."""


# What other libraries call things, so that a word brought from there finds ours.
ELSEWHERE = {
    "sgd": "gradient_descent", "gd": "gradient_descent", "mse": "squared_error", "mean_squared_error": "squared_error",
    "l2": "squared_error", "mae": "absolute_error", "l1": "absolute_error", "bce": "binary_cross_entropy",
    "ce": "cross_entropy", "log_loss": "cross_entropy", "nll": "cross_entropy", "smooth_l1": "huber",
    "linear": "identity", "logistic": "sigmoid", "swish": "silu", "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal", "kaiming_uniform": "he_uniform", "kaiming_normal": "he_normal",
}  # fmt: skip


def nearest(name: str, known: Iterable[str]) -> str:
    """A tail for an error message: `; did you mean 'relu'?` where a known name is close, else nothing."""
    names = list(known)
    meant = ELSEWHERE.get(name.lower())
    found = [meant] if meant in names else difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def unknown(what: str, name: object, known: Iterable[str]) -> ArgumentError:
    """The error for a name that is not in a table: the nearest name first, then all of them."""
    names = sorted(known)
    return ArgumentError(f"unknown {what} {name!r}{nearest(str(name), names)}\n  known: {', '.join(names)}")
