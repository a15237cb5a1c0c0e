"""Taps: named values of a step as one more output, and a ring in its state that takes them in at every step.

Nodes that only taps need are separate from the step: they share no chain of elementwise work with it. Knows no layers,
no names and no single op.
"""

from collections.abc import Mapping, Sequence

from fallline.graph.node import Graph, Node, new_input, reachable
from fallline.graph.verify import is_pass
from fallline.graph.where import part
from fallline.ops.view import join, reshape

# The group of nodes that only taps need; the step's own are in groups from 0 on.
APART = -1


@is_pass
def tap(graph: Graph, count: int, rows: int) -> Graph:
    """The step with a ring: its state grows by two arrays, and its last output is a row of the ring.

    graph: inputs are `count` arrays of state, then data; outputs are the new state, a value to watch, and then the
        tapped values, which become the row one after the other.
    rows: of the ring. The new arrays of state are the ring, (rows, width), and how many rows it was given, int64; who
        runs the step writes each row.
    """
    values = graph.outputs[count + 1 :]
    with part("taps"):
        flat = [reshape(value.astype(_dtype(values)), shape=(value.size,)) for value in values]
        row = flat[0] if len(flat) == 1 else join(*flat, axis=0)
    state = new_input((rows, row.size), row.dtype, "ring"), new_input((), "int64", "ring count")
    inputs = (*graph.inputs[:count], *state, *graph.inputs[count:])
    return Graph(inputs, (*graph.outputs[:count], *state, graph.outputs[count], row))


def _dtype(values: Sequence[Node]) -> str:
    return "float64" if any(value.dtype != "float32" for value in values) else "float32"


def tap_groups(graph: Graph) -> Mapping[Node, int]:
    """A group for the nodes that only the last output of a graph needs."""
    own = {*reachable(graph.outputs[:-1])}
    return {node: APART for node in graph.nodes() if node not in own}
