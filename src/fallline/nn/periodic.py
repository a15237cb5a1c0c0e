"""Periodic: each number of a row as a few learned waves beside itself, which show a network fine steps of a column."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.context import Context
from fallline.nn.layer import Generator, with_batch
from fallline.ranges import option, short
from fallline.tree import Tree


@table.layer(lambda: [(Periodic(3, 3, deviation=1.0), (4,)), (Periodic(rate=0.1), (2,))])
@dataclass(frozen=True)
class Periodic(NotCalled):
    """Each number x_d of a row as `units` numbers: itself, and units - 1 mixtures of waves.

        e_d = [x_d, W_d' cos(2 pi f_d x_d + p_d) + b_d]        f_d, p_d: (frequencies,), W_d: (frequencies, units - 1)

    x: (N, D), about -3..3; the result is (N, D units), the numbers of a column side by side. f is drawn with deviation
    `deviation`, p evenly from -pi..pi, W and b evenly from +-1 / sqrt(frequencies).
    frequencies: waves of each column, >= 1. units: >= 2. rate: >= 0, factor of the learning rate for all parameters.
    Errors: ArgumentError outside the ranges; ShapeError for inputs that are not rows.
    Source: the PBLD embedding of Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, section 3.2, with rate=0.1;
    after Gorishniy, Rubachev, Babenko 2022, arXiv:2203.05556, section 3.3.
    Example: Sequential(Periodic(rate=0.1), Dense(64), ReLU(), Dense(10))
    """

    frequencies: int = option(16, "waves of each column", at_least=1, at_most=10**6, whole=True)
    units: int = option(4, "numbers for each column", at_least=2, at_most=10**6, whole=True)
    deviation: float = option(0.1, "spread of the first frequencies", above=0)
    rate: float = option(1.0, "factor of the learning rate", at_least=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        if len(shape) != 1:
            raise ShapeError(f"{short(self)} takes rows of numbers, (N, D), and meets an input of shape "
                             f"{with_batch(shape)}")  # fmt: skip
        (d,), f, k = shape, int(self.frequencies), int(self.units) - 1
        limit = f**-0.5
        drawn = {
            "frequency": rng.normal(0.0, self.deviation, (d, f)),
            "phase": rng.uniform(-np.pi, np.pi, (d, f)),
            "weight": rng.uniform(-limit, limit, (d, f, k)),
            "bias": rng.uniform(-limit, limit, (d, k)),
        }
        return {name: values.astype(dtype) for name, values in drawn.items()}, (d * (k + 1),)

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        if context is not None:
            context.treat(params, rate=self.rate)
            context.treat([params["phase"], params["bias"]], rate=self.rate, decay=0.0)
        n = x.shape[0]
        angle = x[:, :, None] * (2 * np.pi * params["frequency"]) + params["phase"]
        mixed = np.einsum("ndf,dfk->ndk", np.cos(angle), params["weight"]) + params["bias"]
        return np.concatenate([x[:, :, None], mixed], axis=2).reshape(n, -1)
