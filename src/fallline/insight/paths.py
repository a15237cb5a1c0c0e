"""Paths: the sequences of numbers along which a change of one number reaches the loss, counted, summed and the
strongest ones found.

    d loss / d w = sum over paths of the product of the slopes along the path

Sums over all paths need no list of them: a sweep from the loss backwards adds up, for every number, what its paths
hold. The sweep also finds the strongest path from every number on, and with that the k strongest ones are found in the
order of their strength. Knows no kind of layer: slopes are those of pieces.py.
"""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fallline.graph.op import Array
from fallline.insight.pieces import LOSS, Index, Passes, Pieces

# Paths that are listed where nobody said how many: all of so few, else the strongest ones.
ALL_OF, STRONGEST = 8, 3
# Slopes that are computed at most, and paths that are listed at most.
MOST_SLOPES, MOST_LISTED = 200_000_000, 10_000
# Whole numbers that float64 holds exactly.
EXACT = 2.0**53


@dataclass(frozen=True, slots=True)
class Step:
    """One number on a path. source: the name of its array; slope: of the number after it, or of the loss, in it."""

    source: str
    index: Index
    value: float
    slope: float


@dataclass(frozen=True, slots=True)
class Path:
    """From the number that is followed to the loss. product: of the slopes of all steps."""

    steps: tuple[Step, ...]
    product: float


@dataclass(frozen=True, slots=True)
class Paths:
    """listed: the strongest first. count: of the paths without a slope of 0, exact below 2^53. total: the sum of all
    their products; magnitude: the sum of their absolute values.
    """

    listed: tuple[Path, ...]
    count: float
    total: float
    magnitude: float

    @property
    def share(self) -> float:
        """The part of the sum of absolute values that the listed paths hold, 0..1."""
        return sum(abs(path.product) for path in self.listed) / self.magnitude if self.magnitude else 1.0

    @property
    def are_all(self) -> bool:
        return len(self.listed) == self.count


@dataclass(frozen=True, slots=True)
class _Onward:
    """For every number of an array, (rows, numbers in a row), over its paths to the loss."""

    strongest: Array
    magnitude: Array
    count: Array
    total: Array


def downstream(pieces: Pieces, source: str) -> list[str]:
    """The pieces that a source reaches, in the order in which they are computed, without the loss."""
    reached = {source}
    for piece, reads in pieces.reads.items():
        if reached.intersection(reads):
            reached.add(piece)
    return [piece for piece in pieces.reads if piece in reached and piece not in (source, LOSS)]


