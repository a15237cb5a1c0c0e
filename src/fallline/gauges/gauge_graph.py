"""The program of a training's gauges: from the arrays that a step reads to the numbers of all gauges at once.

One graph for all gauges, so that shared work is done once. A gauge that this network, loss or optimizer cannot have is
left out and named. Knows no single gauge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fallline.gauges.curvature_gauges import Point
from fallline.gauges.gauge_table import Facts, Gauge, Values
from fallline.gauges.inner_values import Inner
from fallline.graph.node import Graph
from fallline.graph.op import Array, Kind
from fallline.graph.trace import as_output, input_like, trace
from fallline.graph.where import part
from fallline.nn.model import Model
from fallline.optim import Optimizer
from fallline.passes.outer_products import outer_products_summed
from fallline.passes.simplify import simplify
from fallline.program import call, reference

# Elements of outer products from which on it takes less time to look for a way around them than to make them.
_LARGE = 1 << 18
# Elements that a value may have: gradients of single rows that are made one by one are made of fewer rows.
MOST_ELEMENTS = 1 << 25
# The longest text of an error that a note holds.
_TOLD = 160


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """values: numbers by gauge and path. missing: gauges that could not be had, and why."""

    values: dict[str, Values]
    missing: dict[str, str]


Run = Callable[[Sequence[Array]], list[Array]]


def by_reference(graph: Graph, threads: int | None) -> Run:
    """A graph run node by node: slower than the machine, and there without a compiler."""
    return partial(reference.run, replace(graph, known=graph.nodes()))


def compiled(graph: Graph, threads: int | None) -> Run:
    """A graph as a program."""
    return call.build(graph, threads)


def in_few_nodes(graph: Graph) -> Graph:
    """The graph with shared work done once, and gradients of rows of dense layers never made."""
    graph = simplify(graph)
    fewer = outer_products_summed(graph, _LARGE)
    return graph if fewer is graph else simplify(fewer)


def largest(graph: Graph) -> int:
    """Elements of the largest value that is computed, and not only looked at in another way."""
    nodes = (node for node in graph.nodes() if node.op.kind not in (Kind.SOURCE, Kind.VIEW))
    return max((node.size for node in nodes), default=0)


def why(error: BaseException) -> str:
    """An error in one line."""
    text = str(error).partition("\n")[0] or type(error).__name__
    return text if len(text) <= _TOLD else text[: _TOLD - 3] + "..."


class GaugeProgram:
    """Gauges of a step on `size` rows, compiled.

    missing: gauges that cannot be had here, and why.
    """

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        gauges: Sequence[Gauge],
        given: Mapping[str, Array],
        size: int | None,
        threads: int | None = 1,
        make: Callable[[Graph, int | None], Run] = by_reference,
    ) -> None:
        """given: arrays by name, as for `training_step`, "start", and those of the probe. size: as for `Inner`.

        make: `compiled`, or `by_reference`, whose numbers differ in their last bits.
        """
        self.is_compiled = make is compiled
        self.gauges, self.names = tuple(gauges), list(given)
        self._model, self._optimizer = model, optimizer
        self.missing: dict[str, str] = {}
        self._columns: list[tuple[str, str]] = []

        def every(*nodes: Any) -> list[Any]:
            inner = Inner(model, optimizer, dict(zip(self.names, nodes, strict=True)), size, most_rows)
            outputs: list[Any] = []
            self._columns, self.missing = [], {}
            for one in (one for one in self.gauges if one.is_traced):
                try:
                    with part("gauges"):
                        found = {path: as_output(value) for path, value in one.traced(inner).items()}
                except Exception as error:  # also of a gauge of somebody's own
                    self.missing[one.name] = why(error)
                    continue
                outputs += found.values()
                self._columns += [(one.name, path) for path in found]
            return outputs

        most_rows: int | None = None
        inputs = [input_like(array, name) for name, array in given.items()]
        graph = in_few_nodes(trace(every, inputs)[0])
        if (size_of := largest(graph)) > MOST_ELEMENTS:
            rows = next(len(given[name]) for name in ("order", "y") if name in given) if size is None else size
            most_rows = max(2, rows * MOST_ELEMENTS // size_of)
            graph = in_few_nodes(trace(every, inputs)[0])
        self._run = make(graph, threads) if self._columns else None

    def __call__(self, given: Mapping[str, Array], facts: Facts) -> Sample:
        """The gauges' numbers for these arrays, of the same names and forms as the first ones."""
        raw: dict[str, Values] = {}
        results = [] if self._run is None else self._run([given[name] for name in self.names])
        for (name, path), value in zip(self._columns, results, strict=True):
            raw.setdefault(name, {})[path] = np.asarray(value)
        values, missing = {}, dict(self.missing)
        point = Point(self._model, self._optimizer, given)
        for one in self.gauges:
            if one.name in missing:
                continue
            try:
                made = raw.get(one.name, {}) if one.is_traced else one.traced(point)
                found = one.finished(dict(made), facts)
            except Exception as error:  # a gauge of somebody's own may do anything, and no training is lost for it
                missing[one.name] = why(error)
                continue
            if found:
                values[one.name] = found
        return Sample(values, missing)
