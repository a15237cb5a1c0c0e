"""Lesson `step-size`: too small crawls, too large never arrives, and where exactly the border lies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.curvature.hessians import hessian_ends
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import descend
from fallline.ranges import Range
from fallline.typesetting import number

# Steps on a real loss between "it grows" and "it falls": 400 steps tell rates apart that differ by 0.1 %.
TRIAL = 400
SHARES = (0.1, 0.5, 0.99, 1.01, 1.1)  # of the border
DRAWN = (0.1, 0.99, 1.01)
START = 10.0


@dataclass(frozen=True, eq=False)
class StepSize:
    """paths: positions of descent on |x| from `start` by step size; arrivals: steps until 0, None where it goes in
    circles.

    highest: the largest eigenvalue of the Hessian of a real loss; predicted: 2 / highest; measured: the smallest rate
    that diverges, found by halving. trials: losses per step for rates around the border, by rate / predicted.
    """

    start: float
    paths: dict[float, list[float]]
    arrivals: dict[float, int | None]
    highest: float
    predicted: float
    measured: float
    trials: dict[float, Array]
    rows: int


def height(x: Any) -> Any:
    """A valley with straight walls, 0 at its bottom."""
    return np.abs(x)


def arrival(path: list[float]) -> int | None:
    """The number of steps until position 0, or None when a position comes again: from there it repeats for ever.

    Positions are compared to twelve digits, because ten steps of 0.1 do not add up to 1 exactly.
    """
    seen: set[float] = set()
    largest = max(map(abs, path))
    for step, x in enumerate(path):
        place = round(x / largest, 12) if largest else 0.0
        if place == 0:
            return step
        if place in seen:
            return None
        seen.add(place)
    raise ValueError("the path is too short to tell")


def mean_squared_error(theta: Any, x: Any, y: Any) -> Any:
    """Linear regression: the mean of the squared errors of x theta."""
    return np.mean(np.square(x @ theta - y))


def border(trial: Callable[[float], Array], low: float, high: float, precision: float) -> float:
    """The smallest rate that diverges, by halving an interval: `low` converges, `high` diverges."""
    while high - low > precision * low:
        middle = (low + high) / 2
        if diverges(trial(middle)):
            high = middle
        else:
            low = middle
    return high


def diverges(losses: Array) -> bool:
    """Whether the loss grows in the second half of a trial, or stopped being a number."""
    return not np.isfinite(losses).all() or bool(losses[-1] > losses[len(losses) // 2])


def tell(result: StepSize, *, width: int, ascii_only: bool) -> list[str]:
    paths = []
    for rate, path in result.paths.items():
        shown = "  ".join(number(x, 3) for x in path[:11]) + (
            "  ..." if len(path) > 11 or result.arrivals[rate] is None else ""
        )
        steps = result.arrivals[rate]
        paths.append([number(rate), "never" if steps is None else f"{steps} steps", shown])
    trials = [
        [number(share), number(share * result.predicted, 5), number(float(losses[min(100, len(losses) - 1)])),
         number(float(losses[-1])), "grows without end" if diverges(losses) else "falls"]
        for share, losses in result.trials.items()
    ]  # fmt: skip
    drawn = {share: result.trials[share][:101] for share in result.trials if share in DRAWN or share not in SHARES}
    curves = {f"{number(share)} x border": losses for share, losses in drawn.items()}
    error = abs(result.measured / result.predicted - 1)
    return [
        page([
            title("Step size: too small crawls, too large never arrives", ascii_only=ascii_only),
            words(f"""The height is |x|, and descent starts at x = {number(result.start)}. The gradient of |x| is
                +1 on the right and -1 on the left: it gives the direction of descent but not the distance. Every
                step has the length of the learning rate.""", width),
            table(paths, ["rate", "arrives", "x after every step"], width=width, ascii_only=ascii_only),
            words("""With 1 it walks to the bottom; with 5 it is there in two; with 11 it jumps over the valley,
                from 10 to -1, and back, for ever.""" if result.start == START else """A rate that does not
                divide the distance jumps over the bottom and back, for ever.""", width),
        ]),
        page([
            heading("The border, and why it is there", ascii_only=ascii_only),
            words(f"""A real loss: linear regression on {result.rows} patients. Near its bottom it is a bowl. Along
                an eigenvector of its Hessian, the matrix of second derivatives, with eigenvalue lambda, a step
                multiplies the distance to the bottom by""", width),
            formula("""
                1 - learning_rate * lambda        it shrinks while this is between -1 and 1:
                learning_rate < 2 / lambda_max    the steepest direction decides"""),
            words(f"""The largest eigenvalue here is lambda_max = {number(result.highest, 6)}, found from products
                of the Hessian with vectors, so the border should lie at 2 / lambda_max =
                {number(result.predicted, 6)}. Descent itself, tried with an interval halved each time,
                diverges from {number(result.measured, 6)} on, {100 * error:.2f} % away.""", width),
            table(trials, ["times the border", "learning rate", "loss after 100", f"after {TRIAL}", "the loss"],
                  width=width, ascii_only=ascii_only),
        ]),
        line_chart(curves, log_y=True, width=min(width, 76), title="Loss over 100 steps, at rates around the border",
                   x_label="step", ascii_only=ascii_only),
    ]  # fmt: skip


@lesson(
    "step-size",
    "How large a step",
    "10 steps, 2 steps, never; the border 2 / lambda_max, measured",
    tell,
    options={
        "learning_rate": Range("one more rate to try, in both parts", at_least=0.01, at_most=100, optional=True),
        "start": Range("where descent on |x| starts", at_least=-100, at_most=100),
        "precision": Range("of the measured border, relative", at_least=2e-4, below=1),
    },
    asks=(
        ask("a rate just past the border", learning_rate=0.25),
        ask("a rate that does not divide the distance", learning_rate=3),
    ),
)
def step_size(learning_rate: float | None = None, start: float = START, precision: float = 1e-3) -> StepSize:
    """Walk down |x| with three rates; then find the largest stable rate of a real loss twice."""
    rates = sorted({1.0, 5.0, 11.0, *([] if learning_rate is None else [float(learning_rate)])})
    # Past the bottom a lap over the valley repeats after two steps.
    paths = {rate: descend(height, start, rate, int(abs(start) / rate) + 4).points.tolist() for rate in rates}
    arrivals = {rate: arrival(path) for rate, path in paths.items()}
    set_ = load("diabetes")
    x, y = standardised(set_)
    zero = np.zeros(x.shape[1])
    highest = hessian_ends(mean_squared_error, zero, x, y, tolerance=1e-8).highest
    predicted = 2 / highest

    def trial(rate: float) -> Array:
        return descend(mean_squared_error, zero, rate, TRIAL, x, y).values

    shares = sorted({*SHARES, *([] if learning_rate is None else [learning_rate / predicted])})
    trials = {share: trial(share * predicted) for share in shares}
    measured = border(trial, predicted / 4, predicted * 4, precision)
    cut = {rate: path[: (arrivals[rate] or len(path)) + 1] for rate, path in paths.items()}
    return StepSize(start, cut, arrivals, highest, predicted, measured, trials, len(set_))
