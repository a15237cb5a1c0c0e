"""The straight line between two runs of one network, and the barrier on it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arguments import takes
from fallline.displays import Displayed
from fallline.errors import ArgumentError, DataError
from fallline.graph.op import Array
from fallline.insight.landscape import LINE, UNITS, Landscape, filled
from fallline.insight.opened import opened
from fallline.insight.run_curvature import ON_ROWS, ROWS, part_and_rows
from fallline.insight.sliced import Sliced
from fallline.nn.model import Model
from fallline.ranges import COUNT, SEED, Range
from fallline.training.run import Run

_POINTS, _BEYOND = Range(at_least=2, at_most=10_000, whole=True), Range(at_least=0, at_most=1)


@dataclass(frozen=True, eq=False)
class Line(Displayed):
    """The loss on the straight line between two runs.

        L(t) = loss at (1 - t) theta_a + t theta_b,      barrier = max over 0 <= t <= 1 of  L(t) - (1 - t) L(0) - t L(1)

    landscape: the loss along the line, its axis the share of the way t. barrier: 0 where nothing rises above the
    straight line between the ends. barrier_error: its standard error over the rows, taken row by row; NaN where the
    loss is no mean over rows. at: t of the barrier. distance: |theta_b - theta_a|.
    """

    landscape: Landscape
    barrier: float
    barrier_error: float
    at: float
    distance: float


@takes(points=_POINTS, beyond=_BEYOND, rows=COUNT, on=ON_ROWS, seed=SEED)
def line_between(
    run: Any,
    other: Any,
    data: Any = None,
    *,
    points: int = 51,
    beyond: float = 0.25,
    rows: int = ROWS,
    on: str = "training",
    seed: int = 0,
    threads: int | None = None,
) -> Line:
    """The loss between two runs of one network, on rows of the first, and the barrier between them.

    run, other: runs, or the folders of runs. data: of the first, where it does not keep its rows. points: from one to
    the other; as densely, `beyond` of the way is shown past both ends. rows, on, seed: as for `landscape`.
    A barrier may be a matter of names alone: units of a layer can be permuted without changing the network, and no
    permutation is looked for here.
    Errors: ArgumentError for networks that differ, or without rows.
    Example: fl.line_between(run, fl.fit(network, (x, y), loss="cross_entropy", seed=1)).barrier
    Source: Goodfellow et al. 2015, arXiv:1412.6544; barrier: Frankle, Dziugaite, Roy, Carbin 2020, Linear mode
    connectivity and the lottery ticket hypothesis, arXiv:1912.05671; permutations: Entezari et al. 2022,
    arXiv:2110.06296.
    """
    part, sample, of = part_and_rows(opened(run, data), on, rows, seed)
    there = _other_theta(other, part.model)
    centre = np.array(part.model.theta, np.float64)
    way = there - centre
    distance = float(np.linalg.norm(way))
    if distance == 0:
        raise DataError("both runs have the same parameters, so there is no line between them")
    slices = Sliced(part.model, centre, way[np.newaxis], sample, threads)
    inner = np.linspace(0.0, 1.0, points)
    past = inner[(inner > 0) & (inner <= beyond)]
    t = np.concatenate([-past[::-1], inner, 1 + past])
    found = filled(LINE, UNITS[LINE], ("from the first run to the second",), (t,), slices, on, of, centre,
                    way[np.newaxis], {})  # fmt: skip
    between = (t >= 0) & (t <= 1)
    losses, share = found.loss[between], t[between]
    above = losses - ((1 - share) * losses[0] + share * losses[-1])
    place = int(np.nanargmax(above)) if np.isfinite(above).any() else 0
    at = float(share[place])
    each = slices.rows([at]) - (1 - at) * slices.rows([0.0]) - at * slices.rows([1.0])
    return Line(found, float(above[place]), _error(each, sample.weight), at, distance)


def _error(each: Array, weight: Array | None) -> float:
    """The standard error of a weighted mean over rows."""
    w = np.ones(len(each)) if weight is None else np.asarray(weight, np.float64)
    mean, n = np.sum(w * each) / w.sum(), np.count_nonzero(w)
    return float(np.sqrt(np.sum(np.square(w * (each - mean))) * n / max(n - 1, 1)) / w.sum())


def _other_theta(other: Any, model: Model) -> Array:
    run = other if isinstance(other, Run) else opened(other).run
    its = run.model
    same = [(slot.path, slot.shape) for slot in its.layout.leaves] == [(s.path, s.shape) for s in model.layout.leaves]
    if not same:
        raise ArgumentError(f"the two runs have different networks, with {model.theta.size} and {its.theta.size} "
                            "parameters, so there is no line between them\n"
                            "  try: two runs of one network, such as with seed=0 and seed=1")  # fmt: skip
    return np.array(its.theta, np.float64)


__all__ = ["Line", "line_between"]
