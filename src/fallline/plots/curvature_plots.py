"""Curvature of a run's loss: the density of its Hessian's eigenvalues, and the largest stable step of its optimizer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.config import from_config
from fallline.curvature.borders import Border, stable_step
from fallline.curvature.on_rows import OnRows, on_rows
from fallline.curvature.stochastic import density
from fallline.errors import ArgumentError, FalllineError
from fallline.insight.opened import opened
from fallline.optim import Optimizer
from fallline.plots.chart import Axis, Chart, Line, Mark, Panel, Rule
from fallline.plots.plot_table import plot
from fallline.plots.rows_seen import no_rows
from fallline.steps.step import OPTIMIZER
from fallline.training.run import Run
from fallline.typesetting import number

# Rows that curvature is measured on, at most: its ends are then known to a few percent.
ROWS = 2000
# Below this share of the highest value a density is noise of the probes.
LOWEST = 1e-6


@dataclass(frozen=True, eq=False)
class Bent:
    """The loss of a run's first network on its training rows, where it ended. said: which rows."""

    surface: OnRows
    optimizer: Optimizer | None
    said: str


def bent(run: Run, data: Any = None) -> Bent:
    """Errors: ArgumentError where the rows cannot be had."""
    found = opened(run, data)
    part = found.parts[0]
    sample = part.sample(ROWS)
    if sample is None or not len(sample):
        why = "; ".join(found.missing) or "it had no training rows"
        raise ArgumentError(f"curvature is that of the loss on rows, and they are not there: {why}\n"
                            "  try: data=(x, y), as in the training")  # fmt: skip
    surface = on_rows(part.model, sample.x, sample.y, sample.weight, most=None)
    return Bent(surface, part.optimizer or _optimizer_of(run), f"{len(sample):,} training rows")


def _optimizer_of(run: Run) -> Optimizer | None:
    form = run.config.get("optimizer")
    if not isinstance(form, dict) or "not_saved" in form:
        return None
    optimizer: Optimizer = from_config(form, Optimizer, "optimizer")
    return optimizer


def border_of(run: Run, here: Bent) -> Border | None:
    """The largest stable learning rate of the run's optimizer where it ended; None where that cannot be told."""
    if here.optimizer is None:
        return None
    try:
        state = run.state
        arrays = {} if state is None else dict(state.arrays)
        own = {name.removeprefix(OPTIMIZER): one for name, one in arrays.items() if name.startswith(OPTIMIZER)}
        step = int(arrays["step"]) if "step" in arrays else 0
        found = stable_step(here.surface, here.optimizer, state=own, step=step)
    except (FalllineError, KeyError):
        return None
    return found if found.border is not None and np.isfinite(found.border) else None


@plot("spectrum", of=Run, doc="the density of the Hessian's eigenvalues where it ended", lacks=no_rows)
def spectrum(run: Run, *, data: Any = None, log: bool = True) -> Chart:
    """The spectral density by stochastic Lanczos quadrature, with its standard error over five probes.

    A rule stands at the highest curvature that steps of the learning rate in use bear, where the optimizer states it
    for gradients as they are. data: rows, for a run that has lost them. log: of the density, whose bulk near 0 is
    a thousand times as high as its ends.
    """
    here = bent(run, data)
    found = density(here.surface)
    floor = LOWEST * float(found.density.max()) if log else 0.0
    low, high = (np.maximum(found.density + sign * found.error, floor or 0.0) for sign in (-1, 1))
    y = np.where(found.density > floor, found.density, np.nan) if log else found.density
    marks: list[Mark] = [Line(found.at, y, "density, +- standard error", 0, low=low, high=high)]
    border = border_of(run, here)
    note = here.surface.meaning
    if border is not None and border.border is not None and border.curvature is not None:
        top = border.curvature.value * border.border / border.learning_rate
        plain = not any(name in border.formula for name in ("P", "sqrt")) and _is_plain(border, found.at)
        if plain and top < 4 * float(found.at[-1]):
            marks.append(Rule(top, "x", f"borne by a learning rate of {number(border.learning_rate, 3)}"))
    across, up = Axis("curvature", "loss per unit of theta^2"), Axis("density of eigenvalues", "1 / curvature", log)
    title = f"Spectrum of the Hessian, {here.said}"
    return Chart(title, (Panel(across, up, tuple(marks)),), note=note[:1].upper() + note[1:] + "." * bool(note))


def _is_plain(border: Border, at: Any) -> bool:
    """Whether the curvature that the optimizer meets is that of the loss: it divides the gradient by nothing."""
    assert border.curvature is not None
    return bool(0.3 * at[-1] < border.curvature.value < 3 * at[-1])
