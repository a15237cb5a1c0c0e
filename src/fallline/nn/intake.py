"""Checks of numbers from a caller: an array that can be trained on, or a list of all problems with it.

Nothing is raised before all problems of a call are known. Knows nothing of losses and models.
"""

import numbers
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from fallline.arrays import as_array
from fallline.errors import ArgumentError, DataError, FalllineError
from fallline.graph.op import Array
from fallline.stored import Stored

# Looked at in blocks, so that a memory-mapped file larger than memory can be checked.
_BLOCK_BYTES = 1 << 24


@dataclass(slots=True)
class Problems:
    """All problems of a call, in the order found."""

    arguments: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    kinds: dict[str, type[FalllineError]] = field(default_factory=dict)  # of problems that were errors already

    def add(self, error: FalllineError) -> None:
        """Take in an error; by itself it stays of its class."""
        self.arguments.append(str(error))
        self.kinds[str(error)] = type(error)

    def raise_if_any(self) -> None:
        found = self.arguments + self.data
        if not found:
            return
        kind: type[FalllineError] = ArgumentError if self.arguments else DataError
        if len(found) == 1:
            raise self.kinds.get(found[0], kind)(found[0])
        raise kind(f"{len(found)} problems:\n" + "\n".join("- " + text.replace("\n", "\n  ") for text in found))


def as_numbers(given: Any, what: str, problems: Problems) -> Array | None:
    """The given rows as an array of native numbers, not copied where it is one; None after adding to `problems`.

    what: the name used in messages, such as "x".
    """
    if isinstance(given, Stored):
        return cast(Array, given)  # it has the shape and the dtype of one, and is looked at where it is read
    columns = getattr(given, "columns", None)
    try:
        array = as_array(given, what)
    except FalllineError as error:
        problems.data.append(str(error))
        return None
    if array.ndim == 0:
        problems.data.append(f"{what} is {type(given).__name__} {given!r:.40}, not an array of rows")
        return None
    if array.dtype.kind in "OUSV":
        return _from_objects(array, what, columns, problems)
    if array.dtype.kind not in "fiub":
        problems.data.append(f"{what} holds {array.dtype}; only real numbers can be trained on")
        return None
    if array.dtype == np.float16 or array.dtype.itemsize > 8:
        return array.astype(np.float32 if array.dtype.itemsize == 2 else np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _from_objects(array: Array, what: str, columns: Any, problems: Problems) -> Array | None:
    """An object array whose elements are all numbers, as float64; else the first element that is none, named."""
    if array.dtype.names:
        problems.data.append(f"{what} is a structured array ({', '.join(array.dtype.names)}), not plain numbers")
        return None
    for place, value in np.ndenumerate(array):
        if isinstance(value, numbers.Real | np.bool_) or value is None:
            continue
        where = f"row {place[0]}"
        if len(place) > 1:
            name = f" ({columns[place[1]]!r})" if columns is not None and len(columns) == array.shape[1] else ""
            where = f"column {place[1]}{name}, " + where
        value = value.item() if isinstance(value, np.generic) else value  # 'a', not np.str_('a')
        problems.data.append(
            f"{what} holds {value!r:.40} ({type(value).__name__}) in {where}; only numbers can be trained on\n"
            f"  try: leave that column out, or turn its values into numbers"
        )
        return None
    try:
        return array.astype(np.float64)  # None becomes NaN, which is reported like any other
    except OverflowError:
        problems.data.append(f"{what} holds a whole number that is too large for any float\n  try: smaller units")
        return None


def check_finite(array: Array, what: str, dtype: Any, problems: Problems, rows: Array | None = None) -> bool:
    """Add a problem if numbers are NaN, infinite, or too large for `dtype`: how many, and where the first is.

    rows: their numbers among all rows, where these are some of them.
    """
    if array.dtype.kind != "f":
        return True
    at_a_time = max(1, _BLOCK_BYTES // max(1, array.nbytes // max(1, len(array))))
    limit = min(float(np.finfo(dtype).max), float(np.finfo(array.dtype).max))
    count, first = 0, None
    for start in range(0, len(array), at_a_time):
        block = array[start : start + at_a_time]
        # A NaN wins every maximum and fails every comparison, so one number is enough for the whole block.
        with np.errstate(all="ignore"):
            largest = np.abs(block).max(initial=0)
        if largest <= limit:
            continue
        bad = ~(np.abs(block) <= limit)
        count += int(bad.sum())
        if first is None:
            place = np.unravel_index(int(bad.argmax()), bad.shape)
            first = (start + int(place[0]), *(int(i) for i in place[1:]))
    if first is None:
        return True
    value = array[first]
    row = first[0] if rows is None else rows[first[0]]
    where = f"row {row}" + (f", column {', '.join(map(str, first[1:]))}" if len(first) > 1 else "")
    if np.isfinite(value):
        text = f"{what} holds numbers too large for {np.dtype(dtype)}: {count} of {array.size}, the first {value}"
        problems.data.append(f'{text} in {where}\n  try: dtype="float64", or smaller units')
    else:
        text = f"{what} holds NaN or infinity: {count} of {array.size} numbers, the first {value} in {where}"
        problems.data.append(f"{text}\n  try: leave those rows out, or fill them in")
    return False


def to_dtype(array: Array, dtype: Any) -> Array:
    """C-contiguous in this dtype; the array itself where it is that already."""
    return np.ascontiguousarray(array, dtype)
