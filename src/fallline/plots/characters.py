"""Charts as text for a terminal, drawn with characters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fallline.insight import picture
from fallline.plots.chart import Bars, Chart, Contour, Heat, Line, Net, Panel, Points, Rule, Steps, is_log
from fallline.typesetting import fit, number, table, words


def text_of(chart: Chart, *, width: int = 72, height: int = 14, ascii_only: bool = False) -> str:
    """The panels one below the other. width: of the text in columns; height: of each panel's field in rows."""
    parts = [] if not chart.title else [fit(chart.title, width)]
    for panel in chart.panels:
        parts.append(_panel(panel, width, height, ascii_only))
    if chart.note:
        parts.append(words(chart.note, width))
    return "\n\n".join(parts)


def _panel(panel: Panel, width: int, height: int, ascii_only: bool) -> str:
    kinds = [type(mark) for mark in panel.marks]
    for kind, drawn in _ALONE.items():
        if kind in kinds:
            return drawn(panel, width, height, ascii_only)
    return _lines(panel, width, height, ascii_only)


def _lines(panel: Panel, width: int, height: int, ascii_only: bool) -> str:
    series: dict[str, Any] = {}
    points = False
    for mark in panel.marks:
        if isinstance(mark, Line | Points):
            series[_free(mark.name, series)] = (mark.x, mark.y)
            points |= isinstance(mark, Points) or mark.dots
        elif isinstance(mark, Steps):
            series[_free(mark.name, series)] = ((mark.edges[:-1] + mark.edges[1:]) / 2, mark.counts)
    chart = picture.line_chart(
        series if len(series) > 1 or "" not in series else series[""],
        width=width, height=height, log_x=is_log(panel, "x"), log_y=is_log(panel, "y"), title=panel.title,
        x_label=panel.x.label, y_label=panel.y.label, points=points, ascii_only=ascii_only,
    )  # fmt: skip
    rules = [
        fit(f"  {mark.name}: {mark.axis} = {number(mark.at)}" if number(mark.at) not in mark.name else f"  {mark.name}",
            width)
        for mark in panel.marks if isinstance(mark, Rule)
    ]  # fmt: skip
    return "\n".join([chart, *rules])


def _free(name: str, taken: dict[str, Any]) -> str:
    return name if name not in taken else f"{name} {len(taken) + 1}"


def _heat(panel: Panel, width: int, height: int, ascii_only: bool) -> str:
    (mark,) = (mark for mark in panel.marks if isinstance(mark, Heat))
    rows, columns = mark.values.shape
    down = panel.y.names or tuple(map(str, range(rows)))
    across = panel.x.names or tuple(map(str, range(columns)))
    head = [f"{panel.y.name} \\ {panel.x.name}", *across]
    cells = [[name, *(number(value) for value in row)] for name, row in zip(down, mark.values)]
    return f"{mark.name}\n{table(cells, head, width=width, ascii_only=ascii_only)}"


def _bars(panel: Panel, width: int, height: int, ascii_only: bool) -> str:
    (mark,) = (mark for mark in panel.marks if isinstance(mark, Bars))
    values = dict(zip(panel.y.names, map(float, mark.values), strict=True))
    return picture.bars(values, width=width, title=panel.title or panel.x.label, ascii_only=ascii_only)


def _contour(panel: Panel, width: int, height: int, ascii_only: bool) -> str:
    (mark,) = (mark for mark in panel.marks if isinstance(mark, Contour))
    lines = [one for one in panel.marks if isinstance(one, Line)]
    path = np.column_stack([lines[0].x, lines[0].y]) if lines else ()
    return picture.contour(
        mark.values, x_range=(mark.x[0], mark.x[-1]), y_range=(mark.y[0], mark.y[-1]), path=path, width=width,
        height=height, title=panel.title or mark.name, x_label=panel.x.label, y_label=panel.y.label,
        ascii_only=ascii_only,
    )  # fmt: skip


def _net(panel: Panel, width: int, height: int, ascii_only: bool) -> str:
    """Its layers in a table, each with the largest weight into it: circles take finer dots than characters."""
    (mark,) = (mark for mark in panel.marks if isinstance(mark, Net))
    of, rows = mark.drawing, []
    stages = of.wiring.stages
    for place, stage in enumerate(stages):
        into = [wire for wire in of.wiring.wires if wire.end[0] == place]
        weights = [wire for wire in into if wire.fixed is not False]
        told = f"{len(into)} that depend on the row" if into else ""
        if weights:
            top = max(weights, key=lambda wire: abs(wire.slope))
            ends = [of.name(stages[i].source, stages[i].units[u]) for i, u in (top.start, top.end)]
            told = f"{len(weights)}, largest {number(top.slope, 3)} from {ends[0]} to {ends[1]}"
        rows.append([stage.source, stage.label, stage.width, len(stage.units), told])
    return table(rows, ["array", "layer", "units", "drawn", "lines into them"], width=width, ascii_only=ascii_only)


_ALONE: dict[type, Callable[[Panel, int, int, bool], str]] = {Heat: _heat, Bars: _bars, Contour: _contour, Net: _net}
