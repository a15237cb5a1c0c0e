"""The same results from fewer nodes: equal nodes become one, constants are folded, operations without effect go, and
arrays that fill different stretches of a vector of zeros are joined instead of added.

Asks for kinds and facts, never for names. The facts of an op that it uses:
  identity, right_identity   x op identity = x; with commutes, identity op x too
  involution                 f(f(x)) = x
  same(x, **attrs)           the result is x itself
  merge(x, inner, outer)     the attributes with which f does f(f(x, **inner), **outer) at once, or None
  repeats                    the same elements along new or longer axes, which elementwise ops do by themselves
  of_one                     "itself": folding a single element gives that element; "added": that of 0 and the element
  of_two                     the op that folds two elements
  sum                        the result is a + b
  windows                    where in a join each of the arrays lies

Numbers are those of the original, to the sign of a zero: x - 0 is x and so is x + -0.0, but -0.0 + 0 is 0.
"""

import math
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.graph.body import Body
from fallline.graph.node import CONSTANT, Graph, Node
from fallline.graph.op import TABLE, Array, Kind, Op, Shape
from fallline.graph.verify import is_pass
from fallline.graph.where import Where
from fallline.ops.reduce import broadcast_to
from fallline.ops.view import join, reshape

# Constants up to this many elements are computed here rather than at every run.
_SMALL = 256


