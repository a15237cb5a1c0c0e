"""Targets made ready for a loss: numbers checked, labels of any kind turned into 0..K-1. Knows no loss and no network.

Every function here has one form: prepare(y, dtype, outputs=None, classes=None) -> Targets. `outputs` is how many
numbers the network gives per row, where that is known; `classes` are the labels met before, which new ones must be among.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.errors import ArgumentTypeError, DataError, nearest
from fallline.graph.op import Array

# Soft labels may come from a float32 softmax over many classes.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets as a loss takes them, and what predictions need to look like the targets that were given."""

    y: Array
    classes: Array | None = None  # class k is classes[k]; None where targets are numbers
    outputs: int | None = None  # numbers a network has to give per row; None where only its user knows
    flat: bool = False  # y was given as (N,): predictions come so too


def _fail(problems: list[str]) -> None:
    """Raise one DataError that tells all problems."""
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        raise DataError(f"{len(problems)} problems with y:\n" + "\n".join(f"- {problem}" for problem in problems))


def as_array(y: Any) -> Array:
    """y as an array with native byte order; objects that are all of one simple kind become that kind."""
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise DataError(f"y cannot be made an array: {error}\n  try: rows of equal length") from None
    if array.dtype == object:
        kinds = {type(value) for value in array.ravel()} - {type(None)}
        if all(issubclass(kind, str) for kind in kinds) or all(issubclass(kind, bool | np.bool_) for kind in kinds):
            missing = np.flatnonzero(np.array([value is None for value in array.ravel()]))
            if missing.size:
                _fail([f"y has {missing.size} missing labels, the first at row {missing[0]}"])
            array = array.astype(str if issubclass(next(iter(kinds), str), str) else bool)
        else:
            try:
                array = array.astype(np.float64)  # None becomes NaN
            except (TypeError, ValueError):
                names = ", ".join(sorted(kind.__name__ for kind in kinds))
                raise DataError(f"y mixes objects of types {names}\n  try: y.astype(str) for labels") from None
    if array.dtype.kind not in "fiubUS":
        raise ArgumentTypeError(f"y holds {array.dtype}: targets are numbers, or labels that are text or numbers")
    if array.ndim == 0:
        raise DataError(f"y is the single value {array!r}, not one target for each row")
    if array.dtype.kind == "S":
        array = array.astype(str)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _not_finite(array: Array) -> list[str]:
    """A problem that counts the rows with NaN or infinity, if there are any."""
    if array.dtype.kind != "f":
        return []
    bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1)) if array.size else np.array([], int)
    if not bad.size:
        return []
    return [f"y has NaN or infinite values in {bad.size} of {len(array)} rows, the first at row {bad[0]}\n"
            "  try: leave those rows out"]  # fmt: skip


def numbers(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None, *, low: float = -np.inf,
            high: float = np.inf, what: str = "") -> Targets:  # fmt: skip
    """Numbers to come near to: (N,) or (N, M), returned as (N, M) of this dtype; `low`, `high` bound them."""
    array = as_array(y)
    if array.dtype.kind == "U":
        raise DataError(f"y holds text, such as {array.ravel()[:1].tolist()}: this loss needs numbers\n"
                        "  try: loss='cross_entropy' for class labels")  # fmt: skip
    flat = array.ndim == 1
    table = array.reshape(-1, 1) if flat else array
    problems = _not_finite(array)
    if table.ndim != 2:
        problems.append(f"y has shape {array.shape}: one number (N,) or one row of numbers (N, M) for each row of x")
    if outputs is not None and table.shape[-1] != outputs:
        problems.append(f"y has {table.shape[-1]} numbers a row and the network gives {outputs}\n"
                        f"  try: nn.Dense({table.shape[-1]}) as its last layer")  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        outside = np.argwhere((table < low) | (table > high))
        ready = np.ascontiguousarray(table, dtype)
        lost = np.isinf(ready) & np.isfinite(table)
    if outside.size:
        value = table[tuple(outside[0])]
        problems.append(f"{what}, and y has {len(outside)} others, the first {value} at row {outside[0][0]}")
    if lost.any():
        problems.append(
            f"y has {lost.sum()} numbers too large for {np.dtype(dtype)}\n  try: smaller units, or dtype='float64'"
        )
    _fail(problems)
    return Targets(ready, None, table.shape[1], flat)


