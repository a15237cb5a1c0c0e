"""A step run again and again: some of a graph's outputs become its inputs of the next step.

`build` chooses who runs it: the machine, or the reference, which is slow and plainly right. Both keep one promise:
same graph and values, same result.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from fallline.errors import GraphError, unknown
from fallline.graph.node import Graph, Node
from fallline.graph.op import Array, Kind
from fallline.passes.checkpointing import keep_less
from fallline.passes.in_place import subtract_in_place, update_by_parts
from fallline.passes.tap import tap_groups
from fallline.program import emit, reference
from fallline.program.instructions import Lowered
from fallline.program.lanes import checked
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program
from fallline.program.state import donate
from fallline.program.strides import Ref, row_major

# Multiply-adds of a step from which on it is long enough to be given up when somebody asks. Not a time: results must
# not depend on how fast a machine is.
LONG = 2**32


class Loop(Protocol):
    """The interface of what `build` returns."""

    state: list[Array]

    @property
    def outputs(self) -> list[Array]:
        """The outputs of the last step."""
        ...

    @property
    def lanes(self) -> int:
        """How many lanes a step runs on."""
        ...

    @property
    def nanoseconds(self) -> float:
        """About how long a step takes, as far as that is known before it is made."""
        ...

    def run(self, steps: int, stop_requested: Array | None = None) -> int:
        """Do up to `steps` steps, updating the arrays of `state` in place; returns how many were done.

        Fewer than asked means that the watched output of the next step was not finite: that step changed nothing.
        stop_requested: a word, an int64 in an array, which another thread may set: a step so long that one would not
        wait for its end is then given up, and changed nothing either.
        """
        ...

    @property
    def was_stopped(self) -> bool:
        """Whether the last run did fewer steps than requested because of a stop request."""
        ...

    def clone(self, state: Sequence[Array], data: Sequence[Array]) -> "Loop":
        """The same step over other arrays of the same form, at little cost; both may run at the same time."""
        ...


def check(graph: Graph, state: Sequence[Array], data: Sequence[Array], watch: int | None) -> None:
    """Raise unless the graph maps state to state of the same form."""
    values = [*state, *data]
    if len(values) != len(graph.inputs):
        raise GraphError(
            f"the step takes {len(graph.inputs)} values, got {len(state)} of state and {len(data)} of data"
        )
    for value, node in zip(values, graph.inputs, strict=True):
        if value.shape != node.shape or value.dtype != node.dtype:
            raise GraphError(f"the step expects {node.dtype}{list(node.shape)}, got {value.dtype}{list(value.shape)}")
    for before, after in zip(graph.inputs[: len(state)], graph.outputs, strict=False):
        if before.shape != after.shape or before.dtype != after.dtype:
            raise GraphError(f"the step turns state {before!r} into {after!r}")
    if len(graph.outputs) < len(state):
        raise GraphError(f"the step returns {len(graph.outputs)} values for {len(state)} of state")
    if watch is not None and (not 0 <= watch < len(graph.outputs) or graph.outputs[watch].shape != ()):
        raise GraphError("the watched output has to be a scalar")


@dataclass
class ReferenceLoop:
    """Runs the graph through the ops' meanings."""

    graph: Graph
    state: list[Array]
    data: list[Array]
    watch: int | None = None
    threads: int = 1  # allowed; it runs on one lane whatever is asked
    gradient_checkpointing: bool = False  # allowed; it keeps everything
    outputs: list[Array] = field(default_factory=list)
    records: bool = False
    lanes: int = 1
    nanoseconds: float = 0.0
    was_stopped: bool = False

    def run(self, steps: int, stop_requested: Array | None = None) -> int:
        for done in range(steps):
            self.was_stopped = stop_requested is not None and bool(stop_requested.any())
            if self.was_stopped:
                return done
            results = reference.run(self.graph, [*self.state, *self.data])
            if self.watch is not None and not np.isfinite(results[self.watch]):
                return done
            # Results may be views of the state they replace, so all are copied before one is written.
            fresh = [np.array(result) for result in results]
            for array, value in zip(self.state, fresh, strict=False):
                array[...] = value
            if self.records:
                ring, count = self.state[-2:]
                ring[int(count) % len(ring)] = fresh[-1]
                count += 1
            self.outputs = fresh
        return steps

    def clone(self, state: Sequence[Array], data: Sequence[Array]) -> "ReferenceLoop":
        check(self.graph, state, data, self.watch)
        return ReferenceLoop(self.graph, list(state), list(data), self.watch, records=self.records)


