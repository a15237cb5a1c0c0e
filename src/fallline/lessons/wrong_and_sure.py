"""Lesson `loss`: squared error and cross-entropy at a sigmoid that is wrong and sure of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import compiled_gradient, walk
from fallline.ranges import Range
from fallline.typesetting import number

SUMS = (-10.0, -6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0)
STARTS = (1.0, 2.0, 4.0, 6.0, 8.0)
ENOUGH = 0.9  # the share of the rows that are right at which descent has recovered


@dataclass(frozen=True, eq=False)
class Climb:
    """One unit that starts `wrong` below 0 where it should be above: steps of descent until p passes 1/2, for each
    loss, and the same by the formula.
    """

    wrong: float
    squared: int
    squared_expected: float
    entropy: int
    entropy_expected: float


@dataclass(frozen=True, eq=False)
class Course:
    """Descent on the tumours with one loss. gradient: its length at the start; right: the share of rows, by step."""

    gradient: float
    right: Array

    @property
    def recovers(self) -> int | None:
        """The first step at which ENOUGH of the rows are right."""
        found = np.flatnonzero(self.right >= ENOUGH)
        return int(found[0]) if found.size else None


@dataclass(frozen=True, eq=False)
class Losses:
    """sums: of the unit, z. squared, entropy: (loss, its derivative by z) at each, for y = 1.

    courses: by loss, from weights whose sums are `wrong` off on average, on the wrong side for almost all `rows`.
    """

    sums: Array
    squared: tuple[Array, Array]
    entropy: tuple[Array, Array]
    climbs: tuple[Climb, ...]
    wrong: float
    learning_rate: float
    courses: dict[str, Course]
    rows: int


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def squared_error(z: Any, y: Any) -> Any:
    """(p - y)^2 for p = sigmoid(z), the mean over rows."""
    return np.mean(np.square(sigmoid(z) - y))


def cross_entropy(z: Any, y: Any) -> Any:
    """-log p where y is 1, -log(1 - p) where it is 0; the mean over rows."""
    return np.mean(np.logaddexp(0.0, z) - y * z)


LOSSES = {"squared error": squared_error, "cross-entropy": cross_entropy}


def expected_steps(wrong: float, learning_rate: float) -> tuple[float, float]:
    """Steps from z = -wrong to 0 for (squared error, cross-entropy) at y = 1, when steps are small.

    squared error:  dz/dt = 2 p (1 - p)^2    t = (e^w - 1 + 3 w + 3 (1 - e^-w) + (1 - e^-2w) / 2) / 2
    cross-entropy:  dz/dt = 1 - p            t = w + 1 - e^-w
    """
    w, small = wrong, np.exp(-wrong)
    squared = (np.exp(w) - 1 + 3 * w + 3 * (1 - small) + (1 - small**2) / 2) / 2
    return float(squared / learning_rate), float((w + 1 - small) / learning_rate)


def climb(wrong: float, learning_rate: float) -> Climb:
    """Descent of one number z from -wrong, by the derivatives written out."""
    counts = []
    for squares in (True, False):
        z, count = -wrong, 0
        while z < 0:
            p = 1 / (1 + np.exp(-z))
            z -= learning_rate * (2 * (p - 1) * p * (1 - p) if squares else p - 1)
            count += 1
        counts.append(count)
    squared, entropy = expected_steps(wrong, learning_rate)
    return Climb(wrong, counts[0], squared, counts[1], entropy)


def course(loss: Any, x: Array, y: Array, start: Array, learning_rate: float, steps: int) -> Course:
    """Descent of one layer: x has a column of ones, theta a weight for each column."""
    path = walk(compiled_gradient(lambda theta, x, y: loss(x @ theta, y)), start, learning_rate, steps, x, y)
    right = ((x @ path.points.T > 0) == (y[:, None] > 0.5)).mean(axis=0)
    return Course(float(np.linalg.norm(path.gradients[0])), right)


def tell(result: Losses, *, width: int, ascii_only: bool) -> list[str]:
    rows = [
        [f"{z:+g}", f"{sigmoid(z):.5f}", number(float(result.squared[0][k])), number(float(result.squared[1][k]), 3),
         number(float(result.entropy[0][k])), number(float(result.entropy[1][k]), 3)]
        for k, z in enumerate(result.sums)
    ]  # fmt: skip
    climbs = [
        [f"-{c.wrong:g}", f"{c.squared:,}", f"{c.squared_expected:,.1f}", f"{c.entropy:,}",
         f"{c.entropy_expected:,.1f}", f"{c.squared / c.entropy:.0f} x"]
        for c in result.climbs
    ]  # fmt: skip
    finer = np.linspace(-8, 4, 97)
    p = sigmoid(finer)
    slopes = {"squared error": (finer, 2 * (1 - p) * p * (1 - p)), "cross-entropy": (finer, 1 - p)}
    steps = next(iter(result.courses.values())).right.size - 1
    courses = [
        [name, number(c.gradient, 3), f"{100 * c.right[0]:.0f} %", f"{100 * c.right[min(10, steps)]:.0f} %",
         f"{100 * c.right[-1]:.0f} %", "not yet" if c.recovers is None else f"{c.recovers}"]
        for name, c in result.courses.items()
    ]  # fmt: skip
    first, second = result.courses.values()
    return [
        page([
            title("Loss: who hears a unit that is wrong and sure?", ascii_only=ascii_only),
            words("""A sigmoid makes a probability p of a sum z. Here the truth is y = 1. Two losses, and
                what they pass back to z:""", width),
            formula("""
                squared error   (p - y)^2    d/dz = 2 (p - y) * p (1 - p)
                cross-entropy   -log p       d/dz = p - y"""),
            table(rows, ["z", "p", "squared", "d/dz", "entropy", "d/dz"], width=width, ascii_only=ascii_only),
            words("""At z = -10 the unit could not be more wrong, and squared error asks for next to nothing:
                the slope of the sigmoid, p (1 - p), has gone. The logarithm of cross-entropy cancels it
                exactly.""", width),
        ]),
        line_chart(slopes, width=min(width, 76), height=13, title="How hard each loss pulls z up, -d/dz, for y = 1",
                   x_label="z: wrong on the left, right on the right", ascii_only=ascii_only),
        page([
            heading("Steps until it changes its mind", ascii_only=ascii_only),
            words(f"""One unit descends from z to 0, where p is 1/2, with a rate of
                {number(result.learning_rate)}. By the formula, for small steps: with w = -z, about e^w / 2
                over the rate for squared error, w + 1 over the rate for cross-entropy:""", width),
            table(climbs, ["z", "squared error", "formula", "cross-entropy", "formula", "ratio"], width=width,
                  ascii_only=ascii_only),
        ]),
        page([
            heading("Tumours, from weights that are wrong", ascii_only=ascii_only),
            words(f"""One layer for {result.rows} tumours, malignant or benign, starts with good weights
                turned round: sums {number(result.wrong)} off on average. {steps:,} steps of descent over all
                rows. Right after:""", width),
            table(courses, ["loss", "|gradient|", "0 steps", f"{min(10, steps)} steps", f"{steps:,} steps",
                            f"{100 * ENOUGH:.0f} % right at"], width=width, ascii_only=ascii_only),
            words(f"""The first gradient of cross-entropy is {number(second.gradient / first.gradient, 3)}
                times as long. A loss is chosen with the unit before it: for a sigmoid or a softmax,
                cross-entropy.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "loss",
    "Wrong and sure",
    "squared error against cross-entropy at a saturated sigmoid",
    tell,
    options={
        "wrong": Range("how far the tumours' sums are off at first", above=0, at_most=50),
        "learning_rate": Range("of all descents", at_least=0.01, at_most=2),
        "steps": Range("of descent on the tumours", at_least=10, at_most=20_000, whole=True),
    },
    asks=(
        ask("only a little wrong: the two are alike", wrong=0.5),
        ask("very sure: does squared error ever come back?", wrong=30),
    ),
)
def wrong_and_sure(wrong: float = 8.0, learning_rate: float = 0.5, steps: int = 500) -> Losses:
    """Compare two losses at a sigmoid: their derivatives, one unit that recovers, and a layer that does."""
    sums = np.array(SUMS)
    tables = []
    for loss in LOSSES.values():
        both = [transforms.value_and_grad(loss)(z, 1.0) for z in SUMS]
        tables.append((np.array([float(v) for v, _ in both]), np.array([float(g) for _, g in both])))
    data = load("breast-cancer")
    x, _ = standardised(data)
    x, y = np.hstack([x, np.ones((len(data), 1))]), data.y.astype(np.float64)
    good = walk(
        compiled_gradient(lambda theta, x, y: cross_entropy(x @ theta, y)), np.zeros(x.shape[1]), 0.5, 100, x, y
    )
    start = -good.points[-1] * wrong / float(np.abs(x @ good.points[-1]).mean())
    return Losses(
        sums, tables[0], tables[1], tuple(climb(one, learning_rate) for one in STARTS), wrong, learning_rate,
        {name: course(loss, x, y, start, learning_rate, steps) for name, loss in LOSSES.items()}, len(data),
    )  # fmt: skip
