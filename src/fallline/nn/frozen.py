"""Frozen: a layer whose parameters no training changes."""

from dataclasses import dataclass
from typing import Any

from fallline import tree
from fallline.errors import NotCalled
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.context import Context
from fallline.nn.layer import Dense, Generator, Layer, as_layer, started
from fallline.nn.normalization import BatchNorm
from fallline.ops.view import stop_gradient
from fallline.ranges import short
from fallline.tree import Tree


@table.layer(lambda: [(Frozen(Dense(3)), (4,)), (Frozen(BatchNorm()), (4,))])
@dataclass(frozen=True, repr=False)
class Frozen(NotCalled):
    """A layer whose parameters stay as they are drawn or loaded, bit for bit, whatever the optimizer.

        y = f(x)        f: the layer as it predicts, also while training: dropout passes all on, running statistics stay

    Neither the gradient's step nor momentum or weight decay moves its parameters, and no gradient with respect to them
    is computed. Their paths are those of the layer itself.
    layer: a layer; several as one, nn.Sequential(...).
    Errors: ArgumentTypeError for a value that is no layer; those of the layer.
    To freeze a part of a trained model, see `Model.marked`.
    Example: Sequential(Frozen(Dense(256)), ReLU(), Dense(10))
    """

    layer: Layer

    def __post_init__(self) -> None:
        object.__setattr__(self, "layer", as_layer(self.layer, 0))

    def __repr__(self) -> str:
        return f"Frozen({short(self.layer)})"

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        return started(self.layer, rng, shape, dtype)

    def apply(self, params: Tree, x: Any, context: Context) -> Any:
        context.freeze(params)
        held = params if context.is_watched else tree.map(stop_gradient, params)
        return context.predicting().apply(self.layer, held, x)
