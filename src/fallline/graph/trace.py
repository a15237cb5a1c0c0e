"""From a plain NumPy function to a graph: call it once on nodes and keep what comes out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import TraceError
from fallline.graph.node import Graph, Node, as_node, new_input


def input_like(array: Any, name: str = "") -> Node:
    return new_input(np.shape(array), np.asarray(array).dtype if not isinstance(array, Node) else array.dtype, name)


def as_output(value: Any) -> Node:
    """What a traced function returned, as a node."""
    if isinstance(value, str) or value is None:
        raise TraceError(f"a traced function has to return numbers, got {type(value).__name__}")
    return as_node(value)


def trace(function: Callable[..., Any], inputs: Sequence[Node]) -> tuple[Graph, Any]:
    """The graph of `function(*inputs)`, and the tree its outputs have (its leaves are the graph's output nodes)."""
    result = function(*inputs)
    outputs = tree.map(as_output, result)
    return Graph(tuple(inputs), tuple(tree.leaves(outputs))), outputs