def cost(pieces: Pieces, source: str, rows: int) -> int:
    """How many slopes a sweep back to a source computes."""
    chosen = downstream(pieces, source)
    edges = [(piece, read) for piece in chosen for read in pieces.reads[piece] if read in chosen]
    return sum(pieces.ends[piece].size * (pieces.nodes[read].size // rows) for piece, read in edges)


def rows_apart(pieces: Pieces, names: Sequence[str], count: int) -> int:
    """The rows that stay apart in all of these arrays: those of the batch, or 1 where an array has another first axis,
    so that all its numbers are taken for one row."""
    return count if all(pieces.nodes[name].shape[:1] == (count,) for name in names) else 1


def sweep(pieces: Pieces, chosen: Sequence[str], rows: int) -> dict[str, _Onward]:
    """For the output of each chosen piece, what its paths to the loss hold."""
    found = {name: _Onward(*(np.zeros((rows, pieces.nodes[name].size // rows)) for _ in range(4))) for name in chosen}
    for piece in [LOSS, *reversed(chosen)]:
        sources = [name for name in pieces.reads[piece] if name in found]
        if not sources:
            continue
        for places, slopes in pieces.rows_of(piece, sources, 1 if piece == LOSS else rows):
            for name, block in slopes.items():
                into = found[name]
                if piece == LOSS:
                    block = block.reshape(1, *into.total.shape)
                    onward = [np.ones((len(block), rows))] * 4
                else:
                    own = found[piece]
                    onward = [values[:, places].T for values in (own.strongest, own.magnitude, own.count, own.total)]
                size = np.abs(block)
                np.maximum(into.strongest, (size * onward[0][..., None]).max(axis=0), out=into.strongest)
                into.magnitude[...] += np.einsum("mra,mr->ra", size, onward[1])
                into.count[...] += np.einsum("mra,mr->ra", (block != 0).astype(float), onward[2])
                into.total[...] += np.einsum("mra,mr->ra", block, onward[3])
    return found


def agree(swept: dict[str, _Onward], passes: Passes) -> bool:
    """Whether the sums over paths are the deltas of backpropagation: not so where rows meet inside a layer."""
    deltas = dict(zip((tap.name for tap in passes.taps), passes.deltas, strict=True))
    for name, onward in swept.items():
        delta = deltas[name].reshape(onward.total.shape)
        room = 1e-9 * onward.magnitude + 1e-300
        if not bool(np.all(np.abs(onward.total - delta) <= room + 1e-9 * np.abs(delta))):
            return False
    return True


def paths_from(pieces: Pieces, passes: Passes, source: str, index: Index, rows: int, most: int | None) -> Paths | None:
    """The paths from one number to the loss; None where the sums over them do not meet backpropagation, as where a
    number is not finite.

    most: how many to list; None: all of a few, else some; -1: all there are.
    """
    chosen = downstream(pieces, source)
    rows = rows_apart(pieces, chosen, rows)
    swept = sweep(pieces, chosen, rows)
    if not agree(swept, passes):
        rows = 1
        swept = sweep(pieces, chosen, rows)
        if not agree(swept, passes):
            return None
    first = pieces.column(source, index)
    count = total = magnitude = 0.0
    for piece, slopes in first.items():
        flat = slopes.reshape(rows, -1) if piece != LOSS else slopes.reshape(1, 1)
        onward = swept.get(piece)
        count += float(((flat != 0) * (1.0 if onward is None else onward.count)).sum())
        total += float((flat * (1.0 if onward is None else onward.total)).sum())
        magnitude += float((np.abs(flat) * (1.0 if onward is None else onward.magnitude)).sum())
    few = count <= ALL_OF
    wanted = (count if few else STRONGEST) if most is None else count if most < 0 else most
    too_many = most is not None and most < 0 and count > MOST_LISTED
    listed = () if too_many else tuple(_strongest(pieces, swept, source, index, int(min(wanted, count))))
    return Paths(listed, count, total, magnitude)


def _strongest(pieces: Pieces, swept: dict[str, _Onward], source: str, index: Index, k: int) -> list[Path]:
    """The k strongest paths, by a best-first search: what a path can still hold at most is known exactly."""
    serial = itertools.count()
    start: tuple[float, int, float, tuple[Step, ...], str, Index] = (-np.inf, 0, 1.0, (), source, index)
    heap, found = [start], list[Path]()
    while heap and len(found) < k:
        _, _, product, steps, name, at = heapq.heappop(heap)
        if name == LOSS:
            found.append(Path(steps, product))
            continue
        value = float(pieces.values[name][at])
        for piece, slopes in pieces.column(name, at).items():
            bounds = np.abs(slopes) * (1.0 if piece == LOSS else swept[piece].strongest.reshape(slopes.shape))
            flat = bounds.ravel()
            places = np.flatnonzero(flat)
            if len(places) > k:
                places = places[np.argpartition(-flat[places], k - 1)[:k]]
            for place in places[np.argsort(-flat[places], kind="stable")]:
                there = tuple(int(i) for i in np.unravel_index(int(place), slopes.shape))
                slope = float(slopes[there])
                onto = (*steps, Step(name, at, value, slope))
                bound = -abs(product) * float(flat[place])
                heapq.heappush(heap, (bound, next(serial), product * slope, onto, piece, there))
    return found
