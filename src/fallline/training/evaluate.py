"""Loss and metrics of a model on some rows, in blocks of bounded memory, by the same machinery that trains."""

import math
import time
from collections.abc import Callable, Mapping

import numpy as np

from fallline.graph.op import Array
from fallline.nn.model import Model
from fallline.program import loop
from fallline.training.metric import METRICS
from fallline.training.pace import Pace
from fallline.training.step import evaluation_step

# Enough rows for matrix products to be efficient, few enough for their activations to stay in cache.
BLOCK_ROWS = 512
PREFIX = "validation_"


class Evaluation:
    """Measures theta, which it reads where it lies, on the given rows.

    loss: the mean over the rows; values: the metrics by name; seconds: spent so far.
    """

    def __init__(
        self, model: Model, theta: Array, data: Mapping[str, Array], rows: Array, threads: int | None = 1
    ) -> None:
        """data: "x" and "y"; rows: which of them, int64, not empty. threads: lanes at most."""
        self.rows = rows
        self.metrics = METRICS.get(model.task)
        self.names = tuple(PREFIX + name for name in self.metrics.names) if self.metrics else ()
        self._y = data["y"][rows] if self.metrics else data["y"]
        sums = [lambda output, y: self.metrics.sums(model.loss, output, y)] if self.metrics else []  # type: ignore[union-attr]
        inputs = {"theta": theta, **data, "order": rows}
        size = min(BLOCK_ROWS, len(rows))
        self.full, tail = divmod(len(rows), size)
        graph, shapes = evaluation_step(model, inputs, size, sums)
        self._cursor = np.zeros((), np.int64)
        self._sums = [np.zeros(shape) for shape in shapes]
        state, values = [self._cursor, *self._sums], list(inputs.values())
        self._main, self._last = loop.build(graph, state, values, threads=threads), None
        if tail:
            graph, _ = evaluation_step(model, inputs, tail, sums)
            self._last = loop.build(graph, state, values, threads=threads)
        self._pace = Pace()
        self.seconds = 0.0
        self.loss = math.nan
        self.values: dict[str, float] = {}

    def measure(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Fill in `loss` and `values`; False if `stop` said so between two machine calls."""
        for array in (self._cursor, *self._sums):
            array[...] = 0
        left = self.full
        while left:
            begun = time.perf_counter()
            done = self._main.run(min(left, self._pace.steps))
            took = time.perf_counter() - begun
            self.seconds += took
            self._pace.note(done, took)
            left -= done
            if stop():
                return False
        if self._last is not None:
            self._last.run(1)
        self.loss = float(self._sums[0]) / len(self.rows)
        if self.metrics is not None:
            with np.errstate(all="ignore"):
                numbers = self.metrics.finish(self._sums[1], self._y)
            self.values = dict(zip(self.names, numbers))
        return True
