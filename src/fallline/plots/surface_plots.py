"""Landscapes: the loss on a line or a plane around a run, with the path of the training where there is one."""

from typing import Any

import numpy as np

from fallline.insight.between_runs import Line as Between
from fallline.insight.landscape import RANDOM, Landscape, landscape
from fallline.plots.chart import Axis, Chart, Contour, Line, Mark, Panel, Points, Rule
from fallline.plots.plot_table import plot
from fallline.plots.rows_seen import no_rows
from fallline.training.run import Run
from fallline.typesetting import number

# Points along each axis of a picture that is drawn on the way: enough for its form.
POINTS = {1: 101, 2: 31}
TITLES = {
    "random": "Loss along random directions", "trajectory": "Loss around the path of the training",
    "eigenvectors": "Loss along the steepest bends",
}  # fmt: skip


@plot("surface", of=Landscape, doc="the loss on the line or the plane, with the path on it")
def surface(found: Landscape) -> Chart:
    """A line with the standard error of its loss, or lines of equal loss."""
    title = TITLES.get(found.kind, "Loss around the run")
    notes = [rows_in_words(found)]
    if found.share is not None:
        what = "plane" if len(found.axes) == 2 else "line"
        notes.append(f"the {what} holds {found.share:.1%} of the path's movement")
    panel = _line(found) if len(found.axes) == 1 else _plane(found)
    return Chart(title, (panel,), note="; ".join(notes) + ".")


def rows_in_words(found: Landscape) -> str:
    of = "" if found.rows == found.of else f" of {found.of:,}"
    return f"On {found.rows:,}{of} {found.on} rows"


def _axes(found: Landscape) -> list[Axis]:
    axes = []
    for k, name in enumerate(found.names):
        more = ""
        if found.shares is not None:
            more = f", {found.shares[k]:.0%} of the path"
        elif found.curvature is not None:
            more = f", curvature {number(found.curvature[k], 3)}"
        values = found.axes[k]
        axes.append(Axis(name + more, found.unit, span=(float(values[0]), float(values[-1]))))
    return axes


def _line(found: Landscape) -> Panel:
    (x,), loss, error = found.axes, found.loss, np.where(np.isfinite(found.error), found.error, 0.0)
    marks: list[Mark] = [Line(x, loss, "loss, +- standard error", 0, low=loss - error, high=loss + error)]
    if found.path is not None and found.path_loss is not None:
        marks.append(Line(found.path[:, 0], found.path_loss, "path, off the line", 1, dots=len(found.path) < 60))
    marks.append(Points(np.zeros(1), np.array([found.centre_loss]), "end of the run", 3))
    return Panel(_axes(found)[0], Axis("loss", "mean over the rows", None), tuple(marks))


def _plane(found: Landscape) -> Panel:
    values = found.loss.T  # axis 0 across, axis 1 up
    marks: list[Mark] = [Contour(found.axes[0], found.axes[1], values, "loss (mean over the rows)")]
    if found.path is not None:
        marks.append(Line(found.path[:, 0], found.path[:, 1], "path of the training", 4, dots=len(found.path) < 60))
        marks.append(Points(found.path[:1, 0], found.path[:1, 1], "start", 1))
    marks.append(Points(np.zeros(1), np.zeros(1), "end of the run", 3, "x"))
    across, up = _axes(found)
    return Panel(across, up, tuple(marks))


@plot("barrier", of=Between, doc="the loss on the line between two runs, and its barrier")
def barrier(found: Between) -> Chart:
    """The loss along the line with its standard error, the straight line between its ends, and the barrier above it."""
    here = found.landscape
    (t,), loss, error = here.axes, here.loss, np.where(np.isfinite(here.error), here.error, 0.0)
    ends = [float(loss[int(np.argmin(np.abs(t - end)))]) for end in (0.0, 1.0)]
    marks: list[Mark] = [
        Line(t, loss, "loss, +- standard error", 0, low=loss - error, high=loss + error),
        Line(np.array([0.0, 1.0]), np.array(ends), "between the ends", 1),
    ]
    if found.barrier > 0:
        off = "" if not np.isfinite(found.barrier_error) else f" +- {number(found.barrier_error, 2)}"
        marks.append(Rule(found.at, "x", f"barrier {number(found.barrier, 3)}{off}"))
    axis = Axis("from the first run to the second", "share of the way")
    note = f"{rows_in_words(here)}; the runs are {number(found.distance, 3)} apart."
    panel = Panel(axis, Axis("loss", "mean over the rows", None), tuple(marks))
    return Chart("Loss between two runs", (panel,), note=note)


@plot("landscape", of=Run, doc="the loss around the run's end, on a plane or a line", lacks=no_rows)
def run_landscape(
    run: Run,
    *,
    data: Any = None,
    directions: Any = RANDOM,
    dimensions: int = 2,
    points: int | None = None,
    span: float | None = None,
    rows: int = 500,
    on: str = "training",
    seed: int = 0,
) -> Chart:
    """The landscape that `fl.landscape` computes with these arguments, on fewer points and rows.

    points: along each axis; None: 31 of a plane, 101 of a line. directions="trajectory" trains once more.
    """
    along = POINTS.get(dimensions, 31) if points is None else points
    found = landscape(
        run, data, directions=directions, dimensions=dimensions, points=along, span=span, rows=rows, on=on, seed=seed
    )
    return surface(found)
