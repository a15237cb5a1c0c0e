"""Sums of outer products are taken from the factors: the outer product itself is made only where somebody reads it.

The gradient of a dense layer's weights for one row is an outer product, input times delta. With A and D the inputs and
deltas of all rows, G the gradients of all rows, c a factor for each row, and V an array of the weights' shape:

    sum(G * G, axis=(1, 2))          becomes   sum(A * A, axis=1) * sum(D * D, axis=1)
    sum(c * G, axis=0)               becomes   (c * A).T @ D
    sum(G * G, axis=0)               becomes   (A * A).T @ (D * D)
    sum(G * V, axis=(1, 2))          becomes   sum((A @ V) * D, axis=1)
    G.reshape(N, -1) @ G.reshape(N, -1).T      becomes   (A @ A.T) * (D @ D.T)

A value is followed as a product of factors, each along some of its axes only; where it is summed, the order of products
and sums that takes the fewest steps is found. Several such values joined along an axis are followed part by part.
The graph that comes out takes no more steps than the one before: elements made, terms added.

Asks for kinds and facts, never for names. The facts of an op that it uses:
  product, quotient, negation   a b, a / b, -a
  multiplicative                f(a b) = f(a) f(b)
  power                         the result is the input so often multiplied by itself
  adds                          the result is a sum along the axes
  permutes, repeats, row_major  of views: axes in another order, elements repeated, the same elements in their order
  side_by_side                  the inputs one after the other along an axis
"""

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate

from fallline.graph.declare import cast_to
from fallline.graph.node import Graph, Node, make
from fallline.graph.op import Kind, Shape
from fallline.graph.verify import is_pass
from fallline.graph.where import made_at
from fallline.ops.arithmetic import divide
from fallline.ops.factored import Factor, Factored, Label, Labels, alike, length, regrouped, renamed, whole
from fallline.ops.reduce import broadcast_to
from fallline.ops.sum_of_products import Order, fewest_steps, laid, sum_of_products
from fallline.ops.view import cut, join, reshape


@is_pass
def outer_products_summed(graph: Graph, least: int = 1) -> Graph:
    """The same graph with sums over outer products taken from their factors, where that takes no more steps.

    least: elements of the smallest outer product that is worth the time this takes. Sums are those of the original up
    to rounding, since terms are added in another order.
    """
    nodes = graph.nodes()
    if not any(makes_outer_product(node) and node.size >= least for node in nodes):
        return graph
    best, fewest = graph, steps_of(graph)
    for hopeful in (True, False):
        work = _Factors(nodes, graph.outputs, hopeful)
        for node in nodes:
            work.take(node)
        made = Graph(graph.inputs, tuple(work.new[output] for output in graph.outputs))
        if work.found and (steps := steps_of(made)) < fewest:
            best, fewest = made, steps
            if not any(map(makes_outer_product, made.nodes())):
                break  # all of them fell away, as was hoped
    return best


def steps_of(graph: Graph) -> int:
    """Elements made or added up, and for products of matrices, terms: what a graph takes, views aside."""
    return sum(map(steps_at, graph.nodes()))


def steps_at(node: Node) -> int:
    kind = node.op.kind
    if kind is Kind.CONTRACTION:
        return node.size * node.inputs[-1].shape[-2]
    if kind in (Kind.SOURCE, Kind.VIEW):
        return 0
    return max(node.size, *(x.size for x in node.inputs))


def makes_outer_product(node: Node) -> bool:
    """Is this a product of floats in which no factor is as large as the result?"""
    if node.dtype.kind != "f" or len(node.inputs) != 2:
        return False
    multiplies = node.op.facts.get("product")
    if node.op.kind is Kind.CONTRACTION:
        multiplies = node.inputs[0].shape[-1] == 1
    return bool(multiplies) and all(x.size < node.size for x in node.inputs)


@dataclass(frozen=True, slots=True)
class Joined:
    """Several such values one after the other along an axis; lengths: theirs along it."""

    axis: int
    parts: tuple[Factored, ...]
    lengths: tuple[int, ...]

    @property
    def work(self) -> int:
        return sum(part.work for part in self.parts)

    @property
    def is_outer(self) -> bool:
        return any(part.is_outer for part in self.parts)


Value = Factored | Joined


