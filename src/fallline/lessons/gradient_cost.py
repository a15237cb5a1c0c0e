"""Lesson `gradient-cost`: all derivatives in one backward pass, against two forward passes for each of them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.graph.op import Array
from fallline.graph.trace import input_like, trace
from fallline.insight.picture import line_chart, table
from fallline.insight.searches import by_differences
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import duration, in_turn
from fallline.nn import Model, mlp
from fallline.program.step_loop import Loop, build
from fallline.ranges import Range
from fallline.tree import Tree
from fallline.typesetting import number


@dataclass(frozen=True)
class Cost:
    """One size. forward: seconds for the loss; gradient: for the loss and every derivative of it.

    differences: seconds for every derivative by central differences, 2 P forward passes; `measured` or carried on.
    error: their largest difference from the gradient, relative to the largest derivative; NaN if not measured.
    """

    parameters: int
    forward: float
    gradient: float
    differences: float
    measured: bool
    error: float

    @property
    def ratio(self) -> float:
        return self.gradient / self.forward


@dataclass(frozen=True)
class GradientCost:
    """costs: from the smallest network to the largest, all with the same number of rows."""

    costs: tuple[Cost, ...]
    rows: int


def width_for(parameters: float) -> int:
    """The width h at which a network h-h-h has about this many parameters: 2 h^2 + 2 h."""
    return max(1, round((math.sqrt(1 + 2 * parameters) - 1) / 2))


def in_place(function: Callable[..., Any], results: list[Array], inputs: list[Array]) -> Loop:
    """A program that writes function(*inputs) into `results` at every run, as a training step does.

    fallline.compile returns new arrays at every call instead; for 40 MB of gradient that costs more than computing it.
    """
    count = len(results)

    def step(*nodes: Any) -> Any:
        return tree.leaves(function(*nodes[count:]))

    graph, _ = trace(step, [input_like(array) for array in (*results, *inputs)])
    return build(graph, results, inputs)


def cost_of(parameters: float, rows: int, bearable: float) -> Cost:
    """Measure one size; differences are carried on where they would take more than `bearable` seconds."""
    h = width_for(parameters)
    rng = np.random.default_rng(0)
    model = Model.init(mlp((h,), h, "tanh"), h, loss="squared_error")
    data = [rng.standard_normal((rows, h)).astype(np.float32) for _ in range(2)]
    leaves = tree.leaves(model.params)

    def loss(params: Tree, x: Any, y: Any) -> Any:
        return model.loss.function(model.network.apply(params, x), y)

    def on_leaves(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: function(tree.unflatten(model.params, list(given[:-2])), *given[-2:])

    value, exact = np.zeros((), np.float32), [np.zeros_like(leaf) for leaf in leaves]
    forward = in_place(on_leaves(loss), [value], [*leaves, *data])
    gradient = in_place(on_leaves(transforms.value_and_grad(loss)), [np.zeros_like(value), *exact], [*leaves, *data])
    p = model.theta.size
    # Small networks take a few microseconds, which calling the program from Python would double.
    repeat = int(min(100, max(1, 1e7 // p)))
    taken = in_turn([lambda: forward.run(repeat), lambda: gradient.run(repeat)])
    once, both = (each / repeat for each in taken)
    if 2 * p * once > bearable:
        return Cost(p, once, both, 2 * p * once, False, np.nan)

    def current() -> float:
        forward.run(1)
        return float(value)

    begin = time.perf_counter()
    found = by_differences(current, model.theta)
    took = time.perf_counter() - begin
    flat = np.concatenate([part.ravel() for part in exact])
    return Cost(p, once, both, took, True, float(np.abs(found - flat).max() / np.abs(flat).max()))


def tell(result: GradientCost, *, width: int, ascii_only: bool) -> list[str]:
    costs, last = result.costs, result.costs[-1]
    rows = [
        [f"{c.parameters:,}", duration(c.forward), duration(c.gradient), f"{c.ratio:.2f} x",
         duration(c.differences) + ("" if c.measured else " *"), f"{c.differences / c.gradient:,.0f} x",
         number(c.error, 2) if c.measured else ""]
        for c in costs
    ]  # fmt: skip
    p = [c.parameters for c in costs]
    curves = {"forward pass": (p, [c.forward for c in costs]), "value and gradient": (p, [c.gradient for c in costs]),
              "differences": (p, [c.differences for c in costs])}  # fmt: skip
    errors = [c.error for c in costs if c.measured]
    errors_told = f"by {number(max(errors), 2)} of the largest derivative at most" if errors else "not measured here"
    return [
        page([
            title("The cost of a gradient: one backward pass for everything", ascii_only=ascii_only),
            words("""A derivative can be found by trying: move one parameter a little up, a little down, and look at
                the loss. That takes two forward passes for each parameter. Backpropagation takes one backward pass
                for all of them, however many there are. Measured just now, on networks h-h-h with tanh and""", width),
            formula(f"""
                {result.rows} rows, float32, one thread; P parameters
                differences:      2 P forward passes
                backpropagation:  1 forward pass and 1 backward pass"""),
            table(rows, ["P", "forward", "+ gradient", "ratio", "differences", "slower by", "error"], width=width,
                  ascii_only=ascii_only),
        ]),
        page([
            words("""* not run: 2 P times the forward pass. The ratio is one value with its whole gradient against
                the value alone. A backward pass multiplies with every weight matrix twice where the forward pass
                does it once (for the first layer once: nobody asks for the gradient of the data), so between two
                and three is what to expect where products are all there is.""", width),
            line_chart(curves, log_x=True, log_y=True, points=True, width=min(width, 76), height=12,
                       title="Seconds against the number of parameters", x_label="parameters", ascii_only=ascii_only),
        ]),
        page([
            heading("And trying is less exact", ascii_only=ascii_only),
            words(f"""For {last.parameters:,} parameters the whole gradient takes {duration(last.gradient)}; trying
                would take {duration(last.differences)}. Trying is also less exact: where it was run it was off
                {errors_told}, because the step has to be small, and rounding then eats the difference. This one
                fact, the gradient for the price of about three forward passes, is why networks can be trained at
                all.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "gradient-cost",
    "The price of a gradient",
    "one backward pass against trying, 10 to 10 million parameters",
    tell,
    options={
        "rows": Range("rows in every pass", at_least=1, at_most=1024, whole=True),
        "largest": Range("parameters of the largest network", at_least=10, at_most=1e7),
        "bearable": Range("seconds that differences may take where they are run", at_least=0.01, at_most=60),
    },
    asks=(
        ask("one row: a small product is over before it has begun", rows=1),
        ask("more patience with differences", bearable=5),
    ),
)
def gradient_cost(rows: int = 128, largest: float = 1e7, bearable: float = 0.7) -> GradientCost:
    """Measure value, gradient and finite differences for networks of 10, 100, ... parameters up to `largest`."""
    sizes = [10.0**power for power in range(1, 8) if 10.0**power <= largest]
    return GradientCost(tuple(cost_of(size, rows, bearable) for size in sizes), rows)
