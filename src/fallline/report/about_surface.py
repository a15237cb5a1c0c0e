"""Sections on the loss around the end of a run: how sharply it bends, the step it bears, and a landscape of it."""

import numpy as np

from fallline.errors import FalllineError
from fallline.insight.landscape import RANDOM, TRAJECTORY, Landscape, landscape
from fallline.insight.run_curvature import stable_step
from fallline.insight.trajectory import trajectory
from fallline.plots.chart import Axis, Chart, Line, Panel, Points
from fallline.plots.page_parts import table
from fallline.plots.surface_plots import surface
from fallline.report.markup import pictures, says, wide
from fallline.report.section_table import section
from fallline.report.subject import Subject
from fallline.typesetting import number

# Products of numbers that each of the two may take, and the rows from which a mean loss is still worth its picture.
MOST_PRODUCTS, FEWEST, MOST_ROWS = 1.5e10, 64, 500
# Seconds and numbers that training once more may take, for the path; points of it; points of the plane along an axis.
MOST_SECONDS, MOST_NUMBERS, PATH, POINTS = 1.0, 2e7, 20, 25
# Gradient-sized products of an eigenvalue, at most.
PRODUCTS = 40


@section("curvature", "Curvature and the stable step", 62)
def curvature(subject: Subject) -> str:
    """The sharpest bend of the loss where the run ended, and the step that it bears beside the one in use."""
    if subject.no_rows:
        return says(f"Not measured: {subject.no_rows}.", quiet=True)
    rows = _rows(subject, 6 * PRODUCTS, 1000)
    if not rows:
        return _too_large(subject, "Not measured", "fl.stable_step(run)")
    found = stable_step(subject.first, rows=rows)
    told = [says(subject.several, quiet=True)]
    if found.curvature is None or found.border is None:
        return "".join(told) + says(f"{found.optimizer}: {found.note}.", quiet=True)
    ratio = found.learning_rate / found.border
    value, error = found.curvature.value, found.curvature.error
    shown = [
        ["sharpest bend, lambda", number(value, 4), f"± {number(error, 2)}"],
        ["largest stable learning rate", number(found.border, 4), found.formula],
        ["learning rate in use at the end", number(found.learning_rate, 4), f"{number(ratio, 3)} of the largest"],
    ]
    below = "Below the border: steps on all rows are stable here."
    if ratio >= 1:
        below = "Above the border: steps on all rows grow along the sharpest bend, until the loss bends otherwise."
    notes = [one[:1].upper() + one[1:] + "." for one in found.note.split("; ") if one]
    return "".join([*told, wide(table(shown), "curvature"), says(below),
                    *(says(one, quiet=True) for one in notes)])  # fmt: skip


@section("landscape", "Landscape", 64)
def surroundings(subject: Subject) -> str:
    """The loss on the plane of the training's path where that can be had quickly, else along random directions."""
    if subject.no_rows:
        return says(f"Not drawn: {subject.no_rows}.", quiet=True)
    rows = _rows(subject, 2 * POINTS**2, MOST_ROWS)
    if not rows:
        return _too_large(subject, "Not drawn", "fl.landscape(run)")
    found, why = None, _no_path(subject)
    if not why:
        try:
            path = trajectory(subject.first, points=PATH)
            found = landscape(subject.first, directions=TRAJECTORY, points=POINTS, rows=rows, path=path)
            why = "" if path.exact else "training once more came to other parameters, so the path is one like the run's"
        except FalllineError as error:
            why = str(error).partition("\n")[0]
    if found is None:
        found = landscape(subject.first, directions=RANDOM, points=POINTS, rows=rows)
        why = f"Random directions, each filter moved by up to its own length, as the path is not shown: {why}"
    plane = surface(found)
    spread = found.centre_error
    sure = f" ± {number(spread, 2)} (standard error)" if np.isfinite(spread) else ", one number for all of them"
    told = f"Each loss is that of {found.rows:,} {found.on} rows, at the end {number(found.centre_loss, 4)}{sure}."
    drawn = pictures(plane, _cut(found), width=470, height=360)
    return says(subject.several, quiet=True) + drawn + says(told) + says(f"{why}." if why else "", quiet=True)


def _cut(found: Landscape) -> Chart:
    """The line of the plane along its first direction that passes the end of the run, with its standard error."""
    at = int(np.argmin(np.abs(found.axes[1])))
    loss, error = found.loss[:, at], np.nan_to_num(found.error[:, at], nan=0.0, posinf=0.0)
    marks = (
        Line(found.axes[0], loss, "loss, ± standard error", 0, low=loss - error, high=loss + error),
        Points(np.zeros(1), np.array([found.centre_loss]), "end of the run", 3),
    )
    axes = Axis(found.names[0], found.unit), Axis("loss", "mean over the rows", None)
    return Chart(f"The plane cut along {found.names[0]}", (Panel(*axes, marks),))


def _rows(subject: Subject, times: float, most: int) -> int:
    """So many rows that a network of this size is computed so many times in about a second; 0 for too few."""
    room = int(MOST_PRODUCTS / (times * max(subject.first.model.theta.size, 1)))
    return min(room, most) if room >= FEWEST else 0


def _too_large(subject: Subject, so: str, call: str) -> str:
    return says(f"{so}: {subject.first.model.theta.size:,} parameters take long; {call} does it.", quiet=True)


def _no_path(subject: Subject) -> str:
    """Why the path of the first network is not found by training once more; "" where it is."""
    run, opened = subject.first, subject.opened
    took = run.ended.seconds if run.ended is not None else sum(one.seconds for one in run.epochs)
    if not opened.replays and len(opened.parts) == 1:
        return "its first parameters are not known any more"
    if took > MOST_SECONDS:
        return f'training once more takes {number(took, 2)} s; fl.landscape(run, directions="trajectory") does it'
    if run.model.theta.size * 2 * PATH > MOST_NUMBERS:
        return "the network is large; fl.trajectory(run) records it"
    return ""


__all__ = ["curvature", "surroundings"]
