"""Gauges of curvature: the ends of the Hessian's spectrum, its trace, the largest stable step beside the one in use.

They need products of the Hessian with vectors, one after the other, so they are made of plain arrays after the others.
All look at the rows that stay the same, as the network predicts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fallline import curvature
from fallline.curvature.on_rows import OnRows, on_rows
from fallline.errors import ArgumentError
from fallline.gauges.gauge_table import gauge
from fallline.gauges.inner_values import PROBE
from fallline.graph.op import Array
from fallline.nn.model import Model
from fallline.optim import Optimizer
from fallline.source import as_tree, named
from fallline.steps.step import OPTIMIZER


@dataclass(frozen=True, eq=False)
class Point:
    """Where a training stands, as plain arrays.

    model, optimizer: of the training; theta is that of `given`. given: arrays by name, as for `training_step`, and the
    probe's rows under PROBE + name.
    """

    model: Model
    optimizer: Optimizer
    given: Mapping[str, Array]

    @cached_property
    def surface(self) -> OnRows:
        """The loss on the probe's rows as a function of the trained parameters."""
        rows = {name.removeprefix(PROBE): one for name, one in self.given.items() if name.startswith(PROBE)}
        if not rows:
            raise ArgumentError("there are no rows to look at")
        x = as_tree({name: rows[name] for name in named(self.model.inputs)}, self.model.inputs)
        return on_rows(self.model.with_theta(np.array(self.given["theta"])), x, rows["y"], most=None)

    @property
    def moments(self) -> dict[str, Array]:
        """The optimizer's arrays by name."""
        found = {name: one for name, one in self.given.items() if name.startswith(OPTIMIZER)}
        return {name.removeprefix(OPTIMIZER): np.array(one) for name, one in found.items()}


HERE = {"error": "of the value: an eigenvalue lies within it"}


@gauge(
    "lambda_max",
    unit="loss/w^2",
    formula="max eigenvalue of H",
    needs=("curvature",),
    reads="plain gradient descent bears a learning rate below 2 / lambda_max; it rises early in training and stays "
    "near that border",
    source="Lanczos 1950; Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of "
    "stability, arXiv:2103.00065",
    parts={"": "lambda_max", **HERE},
)
def lambda_max(point: Point) -> Mapping[str, Any]:
    """The highest eigenvalue of the loss's Hessian: the curvature along the steepest bend."""
    found = curvature.lambda_max(point.surface)
    return {"": found.value, "error": found.error}


@gauge(
    "lambda_min",
    unit="loss/w^2",
    formula="min eigenvalue of H",
    needs=("curvature",),
    reads="far below 0 there is a way along which the loss bends down; near 0 compared with lambda_max, there is none",
    source="Lanczos 1950; Alain, Le Roux, Manzagol 2019, Negative eigenvalues of the Hessian, arXiv:1902.02366",
    parts={"": "lambda_min", **HERE},
)
def lambda_min(point: Point) -> Mapping[str, Any]:
    """The lowest eigenvalue of the loss's Hessian: below 0, a way down that the gradient does not show."""
    found = curvature.lambda_min(point.surface)
    return {"": found.value, "error": found.error}


@gauge(
    "hessian_trace",
    unit="loss/w^2",
    formula="sum of eigenvalues of H",
    needs=("curvature",),
    reads="the curvature of all directions together: beside lambda_max it says whether few directions bend or many",
    source="Meyer, Musco, Musco, Woodruff 2021, Hutch++, arXiv:2010.09649",
    parts={"": "tr H", "error": "its standard error"},
)
def hessian_trace(point: Point) -> Mapping[str, Any]:
    """The trace of the loss's Hessian, with its standard error."""
    found = curvature.trace(point.surface)
    return {"": found.value, "error": found.error}


# Probes, products with each, and curvatures of a sampled density: as many products as the trace takes, 60.
PROBES, PRODUCTS, POINTS = 3, 20, 100


@gauge(
    "spectral_density",
    unit="w^2/loss",
    formula="1/P sum_i N(t; lambda_i, width^2)",
    needs=("curvature",),
    reads="a bulk around 0 and a few outliers at the right, about as many as classes, are usual; what lies left of 0 "
    "are ways down",
    source="Ghorbani, Krishnan, Xiao 2019, An investigation into neural net optimization via Hessian eigenvalue "
    "density, arXiv:1901.10159",
    parts={"": "the density, whose integral is 1", "at": "at these curvatures, loss/w^2",
           "error": "of the density: its standard error over the probes"},
)  # fmt: skip
def spectral_density(point: Point) -> Mapping[str, Any]:
    """The density of the Hessian's eigenvalues, by Lanczos quadrature with three random probes."""
    found = curvature.density(point.surface, probes=PROBES, steps=PRODUCTS, points=POINTS)
    return {"": found.density, "at": found.at, "error": found.error}


@gauge(
    "stability",
    unit="1",
    formula="learning rate / largest stable one",
    needs=("curvature", "state"),
    healthy=(0.0, 1.0),
    reads="above 1 steps along the steepest bend grow, until the loss bends otherwise: the edge of stability",
    source="Cohen et al. 2021, arXiv:2103.00065; for Adam Cohen et al. 2022, arXiv:2207.14484",
    parts={
        "": "the ratio; NaN before the first step of a rule such as Adam",
        "border": "the largest stable learning rate; NaN where nothing bends upwards",
        "learning_rate": "in use",
        "curvature": "lambda as the optimizer's steps meet it",
    },
)
def stability(point: Point) -> Mapping[str, Any]:
    """The learning rate relative to the largest that the optimizer's steps bear on this curvature."""
    step, moments = int(point.given["step"]), point.moments
    if moments and not any(one.any() for one in moments.values()) and divides(point):
        return dict.fromkeys(("", "border", "learning_rate", "curvature"), np.nan)
    found = curvature.stable_step(point.surface, point.optimizer, state=moments, step=step)
    if found.border is None or found.curvature is None:
        raise ArgumentError(found.note)
    # A rule for stopping may have lowered the rate since.
    rate = float(point.given.get("learning_rate", found.learning_rate))
    border = found.border if np.isfinite(found.border) else np.nan
    return {"": rate / found.border, "border": border, "learning_rate": rate, "curvature": found.curvature.value}


def divides(point: Point) -> bool:
    """Whether the optimizer divides by what it has seen of the gradient, of which there is nothing before a step."""
    layout = point.model.layout.trained
    states = ({name: np.full_like(one, value) for name, one in point.moments.items()} for value in (0.0, 1.0))
    less, more = (point.optimizer.stability(state, 1, layout) for state in states)
    return less is not None and more is not None and not np.array_equal(less.scale, more.scale)
