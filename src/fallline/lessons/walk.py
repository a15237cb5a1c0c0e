"""Plain gradient descent on a plain function, every point kept: shared by several lessons, as the stopwatch is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.graph.op import Array
from fallline.insight.stopwatch import duration, in_turn, seconds


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


__all__ = ["Walk", "compiled_gradient", "cosine", "descend", "duration", "in_turn", "seconds", "walk"]
