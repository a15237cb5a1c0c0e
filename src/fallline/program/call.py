"""A graph as a function of arrays: `build` prepares one that is called again and again, `once` runs a graph a single time.

Both promise arrays of their own: never the caller's, never a constant's, and no two results share memory.
"""

from collections.abc import Callable, Sequence

import numpy as np

from fallline.graph.node import CONSTANT, Graph
from fallline.graph.op import Array
from fallline.program import reference


def once(graph: Graph, values: Sequence[Array]) -> list[Array]:
    """The outputs for these inputs, through the reference: right for a graph that is made anew at every call."""
    taken = {id(value) for value in values} | {id(n.attrs["value"]) for n in graph.nodes() if n.op is CONSTANT}
    results = []
    for result in reference.run(graph, values):
        own = result.flags.owndata and result.flags.writeable and id(result) not in taken
        results.append(result if own else np.array(result))
        taken.add(id(result))
    return results


def build(graph: Graph) -> Callable[[Sequence[Array]], list[Array]]:
    """A function from the graph's inputs to its outputs, prepared once and then called many times."""
    return lambda values: once(graph, values)
