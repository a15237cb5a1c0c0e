"""How the time of a step grows with a network's width and depth and with the batch, and an epoch's with the rows.

A sweep is a line of SWEEPS; drawn with both axes in powers of ten, where a power law is a straight line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.measurement import Found, Measure, timed
from benchmarks.processes import apart
from fallline.bench.cases import Case, problem
from fallline.bench.markdown import on, seconds

TURN_SECONDS, FIRST_STEPS, ROUNDS = 0.03, 8, 3


@dataclass(frozen=True, slots=True)
class Sweep:
    """case: the network for a value. epoch: an epoch is timed and not a step. wanted: the slope in theory."""

    what: str
    values: tuple[int, ...]
    case: Callable[[int], Case]
    wanted: str
    epoch: bool = False


def of_batches(sizes: tuple[int, ...], batch: int) -> Case:
    return Case(sizes, batch, 64 * batch)


SWEEPS: dict[str, Sweep] = {
    sweep.what: sweep
    for sweep in (
        Sweep("width", tuple(2**i for i in range(3, 12)), lambda n: of_batches((n, n, n, 10), 64), "2"),
        Sweep("depth", tuple(2**i for i in range(8)), lambda n: of_batches((64,) * (n + 1) + (10,), 32), "1"),
        Sweep("batch", tuple(4**i for i in range(7)), lambda n: of_batches((128, 128, 128, 10), n), "1"),
        Sweep("rows", tuple(4**i for i in range(4, 10)), lambda n: Case((30, 64, 64, 2), 32, n), "1", epoch=True),
    )
}


def all_sweeps(threads: int) -> dict[str, list[float]]:
    """The result of `sweep` for each line of the table."""
    return {what: sweep(what, threads) for what in SWEEPS}


def sweep(what: str, threads: int, values: tuple[int, ...] = ()) -> list[float]:
    """Seconds of a step, or of an epoch, for each value: the median of a few turns, after two that warm up."""
    from fallline.bench.ours import Ours

    chosen, found = SWEEPS[what], []
    for value in values or chosen.values:
        case = chosen.case(value)
        ours = Ours(problem(case), threads)

        def turn(steps: int, ours: Ours = ours) -> float:
            ours.start(steps)
            return timed(ours.run) / steps

        steps = case.steps_per_epoch if chosen.epoch else FIRST_STEPS
        for _ in range(2):  # the first turn holds more than its steps
            step = turn(steps)
            if not chosen.epoch:
                steps = case.whole(max(FIRST_STEPS, int(TURN_SECONDS / step)))
        step = median(turn(steps) for _ in range(ROUNDS))
        found.append(step * steps if chosen.epoch else step)
    return found


def slope(values: tuple[int, ...], times: list[float]) -> float:
    """Of log time over log value, by least squares over the upper half, where constant parts no longer count."""
    half = len(values) // 2
    return float(np.polyfit(np.log(values[half:]), np.log(times[half:]), 1)[0])


def growth(threads: int) -> Found:
    from fallline.insight.picture import line_chart

    rows, pictures = [], []
    found = {count: apart(all_sweeps, count, threads=count)[0] for count in dict.fromkeys((1, threads))}
    for what, chosen in SWEEPS.items():
        series = {}
        for count, by_sweep in found.items():
            took = by_sweep[what]
            series[on(count)] = np.array(chosen.values, float), np.array(took)
            ends = (f"{chosen.values[i]:,}: {seconds(took[i])}" for i in (0, -1))
            rows.append((what, on(count), *ends, f"{slope(chosen.values, took):.2f}", chosen.wanted))
        title = f"{what}: seconds of {'an epoch' if chosen.epoch else 'a step'}"
        pictures.append(line_chart(series, log_x=True, log_y=True, title=title, x_label=what, points=True))
    return Found(rows, picture="\n\n".join(pictures))


MEASURES: tuple[Measure, ...] = (
    Measure(
        "How the cost grows",
        "Fallline's step with the width n of n-n-n-10 (batch 64), with the number of layers 64 wide (batch 32) and "
        "with the batch of 128-128-128-10, and its epoch with the rows for 30-64-64-2 (batch 32). The slope is of the "
        "upper half of each line, both axes counted in powers of ten; at large sizes it comes to the last column. It "
        "is less where a step still holds work that does not grow, and where wider work is done at a better rate.",
        ("", "on", "from", "to", "slope", "in the limit"),
        growth,
    ),
)
