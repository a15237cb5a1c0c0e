"""Rows out of something that holds them: an array, a memory map, or anything with shape, dtype and slices of rows.

Reads in ascending order whatever order is asked for, and lets go of the pages of a memory map, so that what is resident
stays small. Knows no names and no training.
"""

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from fallline.graph.op import Array

# Rows of a memory map that are read before its pages are let go of: the system may map 64 KiB for a single one.
_ROWS_AT_A_TIME = 512
# Bytes read by one slice, and bytes between two rows that are rather read along than asked for apart.
_SLICE_BYTES, _GAP_BYTES = 1 << 24, 1 << 17


def never() -> bool:
    return False


def read_rows(source: Any, rows: Array, into: Array, stop: Callable[[], bool] = never) -> None:
    """into[i] = source[rows[i]], one after the other in the order in which they lie in the source.

    source: a NumPy array or memory map; or an object with a shape, a dtype, and source[a:b]. rows: int64, >= 0.
    stop: once true, the rest may be left out. Errors: whatever the source raises.
    """
    if not len(rows):
        return
    if bool(np.all(rows[1:] > rows[:-1])):
        at: Any = slice(None)
    else:
        at = np.argsort(rows, kind="stable")
        rows = rows[at]
    if isinstance(source, np.ndarray):
        _from_array(source, rows, at, into, stop)
    else:
        _from_slices(source, rows, at, into, stop)


def _from_array(source: Array, rows: Array, at: Any, into: Array, stop: Callable[[], bool]) -> None:
    release = _pages_of(source)
    is_run = bool(np.all(np.diff(rows) == 1))
    row_bytes = max(1, source.nbytes // max(1, len(source)))
    step = max(1, _SLICE_BYTES // row_bytes) if is_run else _ROWS_AT_A_TIME if release else len(rows)
    for start in range(0, len(rows), step):
        if stop():
            return
        some = rows[start : start + step]
        place = slice(start, start + step) if isinstance(at, slice) else at[start : start + step]
        into[place] = source[some[0] : some[-1] + 1] if is_run else source[some]
        if release is not None:
            release()


def _from_slices(source: Any, rows: Array, at: Any, into: Array, stop: Callable[[], bool]) -> None:
    """By slices that read a gap between two wanted rows along where that is cheaper than another call."""
    row_bytes = max(1, into.nbytes // max(1, len(into)))
    gap, most = max(1, _GAP_BYTES // row_bytes), max(1, _SLICE_BYTES // row_bytes)
    start = 0
    while start < len(rows):
        if stop():
            return
        first, end = int(rows[start]), start + 1
        while end < len(rows) and rows[end] - rows[end - 1] <= gap and rows[end] - first < most:
            end += 1
        block = np.asarray(source[first : int(rows[end - 1]) + 1])
        place = slice(start, end) if isinstance(at, slice) else at[start:end]
        into[place] = block if len(block) == end - start else block[rows[start:end] - first]
        start = end


def is_mapped(array: Any) -> bool:
    """Whether an array's numbers lie in a memory-mapped file."""
    return _map_of(array) is not None


def _map_of(array: Any) -> np.memmap[Any, Any] | None:
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            found = array
        array = array.base
    return found


def _pages_of(array: Array) -> Callable[[], None] | None:
    """Lets go of the pages of a memory map that are resident; None for an array in memory.

    Not for a private copy of a file ("c"), whose changes would be lost with its pages.
    """
    whole = _map_of(array)
    base = None if whole is None else whole.base
    if whole is None or not isinstance(base, mmap.mmap) or whole.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    return lambda: base.madvise(mmap.MADV_DONTNEED)
