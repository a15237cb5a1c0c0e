"""The transpose of a product is the product of the transposes in the other order, which the machine writes as it is
wanted: its readers then walk along rows.

    (a @ b).T   becomes   b.T @ a.T

Asks for kinds and facts, never for names. The fact of an op that it uses: permutes, the axes in the order of `axes`.
"""

from fallline.graph.node import Graph, Node
from fallline.graph.op import Kind
from fallline.graph.verify import is_pass
from fallline.graph.where import made_at
from fallline.ops.contract import contract
from fallline.ops.view import transpose


@is_pass
def turned_products(graph: Graph) -> Graph:
    """The same graph with every product of floats that is read only as its transpose computed in transposed form.

    Sums of products may be taken in another order, as one lays them out; terms are the same.
    """
    nodes = graph.nodes()
    users: dict[Node, int] = dict.fromkeys(graph.outputs, 1)
    for node in nodes:
        for x in node.inputs:
            users[x] = users.get(x, 0) + 1
    if not any(turns_a_product(node, users) for node in nodes):
        return graph
    new: dict[Node, Node] = {}
    for node in nodes:
        if turns_a_product(node, users):
            a, b = (new[x] for x in node.inputs[0].inputs)
            axes = node.attrs["axes"]
            with made_at(node.inputs[0].where):
                new[node] = contract(transpose(b, axes=axes), transpose(a, axes=axes))
        else:  # made anew, so that nodes keep their order
            inputs = tuple(new[x] for x in node.inputs)
            new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where) if inputs else node
    return Graph(graph.inputs, tuple(new[output] for output in graph.outputs))


def turns_a_product(node: Node, users: dict[Node, int]) -> bool:
    """Is this the transpose of a product that nobody else reads?"""
    if not node.op.facts.get("permutes") or node.inputs[0].op.kind is not Kind.CONTRACTION:
        return False
    product, axes = node.inputs[0], node.attrs["axes"]
    last = len(axes) - 1
    plain = len(product.inputs) == 2 and product.dtype.kind == "f" and users[product] == 1
    return plain and axes[-2:] == (last, last - 1)
