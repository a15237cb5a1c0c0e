"""Lesson `momentum`: directions that learn at their own speeds, and the rates and momenta that converge."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from fallline.curvature.flat import Flat
from fallline.curvature.hessians import dense_hessian
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.step_size import border, mean_squared_error
from fallline.lessons.walk import Walk, compiled_gradient, walk
from fallline.ranges import Range
from fallline.typesetting import number

MOMENTA = (0.0, 0.5, 0.9, 0.99)  # whose border is measured on the real loss
TRIAL = 400
# The map of what a step leaves: rates times curvature across, momenta upwards; distances are compared over two windows.
MAP_SHARES = np.linspace(0, 4, 65)[1:]
MAP_MOMENTA = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
WINDOWS = (20, 140)
CLOSE = 1e-6  # the share of the first excess loss at which descent has arrived


@dataclass(frozen=True, eq=False)
class Direction:
    """One eigenvector of the Hessian. plain, heavy: what a step leaves of the distance along it, by the formula;
    plain_seen, heavy_seen: the same from the positions of descent.
    """

    eigenvalue: float
    plain: float
    plain_seen: float
    heavy: float
    heavy_seen: float


@dataclass(frozen=True, eq=False)
class Momentum:
    """highest, lowest: eigenvalues of the loss. borders: momentum -> (2 (1 + momentum) / highest, measured).

    left: what a step leaves of the distance, seen on a bowl: a row for each of MAP_MOMENTA, a column for each of
    MAP_SHARES. plain, heavy: the loss above its lowest value at each step, with (rate, momentum) for the second.
    """

    highest: float
    lowest: float
    borders: dict[float, tuple[float, float]]
    left: Array
    directions: tuple[Direction, ...]
    plain_rate: float
    rate: float
    momentum: float
    plain: Array
    heavy: Array


def factor(rate_times_curvature: float, momentum: float) -> float:
    """The share of the distance to the bottom of a bowl that a step leaves, in the long run.

        e_{k+1} = (1 + momentum - rate curvature) e_k - momentum e_{k-1}

    The larger root of r^2 - (1 + momentum - rate curvature) r + momentum, by its size.
    """
    return float(np.abs(np.roots([1.0, -(1 + momentum - rate_times_curvature), momentum])).max())


def best(lowest: float, highest: float) -> tuple[float, float]:
    """The learning rate and the momentum that shrink the slowest and the steepest direction alike.

    Source: Polyak 1964, Some methods of speeding up the convergence of iteration methods.
    """
    low, high = np.sqrt(lowest), np.sqrt(highest)
    return float((2 / (low + high)) ** 2), float(((high - low) / (high + low)) ** 2)


def seen(distances: Array) -> float:
    """The same factor from distances at successive steps: the recurrence they obey, and its larger root."""
    a, b = np.linalg.lstsq(np.stack([distances[1:-1], distances[:-2]], axis=1), distances[2:], rcond=None)[0]
    return float(np.abs(np.roots([1.0, -a, -b])).max())


def leaves(shares: Array, momenta: Array) -> Array:
    """The share of the distance that a step leaves, seen on the bowl x^2 / 2 for every rate and momentum at once.

    shares, momenta: learning rate times curvature (C,), and momenta (R,). Returns (R, C): the largest distance of 40
    steps against that of 40 later ones, as a factor for one step.
    """
    position, velocity = np.ones((momenta.size, shares.size)), np.zeros((momenta.size, shares.size))
    early, late = np.zeros_like(position), np.zeros_like(position)
    for step in range(1, WINDOWS[1] + 40):
        velocity = momenta[:, None] * velocity - shares * position
        position = position + velocity
        for start, largest in zip(WINDOWS, (early, late)):
            if start <= step < start + 40:
                np.maximum(largest, np.abs(position), out=largest)
    ratio = np.divide(late, early, out=np.zeros_like(late), where=early > 0)
    result: Array = ratio ** (1 / (WINDOWS[1] - WINDOWS[0]))
    return result


def steps_to(excess: Array) -> int | None:
    """The first step from which on the excess loss stays below CLOSE of its start."""
    above = np.flatnonzero(excess > CLOSE * excess[0])
    last = int(above[-1]) + 1 if above.size else 0
    return last if last < excess.size else None


def above(excess: Array) -> Array:
    """The part of an excess loss that rounding has not reached."""
    small = np.flatnonzero(excess < 1e-13)
    return excess[: int(small[0])] if small.size else excess


def mark(factor: float) -> str:
    """How many steps shrink a distance to a tenth: 1 to 9, + for 10 to 99, . for more; a blank where it grows."""
    if factor >= 1:
        return " "
    steps = max(round(np.log(0.1) / np.log(factor)), 1) if factor > 0 else 1
    return str(steps) if steps < 10 else "+" if steps < 100 else "."


def region(result: Momentum, ascii_only: bool) -> str:
    """The map of what a step leaves, with the border of the formula."""
    side, corner, flat = ("|", "+", "-") if ascii_only else ("│", "└", "─")
    lines = ["    momentum"]
    for momentum, row in zip(MAP_MOMENTA, result.left, strict=True):
        text = [mark(factor) for factor in row]
        at = int(np.searchsorted(MAP_SHARES, 2 * (1 + momentum)))
        lines.append(f"    {momentum:.2f}{side}{''.join([*text[:at], ')', *text[at:]])}".rstrip())
    ticks = [" "] * (MAP_SHARES.size + 1)
    for value in range(1, 5):
        ticks[int(np.searchsorted(MAP_SHARES, value)) - (value > 3)] = str(value)
    lines += [f"        {corner}{flat * (MAP_SHARES.size + 1)}", f"         {''.join(ticks)}".rstrip()]
    return "\n".join([*lines, "         learning rate * curvature"])


def tell(result: Momentum, *, width: int, ascii_only: bool) -> list[str]:
    borders = [
        [f"{momentum:g}", number(predicted, 5), number(measured, 5), f"{100 * abs(measured / predicted - 1):.2f} %"]
        for momentum, (predicted, measured) in result.borders.items()
    ]  # fmt: skip
    directions = [
        [number(d.eigenvalue), f"{d.plain:.6f}", f"{d.plain_seen:.6f}", f"{d.heavy:.6f}", f"{d.heavy_seen:.6f}"]
        for d in result.directions
    ]  # fmt: skip
    ratio = result.highest / result.lowest
    drawn = {
        "plain": above(result.plain),
        f"momentum {number(result.momentum)}": above(result.heavy),
    }
    arrived = [steps_to(result.plain), steps_to(result.heavy)]
    told = [f"{n:,} steps" if n is not None else f"more than {result.plain.size - 1:,} steps" for n in arrived]
    return [
        page([
            title("Momentum: a heavy ball in a long valley", ascii_only=ascii_only),
            words("""The step keeps a share of the step before it. Along a valley successive gradients agree, and the
                steps add up; across it they take turns, and cancel:""", width),
            formula("""
                v     <- momentum * v - learning_rate * gradient
                theta <- theta + v"""),
            words("""A steady gradient moves theta 1 / (1 - momentum) times as far. And the ball bears longer steps:
                along a direction with curvature lambda it settles if""", width),
            formula("learning_rate < 2 (1 + momentum) / lambda"),
            words(f"""On a real loss, the linear regression of the lesson step-size, lambda_max is
                {number(result.highest, 6)}. Tried out, with an interval halved each time:""", width),
            table(borders, ["momentum", "2 (1 + momentum) / lambda_max", "diverges from", "difference"], width=width,
                  ascii_only=ascii_only),
        ]),
        page([
            heading("Rates and momenta that converge", ascii_only=ascii_only),
            region(result, ascii_only),
            words("""Steps until a tenth of the distance is left, seen on a bowl: 1 to 9, + from 10 on, . from 100 on, a
                blank where it grows. ) is the formula's border. Without momentum the best is a rate of 1 / curvature,
                one step; momentum is for many curvatures at once.""", width),
        ]),
        page([
            heading("Every direction at a speed of its own", ascii_only=ascii_only),
            words(f"""The ten eigenvectors of the Hessian are ten separate descents. A plain step of
                {number(result.plain_rate)} leaves |1 - rate * eigenvalue| of the distance; with momentum
                {number(result.momentum)} and a step of {number(result.rate)} it is the larger root of r^2 - (1 +
                momentum - rate * eigenvalue) r + momentum. Beside each: read off the positions.""", width),
            table(directions, ["eigenvalue", "plain", "seen", "momentum", "seen"], width=width,
                  ascii_only=ascii_only),
        ]),
        page([
            line_chart(drawn, log_y=True, width=min(width, 76), height=11, title="Loss above its lowest value",
                       x_label="step", ascii_only=ascii_only),
            words(f"""The flattest direction is {number(ratio, 3)} times flatter than the steepest, and the steps
                of plain descent grow like this ratio: {told[0]} until a millionth of the excess is left. With
                momentum {number(result.momentum)} and a rate of {number(result.rate)} it took {told[1]}. The best pair
                makes the steps grow like the square root, {number(float(np.sqrt(ratio)), 3)}.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "momentum",
    "A heavy ball",
    "what momentum bears, 2 (1 + momentum) / lambda, and saves",
    tell,
    options={
        "momentum": Range("of the descent beside the plain one; by default the best", at_least=0, below=1,
                          optional=True),
        "learning_rate": Range("of the descent with momentum; by default the best", above=0, at_most=2, optional=True),
        "steps": Range("of both descents", at_least=50, at_most=100_000, whole=True),
    },
    asks=(
        ask("the usual momentum with a small rate", momentum=0.9, learning_rate=0.05),
        ask("too much momentum swings to and fro", momentum=0.99),
    ),
)  # fmt: skip
def heavy_ball(momentum: float | None = None, learning_rate: float | None = None, steps: int = 4000) -> Momentum:
    """Find the borders of rates and momenta on a bowl and on a real loss, and follow each eigen-direction."""
    x, y = standardised(load("diabetes"))
    start = np.zeros(x.shape[1])
    values, vectors = np.linalg.eigh(dense_hessian(Flat.of(mean_squared_error, start, (x, y))))
    lowest, highest = float(values[0]), float(values[-1])
    evaluate = compiled_gradient(mean_squared_error)

    def descent(rate: float, momentum: float, count: int) -> Walk:
        return walk(evaluate, start, rate, count, x, y, momentum=momentum)

    def losses(rate: float, momentum: float) -> Array:
        return descent(rate, momentum, TRIAL).values

    borders = {}
    for one in MOMENTA:
        predicted = 2 * (1 + one) / highest
        measured = border(partial(losses, momentum=one), predicted / 2, predicted * 2, 1e-3)
        borders[one] = (predicted, measured)
    plain_rate = 2 / (lowest + highest)
    best_rate, best_momentum = best(lowest, highest)
    chosen = best_momentum if momentum is None else momentum
    rate = best_rate if learning_rate is None else learning_rate
    plain, heavy = descent(plain_rate, 0.0, steps), descent(rate, chosen, steps)
    bottom = np.linalg.lstsq(x, y, rcond=None)[0]
    lowest_loss = float(mean_squared_error(bottom, x, y))
    directions = []
    for value, vector in zip(values, vectors.T, strict=True):
        plain_at, heavy_at = ((one.points[:40] - bottom) @ vector for one in (plain, heavy))
        directions.append(Direction(
            float(value), abs(1 - plain_rate * float(value)), abs(float(plain_at[1] / plain_at[0])),
            factor(rate * float(value), chosen), seen(heavy_at),
        ))  # fmt: skip
    return Momentum(
        highest, lowest, borders, leaves(MAP_SHARES, MAP_MOMENTA), tuple(directions), plain_rate, rate, chosen,
        plain.values - lowest_loss, heavy.values - lowest_loss,
    )  # fmt: skip