def multiply_adds(graph: Graph) -> int:
    """Those of all matrix products of a graph."""
    total = 0
    for node in graph.nodes():
        if node.op.kind is Kind.CONTRACTION:
            total += node.size * node.inputs[-2].shape[-1]
        elif node.op.kind is Kind.LOOP:
            total += node.attrs["body"].turns * multiply_adds(node.attrs["body"].graph)
    return total


def lowered(
    graph: Graph,
    count: int,
    watch: int | None = None,
    gradient_checkpointing: bool = False,
    records: bool = False,
) -> Lowered:
    """A step's graph as instructions; its first `count` outputs are written over as many inputs, the state.

    gradient_checkpointing: values that only the backward pass from the watched output reads again are recomputed
    instead of stored. records: as for `build`.
    """
    graph = prepared(graph)
    # An in-place update of theta cannot be interrupted, so a long step does it at its end.
    parts: dict[Node, int] = {}
    if multiply_adds(graph) < LONG:
        graph = subtract_in_place(graph, count)
        if not gradient_checkpointing:
            graph, parts = update_by_parts(graph, count)
    loss = None if watch is None else graph.outputs[watch]
    made = lower(graph, loss, {**tap_groups(graph), **parts} if records else parts)
    again = keep_less(graph, loss, count) if gradient_checkpointing and loss is not None else None
    if again is not None:
        # The same chains, and the same of their values written: fused chains round less often, so each bit depends
        # on it.
        stored = {node for node in again.graph.nodes() if again.origin.get(node, node) in made.values}
        groups = {**tap_groups(again.graph), **again.segment} if records else again.segment
        made = lower(again.graph, loss, groups, stored)
    made = donate(made, count)
    return recorded(made, graph, count) if records else made


def recorded(made: Lowered, graph: Graph, count: int) -> Lowered:
    """The same step, which ends by writing its last output into the ring among its state."""
    ring, number = (
        Ref(place + 1, 0, node.shape, row_major(node.shape), node.dtype)  # buffers of inputs are numbered from 1 on
        for place, node in enumerate(graph.inputs[:count])
        if place >= count - 2
    )
    return replace(made, instructions=(*made.instructions, emit.record(ring, number, made.outputs[-1])))


class MachineLoop:
    """Runs the graph as a program on the machine, in the caller's arrays."""

    def __init__(
        self,
        graph: Graph,
        state: list[Array],
        data: list[Array],
        watch: int | None,
        threads: int,
        gradient_checkpointing: bool,
        records: bool = False,
    ) -> None:
        self.state = state
        step = lowered(graph, len(state), watch, gradient_checkpointing, records)
        self.program = Program(step, [*state, *data], writable=len(state), threads=threads)

    def run(self, steps: int, stop_requested: Array | None = None) -> int:
        return self.program.run(steps, stop_requested)

    def clone(self, state: Sequence[Array], data: Sequence[Array]) -> "MachineLoop":
        other = copy.copy(self)
        other.state = list(state)
        other.program = self.program.clone([*state, *data])
        return other

    @property
    def lanes(self) -> int:
        return len(self.program.tables)

    @property
    def nanoseconds(self) -> float:
        return self.program.memory.nanoseconds

    @property
    def was_stopped(self) -> bool:
        return self.program.was_stopped

    @property
    def outputs(self) -> list[Array]:
        """The outputs of the last step."""
        return [np.array(self.program.value(ref)) for ref in self.program.outputs]


ENGINES: dict[str, Callable[..., Loop]] = {"machine": MachineLoop, "reference": ReferenceLoop}


def build(
    graph: Graph,
    state: Sequence[Array],
    data: Sequence[Array],
    *,
    watch: int | None = None,
    engine: str = "machine",
    threads: int | None = 1,
    gradient_checkpointing: bool = False,
    records: bool = False,
) -> Loop:
    """A runnable loop over a step's graph.

    graph: inputs are the state then the data; its first outputs are the new state, in the same order and form.
    state: C-contiguous writable arrays, updated in place by `run`. data: arrays that are only read, never copied.
    watch: position of a scalar output that has to stay finite, usually the loss.
    engine: "machine" or "reference".
    threads: lanes to use at most, >= 1; None means the cores this process may use. Results do not depend on it.
    gradient_checkpointing: recompute values that only the backward pass reads again instead of storing them,
        where that saves memory; with a watched output only. Results do not depend on it.
    records: the last two arrays of state are a ring of rows and how many it was given, int64, which the graph leaves
        as they are; its last output is a row, which every step that is made writes to the ring.
    """
    check(graph, state, data, watch)
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    options = {"gradient_checkpointing": gradient_checkpointing, "records": records}
    return ENGINES[engine](graph, list(state), list(data), watch, checked(threads), **options)
