"""Records the measured values of every step of a loop: a ring of rows in the loop's state, read between two calls.

Knows rows of numbers and the names of their parts, not how they come about.
"""

import math
from collections.abc import Sequence

import numpy as np

from fallline.graph.node import Graph
from fallline.graph.op import Array
from fallline.passes.tap import tap
from fallline.steps.measure import Column

# Bytes of a ring at most, and rows: so many steps are made in one call at most.
_BYTES, _ROWS = 1 << 20, 4096

Values = dict[str, dict[str, Array]]


class Recorder:
    """The ring of one loop.

    graph: of the step, with its ring. state: the arrays to be added to the loop's. most: steps of a call at most, so
    that none is lost; None where only the last one of a call is wanted.
    """

    def __init__(self, graph: Graph, count: int, columns: Sequence[Column], every_step: bool = True) -> None:
        """graph: with the measured values as its last outputs. count: arrays of its state."""
        width = sum(math.prod(column.shape) for column in columns)
        item = max(value.dtype.itemsize for value in graph.outputs[count + 1 :])
        rows = max(1, min(_ROWS, _BYTES // max(1, width * item))) if every_step else 1
        self.columns, self.most = tuple(columns), rows if every_step else None
        self.graph = tap(graph, count, rows)
        self.state = [np.zeros(node.shape, node.dtype) for node in self.graph.inputs[count : count + 2]]

    def begin(self) -> None:
        """Before a call."""
        self.state[1][...] = 0

    def taken(self) -> Values:
        """The measured values of the call, by name and path: (steps, ...)."""
        ring, count = self.state
        rows, found, start = ring[: min(int(count), len(ring))], Values(), 0
        for column in self.columns:
            stop = start + math.prod(column.shape)
            part = rows[:, start:stop].reshape(len(rows), *column.shape)
            found.setdefault(column.name, {})[column.path] = np.array(part)
            start = stop
        return found
