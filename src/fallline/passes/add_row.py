"""A product plus a row is a product that adds the row to its sums: a layer's bias costs no pass of its own.

    a @ b + row   becomes   contract_onto(row, a, b)

Asks for kinds and facts, never for names. The fact of an op that it uses: sum, the result is a + b.
"""

from fallline.graph.node import Graph, Node
from fallline.graph.op import Kind
from fallline.graph.verify import is_pass
from fallline.graph.where import made_at
from fallline.ops.contract import contract_onto
from fallline.ops.reduce import broadcast_to


@is_pass
def rows_into_products(graph: Graph) -> Graph:
    """The same graph with every row that is added to a product added by the product itself.

    The machine adds it last, so its results are those of the original.
    """
    nodes = graph.nodes()
    users: dict[Node, int] = dict.fromkeys(graph.outputs, 1)
    for node in nodes:
        for x in node.inputs:
            users[x] = users.get(x, 0) + 1
    new: dict[Node, Node] = {}
    for node in nodes:
        inputs = tuple(new[x] for x in node.inputs)
        found = product_and_row(node, users)
        if found is not None:
            product, row = found
            a, b = (new[x] for x in product.inputs)
            with made_at(node.where):
                new[node] = contract_onto(broadcast_to(new[row], shape=node.shape), a, b)
        else:  # made anew, so that nodes keep their order
            new[node] = node if not inputs else Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
    return Graph(graph.inputs, tuple(new[output] for output in graph.outputs))


def product_and_row(node: Node, users: dict[Node, int]) -> tuple[Node, Node] | None:
    """(product, row) where a node is their sum and nobody else reads the product."""
    if not node.op.facts.get("sum"):
        return None
    for product, row in (node.inputs, node.inputs[::-1]):
        plain = product.op.kind is Kind.CONTRACTION and len(product.inputs) == 2 and product.dtype.kind == "f"
        is_row = row.shape[-1:] == node.shape[-1:] and all(n == 1 for n in row.shape[:-1])
        if plain and is_row and users[product] == 1 and product.shape == node.shape:
            return product, row
    return None
