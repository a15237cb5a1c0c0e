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
from fallline.nn.metric import values_of
from fallline.nn.model import Model
from fallline.program import loop
from fallline.source import as_tree, named
from fallline.training.measures import NOTHING, PREFIX, Measures
from fallline.training.pace import Pace
from fallline.training.shared_cache import NOT_SHARED, ByIdentity, SharedCache, form
from fallline.training.step import evaluation_step
from fallline.training.stepper import main_and_last

# Enough rows for matrix products to be efficient, few enough for their activations to stay in cache.
BLOCK_ROWS = 512
# Rows read at once for metrics that look at the outputs.
READ_ROWS = 1 << 16


def block_graphs(model: Model, inputs: Mapping[str, Array], measures: Measures) -> tuple[list[Graph], list[Shape]]:
    """The graph of a block of rows, and that of the rows left at the end where there are some; the sums' shapes.

    inputs: "theta", the named arrays, and "order".
    """
    rows, sums = len(inputs["order"]), [partial(add, model.loss) for add in added_up(measures)]
    size = min(BLOCK_ROWS, rows)
    made = [evaluation_step(model, inputs, n, sums) for n in (size, rows % size) if n]
    return [graph for graph, _ in made], made[0][1]


def added_up(measures: Measures) -> list[Callable[[Any, Any, Any], Any]]:
    """What is added up over blocks besides the loss; several metrics may need the same sum."""
    return list(dict.fromkeys(one.sums[measures.kind].add for one in measures.metrics if measures.kind in one.sums))


def targets(y: Array, rows: Array) -> Array:
    """The targets of these ascending rows; not copied where all are meant."""
    return y if len(rows) == len(y) else y[rows]


class Evaluation:
    """Measures theta, which it reads where it lies, on the given rows.

    loss: the mean over the rows, weighted where they have weights; values: the metrics by name; seconds: spent so far.
    """

    def __init__(
        self,
        model: Model,
        theta: Array,
        data: Mapping[str, Array],
        rows: Array,
        threads: int | None = 1,
        cache: SharedCache = NOT_SHARED,
        measures: Measures = NOTHING,
    ) -> None:
        """data: named arrays; rows: which of them, int64, not empty. threads: lanes at most.

        measures: the metrics, and the kind of y. cache: holds the programs of trainings beside it.
        """
        self.rows, self.measures, y = rows, measures, data["y"]
        self._is_weighted = "weight" in data
        inputs = {"theta": theta, **data, "order": rows}
        self._y = y
        if measures.metrics:
            self._y = cache.once(("targets", ByIdentity(y), ByIdentity(rows)), lambda: targets(y, rows))
        adds = added_up(measures)
        # The metrics that are no sums look at all outputs: of the network alone, whose rows are encoded already.
        sums = {one.name: one.sums[measures.kind].add for one in measures.metrics if measures.kind in one.sums}
        self._place = {name: 1 + adds.index(add) for name, add in sums.items()}
        self._whole = [one for one in measures.metrics if one.name not in self._place]
        self._model, self._threads = replace(model, encoder=None, theta=theta), threads
        self._x = {name: data[name] for name in named(model.inputs)}
        key = "evaluation", model.network, model.loss, model.dtype, threads, *adds, *map(form, inputs.values())
        graphs, shapes = cache.once(key, lambda: block_graphs(model, inputs, measures))
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
        self.loss = float(self._sums[0]) / (float(self._sums[-1]) if self._is_weighted else len(self.rows))
        begun = time.perf_counter()
        found = values_of(self._whole, self._model, self._outputs(), self._y) if self._whole else {}
        for one in self.measures.metrics:
            if one.name in self._place:
                sums = one.sums[self.measures.kind]
                found[one.name] = sums.of(self._sums[self._place[one.name]], self._y, self._model.decoder)
        self.values = {PREFIX + one.name: found[one.name] for one in self.measures.metrics}
        self.seconds += time.perf_counter() - begun
        return True

    def _outputs(self) -> Array:
        """The outputs for all rows, read a part at a time where they are not all rows there are."""
        every = len(self.rows) == len(next(iter(self._x.values())))
        step = len(self.rows) if every else READ_ROWS
        places = [slice(None) if every else self.rows[i : i + step] for i in range(0, len(self.rows), step)]
        parts = (as_tree({name: x[place] for name, x in self._x.items()}, self._model.inputs) for place in places)
        return np.concatenate([self._model.outputs(part, threads=self._threads) for part in parts])
