"""Exercises on update rules: from a gradient to the next parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fallline.exercises.compared import difference, form_problems
from fallline.exercises.exercise_table import exercise

STEPS = 5


def _problems(
    answer: Callable[..., Any], right: Callable[..., Any], state: int, rate: float, names: list[str]
) -> list[str]:
    """The first step at which an update differs from the right one, over some steps with gradients of a bowl.

    state: arrays besides theta that go from step to step, zero at first; with two, the step is counted as well.
    """
    rng = np.random.default_rng(5)
    scale, theta = np.array([1.0, 4.0, 9.0]), rng.normal(size=3)
    mine, its = [theta, *[np.zeros(3)] * state], [theta, *[np.zeros(3)] * state]
    for step in range(STEPS):
        g = scale * its[0]
        before = [one.copy() for one in mine]
        given = answer(*[one.copy() for one in mine], g.copy(), *([step] if state > 1 else []), rate)
        its = list(right(*its, g, step, rate))
        found = form_problems(given, its, names)
        parts = [np.asarray(one, np.float64) for one in (given if isinstance(given, tuple | list) else (given,))]
        for name, one, other in zip(names, parts, its) if not found else ():
            found += difference(name, one, other, 1, None, source="right")
        if found:
            if not any("shape" in one or "returns" in one for one in found):
                if np.allclose(parts[0], before[0]):
                    found.append("theta stays where it was.")
                elif np.allclose(parts[0] - before[0], before[0] - its[0]):
                    found.append("theta goes up the slope: the step is against the gradient.")
            return [f"At step {step}, from 0:", *found]
        mine = parts
    return []


@exercise(
    "descent",
    "One step of gradient descent",
    "against the gradient, by the learning rate",
    task="""
        Write the step of gradient descent: theta <- theta - learning_rate * gradient.
    """,
    start='''
        def step(theta, gradient, learning_rate):
            """theta, gradient: (P,). Returns the next theta; the old one stays."""
    ''',
    solution="""
        return theta - learning_rate * gradient
    """,
)
def descent(answer: Callable[..., Any]) -> list[str]:
    """Five steps down a bowl."""
    return _problems(answer, lambda theta, g, step, rate: (theta - rate * g,), 0, 0.1, ["theta"])


@exercise(
    "momentum",
    "One step of gradient descent with momentum",
    "a velocity that remembers",
    task="""
        Write the step of the heavy ball with momentum 0.9:

            velocity <- 0.9 velocity + gradient
            theta    <- theta - learning_rate * velocity
    """,
    start='''
        def step(theta, velocity, gradient, learning_rate):
            """All (P,). Returns the next theta and the next velocity."""
    ''',
    solution="""
        velocity = 0.9 * velocity + gradient
        return theta - learning_rate * velocity, velocity
    """,
)
def momentum(answer: Callable[..., Any]) -> list[str]:
    """Five steps down a bowl."""

    def right(theta: Any, velocity: Any, g: Any, step: int, rate: float) -> tuple[Any, Any]:
        velocity = 0.9 * velocity + g
        return theta - rate * velocity, velocity

    return _problems(answer, right, 1, 0.1, ["theta", "velocity"])


@exercise(
    "adam",
    "One step of Adam",
    "moments, and their correction at the start",
    task="""
        Write the step of Adam (Kingma & Ba 2015) with beta1 = 0.9, beta2 = 0.999, eps = 1e-8. At step t, counted
        from 0, the moments are corrected by their power t + 1:

            m <- beta1 m + (1 - beta1) g              v <- beta2 v + (1 - beta2) g^2
            m_hat = m / (1 - beta1^(t+1))             v_hat = v / (1 - beta2^(t+1))
            theta <- theta - learning_rate * m_hat / (sqrt(v_hat) + eps)
    """,
    start='''
        def step(theta, m, v, gradient, t, learning_rate):
            """theta, m, v, gradient: (P,); t: 0, 1, ... Returns new theta, m, v."""
    ''',
    solution="""
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        m_hat, v_hat = m / (1 - 0.9 ** (t + 1)), v / (1 - 0.999 ** (t + 1))
        return theta - learning_rate * m_hat / (np.sqrt(v_hat) + 1e-8), m, v
    """,
)
def adam(answer: Callable[..., Any]) -> list[str]:
    """Five steps down a bowl."""

    def right(theta: Any, m: Any, v: Any, g: Any, step: int, rate: float) -> tuple[Any, Any, Any]:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
        return theta - rate * m_hat / (np.sqrt(v_hat) + 1e-8), m, v

    found = _problems(answer, right, 2, 0.1, ["theta", "m", "v"])
    if found and not any(one.startswith(("m:", "v:")) or "shape" in one for one in found):
        found.append("The moments are right, so look at m_hat, v_hat and the step: at step 0 both corrections are "
                     "large.")  # fmt: skip
    return found
