"""A picture as data: panels with axes and the marks in them. Renderers turn it into a figure, into text or into HTML.

Every picture of the package is one of these records, so each is drawn, printed and tested in the same way. Knows
numbers and words, no library that draws.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.insight.network_drawing import Drawing

# Values that span more than this factor are drawn on an axis of powers of ten.
DECADES = 100.0
# Below this share of its highest value a density of eigenvalues is noise of its probes.
LOWEST = 1e-6


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. name, unit: as they are written beside it; a unit has to be given, "1" for a plain number.

    log: powers of ten; None: where all values are above 0 and span two decades. names: of the places 0, 1, 2 ... in
    the place of numbers. whole: only whole numbers are marked. span: its ends; None for those of the marks.
    """

    name: str
    unit: str
    log: bool | None = False
    names: tuple[str, ...] = ()
    whole: bool = False
    span: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        return self.name if self.unit in ("1", "") else f"{self.name} ({self.unit})"


@dataclass(frozen=True, eq=False, slots=True)
class Line:
    """A line through points (n,), broken where one is not finite. low, high: of a band around it, where there is one.

    slot: the place in the palette; None for the next free one. dots: mark each point. shade: 0 to 1, of an ordered
    scale of colours instead, for many lines that have an order.
    """

    x: Array
    y: Array
    name: str = ""
    slot: int | None = None
    dots: bool = False
    low: Array | None = None
    high: Array | None = None
    shade: float | None = None
    faint: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """Single points (n,). form: of their marker: "o" or "x"."""

    x: Array
    y: Array
    name: str = ""
    slot: int | None = None
    form: str = "o"


@dataclass(frozen=True, eq=False, slots=True)
class Steps:
    """A histogram: counts (n,) over edges (n + 1,)."""

    edges: Array
    counts: Array
    name: str = ""
    slot: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Bars:
    """Horizontal bars, one for each name of the y axis, from 0, the first on top. errors: half of each whisker."""

    values: Array
    errors: Array | None = None
    name: str = ""
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line across the panel at a place of one axis, "x" or "y", with its meaning in words."""

    at: float
    axis: str
    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Heat:
    """A table of numbers (rows, columns) as shades, the first row on top; written: the numbers stand in the cells."""

    values: Array
    name: str
    written: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class Contour:
    """Lines of equal height: values (len(y), len(x)). name: of the height, with its unit."""

    x: Array
    y: Array
    values: Array
    name: str


@dataclass(frozen=True, slots=True)
class Net:
    """A network drawn, alone in its panel, of which the axes are not drawn. name: none, for it has no legend."""

    drawing: Drawing
    name: str = ""


Mark = Line | Points | Steps | Bars | Rule | Heat | Contour | Net


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes with its marks. title: where several panels need one."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture. title: short. columns: panels beside one another. note: one sentence below it. shade: the name of
    the ordered scale, and the values at its two ends, where lines are coloured by one.
    """

    title: str
    panels: tuple[Panel, ...]
    columns: int = 1
    note: str = ""
    shade: tuple[str, float, float] | None = None


def net_of(panel: Panel) -> Drawing | None:
    """The drawn network of a panel that holds one."""
    first = panel.marks[0] if panel.marks else None
    return first.drawing if isinstance(first, Net) else None


def spread(panel: Panel, axis: str) -> Array:
    """All finite numbers of a panel along "x" or "y"."""
    found: list[Any] = []
    for mark in panel.marks:
        if isinstance(mark, Line | Points | Contour):
            found.append(getattr(mark, axis))
        if isinstance(mark, Line) and axis == "y" and mark.low is not None:
            found += [mark.low, mark.high]
        if isinstance(mark, Steps):
            found.append(mark.edges if axis == "x" else mark.counts)
        if isinstance(mark, Bars):
            found.append(mark.values if axis == "x" else np.arange(len(mark.values)))
        if isinstance(mark, Bars) and axis == "x" and mark.errors is not None:
            found += [np.asarray(mark.values) + sign * np.asarray(mark.errors) for sign in (-1, 1)]
        if isinstance(mark, Rule) and mark.axis == axis:
            found.append([mark.at])
    together = np.concatenate([np.ravel(np.asarray(one, np.float64)) for one in found]) if found else np.zeros(0)
    finite: Array = together[np.isfinite(together)]
    return finite


def is_log(panel: Panel, axis: str) -> bool:
    """Whether an axis counts in powers of ten."""
    of: Axis = getattr(panel, axis)
    if of.log is not None:
        return of.log
    values = spread(panel, axis) if of.span is None else np.array(of.span)
    return bool(values.size and values.min() > 0 and values.max() > DECADES * values.min())
