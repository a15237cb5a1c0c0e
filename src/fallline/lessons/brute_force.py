"""Lesson `brute-force`: why nobody tries all the values, measured on small networks and carried on to a real one."""

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.data.sets import load
from fallline.insight.picture import line_chart, table
from fallline.insight.searches import BLOCK, search
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import compiled_gradient, duration, seconds, walk
from fallline.nn import Dense, Model, Sequential, Tanh, mlp
from fallline.ranges import Range
from fallline.start import fit
from fallline.typesetting import number

YEAR, UNIVERSE = 365.25 * 86400, 13.8e9  # seconds; years


@dataclass(frozen=True)
class Search:
    """One network searched. points: of the grid, values ** parameters. loss: the best found.

    descent_loss, descent_seconds: the loss gradient descent reached from a random start, and when.
    """

    network: str
    parameters: int
    points: int
    seconds: float
    loss: float
    descent_loss: float
    descent_seconds: float


@dataclass(frozen=True)
class Digits:
    """The network for hand-written digits: the cost of one value of its loss, and of its training.

    log10_points: of the same grid; log10_years: to compute them all. accuracy: on the rows trained with.
    """

    parameters: int
    rows: int
    seconds_per_point: float
    log10_points: float
    log10_years: float
    training_seconds: float
    accuracy: float


@dataclass(frozen=True)
class BruteForce:
    """values: tried for each parameter. steps: of descent. searches: from the smallest network up.

    digits: where it would end.
    """

    values: int
    steps: int
    searches: tuple[Search, ...]
    digits: Digits


def networks(most: int) -> list[tuple[str, int, Sequential]]:
    """(description, inputs, network) with 2, 3, 4 ... parameters."""
    line, bend = Sequential(Dense(1)), Sequential(Dense(1), Tanh(), Dense(1))
    found = [("1-1", 1, line), ("2-1", 2, line)]
    found += [(f"{d}-1-1", d, bend) for d in range(1, most)]
    return found[: most - 1]


def many_losses(model: Model, thetas: Any, x: Any, y: Any) -> Any:
    """The mean squared error for each row of `thetas` (B, P): the same layers, with an axis for the candidates."""

    def spread(start: int, shape: tuple[int, ...]) -> Any:
        part = thetas[:, start : start + math.prod(shape)]
        return np.reshape(part, (part.shape[0], *((1,) * (2 - len(shape))), *shape))

    slots = [spread(slot.start, slot.shape) for _, slot in model.layout.items()]
    outputs = model.network.apply(tree.unflatten(model.layout.slots, slots), x)
    return np.mean(np.square(outputs - y), axis=(1, 2))


def digits_network(values: int) -> Digits:
    """Train the digits network for real, and measure the cost of one value of its loss."""
    data = load("digits")
    x = (data.x / 16).astype(np.float32)
    begin = time.perf_counter()
    run = fit(mlp((32,), 10), (x, data.y), loss="cross_entropy", optimizer="adam", epochs=20, batch_size=32)
    took = time.perf_counter() - begin
    model, y = run.model, run.model.prepare(data.y).y
    loss = transforms.compile(model.objective)
    each = seconds(lambda: loss(model.theta, x, y))
    p = model.theta.size
    log10_points = p * math.log10(values)
    accuracy = float(np.mean(model.predict(x) == data.y))
    return Digits(p, len(data), each, log10_points, log10_points + math.log10(each / YEAR), took, accuracy)


