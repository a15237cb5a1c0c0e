"""Lesson `stuck`: a loss that stands still while the gradient is large, and the eigenvalue that says why."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.curvature.hessians import hessian_ends
from fallline.data.sets import load
from fallline.graph.op import Array
from fallline.insight.picture import contour, grid_of, line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import Walk, compiled_gradient, cosine, descend, walk
from fallline.nn import Model, mlp
from fallline.ranges import Range
from fallline.typesetting import number

# A valley: steep walls across, a floor that falls slowly along.
ACROSS, ALONG = 1.0, 0.02
START, VALLEY_RATE, VALLEY_STEPS = (6.0, 1.0), 1.995, 30
CHECKS = 8
# A loss this many times that of the first step has left every valley.
LOST = 10


@dataclass(frozen=True)
class Check:
    """A look at the training. highest: the largest eigenvalue of the Hessian there; along: the curvature along the
    gradient g, g' H g / g' g; cosine: of the angle between the gradient and the one before it.
    """

    step: int
    loss: float
    gradient: float
    highest: float
    along: float
    cosine: float


@dataclass(frozen=True, eq=False)
class Stuck:
    """valley: descent in the valley; freed: the same with half the rate.

    checks: of the training of a network with `learning_rate`; losses, gradients: at every step of it. kept, cut: its
    losses after that, with the same rate and with `factor` times it. lost: the training ended early, diverging.
    """

    valley: Walk
    freed: Walk
    learning_rate: float
    factor: float
    checks: tuple[Check, ...]
    losses: Array
    gradients: Array
    kept: Array
    cut: Array
    lost: bool
    parameters: int

    @property
    def bounces(self) -> bool:
        """Whether the training ended jumping from wall to wall: past the border, each gradient against the last."""
        last = self.checks[-1]
        return last.cosine < -0.5 and self.learning_rate * last.highest > 1.9


def height(p: Any) -> Any:
    """The valley, (ACROSS y^2 + ALONG x^2) / 2 at (x, y)."""
    return 0.5 * (ACROSS * p[1] ** 2 + ALONG * p[0] ** 2)


def tell(result: Stuck, *, width: int, ascii_only: bool) -> list[str]:
    valley, freed, last = result.valley, result.freed, result.checks[-1]
    rows = [
        [k, f"{valley.points[k, 0]:.3f}", f"{valley.points[k, 1]:+.3f}", f"{valley.values[k]:.3f}",
         f"{np.linalg.norm(valley.gradients[k]):.3f}", f"{freed.values[k]:.5f}"]
        for k in (0, 1, 2, 3, 10, 20, VALLEY_STEPS)
    ]  # fmt: skip
    steps, more = len(result.losses) - 1, len(result.kept) - 1
    checks = [
        [c.step, number(c.loss), number(c.gradient, 3), number(c.highest), number(2 / c.highest),
         number(c.along), f"{c.cosine:+.2f}"]
        for c in result.checks
    ]  # fmt: skip
    reach = 1.1 * START[0]
    times = number(result.learning_rate * last.highest / 2, 3)
    after = np.arange(steps, steps + more + 1)
    curves = {
        "loss": (np.arange(steps + 1), result.losses),
        "gradient": (np.arange(steps + 1), result.gradients),
        f"loss, {number(result.factor)} x rate": (after, result.cut),
    }
    found = (
        f"""It diverges: each step lands higher than the one before, and after {steps} the loss is
        {number(last.loss)}."""
        if result.lost
        else f"""At the end the rate is {times} times the border, and each gradient points against the one before it:
        theta jumps from wall to wall. The gradient is {number(last.gradient / float(result.gradients.min()), 3)} times
        as long as it was, and the curvature along it is {number(last.along, 3)}: a step turns it into about
        {1 - result.learning_rate * last.along:+.2f} times itself."""
        if result.bounces
        else f"""This one does not bounce: at the end the rate is {times} times the border, and the cosine of
        successive gradients is {last.cosine:+.2f}."""
    )
    return [
        page([
            title("Stuck: the loss is flat, and the gradient is not small", ascii_only=ascii_only),
            words("""A loss that no longer falls looks like the end: the gradient has become zero, a minimum or a
                saddle. Look at the gradient first. Often it is as large as ever, and descent jumps from one wall of
                a valley to the other. Across it, where the loss has curvature lambda, a step multiplies the distance
                to the floor by""", width),
            formula("1 - learning_rate * lambda      close to -1 where learning_rate = 2 / lambda"),
            words(f"A valley with curvature {ACROSS} across and {ALONG} along, and a rate of {VALLEY_RATE}:", width),
            table(rows, ["step", "along", "across", "height", "|gradient|", "height at half the rate"], width=width,
                  ascii_only=ascii_only),
        ]),
        contour(grid_of(lambda x, y: height((x, y)), (-1, reach), (-1.3, 1.3)), x_range=(-1, reach),
                y_range=(-1.3, 1.3), path=valley.points, width=min(width, 76), height=14, levels=6,
                title="The first steps, 0 1 2 3 ...: from wall to wall", x_label="along", y_label="across",
                ascii_only=ascii_only),
        page([
            heading("A network, as it comes to this by itself", ascii_only=ascii_only),
            words(f"""Digits, {result.parameters:,} parameters, squared error, all rows in every step, learning rate
                {number(result.learning_rate)}. lambda_max, the Hessian's largest eigenvalue, moves while the network
                learns; a rate above 2 / lambda_max is too long for its direction. Along g: the curvature along the
                gradient. Cosine: of the gradient and the one before.""", width),
            table(checks, ["step", "loss", "|gradient|", "lambda_max", "2 / lambda_max", "along g", "cosine"],
                  width=width, ascii_only=ascii_only),
            words(found, width),
        ]),
        page([
            line_chart(curves, log_y=True, width=min(width, 76), height=11, x_label="step", ascii_only=ascii_only,
                       title=f"Loss and length of the gradient; {number(result.factor)} x rate from step {steps} on"),
            words(f"""{more} steps more. With the same rate the loss is {number(float(result.kept.mean()))} on average
                and ends at {number(float(result.kept[-1]))}; with {number(result.factor)} times the rate it is
                {number(float(result.cut[min(5, more)]))} after {min(5, more)} steps and ends at
                {number(float(result.cut[-1]))}. "Stuck" does not mean "small gradient". Where it is small, a shorter
                step only takes longer; where it is large and turns round at every step, a shorter one frees it.
                """, width),
        ]),
    ]  # fmt: skip


@lesson(
    "stuck",
    "Stuck with a large gradient",
    "a flat loss, a large gradient: between the walls of a valley",
    tell,
    options={
        "learning_rate": Range("of the network's training", at_least=0.01, at_most=10),
        "factor": Range("the rate afterwards, as a share of it", at_least=0.01, at_most=1),
        "steps": Range("before the rate is changed", at_least=16, at_most=2000, whole=True),
    },
    asks=(
        ask("a rate that stays below the border", learning_rate=0.3),
        ask("a small cut", factor=0.9),
    ),
)
def stuck(learning_rate: float = 1.0, factor: float = 0.5, steps: int = 300, rows: int = 300) -> Stuck:
    """Descend in a valley, then train a network until its rate has crossed 2 / lambda_max, and cut the rate.

    Source: Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of stability,
    arXiv:2103.00065: lambda_max rises to 2 / learning_rate, and stays there.
    """
    valley, freed = (descend(height, START, rate, VALLEY_STEPS) for rate in (VALLEY_RATE, VALLEY_RATE / 2))
    digits = load("digits")
    x, y = digits.x[:rows] / 16, np.eye(10)[digits.y[:rows].astype(np.int64)]
    model = Model.init(mlp((16,), 10, "tanh"), x.shape[1], loss="squared_error", dtype="float64", seed=0)
    gradient = compiled_gradient(model.objective)
    before = walk(gradient, model.theta, learning_rate, steps, x, y)
    high = np.flatnonzero(before.values > LOST * before.values[0])
    last = int(high[0]) if high.size else len(before.values) - 1
    product = transforms.compile(transforms.hvp(model.objective))
    checks = []
    for k in sorted({max(round(last * i / CHECKS), 1) for i in range(1, CHECKS + 1)}):
        g = before.gradients[k]
        highest = hessian_ends(model.objective, before.points[k], x, y, tolerance=1e-3).highest
        along = float(g @ product(before.points[k], g, x, y)) / float(g @ g)
        turned = cosine(g, before.gradients[k - 1])
        checks.append(Check(k, float(before.values[k]), float(np.linalg.norm(g)), highest, along, turned))
    kept, cut = (walk(gradient, before.points[last], rate, max(last // 6, 5), x, y).values
                 for rate in (learning_rate, learning_rate * factor))  # fmt: skip
    norms = np.linalg.norm(before.gradients[: last + 1], axis=1)
    return Stuck(valley, freed, learning_rate, factor, tuple(checks), before.values[: last + 1], norms,
                 kept, cut, bool(high.size), model.theta.size)  # fmt: skip
