"""Gauges of single rows and classes: whose loss is high. Seen on rows that stay the same."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.gauges.gauge_table import Facts, Values, gauge
from fallline.gauges.inner_values import Inner
from fallline.graph.op import Array

# Rows that are named.
HARDEST = 10


def codes_of(y: Array) -> Array:
    """The class of each row, as its place among the classes."""
    if y.ndim == 1:
        return y.astype(np.int64)
    return (y[:, 0] > 0.5 if y.min() >= 0 else y[:, 0] > 0).astype(np.int64) if y.shape[1] == 1 else np.argmax(y, 1)


def by_class(values: Values, facts: Facts) -> Mapping[str, Any]:
    losses, codes = values["loss"].astype(np.float64), codes_of(values["y"])
    classes = facts.classes if facts.classes is not None else np.arange(codes.max(initial=0) + 1)
    return {str(label): np.mean(losses[codes == i]) if (codes == i).any() else np.nan
            for i, label in enumerate(classes)}  # fmt: skip


@gauge(
    "class_loss",
    unit="loss",
    formula="mean of l_i over the rows of class k",
    needs=("probe",),
    finish=by_class,
    reads="a class far above the others is rare, badly labelled, or not told apart yet; NaN without rows of it",
    source="the mean over the rows of a class",
    usual=True,
)
def class_loss(inner: Inner) -> Mapping[str, Any]:
    """The mean loss of the rows of each class, where targets are classes."""
    if inner.model.task not in ("classification", "binary"):
        raise ArgumentError(f"targets are no classes for the loss {inner.model.loss.name}")
    return {"loss": inner.losses_of_rows(inner.probe), "y": inner.probe.y}


def hardest(values: Values, facts: Facts) -> Mapping[str, Any]:
    losses = values["loss"].astype(np.float64)
    order = np.argsort(-np.where(np.isnan(losses), np.inf, losses), kind="stable")[:HARDEST]
    rows = order if facts.rows is None else facts.rows[order]
    return {"row": rows, "loss": losses[order]}


@gauge(
    "hardest_rows",
    unit="row; loss",
    formula="the rows of largest l_i",
    needs=("probe",),
    finish=hardest,
    reads="the same rows at the top from early to late: look at their targets",
    source="Shrivastava, Gupta, Girshick 2016, Online hard example mining, arXiv:1604.03540",
    parts={"row": "row numbers in the training data, the hardest first", "loss": "their losses"},
)
def hardest_rows(inner: Inner) -> Mapping[str, Any]:
    """The ten rows of the probe with the largest loss."""
    return {"loss": inner.losses_of_rows(inner.probe)}
