"""Which rows of an input each element of a computation follows from: found by following row numbers through the graph.

A network predicts row by row, so no element may follow from two of them. Asks for kinds, never for names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.graph.body import Body
from fallline.graph.node import Graph, Node, evaluate
from fallline.graph.op import Array, Kind

NOBODY = 0  # the number of no row; those of the input count from 1
_LATE = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class Rows:
    """mixed: the first node that follows from several rows, if there is one. numbers: for every node before it that
    follows from any, the row of each element."""

    numbers: dict[Node, Array]
    mixed: Node | None = None


class _Mixed(Exception):
    """Elements of several rows became one."""


def rows_of(graph: Graph, sources: Node | Sequence[Node], values: Sequence[Array]) -> Rows:
    """The rows of one of the inputs, or of several of equal length, along the first axis, from which the nodes follow.

    values: of all inputs, asked for where elements are picked by numbers that follow from them.
    """
    work = _Work(graph, values)
    for source in [sources] if isinstance(sources, Node) else sources:
        numbers = np.arange(1, source.shape[0] + 1, dtype=np.int32)
        shape = (-1,) + (1,) * (len(source.shape) - 1)
        work.numbers[source] = np.broadcast_to(numbers.reshape(shape), source.shape)
    for node in graph.nodes():
        if any(x in work.numbers for x in node.inputs):
            try:
                work.numbers[node] = np.broadcast_to(work.follow(node), node.shape)
            except _Mixed:
                return Rows(work.numbers, node)
    return Rows(work.numbers)


def agreed(numbers: Array, axes: int | tuple[int, ...]) -> Array:
    """The one row among elements that meet along axes; kept as axes of length one."""
    most = numbers.max(axis=axes, keepdims=True, initial=NOBODY)
    least = np.where(numbers == NOBODY, _LATE, numbers).min(axis=axes, keepdims=True, initial=_LATE)
    if np.any((most != least) & (most != NOBODY)):
        raise _Mixed
    return np.asarray(most)


class _Work:
    def __init__(self, graph: Graph, values: Sequence[Array]) -> None:
        self.graph, self.inputs = graph, values
        self.numbers: dict[Node, Array] = {}
        self.known: dict[Node, Array] = {}

    def of(self, node: Node) -> Array:
        return self.numbers[node] if node in self.numbers else np.broadcast_to(np.int32(NOBODY), node.shape)

    def value(self, node: Node) -> Array:
        """The number a node has for the given values; all are computed when the first is asked for."""
        if not self.known:

            def keep(node: Node, inputs: list[Array]) -> Array:
                with np.errstate(all="ignore"):
                    self.known[node] = np.asarray(node.op.meaning(*inputs, **node.attrs)).astype(node.dtype, copy=False)
                return self.known[node]

            self.known.update(zip(self.graph.inputs, self.inputs, strict=True))
            evaluate(self.graph, self.inputs, keep)
        return self.known[node]

    def follow(self, node: Node) -> Array:
        """The row of each element of a node, from those of its inputs."""
        kind, attrs = node.op.kind, node.attrs
        found = [self.of(x) for x in node.inputs]
        if kind in (Kind.VIEW, Kind.JOIN):
            return np.asarray(node.op.meaning(*found, **attrs))
        if kind is Kind.REDUCTION:
            return agreed(found[0], attrs["axes"]).reshape(node.shape)
        if kind is Kind.SCAN:
            return agreed(found[0], attrs["axis"])
        if kind is Kind.CONTRACTION:
            *start, a, b = found
            return meet(*start, meet(agreed(a, -1), agreed(b, -2)))
        if kind is Kind.GATHER:
            at, axis = found[1], attrs["axis"]
            picked = node.op.meaning(found[0], self.value(node.inputs[1]), axis=axis)
            return meet(picked, at.reshape(at.shape + (1,) * (len(node.shape) - axis - at.ndim)))
        if kind is Kind.SCATTER:
            return self.scattered(node, *found)
        if kind is Kind.LOOP:
            return self.looped(node, found)
        return meet(*found)

    def looped(self, node: Node, found: Sequence[Array]) -> Array:
        """Turn after turn; one that starts from the same rows as the turn before ends as that did."""
        body: Body = node.attrs["body"]
        c, k = body.constants, body.constants + body.carries
        constants, carries, rows = found[:c], [*found[c:k]], found[k:]
        picks = any(x.op.kind in (Kind.GATHER, Kind.SCATTER, Kind.LOOP) for x in body.graph.nodes())
        values = [self.value(x) for x in node.inputs] if picks else []
        steady = not picks and all(np.array_equal(x, np.broadcast_to(x[:1], x.shape)) for x in rows)
        segments = body.segments(node.dtype)
        result = np.zeros(node.shape, np.int32)
        places = {(s.role, s.number): result[s.start : s.stop].reshape(s.shape) for s in segments}
        tracks = [(number, place) for (role, number), place in places.items() if role == "track"]
        for number, place in tracks:
            place[body.turns if body.reverse else 0] = carries[number]
        made: list[Array] = []
        begun: list[Array] = []
        for t in body.turn_order():
            if not (made and steady and all(map(np.array_equal, begun, carries))):
                begun = carries
                inside = [*values[:k], *(x[t] for x in values[k:])]
                made = self.turned(body.graph, [*constants, *carries, *(x[t] for x in rows)], inside)
                if picks:
                    values[c:k] = body.steps.run(inside)[: body.carries]
            carries = made[: body.carries]
            for number, place in tracks:
                place[t + 1 - body.before()] = carries[number]
            for i, numbers in enumerate(made[body.carries :]):
                if (at := ("stacked", i)) in places:
                    places[at][t] = numbers
                elif (at := ("summed", i - body.stacked)) in places:
                    places[at][...] = meet(places[at], numbers)
        for (role, number), place in places.items():
            if role == "last":
                place[...] = carries[number]
        return result

    def turned(self, graph: Graph, numbers: Sequence[Array], values: Sequence[Array]) -> list[Array]:
        """The rows that the outputs of a turn follow from."""
        work = _Work(graph, values)
        work.numbers.update(zip(graph.inputs, numbers, strict=True))
        for node in graph.nodes():
            if node.inputs:
                work.numbers[node] = np.broadcast_to(work.follow(node), node.shape)
        return [work.of(output) for output in graph.outputs]

    def scattered(self, node: Node, added: Array, at: Array) -> Array:
        axis, index = node.attrs["axis"], self.value(node.inputs[1])
        added = meet(added, at.reshape(at.shape + (1,) * (added.ndim - axis - at.ndim)))
        added = np.broadcast_to(added, node.inputs[0].shape)
        most, least = np.full(node.shape, NOBODY, np.int32), np.full(node.shape, _LATE, np.int32)
        place: Any = (*(slice(None),) * axis, index)
        np.maximum.at(most, place, added)
        np.minimum.at(least, place, np.where(added == NOBODY, _LATE, added))
        if np.any((most != least) & (most != NOBODY)):
            raise _Mixed
        return most


def meet(*numbers: Array) -> Array:
    """The one row of elements that meet after broadcasting."""
    return agreed(np.stack(np.broadcast_arrays(*numbers)), 0)[0] if len(numbers) > 1 else numbers[0]
