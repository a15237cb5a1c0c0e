"""Layers that shape how a network learns: Dropout, random while training, and Residual, a connection past layers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.activation import Tanh
from fallline.nn.context import Context
from fallline.nn.layer import Dense, Generator, with_batch
from fallline.nn.sequential import Sequential
from fallline.ops.arithmetic import where
from fallline.ranges import option, short
from fallline.tree import Tree


@table.layer(lambda: [(Dropout(0.3), (4,)), (Dropout(fades=True), (2, 3))])
@dataclass(frozen=True)
class Dropout(NotCalled):
    """Sets a share of its inputs to 0 at every step of training, and scales the rest; passes all on otherwise.

        y = m x / (1 - rate)        m: 0 with probability rate, else 1, drawn anew for every element and step

    rate: 0 <= rate < 1. The numbers drawn follow from the seed and the step alone.
    fades: the rate holds for the first half of the training and then falls to 0 along half a cosine.
    Source: Srivastava et al. 2014, Dropout, JMLR 15; scaled while training rather than afterwards. fades: Holzmueller,
    Grinsztajn, Steinwart 2024, arXiv:2407.04491, appendix A.
    Errors: ArgumentError for a rate outside its range.
    Example: Sequential(Dense(64), ReLU(), Dropout(0.2), Dense(10))
    """

    rate: float = option(0.5, "share set to 0", at_least=0, below=1)
    fades: bool = option(False, "fall to 0 in the second half of the training", flag=True)

    def __post_init__(self) -> None:
        ranges.check(self)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        return {}, shape

    def apply(self, params: Tree, x: Any, context: Context) -> Any:
        if not context.training:
            return x
        zero, rate = np.zeros((), x.dtype), self.rate
        if self.fades:
            fallen = np.maximum(2 * context.progress - 1, 0)
            rate = (rate * (0.5 + 0.5 * np.cos(np.pi * fallen))).astype(x.dtype)
        return where(context.uniform(x.shape) < rate, zero, x * (1 / (1 - rate)))


@table.layer(lambda: [(Residual(Dense(4), Tanh()), (4,)), (Residual(Dropout(0.2)), (2, 3))])
@dataclass(frozen=True, init=False)
class Residual(NotCalled):
    """Layers with a connection past them: their input is added to their output.

        y = x + f(x)        f: the layers, which have to keep the shape

    Source: He et al. 2016, Deep residual learning, arXiv:1512.03385, equation 1.
    Errors: ShapeError, when a model is made, for layers that change the shape.
    Example: Sequential(Dense(64), Residual(ReLU(), Dense(64)), Dense(10))
    """

    inner: Sequential

    def __init__(self, *layers: Any) -> None:
        object.__setattr__(self, "inner", Sequential(*layers))

    def __repr__(self) -> str:
        return f"Residual({', '.join(map(short, self.inner.layers))})"

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        params, out = self.inner.init(rng, shape, dtype)
        if tuple(out) != tuple(shape):
            raise ShapeError(
                f"{short(self)} turns {with_batch(shape)} into {with_batch(out)}, and the two cannot be added\n"
                f"  try: nn.Dense({shape[-1] if shape else 1}) as its last layer"
            )
        return params, shape

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        return x + self.inner.apply(params, x, context)

    @staticmethod
    def _from_fields(fields: dict[str, Any]) -> "Residual":
        return Residual(*fields["inner"].layers)