def tell(result: BruteForce, *, width: int, ascii_only: bool) -> list[str]:
    d, v = result.digits, result.values
    rows = [
        [s.parameters, s.network, f"{s.points:,}", duration(s.seconds), number(s.loss),
         number(s.descent_loss), duration(s.descent_seconds)]
        for s in result.searches
    ]  # fmt: skip
    largest = result.searches[-1]
    lower = sum(s.descent_loss < s.loss for s in result.searches)
    per_point = largest.seconds / largest.points
    ahead = [(p, p * math.log10(v) + math.log10(per_point)) for p in range(largest.parameters + 1, 31)]
    marks = [[p, duration(10.0**log)] for p, log in ahead if p in (8, 10, 15, 20, 30)]
    measured = ([s.parameters for s in result.searches], [s.seconds for s in result.searches])
    carried = ([p for p, _ in ahead if p <= 20], [10.0**log for p, log in ahead if p <= 20])
    return [
        page([
            title("Brute force: why not simply try everything?", ascii_only=ascii_only),
            words(f"""The best parameters could be found without any gradient: try {v} values for each parameter,
                all combinations, and keep the best. For one parameter that is {v} tries, for two {v} * {v}, for
                P""", width),
            formula("tries = values ^ P"),
            table(rows, ["P", "network", "tries", "it took", "best loss", "by descent", "in"],
                  width=width, ascii_only=ascii_only),
            words(f"""A network 3-1-1 has 3 inputs, 1 hidden unit and 1 output. Every try is one value of the loss
                over the same 20 rows, computed by the same compiled program, {BLOCK:,} tries to a call; one took
                {duration(per_point)}. Gradient descent started from random parameters and took {result.steps:,}
                steps, each with one gradient. It is not tied to a grid: it ended lower than the search in {lower}
                of {len(result.searches)} cases.""", width),
        ]),
        page([
            line_chart({"measured": measured, "carried on": carried}, log_y=True, points=True,
                       width=min(width, 76), height=9,
                       title=f"Seconds to try {v} values for each of P parameters", x_label="P", ascii_only=ascii_only),
            table(marks, ["P", "time to try them all, at this speed"], width=width, ascii_only=ascii_only),
        ]),
        page([
            heading("A network that does something", ascii_only=ascii_only),
            words(f"""Hand-written digits: 64 pixels, 32 hidden units, 10 outputs. The network
                has {d.parameters:,} parameters. One value of its loss takes
                {duration(d.seconds_per_point)} here, so all combinations take""", width),
            formula(f"""
                {v}^{d.parameters:,} = 10^{d.log10_points:,.0f} tries, at {duration(d.seconds_per_point)} each
                = 10^{d.log10_years:,.0f} years
                = 10^{d.log10_years - math.log10(UNIVERSE):,.0f} times the age of the universe"""),
            words(f"""Gradient descent trained it just now in {duration(d.training_seconds)}, to
                {100 * d.accuracy:.1f} % of the {d.rows:,} images right. It never sees the landscape; it only asks
                which direction is down, and backpropagation answers for all {d.parameters:,} parameters at once.""",
                width),
        ]),
    ]  # fmt: skip


@lesson(
    "brute-force",
    "Trying everything",
    "a grid for 2, 3, 4 ... parameters, measured; and for digits",
    tell,
    options={
        "values": Range("values to try for each parameter", at_least=2, at_most=15, whole=True),
        "most": Range("parameters of the largest network searched", at_least=2, at_most=6, whole=True),
        "steps": Range("steps of descent", at_least=1, at_most=100_000, whole=True),
    },
    asks=(
        ask("a coarse grid, and where its best point lies", values=3),
        ask("descent that stops early", steps=20),
    ),
)
def brute_force(values: int = 11, most: int = 6, steps: int = 1500) -> BruteForce:
    """Search grids over networks of 2 to `most` parameters, and compare with descent; extrapolate to digits."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (20, most))
    # Each further column matters less, so that every network has something to find.
    y = 1.3 * np.tanh(x @ (1.7 * 0.5 ** np.arange(most)) + 0.3)[:, None] + 0.05 * rng.standard_normal((20, 1))
    grid = np.linspace(-2, 2, values)
    searches = []
    for name, inputs, network in networks(most):
        model = Model.init(network, inputs, loss="squared_error", dtype="float64", seed=1)
        columns, size = np.ascontiguousarray(x[:, :inputs]), model.theta.size
        losses = transforms.compile(partial(many_losses, model, x=columns, y=y))
        gradient = compiled_gradient(model.objective)
        losses(np.zeros((min(BLOCK, values**size), size)))  # neither is charged for being compiled
        gradient(model.theta, columns, y)
        begin = time.perf_counter()
        best, _ = search(losses, size, grid)
        middle = time.perf_counter()
        path = walk(gradient, model.theta, 0.3, steps, columns, y)
        end = time.perf_counter()
        searches.append(Search(name, size, values**size, middle - begin, best, float(path.values[-1]), end - middle))
    return BruteForce(values, steps, tuple(searches), digits_network(values))
