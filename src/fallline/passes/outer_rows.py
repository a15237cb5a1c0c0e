"""Outer products of many rows are made element by element, so that each element is written once, as it comes.

    (N, m, 1) @ (N, 1, n)   becomes   (N, m, 1) * (N, 1, n)

A product of matrices fetches its result before it adds to it, which takes most of the time where nothing is summed; and
an elementwise product goes into the chain of whatever reads it. Asks for kinds, never for names.
"""

from fallline.graph.node import Graph, Node
from fallline.graph.op import Kind
from fallline.graph.verify import is_pass
from fallline.graph.where import made_at
from fallline.ops.arithmetic import multiply

# Shorter rows of the result are begun and ended more than written: at 10 floats a product of matrices is quicker.
SHORTEST = 16


@is_pass
def outer_products_by_element(graph: Graph) -> Graph:
    """The same graph with outer products of rows as elementwise ones. Numbers are the same, to the sign of a zero."""
    nodes = graph.nodes()
    if not any(is_outer_of_rows(node) for node in nodes):
        return graph
    new: dict[Node, Node] = {}
    for node in nodes:
        inputs = tuple(new[x] for x in node.inputs)
        if is_outer_of_rows(node):
            with made_at(node.where):
                new[node] = multiply(*inputs)
        else:  # made anew, so that nodes keep their order
            new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where) if inputs else node
    return Graph(graph.inputs, tuple(new[output] for output in graph.outputs))


def is_outer_of_rows(node: Node) -> bool:
    """Is this a product of a column and a row for each of many rows?"""
    if node.op.kind is not Kind.CONTRACTION or len(node.inputs) != 2 or node.dtype.kind != "f":
        return False
    *batch, _, n = node.shape
    return node.inputs[0].shape[-1] == 1 and n >= SHORTEST and any(size > 1 for size in batch)
