"""Gauges of activations: their size, and the units that no longer pass a gradient on. Seen on rows that stay the same.

Knows activations by their slopes, never by their names.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.gauges.gauge_table import gauge
from fallline.gauges.inner_values import Inner

# A bounded activation is saturated where its slope is below this share of the steepest that it can have.
FLAT = 0.01


@gauge(
    "activation_mean",
    unit="out",
    formula="mean_ij out_ij",
    needs=("probe",),
    reads="far from 0, compared with the deviation, it acts as a bias that the next layer has to undo",
    source="LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp, section 4.3",
    usual=True,
)
def activation_mean(inner: Inner) -> Mapping[str, Any]:
    """The mean of each layer's outputs, over rows and units."""
    return {path: np.mean(h) for path, h in inner.activations.items()}


@gauge(
    "activation_deviation",
    unit="out",
    formula="sqrt(mean_ij (out_ij - mean)^2)",
    needs=("probe",),
    reads="much the same from layer to layer in a network that starts well; towards 0 rows look alike to it",
    source="Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward networks, section 4.2",
    usual=True,
)
def activation_deviation(inner: Inner) -> Mapping[str, Any]:
    """The standard deviation of each layer's outputs, over rows and units."""
    return {path: np.std(h) for path, h in inner.activations.items()}


@gauge(
    "dead_units",
    unit="share",
    formula="#{j: slope_ij = 0 for all i} / units",
    needs=("probe",),
    healthy=(0.0, 0.4),
    reads="units that pass no gradient back for any of these rows: they have stopped learning, most often for good",
    source="Maas, Hannun, Ng 2013, Rectifier nonlinearities improve neural network acoustic models, section 2",
    usual=True,
)
def dead_units(inner: Inner) -> Mapping[str, Any]:
    """The share of an activation's units that are off, with slope 0, for every row."""
    return {
        path: np.mean((np.max(np.abs(slope), axis=0) == 0).astype(slope.dtype))
        for path, slope in inner.slopes(bounded=False).items()
    }


@gauge(
    "saturated",
    unit="share",
    formula="#{ij: |slope_ij| < 0.01 max slope} / outputs",
    needs=("probe",),
    healthy=(0.0, 0.5),
    reads="outputs at the flat ends of tanh, sigmoid and their like, which hardly pass a gradient back",
    source="Glorot & Bengio 2010, section 3.1",
    usual=True,
)
def saturated(inner: Inner) -> Mapping[str, Any]:
    """The share of a bounded activation's outputs at which it is flat."""
    return {
        path: np.mean((np.abs(slope) < FLAT).astype(slope.dtype)) for path, slope in inner.slopes(bounded=True).items()
    }
