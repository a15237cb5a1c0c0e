"""Lesson `closed-form`: setting the derivatives to zero solves linear regression, and why not a network."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.curvature.flat import Flat
from fallline.curvature.hessians import dense_hessian, hessian_ends
from fallline.data.preprocess import standardised
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import line_chart, table
from fallline.insight.searches import normal_equations
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import compiled_gradient, duration, seconds, walk
from fallline.nn import Model, mlp
from fallline.ranges import Range
from fallline.typesetting import number


@dataclass(frozen=True)
class NewtonCost:
    """One step of each kind for a network of this many parameters, in seconds.

    hessian: all second derivatives; solve: the equations of the step; gradient: all descent needs.
    """

    parameters: int
    hessian: float
    solve: float
    gradient: float

    @property
    def ratio(self) -> float:
        return (self.hessian + self.solve) / self.gradient


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """features: names, the constant last. by_equations, by_descent: the coefficients; steps: that descent took.

    gradient_norm: at the solution of the equations, computed by backpropagation. costs: of Newton's step on networks
    of growing size, with `rows` images.
    """

    features: tuple[str, ...]
    by_equations: Array
    by_descent: Array
    gradient_norm: float
    steps: int
    equations_seconds: float
    descent_seconds: float
    costs: tuple[NewtonCost, ...]
    rows: int

    @property
    def largest_difference(self) -> float:
        return float(np.abs(self.by_equations - self.by_descent).max())


def mean_squared_error(theta: Any, x: Any, y: Any) -> Any:
    return np.mean(np.square(x @ theta - y))


def newton_cost(hidden: int, x: Array, y: Array) -> NewtonCost:
    """Measure a Newton step and a descent step of one network."""
    model = Model.init(mlp((hidden,), 10, "tanh"), x.shape[1], loss="cross_entropy", dtype="float64")
    flat = Flat.of(model.objective, model.theta, (x, y))
    flat.product()(model.theta)  # compiling is not charged
    begin = time.perf_counter()
    hessian = dense_hessian(flat)
    middle = time.perf_counter()
    # A network's Hessian is not positive everywhere, nor of full rank: a multiple of 1 is added before solving.
    gradient = compiled_gradient(model.objective)
    _, g = gradient(model.theta, x, y)
    start_solve = time.perf_counter()
    np.linalg.solve(hessian + 1e-3 * np.eye(len(hessian)), g)
    solve = time.perf_counter() - start_solve
    return NewtonCost(model.theta.size, middle - begin, solve, seconds(lambda: gradient(model.theta, x, y), 0.05))


def tell(result: ClosedForm, *, width: int, ascii_only: bool) -> list[str]:
    rows = [[name, f"{a:+.8f}", f"{b:+.8f}"] for name, a, b in
            zip(result.features, result.by_equations, result.by_descent)]  # fmt: skip
    costs = [[f"{c.parameters:,}", f"{c.parameters**2:,}", duration(c.hessian), duration(c.solve),
              duration(c.gradient), f"{c.ratio:,.0f} x"] for c in result.costs]  # fmt: skip
    p = [c.parameters for c in result.costs]
    curves = {"Newton's step": (p, [c.hessian + c.solve for c in result.costs]),
              "descent's step": (p, [c.gradient for c in result.costs])}  # fmt: skip
    last = result.costs[-1]
    million = last.solve * (1e6 / last.parameters) ** 3
    return [
        page([
            title("Closed form: set the derivatives to zero and solve", ascii_only=ascii_only),
            words(f"""At the lowest point every derivative is zero. For linear regression these are {len(rows)}
                equations, one a parameter, and each parameter appears in them only multiplied by a number. Such
                equations can be solved at once:""", width),
            formula("""
                loss(theta) = mean (x theta - y)^2
                d loss / d theta = 2 x' (x theta - y) / N = 0      x': x transposed
                (x' x) theta = x' y"""),
        ]),
        page([
            heading("Both on the same data", ascii_only=ascii_only),
            words("""Both methods, on the diabetes data, every column with mean 0 and deviation 1:""", width),
            table(rows, ["coefficient", "solved", "descent"], width=width, ascii_only=ascii_only),
            words(f"""Solving took {duration(result.equations_seconds)}. Descent took {result.steps:,} steps and
                {duration(result.descent_seconds)}; the largest difference of the two is
                {number(result.largest_difference)}. Backpropagation agrees that the solution is the bottom: the
                gradient's length there is {number(result.gradient_norm)}.""", width),
        ]),
        page([
            heading("And a network?", ascii_only=ascii_only),
            words("""Why is a network not solved like this? Its parameters stand inside tanh or relu, multiplied
                by one another, so the equations "every derivative = 0", one for each parameter, have no solution
                formula, and they have many solutions, most of them no lowest point. Possible is Newton's
                method: replace the loss by its bowl around theta, jump to the bowl's bottom, again and again. That
                needs every second derivative, the Hessian, P * P numbers, and the solution of P linear equations
                for every single step:""", width),
            formula("""
                descent:   theta <- theta - learning_rate * g
                Newton:    theta <- theta - H^-1 g           H: P * P second derivatives"""),
            table(costs, ["parameters", "numbers in H", "H takes", "solving", "a gradient", "Newton / descent"],
                  width=width, ascii_only=ascii_only),
        ]),
        page([
            line_chart(curves, log_x=True, log_y=True, points=True, width=min(width, 76), height=12,
                       title="Seconds for one step", x_label="parameters", ascii_only=ascii_only),
            words(f"""Measured on networks 64-h-10 with {result.rows} images. The Hessian takes P products, and
                solving takes work that grows like P^3: carried on from the last row to a million parameters,
                {duration(million)} for the solving of one step, and 8 TB for H. Descent needs one gradient, P
                numbers, and that is why it trains networks.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "closed-form",
    "Solving instead of walking",
    "solving for the lowest point at once; why not for networks",
    tell,
    options={
        "rows": Range("images for the networks", at_least=10, at_most=1797, whole=True),
        "steps": Range("steps of descent on the linear regression", at_least=1, at_most=1_000_000, whole=True),
    },
    asks=(ask("descent that stops early: how far are its numbers?", steps=500),),
)
def closed_form(rows: int = 260, steps: int = 8000, hidden: tuple[int, ...] = (1, 2, 4, 8, 12)) -> ClosedForm:
    """Solve diabetes by its equations and by descent; measure Newton's step on networks 64-h-10."""
    data = load("diabetes")
    columns, y = standardised(data)
    x = np.hstack([columns, np.ones((len(data), 1))])
    begin = time.perf_counter()
    solved = normal_equations(x, y)
    equations_seconds = time.perf_counter() - begin
    start = np.zeros(x.shape[1])
    ends = hessian_ends(mean_squared_error, start, x, y, tolerance=1e-10)
    gradient = compiled_gradient(mean_squared_error)
    gradient(start, x, y)
    begin = time.perf_counter()
    # Source: Polyak 1964: the rate that shrinks the slowest and the steepest direction alike.
    path = walk(gradient, start, 2 / (ends.lowest + ends.highest), steps, x, y)
    descent_seconds = time.perf_counter() - begin
    norm = float(np.linalg.norm(transforms.grad(mean_squared_error)(solved, x, y)))
    digits = load("digits")
    pixels, labels = digits.x[:rows] / 16, digits.y[:rows].astype(np.int64)
    costs = tuple(newton_cost(h, pixels, labels) for h in hidden)
    return ClosedForm((*data.features, "constant"), solved, path.points[-1], norm, steps, equations_seconds,
                      descent_seconds, costs, len(pixels))  # fmt: skip
