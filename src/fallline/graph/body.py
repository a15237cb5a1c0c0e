"""The body of a loop: a graph that runs once for each row, the values it carries on, and the values that come out.

A loop node has one value, a vector of all outputs of one dtype laid one after the other; the segments say where each
of them lies. So a loop with several results needs no node with several values: its results are slices.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fallline.graph.node import CONSTANT, INPUT, Graph, Node, reachable
from fallline.graph.op import Shape
from fallline.graph.steps import Steps, steps_of

_SMALL = 256  # constants up to this many elements are compared by their numbers


class Segment(NamedTuple):
    """One output of a loop: where in the vector it lies. number: which carry, stacked or summed value it is."""

    role: str  # "last", "track", "stacked" or "summed"
    number: int
    shape: Shape
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Body:
    """One turn of a loop.

    graph: its inputs are constants (the same in every turn), carries, and one row of each array that is gone over; its
    outputs are the new carries, values to stack and values to sum. turns: how many. reverse: from the last row to the
    first. last: carries whose final value is an output. track: carries all values of which are outputs, turns + 1 of
    them in the order of the rows. stacked, summed: how many values of a turn are stacked (along a new first axis, in
    the order of the rows) and summed over the turns.
    """

    graph: Graph
    constants: int
    carries: int
    turns: int
    reverse: bool = False
    last: tuple[int, ...] = ()
    track: tuple[int, ...] = ()
    stacked: int = 0
    simple: bool = False  # whether the graph is simplified already
    form: tuple[Any, ...] = field(init=False, repr=False)  # all but the graph
    content: Any = field(init=False, repr=False)  # of the graph: equal for graphs of the same nodes
    digest: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        form = (self.constants, self.carries, self.turns, self.reverse, self.last, self.track, self.stacked)
        object.__setattr__(self, "form", form)
        object.__setattr__(self, "content", content_of(self.graph))
        object.__setattr__(self, "digest", hash((form, self.content)))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Body)
            and self.digest == other.digest
            and (self.form, self.content) == (other.form, other.content)
        )

    def __hash__(self) -> int:
        return self.digest

    def __str__(self) -> str:
        return f"<{self.turns} turns of {len(self.graph.nodes())} nodes>"

    @property
    def rows(self) -> int:
        """How many arrays are gone over row by row."""
        return len(self.graph.inputs) - self.constants - self.carries

    @property
    def summed(self) -> int:
        return len(self.graph.outputs) - self.carries - self.stacked

    @functools.cached_property
    def steps(self) -> Steps:
        """The graph ready for the reference to run."""
        return steps_of(self.graph)

    def turn_order(self) -> range:
        """The rows in the order they are gone over."""
        return range(self.turns - 1, -1, -1) if self.reverse else range(self.turns)

    def before(self) -> int:
        """Where the carries that a turn starts from begin in a track: one further on where the loop runs backwards."""
        return int(self.reverse)

    def dtypes(self) -> list[Any]:
        """The dtypes of all outputs, each once."""
        return list(dict.fromkeys(dtype for _, _, _, dtype in self._outputs()))

    def _outputs(self) -> Iterator[tuple[str, int, Shape, Any]]:
        outputs, k = self.graph.outputs, self.carries
        for i in self.last:
            yield "last", i, outputs[i].shape, outputs[i].dtype
        for i in self.track:
            yield "track", i, (self.turns + 1, *outputs[i].shape), outputs[i].dtype
        for i, node in enumerate(outputs[k : k + self.stacked]):
            yield "stacked", i, (self.turns, *node.shape), node.dtype
        for i, node in enumerate(outputs[k + self.stacked :]):
            yield "summed", i, node.shape, node.dtype

    def segments(self, dtype: Any) -> list[Segment]:
        """The outputs of one dtype, in the order in which they lie in a node's vector."""
        found, start = [], 0
        for role, number, shape, its in self._outputs():
            if its == dtype:
                stop = start + math.prod(shape)
                found.append(Segment(role, number, shape, start, stop))
                start = stop
        return found

    def output(self, segment: Segment) -> Node:
        """The node of the graph that a segment is made of."""
        at = {"stacked": self.carries, "summed": self.carries + self.stacked}.get(segment.role, 0)
        return self.graph.outputs[at + segment.number]


def substituted(outputs: Sequence[Node], new: Mapping[Node, Node]) -> list[Node]:
    """The outputs computed from other nodes in the place of some."""
    made = dict(new)
    for node in reachable(outputs):
        if node not in made:
            inputs = tuple([made[x] for x in node.inputs])
            made[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where) if inputs else node
    return [made[output] for output in outputs]


def content_of(graph: Graph) -> Any:
    """A graph in a form that can be compared: equal for graphs of the same nodes."""
    number = {node: i for i, node in enumerate(graph.inputs)}
    form: list[Any] = [(node.shape, node.dtype) for node in graph.inputs]
    count = itertools.count(len(number))
    for node in graph.nodes():
        if node in number:
            continue
        number[node] = next(count)
        if node.op is INPUT:  # of another graph: a fault, which verify finds
            form.append(id(node))
        elif node.op is CONSTANT:
            value = node.attrs["value"]
            form.append((node.dtype, node.shape, value.tobytes() if value.size <= _SMALL else id(value)))
        else:
            attrs = tuple((k, v.hex() if isinstance(v, float) else v) for k, v in node.attrs.items())
            form.append((node.op, node.dtype, node.shape, tuple(number[x] for x in node.inputs), attrs))
    return (*form, tuple(number[node] for node in graph.outputs))
