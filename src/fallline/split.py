"""Splits of rows into training and validation rows: by share, by fold, of each class alike, or as named.

Knows row numbers and class codes only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arguments import record, shown, takes
from fallline.arrays import Array, as_array, refusal
from fallline.errors import ArgumentError, DataError
from fallline.ranges import SEED, Range

# Targets of at most this many distinct values are cut as classes are, each into equal parts.
FEW = 20


def split_off(n: int, share: float, rng: np.random.Generator, codes: Array | None = None) -> tuple[Array, Array]:
    """The training rows and the validation rows, both ascending, int64.

    n: rows. share: 0 < share < 1; at least one row is a validation row, and one a training row where n > 1.
    codes: class of each row, 0..K-1. Classes keep their shares to within one row, each keeps one to train on, and one
        of two rows or more has a validation row where there is room.
    """
    count = min(max(1, round(share * n)), n - 1)
    if codes is None:
        held = rng.permutation(n)[:count]
    else:
        # One stable sort finds the rows of every class.
        rows, sizes = np.argsort(codes, kind="stable"), np.bincount(codes)
        groups = np.split(rows, np.cumsum(sizes)[:-1])
        held = np.concatenate([rng.permutation(g)[:k] for g, k in zip(groups, shares(sizes, count), strict=True)])
    inside = np.zeros(n, dtype=bool)
    inside[held] = True
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def latest(order: Array, share: float) -> tuple[Array, Array]:
    """The earlier rows and the latest, both ascending, int64; rows of one moment stay together.

    order: (N,) numbers that grow with time; rows without one, NaN, are early. share: 0 < share < 1, of the late rows;
    ties may make them more or fewer.
    """
    known = np.where(np.isnan(order), -np.inf, order)
    moments, counts = np.unique(known, return_counts=True)
    if len(moments) < 2:
        raise DataError("rows that all have the same moment cannot be cut by time")
    late = np.cumsum(counts[::-1])  # rows from each moment on, the last moment first
    place = int(np.argmin(np.abs(late[:-1] - share * len(order))))
    inside = known >= moments[len(moments) - 1 - place]
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def whole_groups(groups: Array, share: float, rng: np.random.Generator, name: str = "the data") -> tuple[Array, Array]:
    """Rows of some groups and rows of the others, both ascending, int64: no group is in both.

    groups: (N,) codes. share: 0 < share < 1, of the rows in the second part, as near as the sizes of groups allow.
    Errors: DataError for one group.
    """
    kinds, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(kinds) < 2:
        raise DataError(f"{name}: one group cannot be cut into training and test")
    dealt = rng.permutation(len(kinds))[:-1]
    held = np.cumsum(sizes[dealt])
    count = int(np.argmin(np.abs(held - share * len(groups)))) + 1
    inside = np.isin(codes, dealt[:count])
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def shares(sizes: Array, count: int) -> list[int]:
    """Validation rows of each class: `count` in all by largest remainder, never the last row of a class."""
    room = np.maximum(sizes - 1, 0)
    ideal = sizes * (count / max(1, sizes.sum()))
    taken = np.clip(np.floor(ideal).astype(np.int64), np.minimum(room, 1), room)
    while taken.sum() < min(count, room.sum()):
        taken[np.argmax(np.where(taken < room, ideal - taken, -np.inf))] += 1
    while taken.sum() > count:
        taken[np.argmax(np.where(taken > 0, taken - ideal, -np.inf))] -= 1
    return [int(k) for k in taken]


@record
@dataclass(frozen=True, eq=False, slots=True)
class Fold:
    """Validation rows: one of several parts of the data. As `validation=`, the other rows are trained on.

    rows: ascending row numbers, int64. number: from 1.
    """

    rows: Array
    number: int
    of: int

    def __repr__(self) -> str:
        return f"fold {self.number} of {self.of}"


@takes(k=Range(at_least=2, whole=True), seed=SEED)
def folds(data: Any, k: int = 5, seed: int = 0) -> tuple[Fold, ...]:
    """The rows cut into k parts of equal size, to within one row, for cross-validation.

    Rows are dealt by the seed, those of each class in turn, so that every fold has its share of each.

    data: (x, y), (x, y, weight), or a dict or anything with these names; only y is looked at. fold.rows are the
        numbers of its validation rows, so np.delete(x, fold.rows, axis=0) are its training rows.
    k: parts, 2 or more, at most one for each row. seed: a whole number >= 0.
    Errors: ArgumentError, DataError.
    Example:
        race = fl.race(model, data, variants=[{"validation": fold} for fold in fl.folds(data, 5)], loss="cross_entropy")
        race.columns["validation_loss"].mean()
    Source: Stone 1974, Cross-validatory choice and assessment of statistical predictions; stratified as in Kohavi 1995.
    """
    y = data.get("y") if isinstance(data, dict) else getattr(data, "y", None) if hasattr(data, "x") else None
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        y = data[1]
    if y is None or isinstance(y, dict | set) or not np.ndim(y := as_array(y, "y")):
        raise DataError(f"folds are cut from a pair (x, y), got {shown(data)}")
    if k > len(y):
        raise ArgumentError(f"{k} folds cannot be cut from {len(y)} rows")
    dealt = np.random.default_rng(int(seed)).permutation(len(y))
    codes = _few(y)
    if codes is not None:
        dealt = dealt[np.argsort(codes[dealt], kind="stable")]
    return tuple(Fold(np.sort(dealt[i :: int(k)]), i + 1, int(k)) for i in range(int(k)))


def _few(y: Array) -> Array | None:
    """The number of each row's value among the distinct ones, where these are few."""
    try:
        distinct, codes = np.unique(y, axis=0 if y.ndim > 1 else None, return_inverse=True)
    except TypeError:  # objects that cannot be compared
        return None
    return codes.reshape(-1) if len(distinct) <= FEW else None


def chosen_rows(validation: Any, problems: list[str], n: int | None) -> Array | None:
    """The row numbers that `validation` names, ascending; None where it names none. Problems go to the list.

    validation: a Fold, an array of row numbers, or one of True and False for each row. n: rows there are, if known.
    """
    rows = validation.rows if isinstance(validation, Fold) else validation
    if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iub":
        return None
    if (found := refusal(rows)) is not None:
        problems.append(f"validation is {found[0]}\n  try: {found[1]}")
    if rows.dtype.kind == "b":
        if n is not None and len(rows) != n:
            problems.append(f"validation is an array of {len(rows)} times True or False, and x has {n} rows")
        rows = np.flatnonzero(rows)
    rows = np.unique(rows.astype(np.int64))
    if not len(rows):
        problems.append("validation names no row\n  try: validation=None")
    elif n is not None and (rows[0] < 0 or rows[-1] >= n):
        problems.append(f"validation names rows {rows[0]}..{rows[-1]}, and x has rows 0..{n - 1}")
    elif len(rows) == n:
        problems.append("validation names every row, so that none is left to train on")
    return rows


def all_but(rows: Array, n: int) -> Array:
    """The row numbers below n that are not among these, ascending."""
    left = np.ones(n, dtype=bool)
    left[rows] = False
    return np.flatnonzero(left)
