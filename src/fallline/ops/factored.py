"""A value as a product of arrays, each along some of its axes: what an outer product is before it is made.

Axes are told by labels. Knows nothing of where such values come from or what becomes of them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fallline.graph.node import Node
from fallline.graph.op import Shape
from fallline.ops.view import reshape


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """An axis of this length, of however many arrays; another label is another axis."""

    size: int


Labels = tuple[Label, ...]
Factor = tuple[Node, Labels]


def length(labels: Iterable[Label]) -> int:
    return math.prod([label.size for label in labels])


@dataclass(frozen=True, slots=True)
class Factored:
    """A product of arrays.

    axes: the labels that each axis of the value consists of, in row-major order; none for a length of 1.
    factors: arrays with an axis for each of their labels. work: steps that making the value would take.
    """

    axes: tuple[Labels, ...]
    factors: tuple[Factor, ...]
    work: int = 0

    @property
    def labels(self) -> Labels:
        return tuple([label for axis in self.axes for label in axis])

    @property
    def is_outer(self) -> bool:
        """Is no factor as large as the product?"""
        every = set(self.labels)
        return not any(every <= set(labels) for _, labels in self.factors)


def whole(node: Node) -> Factored:
    """A value that is its own only factor."""
    axes = tuple([(Label(n),) if n != 1 else () for n in node.shape])
    labels = tuple([label for axis in axes for label in axis])
    return Factored(axes, ((reshape(node, shape=tuple(n for n in node.shape if n != 1)), labels),))


def renamed(value: Factored, names: Mapping[Label, Label] | None = None) -> Factored:
    """The same value with other labels; left out, with new ones throughout."""
    names = {old: Label(old.size) for old in value.labels} if names is None else names
    axes = tuple([tuple([names.get(old, old) for old in axis]) for axis in value.axes])
    factors = tuple([(node, tuple([names.get(old, old) for old in labels])) for node, labels in value.factors])
    return replace(value, axes=axes, factors=factors)


def split(value: Factored, label: Label, last: int) -> Factored:
    """The same value with a label taken for two, of which the second has this length."""
    pair = Label(label.size // last), Label(last)

    def named(labels: Labels) -> Labels:
        return tuple([new for old in labels for new in (pair if old is label else (old,))])

    factors = []
    for node, labels in value.factors:
        own = named(labels)
        factors.append((reshape(node, shape=tuple(new.size for new in own)), own))
    return replace(value, axes=tuple(map(named, value.axes)), factors=tuple(factors))


def regrouped(value: Factored, shape: Shape) -> Factored | None:
    """The same elements in row-major order under another shape; None where that takes an axis apart unevenly."""
    left = [*value.labels]
    axes: list[Labels] = []
    for n in reversed(shape):
        group: list[Label] = []
        while n > 1:
            label = left[-1]
            if n % label.size == 0:
                group.insert(0, left.pop())
                n //= label.size
            elif label.size % n == 0:
                before = value.labels.index(label)
                value = split(value, label, n)
                left[-1:] = value.labels[before : before + 2]
            else:
                return None
        axes.insert(0, tuple(group))
    return replace(value, axes=tuple(axes))


def alike(x: Factored, y: Factored, pairs: Sequence[tuple[int, int]]) -> tuple[Factored, Factored] | None:
    """Two values with the same labels along these pairs of axes, wherever neither has a length of 1; None where the
    labels of an axis do not fit into those of the other."""
    for i, j in pairs:
        at = 1
        while x.axes[i] and y.axes[j] and at <= max(len(x.axes[i]), len(y.axes[j])):
            a, b = x.axes[i][-at], y.axes[j][-at]
            if a.size == b.size:
                y = renamed(y, {b: a})
                at += 1
            elif a.size % b.size == 0:
                x = split(x, a, b.size)
            elif b.size % a.size == 0:
                y = split(y, b, a.size)
            else:
                return None
    return x, y
