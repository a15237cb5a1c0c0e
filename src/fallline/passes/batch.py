"""Batching: the graph of a computation on one row becomes the graph of the same computation on N rows at once.

A value that depends on a batched input gets a first axis of length N; every other value stays as it is and is the same
for all rows. How a node is computed for N rows follows from the kind of its op; the op's `batch` gives the changes of
its attributes. Knows no single op.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.graph.body import Body
from fallline.graph.node import Graph, Node, constant, make, new_input, reachable
from fallline.graph.op import Kind
from fallline.graph.where import made_at
from fallline.ops.arithmetic import less, logical_or, where
from fallline.ops.reduce import broadcast_to
from fallline.ops.scan import outputs_of
from fallline.ops.view import join as op_join
from fallline.ops.view import reshape, transpose


def batch(outputs: Sequence[Node], rows: Mapping[Node, Node], count: int) -> list[tuple[Node, bool]]:
    """The outputs for `count` rows at once, each with whether it has an axis of rows.

    rows: for inputs of the computation on one row, the node with all rows of it along its first axis.
    An output that depends on none of them is returned as it is, with False.
    """
    return _batched(outputs, rows, count, {})


def _batched(
    outputs: Sequence[Node], rows: Mapping[Node, Node], count: int, bodies: dict[Node, Node]
) -> list[tuple[Node, bool]]:
    """bodies: inputs of loops' bodies met so far, and those for all rows: loops over the same rows stay alike."""
    new = dict(rows)
    for node in reachable(outputs):
        if node not in new and any(x in new for x in node.inputs):
            with made_at(node.where):
                new[node] = RULES[node.op.kind](_Row(node, new, count, bodies))
    return [(new.get(node, node), node in new) for node in outputs]


class _Row:
    """A node of the computation on one row, and its inputs for all rows: the argument of a rule."""

    __slots__ = ("bodies", "count", "has_rows", "inputs", "node")

    def __init__(self, node: Node, new: Mapping[Node, Node], count: int, bodies: dict[Node, Node]) -> None:
        self.node, self.count, self.bodies = node, count, bodies
        self.inputs = [new.get(x, x) for x in node.inputs]
        self.has_rows = [x in new for x in node.inputs]

    def made(self, inputs: Sequence[Node], attrs: dict[str, Any] | None = None) -> Node:
        """The same op on these inputs; its attributes make room for the axis of rows."""
        if attrs is None:
            leads = self.node.op.leads
            attrs = {name: leads[name](value, self.count) for name, value in self.node.attrs.items()}
        return make(self.node.op, tuple(inputs), attrs)

    def aligned(self, place: int) -> Node:
        """An input with as many axes in a row as the result has, since shapes are broadcast from the last axis."""
        x, shape, missing = self.inputs[place], self.node.inputs[place].shape, self.missing(place)
        if not missing or not self.has_rows[place]:
            return x
        result: Node = reshape(x, shape=(self.count, *(1,) * missing, *shape))
        return result

    def missing(self, place: int) -> int:
        return len(self.node.shape) - len(self.node.inputs[place].shape)

    def repeated(self, place: int) -> Node:
        """An input with an axis of rows, the same in each if it had none."""
        x = self.inputs[place]
        result: Node = x if self.has_rows[place] else broadcast_to(x, shape=(self.count, *x.shape))
        return result


def moved(x: Node, source: int, destination: int) -> Node:
    """One axis moved to another place; the others keep their order."""
    axes = [axis for axis in range(len(x.shape)) if axis != source]
    axes.insert(destination, source)
    result: Node = x if source == destination else transpose(x, axes=tuple(axes))
    return result


def elementwise(row: _Row) -> Node:
    return row.made([row.aligned(place) for place in range(len(row.inputs))])


def of_one_array(row: _Row) -> Node:
    # A value that is repeated along new axes gets them behind the axis of rows.
    return row.made([row.aligned(0) if "repeats" in row.node.op.facts else row.inputs[0]])


def join(row: _Row) -> Node:
    return row.made([row.repeated(place) for place in range(len(row.inputs))])


def contraction(row: _Row) -> Node:
    """Rows of the left factor become more rows of one product; those of the right factor, of its transpose."""
    *start, _, _ = row.inputs
    a_has, b_has = row.has_rows[-2:]
    if start or (a_has and b_has):
        return row.made([row.repeated(place) for place in range(len(row.inputs))])
    a, b = row.inputs
    if not a_has:
        a, b = turned(b), turned(a)
    *outer, m, k = a.shape[1:]
    n, at = row.count, len(outer)
    y = row.made([reshape(moved(a, 0, at), shape=(*outer, n * m, k)), b])
    y = moved(reshape(y, shape=(*outer, n, m, y.shape[-1])), at, 0)
    return y if a_has else turned(y)


