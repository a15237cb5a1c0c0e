"""Lesson `descent`: theta 0, its gradient, theta 1, its gradient ... down the loss of the smallest real model."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.insight.picture import contour, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import fixed, formula, heading, page, title, words
from fallline.lessons.walk import Walk, descend
from fallline.ranges import SEED, Range
from fallline.typesetting import number


@dataclass(frozen=True, eq=False)
class Descent:
    """x, y: the points a line is laid through. walk: theta = (w, b) and its loss and gradient at every step.

    best, best_loss: the lowest there is, by least squares.
    """

    x: Array
    y: Array
    learning_rate: float
    walk: Walk
    best: Array
    best_loss: float


def line_loss(theta: Any, x: Any, y: Any) -> Any:
    """How far the line w x + b is from the points: the mean of the squared errors."""
    return np.mean((theta[0] * x + theta[1] - y) ** 2)


def tell(result: Descent, *, width: int, ascii_only: bool) -> list[str]:
    w, walk = result.walk.points, result.walk
    last = len(w) - 1
    shown = [k for k in (*range(6), *range(10, last, max(last // 4 // 10 * 10, 10)), last) if k <= last]
    rows = [
        [k, fixed(w[k, 0], 4), fixed(w[k, 1], 4), fixed(walk.values[k], 6),
         fixed(walk.gradients[k, 0], 4, "+"), fixed(walk.gradients[k, 1], 4, "+"),
         number(float(np.linalg.norm(walk.gradients[k])))]
        for k in dict.fromkeys(shown)
    ]  # fmt: skip
    centre, reach = result.best, 1.15 * np.abs(walk.points - result.best).max(axis=0)
    x_range, y_range = ((float(c - r), float(c + r)) for c, r in zip(centre, reach))
    ws, bs = np.linspace(*x_range, 61), np.linspace(*y_range, 41)
    values = np.array([[line_loss((a, b), result.x, result.y) for a in ws] for b in bs])
    first, second = walk.points[0], walk.points[1]
    d_w, end = walk.gradients[0, 0], float(walk.values[-1])
    return [
        page([
            title("Descent: step by step down the slope", ascii_only=ascii_only),
            words(f"""A model with two parameters: a line, y_hat = w x + b, laid through {result.x.size} points.
                Its parameters together are theta = (w, b). The loss says how far the line is from the points, and
                it depends on theta alone. The gradient of the loss points up the steepest slope, so one step goes
                in the opposite direction:""", width),
            formula(f"""
                loss(theta) = mean of (w x + b - y)^2
                theta <- theta - learning_rate * gradient            learning_rate = {result.learning_rate}"""),
        ]),
        page([
            heading("The first steps", ascii_only=ascii_only),
            words("""Each row is one step: where theta is, how high the loss is there, and its gradient, which
                backpropagation computed from the loss's own formula.""", width),
            table(rows, ["step", "w", "b", "loss", "d loss/d w", "d loss/d b", "length"], width=width,
                  ascii_only=ascii_only),
            words(f"""The first step, in numbers: w was {first[0]:.4f}, its gradient {d_w:+.4f}, so w becomes
                {first[0]:.4f} - {result.learning_rate} * ({d_w:+.4f}) = {second[0]:.4f}. Far from the bottom the
                slope is steep and steps are long; near it both shrink by themselves.""", width),
        ]),
        page([
            contour(values, x_range=x_range, y_range=y_range, path=walk.points, width=min(width, 76), height=16,
                    title="Lines of equal loss; the digits are theta 0, theta 1, ...", x_label="w", y_label="b",
                    ascii_only=ascii_only),
        ]),
        words(f"""After {last} steps: loss {number(end, 8)} at w = {w[-1, 0]:.5f}, b = {w[-1, 1]:.5f}. The lowest
            there is, from the equations of least squares: {number(result.best_loss, 8)} at w =
            {result.best[0]:.5f}, b = {result.best[1]:.5f}. """ + ("""It climbs: the step is longer than the valley
            bears, and every one lands higher on the other side.""" if end > walk.values[0] else """A network with
            a million parameters is trained by the very same line of arithmetic."""), width),
    ]  # fmt: skip


@lesson(
    "descent",
    "Down the slope",
    "theta 0, its gradient, theta 1 ... on a map of the loss",
    tell,
    options={
        "steps": Range("steps to take", at_least=1, at_most=1000, whole=True),
        "learning_rate": Range("length of a step, times the gradient", above=0, at_most=10),
        "seed": replace(SEED, doc="of the noise of the points"),
    },
    asks=(
        ask("a step that overshoots, and still arrives", learning_rate=0.5),
        ask("a step that climbs", learning_rate=0.7, steps=10),
    ),
)
def descent(steps: int = 40, learning_rate: float = 0.15, seed: int = 0) -> Descent:
    """Fit a line to twelve noisy points by gradient descent, and keep every step."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1.0, 2.0, 12)
    y = 1.5 * x - 0.5 + 0.3 * rng.standard_normal(x.size)
    walk = descend(line_loss, [-1.0, 1.5], learning_rate, steps, x, y)
    best = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)[0]
    return Descent(x, y, learning_rate, walk, best, float(line_loss(best, x, y)))
