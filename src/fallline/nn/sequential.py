"""Sequential: layers one after the other, itself a layer; and `mlp`, the network most people mean."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import Form, takes
from fallline.errors import ArgumentError, ArgumentTypeError, FalllineError, NotCalled
from fallline.graph.node import Node
from fallline.graph.op import Shape
from fallline.graph.where import part
from fallline.nn import activation as activations
from fallline.nn import layer_table as table
from fallline.nn.activation import Activation, Softmax
from fallline.nn.context import Context, applied
from fallline.nn.layer import Dense, Layer, as_layer, check_parts, started, with_batch
from fallline.ranges import short
from fallline.tree import Tree


@table.layer(lambda: [(Sequential(Dense(3), "tanh", Dense(2)), (4,)), (Sequential(Dense(3), "sigmoid"), (4,))])
@dataclass(frozen=True, init=False)
class Sequential(NotCalled):
    """Layers one after the other: the output of one is the input of the next. Nested ones are flattened.

    layers: layer records, names of activations, plain NumPy functions, or other Sequentials. Parameters are a tuple
        with one entry a layer, so that paths read `0.weight`, `0.bias`.
    Errors: ArgumentTypeError for a value that is no layer (with its place), ArgumentError for Softmax before the end;
        ShapeError from `init`, when a layer cannot take the output of the one before it.
    Example: Sequential(Dense(64), ReLU(), Dense(10))
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Any) -> None:
        flat = tuple(inner for place, layer in enumerate(layers) for inner in _flat(layer, place))
        for place, layer in enumerate(flat[:-1]):
            if isinstance(layer, Softmax):
                raise ArgumentError(f"layer {place} is Softmax() and not the last one\n  try: nn.Tanh() or nn.ReLU()")
        object.__setattr__(self, "layers", flat)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(short, self.layers))})"

    def init(self, rng: np.random.Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        params = []
        for place, (layer, follower) in enumerate(zip_longest(self.layers, self.layers[1:])):
            try:
                drawn, out = started(_suited(layer, follower), rng, shape, dtype)
            except FalllineError as error:
                source = f"layer {place - 1}, {short(self.layers[place - 1])}" if place else "the data"
                head, *rest = str(error).split("\n")
                rest = [line for line in rest if not line.startswith("  its input: ")]
                lines = [f"layer {place}: {head}", f"  its input: {with_batch(shape)} from {source}", *rest]
                raise type(error)("\n".join(lines)) from None
            params.append(drawn)
            shape = out
        return tuple(params), shape

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        check_parts(params, len(self.layers), "Sequential")
        for place, (layer, its_params) in enumerate(zip(self.layers, params, strict=True)):
            its_context = None if context is None else context.within(place)
            with _at(place, layer, x):
                x = applied(layer, its_params, x, its_context, f"layer {place}")
        return x

    @staticmethod
    def _from_fields(fields: dict[str, Any]) -> "Sequential":
        return Sequential(*fields["layers"])


_NOTHING = nullcontext()
LONGEST_NAME = 20


def _at(place: int, layer: Layer, x: Any) -> AbstractContextManager[None]:
    """While a layer is traced, its name: nodes remember their layer."""
    if not isinstance(x, Node) and not any(isinstance(leaf, Node) for leaf in tree.leaves(x)):
        return _NOTHING
    name = short(layer)
    return part(f"{place} {name if len(name) <= LONGEST_NAME else type(layer).__name__}")


def _flat(given: Any, place: int) -> tuple[Layer, ...]:
    if isinstance(given, Sequential):
        return given.layers
    if isinstance(given, str):
        return (activations.get(given),)
    if isinstance(given, list | tuple):
        raise ArgumentTypeError(f"layer {place} is a {type(given).__name__}\n  try: Sequential(*layers)")
    return (as_layer(given, place),)


def _suited(layer: Layer, follower: Layer | None) -> Layer:
    """A Dense layer without an initialiser of its own gets the one that suits the activation after it."""
    if (
        isinstance(layer, Dense)
        and not layer.tangent
        and layer.initializer is None
        and isinstance(follower, Activation)
    ):
        return replace(layer, initializer=follower.suits)
    return layer


@takes(hidden=Form("a sequence of widths, such as (64, 64)", lambda given: isinstance(given, list | tuple | range)))
def mlp(hidden: Sequence[int], outputs: int, activation: Any = "relu") -> Sequential:
    """A multilayer perceptron: Dense and activation for every hidden width, then Dense for the outputs.

    hidden: widths, each >= 1; () gives linear or logistic regression.
    activation: a name of ACTIVATIONS, or a layer such as LeakyReLU(0.2).
    Errors: ArgumentError for a width below 1 and an unknown activation.
    Example: mlp((64, 64), 10, "tanh")
    """
    bend = activations.get(activation)
    return Sequential(*(layer for width in hidden for layer in (Dense(width), bend)), Dense(outputs))
