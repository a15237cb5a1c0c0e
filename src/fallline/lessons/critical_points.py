"""Lesson `critical-points`: where descent stands still, how eigenvalues show its kind, and stepping off."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.curvature.stationary import Verdict, verdict
from fallline.graph.op import Array
from fallline.insight.picture import contour, grid_of, line_chart, table
from fallline.lessons.lesson_table import ask, lesson
from fallline.lessons.page import formula, heading, page, title, words
from fallline.lessons.walk import Walk, compiled_gradient, walk
from fallline.nn import Dense, Model, Sequential, Tanh
from fallline.ranges import Range
from fallline.typesetting import number

AREA = (-5.0, 5.0)


@dataclass(frozen=True, eq=False)
class Stationary:
    """A point where the gradient is zero. descents: how many of the descents ended there."""

    point: Array
    verdict: Verdict
    descents: int


@dataclass(frozen=True, eq=False)
class Escape:
    """Descent on a small network: into a saddle, off it along the eigenvector, and on.

    before: the path to the saddle; at: the verdict there; step: length of the step off along +-the eigenvector, which
    changed the loss from `at.value` to `off`; after: the path on; end: the verdict there.
    """

    before: Walk
    at: Verdict
    step: float
    off: tuple[float, float]
    after: Walk
    end: Verdict


@dataclass(frozen=True, eq=False)
class CriticalPoints:
    """points: all stationary points found on Himmelblau's function, lowest first. starts: of descent."""

    points: tuple[Stationary, ...]
    starts: int
    escape: Escape


