"""Parameters that start from a look at training rows: layers with a `settle` get their inputs, one after the other.

    settle(params, x, rng) -> params        x: (N, ...), the layer's inputs on some rows

Knows no single layer and no training.
"""

from typing import Any

import numpy as np

from fallline import tree
from fallline.nn.context import Context, applied
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.tree import Tree

# So many rows tell the spread of a unit to a few hundredths.
ROWS = 1024


def settles(network: Any) -> bool:
    """Whether a layer of the network wants to see rows before training begins."""
    return isinstance(network, Sequential) and any(getattr(layer, "settled", False) for layer in network.layers)


def settled(model: Model, x: Tree, rng: np.random.Generator) -> Model:
    """The model whose layers have seen these rows of its network's inputs; itself where none wants to."""
    if not settles(model.network):
        return model
    params, x = [*model.params], tree.map(lambda a: a.astype(model.dtype) if a.dtype.kind == "f" else a, x)
    for place, layer in enumerate(model.network.layers):  # type: ignore[attr-defined]
        if hasattr(layer, "settle"):
            params[place] = layer.settle(params[place], x, rng)
        x = np.asarray(applied(layer, params[place], x, Context(dtype=model.dtype)))
    return model.with_params(tuple(params))
