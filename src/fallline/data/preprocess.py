"""What happens to rows before a network sees them, kept with the model so that new rows meet the same.

x' = (x - mean) / scale         each column by the mean and standard deviation of the training rows
y' = (y - mean) / scale         a quantity whose loss allows it; predictions are taken back
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.data.dataset import Dataset, Numbers, Rows
from fallline.errors import DataError


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The numbers of a standardisation, and the names of what goes in and comes out.

    mean, scale: one for each of `features`. target_mean, target_scale: 0 and 1 where the target is left as it is.
    classes: names in the order of their codes, empty for regression.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    target: str
    task: str
    classes: tuple[str, ...] = ()
    target_mean: float = 0.0
    target_scale: float = 1.0

    def inputs(self, x: Numbers) -> Numbers:
        """Rows as the network sees them, (N, D)."""
        standard: Numbers = (x - np.asarray(self.mean)) / np.asarray(self.scale)
        return standard

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets as the loss sees them: codes as they are, quantities standardised."""
        return y if self.classes else (y - self.target_mean) / self.target_scale

    def quantities(self, y_hat: NDArray[Any]) -> Numbers:
        """A regression's predictions in the units of the file."""
        return np.asarray(y_hat, dtype=np.float64) * self.target_scale + self.target_mean

    def to_config(self) -> dict[str, Any]:
        """As JSON holds it; every float comes back to the last bit."""
        return {
            "features": list(self.features),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "target": self.target,
            "task": self.task,
            "classes": list(self.classes),
            "target_mean": self.target_mean,
            "target_scale": self.target_scale,
        }


def standardise(data: Dataset, train: Rows, *, target: bool = False) -> Preprocessing:
    """The standardisation of a data set by its training rows alone.

    train: the rows measured. target: whether a regression's target is standardised too. A column that is constant on
    the training rows is only moved to zero; with `same_unit` all columns share one mean and one scale.
    """
    x = data.x[train]
    if data.same_unit:
        mean, scale = (np.full(x.shape[1], value) for value in centre_and_spread(x.reshape(-1)))
    else:
        mean, scale = centre_and_spread(x)
    y_mean, y_scale = 0.0, 1.0
    if target and data.task == "regression":
        y_mean, y_scale = (float(value) for value in centre_and_spread(data.y[train]))
    return Preprocessing(
        data.features,
        tuple(mean.tolist()),
        tuple(scale.tolist()),
        data.target,
        data.task,
        data.classes,
        y_mean,
        y_scale,
    )


def centre_and_spread(x: Numbers) -> tuple[Any, Any]:
    """Mean and standard deviation along the first axis; the spread of a constant column is 1.

    Both are taken of x / max|x|, so that squares of large numbers do not overflow; a spread at the level of rounding
    counts as none.
    """
    size = np.abs(x).max(axis=0)
    size = np.where(size > 0, size, 1.0)
    unit = x / size
    spread = unit.std(axis=0)
    return unit.mean(axis=0) * size, np.where(spread > 1e-12, spread * size, 1.0)


def from_config(config: Mapping[str, Any]) -> Preprocessing:
    """A preprocessing as `to_config` wrote it. Errors: DataError for one that does not hold together."""
    try:
        made = Preprocessing(
            features=texts(config["features"]),
            mean=finite(config["mean"]),
            scale=finite(config["scale"]),
            target=str(config["target"]),
            task=str(config["task"]),
            classes=texts(config["classes"]),
            target_mean=finite([config["target_mean"]])[0],
            target_scale=finite([config["target_scale"]])[0],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the model's preprocessing cannot be read: {type(error).__name__}: {error}") from None
    if not len(made.features) == len(made.mean) == len(made.scale) or 0.0 in (*made.scale, made.target_scale):
        raise DataError("the model's preprocessing does not hold together: columns, means and scales differ in number")
    return made


def texts(items: Sequence[Any]) -> tuple[str, ...]:
    if not all(isinstance(item, str) for item in items):
        raise ValueError(f"names expected, got {items!r:.60}")
    return tuple(items)


def finite(items: Sequence[Any]) -> tuple[float, ...]:
    values = tuple(float(item) for item in items)
    if not all(map(math.isfinite, values)):
        raise ValueError("a number is not finite")
    return values
