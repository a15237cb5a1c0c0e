"""Matrices of two or three columns, such as outputs for two or three classes, are computed one column at a time.

A fold over so few is a chain of elementwise ops on columns, and so is all that is computed from it: the loss of a
batch, some ten instructions over rows of two numbers, becomes two chains over the rows.

    max(x, axis=1)   becomes   maximum(x[:, 0], x[:, 1])

Asks for kinds and facts, never for names. The facts of a fold that it uses:
  of_two  the op that folds two elements
  empty   the fold of none, from which sums begin
"""

from functools import reduce
from typing import Any

from fallline.graph.declare import cast_to
from fallline.graph.node import Graph, Node
from fallline.graph.op import TABLE, Kind, Shape
from fallline.graph.verify import is_pass
from fallline.graph.where import made_at
from fallline.ops.view import cut, join, reshape

# More columns than this would make chains that no longer fit the registers.
MOST = 3


@is_pass
def by_columns(graph: Graph) -> Graph:
    """The same graph with elementwise work on few columns done column by column, wherever rows of them are folded.

    Sums are taken from the first column to the last.
    """
    nodes = graph.nodes()
    shapes = {node.inputs[0].shape for node in nodes if folds_rows(node)}
    if not shapes:
        return graph
    work = _Columns(shapes)
    for node in nodes:
        work.take(node)
    return Graph(graph.inputs, tuple(work.whole(output) for output in graph.outputs))


def folds_rows(node: Node) -> bool:
    """Is this a fold of the rows of a matrix of few columns?"""
    if node.op.kind is not Kind.REDUCTION or "of_two" not in node.op.facts or node.attrs["axes"] != (1,):
        return False
    shape = node.inputs[0].shape
    return len(shape) == 2 and shape[0] > 1 and 1 < shape[1] <= MOST


class _Columns:
    """shapes: of the matrices that are taken apart."""

    def __init__(self, shapes: set[Shape]) -> None:
        self.shapes = shapes | {(n, 1) for n, _ in shapes}
        self.new: dict[Node, Node] = {}
        self.columns: dict[Node, list[Node]] = {}  # of nodes that exist as columns; one for all where they are equal

    def take(self, node: Node) -> None:
        """Find the new nodes that stand for this one, in the order of the old ones."""
        with made_at(node.where):
            if folds_rows(node):
                two = TABLE[node.op.facts["of_two"]]
                columns = [self.column(node.inputs[0], j) for j in range(node.inputs[0].shape[1])]
                folded = reduce(two, columns)
                if "empty" in node.op.facts:  # two negative zeros would stay negative
                    folded = two(folded, cast_to(node.op.facts["empty"], node.dtype))
                self.new[node] = reshape(folded, shape=node.shape)
            elif node.op.kind in (Kind.ELEMENTWISE, Kind.CAST) and node.shape in self.shapes:
                rows, count = node.shape
                self.columns[node] = [
                    self.made(node, [self.column(x, j) for x in node.inputs], (rows,)) for j in range(count)
                ]
            elif node.inputs:
                self.new[node] = self.made(node, [self.whole(x) for x in node.inputs], node.shape)
            else:
                self.new[node] = node

    def made(self, node: Node, inputs: list[Node], shape: Shape) -> Node:
        return Node(node.op, tuple(inputs), node.attrs, shape, node.dtype, node.where)

    def column(self, x: Node, j: int) -> Any:
        """Column j of a value that is broadcast to a matrix: as long as a column, or a single number."""
        if x in self.columns:
            columns = self.columns[x]
            return columns[j if len(columns) > 1 else 0]
        x = self.whole(x)
        if len(x.shape) == 2 and x.shape[0] > 1:
            x = cut(x, 1, j, j + 1) if x.shape[1] > 1 else x
            return reshape(x, shape=x.shape[:1])
        last = len(x.shape) - 1
        return reshape(cut(x, last, j, j + 1) if x.size > 1 else x, shape=())

    def whole(self, x: Node) -> Node:
        """The new node that stands for all of an old one."""
        if x not in self.new:
            columns = [reshape(column, shape=(column.size, 1)) for column in self.columns[x]]
            self.new[x] = join(*columns, axis=1) if len(columns) > 1 else columns[0]
        return self.new[x]
