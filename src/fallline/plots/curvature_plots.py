"""Curvature of a run's loss: the density of its Hessian's eigenvalues, and the largest stable step of its optimizer."""

from typing import Any

import numpy as np

from fallline.curvature.borders import Border
from fallline.curvature.stochastic import density
from fallline.errors import FalllineError
from fallline.insight.run_curvature import stable_step, surface_of
from fallline.plots.chart import LOWEST, Axis, Chart, Line, Mark, Panel, Rule
from fallline.plots.plot_table import plot
from fallline.plots.rows_seen import no_rows
from fallline.training.run import Run
from fallline.typesetting import number


def border_of(run: Run, data: Any = None) -> tuple[Border | None, str]:
    """The largest stable learning rate of a run's optimizer where it ended; None and the reason where there is none."""
    try:
        found = stable_step(run, data)
    except FalllineError as error:
        return None, str(error).partition("\n")[0]
    if found.border is None or not np.isfinite(found.border):
        return None, found.note or "nothing bends upwards there"
    return found, ""


@plot("spectrum", of=Run, doc="the density of the Hessian's eigenvalues where it ended", lacks=no_rows)
def spectrum(run: Run, *, data: Any = None, log: bool = True) -> Chart:
    """The spectral density by stochastic Lanczos quadrature, with its standard error over five probes.

    A rule stands at the highest curvature that the learning rate in use bears, for optimizers that step along the
    gradient as it is. data: rows, for a run that has lost them. log: of the density, whose bulk near 0 is a thousand
    times as high as its ends.
    """
    here = surface_of(run, data)
    found = density(here)
    floor = LOWEST * float(found.density.max()) if log else 0.0
    low, high = (np.maximum(found.density + sign * found.error, floor) for sign in (-1, 1))
    y = np.where(found.density > floor, found.density, np.nan) if log else found.density
    marks: list[Mark] = [Line(found.at, y, "density, +- standard error", 0, low=low, high=high)]
    border, _ = border_of(run, data)
    if border is not None and border.border is not None and border.curvature is not None:
        # The curvature that an optimizer meets is the loss's own where it divides the gradient by nothing.
        top, rate = float(found.at[-1]), border.learning_rate
        borne = border.curvature.value * border.border / rate if rate > 0 else np.inf
        if 0.5 * top < border.curvature.value < 2 * top and borne < 4 * top:
            marks.append(Rule(borne, "x", f"borne by a learning rate of {number(rate, 3)}"))
    across, up = Axis("curvature", "loss per unit of theta^2"), Axis("density of eigenvalues", "1 / curvature", log)
    note = here.meaning[:1].upper() + here.meaning[1:] + "." * bool(here.meaning)
    title = f"Spectrum of the Hessian, {here.rows:,} training rows"
    return Chart(title, (Panel(across, up, tuple(marks)),), note=note)
