"""Charts as SVG inside a page: text and grid in the colour of the page's own text, so it suits light and dark ones.

No script, no identifiers, nothing from outside: several may stand on one page.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.insight.picture import Axis as Scale
from fallline.insight.picture import thinned
from fallline.plots.chart import (
    Axis,
    Bars,
    Chart,
    Contour,
    Heat,
    Line,
    Mark,
    Panel,
    Points,
    Rule,
    Steps,
    is_log,
    net_of,
    spread,
)
from fallline.plots.looks import ANY_GROUND, DASHES
from fallline.plots.looks import shade as shaded
from fallline.typesetting import number

WIDTH, HEIGHT = 460, 230
# Points of a line beyond which it is thinned out, and cells of a grid along each side.
MOST_POINTS, MOST_CELLS = 400, 60
FONT = 11


def svg_of(chart: Chart, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The chart as one SVG element for each panel. width, height: of a panel in pixels of the page."""
    drawn = "".join(_panel(panel, chart, width, height) for panel in chart.panels)
    told = chart.note and net_of(chart.panels[0]) is None  # a network has its notes in it
    note = f'<div style="opacity:.7">{html.escape(chart.note)}</div>' if told else ""
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{drawn}</div>{note}'


class _Frame:
    """The place of numbers inside a panel."""

    def __init__(self, panel: Panel, width: int, height: int) -> None:
        self.x, self.y = (_scale(panel, axis) for axis in "xy")
        # Rows of a table and bars stand in their order from the top, and heights are counted from the bottom.
        self.names = {"x": panel.x.names, "y": panel.y.names[::-1]}
        longest = max((len(name) for name in self.names["y"]), default=0)
        ticks = max((len(text) for _, text in self.y.ticks(_heights_marked(height - 54))), default=3)
        self.left = min(24 + 12 * (len(panel.y.label) * 5.8 > height) + 6 * (min(longest, 20) or ticks), width // 2)
        self.top, self.right, self.bottom = 20, 10, 34
        self.width, self.height = width - self.left - self.right, height - self.top - self.bottom

    def across(self, values: Any) -> Array:
        return self.left + self.width * _share(self.x, values)

    def up(self, values: Any) -> Array:
        return self.top + self.height * (1 - _share(self.y, values))


def _scale(panel: Panel, axis: str) -> Scale:
    of: Axis = getattr(panel, axis)
    if of.names:
        return Scale(-0.5, len(of.names) - 0.5, False)
    values, log = spread(panel, axis), is_log(panel, axis)
    if of.span is not None:
        values = np.array(of.span)
    if any(isinstance(mark, Steps) for mark in panel.marks) and axis == "y" and not log:
        values = np.append(values, 0.0)
    if any(isinstance(mark, Bars) for mark in panel.marks) and axis == "x":
        values = np.append(values, 0.0)
    found = Scale.over(values[values > 0] if log else values, log)
    room = 0.04 * (found.high - found.low) if axis == "y" and of.span is None else 0.0
    return Scale(found.low - room, found.high + room, log)


def _share(scale: Scale, values: Any) -> Array:
    with np.errstate(all="ignore"):
        held = np.asarray(values, np.float64)
        held = np.log10(held) if scale.log else held
        found: Array = (held - scale.low) / (scale.high - scale.low)
    return found


def _panel(panel: Panel, chart: Chart, width: int, height: int) -> str:
    """One panel: grid and numbers, marks inside a window that cuts them off, names of axes and lines."""
    net = net_of(panel)
    if net is not None:
        return net.html()
    named = [mark.name for mark in panel.marks if getattr(mark, "name", "") and not isinstance(mark, Heat | Contour)]
    wide = max((len(name) for name in named), default=1)
    columns = max(1, min(len(named), int((width - 20) // (6.4 * min(wide, 48) + 36))))
    legend = 15 * -(-len(named) // columns)
    frame = _Frame(panel, width, height)
    parts = [_axes(frame, panel)]
    inside, place = [], 0
    over = any(isinstance(mark, Contour) for mark in panel.marks)  # white with a dark edge is seen on every shade
    for mark in panel.marks:
        chosen = getattr(mark, "slot", None)
        slot = chosen if chosen is not None else place
        place += not isinstance(mark, Rule | Heat | Contour) and chosen is None
        cased = {"over": True} if over and isinstance(mark, Line | Points) else {}
        inside.append(_MARKS[type(mark)](frame, mark, slot, **cased))
    parts.append(
        f'<svg x="{frame.left}" y="{frame.top}" width="{frame.width}" height="{frame.height}" '
        f'viewBox="{frame.left} {frame.top} {frame.width} {frame.height}" overflow="hidden">{"".join(inside)}</svg>'
    )
    entries = [mark for mark in panel.marks if getattr(mark, "name", "") and not isinstance(mark, Heat | Contour)]
    place = 0
    for i, mark in enumerate(entries):
        chosen = getattr(mark, "slot", None)
        slot = chosen if chosen is not None else place
        place += not isinstance(mark, Rule) and chosen is None
        row, column = divmod(i, columns)
        x, y = frame.left + column * (width - frame.left) / columns, height + 9 + 15 * row
        parts.append(_key(mark, slot, x, y, over) + _text(x + 28, y + 4, mark.name[:60]))
    for mark in panel.marks:
        if isinstance(mark, Contour):
            legend += 15
            parts.append(_text(frame.left, height + legend - 2, _heights(mark)))
    heading = panel.title or (chart.title if len(chart.panels) == 1 else "")
    if heading:
        parts.append(_text(0, 11, heading, weight=600))
    label = html.escape(heading or f"{panel.y.name} by {panel.x.name}")
    told = html.escape(_told(panel, entries))
    return (
        f'<svg role="img" aria-label="{label}. {told}" width="{width}" height="{height + legend + 4}" '
        f'viewBox="0 0 {width} {height + legend + 4}" style="max-width:100%;font:{FONT}px system-ui,sans-serif" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def _told(panel: Panel, entries: Sequence[Mark]) -> str:
    """The panel for who hears it: its axes, and where each named line begins and ends."""
    parts = [f"Across: {panel.x.label}; up: {panel.y.label}."]
    for mark in entries:
        there: Array = mark.y[np.isfinite(mark.y)] if isinstance(mark, Line) else np.zeros(0)
        if isinstance(mark, Line) and there.size:
            parts.append(f"{mark.name}: from {number(float(there[0]), 3)} to {number(float(there[-1]), 3)}.")
        else:
            parts.append(f"{getattr(mark, 'name', '')}.")
    return " ".join(parts)


def _axes(frame: _Frame, panel: Panel) -> str:
    parts = []
    right, floor = frame.left + frame.width, frame.top + frame.height
    for value, text in _ticks(frame.y, frame.names["y"], _heights_marked(frame.height), panel.y.whole):
        y = float(frame.up(value))
        parts.append(_stroke(frame.left, y, right, y, 0.15) + _text(frame.left - 4, y + 4, text, "end"))
    for value, text in _ticks(frame.x, frame.names["x"], max(2, frame.width // 80), panel.x.whole):
        x = float(frame.across(value))
        parts.append(_stroke(x, frame.top, x, floor, 0.15) + _text(x, floor + 13, text, "middle"))
    parts.append(_stroke(frame.left, floor, right, floor, 0.6))
    parts.append(_text((frame.left + right) / 2, floor + 28, panel.x.label, "middle"))
    middle = (frame.top + frame.height + frame.bottom + FONT) / 2  # the whole height, as names with units are long
    long = len(panel.y.label) * 5.8 > frame.top + frame.height + frame.bottom
    for place, text in enumerate(panel.y.label.replace(" (", "\n(").split("\n") if long else [panel.y.label]):
        x = 9 + 12 * place
        parts.append(f'<g transform="rotate(-90 {x} {middle:.0f})">{_text(x, middle + 1, text, "middle")}</g>')
    return "".join(parts)


def _heights_marked(height: int) -> int:
    """About how many places of an axis of this height have their numbers beside them."""
    return max(2, height // 36)


def _ticks(scale: Scale, names: tuple[str, ...], count: int, whole: bool) -> list[tuple[float, str]]:
    if names:
        return [(float(i), name if len(name) <= 20 else f"{name[:19]}…") for i, name in enumerate(names)]
    return [(value, text) for value, text in scale.ticks(count) if not whole or float(value).is_integer()]


def _text(x: float, y: float, text: str, anchor: str = "start", weight: int = 400) -> str:
    bold = f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{bold}>{html.escape(text)}</text>'


def _stroke(x0: float, y0: float, x1: float, y1: float, opacity: float, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-opacity="{opacity}"{dashed}/>'


def _colour(slot: int, shade: float | None = None) -> str:
    if shade is None:
        return ANY_GROUND[slot % len(ANY_GROUND)]
    return shaded(0.2 + 0.6 * shade)  # the ends would fade into a dark or a light page


def _dashes(slot: int) -> str:
    return " ".join(f"{2 * one:g}" for one in DASHES[slot % len(DASHES)])


def _way(x: Array, y: Array) -> str:
    """The points of a path, a new beginning after each gap."""
    good, parts, up = np.isfinite(x) & np.isfinite(y), [], True
    for px, py, there in zip(x, y, good):
        if there:
            parts.append(f"{'M' if up else 'L'}{px:.1f} {min(max(py, -5000), 5000):.1f}")
        up = not there
    return "".join(parts)


def _line(frame: _Frame, mark: Line, slot: int, over: bool = False) -> str:
    x, y = (np.asarray(one, np.float64) for one in (mark.x, mark.y))
    if np.isfinite(y).all():
        x, y = thinned(x, y, MOST_POINTS // 8)
    colour, dashes = _colour(slot, mark.shade), "" if mark.shade is not None else _dashes(slot)
    px, py = frame.across(x), frame.up(y)
    parts = []
    if mark.low is not None and mark.high is not None:
        around = np.concatenate([frame.up(mark.high), frame.up(mark.low)[::-1]])
        parts.append(f'<path d="{_way(np.concatenate([frame.across(mark.x), frame.across(mark.x)[::-1]]), around)}Z" '
                     f'fill="{colour}" fill-opacity=".2"/>')  # fmt: skip
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    if over:
        colour = "#ffffff"
        parts.append(f'<path d="{_way(px, py)}" fill="none" stroke="#000" stroke-width="3.6"/>')
    parts.append(f'<path d="{_way(px, py)}" fill="none" stroke="{colour}" stroke-width="{1 if mark.faint else 1.8}"'
                 f'{dashed} stroke-opacity="{0.5 if mark.faint else 1}"/>')  # fmt: skip
    if mark.dots or len(x) == 1:
        parts += [_dot(a, b, colour) for a, b in zip(px, py) if np.isfinite([a, b]).all()]
    return "".join(parts)


def _dot(x: float, y: float, colour: str, form: str = "o", size: float = 2.6) -> str:
    if form == "o":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>'
    arms = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
    return f'<path d="{arms}" stroke="{colour}" stroke-width="{max(2, size - 1.6):g}" fill="none"/>'


def _points(frame: _Frame, mark: Points, slot: int, over: bool = False) -> str:
    keep = np.linspace(0, len(mark.x) - 1, min(len(mark.x), 1000)).astype(int)
    pairs = zip(frame.across(np.asarray(mark.x)[keep]), frame.up(np.asarray(mark.y)[keep]))
    there = [(float(x), float(y)) for x, y in pairs if np.isfinite([x, y]).all()]
    casing = "".join(_dot(x, y, "#000", mark.form, 5.6) for x, y in there) if over else ""
    colour = "#ffffff" if over else _colour(slot)
    return casing + "".join(_dot(x, y, colour, mark.form, 4 if over else 2.6) for x, y in there)


def _steps(frame: _Frame, mark: Steps, slot: int) -> str:
    x = frame.across(np.repeat(mark.edges, 2))
    counts = np.concatenate([[0.0], np.repeat(np.asarray(mark.counts, np.float64), 2), [0.0]])
    floor = 10**frame.y.low if frame.y.log else 0.0
    y = frame.up(np.maximum(counts, floor))
    return f'<path d="{_way(x, y)}Z" fill="{_colour(slot)}" fill-opacity=".35" stroke="{_colour(slot)}"/>'


def _bars(frame: _Frame, mark: Bars, slot: int) -> str:
    parts, last = [], len(mark.values) - 1
    for i, value in enumerate(np.asarray(mark.values, np.float64)):
        if not np.isfinite(value):
            continue
        ends = sorted(float(frame.across(one)) for one in (0.0, value))
        y, half = float(frame.up(last - i)), 0.33 * frame.height / len(mark.values)
        parts.append(f'<rect x="{ends[0]:.1f}" y="{y - half:.1f}" width="{max(ends[1] - ends[0], 0.5):.1f}" '
                     f'height="{2 * half:.1f}" fill="{_colour(slot)}"/>')  # fmt: skip
        if mark.errors is not None and np.isfinite(mark.errors[i]):
            low, high = (float(frame.across(value + sign * mark.errors[i])) for sign in (-1, 1))
            parts.append(_stroke(low, y, high, y, 1.0))
    return "".join(parts)


def _rule(frame: _Frame, mark: Rule, slot: int) -> str:
    if mark.axis == "x":
        x = float(frame.across(mark.at))
        return _stroke(x, frame.top, x, frame.top + frame.height, 0.7, "3 3")
    y = float(frame.up(mark.at))
    return _stroke(frame.left, y, frame.left + frame.width, y, 0.7, "3 3")


def _heat(frame: _Frame, mark: Heat, slot: int) -> str:
    rows, columns = mark.values.shape
    top, parts = float(np.nanmax(mark.values)) or 1.0, []
    wide, high = frame.width / columns, frame.height / rows
    for i, j in np.ndindex(rows, columns):
        value, x, y = float(mark.values[i, j]), frame.left + j * wide, frame.top + i * high
        if not np.isfinite(value):
            continue
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.2f}" height="{high:.2f}" fill="{_colour(0)}" '
                     f'fill-opacity="{0.85 * value / top:.2f}"/>')  # fmt: skip
        if mark.written and value and wide > 24 and high > 12:
            parts.append(_text(x + wide / 2, y + high / 2 + 4, number(value, 4), "middle"))
    return "".join(parts)


def _contour(frame: _Frame, mark: Contour, slot: int) -> str:
    keep = [np.linspace(0, n - 1, min(n, MOST_CELLS)).round().astype(int) for n in mark.values.shape]
    values = mark.values[np.ix_(*keep)]
    finite = np.sort(values[np.isfinite(values)])
    parts = []
    wide, high = frame.width / values.shape[1], frame.height / values.shape[0]
    for i, j in np.ndindex(values.shape):
        if np.isfinite(values[i, j]) and finite.size:
            share = np.searchsorted(finite, values[i, j]) / finite.size
            x, y = frame.left + j * wide, frame.top + frame.height - (i + 1) * high
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide + 0.3:.2f}" height="{high + 0.3:.2f}" '
                         f'fill="{shaded(share)}"/>')  # fmt: skip
    return "".join(parts)


def _heights(mark: Contour) -> str:
    """The meaning of the shades in words."""
    finite = mark.values[np.isfinite(mark.values)]
    if not finite.size:
        return f"{mark.name}: not finite anywhere"
    return f"{mark.name}: {number(finite.min(), 3)} where it is dark, {number(finite.max(), 3)} where it is light"


def _key(mark: Any, slot: int, x: float, y: float, over: bool) -> str:
    """The sample of a mark beside its name."""
    if isinstance(mark, Rule):
        return _stroke(x, y, x + 22, y, 0.7, "3 3")
    if isinstance(mark, Points):
        return _dot(x + 11, y, "currentColor" if over else _colour(slot), mark.form)
    dashes = "" if getattr(mark, "shade", None) is not None else _dashes(slot)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    colour = "currentColor" if over else _colour(slot, getattr(mark, "shade", None))
    ends = f'x1="{x:.0f}" y1="{y}" x2="{x + 22:.0f}" y2="{y}"'
    return f'<line {ends} stroke="{colour}" stroke-width="2"{dashed}/>'


_MARKS: dict[type[Mark], Any] = {
    Line: _line, Points: _points, Steps: _steps, Bars: _bars, Rule: _rule, Heat: _heat, Contour: _contour
}  # fmt: skip
