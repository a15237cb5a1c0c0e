"""Scale: each feature times a factor of its own that is learned."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.context import Context
from fallline.nn.layer import Generator
from fallline.ranges import option, short
from fallline.tree import Tree


@table.layer(lambda: [(Scale(), (4,)), (Scale(6.0), (2, 3))])
@dataclass(frozen=True)
class Scale(NotCalled):
    """Each feature times a factor of its own: which columns matter is learned before anything is mixed.

        y = s x        x: (N, ..., D), s: (D,), 1 at first

    rate: >= 0, factor of the learning rate for s.
    Errors: ArgumentError outside the range; ShapeError for rows without features.
    Source: Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, section 3.2, with rate=6.
    Example: Sequential(Scale(6.0), Dense(64), ReLU(), Dense(10))
    """

    rate: float = option(1.0, "factor of the learning rate", at_least=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        if not shape:
            raise ShapeError(f"{short(self)} takes features, (N, D), and meets an input of shape (N,)")
        return {"scale": np.ones(shape[-1:], dtype)}, shape

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        if context is not None and self.rate != 1:
            context.treat(params["scale"], rate=self.rate)
        return x * params["scale"]
