"""Plain gradient descent on a plain function, every point kept, and a stopwatch: shared by several lessons."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.graph.op import Array
from fallline.typesetting import number


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


def walk(
    evaluate: Callable[..., Any], start: Any, learning_rate: float, steps: int, *args: Any, momentum: float = 0.0
) -> Walk:
    """As `descend`, with a compiled gradient that serves several walks, and the velocity of the heavy ball:

    v <- momentum v - learning_rate * gradient; theta <- theta + v.
    """
    theta = np.array(start, dtype=np.float64)
    velocity = np.zeros_like(theta)
    points, values, gradients = [], [], []
    for _ in range(steps + 1):
        value, gradient = evaluate(theta, *args)
        points.append(theta)
        values.append(float(value))
        gradients.append(gradient)
        velocity = momentum * velocity - learning_rate * gradient
        theta = theta + velocity
        if not np.isfinite(theta).all():
            break
    return Walk(np.array(points), np.array(values), np.array(gradients))


def cosine(a: Array, b: Array) -> float:
    """Of the angle between two vectors; 0 where one of them has no direction."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


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
