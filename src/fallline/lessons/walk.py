"""Plain gradient descent on a plain function, every point kept, and a stopwatch: what several lessons use."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.graph.op import Array


@dataclass(frozen=True, eq=False)
class Walk:
    """Where descent went. points: (steps + 1, P), the start first; values, gradients: of the function at each."""

    points: Array
    values: Array
    gradients: Array


def descend(function: Callable[..., Any], start: Any, learning_rate: float, steps: int, *args: Any) -> Walk:
    """theta <- theta - learning_rate * gradient, `steps` times; it stops early where a number is not finite."""
    return walk(compiled_gradient(function), start, learning_rate, steps, *args)


def compiled_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """(theta, *args) -> value and gradient, as a program."""
    return transforms.compile(transforms.value_and_grad(function))


def walk(evaluate: Callable[..., Any], start: Any, learning_rate: float, steps: int, *args: Any) -> Walk:
    """As `descend`, with a compiled gradient that serves several walks."""
    theta = np.array(start, dtype=np.float64)
    points, values, gradients = [], [], []
    for _ in range(steps + 1):
        value, gradient = evaluate(theta, *args)
        points.append(theta)
        values.append(float(value))
        gradients.append(gradient)
        theta = theta - learning_rate * gradient
        if not np.isfinite(theta).all():
            break
    return Walk(np.array(points), np.array(values), np.array(gradients))


def seconds(run: Callable[[], Any], budget: float = 0.15, least: int = 5, most: int = 200) -> float:
    """How long a call takes: the fastest of several, after one that is not counted, within a budget of seconds.

    The fastest, because whatever else the machine does can only make a call slower.
    """
    run()
    times: list[float] = []
    while len(times) < least or (sum(times) < budget and len(times) < most):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def duration(seconds: float) -> str:
    """A time in the unit a person would use; ages of the universe beyond years."""
    year, universe = 365.25 * 86400, 13.8e9
    for limit, unit, name in ((1e-3, 1e-6, "us"), (1, 1e-3, "ms"), (120, 1, "s"), (7200, 60, "minutes"),
                              (172800, 3600, "hours"), (2 * year, 86400, "days")):  # fmt: skip
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    years = seconds / year
    return (
        f"{years:,.0f} years"
        if years < 1e6
        else f"{years:.1e} years"
        if years < universe
        else (f"{years / universe:.1e} ages of the universe")
    )
