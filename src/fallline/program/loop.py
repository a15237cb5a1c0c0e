"""A step run again and again: some of a graph's outputs become its inputs of the next step.

`build` chooses who runs it: the machine, or the reference, which is slow and plainly right. Both keep one promise:
same graph and values, same result.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from fallline.errors import GraphError, unknown
from fallline.graph.node import Graph
from fallline.graph.op import Array
from fallline.passes.onto import subtract_in_place
from fallline.passes.recompute import keep_less
from fallline.passes.simplify import simplify
from fallline.program import reference
from fallline.program.lanes import checked
from fallline.program.lower import Lowered, lower
from fallline.program.machine import Program
from fallline.program.state import carry


class Loop(Protocol):
    """What `build` returns."""

    state: list[Array]

    @property
    def outputs(self) -> list[Array]:
        """The outputs of the last step."""
        ...

    @property
    def lanes(self) -> int:
        """How many lanes a step runs on."""
        ...

    def run(self, steps: int) -> int:
        """Do up to `steps` steps, updating the arrays of `state` in place; returns how many were done.

        Fewer than asked means that the watched output of the next step was not finite: that step changed nothing.
        """
        ...

    def twin(self, state: Sequence[Array], data: Sequence[Array]) -> "Loop":
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
    recompute: bool = False  # allowed; it keeps everything
    outputs: list[Array] = field(default_factory=list)
    lanes: int = 1

    def run(self, steps: int) -> int:
        for done in range(steps):
            results = reference.run(self.graph, [*self.state, *self.data])
            if self.watch is not None and not np.isfinite(results[self.watch]):
                return done
            # Results may be views of the state they replace, so all are copied before one is written.
            fresh = [np.array(result) for result in results]
            for array, value in zip(self.state, fresh, strict=False):
                array[...] = value
            self.outputs = fresh
        return steps

    def twin(self, state: Sequence[Array], data: Sequence[Array]) -> "ReferenceLoop":
        check(self.graph, state, data, self.watch)
        return ReferenceLoop(self.graph, list(state), list(data), self.watch)


def lowered(graph: Graph, count: int, watch: int | None = None, recompute: bool = False) -> Lowered:
    """A step's graph as instructions; its first `count` outputs are written over as many inputs, the state.

    recompute: what only the way back from the watched output reads again is computed twice instead of kept.
    """
    graph = subtract_in_place(simplify(graph), count)
    loss = None if watch is None else graph.outputs[watch]
    made = lower(graph, loss)
    again = keep_less(graph, loss, count) if recompute and loss is not None else None
    if again is not None:
        # The same chains, and the same of their values written: what is fused rounds less often, so each bit depends
        # on it.
        stored = {node for node in again.graph.nodes() if again.origin.get(node, node) in made.values}
        made = lower(again.graph, loss, again.stretch, stored)
    return carry(made, count)


class MachineLoop:
    """Runs the graph as a program on the machine, in the caller's arrays."""

    def __init__(
        self, graph: Graph, state: list[Array], data: list[Array], watch: int | None, threads: int, recompute: bool
    ) -> None:
        self.state = state
        step = lowered(graph, len(state), watch, recompute)
        self.program = Program(step, [*state, *data], writable=len(state), threads=threads)

    def run(self, steps: int) -> int:
        return self.program.run(steps)

    def twin(self, state: Sequence[Array], data: Sequence[Array]) -> "MachineLoop":
        other = copy.copy(self)
        other.state = list(state)
        other.program = self.program.twin([*state, *data])
        return other

    @property
    def lanes(self) -> int:
        return len(self.program.tables)

    @property
    def outputs(self) -> list[Array]:
        """The outputs of the last step."""
        return [np.array(self.program.value(ref)) for ref in self.program.outputs]


ENGINES: dict[str, Callable[[Graph, list[Array], list[Array], int | None, int, bool], Loop]] = {
    "machine": MachineLoop,
    "reference": ReferenceLoop,
}


def build(
    graph: Graph,
    state: Sequence[Array],
    data: Sequence[Array],
    *,
    watch: int | None = None,
    engine: str = "machine",
    threads: int | None = 1,
    recompute: bool = False,
) -> Loop:
    """A runnable loop over a step's graph.

    graph: inputs are the state then the data; its first outputs are the new state, in the same order and form.
    state: C-contiguous writable arrays, updated in place by `run`. data: arrays that are only read, never copied.
    watch: position of a scalar output that has to stay finite, usually the loss.
    engine: "machine" or "reference".
    threads: lanes to use at most, >= 1; None means the cores this process may use. Results do not depend on it.
    recompute: compute values that only backpropagation reads again a second time instead of keeping them, where that
        saves memory; with a watched output only. Results do not depend on it.
    """
    check(graph, state, data, watch)
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    return ENGINES[engine](graph, list(state), list(data), watch, checked(threads), recompute)
