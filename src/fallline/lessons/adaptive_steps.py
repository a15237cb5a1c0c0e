"""Lesson `adaptive`: Adagrad, RMSProp and Adam beside plain descent, on a stretched bowl and on unscaled columns."""

from collections.abc import Callable
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
from fallline.nn import Dense, Model, Sequential
from fallline.optim import Adam, GradientDescent, RMSProp
from fallline.ranges import Range
from fallline.typesetting import number

START = (-3.0, 2.0)
RATES = np.geomspace(1e-4, 10, 41)
TURNED = 45.0
CLOSE = 1e-6  # the share of the first height at which a descent has arrived


class Adagrad:
    """Steps divided by the root of all squared gradients so far, for each parameter on its own.

    Source: Duchi, Hazan, Singer 2011, Adaptive subgradient methods, JMLR 12, eq. 1 with diagonal matrices.
    """

    def start(self, theta: Array) -> dict[str, Array]:
        return {"v": np.zeros_like(theta)}

    def rule(self, theta: Any, g: Any, state: dict[str, Any], step: Any, learning_rate: Any) -> Any:
        v = state["v"] + np.square(g)
        return theta - learning_rate * (g / (np.sqrt(v) + 1e-8)), {"v": v}


METHODS: dict[str, Any] = {
    "descent": GradientDescent(),
    "Adagrad": Adagrad(),
    "RMSProp": RMSProp(beta2=0.9),
    "Adam": Adam(),
}


@dataclass(frozen=True, eq=False)
class Course:
    """One method with its best learning rate. path: (steps + 1, 2); heights: along it.

    first: its first step, for a learning rate of 1. turned: the height at the end where the bowl is turned, with the
    best rate for that.
    """

    method: str
    learning_rate: float
    path: Array
    heights: Array
    first: Array
    turned: float

    @property
    def arrives(self) -> int | None:
        """The first step from which on the height stays below CLOSE of the first one."""
        above = np.flatnonzero(self.heights > CLOSE * self.heights[0])
        return int(above[-1]) + 1 if above[-1] + 1 < self.heights.size else None


@dataclass(frozen=True, eq=False)
class Adaptive:
    """courses: on the bowl. columns: method -> loss at the end on (raw, standardised) columns. scales: the smallest and
    the largest deviation of a raw column.
    """

    stretch: float
    angle: float
    steps: int
    courses: tuple[Course, ...]
    columns: dict[str, tuple[float, float]]
    scales: tuple[float, float]
    rows: int


def follow(method: Any, gradients: Callable[[Array], Array], start: Array, rates: Array, steps: int) -> Array:
    """A descent for each learning rate, side by side: positions (steps + 1, R, P). gradients: (R, P) -> (R, P)."""
    theta = np.repeat(np.asarray(start, np.float64)[None], rates.size, axis=0)
    state, points = method.start(theta), [theta]
    for step in range(steps):
        with np.errstate(over="ignore", invalid="ignore"):  # of rates that are too large
            theta, state = method.rule(theta, gradients(theta), state, step, rates[:, None])
        points.append(theta)
    return np.array(points)


def bowl(stretch: float, angle: float) -> tuple[Array, Array]:
    """A bowl turned by so many degrees: the matrix H of its height p' H p / 2, and the start, turned with it.

    Its curvature is 1 along one of its axes and `stretch` along the other.
    """
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([1.0, stretch]) @ turn.T, turn @ START


def product_with(h: Array) -> Callable[[Array], Array]:
    """The gradient of p' H p / 2 for rows of positions."""
    return lambda points: points @ h


