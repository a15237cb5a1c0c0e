"""Where the units of a drawn network stand, and how its lines are drawn: numbers for whoever draws, in pixels.

The thickness of a line is that of its absolute value among those between the same two stages.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fallline.insight.wiring import Stage, Wire, Wiring

# Pixels: between columns and between units, of a circle, of the margins.
ACROSS, DOWN, RADIUS, TOP, SIDE, HEAD = 150, 58, 21, 36, 34, 34
# Lines between two columns up to which each has its number beside it.
NUMBERED = 9
# Lines between two columns from which on they are drawn thinner.
MANY = 24

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand, in pixels. columns: of each stage; heads: middle and lower edge of its title; units: of each
    unit of each stage. height, right: of the net."""

    columns: list[int]
    heads: list[Place]
    units: list[list[Place]]
    height: float
    right: float


def laid_out(wiring: Wiring, left: float) -> Layout:
    """Stages in columns by how many others lie before them at most; those of one column one below the other."""
    columns = list[int]()
    for number_ in range(len(wiring.stages)):
        before = {wire.start[0] for wire in wiring.wires if wire.end[0] == number_}
        columns.append(1 + max((columns[one] for one in before), default=columns[-1] if columns else -1))
    tall = {c: sum(_tall(stage) for stage, at in zip(wiring.stages, columns) if at == c) for c in columns}
    height = max(tall.values(), default=DOWN)
    below = {column: TOP + (height - own) / 2 for column, own in tall.items()}
    heads, units = [], []
    for stage, column in zip(wiring.stages, columns, strict=True):
        x, y = left + RADIUS + column * ACROSS, below[column] + HEAD
        heads.append((x, y))
        units.append([(x, y + (i + 0.5) * DOWN) for i in range(len(stage.units))])
        below[column] += _tall(stage)
    return Layout(columns, heads, units, height, left + RADIUS + max(columns, default=0) * ACROSS)


def _tall(stage: Stage) -> float:
    return HEAD + len(stage.units) * DOWN


@dataclass(frozen=True, slots=True)
class Stroke:
    """One line. sign: "plus", "minus", or "varies" where it depends on the row. thick: its width in pixels. ends: from
    the rim of one circle to that of another. bow: the two points that bend it past columns in between, () for a
    straight one. number: where its number stands, None where it has none.
    """

    wire: Wire
    sign: str
    thick: float
    ends: tuple[Place, Place]
    bow: tuple[Place, ...]
    number: Place | None


def strokes(wiring: Wiring, at: Layout) -> Iterator[Stroke]:
    """The lines between two stages together, thick ones last, so that they lie upon thin ones."""
    between: dict[tuple[int, int], list[Wire]] = {}
    for wire in wiring.wires:
        between.setdefault((wire.start[0], wire.end[0]), []).append(wire)
    for (i, j), wires in between.items():
        largest = max((abs(wire.slope) for wire in wires), default=1.0) or 1.0
        most = 3.4 * min(1.0, MANY / len(wires))
        for wire in sorted(wires, key=lambda one: abs(one.slope)):
            varies = wire.fixed is False
            sign = "varies" if varies else "plus" if wire.slope >= 0 else "minus"
            thick = 1.0 if varies else 0.5 + most * abs(wire.slope) / largest
            ends, bow = way(wire, at)
            spot = None
            if len(wires) <= NUMBERED and not varies and at.columns[j] == at.columns[i] + 1:
                (x, y), (x2, y2) = at.units[i][wire.start[1]], at.units[j][wire.end[1]]
                share = (0.34, 0.5, 0.66)[wire.start[1] % 3] if len(wires) > 3 else 0.5
                spot = (x + (x2 - x) * share, y + (y2 - y) * share - 3)
            yield Stroke(wire, sign, thick, ends, bow, spot)


def way(wire: Wire, at: Layout) -> tuple[tuple[Place, Place], tuple[Place, ...]]:
    """From the rim of one circle to that of another; past the columns in between on a bow."""
    (i, u), (j, v) = wire.start, wire.end
    (x, y), (x2, y2) = at.units[i][u], at.units[j][v]
    x, x2, past = x + RADIUS, x2 - RADIUS, at.columns[j] - at.columns[i]
    if past == 1:
        return ((x, y), (x2, y2)), ()
    # Stages below another one in their column have their bows below.
    first = at.columns.index(at.columns[i]) == i and at.columns.index(at.columns[j]) == j
    lift = (34 + 10 * past) * (-1 if first else 0.4)
    return ((x, y), (x2, y2)), ((x + 50, y + lift), (x2 - 50, y2 + lift))


__all__ = ["ACROSS", "DOWN", "HEAD", "RADIUS", "SIDE", "TOP", "Layout", "Place", "Stroke", "laid_out", "strokes", "way"]
