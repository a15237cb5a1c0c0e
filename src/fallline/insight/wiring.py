"""Wiring: the units of a network that a drawing shows, their values, and the slopes between them. Draws nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fallline.graph.op import Array
from fallline.insight.paths import Path
from fallline.insight.pieces import LOSS, Index, Pieces

# Units that are drawn: all of so many, else about so many, and no fewer of a layer than these.
MOST_UNITS, FEWEST = 60, 4


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
    other: Pieces | None = None,
) -> Wiring:  # fmt: skip
    """The units to draw and the slopes between them.

    labels: what is drawn, in order: arrays of pieces by name, and what their layer is called. deltas: of these, where
    there are some. path: to be drawn whole. other: the same network at other rows, to see which slopes change.
    """
    on_path = {(step.source, step.index) for step in path.steps} if path is not None else set()
    taken = [(step.source, step.index) for step in path.steps] if path is not None else []
    links = {*pairwise(taken)}
    widths = {name: int(np.prod(pieces.values[name].shape[1:], dtype=np.int64)) for name in labels}
    room = None if sum(widths.values()) <= MOST_UNITS else max(FEWEST, MOST_UNITS // len(widths))
    stages = list[Stage]()
    for name, label in labels.items():
        values = pieces.values[name]
        at = min(row, len(values) - 1)
        one, delta = values[at], deltas.get(name)
        size = np.abs(one.astype(float)) if delta is None else np.abs(one * delta[at])
        flat = np.argsort(-size.ravel(), kind="stable")[:room]
        must = {index for source, index in on_path if source == name}
        chosen = [(at, *map(int, np.unravel_index(int(i), one.shape))) for i in flat]
        missing = [index for index in must if index not in chosen and index[:1] == (at,)]
        chosen = sorted({*missing, *chosen[: len(chosen) - len(missing) if room is not None else None]})
        units = tuple(Unit(i, float(values[i]), None if delta is None else float(delta[i]), i in must) for i in chosen)
        stages.append(Stage(name, label, units, widths[name]))
    places = {stage.source: number for number, stage in enumerate(stages)}
    wires = list[Wire]()
    for number, stage in enumerate(stages):
        if pieces.nodes[stage.source].dtype.kind != "f":
            continue
        for u, unit in enumerate(stage.units):
            slopes = pieces.column(stage.source, unit.index)
            others = other.column(stage.source, unit.index) if other is not None else {}
            for piece, slope in slopes.items():
                if piece == LOSS:
                    continue
                for v, end in enumerate(stages[places[piece]].units):
                    value = float(slope[end.index])
                    theirs = float(others[piece][end.index]) if others else value
                    if value or theirs:
                        followed = ((stage.source, unit.index), (piece, end.index)) in links
                        fixed = value == theirs if others else None
                        wires.append(Wire((number, u), (places[piece], v), value, followed, fixed))
    return Wiring(tuple(stages), tuple(wires), row)
