"""A graph as a function of arrays: `build` prepares one for many calls, `once` runs a graph a single time.

Both promise arrays of their own: never the caller's, never a constant's, and no two results share memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.errors import GraphError
from fallline.graph.node import CONSTANT, Graph, Node
from fallline.graph.op import Array
from fallline.passes.loops import fewer_loops
from fallline.passes.outer_products import outer_products_summed
from fallline.passes.simplify import pieces_joined
from fallline.program import reference
from fallline.program.forks import renewed
from fallline.program.lanes import checked
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program

# Elements of outer products that take longer to make than to find out how they are summed without being made.
_LARGE = 1 << 19


def once(graph: Graph, values: Sequence[Array]) -> list[Array]:
    """The outputs for these inputs, through the reference: right for a graph that is made anew at every call."""
    graph = pieces_joined(fewer_loops(replace(graph, known=graph.nodes())))
    graph = outer_products_summed(graph, _LARGE)
    nodes = graph.nodes()
    constants = [node.attrs["value"] for node in nodes if node.op is CONSTANT]
    return owned(reference.run(replace(graph, known=nodes), values), [*values, *constants])


def owned(results: Sequence[Array], others: Sequence[Array]) -> list[Array]:
    """The results as arrays of their own, which share memory neither with one another nor with those others."""
    taken = {id(other) for other in others}
    found = []
    for result in results:
        own = result.flags.owndata and result.flags.writeable and id(result) not in taken
        found.append(result if own else np.array(result))
        taken.add(id(result))
    return found


def fits(value: Any, node: Node) -> bool:
    """Whether a value can be read where it lies; asking is quicker than letting NumPy find that out."""
    return isinstance(value, np.ndarray) and value.dtype == node.dtype and value.flags.c_contiguous


def laid(value: Any, node: Node) -> Array:
    """The value as it can be read: itself if it fits."""
    return value if fits(value, node) else np.asarray(value, node.dtype, order="C")


class Call:
    """A program that is fed new arrays at every call; inputs that lie right are read where they are."""

    def __init__(self, graph: Graph, threads: int) -> None:
        self.graph, self.threads = graph, threads
        self.program: Program | None = None
        self.lock = renewed(self, "lock")

    def __call__(self, values: Sequence[Array]) -> list[Array]:
        inputs = self.graph.inputs
        if len(values) != len(inputs):
            raise GraphError(f"the graph takes {len(inputs)} inputs, got {len(values)}")
        with self.lock:
            program = self.program
            if program is None:
                arrays = [laid(value, node) for value, node in zip(values, inputs, strict=True)]
                program = Program(lower(prepared(self.graph)), arrays, threads=self.threads, hand_out=True)
                self.program = program
            else:
                program.renew()
                for number, known in enumerate(program.arrays):
                    if values[number] is not known or not known.flags.c_contiguous:
                        program.rebind(number, laid(values[number], inputs[number]))
            program.run()
            return program.hand_out()


def build(graph: Graph, threads: int | None = 1) -> Callable[[Sequence[Array]], list[Array]]:
    """A function from the graph's inputs to its outputs, prepared once and then called many times, on the machine.

    threads: lanes to use at most, >= 1; None means the cores this process may use. Results do not depend on it.
    """
    return Call(graph, checked(threads))
