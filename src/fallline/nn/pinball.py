"""Pinball: the loss whose minimum is a quantile, or several of them at once. Knows no network."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.errors import ArgumentError
from fallline.nn.loss import Loss, loss
from fallline.nn.target import Targets, numbers
from fallline.ops.arithmetic import where


def one_number(y: Any, dtype: Any, outputs: int | None = None, classes: Any = None) -> Targets:
    """One number a row, however many outputs come near to it; or as many as there are outputs."""
    return numbers(y, dtype, outputs if np.ndim(y) == 2 and np.shape(y)[1] == outputs else 1)


@loss
@dataclass(frozen=True)
class Pinball(Loss):
    """The loss of quantiles: being too low costs q, being too high costs 1 - q.

        mean over all entries of  max(q (y - o), (q - 1) (y - o))

    quantiles: each in 0 < q < 1. One is for all outputs; of several, output i is the quantile q_i of the one target.
    The derivative at y = o is that from above, 1 - q. Quantiles of one row may cross: sort them where that matters.
    o: (N, M), y: (N, 1), or (N, M); one-dimensional targets are a column.
    Errors: ArgumentError for quantiles out of range; DataError for targets that are no numbers.
    Example: fl.fit(nn.mlp((64,), 3), (x, y[:, 0]), loss=nn.Pinball((0.1, 0.5, 0.9)))
    Source: Koenker & Bassett 1978, Regression quantiles.
    """

    name = "pinball"
    task = "quantiles"
    prepare = staticmethod(one_number)
    quantiles: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        given: Any = self.quantiles
        several = tuple(given) if isinstance(given, tuple | list | np.ndarray) else (given,)
        if not several or not all(isinstance(q, int | float | np.floating) and 0 < q < 1 for q in several):
            raise ArgumentError(f"Pinball: quantiles are numbers > 0 and < 1, got {shown(given)}")
        object.__setattr__(self, "quantiles", tuple(map(float, several)))

    def each(self, output: Any, y: Any) -> Any:
        count = len(self.quantiles)
        if count not in (1, output.shape[1]):
            raise ArgumentError(
                f"Pinball has {count} quantiles, and the network gives {output.shape[1]} outputs\n"
                f"  try: nn.Dense({count}) as its last layer"
            )
        q = self.quantiles[0] if count == 1 else np.array(self.quantiles, output.dtype)
        below = y - output
        return where(below > 0, q * below, (q - 1) * below)
