"""Loss and metrics of a model on some rows, in blocks of bounded memory, by the same machinery that trains."""

import math
import time
from collections.abc import Mapping
from functools import partial

import numpy as np

from fallline.graph.node import Graph
from fallline.graph.op import Array, Shape
from fallline.nn.model import Model
from fallline.program import loop
from fallline.training.metric import metrics_for
from fallline.training.pace import Pace
from fallline.training.shared_cache import NOT_SHARED, ByIdentity, SharedCache, form
from fallline.training.step import evaluation_step
from fallline.training.stepper import main_and_last

# Enough rows for matrix products to be efficient, few enough for their activations to stay in cache.
BLOCK_ROWS = 512
PREFIX = "validation_"


def block_graphs(model: Model, inputs: Mapping[str, Array]) -> tuple[list[Graph], list[Shape]]:
    """The graph of a block of rows, and that of the rows left at the end where there are some; the sums' shapes.

    inputs: "theta", "x", "y" and "order".
    """
    metrics, rows = metrics_for(model.task, inputs["y"]), len(inputs["order"])
    sums = [] if metrics is None else [partial(metrics.sums, model.loss)]
    size = min(BLOCK_ROWS, rows)
    made = [evaluation_step(model, inputs, n, sums) for n in (size, rows % size) if n]
    return [graph for graph, _ in made], made[0][1]


def targets(y: Array, rows: Array) -> Array:
    """The targets of these ascending rows; not copied where all are meant."""
    return y if len(rows) == len(y) else y[rows]


class Evaluation:
    """Measures theta, which it reads where it lies, on the given rows.

    loss: the mean over the rows; values: the metrics by name; seconds: spent so far.
    """

    def __init__(
        self,
        model: Model,
        theta: Array,
        data: Mapping[str, Array],
        rows: Array,
        threads: int | None = 1,
        cache: SharedCache = NOT_SHARED,
    ) -> None:
        """data: "x" and "y"; rows: which of them, int64, not empty. threads: lanes at most.

        cache: holds the programs of trainings beside it.
        """
        self.rows = rows
        y = data["y"]
        self.metrics = cache.once(("metrics", model.task, ByIdentity(y)), lambda: metrics_for(model.task, y))
        self.names = tuple(PREFIX + name for name in self.metrics.names) if self.metrics else ()
        inputs = {"theta": theta, **data, "order": rows}
        self._y = (
            cache.once(("targets", ByIdentity(y), ByIdentity(rows)), lambda: targets(y, rows)) if self.metrics else y
        )
        key = "evaluation", model.network, model.loss, model.dtype, threads, self.names, *map(form, inputs.values())
        graphs, shapes = cache.once(key, lambda: block_graphs(model, inputs))
        self.full = len(rows) // min(BLOCK_ROWS, len(rows))
        self._cursor = np.zeros((), np.int64)
        self._sums = [np.zeros(shape) for shape in shapes]
        arrays = [self._cursor, *self._sums], list(inputs.values())
        loops = cache.loops(key, *arrays, lambda: (loop.build(graph, *arrays, threads=threads) for graph in graphs))
        self._main, self._last = main_and_last(loops)
        self._pace = Pace()
        self.seconds = 0.0
        self.loss = math.nan
        self.values: dict[str, float] = {}

    def measure(self, stop_requested: Array | None = None) -> bool:
        """Fill in `loss` and `values`; False if it was given up: the word in `stop_requested` is not 0."""
        for array in (self._cursor, *self._sums):
            array[...] = 0
        left = self.full
        while left:
            begun = time.perf_counter()
            done = self._main.run(min(left, self._pace.steps), stop_requested)
            took = time.perf_counter() - begun
            self.seconds += took
            self._pace.note(done, took)
            left -= done
            if stop_requested is not None and stop_requested[0]:
                return False
        if self._last is not None and not self._last.run(1, stop_requested):
            return False
        self.loss = float(self._sums[0]) / len(self.rows)
        if self.metrics is not None:
            with np.errstate(all="ignore"):
                numbers = self.metrics.finish(self._sums[1], self._y)
            self.values = dict(zip(self.names, numbers))
        return True