def turned(x: Node) -> Node:
    """The last two axes exchanged."""
    last = len(x.shape) - 1
    return moved(x, last, last - 1)


def positions(row: _Row, size: int) -> Node:
    """Positions along an axis of `size`, other ones for each row, as positions along the axes of all rows in turn.

    A position outside the axis stays outside: it may not be found in another row.
    """
    index = row.inputs[1]
    start = constant(np.arange(row.count).reshape((-1,) + (1,) * (len(index.shape) - 1)) * size)
    inside = where(less(index, 0), index + size, index)
    outside = logical_or(less(inside, 0), less(size - 1, inside))
    result: Node = where(outside, row.count * size, inside + start)
    return result


def gather(row: _Row) -> Node:
    x, index = row.inputs
    x_has, index_has = row.has_rows
    axis = row.node.attrs["axis"]
    if not index_has:
        return row.made([x, index])
    if x_has:
        size = row.node.inputs[0].shape[axis]
        x, index = moved(x, 0, axis), positions(row, size)
        x = reshape(x, shape=(*x.shape[:axis], row.count * size, *x.shape[axis + 2 :]))
    return moved(row.made([x, index], row.node.attrs), axis, 0)


def scatter(row: _Row) -> Node:
    if not row.has_rows[1]:
        return row.made(row.inputs)
    axis, size = row.node.attrs["axis"], row.node.attrs["size"]
    g = moved(row.repeated(0), 0, axis)
    y = row.made([g, positions(row, size)], {"axis": axis, "size": row.count * size})
    return moved(reshape(y, shape=(*y.shape[:axis], row.count, size, *y.shape[axis + 1 :])), axis, 0)


def loop(row: _Row) -> Node:
    """A loop whose every turn is computed for all rows; carries have rows where one of their turns gives them some."""
    body: Body = row.node.attrs["body"]
    inner, c, k = body.graph.inputs, body.constants, body.constants + body.carries
    has = [*row.has_rows]
    while True:
        for node, rows in zip(inner, has, strict=True):
            if rows and node not in row.bodies:
                row.bodies[node] = new_input((row.count, *node.shape), node.dtype)
        new = {node: row.bodies[node] for node, rows in zip(inner, has, strict=True) if rows}
        found = _batched(body.graph.outputs, new, row.count, row.bodies)
        gained = [c + i for i in range(body.carries) if found[i][1] and not has[c + i]]
        if not gained:
            break
        for i in gained:
            has[i] = True
    outputs = [
        broadcast_to(y, shape=(row.count, *y.shape)) if i < body.carries and has[c + i] and not rows else y
        for i, (y, rows) in enumerate(found)
    ]
    with_rows = [has[c + i] if i < body.carries else rows for i, (_, rows) in enumerate(found)]
    inputs = []
    for place, (x, rows) in enumerate(zip(row.inputs, has, strict=True)):
        x = row.repeated(place) if rows else x
        inputs.append(moved(x, 0, 1) if rows and place >= k else x)
    graph = Graph(tuple(new.get(node, node) for node in inner), tuple(outputs))
    made = outputs_of(replace(body, graph=graph, simple=False), inputs)
    parts = []
    for s in body.segments(row.node.dtype):
        y, at = made[s.role, s.number], {"stacked": body.carries, "summed": body.carries + body.stacked}.get(s.role, 0)
        if not with_rows[at + s.number]:
            y = broadcast_to(y, shape=(row.count, *y.shape))
        elif s.role in ("track", "stacked"):
            y = moved(y, 1, 0)
        parts.append(reshape(y, shape=(row.count, s.stop - s.start)))
    result: Node = parts[0] if len(parts) == 1 else op_join(*parts, axis=1)
    return result


RULES: dict[Kind, Callable[[_Row], Node]] = {
    Kind.ELEMENTWISE: elementwise,
    Kind.CAST: of_one_array,
    Kind.VIEW: of_one_array,
    Kind.REDUCTION: of_one_array,
    Kind.SCAN: of_one_array,
    Kind.CONTRACTION: contraction,
    Kind.GATHER: gather,
    Kind.SCATTER: scatter,
    Kind.JOIN: join,
    Kind.LOOP: loop,
}
