"""Gauges of the next step: whether the loss of its batch falls, and where on the slice along its direction it lands.

Along the step, with tau = 0 where it begins and 1 where it ends, the batch's loss is fitted by a parabola

    m(tau) = w0 + w1 tau + w2 tau^2 / 2

from four numbers: loss and slope at both ends, each weighed by one over its variance over the rows. A step is judged by
the minimum of that parabola.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.gauges.gauge_table import Facts, Values, gauge
from fallline.gauges.inner_values import Inner
from fallline.graph.op import Array

COCKPIT = "Schneider, Dangel, Hennig 2021, Cockpit, arXiv:2102.06604, section 3.1 and appendix C.1"


@gauge(
    "loss_change",
    unit="loss",
    formula="L(theta') - L(theta)",
    needs=("after",),
    reads="on the batch that made the step; above 0 the step was too long for its own batch",
    source="the same batch before and after its step",
    usual=True,
)
def loss_change(inner: Inner) -> Mapping[str, Any]:
    """How much the next step changes the loss of its own batch."""
    return {"": inner.moved.loss - inner.at.loss}


def parabola(losses: Array, slopes: Array, loss_noise: Array, slope_noise: Array) -> Array:
    """(w0, w1, w2) of the parabola that fits loss and slope at both ends best, by their variances.

    losses, slopes: (2,), at tau = 0 and 1. loss_noise, slope_noise: their variances, (2,), >= 0.
    """
    design = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.5], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    seen = np.concatenate([losses, slopes])
    noise = np.concatenate([loss_noise, slope_noise])
    if not np.isfinite(seen).all():
        return np.full(3, np.nan)
    # Exact numbers must not make the others worthless, nor the weights infinite.
    largest = noise.max(initial=0.0) if np.isfinite(noise).all() else 0.0
    weight = largest / np.maximum(noise, 1e-6 * largest) if largest > 0 else np.ones(4)
    found: Array = np.linalg.solve(design.T @ (weight[:, None] * design), design.T @ (weight * seen))
    return found


def landing(fit: Array) -> float:
    """alpha of a parabola: -1 where the step stays, 0 at the minimum, 1 as high on the other side; NaN where it has no
    minimum ahead."""
    _, slope, bend = fit
    if not slope < 0:
        return float("nan")  # the step begins uphill
    return -1.0 if bend <= 0 else float(-bend / slope - 1)  # the minimum is at tau = -slope / bend


def landed(values: Values, facts: Facts) -> Mapping[str, Any]:
    ends = "before", "after"
    rows = {name: np.asarray(values[name], np.float64) for name in values}
    losses, slopes = (np.array([np.mean(rows[f"{what} {end}"]) for end in ends]) for what in ("loss", "slope"))
    noise = []
    for what in ("loss", "slope"):
        noise.append(np.array([np.var(one, ddof=1) / len(one) if len(one) > 1 else 0.0
                               for one in (rows[f"{what} {end}"] for end in ends)]))  # fmt: skip
    fit = parabola(losses, slopes, *noise)
    return {"": landing(fit), "slope": fit[1], "bend": fit[2]}


@gauge(
    "alpha",
    unit="1",
    formula="-w2 / w1 - 1",
    needs=("after",),
    finish=landed,
    healthy=(-1.0, 1.0),
    reads="-1: the step hardly moved along its slice; 0: it landed at the minimum; 1: as high on the other side; above "
    "1 it overshot",
    source=COCKPIT,
    usual=True,
    parts={"": "alpha, -1 where the slice bends down, NaN where the step begins uphill",
           "slope": "w1, loss per step: the slope where the step begins",
           "bend": "w2, loss per step^2: the curvature along the step"},
)  # fmt: skip
def alpha(inner: Inner) -> Mapping[str, Any]:
    """Where the next step lands on the slice of its batch's loss along its own direction."""
    found = {}
    for end, made in (("before", inner.at), ("after", inner.moved)):
        try:
            found[f"loss {end}"] = inner.row_losses(made)
            found[f"slope {end}"] = inner.row_slopes(made, inner.update)
        except ArgumentError:  # the loss is one number for a whole batch, so its noise is not known
            found[f"loss {end}"] = np.reshape(made.loss, (1,))
            found[f"slope {end}"] = np.reshape(inner.slope_of(made, inner.update), (1,))
    return found
