"""The table of gauges: the form of a gauge, and how it gets into the table. Knows no single gauge.

    @gauge("gradient_norm", unit="loss per unit of w", formula="|g_l|", needs=("gradient",))
    def gradient_norm(inner):
        return {path: np.sqrt(np.sum(np.square(g))) for path, g in inner.gradient.items()}

A gauge is a function from the inner values of one step to numbers, written in NumPy. It is traced once, together with
all other gauges that were chosen, so that what several of them need is computed once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.errors import ArgumentError, unknown
from fallline.graph.op import Array

# Of all rows at once or of one path: numbers, or arrays of them.
Values = dict[str, Array]

# Gauges that need it are functions of plain arrays instead of nodes.
CURVATURE = "curvature"
NEEDS: Mapping[str, str] = {
    "gradient": "the gradient of the next step's batch",
    "delta": "the derivative of its loss with respect to the output of each layer",
    "update": "the update that the next step will make",
    "after": "the loss of the same batch once that step is made",
    "rows": "the gradient of each row of the batch",
    "probe": "a forward pass over rows that stay the same for the whole run",
    "start": "the parameters at the start",
    "state": "the arrays that the optimizer keeps, and its learning rate",
    CURVATURE: "products of the Hessian with vectors",
}


UNITS: Mapping[str, str] = {
    "1": "a number without a unit",
    "loss": "the unit of the loss",
    "w": "the unit of a parameter",
    "out": "the unit of a layer's output",
    "rows": "a number of rows",
    "row": "a row number",
    "share": "a share, 0 to 1",
    "elements": "a count of elements",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Plain facts about a sample that finish functions may read.

    classes: labels in the order of the outputs, or None. rows: the row numbers of the probe rows in the training data,
    or None. count: training rows, or None.
    """

    classes: Array | None = None
    rows: Array | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """Something to watch while a network trains.

    name: in events, histories and on the command line. doc: in one line. unit: of its numbers, of UNITS. formula: in
        the letters of `docs/gauges.md`. needs: of NEEDS, the inner values that it is made of.
    traced: (inner) -> nodes by path, "" for the whole network. finish: (their values by path, facts) -> numbers by
        path, in NumPy; None: they are the numbers. parts: of several numbers for the whole network, each in words.
    healthy: (low, high), where a usual network stays; None where that depends on the problem. reads: how to read it, in
        a sentence. source: of the formula. usual: among the defaults.
    """

    name: str
    doc: str
    unit: str
    formula: str
    needs: tuple[str, ...]
    traced: Callable[[Any], Mapping[str, Any]]
    finish: Callable[[Values, Facts], Mapping[str, Any]] | None = None
    healthy: tuple[float, float] | None = None
    reads: str = ""
    source: str = ""
    usual: bool = False
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_traced(self) -> bool:
        """Whether it is made of nodes; else of plain arrays, a `curvature_gauges.Point`."""
        return CURVATURE not in self.needs

    def finished(self, values: Values, facts: Facts) -> Values:
        """The gauge's numbers, float64, from the values that its traced function asked for."""
        with np.errstate(all="ignore"):
            found = values if self.finish is None else self.finish(values, facts)
            return {path: np.asarray(value, np.float64) for path, value in found.items()}

    def is_healthy(self, value: float) -> bool | None:
        """Whether a number is in the healthy range; None where there is none."""
        return None if self.healthy is None else bool(self.healthy[0] <= value <= self.healthy[1])


GAUGES: dict[str, Gauge] = {}


def gauge(
    name: str,
    *,
    unit: str,
    formula: str,
    needs: tuple[str, ...],
    finish: Callable[[Values, Facts], Mapping[str, Any]] | None = None,
    healthy: tuple[float, float] | None = None,
    reads: str = "",
    source: str = "",
    usual: bool = False,
    parts: Mapping[str, str] | None = None,
) -> Callable[[Callable[[Any], Mapping[str, Any]]], Gauge]:
    """Enter a function of inner values as a gauge; its docstring's first paragraph is the gauge's line.

    parts: of a gauge that gives several numbers for the whole network, what each path holds. All else: as for Gauge.
    Errors: ArgumentError for an unknown need, or a name that is taken.
    """

    def entered(function: Callable[[Any], Mapping[str, Any]]) -> Gauge:
        doc = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
        for one in needs:
            if one not in NEEDS:
                raise unknown("need of a gauge", one, NEEDS)
        known = GAUGES.get(name)
        if known is not None and known.traced.__module__ != function.__module__:
            raise ArgumentError(f"two gauges are called {name!r}\n  try: another name")
        made = Gauge(name, doc, unit, formula, needs, function, finish, healthy, reads, source, usual, parts or {})
        GAUGES[name] = made
        return made

    return entered


def usual_gauges() -> tuple[str, ...]:
    """The names of the gauges that are watched where none are named."""
    return tuple(one.name for one in GAUGES.values() if one.usual)
