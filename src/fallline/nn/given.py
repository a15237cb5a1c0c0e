"""From the arguments of a caller or a config to the parts of a model: network, shape, precision, decoder, classes.

Knows no model.
"""

import math
from typing import Any

import numpy as np

from fallline.config import from_config
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.graph.op import Array, Shape
from fallline.nn.encoder import Decoder, Labels, Quantity
from fallline.nn.layer import Layer, check_no_model, is_layer
from fallline.nn.loss import Loss
from fallline.nn.sequential import Sequential


def row_hint(given: Any, array: Array, shape: Shape) -> str:
    """How the same numbers would be rows of this shape, where they could be."""
    size = math.prod(shape)
    if array.shape == shape:
        return f"\n  try: {'x[None]' if isinstance(given, np.ndarray) else '[x]'}, for a single row"
    if array.size and (array.size == size or math.prod(array.shape[1:]) == size):
        x = "x" if isinstance(given, np.ndarray) else "np.asarray(x)"
        return f"\n  try: {x}.reshape({', '.join(map(str, (-1, *shape)))}), for the same numbers in rows"
    return ""


def as_network(network: Any) -> Layer:
    """A layer itself, or a list of layers or a function as one."""
    check_no_model(network, "the network")
    if is_layer(network) and not isinstance(network, type):
        return network
    if isinstance(network, list | tuple) or (callable(network) and not isinstance(network, type)):
        return Sequential(*(network if isinstance(network, list | tuple) else [network]))
    raise ArgumentTypeError(f"a network is a layer or a list of layers, got {network!r}\n  try: nn.mlp((64,), 10)")


def without_link(network: Layer, loss: Loss) -> Layer:
    """The network without a last layer that is the loss's own link."""
    last: Any = network.layers[-1] if isinstance(network, Sequential) and network.layers else None
    if isinstance(network, Sequential) and last is not None and type(last) is type(loss.link):
        return Sequential(*network.layers[:-1])
    return network


def as_shape(given: Any) -> Shape:
    """The shape of one row of x."""
    try:
        shape = tuple(given) if isinstance(given, tuple | list) else (given,)
        sizes = tuple(int(n) for n in shape)
        if any(n < 0 or n != m for n, m in zip(sizes, shape, strict=True)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"input_shape is the shape of one row of x, such as (784,) or 784, got {given!r}") from None
    return sizes


def as_float(dtype: Any) -> np.dtype[Any]:
    """The precision of a model."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    if name in ("float32", "float64"):
        return np.dtype(name)
    raise ArgumentError(f'dtype is "float32" or "float64", got {dtype!r}')


def decoder_of(config: Any) -> Decoder:
    """The decoder of a model's config."""
    made = from_config(config, object, "decoder")
    if isinstance(made, Labels | Quantity):
        return made
    raise ArgumentError(f"decoder is {config!r:.60}, not nn.Labels or nn.Quantity")


def classes_of_config(config: Any) -> Array | None:
    """The classes of a model's config, in the dtype that they had."""
    if config is None:
        return None
    try:
        kind, labels = np.dtype(config["kind"]), config["labels"]
        classes = np.array(labels, kind)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise ArgumentError(f"not the classes of a model: {config!r:.80}") from None
    if kind.kind not in "fiubU" or classes.tolist() != labels:
        raise ArgumentError(f"not the classes of a model: {config!r:.80}")
    return classes
