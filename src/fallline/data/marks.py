"""Columns of a table beside one another and beside the target: copies, and values that give the target away."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data.understood import Understood
from fallline.nn.column import Number
from fallline.table import Texts, Values

# Fewer rows agree by accident.
FEWEST = 30
# Rows that are compared, evenly spaced, where there are more.
MOST_ROWS = 200_000
# Rows for each level, at least, before a level that has one class alone is remarkable.
ROWS_A_LEVEL = 10
MOST_LEVELS = 200


def marked(columns: Sequence[Understood], values: Mapping[str, Values], y: Any, target: str) -> tuple[Understood, ...]:
    """The columns, with copies of others and of the target left out, and those that give the target away marked.

    values: their cells, by name. y: class codes (whole numbers) or quantities.
    """
    step = -(-len(y) // MOST_ROWS)
    y = y[::step]
    seen: dict[tuple[Any, ...], list[tuple[str, Values]]] = {}
    found: list[Understood] = []
    for column in columns:
        cells = values[column.name][::step] if not column.left_out else None
        if cells is not None:
            column = _beside_target(column, cells, y, target) if not column.asked else column
            alike = seen.setdefault(_digest(cells), [])
            twin = next((name for name, other in alike if _are_same(cells, other)), None)
            if twin is not None and not column.left_out and not column.asked:
                column = replace(column, left_out=f"the same as {twin!r} in every row")
            alike.append((column.name, cells))
        found.append(column)
    if all(column.left_out for column in found):  # then they are all that there is
        found = [_back(column) for column in found]
    return tuple(found)


def _back(column: Understood) -> Understood:
    giving = column.left_out.startswith(("says ", "equals "))
    return replace(column, left_out="", marks=(*column.marks, column.left_out)) if giving else column


def _digest(cells: Values) -> tuple[Any, ...]:
    """Equal for columns that are the same, so that each is compared with few others."""
    if isinstance(cells, Texts):
        return len(cells.levels), hash(cells.codes.tobytes())
    # Adding 0 makes -0 a 0, which equals it; the bits of NaN may differ too.
    bits = np.where(np.isnan(cells), np.nan, cells + 0.0) if cells.dtype.kind == "f" else cells
    wide = bits.astype(np.float64) if cells.dtype.kind in "fiu" else bits
    return cells.dtype.kind, hash(np.ascontiguousarray(wide).tobytes())


def _are_same(one: Values, other: Values) -> bool:
    if isinstance(one, Texts) or isinstance(other, Texts):
        texts = isinstance(one, Texts) and isinstance(other, Texts) and one.levels == other.levels
        return bool(texts and np.array_equal(one.codes, other.codes))  # type: ignore[union-attr]
    return one.dtype.kind == other.dtype.kind and np.array_equal(one, other, equal_nan=one.dtype.kind in "fM")


def _beside_target(column: Understood, cells: Values, y: Any, target: str) -> Understood:
    if len(y) < FEWEST:
        return column
    if y.dtype.kind == "f":
        return _beside_quantity(column, cells, y, target)
    codes = _codes(cells)
    there = codes >= 0
    if min(there.sum(), (~there).sum()) >= ROWS_A_LEVEL and not np.intersect1d(y[there], y[~there]).size:
        if len(np.unique(y)) == 2:
            return replace(column, left_out=f"says {target!r} by its missing values")
        return replace(column, marks=(*column.marks, f"where it is missing {target!r} differs: is it known before?"))
    codes, classes = codes[there], y[there]
    if len(codes) < max(FEWEST, len(y) / 2):
        return column
    levels = int(codes.max()) + 1
    pairs = np.unique(codes * (int(y.max()) + 1) + classes)
    count = len(np.unique(classes))
    if count < 2 or levels > MOST_LEVELS or len(pairs) > len(np.unique(codes)):
        return column
    if len(pairs) == count:
        return replace(column, left_out=f"says {target!r} in other words")
    if len(codes) >= ROWS_A_LEVEL * levels:
        return replace(column, marks=(*column.marks, f"each of its values has one {target!r}: is it known before?"))
    return column


def _beside_quantity(column: Understood, cells: Values, y: Any, target: str) -> Understood:
    if column.kind != "number":
        return column
    x = Number(column.name, 0.0, 1.0, notation=column.notation).read(cells)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < FEWEST or x.min() == x.max():
        return column
    if np.array_equal(x, y):
        return replace(column, left_out=f"equals {target!r} in every row")
    with np.errstate(all="ignore"):
        unit, goal = x / np.abs(x).max(), y / (np.abs(y).max() or 1.0)
        slope = np.cov(unit, goal)[0, 1] / unit.var(ddof=1)
        rest = goal - goal.mean() - slope * (unit - unit.mean())
    if np.abs(rest).max() <= 1e-6 * np.ptp(goal):
        return replace(column, marks=(*column.marks, f"a straight line of {target!r}: is it known before?"))
    return column


def _codes(cells: Values) -> Any:
    """A code for each distinct value, from 0; -1 where it is missing."""
    if isinstance(cells, Texts):
        there = np.flatnonzero(np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.levels)))
        place = np.full(len(cells.levels) + 1, -1)
        place[there] = np.arange(len(there))
        return place[cells.codes]
    gone = np.isnan(cells) if cells.dtype.kind == "f" else np.isnat(cells) if cells.dtype.kind == "M" else None
    codes = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    if gone is not None and gone.any():
        codes[gone] = -1
    return codes
