"""Lesson `step-size`: too small crawls, too large never arrives, and where exactly the border lies."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.curvature.hessians import hessian_ends
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import line_chart, table
from fallline.lessons.lesson_table import lesson
from fallline.lessons.page import formula, page, title, words
from fallline.lessons.walk import Walk, descend
from fallline.typesetting import number

# Steps on a real loss between "it grows" and "it falls": 400 steps tell rates apart that differ by 0.1 %.
TRIAL = 400
SHARES = (0.1, 0.5, 0.99, 1.01, 1.1)  # of the border
DRAWN = (0.1, 0.99, 1.01)


@dataclass(frozen=True, eq=False)
class StepSize:
    """paths: positions of descent on |x| from 10 by step size; arrivals: steps until 0, None where it goes in circles.

    highest: the largest eigenvalue of the Hessian of a real loss; predicted: 2 / highest; measured: the smallest rate
    that diverges, found by halving. trials: losses per step for rates around the border, by rate / predicted.
    """

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
    """The number of steps until position 0, or None when a position comes again: from there it repeats for ever."""
    seen: set[float] = set()
    for step, x in enumerate(path):
        if x == 0:
            return step
        if x in seen:
            return None
        seen.add(x)
    raise ValueError("the path is too short to tell")


def mean_squared_error(theta: Any, x: Any, y: Any) -> Any:
    """Linear regression: the mean of the squared errors of x theta."""
    return np.mean(np.square(x @ theta - y))


def border(trial: Any, low: float, high: float, precision: float) -> float:
    """The smallest rate that diverges, by halving an interval: `low` converges, `high` diverges."""
    while high - low > precision * low:
        middle = (low + high) / 2
        if diverges(trial(middle)):
            high = middle
        else:
            low = middle
    return high


def diverges(walk: Walk) -> bool:
    """Whether the loss grows in the second half of a trial, or stopped being a number."""
    values = walk.values
    return not np.isfinite(values).all() or bool(values[-1] > values[len(values) // 2])


def tell(result: StepSize, *, width: int, ascii_only: bool) -> str:
    paths = []
    for rate, path in result.paths.items():
        shown = "  ".join(number(x) for x in path[:11]) + (
            "  ..." if len(path) > 11 or result.arrivals[rate] is None else ""
        )
        steps = result.arrivals[rate]
        paths.append([number(rate), "never" if steps is None else f"{steps} steps", shown])
    trials = [
        [share, number(share * result.predicted, 5), number(float(losses[min(100, len(losses) - 1)])),
         number(float(losses[-1])), "falls" if losses[-1] < losses[len(losses) // 2] else "grows without end"]
        for share, losses in result.trials.items()
    ]  # fmt: skip
    curves = {f"{share:g} x border": result.trials[share][:101] for share in DRAWN}
    error = abs(result.measured / result.predicted - 1)
    return page([
        title("Step size: too small crawls, too large never arrives", ascii_only=ascii_only),
        words("""The height is |x|, and descent starts at x = 10. The gradient of |x| is +1 on the right and -1
            on the left: it gives the direction of descent but not the distance. Every step has the length of the
            learning rate.""", width),
        table(paths, ["rate", "arrives", "x after every step"], width=width, ascii_only=ascii_only),
        words("""With 1 it walks to the bottom; with 5 it is there in two; with 11 it jumps over the valley,
            from 10 to -1, and back, for ever.""", width),
        words(f"""Now a real loss: linear regression on {result.rows} patients, ten measurements each. Around
            its lowest point a loss is a bowl. Along an eigenvector of its matrix of second derivatives, the
            Hessian, with eigenvalue lambda, one step multiplies the distance to the bottom by""", width),
        formula("""
            1 - learning_rate * lambda        it shrinks as long as this is between -1 and 1:
            learning_rate < 2 / lambda_max    the steepest direction decides"""),
        words(f"""The largest eigenvalue here is lambda_max = {number(result.highest, 6)}, found from products
            of the Hessian with vectors. So the border should lie at 2 / lambda_max =
            {number(result.predicted, 6)}. Descent itself, tried again and again with the interval halved each
            time, first diverges at {number(result.measured, 6)}: {100 * error:.2f} % away.""", width),
        table(trials, ["times the border", "learning rate", "loss after 100", f"after {TRIAL}", "the loss"],
              width=width, ascii_only=ascii_only),
        line_chart(curves, log_y=True, width=min(width, 76), title="Loss over 100 steps, at rates around the border",
                   x_label="step", ascii_only=ascii_only),
    ])  # fmt: skip


@lesson(
    "step-size",
    "How large a step",
    "10 steps, 2 steps, never; the border 2 / lambda_max, measured",
    tell,
)
def step_size(precision: float = 1e-3) -> StepSize:
    """Walk down |x| with three rates; then find the largest stable rate of a real loss twice."""
    # A lap over the valley repeats after two steps, so 14 steps suffice to see whether descent arrives.
    paths = {rate: descend(height, 10.0, rate, 14).points.tolist() for rate in (1.0, 5.0, 11.0)}
    arrivals = {rate: arrival(path) for rate, path in paths.items()}
    set_ = load("diabetes")
    x, y = standardised(set_)
    start = np.zeros(x.shape[1])
    highest = hessian_ends(mean_squared_error, start, x, y, tolerance=1e-8).highest
    predicted = 2 / highest

    def trial(rate: float) -> Walk:
        return descend(mean_squared_error, start, rate, TRIAL, x, y)

    trials = {share: trial(share * predicted).values for share in SHARES}
    measured = border(trial, predicted / 4, predicted * 4, precision)
    cut = {rate: path[: (arrivals[rate] or 14) + 1] for rate, path in paths.items()}
    return StepSize(cut, arrivals, highest, predicted, measured, trials, len(set_))
