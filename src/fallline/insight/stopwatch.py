"""A stopwatch for calls, and times in words, up to ages of the universe."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from fallline.typesetting import number


def seconds(run: Callable[[], Any], budget: float = 0.15) -> float:
    """How long a call takes, as `in_turn` measures it."""
    return in_turn([run], budget)[0]


def in_turn(runs: Sequence[Callable[[], Any]], budget: float = 0.15, least: int = 5, most: int = 200) -> list[float]:
    """How long each of these calls takes: the fastest of several, after one that is not counted.

    The fastest, because whatever else the machine does can only make a call slower; in turn, so that a slow moment
    meets them all. budget: seconds for each, spent on at least `least` calls.
    """
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    while len(times[0]) < least or (sum(map(sum, times)) < budget * len(runs) and len(times[0]) < most):
        for run, taken in zip(runs, times, strict=True):
            begin = time.perf_counter()
            run()
            taken.append(time.perf_counter() - begin)
    return [min(taken) for taken in times]


def duration(seconds: float) -> str:
    """A time in the unit a person would use; ages of the universe beyond years."""
    year, universe = 365.25 * 86400, 13.8e9
    for limit, unit, name in ((1e-3, 1e-6, "us"), (1, 1e-3, "ms"), (120, 1, "s"), (7200, 60, "minutes"),
                              (172800, 3600, "hours"), (2 * year, 86400, "days")):  # fmt: skip
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    years = seconds / year
    if years < 1e6:
        return f"{years:,.0f} years"
    return f"{number(years, 2)} years" if years < universe else f"{number(years / universe, 2)} ages of the universe"
