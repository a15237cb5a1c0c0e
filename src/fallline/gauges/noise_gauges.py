"""Gauges of the noise in a batch's gradient: how much the rows' gradients differ from their mean.

With g_i the gradient of row i, g their mean, N the rows of the batch:

    S = sum_i |g_i - g|^2 / (N - 1)          the trace of their covariance
    |G|^2 = |g|^2 - S / N                    the squared length of the gradient of all rows, without bias

Only squared norms of rows, and products with g, are needed: no gradient of a row is kept.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.gauges.gauge_table import Facts, Values, gauge
from fallline.gauges.inner_values import Inner

BOLLAPRAGADA = "Bollapragada, Byrd, Nocedal 2017, Adaptive sampling strategies, arXiv:1710.11258"
MCCANDLISH = "McCandlish, Kaplan, Amodei 2018, An empirical model of large-batch training, arXiv:1812.06162"

# The mean of the losses of single rows is the batch's to this relative error, or the loss is none of rows.
ADDS_UP = 1e-3


def squares(inner: Inner) -> dict[str, Any]:
    """The numbers that noise is made of: squared norms of rows' gradients and of their mean, and N, the batch's rows.

    Where the gradients of all rows do not fit into memory there are those of some, which stand for all of the batch.
    """
    own = [*inner.row_squares.values()]
    mean = sum(np.sum(np.square(g)) for g in inner.row_gradient.values())
    found = {"rows": sum(own[1:], own[0]), "mean": mean, "batch": np.asarray(inner.rows)}
    # A loss of somebody's own may be no mean over rows; then the rows' gradients are not the batch's, and noise is NaN.
    return found if inner.model.task != "custom" else {**found, "adds up": inner.adds_up}


def with_slopes(inner: Inner) -> dict[str, Any]:
    """The same, and the product of each row's gradient with the mean one, (N,)."""
    slopes = inner.row_slopes(inner.at_rows, inner.row_gradient)
    if inner.chosen_rows is not None:
        slopes = slopes[inner.chosen_rows]
    return {**squares(inner), "slopes": slopes}


def trace_of(values: Values) -> Any:
    """S, the trace of the covariance of the rows' gradients; NaN for one row."""
    rows, mean, n = values["rows"].astype(np.float64), np.float64(values["mean"]), int(values["batch"])
    if not values.get("adds up", 0) < ADDS_UP:
        return np.nan
    return max(float(np.mean(rows) - mean), 0.0) * n / (n - 1) if n > 1 and np.isfinite(mean) else np.nan


def norm_ratio(values: Values, facts: Facts) -> Mapping[str, Any]:
    return {"": np.sqrt(trace_of(values) / int(values["batch"]) / np.float64(values["mean"]))}


def along_ratio(values: Values, facts: Facts) -> Mapping[str, Any]:
    slopes, n = values["slopes"].astype(np.float64), int(values["batch"])
    spread = np.var(slopes) * n / (n - 1) if n > 1 else np.nan
    return {"": np.sqrt(spread / n) / np.float64(values["mean"])}


def across_ratio(values: Values, facts: Facts) -> Mapping[str, Any]:
    slopes, mean, n = values["slopes"].astype(np.float64), np.float64(values["mean"]), int(values["batch"])
    beside = max(float(np.mean(values["rows"], dtype=np.float64) - np.mean(slopes**2) / mean), 0.0)
    return {"": np.sqrt(beside / (n - 1) / mean) if n > 1 else np.nan}


@gauge(
    "norm_test",
    unit="1",
    formula="sqrt(S / N) / |g|",
    needs=("rows",),
    finish=norm_ratio,
    healthy=(0.0, 1.0),
    reads="the error of the batch's gradient relative to its length: above 1 noise is longer than the gradient",
    source="Byrd, Chin, Nocedal, Wu 2012, Sample size selection in optimization methods for machine learning, eq. 3.11",
    usual=True,
)
def norm_test(inner: Inner) -> Mapping[str, Any]:
    """The norm test: the standard error of the batch's gradient, relative to its norm."""
    return squares(inner)


@gauge(
    "inner_product_test",
    unit="1",
    formula="sqrt(var_i <g_i, g> / N) / |g|^2",
    needs=("rows",),
    finish=along_ratio,
    healthy=(0.0, 1.0),
    reads="below 1 the step most likely goes down the loss of all rows; the paper enlarges the batch above 0.9",
    source=f"{BOLLAPRAGADA}, eq. 2.6",
    usual=True,
)
def inner_product_test(inner: Inner) -> Mapping[str, Any]:
    """The inner-product test: how uncertain the gradient is along its own direction."""
    return with_slopes(inner)


