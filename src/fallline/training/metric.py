"""What validation measures beside the loss: sums over blocks of rows that a graph can add up, and numbers from them.

One entry for each kind of targets; knows outputs and targets, no single model.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.nn.loss import Loss


@dataclass(frozen=True, slots=True)
class Metrics:
    """names: what is measured. sums: (loss, outputs, y) -> float64 sum over rows, traced. finish: (sum, y) -> numbers.

    y in `finish` are the targets of all rows that were summed.
    """

    names: tuple[str, ...]
    sums: Callable[[Loss, Any, Any], Any]
    finish: Callable[[Array, Array], tuple[float, ...]]


def _hits(loss: Loss, output: Any, y: Any) -> Any:
    truth = y if len(y.shape) == 1 else np.argmax(y, axis=1)
    return np.sum((np.argmax(output, axis=1) == truth).astype(np.float64))


def _right_side(loss: Loss, output: Any, y: Any) -> Any:
    return np.sum(((output > 0) == (y > 0.5)).astype(np.float64))


def _right_sides(loss: Loss, output: Any, y: Any) -> Any:
    """Rows in which all entries are right, and right entries."""
    right = (output > 0) == (y > 0.5)
    return np.stack([np.sum(np.all(right, axis=1).astype(np.float64)), np.sum(right.astype(np.float64))])


def _squares(loss: Loss, output: Any, y: Any) -> Any:
    y_hat = output if loss.link is None else loss.link(output)
    return np.sum(np.square((y_hat - y).astype(np.float64)), axis=0)


def errors(squares: Array, y: Array) -> tuple[float, float]:
    """R^2, averaged over the columns of y, and the root mean squared error, from sums of squared errors.

    R^2 = 1 - squares / sum (y - mean y)^2;  for a constant column 1 if there is no error, else 0; NaN for one row, of
    which nothing can be explained. So it is in scikit-learn's r2_score.
    """
    rmse = float(np.sqrt(np.sum(squares) / y.size))
    if len(y) < 2:
        return math.nan, rmse
    spread = np.sum(np.square(y - np.mean(y, axis=0, dtype=np.float64)), axis=0, dtype=np.float64)
    varies = np.min(y, axis=0) != np.max(y, axis=0)  # rounding leaves a constant column some spread
    with np.errstate(all="ignore"):
        r2 = np.where(varies & (spread > 0), 1 - squares / spread, (squares == 0) * 1.0)
    return float(np.mean(r2)), rmse


METRICS: Mapping[str, Metrics] = {
    "classification": Metrics(("accuracy",), _hits, lambda hits, y: (float(hits) / len(y),)),
    "binary": Metrics(("accuracy",), _right_side, lambda right, y: (float(right) / len(y),)),
    "labels": Metrics(
        ("exact_match", "entry_accuracy"),
        _right_sides,
        lambda right, y: (float(right[0]) / len(y), float(right[1]) / y.size),
    ),
    "regression": Metrics(("r2", "rmse"), _squares, errors),
}


def metrics_for(task: str, y: Array) -> Metrics | None:
    """What is measured for a task with targets like these, as the loss takes them; None where only its user knows.

    Two classes as 0 and 1 have an accuracy. In several columns of them, a single 1 in every row names the row's class,
    and the largest output has to be there; otherwise a row is right where all its entries are. Numbers between 0 and 1
    are come near to, as in a regression.
    """
    if task != "binary":
        return METRICS.get(task)
    if np.any((y > 0) & (y < 1)):
        return METRICS["regression"]
    if y.shape[1] == 1:
        return METRICS["binary"]
    return METRICS["classification" if np.all(np.sum(y, axis=1) == 1) else "labels"]