def heights_of(points: Array, h: Array) -> Array:
    """p' H p / 2 at each of these points; infinite where one is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: Array = 0.5 * np.einsum("...i,ij,...j->...", points, h, points)
    return np.where(np.isfinite(found), found, np.inf)


def course(name: str, stretch: float, angle: float, steps: int) -> Course:
    """The best of RATES for a method, by the height at the end."""
    method, ends = METHODS[name], []
    for one in (angle, angle + TURNED):
        h, start = bowl(stretch, one)
        points = follow(method, product_with(h), start, RATES, steps)
        heights = heights_of(points, h)
        best = int(heights[-1].argmin())
        ends.append((best, points[:, best], heights[:, best]))
    best, path, heights = ends[0]
    h, start = bowl(stretch, angle)
    first = follow(method, product_with(h), start, np.ones(1), 1)
    return Course(name, float(RATES[best]), path, heights, first[1, 0] - first[0, 0], float(ends[1][2][-1]))


def on_columns(x: Array, y: Array, steps: int) -> dict[str, float]:
    """The lowest loss that each method reaches with one of RATES, for a network of one layer that starts at zero."""
    model = Model.init(Sequential(Dense(3)), x.shape[1], loss="cross_entropy", dtype="float64")
    each = transforms.compile(transforms.vmap(transforms.grad(model.objective), in_axes=(0, None, None)))
    losses = transforms.compile(transforms.vmap(model.objective, in_axes=(0, None, None)))
    found = {}
    for name, method in METHODS.items():
        last = follow(method, lambda thetas: np.asarray(each(thetas, x, y)), np.zeros(model.theta.size), RATES, steps)[
            -1
        ]
        good = np.isfinite(last).all(axis=1)
        found[name] = float(np.nanmin(np.asarray(losses(last[good], x, y))))
    return found


def shown(height: Any) -> str:
    """A height, or the little that rounding leaves of one."""
    return number(float(height), 3) if height > 1e-12 else "<1e-12"


def tell(result: Adaptive, *, width: int, ascii_only: bool) -> list[str]:
    firsts = []
    for c in result.courses:
        towards = -c.path[0]
        cosine = float(c.first @ towards / np.linalg.norm(c.first) / np.linalg.norm(towards))
        firsts.append(
            [c.method, f"{c.first[0]:+.4g}", f"{c.first[1]:+.4g}", f"{np.rad2deg(np.arccos(min(cosine, 1.0))):.0f}"]
        )
    middle = min(20, result.steps)
    courses = [
        [c.method, number(c.learning_rate, 2), *map(shown, (c.heights[middle], c.heights[-1])),
         f"{c.arrives}" if c.arrives is not None else "not yet", shown(c.turned)]
        for c in result.courses
    ]  # fmt: skip
    columns = [[name, number(raw), number(scaled)] for name, (raw, scaled) in result.columns.items()]
    paths = {c.method: (c.path[: middle + 1, 0], c.path[: middle + 1, 1]) for c in result.courses}
    ahead = min(result.columns, key=lambda name: result.columns[name][0])
    small, large = result.scales
    return [
        page([
            title("Adaptive steps: a rate for every parameter", ascii_only=ascii_only),
            words(f"""A bowl that is {number(result.stretch)} times as steep along one axis as along the
                other. Plain descent has one rate for both. The others divide each element of the gradient by
                the size that it usually has:""", width),
            formula("""
                descent   theta - rate * g
                Adagrad   theta - rate * g / sqrt(v)         v: sum of all g^2 so far
                RMSProp   theta - rate * g / sqrt(v)         v: running mean of g^2
                Adam      theta - rate * m / sqrt(v)         m: running mean of g too"""),
            words(f"""The first step from {START[0]:g}, {START[1]:g}, with rate 1, and its angle to the
                direction of the bottom:""", width),
            table(firsts, ["method", "step in x", "step in y", "degrees off"], width=width, ascii_only=ascii_only),
        ]),
        line_chart(paths, width=min(width, 76), height=15, title=f"Paths of the first {middle} steps, from a to 0, 0",
                   x_label="x", y_label="y", points=True, ascii_only=ascii_only),
        page([
            heading("How far they come", ascii_only=ascii_only),
            words(f"Each with the best of {RATES.size} learning rates for {result.steps} steps:", width),
            table(courses, ["method", "rate", f"height after {middle}", f"after {result.steps}", "arrives at step",
                            f"turned {TURNED:g} degrees"], width=width, ascii_only=ascii_only),
            words("""The last column is the same bowl and start, turned. Plain descent does not notice. The
                others lose by it, because steep and flat now lie between the axes: a rate for every
                parameter helps where the parameters are the directions that differ. What Adam still gains
                there is its momentum.""", width),
        ]),
        page([
            heading("Columns in their own units", ascii_only=ascii_only),
            words(f"""In a network such a bowl comes from the data. The chemistry of {result.rows} wines has
                columns whose deviations go from {number(small, 2)} to {number(large, 3)}. Linear
                classification, loss after {result.steps} steps over all rows, each method with its best
                rate:""", width),
            table(columns, ["method", "raw columns", "standardised"], width=width, ascii_only=ascii_only),
            words(f"""On raw columns {ahead} is ahead: its steps do not depend on the unit of a column.
                Standardised columns have no unit, and plain descent is good again. That is the cheaper cure,
                where it is open; between the layers of a network it is not.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "adaptive",
    "A rate for every parameter",
    "Adagrad, RMSProp, Adam in a stretched bowl and on raw columns",
    tell,
    options={
        "stretch": Range("how many times steeper one axis is", at_least=1, at_most=1e6),
        "angle": Range("by which the bowl is turned, in degrees", at_least=0, at_most=90),
        "steps": Range("of every descent", at_least=5, at_most=2000, whole=True),
    },
    asks=(
        ask("a longer valley: who does not notice?", stretch=10_000),
        ask("a valley between the axes", angle=30),
    ),
)
def adaptive(stretch: float = 100.0, angle: float = 0.0, steps: int = 200) -> Adaptive:
    """Walk down a bowl with four methods, and fit raw and standardised columns with each."""
    wine = load("wine")
    y = wine.y.astype(np.int64)
    raw, scaled = (on_columns(x, y, steps) for x in (wine.x.astype(np.float64), standardised(wine)[0]))
    deviations = wine.x.std(axis=0)
    return Adaptive(
        stretch, angle, steps, tuple(course(name, stretch, angle, steps) for name in METHODS),
        {name: (raw[name], scaled[name]) for name in METHODS}, (float(deviations.min()), float(deviations.max())),
        len(wine),
    )  # fmt: skip
