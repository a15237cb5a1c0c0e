"""Sequential: layers one after the other, itself a layer; and `mlp`, the network most people mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.graph.op import Shape
from fallline.nn import activation as activations
from fallline.nn.activation import Activation, Softmax
from fallline.nn.layer import Dense, Layer, as_layer
from fallline.tree import Tree


@dataclass(frozen=True, init=False)
class Sequential:
    """Layers one after the other; what one returns the next one takes. Nested ones are laid flat.

    layers: layer records, other Sequentials, or plain NumPy functions. Parameters are a tuple with one entry a layer,
        so that paths read `0.weight`, `0.bias`.
    Errors: ArgumentTypeError for what is no layer (its place is told), ArgumentError for Softmax before the end.
    Example: Sequential(Dense(64), ReLU(), Dense(10))
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Any) -> None:
        flat = [inner for place, layer in enumerate(layers) for inner in _flat(layer, place)]
        for place, layer in enumerate(flat[:-1]):
            if isinstance(layer, Softmax):
                raise ArgumentError(f"layer {place} is Softmax() and not the last one\n  try: nn.Tanh() or nn.ReLU()")
        followers = [*flat[1:], None]
        object.__setattr__(self, "layers", tuple(map(_suited, flat, followers)))

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"

    def init(self, rng: np.random.Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        params = []
        for place, layer in enumerate(self.layers):
            try:
                drawn, shape = layer.init(rng, shape, dtype)
            except ShapeError as error:
                before = f"layer {place - 1}, {self.layers[place - 1]!r}" if place else "the data"
                head, *rest = str(error).split("\n")
                raise ShapeError("\n".join([f"layer {place}: {head}", f"  it comes from {before}", *rest])) from None
            params.append(drawn)
        return tuple(params), shape

    def apply(self, params: Tree, x: Any) -> Any:
        for layer, its_params in zip(self.layers, params, strict=True):
            x = layer.apply(its_params, x)
        return x


def _flat(given: Any, place: int) -> tuple[Layer, ...]:
    if isinstance(given, Sequential):
        return given.layers
    if isinstance(given, list | tuple):
        raise ArgumentTypeError(f"layer {place} is a {type(given).__name__}\n  try: Sequential(*layers)")
    return (as_layer(given, place),)


def _suited(layer: Layer, follower: Layer | None) -> Layer:
    """A Dense layer without an initialiser of its own gets the one that suits the activation after it."""
    if isinstance(layer, Dense) and layer.initializer is None and isinstance(follower, Activation):
        return replace(layer, initializer=follower.suits)
    return layer


def mlp(hidden: Sequence[int], outputs: int, activation: Any = "relu") -> Sequential:
    """A multilayer perceptron: Dense and activation for every hidden width, then Dense for the outputs.

    hidden: widths, each >= 1; () gives linear or logistic regression.
    activation: a name of ACTIVATIONS, or a layer such as LeakyReLU(0.2).
    Example: mlp((64, 64), 10, "tanh")
    """
    bend = activations.get(activation)
    return Sequential(*(layer for width in hidden for layer in (Dense(width), bend)), Dense(outputs))