@gauge(
    "orthogonality_test",
    unit="1",
    formula="sqrt(sum_i |g_i - <g_i, g> g / |g|^2|^2 / (N - 1) / N) / |g|",
    needs=("rows",),
    finish=across_ratio,
    healthy=(0.0, 5.84),
    reads="the tangent of the angle by which noise turns the step; the paper allows 5.84, or 80 degrees",
    source=f"{BOLLAPRAGADA}, eq. 3.3",
)
def orthogonality_test(inner: Inner) -> Mapping[str, Any]:
    """The orthogonality test: how uncertain the gradient is across its own direction."""
    return with_slopes(inner)


def scale_of(values: Values, facts: Facts) -> Mapping[str, Any]:
    trace, n = trace_of(values), int(values["batch"])
    signal = np.float64(values["mean"]) - trace / n
    scale = trace / signal if signal > 0 else np.inf if signal <= 0 else np.nan
    # Noise may hide the gradient: then the batch is too small to tell, and all rows are not too many.
    most = facts.count if facts.count is not None else np.nan
    batch = np.nan if np.isnan(scale) else np.maximum(1.0, np.fmin(np.round(scale), most))
    return {"": scale if np.isfinite(scale) else np.nan, "trace": trace, "signal": signal, "batch": batch}


@gauge(
    "noise_scale",
    unit="rows",
    formula="S / |G|^2",
    needs=("rows",),
    finish=scale_of,
    reads="batches far below it gain nearly their size in progress a step, batches far above it hardly gain; one "
    "sample of it is rough: the mean of trace over the mean of signal is better",
    source=f"{MCCANDLISH}, eq. 2.9 and appendix A.1",
    usual=True,
    parts={"": "B = S / |G|^2, NaN where noise hides the gradient", "trace": "S, loss^2 per unit^2",
           "signal": "|G|^2, loss^2 per unit^2; may be negative", "batch": "suggested rows of a batch: B, at most all"},
)  # fmt: skip
def noise_scale(inner: Inner) -> Mapping[str, Any]:
    """The simple noise scale: the batch size at which noise and gradient are of one length."""
    return squares(inner)


def row_norms(values: Values, facts: Facts) -> Mapping[str, Any]:
    norms = np.sqrt(np.maximum(values["rows"], 0))
    known = norms[np.isfinite(norms)]
    return {"": np.quantile(known, [0, 0.25, 0.5, 0.75, 1]) if len(known) else np.full(5, np.nan)}


@gauge(
    "row_gradient_norms",
    unit="loss/w",
    formula="|g_i|: least, quartiles, largest",
    needs=("rows",),
    finish=row_norms,
    reads="a largest one far above the rest is a row that alone decides steps: an outlier, or a wrong target",
    source="Goodfellow 2015, Efficient per-example gradient computations, arXiv:1510.01799",
    usual=True,
)
def row_gradient_norms(inner: Inner) -> Mapping[str, Any]:
    """How long the gradients of single rows are: the least, the quartiles and the largest."""
    return squares(inner)


@gauge(
    "signal_to_noise",
    unit="1",
    formula="mean_j g_j^2 / var_i g_ij",
    needs=("rows",),
    reads="falls towards 0 as training comes to its end; a layer near 0 from the start only follows noise",
    source="Liu et al. 2020, Understanding why neural networks generalize well through GSNR, arXiv:2001.07384, eq. 1",
)
def signal_to_noise(inner: Inner) -> Mapping[str, Any]:
    """The gradient's signal-to-noise ratio: each element's squared mean over its variance, as a mean over elements."""
    found, n = {}, inner.rows
    if n < 2:
        return dict.fromkeys(inner.paths, np.asarray(np.nan))
    for path, square in inner.sums_of_squares.items():
        signal = np.square(inner.row_gradient[path])
        noise = np.maximum(square - signal, 0) * (n / (n - 1))
        ratio = np.where(noise > 0, signal / np.where(noise > 0, noise, 1), 0)
        found[path] = np.sum(ratio) / np.maximum(np.sum((noise > 0).astype(ratio.dtype)), 1)
    return found


@gauge(
    "gradient_variance",
    unit="(loss/w)^2",
    formula="sum_j var_i g_ij",
    needs=("rows",),
    reads="the trace of the covariance of rows' gradients, by array: where the noise comes from",
    source="Dangel, Kunstner, Hennig 2020, BackPACK, arXiv:1912.10985, table 1 (Variance)",
)
def gradient_variance(inner: Inner) -> Mapping[str, Any]:
    """The variance of the gradient over rows, summed over the elements of each array of parameters."""
    found = {}
    for path, own in inner.row_squares.items():
        found[path] = np.maximum(np.mean(own) - np.sum(np.square(inner.row_gradient[path])), 0)
    return found
