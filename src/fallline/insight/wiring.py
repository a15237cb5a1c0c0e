"""Wiring: the units of a network that a drawing shows, their values, and the slopes between them. Draws nothing."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fallline.graph.op import Array
from fallline.insight.paths import Path
from fallline.insight.pieces import LOSS, Index, Pieces

# Units that are drawn: all of so many, else about so many, and of a layer no fewer and no more than these.
MOST_UNITS, FEWEST, MANY = 60, 4, 8


@dataclass(frozen=True, slots=True)
class Unit:
    """One number of an array. delta: d loss / d value, None where there is none. on_path: of the path followed."""

    index: Index
    value: float
    delta: float | None
    on_path: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """The units of one layer's output, or of an input. width: how many there are, of which the largest may be shown."""

    source: str
    label: str
    units: tuple[Unit, ...]
    width: int


@dataclass(frozen=True, slots=True)
class Wire:
    """A slope from one shown unit to another, by the places of stage and unit. fixed: whether it is the same for every
    row, so that it is a weight or made of weights; None where that was not looked at."""

    start: tuple[int, int]
    end: tuple[int, int]
    slope: float
    on_path: bool
    fixed: bool | None = None


@dataclass(frozen=True, slots=True)
class Wiring:
    """stages: inputs, then layers in order. wires: between them. row: of the batch, which is drawn."""

    stages: tuple[Stage, ...]
    wires: tuple[Wire, ...]
    row: int

    @property
    def is_whole(self) -> bool:
        return all(len(stage.units) == stage.width for stage in self.stages)


def wired(
    pieces: Pieces, labels: Mapping[str, str], deltas: Mapping[str, Array], row: int, path: Path | None,
    entry: tuple[str, Index] | None = None,
) -> Wiring:  # fmt: skip
    """The units to draw at one row, and the slopes between them.

    labels: what is drawn, in order: arrays of pieces by name, and what their layer is called. deltas: of these, where
    there are some. path: to be drawn whole; entry: the number that the weight at its start multiplies.
    Of large layers the units with the largest |value * delta| are taken.
    """
    steps = () if path is None else tuple((step.source, step.index) for step in path.steps)
    steps = (entry, *steps[1:]) if entry is not None and steps else steps
    room = room_for(pieces, labels)
    stages = list[Stage]()
    for name, label in labels.items():
        values = pieces.values[name]
        at = min(row, len(values) - 1)
        one, delta = values[at], deltas.get(name)
        size = np.abs(one.astype(float)) if delta is None else np.abs(one * delta[at])
        flat = np.argsort(-size.ravel(), kind="stable")[:room]
        must = {index for source, index in steps if source == name and index[:1] == (at,)}
        chosen = [(at, *map(int, np.unravel_index(int(i), one.shape))) for i in flat]
        missing = [index for index in must if index not in chosen]
        chosen = sorted({*missing, *chosen[: len(chosen) - len(missing)]})
        units = tuple(Unit(i, float(values[i]), None if delta is None else float(delta[i]), i in must) for i in chosen)
        stages.append(Stage(name, label, units, one.size))
    links = {*pairwise(steps)}

    def wire(start: tuple[str, Index], end: tuple[str, Index], slope: float) -> tuple[float, bool, bool | None]:
        return slope, (start, end) in links, None

    return Wiring(tuple(stages), tuple(_wires(pieces, stages, 1, wire)), row)


def structure(pieces: Pieces, labels: Mapping[str, str], rows: int) -> Wiring:
    """The units of a network and what connects them, from its slopes at several rows: of large layers the first units.

    A slope that is the same at all rows is a weight, or made of weights, and keeps its number.
    """
    room = room_for(pieces, labels)
    stages = list[Stage]()
    for name, label in labels.items():
        one = pieces.values[name][0]
        places = [(0, *map(int, np.unravel_index(i, one.shape))) for i in range(min(one.size, room or one.size))]
        stages.append(Stage(name, label, tuple(Unit(i, 0.0, None, False) for i in places), one.size))
    slopes: dict[tuple[tuple[str, Index], tuple[str, Index]], list[float]] = {}

    def collect(start: tuple[str, Index], end: tuple[str, Index], slope: float) -> tuple[float, bool, bool | None]:
        found = slopes.setdefault((start, end), [])
        found.append(slope)
        fixed = all(abs(one - slope) <= 1e-12 * abs(slope) for one in found)
        return max(found, key=abs), False, fixed

    by_ends = {(wire.start, wire.end): wire for wire in _wires(pieces, stages, rows, collect)}
    return Wiring(tuple(stages), tuple(wire for wire in by_ends.values() if wire.slope), 0)


def room_for(pieces: Pieces, labels: Mapping[str, str]) -> int | None:
    """How many units of a layer are drawn; None for all."""
    total = sum(int(np.prod(pieces.values[name].shape[1:], dtype=np.int64)) for name in labels)
    return None if total <= MOST_UNITS else min(MANY, max(FEWEST, MOST_UNITS // len(labels)))


Made = Callable[[tuple[str, Index], tuple[str, Index], float], tuple[float, bool, bool | None]]


def _wires(pieces: Pieces, stages: Sequence[Stage], rows: int, made: Made) -> Iterator[Wire]:
    """A wire for every pair of shown units of which one reads the other, at each of the rows from that of the units."""
    places = {stage.source: number for number, stage in enumerate(stages)}
    for number, stage in enumerate(stages):
        if pieces.nodes[stage.source].dtype.kind != "f":
            continue
        for (u, unit), further in itertools.product(enumerate(stage.units), range(rows)):
            start = (unit.index[0] + further, *unit.index[1:])
            for piece, slope in pieces.column(stage.source, start).items():
                for v, end in enumerate(stages[places[piece]].units if piece != LOSS else ()):
                    there = (end.index[0] + further, *end.index[1:])
                    if there[0] >= len(slope):
                        continue
                    value = float(slope[there])
                    if value or rows > 1:
                        kept, on_path, fixed = made((stage.source, unit.index), (piece, end.index), value)
                        yield Wire((number, u), (places[piece], v), kept, on_path, fixed)