@dataclass(frozen=True, slots=True)
class Sum:
    """The product of factors, summed over those of its labels that no axis has. every: labels of the product."""

    factors: tuple[Factor, ...]
    axes: tuple[Labels, ...]
    every: Labels

    @property
    def out(self) -> Labels:
        return tuple([label for axis in self.axes for label in axis])

    @property
    def repeats(self) -> set[Label]:
        """Labels along which all factors are the same."""
        return set(self.every).difference(*(labels for _, labels in self.factors))

    def node(self, order: Order) -> Node:
        node, labels = sum_of_products(self.factors, frozenset(self.out), order)
        times = length(self.repeats.difference(self.out))
        node = node * times if times != 1 else node
        node = broadcast_to(laid((node, labels), self.out), shape=tuple([label.size for label in self.out]))
        result: Node = reshape(node, shape=tuple([length(axis) for axis in self.axes]))
        return result


def merged(x: Sequence[Labels], y: Sequence[Labels]) -> tuple[Labels, ...]:
    """The axes of a product of two values that are alike."""
    return tuple([a or b for a, b in zip(x, y, strict=True)])


class _Factors:
    """nodes, outputs: of the graph. hopeful: outer products are taken to fall away with each of several readers,
    not only with their one. found: whether any node was replaced."""

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[Node], hopeful: bool) -> None:
        self.hopeful, self.outputs = hopeful, set(outputs)
        self.new: dict[Node, Node] = {}
        self.values: dict[Node, Value] = {}
        self.found = False
        self.users: dict[Node, int] = dict.fromkeys(outputs, 1)
        for node in nodes:
            for x in dict.fromkeys(node.inputs):
                self.users[x] = self.users.get(x, 0) + 1

    def take(self, node: Node) -> None:
        """Find the new node that stands for this one, and its factors where it has some."""
        with made_at(node.where):
            value = self.value_of(node)
            if value is not None:
                self.values[node] = value
            summed = self.summed(node) if value is None else None
        if summed is not None:
            self.found = True
            self.new[node] = summed
        else:
            inputs = tuple(self.new[x] for x in node.inputs)
            new = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where) if inputs else node
            self.new[node] = new

    def known(self, node: Node) -> Value:
        """The value of an old node, with labels of its own."""
        value = self.values.get(node)
        if value is None:
            return whole(self.new[node])
        if isinstance(value, Joined):
            return replace(value, parts=tuple(map(renamed, value.parts)))
        return renamed(value)

    # What a node is a product of

    def value_of(self, node: Node) -> Value | None:
        """The factors of a node that has some, from those of its inputs."""
        if not node.size or node.dtype.kind != "f":
            return None
        if makes_outer_product(node):
            return self.product(node, *map(self.known, node.inputs))
        if not any(x in self.values for x in node.inputs):
            return None
        op, facts = node.op, node.op.facts
        if op.kind is Kind.JOIN and facts.get("side_by_side"):
            return self.side_by_side(node)
        if len(node.inputs) == 1:
            return self.of_one(node, self.known(node.inputs[0]))
        if facts.get("product") or facts.get("quotient"):
            return self.product(node, *map(self.known, node.inputs))
        return None

    def of_one(self, node: Node, value: Value) -> Value | None:
        """A function of one factored value."""
        if isinstance(value, Joined):
            permutes = node.op.facts.get("permutes")
            if node.op.kind is Kind.VIEW and not permutes:
                return None
            axis = node.attrs["axes"].index(value.axis) if permutes else value.axis
            parts = [part for each in value.parts if (part := self.of_part(node, each)) is not None]
            return self.joined(node, axis, parts, value.lengths)
        made = self.of_part(node, value)
        return made if made is None or node.op.kind is Kind.VIEW else self.with_steps(node, made)

    def joined(self, node: Node, axis: int, parts: Sequence[Factored], lengths: tuple[int, ...]) -> Joined | None:
        """Parts as the value of a node; None where some are missing."""
        if len(parts) < len(lengths):
            return None
        first = parts[0] if node.op.kind is Kind.VIEW else self.with_steps(node, parts[0])
        return Joined(axis, (first, *parts[1:]), lengths)

    def with_steps(self, node: Node, value: Factored) -> Factored:
        """A value with the steps that fall away with its node where it is followed further: nobody else reads it."""
        falls = node not in self.outputs if self.hopeful else self.users.get(node, 0) < 2
        return replace(value, work=value.work + node.size) if falls else value

    def of_part(self, node: Node, value: Factored) -> Factored | None:
        op, facts = node.op, node.op.facts
        (node0, labels0), *others = value.factors
        if "power" in facts:
            return replace(value, factors=value.factors * facts["power"])
        if facts.get("multiplicative"):
            factors = tuple([(make(op, (factor,), node.attrs), labels) for factor, labels in value.factors])
            return replace(value, factors=factors)
        if facts.get("negation"):
            return replace(value, factors=((make(op, (node0,), node.attrs), labels0), *others))
        if op.kind is Kind.CAST:
            if node0.dtype.kind != "f" or node0.dtype.itemsize > node.dtype.itemsize:
                return None
            return replace(value, factors=tuple([(cast_to(factor, node.dtype), own) for factor, own in value.factors]))
        if facts.get("permutes"):
            return replace(value, axes=tuple([value.axes[axis] for axis in node.attrs["axes"]]))
        if facts.get("row_major"):
            return regrouped(value, node.shape)
        if facts.get("repeats"):
            lead = len(node.shape) - len(value.axes)
            old = [*((),) * lead, *value.axes]
            return replace(value, axes=tuple([
                axis or ((Label(n),) if n != 1 else ()) for axis, n in zip(old, node.shape, strict=True)
            ]))  # fmt: skip
        return None

    def side_by_side(self, node: Node) -> Joined:
        parts = []
        for x in node.inputs:
            part = self.known(x)
            parts.append(part if isinstance(part, Factored) else whole(self.new[x]))
        axis = node.attrs["axis"] % len(node.shape)
        return Joined(axis, tuple(parts), tuple(x.shape[axis] for x in node.inputs))

    def product(self, node: Node, x: Value, y: Value) -> Value | None:
        """A product or a quotient of two values, or a matrix product of columns and rows."""
        if isinstance(x, Factored) and isinstance(y, Factored):
            of_two = self.matrix_of_two if node.op.kind is Kind.CONTRACTION else self.product_of_two
            made = of_two(node, x, y)
            # With a factor as large as itself it is a value of its own; its factors would only be more of them.
            return None if made is None or not made.is_outer else self.with_steps(node, made)
        if node.op.kind is Kind.CONTRACTION:
            return None
        at = 0 if isinstance(x, Joined) else 1
        joined = (x, y)[at]
        assert isinstance(joined, Joined)
        axis = joined.axis - len(node.inputs[at].shape)
        sides = [self.parts(node.inputs[i], side, axis, joined.lengths) for i, side in enumerate((x, y))]
        parts = [part for a, b in zip(*sides, strict=True) if (part := self.product_of_two(node, a, b)) is not None]
        return self.joined(node, axis + len(node.shape), parts, joined.lengths)

    def matrix_of_two(self, node: Node, x: Factored, y: Factored) -> Factored | None:
        both = alike(x, y, [(i, i) for i in range(len(node.shape) - 2)])
        if both is None:
            return None
        x, y = both
        return Factored((*merged(x.axes[:-2], y.axes[:-2]), x.axes[-2], y.axes[-1]), (*x.factors, *y.factors))

    def parts(self, node: Node, value: Value, axis: int, lengths: tuple[int, ...]) -> Sequence[Factored]:
        """An input cut along an axis, counted from the last, where it is longer than 1."""
        at = axis + len(node.shape)
        if isinstance(value, Joined):
            same = value.axis == at and value.lengths == lengths
            value = value if same else whole(self.new[node])
        if isinstance(value, Joined):
            return value.parts
        if at < 0 or node.shape[at] == 1:
            return [renamed(value) for _ in lengths]
        ends = [*accumulate(lengths)]
        return [whole(cut(self.new[node], at, end - n, end)) for n, end in zip(lengths, ends, strict=True)]

    def product_of_two(self, node: Node, x: Factored, y: Factored) -> Factored | None:
        rank = max(len(x.axes), len(y.axes))
        x = replace(x, axes=(*((),) * (rank - len(x.axes)), *x.axes))
        y = replace(y, axes=(*((),) * (rank - len(y.axes)), *y.axes))
        both = alike(x, y, [(i, i) for i in range(rank)])
        if both is None:
            return None
        x, y = both
        axes, work = merged(x.axes, y.axes), x.work + y.work
        if node.op.facts.get("product"):
            return Factored(axes, (*x.factors, *y.factors), work)
        if len(y.factors) != 1:
            return None
        (divisor, labels), factors = y.factors[0], [*x.factors]
        holds = [i for i, (_, own) in enumerate(factors) if set(labels) <= set(own)]
        if not holds:
            return None
        at = min(holds, key=lambda i: factors[i][0].size)
        factor, own = factors[at]
        factors[at] = divide(factor, laid((divisor, labels), own)), own
        return Factored(axes, tuple(factors), work)

    # Sums

    def summed(self, node: Node) -> Node | None:
        """A node that sums values with factors, made from the factors; None where it is not such, or not worth it."""
        op = node.op
        if node.dtype.kind != "f" or not any(x in self.values for x in node.inputs):
            return None
        if not all(x.size for x in node.inputs):
            return None
        if op.kind is Kind.REDUCTION and op.facts.get("adds"):
            return self.reduction(node)
        return self.contraction(node) if op.kind is Kind.CONTRACTION and len(node.inputs) == 2 else None

    def reduction(self, node: Node) -> Node | None:
        value, axes = self.known(node.inputs[0]), node.attrs["axes"]
        if not value.is_outer:
            return None
        parts, joined = (value.parts, value.axis) if isinstance(value, Joined) else ((value,), -1)
        sums = [
            Sum(part.factors, tuple([() if i in axes else axis for i, axis in enumerate(part.axes)]), part.labels)
            for part in parts
        ]
        shape = tuple([1 if i in axes else n for i, n in enumerate(node.inputs[0].shape)])
        most = value.work + node.inputs[0].size
        made = self.made(sums, shape, None if joined in axes or joined < 0 else joined, most)
        return None if made is None else reshape(made, shape=node.shape)

    def contraction(self, node: Node) -> Node | None:
        x, y = map(self.known, node.inputs)
        if not x.is_outer and not y.is_outer:
            return None
        rank = len(node.shape)
        most = node.size * node.inputs[0].shape[-1] + x.work + (0 if node.inputs[0] is node.inputs[1] else y.work)
        joined: int | None = None
        pairs: Iterable[tuple[Factored, Factored]] = ()
        if isinstance(x, Factored) and isinstance(y, Factored):
            pairs = [(x, y)]
        elif isinstance(x, Joined) and x.axis == rank - 1:
            pairs = zip(x.parts, self.parts(node.inputs[1], y, -2, x.lengths), strict=True)
        elif isinstance(y, Joined) and y.axis == rank - 2:
            pairs = zip(self.parts(node.inputs[0], x, -1, y.lengths), y.parts, strict=True)
        elif isinstance(x, Joined) and x.axis == rank - 2 and isinstance(y, Factored):
            joined, pairs = rank - 2, [(part, renamed(y)) for part in x.parts]
        elif isinstance(y, Joined) and y.axis == rank - 1 and isinstance(x, Factored):
            joined, pairs = rank - 1, [(renamed(x), part) for part in y.parts]
        sums = []
        for a, b in pairs:
            both = alike(a, b, [*((i, i) for i in range(rank - 2)), (rank - 1, rank - 2)])
            if both is None:
                return None
            a, b = both
            axes = (*merged(a.axes[:-2], b.axes[:-2]), a.axes[-2], b.axes[-1])
            every = tuple([label for axis in (*axes, a.axes[-1]) for label in axis])
            sums.append(Sum((*a.factors, *b.factors), axes, every))
        return self.made(sums, node.shape, joined, most) if sums else None

    def made(self, sums: Sequence[Sum], shape: Shape, joined: int | None, most: int) -> Node | None:
        """Sums of products, then joined along an axis or added up; None where that takes more steps than `most`."""
        plans, steps = [], 0
        for one in sums:
            plan = fewest_steps(one.factors, frozenset(one.out))
            if plan is None:
                return None
            steps += plan[0] + (length(one.out) if one.repeats else 0)
            plans.append(plan[1])
        steps += (len(sums) - 1) * math.prod(shape) if joined is None else 0
        if steps > most:
            return None
        results = [one.node(order) for one, order in zip(sums, plans, strict=True)]
        if joined is not None:
            return join(*results, axis=joined) if len(results) > 1 else results[0]
        result: Node = reshape(reduce(operator.add, results), shape=shape)
        return result
