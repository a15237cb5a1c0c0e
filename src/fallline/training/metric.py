"""What validation measures beside the loss: sums over blocks of rows that a graph can add up, and numbers from them.

One entry a task; knows outputs and targets, no single model.
"""

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


def _squares(loss: Loss, output: Any, y: Any) -> Any:
    y_hat = output if loss.link is None else loss.link(output)
    return np.sum(np.square((y_hat - y).astype(np.float64)), axis=0)


def errors(squares: Array, y: Array) -> tuple[float, float]:
    """R^2, averaged over the columns of y, and the root mean squared error, from sums of squared errors.

    R^2 = 1 - squares / sum (y - mean y)^2;  for a constant column 1 if there is no error, else 0
    """
    spread = np.sum(np.square(y - np.mean(y, axis=0, dtype=np.float64)), axis=0, dtype=np.float64)
    with np.errstate(all="ignore"):
        r2 = np.where(spread > 0, 1 - squares / spread, (squares == 0) * 1.0)
    return float(np.mean(r2)), float(np.sqrt(np.sum(squares) / y.size))


METRICS: Mapping[str, Metrics] = {
    "classification": Metrics(("accuracy",), _hits, lambda hits, y: (float(hits) / len(y),)),
    "binary": Metrics(("accuracy",), _right_side, lambda hits, y: (float(hits) / y.size,)),
    "regression": Metrics(("r2", "rmse"), _squares, errors),
}