def counts(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Numbers of events: as `numbers`, none below zero."""
    return numbers(y, dtype, outputs, low=0.0, what="counts are >= 0")


def as_given(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """For a user's loss: floats in this dtype, whole numbers as int64, one column where the network has one output."""
    array = as_array(y)
    if array.dtype.kind == "U":
        raise DataError("y holds text: a loss of your own needs numbers\n  try: np.unique(y, return_inverse=True)[1]")
    _fail(_not_finite(array))
    flat = array.ndim == 1
    # (N, 1) - (N,) would silently be (N, N).
    shaped = array.reshape(-1, 1) if flat and outputs == 1 else array
    return Targets(np.ascontiguousarray(shaped, dtype if array.dtype.kind == "f" else np.int64), None, None, flat)


def classes_of(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Labels, (N,) or (N, 1) of any kind, as int64 codes 0..K-1; or rows (N, K) of probabilities as they are."""
    array = as_array(y)
    if array.ndim == 2 and array.shape[1] > 1:
        return _soft(array, dtype, outputs)
    if classes is not None:
        return Targets(coded(labels(array), np.asarray(classes)), np.asarray(classes), len(classes), True)
    kinds = kinds_of(array)
    wrong = [] if len(kinds) > 1 else [one_class(kinds)]
    k = len(kinds)
    if outputs is not None and k != outputs:
        if k < outputs and kinds.dtype.kind in "iub" and kinds.dtype != bool and 0 <= kinds[0] and kinds[-1] < outputs:
            kinds = np.arange(outputs)  # classes that happen to have no row here
        else:
            wrong.append(f"y has {k} classes and the network gives {outputs} outputs: {listed(kinds)}\n"
                         f"  try: nn.Dense({k}) as its last layer")  # fmt: skip
    _fail(wrong)
    return Targets(coded(labels(array), kinds), kinds, len(kinds), True)


def binary(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Labels of two classes as 0 and 1 in a column of this dtype."""
    array = as_array(y)
    kinds = np.asarray(classes) if classes is not None else kinds_of(array)
    wrong = []
    if len(kinds) == 1:
        wrong.append(one_class(kinds))
    elif len(kinds) != 2:
        wrong.append(f"this loss tells two classes apart, and y has {len(kinds)}: {listed(kinds)}\n"
                     "  try: loss='cross_entropy'")  # fmt: skip
    if outputs not in (None, 1):
        wrong.append(f"this loss takes one output a row and the network gives {outputs}\n"
                     "  try: nn.Dense(1) as its last layer, or loss='cross_entropy'")  # fmt: skip
    _fail(wrong)
    return Targets(coded(labels(array), kinds).astype(dtype).reshape(-1, 1), kinds, 1, True)


def probabilities(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Labels of two classes, or numbers in 0..1 where y has several columns or values between 0 and 1."""
    array = as_array(y)
    wide = array.ndim == 2 and array.shape[1] > 1
    between = array.dtype.kind == "f" and bool(np.any((array > 0) & (array < 1)))
    if classes is None and (wide or between):
        return numbers(array, dtype, outputs, low=0.0, high=1.0, what="probabilities are in 0..1")
    return binary(array, dtype, outputs, classes)


def _soft(array: Array, dtype: Any, outputs: int | None) -> Targets:
    if array.dtype.kind == "U":
        raise DataError(f"y holds text in {array.shape[1]} columns\n  try: one column of labels")
    problems = _not_finite(array)
    k = array.shape[1]
    if outputs is not None and k != outputs:
        problems.append(f"y has {k} columns and the network gives {outputs} outputs\n"
                        f"  try: nn.Dense({k}) as its last layer")  # fmt: skip
    if not problems:
        sums = array.sum(axis=1, dtype=np.float64)
        bad = np.flatnonzero((array < 0).any(axis=1) | (np.abs(sums - 1) > _SUM_TOLERANCE))
        if bad.size:
            problems.append(f"rows of y are class probabilities, which are >= 0 and sum to 1; {bad.size} of {len(array)} "
                            f"are not, the first at row {bad[0]} with sum {sums[bad[0]]:g}")  # fmt: skip
    _fail(problems)
    return Targets(np.ascontiguousarray(array, dtype), np.arange(k), k, False)


def labels(array: Array) -> Array:
    """One label for each row, or a DataError that says what is wrong with them."""
    problems = _not_finite(array)
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        problems.append(f"labels come one for each row, (N,), and y has shape {array.shape}")
    elif array.dtype.kind == "f" and not problems and (array != np.floor(array)).any():
        problems.append(f"class labels are whole numbers or text, and y has {array[array != np.floor(array)][0]}\n"
                        "  try: loss='squared_error' for numbers to come near to")  # fmt: skip
    _fail(problems)
    return array.reshape(-1)


def kinds_of(array: Array) -> Array:
    """The distinct labels, sorted."""
    kinds: Array = np.unique(labels(array))
    return kinds


def coded(given: Array, classes: Array) -> Array:
    """Each label as its place among the sorted classes; a DataError names those that are not among them."""
    if given.dtype.kind == "U" and classes.dtype.kind != "U" or given.dtype.kind != "U" and classes.dtype.kind == "U":
        raise DataError(f"y holds labels such as {given[:1].tolist()}, the classes are {listed(classes)}")
    place = np.clip(np.searchsorted(classes, given), 0, len(classes) - 1)
    strange = given[classes[place] != given]
    if strange.size:
        hint = nearest(str(strange[0]), [str(c) for c in classes.tolist()]) if classes.dtype.kind == "U" else ""
        raise DataError(f"y has {strange.size} labels outside the known classes, the first {strange[0].item()!r}{hint}\n"
                        f"  known: {listed(classes)}")  # fmt: skip
    return place.astype(np.int64)


def one_class(kinds: Array) -> str:
    if not len(kinds):
        return "y is empty"
    return f"y has the one class {kinds[0].item()!r}: there is nothing to tell apart"


def listed(kinds: Array) -> str:
    shown = ", ".join(repr(kind) for kind in kinds[:6].tolist())
    return shown + (f", ... ({len(kinds)} in all)" if len(kinds) > 6 else "")
