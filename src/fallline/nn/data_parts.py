"""The parts of data as they are given: x, y, and weights where rows have them; or what to write instead."""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fallline.errors import FalllineError, ReadingError, nearest
from fallline.nn.intake import Problems
from fallline.source import PARTS

# Other names of weights of rows, as other libraries have them.
_WEIGHTS = ("weights", "sample_weight", "sample_weights")
# Hints for data in another form.
_INSTEAD: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (
        lambda data: isinstance(data, str | os.PathLike),
        "(x, y) of np.loadtxt(...), or `fallline train FILE`",
    ),
    (
        lambda data: isinstance(data, tuple | list) and bool(data) and all(_is_batch(row) for row in data),
        "a function that gives the batches of an epoch, data=lambda: iter(batches)",
    ),
    (
        lambda data: isinstance(data, tuple | list) and len(data) == 4,
        "data=(x, y), validation=(x_validation, y_validation)",
    ),
    (
        lambda data: isinstance(data, tuple | list) and bool(data) and all(_is_pair(row) for row in data),
        "(np.stack([x for x, y in data]), np.stack([y for x, y in data]))",
    ),
)


def _is_pair(row: Any) -> bool:
    return isinstance(row, tuple | list) and len(row) == 2


def _is_batch(row: Any) -> bool:
    """Whether a pair holds the targets of many rows, not of one."""
    return _is_pair(row) and getattr(row[0], "ndim", 0) > 1 and getattr(row[1], "ndim", 0) > 0


def parts_of(data: Any, what: str, problems: Problems) -> tuple[Any, Any, Any]:
    """x, y and weight of (x, y), (x, y, weight), a dict with these names, or anything with these attributes.

    weight is None where there are none; all are None after adding to `problems`.
    """
    if isinstance(data, Mapping) and {"x", "y"} <= data.keys():
        strange = [str(name) for name in data if name not in PARTS]
        if strange:
            hint = "several inputs in a dict of their own, {'x': {'age': ..., 'image': ...}, 'y': ...}"
            if strange[0] in _WEIGHTS:
                hint = "the name 'weight', for weights of rows"
            problems.data.append(f"{what} has x, y and {strange[0]!r}{nearest(strange[0], PARTS)}\n  try: {hint}")
        x, y, weight = (data.get(name) for name in PARTS)
    elif hasattr(data, "x") and hasattr(data, "y"):
        other = next((name for name in _WEIGHTS if getattr(data, name, None) is not None), None)
        if other is not None and not hasattr(data, "weight"):
            told = f"{what} has the attribute {other!r}, and weights of rows are read from 'weight'"
            problems.data.append(f"{told}\n  try: (data.x, data.y, data.{other}), or (data.x, data.y) without them")
        return data.x, data.y, getattr(data, "weight", None)
    elif isinstance(data, tuple | list) and len(data) in (2, 3) and not _are_rows(data):
        x, y, weight = (*data, None)[:3]
    else:
        seen = f"{len(data)} things" if isinstance(data, tuple | list) else type(data).__name__
        hint = next((hint for form, hint in _INSTEAD if form(data)), "(x, y), x an array of rows and y their targets")
        problems.data.append(f"{what} has to be a pair (x, y), got {seen}\n  try: {hint}")
        return None, None, None
    for name, part in (("x", x), ("y", y)):
        if part is None:
            problems.data.append(f"{name} of {what} is None")
    return x, y, weight


def _are_rows(data: Any) -> bool:
    """Whether pairs (x, y), of a row or of a batch each, were given: three of them, or a list of two batches."""
    if len(data) == 2:
        return isinstance(data, list) and all(_is_batch(row) for row in data)
    return all(_is_pair(row) for row in data)


def is_stream(data: Any) -> bool:
    """Whether data are batches to go through: an iterable, an iterator, or a function that makes one."""
    if isinstance(data, str | bytes | tuple | list | Mapping | np.ndarray) or hasattr(data, "__array__"):
        return False
    if hasattr(data, "x") and hasattr(data, "y"):
        return False
    return hasattr(data, "__iter__") or hasattr(data, "__next__") or (callable(data) and not isinstance(data, type))


def batches_of(given: Any, epoch: int) -> Iterator[Any]:
    """The batches of an epoch. given: an iterable, or a function, of the epoch or of nothing, that makes one."""
    if hasattr(given, "set_epoch"):
        given.set_epoch(epoch)  # how the field's shuffled iterables are told
    if hasattr(given, "__iter__") or hasattr(given, "__next__"):
        return iter(given)
    return iter(given(epoch) if _takes_one(given) else given())


def read_once(given: Any, what: str) -> Iterator[Any]:
    """The batches of an iterable, or of a function that makes one. Errors: ReadingError for those that it raises."""
    number = 0
    try:
        for batch in batches_of(given, 0):
            yield batch
            number += 1
    except FalllineError:
        raise
    except Exception as error:
        raise ReadingError(f"batch {number} of {what}: {type(error).__name__}: {error}") from error


def _takes_one(function: Any) -> bool:
    """Whether a function has to be given an argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
