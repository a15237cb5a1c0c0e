"""Parametric: an activation of which each unit learns how much it bends."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import activation as activations
from fallline.nn import layer_table as table
from fallline.nn.activation import Mish
from fallline.nn.context import Context
from fallline.nn.layer import Generator
from fallline.ranges import option, short
from fallline.tree import Tree


@table.layer(lambda: [(Parametric("selu", rate=0.1), (4,)), (Parametric(Mish()), (2, 3))])
@dataclass(frozen=True)
class Parametric(NotCalled):
    """An activation of which each unit learns a share, from the identity at 0 to the whole bend at 1 and beyond.

        y = x + alpha (f(x) - x)        x: (N, ..., D), alpha: (D,), 1 at first

    activation: f, a name of ACTIVATIONS or a layer such as LeakyReLU(0.2). rate: >= 0, factor of the learning rate for
    alpha.
    Errors: ArgumentError for an unknown activation or a rate outside the range; ShapeError for rows without features.
    Source: Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, section 3.2, with rate=0.1; as in He et al. 2015,
    arXiv:1502.01852, for ReLU.
    Example: Sequential(Dense(64), Parametric("selu", rate=0.1), Dense(10))
    """

    activation: Any
    rate: float = option(1.0, "factor of the learning rate", at_least=0)

    def __post_init__(self) -> None:
        ranges.check(self)
        object.__setattr__(self, "activation", activations.get(self.activation))

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        if not shape:
            raise ShapeError(f"{short(self)} takes features, (N, D), and meets an input of shape (N,)")
        return {"alpha": np.ones(shape[-1:], dtype)}, shape

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        if context is not None and self.rate != 1:
            context.treat(params["alpha"], rate=self.rate)
        return x + params["alpha"] * (self.activation(x) - x)
