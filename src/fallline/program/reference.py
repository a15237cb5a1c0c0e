"""The reference: a graph run node by node through the ops' meanings. Slower than the machine, and plainly right."""

from collections.abc import Sequence

import numpy as np

from fallline.errors import OutOfRangeError
from fallline.graph.node import Graph, Node, evaluate
from fallline.graph.op import Array


def compute(node: Node, inputs: list[Array]) -> Array:
    """One node's value. NumPy may answer in another dtype for 0-d values; the node's own dtype counts."""
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(node.op.meaning(*inputs, **node.attrs))
    except IndexError as error:
        raise OutOfRangeError(f"{error}\n  at {node.where}") from None
    return value if value.dtype == node.dtype else value.astype(node.dtype)


def run(graph: Graph, values: Sequence[Array]) -> list[Array]:
    """The outputs of a graph for these input values, in order."""
    return evaluate(graph, values, compute)
