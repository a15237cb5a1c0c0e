"""Targets made ready for a loss: numbers checked, labels of any kind turned into 0..K-1. Knows no loss and no network.

Every public function has one form, prepare(y, dtype, outputs=None, classes=None) -> Targets. `outputs` is how many
numbers the network gives a row, where that is known; `classes` are labels met before, among which new ones must be.
All problems with y are reported in one DataError.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arrays import as_array
from fallline.errors import FalllineError, nearest
from fallline.graph.op import Array
from fallline.nn.intake import Problems, as_numbers, check_finite, to_dtype

# Soft labels may come from a float32 softmax over many classes.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets as a loss takes them, and what predictions need to look like the targets that were given."""

    y: Array
    classes: Array | None = None  # class k is classes[k]; None where targets are numbers
    outputs: int | None = None  # numbers a network has to give a row; None where only its user knows
    flat: bool = False  # y was given as (N,): predictions come so too


def numbers(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Numbers to come near to: (N,) or (N, M), returned as (N, M) in this dtype."""
    return bounded(y, dtype, outputs)


def counts(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Numbers of events: as `numbers`, none below zero."""
    return bounded(y, dtype, outputs, low=0.0, what="counts are >= 0")


def as_given(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """For a user's loss: floats in this dtype, whole numbers as int64, one column where the network has one output."""
    problems = Problems()
    array = _numbers_not_text(y, "np.unique(y, return_inverse=True)[1]", problems)
    if array.dtype.kind == "f":
        check_finite(array, "y", dtype, problems)
    problems.raise_if_any()
    # (N, 1) - (N,) would silently be (N, N).
    shaped = array.reshape(-1, 1) if array.ndim == 1 and outputs == 1 else array
    return Targets(to_dtype(shaped, dtype if array.dtype.kind == "f" else np.int64), flat=array.ndim == 1)


def classes_of(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Labels, (N,) or (N, 1) of any kind, as int64 codes 0..K-1; or rows (N, K) of probabilities as they are."""
    problems = Problems()
    array = _any_kind(y, problems)
    if array.ndim == 2 and array.shape[1] > 1:
        return _soft(array, dtype, outputs, problems)
    given = _one_a_row(array, problems)
    kinds = np.asarray(classes) if classes is not None else np.unique(given)
    if classes is None:
        if outputs is not None and len(kinds) < outputs and _are_codes(kinds, outputs):
            kinds = np.arange(outputs)  # a class that happens to have no row here
        elif outputs is not None and len(kinds) != outputs and len(kinds) > 1:
            problems.data.append(
                f"y has {len(kinds)} classes and the network gives {outputs} outputs; classes: {listed(kinds)}\n"
                f"  try: nn.Dense({len(kinds)}) as its last layer"
            )
        if len(np.unique(given)) < 2:
            problems.data.append(_one_class(kinds, given))
    codes = _coded(given, kinds, problems)
    problems.raise_if_any()
    return Targets(codes, kinds, len(kinds), True)


def binary(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Labels of two classes as 0 and 1 in a column of this dtype."""
    problems = Problems()
    given = _one_a_row(_any_kind(y, problems), problems)
    kinds = np.asarray(classes) if classes is not None else np.unique(given)
    if len(kinds) < 2:
        problems.data.append(_one_class(kinds, given))
    elif len(kinds) > 2:
        problems.data.append(f"this loss tells two classes apart, and y has {len(kinds)}: {listed(kinds)}\n"
                             "  try: loss='cross_entropy'")  # fmt: skip
    if outputs not in (None, 1):
        problems.data.append(f"this loss takes one output a row, and the network gives {outputs}\n"
                             "  try: nn.Dense(1) as its last layer, or loss='cross_entropy'")  # fmt: skip
    codes = _coded(given, kinds, problems)
    problems.raise_if_any()
    return Targets(codes.astype(dtype).reshape(-1, 1), kinds, 1, True)


def signs(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Labels of two classes as -1 and 1 in a column of this dtype."""
    ready = binary(y, dtype, outputs, classes)
    return Targets(2 * ready.y - 1, ready.classes, 1, True)


def probabilities(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """Labels of two classes as `binary`; several columns, or numbers between 0 and 1, are taken as they are."""
    problems = Problems()
    array = _any_kind(y, problems)
    wide = array.ndim == 2 and array.shape[1] > 1
    between = array.dtype.kind == "f" and bool(np.any((array > 0) & (array < 1)))
    if classes is None and (wide or between):
        return bounded(array, dtype, outputs, low=0.0, high=1.0, what="probabilities are in 0..1")
    return binary(array, dtype, outputs, classes)


def bounded(
    y: Any, dtype: Any, outputs: int | None, *, low: float = -np.inf, high: float = np.inf, what: str = ""
) -> Targets:
    """Numbers with limits, which `what` describes, as (N, M) in this dtype."""
    problems = Problems()
    array = _numbers_not_text(y, "loss='cross_entropy', for class labels", problems)
    table = array.reshape(-1, 1) if array.ndim == 1 else array
    if table.ndim != 2:
        problems.data.append(f"y has shape {array.shape}: each row of x takes one number (N,) or a row of them (N, M)")
    if outputs is not None and table.shape[-1] != outputs:
        problems.data.append(f"y has {table.shape[-1]} numbers a row and the network gives {outputs}\n"
                             f"  try: nn.Dense({table.shape[-1]}) as its last layer")  # fmt: skip
    if check_finite(table, "y", dtype, problems) and (table.min(initial=0) < low or table.max(initial=0) > high):
        outside = np.argwhere((table < low) | (table > high))
        value = table[tuple(outside[0])]
        problems.data.append(
            f"{what}; y has {len(outside)} of {table.size} that are not, the first {value} in row {outside[0][0]}"
        )
    problems.raise_if_any()
    return Targets(to_dtype(table, dtype), None, table.shape[1], array.ndim == 1)


def _numbers_not_text(y: Any, instead: str, problems: Problems) -> Array:
    """y as numbers; text, and a value that is no array of numbers, is refused at once, as nothing more can be said of
    it."""
    text = _first_text(y)
    if text is not None:
        problems.data.append(f"y holds text, such as {text!r:.40}, and this loss needs numbers\n  try: {instead}")
    array = as_numbers(y, "y", problems) if text is None else None
    problems.raise_if_any()
    assert array is not None  # what as_numbers cannot read is a problem, raised above
    return array


def _any_kind(y: Any, problems: Problems) -> Array:
    """y as an array of numbers or of text."""
    text = _first_text(y)
    if text is None:
        return _numbers_not_text(y, "", problems)
    array = np.asarray(y)
    if array.dtype == object:
        strange = [(i, value) for i, value in enumerate(array.ravel()) if not isinstance(value, str)]
        if strange:
            place, value = strange[0]
            message = f"y mixes text with other values: {len(strange)} of {array.size}, the first {value!r:.40}"
            problems.data.append(f"{message} in row {place}\n  try: leave those rows out, or y.astype(str)")
            problems.raise_if_any()
    return array.astype(str)


def _first_text(y: Any) -> str | None:
    """A text in y, or None if there is none."""
    try:
        array = as_array(y, "y")
    except FalllineError:  # reported by as_numbers
        return None
    if array.dtype.kind in "US":
        return str(array.ravel()[0]) if array.size else None
    return next((v for v in array.ravel() if isinstance(v, str)), None) if array.dtype == object else None


def _one_a_row(array: Array, problems: Problems) -> Array:
    """Labels as (N,); raises where they are no labels at all."""
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        problems.data.append(f"labels come one for each row, (N,), and y has shape {array.shape}")
    elif check_finite(array, "y", np.float64, problems) and array.dtype.kind == "f" and (array % 1 != 0).any():
        problems.data.append(f"class labels are whole numbers or text, and y has {array[array % 1 != 0][0]}\n"
                             "  try: loss='squared_error', for numbers to come near to")  # fmt: skip
    problems.raise_if_any()
    return array.reshape(-1)


def _soft(array: Array, dtype: Any, outputs: int | None, problems: Problems) -> Targets:
    k = array.shape[1]
    if array.dtype.kind == "U":
        problems.data.append(f"y holds text in {k} columns\n  try: one column of labels")
        problems.raise_if_any()
    if outputs is not None and k != outputs:
        problems.data.append(f"y has {k} columns and the network gives {outputs} outputs\n"
                             f"  try: nn.Dense({k}) as its last layer")  # fmt: skip
    if check_finite(array, "y", dtype, problems):
        sums = array.sum(axis=1, dtype=np.float64)
        bad = np.flatnonzero((array < 0).any(axis=1) | (np.abs(sums - 1) > _SUM_TOLERANCE))
        if bad.size:
            problems.data.append(f"{k} columns of y are read as probabilities of classes, >= 0 and summing to 1; "
                                 f"{bad.size} of {len(array)} rows are not, the first is row {bad[0]} with sum "
                                 f"{sums[bad[0]]:g}\n  try: one column of labels")  # fmt: skip
    problems.raise_if_any()
    return Targets(to_dtype(array, dtype), np.arange(k), k, False)


def _are_codes(kinds: Array, k: int) -> bool:
    return bool(kinds.dtype.kind in "iu" and len(kinds) and kinds[0] >= 0 and kinds[-1] < k)


def _coded(given: Array, kinds: Array, problems: Problems) -> Array:
    """Each label as its place among the classes; those that are not among them are a problem."""
    if not len(kinds):
        return np.zeros(given.shape, np.int64)
    if (given.dtype.kind == "U") != (kinds.dtype.kind == "U"):
        problems.data.append(f"y holds labels such as {given[0].item()!r}, and the classes are {listed(kinds)}")
        return np.zeros(given.shape, np.int64)
    order = np.argsort(kinds, kind="stable")
    place = order[np.clip(np.searchsorted(kinds, given, sorter=order), 0, len(kinds) - 1)]
    strange = given[kinds[place] != given]
    if strange.size:
        message = f"{strange.size} of {given.size} labels in y are none of the classes, the first {strange[0].item()!r}"
        hint = nearest(str(strange[0]), kinds.tolist()) if kinds.dtype.kind == "U" else ""
        problems.data.append(f"{message}{hint}\n  classes: {listed(kinds)}")
    return place.astype(np.int64)


def _one_class(kinds: Array, given: Array) -> str:
    if not len(given):
        return "y is empty"
    return f"y has the one class {given[0].item()!r}: there is nothing to tell apart"


def listed(kinds: Array) -> str:
    """The first classes, in text."""
    return ", ".join(map(repr, kinds[:6].tolist())) + (f", ... ({len(kinds)} in all)" if len(kinds) > 6 else "")
