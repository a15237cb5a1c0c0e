"""Ranges of arguments, declared once as data: validation, documentation and command-line flags read the same record.

A frozen dataclass states each field with `option(default, ...)` and calls `check(self)` when it is made.
"""

import dataclasses
import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.errors import ArgumentError, nearest

_KEY = "range"
# The largest count where a range names no bound of its own. A loop of 1e300 turns would be one without an end.
MOST_COUNTED = 10**9
# A bound for counts that nobody counts up to, such as the steps a schedule is for; too large to be shown.
FAR = 2**62


@dataclass(frozen=True, slots=True)
class Range:
    """The values an option may have: a number between bounds, one of some words, or one of the further forms
    allowed.
    """

    doc: str = ""
    above: float = -math.inf  # exclusive
    at_least: float = -math.inf  # inclusive
    below: float = math.inf  # exclusive
    at_most: float = math.inf  # inclusive
    whole: bool = False
    optional: bool = False  # None is allowed and means "off"
    words: tuple[str, ...] = ()  # names that are allowed in addition to numbers, or instead
    number: bool = True
    flag: bool = False  # True and False, instead of numbers
    function: bool = False  # anything that can be called is allowed too

    def __str__(self) -> str:
        """The range in words: `a number > 0 and < 1, or None`."""
        bounds = [(">", self.above), (">=", self.at_least), ("<", self.below), ("<=", self.at_most)]
        limits = " and ".join(f"{sign} {value:g}" for sign, value in bounds if math.isfinite(value) and value != FAR)
        kind = "a whole number" if self.whole else "a number"
        forms = ["True or False"] if self.flag else [f"{kind} {limits}".rstrip()] if self.number else []
        forms += [" | ".join(repr(word) for word in self.words)] if self.words else []
        forms += ["a function of the step"] if self.function else []
        forms += ["None"] if self.optional else []
        return ", or ".join(forms)

    def problem(self, value: Any) -> str | None:
        """The problem of a value, or None."""
        if (value is None and self.optional) or (self.function and callable(value)):
            return None
        if isinstance(value, str):
            if value in self.words:
                return None
            return f"has to be {self}, got {shown(value)}{nearest(value, self.words)}"
        if self.flag:
            return None if isinstance(value, bool | np.bool_) else f"has to be {self}, got {shown(value)}"
        # bool is a number to Python, but `momentum=True` is a slip.
        fits = self.number and isinstance(value, numbers.Real) and not isinstance(value, bool)
        if fits and _beyond_floats(value):
            return f"has to be a number that a float can hold, got {value!r:.30}..."
        if fits and self.whole:
            fits = float(value).is_integer()
        # A NaN fails every comparison, so it is outside; so is infinity where a bound says so.
        if not fits or not (self.above < value < self.below and self.at_least <= value <= self.at_most):
            return f"has to be {self}, got {shown(value)}"
        if not math.isfinite(value):
            return f"has to be finite, got {value!r}"
        is_bounded = math.isfinite(min(self.below, self.at_most))
        if self.whole and not is_bounded and value > MOST_COUNTED:
            return f"has to be {MOST_COUNTED:,} at most, as nobody waits for more; got {value!r:.30}"
        return None


FLAG = Range(number=False, flag=True)
COUNT = Range(at_least=1, whole=True)
STEPS = Range(at_least=1, below=FAR, whole=True)  # of a whole training: epochs times steps of each
SEED = Range(at_least=0, below=2**63, whole=True)


def _beyond_floats(value: Any) -> bool:
    """Whether a number, such as 10**400, is larger than any float."""
    try:
        float(value)
    except OverflowError:
        return True
    return False


def option(default: Any, doc: str = "", **limits: Any) -> Any:
    """A dataclass field with its range; `limits` are the fields of Range."""
    return dataclasses.field(default=default, metadata={_KEY: Range(doc, **limits)})


def required(doc: str = "", **limits: Any) -> Any:
    """The same for a field without a default."""
    return dataclasses.field(metadata={_KEY: Range(doc, **limits)})


def range_of(record: Any, name: str) -> Range:
    """The range that a dataclass declares for one of its fields."""
    return next(limits for field, _, limits in options(record) if field == name)


def ranged(default: Any, limits: Range, **changed: Any) -> Any:
    """A dataclass field with a range that is declared elsewhere; `changed` are fields of it that differ here."""
    return dataclasses.field(default=default, metadata={_KEY: dataclasses.replace(limits, **changed)})


def options(of: Any) -> Iterator[tuple[str, Any, Range]]:
    """(name, default, range) of every field of a dataclass, or of an instance of one, that declares a range."""
    for field in dataclasses.fields(of):
        if _KEY in field.metadata:
            yield field.name, field.default, field.metadata[_KEY]


def problems(given: Any) -> list[str]:
    """One line for each field of a dataclass instance that is outside its range."""
    found = ((name, range_.problem(getattr(given, name))) for name, _, range_ in options(given))
    return [f"{name} {problem}" for name, problem in found if problem]


def check(given: Any) -> None:
    """Raise ArgumentError, naming all fields of a dataclass instance that are outside their range."""
    wrong = problems(given)
    if wrong:
        name = type(given).__name__
        raise ArgumentError("\n".join([f"{name}: {wrong[0]}", *(f"  and {line}" for line in wrong[1:])]))


def short(record: Any) -> str:
    """A dataclass instance in few words: `Dense(64)`; fields that have their default are left out."""
    kind: Any = type(record)
    if not dataclasses.is_dataclass(record):  # a user's own class need not be one
        return f"{kind.__name__}()" if kind.__repr__ is object.__repr__ else repr(record)
    if not kind.__dataclass_params__.repr:  # it has few words of its own
        return repr(record)
    parts = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.default is dataclasses.MISSING:
            is_function = isinstance(value, FunctionType | np.ufunc)  # whose repr has an address
            parts.append(value.__name__ if is_function else repr(value))
        elif value is not field.default and not _equal(value, field.default):
            parts.append(f"{field.name}={value!r}")
    return f"{kind.__name__}({', '.join(parts)})"


def _equal(value: Any, default: Any) -> bool:
    try:
        return bool(value == default)
    except ValueError:  # an array, which compares element by element
        return False
