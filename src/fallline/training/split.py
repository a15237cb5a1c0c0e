"""Which rows are held out: a share of all, of each class alike. Knows row numbers and class codes only."""

import numpy as np

from fallline.graph.op import Array


def held_out(n: int, share: float, rng: np.random.Generator, codes: Array | None = None) -> tuple[Array, Array]:
    """The rows to train on and the rows held out, both ascending, int64.

    n: rows. share: 0 < share < 1; at least one row is held out, and one is left where n > 1.
    codes: class of each row, 0..K-1. Classes keep their shares to within one row, each keeps one to train on, and one
        of two rows or more has one held out where there is room.
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


def shares(sizes: Array, count: int) -> list[int]:
    """How many of each class to hold out: `count` in all by largest remainder, never the last row of a class."""
    room = np.maximum(sizes - 1, 0)
    ideal = sizes * (count / max(1, sizes.sum()))
    taken = np.clip(np.floor(ideal).astype(np.int64), np.minimum(room, 1), room)
    while taken.sum() < min(count, room.sum()):
        taken[np.argmax(np.where(taken < room, ideal - taken, -np.inf))] += 1
    while taken.sum() > count:
        taken[np.argmax(np.where(taken > 0, taken - ideal, -np.inf))] -= 1
    return [int(k) for k in taken]
