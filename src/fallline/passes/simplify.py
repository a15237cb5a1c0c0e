"""The same results from fewer nodes: equal nodes become one, constants are folded, and what changes nothing goes.

Asks for kinds and facts, never for names. The facts of an op that it uses:
  identity, right_identity   x op identity = x; with commutes, identity op x too
  involution                 f(f(x)) = x
  same(x, **attrs)           the result is x itself
  merge(x, inner, outer)     the attributes with which f does f(f(x, **inner), **outer) at once, or None
  repeats                    the same elements along new or longer axes, which elementwise ops do by themselves
  of_one                     "itself": folding a single element gives that element; "added": that of 0 and the element
  of_two                     the op that folds two elements

Numbers are those of the original, to the sign of a zero: x - 0 is x and so is x + -0.0, but -0.0 + 0 is 0.
"""

import math
from typing import Any

import numpy as np

from fallline.graph.node import CONSTANT, Graph, Node
from fallline.graph.op import TABLE, Array, Kind, Op, Shape
from fallline.graph.verify import is_pass
from fallline.graph.where import Where
from fallline.ops.reduce import broadcast_to
from fallline.ops.view import reshape

# Constants up to this many elements are computed here rather than at every run.
_SMALL = 256


@is_pass
def simplify(graph: Graph) -> Graph:
    """A graph with the same inputs and the same results, and as few nodes as these rules leave."""
    work = _Simplifier()
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    for node in graph.nodes():
        if node not in new:
            inputs = tuple([new[input_] for input_ in node.inputs])
            new[node] = work.make(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
    return Graph(graph.inputs, tuple(new[output] for output in graph.outputs))


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
