"""Metrics of numbers: how far predictions are off, in the unit of the target or as a share of its spread."""

import math
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.nn.loss import Loss
from fallline.nn.metric import Numbered, Sum, mass, mean, metric
from fallline.ranges import Range

NUMBERS = ("regression",)


def _off(loss: Loss, output: Any, y: Any) -> Any:
    """y_hat - y of every entry."""
    return ((output if loss.link is None else loss.link(output)) - y).astype(np.float64)


def _over_rows(values: Any, weight: Any) -> Any:
    """The sum of each column."""
    return np.sum(values if weight is None else values * weight.astype(np.float64)[:, np.newaxis], axis=0)


def _squares(loss: Loss, output: Any, y: Any, weight: Any) -> Any:
    return _over_rows(np.square(_off(loss, output, y)), weight)


def _distances(loss: Loss, output: Any, y: Any, weight: Any) -> Any:
    return _over_rows(np.abs(_off(loss, output, y)), weight)


def _table(y: Array) -> Array:
    return np.asarray(y, np.float64).reshape(len(y), -1)


def _summed(values: Array, weight: Array | None) -> Array:
    weighted = values if weight is None else values * np.asarray(weight, np.float64)[:, np.newaxis]
    return np.asarray(np.sum(weighted, axis=0))


def _r2(squares: Array, y: Array, weight: Array | None) -> float:
    """R^2, averaged over the columns of y, from sums of squared errors."""
    if len(y) < 2:
        return math.nan
    y = _table(y)
    centre = np.mean(y, axis=0) if weight is None else _summed(y, weight) / mass(y, weight)
    spread = _summed(np.square(y - centre), weight)
    varies = np.min(y, axis=0) != np.max(y, axis=0)  # rounding leaves a constant column some spread
    with np.errstate(all="ignore"):
        return float(np.mean(np.where(varies & (spread > 0), 1 - squares / spread, (squares == 0) * 1.0)))


def _entry_mean(sums: Array, y: Array, weight: Array | None) -> float:
    return float(np.sum(sums) / (mass(y, weight) * (y.size / len(y))))


def _rmse(squares: Array, y: Array, weight: Array | None) -> float:
    """The root mean squared error over all entries, from sums of squared errors."""
    return math.sqrt(_entry_mean(squares, y, weight))


@metric(better="higher", kinds=NUMBERS, usual=True, sums={"regression": Sum(_squares, _r2)})
def r2(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2, averaged over columns.

    For a constant column 1 if there is no error, else 0; NaN for one row, of which nothing can be explained. So it is
    in scikit-learn's r2_score.
    """
    return _r2(_summed(np.square(_table(y_true) - _table(y_pred)), sample_weight), y_true, sample_weight)


@metric(better="lower", kinds=NUMBERS, usual=True, sums={"regression": Sum(_squares, _rmse, in_unit=True)})
def rmse(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The root mean squared error, sqrt(mean (y - y_hat)^2) over all entries, in the unit of the target."""
    off = _table(y_true) - _table(y_pred)
    # Squares of numbers near 1 do not overflow.
    size = float(np.max(np.abs(off))) or 1.0
    return size * math.sqrt(mean(np.mean(np.square(off / size), axis=1), sample_weight))


@metric(better="lower", kinds=NUMBERS, sums={"regression": Sum(_distances, _entry_mean, in_unit=True)})
def mae(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The mean absolute error, mean |y - y_hat| over all entries, in the unit of the target."""
    return mean(np.mean(np.abs(_table(y_true) - _table(y_pred)), axis=1), sample_weight)


@metric(
    better="lower", kinds=NUMBERS,
    numbered=Numbered("quantile", "pinball_{}", Range(above=0, below=1)),
)  # fmt: skip
def pinball(y_true: Array, y_pred: Array, sample_weight: Array | None = None, *, quantile: float = 0.5) -> float:
    """The mean of q (y - y_hat) where y is above, (1 - q) (y_hat - y) where it is below: lowest at the q-quantile.

    q is 0.5, and pinball_0.9 has 0.9; in the unit of the target. Source: Koenker & Bassett 1978; scikit-learn's
    mean_pinball_loss.
    """
    off = _table(y_true) - _table(y_pred)
    return mean(np.mean(np.maximum(quantile * off, (quantile - 1) * off), axis=1), sample_weight)


@metric(better=None, kinds=("custom",))
def coverage(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The share of rows between their lowest and their highest predicted quantile, edges included.

    y_pred: (N, Q), Q of two or more quantiles in any order, as a network trained by nn.Pinball gives them. Near the
    share that was asked for is good: neither higher nor lower is. Errors: ArgumentError for one prediction a row.
    """
    if y_pred.ndim != 2 or y_pred.shape[1] < 2 or _table(y_true).shape[1] != 1:
        raise ArgumentError(f"coverage is of two quantiles or more of one number, got predictions {y_pred.shape}")
    low, high = np.min(y_pred, axis=1), np.max(y_pred, axis=1)
    y = _table(y_true)[:, 0]
    return mean((low <= y) & (y <= high), sample_weight)