def himmelblau(p: Any) -> Any:
    """(x^2 + y - 11)^2 + (x + y^2 - 7)^2. Source: Himmelblau 1972, Applied nonlinear programming."""
    return (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2


def newton(
    gradient: Callable[[Array], Array], hessian: Callable[[Array], Array], start: Array, steps: int = 50
) -> Array | None:
    """Where the gradient is zero, near a start: theta <- theta - H^-1 g, which takes no account of which direction is
    down.

    None where it does not settle.
    """
    p = np.array(start, dtype=np.float64)
    for _ in range(steps):
        g = gradient(p)
        if np.linalg.norm(g) < 1e-10:
            return p
        try:
            p = p - np.linalg.solve(hessian(p), g)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(p).all() or np.abs(p).max() > 1e3:
            return None
    return None


def gather(found: list[Array], point: Array) -> None:
    """Add a point unless it is there already."""
    if not any(np.linalg.norm(point - other) < 1e-4 for other in found):
        found.append(point)


def grid(per_side: int) -> list[Array]:
    """Points spread evenly over the area."""
    side = np.linspace(*AREA, per_side)
    return [np.array([x, y]) for x in side for y in side]


def explore(per_side: int) -> tuple[Stationary, ...]:
    """All stationary points of Himmelblau's function in the area: minima by descent, the others by Newton."""
    starts = grid(per_side)
    evaluate = compiled_gradient(himmelblau)
    ends = [walk(evaluate, start, 0.005, 250).points[-1] for start in starts]
    gradient = transforms.compile(transforms.grad(himmelblau))
    hessian = transforms.compile(transforms.hessian(himmelblau))
    found: list[Array] = []
    for start in [*ends, *grid(15)]:
        point = newton(gradient, hessian, start)
        if point is not None and (np.abs(point) <= AREA[1]).all():
            gather(found, point)
    counts = [sum(bool(np.linalg.norm(end - point) < 1e-3) for end in ends) for point in found]
    points = [Stationary(p, verdict(himmelblau, p), n) for p, n in zip(found, counts)]
    return tuple(sorted(points, key=lambda s: s.verdict.value))


def escape(steps: int) -> Escape:
    """A 1-2-1 network whose two hidden units start alike: they get the same gradient, so they stay alike."""
    x = np.linspace(-2, 2, 25)[:, None]
    y = np.tanh(x) + np.tanh(3 * (x - 1))  # two bends, which two different units can draw, and two equal ones cannot
    model = Model.init(Sequential(Dense(2), Tanh(), Dense(1)), 1, loss="squared_error", dtype="float64")
    first, second = model.params[0], model.params[2]
    first["weight"][...], first["bias"][...], second["weight"][...] = 0.9, 0.5, 0.6
    evaluate = compiled_gradient(model.objective)
    before = walk(evaluate, model.theta, 0.3, steps, x, y)
    saddle = before.points[-1]
    at = verdict(model.objective, saddle, x, y)
    # The direction is there unless descent found a minimum, which units that are alike cannot.
    direction = np.zeros_like(saddle) if at.direction is None else np.asarray(at.direction)
    length = 0.1
    plus, minus = (float(evaluate(saddle + sign * length * direction, x, y)[0]) for sign in (1.0, -1.0))
    after = walk(evaluate, saddle + length * direction, 0.3, 4 * steps, x, y)
    return Escape(before, at, length, (plus, minus), after, verdict(model.objective, after.points[-1], x, y))


MARKS = {"minimum": "m", "saddle": "s", "maximum": "M"}


def tell(result: CriticalPoints, *, width: int, ascii_only: bool) -> list[str]:
    rows = [
        [MARKS.get(s.verdict.kind, "?"), f"{s.point[0]:+.5f}", f"{s.point[1]:+.5f}", f"{s.verdict.value:.4f}",
         *(f"{v:+.3f}" for v in s.verdict.eigenvalues), s.verdict.kind, s.descents]
        for s in result.points
    ]  # fmt: skip
    marks = {mark: [s.point for s in result.points if s.verdict.kind == kind] for kind, mark in MARKS.items()}
    e = result.escape
    ended = sum(s.descents for s in result.points if s.verdict.kind == "minimum")
    saddles = [s for s in result.points if s.verdict.kind == "saddle"]
    lowest = saddles[0] if saddles else result.points[-1]
    losses = np.concatenate([e.before.values, e.after.values])
    eigenvalues = ", ".join(number(float(v) if abs(v) > 1e-12 else 0.0) for v in e.at.eigenvalues)
    return [
        page([
            title("Critical points: minimum, maximum, saddle", ascii_only=ascii_only),
            words("""Descent stops where the gradient is zero. That can be the bottom of a valley, but also the top
                of a hill or a pass between two hills. The gradient does not tell them apart; the second derivatives
                do. The eigenvalues of the matrix of second derivatives, the Hessian, say how the slope changes
                along its main directions:""", width),
            formula("""
                all positive   minimum   every direction leads up
                all negative   maximum   every direction leads down
                some of each   saddle    up in some directions, down in others"""),
        ]),
        page([
            heading("A function with nine such points", ascii_only=ascii_only),
            words(f"""Himmelblau's function has all three. From {result.starts} starts on a grid, {ended} descents
                ended in a minimum. The other points were found with Newton's method on the gradient, which does not
                care which direction is down:""", width),
            table(rows, ["", "x", "y", "height", "eigenvalue", "eigenvalue", "kind", "descents"], width=width,
                  ascii_only=ascii_only),
        ]),
        page([
            contour(grid_of(lambda x, y: himmelblau((x, y)), AREA, AREA), x_range=AREA, y_range=AREA,
                    marks={m: p for m, p in marks.items() if p}, width=min(width, 76), height=17, levels=7,
                    title="(x^2 + y - 11)^2 + (x + y^2 - 7)^2: m minimum, s saddle, M maximum", ascii_only=ascii_only),
        ]),
        page([
            heading("Off the saddle", ascii_only=ascii_only),
            words(f"""At the lowest saddle the negative eigenvalue is
                {number(float(lowest.verdict.eigenvalues[0]))}. A step of length r along its eigenvector, either
                direction, changes the height by about {number(float(lowest.verdict.eigenvalues[0]))} / 2 * r^2:
                down.""", width),
            words(f"""Networks have saddles too, and symmetry is one reason. Take a 1-2-1 network,
                {e.before.points.shape[1]} parameters, and start both hidden units with the same numbers. They
                compute the same, so they get the same gradient, so they stay the same for ever: two units, and no
                more use than one. After {len(e.before.values) - 1:,} steps descent stands still at a loss of
                {number(e.at.value)}, the gradient's length is {number(e.at.gradient_norm, 2)}. The eigenvalues
                there:""", width),
            formula(eigenvalues),
            words(f"""One is negative: a {e.at.kind}. Its eigenvector pulls the two units apart. A step of length
                {e.step} along it lowers the loss to {number(e.off[0], 6)} (the other direction: {number(e.off[1], 6)})
                from {number(e.at.value, 6)}. From there plain descent succeeds: after
                {len(e.after.values) - 1:,} more steps the loss is {number(e.end.value)}, and the verdict there is:
                {e.end.kind}.""", width),
        ]),
        page([
            line_chart((np.arange(losses.size), losses), log_y=True, width=min(width, 76), height=12, x_label="step",
                       title="Loss: into the saddle, a step off it, and on", ascii_only=ascii_only),
            words("""This is why the weights of a network start at random: no two units alike, no eigenvector to
                look for. Other saddles, those that no symmetry guards, are left by the noise of mini-batches
                alone.""", width),
        ]),
    ]  # fmt: skip


@lesson(
    "critical-points",
    "Where descent stands still",
    "minimum, maximum, saddle by eigenvalues; off the saddle",
    tell,
    options={
        "per_side": Range("starts of descent along each side of the map", at_least=2, at_most=30, whole=True),
        "steps": Range("steps of descent into the saddle", at_least=1000, at_most=20_000, whole=True),
    },
    asks=(ask("more starts: does one end anywhere but in a minimum?", per_side=11),),
)
def critical_points(per_side: int = 7, steps: int = 3000) -> CriticalPoints:
    """Find and judge all stationary points of Himmelblau's function, and one of a small network."""
    return CriticalPoints(explore(per_side), per_side**2, escape(steps))
