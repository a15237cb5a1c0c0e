"""Loss and metrics of a model on some rows, in blocks of bounded memory, by the same machinery that trains."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fallline.graph.node import Graph
from fallline.graph.op import Array, Shape
from fallline.jobs.named import Rows, targets_of_rows, weights_of_rows
from fallline.jobs.shared_cache import NOT_SHARED, ByIdentity, SharedCache, form
from fallline.jobs.validation import NOTHING, PREFIX, Measures
from fallline.nn.measured import values_of
from fallline.nn.metric import Metric
from fallline.nn.model import Model
from fallline.program import step_loop as loop
from fallline.source import as_tree, named
from fallline.steps.step import evaluation_step
from fallline.stored import Stored
from fallline.training.feed import Feed, feed_of
from fallline.training.pace import Pace
from fallline.training.stepper import main_and_last

# Enough rows for matrix products to be efficient, few enough for their activations to stay in cache.
BLOCK_ROWS = 512
# Rows of a part, for metrics that look at the outputs: blocks for every lane; between parts a stop request is heard.
PART_ROWS = 1 << 14


def block_graphs(
    model: Model, inputs: Mapping[str, Array], rows: int, measures: Measures
) -> tuple[list[Graph], list[Shape]]:
    """The graph of a block of rows, and that of the rows left at the end where there are some; the sums' shapes.

    inputs: "theta", the named arrays, and "order". rows: in all.
    """
    sums, size = [partial(add, model.loss) for add in added_up(measures)], min(BLOCK_ROWS, rows)
    made = [evaluation_step(model, inputs, n, sums) for n in (size, rows % size) if n]
    return [graph for graph, _ in made], made[0][1]


def added_up(measures: Measures) -> list[Callable[[Any, Any, Any, Any], Any]]:
    """The sums over blocks of rows besides the loss; several metrics may need the same one."""
    return list(dict.fromkeys(one.add for one in measures.sums.values()))


def of_outputs(measures: Measures) -> list[Metric]:
    """The metrics that are no sums over rows, so that they look at the outputs for all rows."""
    sums = measures.sums
    return [one for one in measures.metrics if one.name not in sums]


def validation_feed(held: Rows) -> Feed:
    """The feed of a validation pass, a pass being its one epoch."""
    return feed_of(held, min(BLOCK_ROWS, len(held.index)), epochs=1, seed=0)


class Evaluation:
    """Measures theta, which it reads where it lies, on the given rows.

    loss: the mean over the rows, weighted where they have weights; values: the metrics by name; seconds: spent so far.
    """

    def __init__(
        self,
        model: Model,
        theta: Array,
        held: Rows,
        threads: int | None = 1,
        cache: SharedCache = NOT_SHARED,
        measures: Measures = NOTHING,
    ) -> None:
        """held: the rows, not none. threads: lanes at most.

        measures: the metrics, and the kind of y. cache: holds the programs of trainings that run at the same time.
        """
        self.rows, self.measures, self.feed, y = held.index, measures, validation_feed(held), held.data["y"]
        self._is_weighted, rows = "weight" in held.data, len(self.rows)
        inputs = {"theta": theta, **self.feed.arrays, "order": self.feed.order}
        self._y = y
        if measures.metrics:
            self._y = cache.once(("targets", ByIdentity(y), ByIdentity(self.rows)), lambda: targets_of_rows(held))
        self._weight = weights_of_rows(held) if measures.metrics else None
        adds = added_up(measures)
        # The metrics that are no sums look at all outputs: of the network alone, whose rows are encoded already.
        self._added = {name: (one, 1 + adds.index(one.add)) for name, one in measures.sums.items()}
        self._whole = of_outputs(measures)
        self._model, self._threads = replace(model, encoder=None, theta=theta), threads
        self._x = {name: held.data[name] for name in named(model.inputs)}
        key = "evaluation", model.network, model.loss, model.dtype, threads, *adds, rows, *map(form, inputs.values())
        graphs, shapes = cache.once(key, lambda: block_graphs(model, inputs, rows, measures))
        self._size = min(BLOCK_ROWS, rows)
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
        seen = 0
        while seen < len(self.rows):
            begun = time.perf_counter()
            cursor = self.feed.place(0, seen, stop_requested)
            self.seconds += time.perf_counter() - begun
            if cursor is None:
                return False
            self._cursor[...] = cursor
            seen += self.feed.ready
            if not self._add(self.feed.ready // self._size, stop_requested):
                return False
        if self._last is not None and not self._last.run(1, stop_requested):
            return False
        self.loss = float(self._sums[0]) / (float(self._sums[-1]) if self._is_weighted else len(self.rows))
        begun = time.perf_counter()
        found: dict[str, float] = {}
        if self._whole:
            outputs = self._outputs(stop_requested)
            if outputs is None:
                return False
            found = values_of(self._whole, self._model, outputs, self._y, self._weight)
        for name, (one, place) in self._added.items():
            found[name] = one.of(self._sums[place], self._y, self._model.decoder, self._weight)
        self.values = {PREFIX + one.name: found[one.name] for one in self.measures.metrics}
        self.seconds += time.perf_counter() - begun
        return True

    def _add(self, left: int, stop_requested: Array | None) -> bool:
        """Add so many whole blocks to the sums; whether that came to its end."""
        while left:
            begun = time.perf_counter()
            done = self._main.run(min(left, self._pace.steps), stop_requested)
            took = time.perf_counter() - begun
            self.seconds += took
            self._pace.note(done, took)
            left -= done
            if stop_requested is not None and stop_requested[0]:
                return False
        return True

    def _outputs(self, stop_requested: Array | None) -> Array | None:
        """The outputs for all rows, a part of them at a time; None if it was given up."""
        x = next(iter(self._x.values()))
        is_stored = any(isinstance(one, Stored) for one in self._x.values())
        every = len(self.rows) == len(x) and not is_stored
        step = self.feed.arrays["y"].shape[0] if is_stored else PART_ROWS
        outputs = np.empty((len(self.rows), *self._model.output_shape), self._model.dtype)
        for i in range(0, len(self.rows), step):
            if stop_requested is not None and stop_requested[0]:
                return None
            rows = slice(i, i + step)
            part = as_tree({n: x[rows if every else self.rows[rows]] for n, x in self._x.items()}, self._model.inputs)
            outputs[rows] = self._model.outputs(part, threads=self._threads)
        return outputs