@is_pass
def simplify(graph: Graph) -> Graph:
    """A graph with the same inputs and the same results, and as few nodes as these rules leave."""
    work, nodes = _Simplifier(), graph.nodes()
    sums = sums_of_pieces(nodes, graph.outputs)
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    for node in nodes:
        if node in sums:
            new[node] = work.side_by_side(node, *sums[node], new)
        elif node not in new:
            inputs = tuple([new[input_] for input_ in node.inputs])
            new[node] = work.make(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
    return Graph(graph.inputs, tuple(new[output] for output in graph.outputs))


# (first, one past the last, array): the stretch of an axis that an array fills.
Piece = tuple[int, int, Node]


@is_pass
def pieces_joined(graph: Graph) -> Graph:
    """The same graph with joins instead of sums of arrays that each fill another stretch of one axis, zeros elsewhere.

    A function that cuts its parameters out of one vector has such a sum as its gradient, with one term a cut; adding
    them up would take a pass over the whole vector for each. This is the one rule of `simplify` that is worth its time
    where a graph is run a single time.
    """
    nodes = graph.nodes()
    sums = sums_of_pieces(nodes, graph.outputs)
    if not sums:
        return Graph(graph.inputs, graph.outputs, nodes)
    work, new = _Simplifier(), dict[Node, Node]()
    for node in nodes:
        if node in sums:
            new[node] = work.side_by_side(node, *sums[node], new)
        elif any(x in new for x in node.inputs):
            inputs = tuple([new.get(x, x) for x in node.inputs])
            new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
    return Graph(graph.inputs, tuple([new.get(output, output) for output in graph.outputs]))


def sums_of_pieces(nodes: Sequence[Node], outputs: Sequence[Node]) -> dict[Node, tuple[int, list[Piece]]]:
    """The last node of every such sum, with the axis and the pieces along it in order."""
    joins = [node for node in nodes if node.op.kind is Kind.JOIN]
    found = {node: cut for node in joins if (cut := piece_of(node)) is not None}
    if len(found) < 2:
        return {}
    users = Counter([*outputs, *(x for node in nodes for x in node.inputs)])
    sums: dict[Node, tuple[int, list[Piece]]] = {}
    for node in nodes:
        if not node.op.facts.get("sum") or not all(x in found and x.shape == node.shape for x in node.inputs):
            continue
        a, b = node.inputs
        if any(x in sums and users[x] > 1 for x in (a, b)) or found[a][0] != found[b][0]:
            continue
        a, b = sorted((a, b), key=lambda x: -len(found[x][1]))
        axis, pieces = found[a]
        pieces = pieces if a in sums else [*pieces]  # an array in zeros may be in several sums, a sum is in this alone
        places = [bisect(pieces, piece[:2], key=lambda one: one[:2]) for piece in found[b][1]]
        if all(fits(piece, pieces[i - 1 : i], pieces[i : i + 1]) for i, piece in zip(places, found[b][1], strict=True)):
            for i, piece in zip(reversed(places), reversed(found[b][1]), strict=True):
                pieces.insert(i, piece)
            found[node] = sums[node] = axis, pieces
            for x in (a, b):
                sums.pop(x, None)
    return sums


def fits(piece: Piece, before: Sequence[Piece], after: Sequence[Piece]) -> bool:
    """Whether a piece overlaps neither the one before nor the one after it, where there are such."""
    return all(one[1] <= piece[0] for one in before) and all(piece[1] <= one[0] for one in after)


def piece_of(node: Node) -> tuple[int, list[Piece]] | None:
    """The axis and the piece of a join that lays one array into zeros along one axis; None for any other."""
    if len(node.inputs) != 1:
        return None
    (part,) = node.inputs
    (window,) = node.op.facts["windows"](part, **node.attrs)
    axes = [axis for axis, (n, m) in enumerate(zip(part.shape, node.shape, strict=True)) if n != m]
    if len(axes) != 1 or not part.shape[axes[0]] or any(along.step not in (None, 1) for along in window):
        return None
    low = window[axes[0]].start
    return axes[0], [(low, low + part.shape[axes[0]], part)]


def simple(body: Body) -> Body:
    """A loop's body with a simplified graph."""
    return body if body.simple else replace(body, graph=simplify(body.graph), simple=True)


def joined_shape(shapes: list[Shape]) -> Shape:
    """The shape these broadcast to; they are known to fit one another."""
    longest = max(shapes, key=len)
    others = [shape for shape in shapes if shape != longest]
    if not others:
        return longest
    sizes = list(longest)
    for shape in others:
        for i, n in enumerate(shape, len(sizes) - len(shape)):
            if sizes[i] == 1:
                sizes[i] = n
    return tuple(sizes)


def number(node: Node) -> Any:
    """The value of a constant of one element; None for any other node."""
    return node.attrs["value"].item() if node.op is CONSTANT and node.attrs["value"].size == 1 else None


def is_exactly(node: Node, value: float) -> bool:
    """Whether a node is a constant of this value, and where that is a floating zero, of its sign."""
    known = number(node)
    if known is None or known != value:
        return False
    return known != 0 or node.dtype.kind != "f" or math.copysign(1, known) == math.copysign(1, value)


def is_uniform(value: Array) -> bool:
    """Whether all elements of a constant are surely equal; large ones are not searched."""
    if value.size == 0 or not any(value.strides):
        return value.size > 0
    return value.size <= _SMALL and bool((value == value.flat[0]).all())


class _Simplifier:
    """Makes nodes as the rules allow, each only once."""

    def __init__(self) -> None:
        self.made: dict[Any, Node] = {}

    def make(
        self, op: Op, inputs: tuple[Node, ...], attrs: dict[str, Any], shape: Shape, dtype: Any, where: Where
    ) -> Node:
        """A node with this value; the rules are tried in turn, the cheapest first."""
        facts = op.facts
        if inputs:
            if "same" in facts and len(inputs) == 1 and facts["same"](inputs[0], **attrs):
                return inputs[0]
            if inputs[0].op is op:
                if "involution" in facts:
                    return inputs[0].inputs[0]
                if "merge" in facts and len(inputs) == 1:
                    source = inputs[0].inputs[0]
                    merged = facts["merge"](source, inputs[0].attrs, attrs)
                    if merged is not None:
                        return self.make(op, (source,), merged, shape, dtype, where)
            if op.kind is Kind.ELEMENTWISE:
                return self.elementwise(op, inputs, attrs, shape, dtype, where)
            if op.kind is Kind.VIEW and "repeats" in inputs[0].op.facts and inputs[0].inputs[0].size == 1:
                # One number repeated looks the same from every side.
                one = inputs[0].inputs[0]
                one = (
                    self.scalar(one)
                    if one.op is CONSTANT
                    else self.make(reshape, (one,), {"shape": ()}, (), dtype, where)
                )
                return self.make(broadcast_to, (one,), {"shape": shape}, shape, dtype, where)
            if "of_one" in facts and all(inputs[0].shape[axis] == 1 for axis in attrs["axes"]):
                one = self.make(reshape, inputs, {"shape": shape}, shape, dtype, where)
                if facts["of_one"] == "itself" or dtype.kind != "f":
                    return one
                start = self.once(CONSTANT, (), {"value": np.zeros((), dtype)}, (), dtype, where)
                return self.elementwise(TABLE[facts["of_two"]], (one, start), {}, shape, dtype, where)
            if op.kind is Kind.LOOP:
                return self.once(op, inputs, {**attrs, "body": simple(attrs["body"])}, shape, dtype, where)
            if "repeats" not in facts and all(node.op is CONSTANT for node in inputs):
                folded = self.folded(op, inputs, attrs, shape, dtype, where)
                if folded is not None:
                    return folded
        elif op is CONSTANT and shape and is_uniform(attrs["value"]):
            one = self.once(CONSTANT, (), {"value": attrs["value"].flat[0].reshape(())}, (), dtype, where)
            return self.once(broadcast_to, (one,), {"shape": shape}, shape, dtype, where)
        return self.once(op, inputs, attrs, shape, dtype, where)

    def elementwise(
        self, op: Op, inputs: tuple[Node, ...], attrs: dict[str, Any], shape: Shape, dtype: Any, where: Where
    ) -> Node:
        """Repeated inputs are taken before their repetition, which is done, if at all, to the result."""
        inputs = tuple([x.inputs[0] if "repeats" in x.op.facts else x for x in inputs])
        if any(x.shape and number(x) is not None for x in inputs):
            inputs = tuple([self.scalar(x) if x.shape and number(x) is not None else x for x in inputs])
        own = inputs[0].shape if len(inputs) == 1 else joined_shape([x.shape for x in inputs])
        result = self.elementwise_of_own_shape(op, inputs, attrs, own, dtype, where)
        if result.shape == shape:
            return result
        return self.make(broadcast_to, (result,), {"shape": shape}, shape, dtype, where)

    def elementwise_of_own_shape(
        self, op: Op, inputs: tuple[Node, ...], attrs: dict[str, Any], shape: Shape, dtype: Any, where: Where
    ) -> Node:
        facts = op.facts
        if len(inputs) == 2:
            a, b = inputs
            neutral = facts.get("identity", facts.get("right_identity"))
            if neutral is not None:
                if is_exactly(b, neutral) and a.dtype == dtype and a.shape == shape:
                    return a
                if "commutes" in facts and is_exactly(a, neutral) and b.dtype == dtype and b.shape == shape:
                    return b
            if "commutes" in facts and a.serial > b.serial and a.dtype == b.dtype:
                inputs = (b, a)
        elif "involution" in facts and inputs[0].op is op:
            return inputs[0].inputs[0]
        if all(x.op is CONSTANT for x in inputs):
            folded = self.folded(op, inputs, attrs, shape, dtype, where)
            if folded is not None:
                return folded
        return self.once(op, inputs, attrs, shape, dtype, where)

    def side_by_side(self, node: Node, axis: int, pieces: Sequence[Piece], new: Mapping[Node, Node]) -> Node:
        """Pieces along an axis in the form of a node, with zeros between them."""
        zero = self.once(CONSTANT, (), {"value": np.zeros((), node.dtype)}, (), node.dtype, node.where)
        parts: list[Node] = []
        end = 0
        for low, high, part in [*pieces, (node.shape[axis], 0, None)]:
            if low > end:
                gap = (*node.shape[:axis], low - end, *node.shape[axis + 1 :])
                parts.append(self.once(broadcast_to, (zero,), {"shape": gap}, gap, node.dtype, node.where))
            if part is not None:
                parts.append(new.get(part, part))
                end = high
        return self.make(join, tuple(parts), {"axis": axis}, node.shape, node.dtype, node.where)

    def scalar(self, node: Node) -> Node:
        """A constant of one element as a number without axes, which broadcasts to anything."""
        value = node.attrs["value"].reshape(())
        return self.once(CONSTANT, (), {"value": value}, (), node.dtype, node.where)

    def folded(
        self, op: Op, inputs: tuple[Node, ...], attrs: dict[str, Any], shape: Shape, dtype: Any, where: Where
    ) -> Node | None:
        """The constant this node is, where keeping it costs little memory."""
        size = math.prod(shape)
        if size > _SMALL and (op.kind is Kind.VIEW or size > max(x.size for x in inputs)):
            return None
        with np.errstate(all="ignore"):
            value = np.asarray(op.meaning(*[x.attrs["value"] for x in inputs], **attrs))
        return self.once(CONSTANT, (), {"value": value.astype(dtype, copy=False)}, shape, dtype, where)

    def once(
        self, op: Op, inputs: tuple[Node, ...], attrs: dict[str, Any], shape: Shape, dtype: Any, where: Where
    ) -> Node:
        """The node made before with the same op, inputs and attributes, or a new one."""
        if op is CONSTANT:
            value = attrs["value"]
            content = value.tobytes() if value.size <= _SMALL else id(value)
            key: Any = (op, dtype, shape, content)
        else:
            # By identity: comparing nodes with == would make a node.
            key = (op, *map(id, inputs), *attrs.items())
        node = self.made.get(key)
        if node is None:
            node = self.made[key] = Node(op, inputs, attrs, shape, dtype, where)
        return node
