"""The ways themselves: descent, central differences, Newton's method, equations, a grid, random points.

Each has a time, is measured where it ends within it, and is carried on from a measured part of it where it does not.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline.arrays import Array
from fallline.curvature.on_rows import OnRows
from fallline.insight.searches import BLOCK, by_differences, search
from fallline.insight.stopwatch import duration
from fallline.insight.stopwatch import seconds as seconds_of
from fallline.nn.theta import Layout

# The box of exhaustive and random search, around 0 along each parameter.
BOX = 2.0
MOST_STEPS = 10_000
MOST_NEWTON = 100
# A gradient shorter than this share of the first one is a minimum's.
SMALL = 1e-8
# Elements of a Hessian that is held at most: 1 GiB.
MOST_ELEMENTS = 1 << 27
# Step of central differences in float64: the cube root of its precision.
STEP = 6e-6
# Parameters whose equations are solved to see how fast this machine solves.
SOLVED = 400


@dataclass(frozen=True, slots=True)
class Alternative:
    """A method on a problem.

    log10_evaluations: the logarithm of the number of evaluations, `of` losses, gradients or products with the Hessian.
    log10_seconds: that of the time they take. loss: where it ends; None where that is not known. measured: whether the
    whole was done; else time and number are extrapolated. how: a sentence.
    """

    method: str
    log10_evaluations: float
    of: str
    log10_seconds: float
    loss: float | None
    measured: bool
    how: str


class Problem:
    """A loss to minimise from the surface's own parameters on. seconds: for each method."""

    def __init__(self, surface: OnRows, seconds: float, seed: int) -> None:
        self.surface, self.seconds, self.seed = surface, seconds, seed
        self.theta = np.array(surface.theta)
        self.size = surface.size
        self._times: dict[str, float] = {}

    def value(self, theta: Array) -> float:
        return float(self.surface.values_at(theta[None])[0])

    def gradient(self, theta: Array) -> tuple[float, Array]:
        value, g = self.surface.evaluated_at(theta)
        return (value, g) if np.isfinite(value) and np.isfinite(g).all() else (math.inf, g)

    def product(self, theta: Array, vector: Array) -> Array:
        return self.surface.product_at(theta, vector)

    def time_of(self, name: str) -> float:
        """Seconds of one evaluation: "loss", "gradient" or "product"."""
        if name not in self._times:
            calls: dict[str, Callable[[], object]] = {
                "loss": lambda: self.value(self.theta),
                "gradient": lambda: self.gradient(self.theta),
                "product": lambda: self.product(self.theta, self.theta),
            }
            self._times[name] = seconds_of(calls[name], min(0.1, self.seconds / 10))
        return self._times[name]


def log10(value: float) -> float:
    return math.log10(max(value, 1e-12))


@dataclass(frozen=True, slots=True)
class Path:
    """Where a descent ended. reason: in words."""

    theta: Array
    loss: float
    gradients: int
    seconds: float
    reason: str


def descend(gradient: Callable[[Array], tuple[float, Array]], theta: Array, seconds: float) -> Path:
    """theta <- theta - rate * gradient; the rate is halved where the loss would not fall enough, else grows by half.

    Source: Armijo 1966: the loss falls by a ten-thousandth of what the slope promises, at least.
    """
    begun, rate, made = time.perf_counter(), 1.0, 1
    value, g = gradient(theta)
    least = SMALL * float(np.linalg.norm(g))
    reason = f"{MOST_STEPS:,} gradients are the most it makes"
    while made < MOST_STEPS:
        length = float(np.linalg.norm(g))
        if length <= least:
            reason = "the gradient is 10^-8 of the first one"
            break
        if time.perf_counter() - begun > seconds:
            reason = "its time was over"
            break
        there = theta - rate * g
        next_value, next_g = gradient(there)
        made += 1
        if next_value <= value - 1e-4 * rate * length**2:
            theta, value, g, rate = there, next_value, next_g, 1.5 * rate
        elif rate * length < 1e-14 * (1 + float(np.linalg.norm(theta))):
            reason = "no step lowers the loss in float64"
            break
        else:
            rate /= 2
    return Path(theta, value, made, time.perf_counter() - begun, reason)


def descent(problem: Problem) -> Alternative:
    """Gradient descent on all rows, each gradient by one backward pass."""
    problem.time_of("gradient")  # compiling is not charged
    path = descend(problem.gradient, problem.theta, problem.seconds)
    how = (
        f"a gradient by backpropagation takes {duration(problem.time_of('gradient'))}, a loss "
        f"{duration(problem.time_of('loss'))}; the step is halved where the loss would not fall; it ended: "
        f"{path.reason}"
    )
    return Alternative("descent", log10(path.gradients), "gradients", log10(path.seconds), path.loss,
                       True, how)  # fmt: skip


def differences(problem: Problem, by_backpropagation: Alternative) -> Alternative:
    """The same descent with every gradient by central differences."""
    each, p = problem.time_of("loss"), problem.size
    gradients = 10**by_backpropagation.log10_evaluations
    method = "finite differences"

    def gradient(theta: Array) -> tuple[float, Array]:
        moved = theta.copy()
        return problem.value(theta), by_differences(lambda: problem.value(moved), moved, STEP)

    if 2 * p * each * gradients <= problem.seconds:
        path = descend(gradient, problem.theta, 10 * problem.seconds)
        how = f"each gradient by {2 * p:,} losses; it ended: {path.reason}"
        return Alternative(method, log10((2 * p + 1) * path.gradients), "losses", log10(path.seconds), path.loss, True,
                           how)  # fmt: skip
    how = f"each gradient takes {2 * p:,} losses of {duration(each)}, for as many gradients as backpropagation made"
    if 2 * p * each <= problem.seconds:
        begun = time.perf_counter()
        found = gradient(problem.theta)[1]
        each = (time.perf_counter() - begun) / (2 * p + 1)
        exact = problem.gradient(problem.theta)[1]
        error = float(np.abs(found - exact).max() / max(np.abs(exact).max(), 1e-300))
        how += f"; one was measured, and differs from the exact one by {error:.0e} of its largest element"
    total = log10(2 * p + 1) + by_backpropagation.log10_evaluations
    return Alternative(method, total, "losses", total + log10(each), None, False, how)


def newton(problem: Problem) -> Alternative:
    """Newton's method with the whole Hessian, its eigenvalues taken as absolute values, so that every step descends.

    Source: Dauphin et al. 2014, arXiv:1406.2572, eq. 9: saddle-free Newton.
    """
    p, method = problem.size, "Newton's method"
    each, solving = problem.time_of("product"), _solving(p)
    step = p * each + solving
    how = f"a step takes the whole Hessian, {p:,} products of {duration(each)}, and {duration(solving)} of solving"
    if p * p > MOST_ELEMENTS or step > problem.seconds:
        size = f"; the Hessian alone takes {p * p * 8 / 1e9:,.3g} GB" if p * p > MOST_ELEMENTS else ""
        return Alternative(method, log10(p), "products", log10(step), None, False, f"{how}{size}; this is one step")
    begun, theta, made = time.perf_counter(), problem.theta, 0
    value, g = problem.gradient(theta)
    least, reason = SMALL * float(np.linalg.norm(g)), f"{MOST_NEWTON} steps are the most it makes"
    for steps in range(MOST_NEWTON):
        if float(np.linalg.norm(g)) <= least:
            reason = "the gradient is 10^-8 of the first one"
            break
        if steps and (time.perf_counter() - begun) * (1 + 1 / steps) > problem.seconds:
            reason = "its time was over"
            break
        direction = _downhill(_hessian(problem, theta, np.arange(p)), g)
        made += 1
        ahead = _lower(problem, theta, value, direction)
        if ahead is None:
            reason = "no step lowers the loss in float64"
            break
        theta = ahead
        value, g = problem.gradient(theta)
    took = time.perf_counter() - begun
    how += f"; {made} step{'s' * (made != 1)} {'were' if made != 1 else 'was'} made, and it ended: {reason}"
    return Alternative(method, log10(made * p), "products", log10(took), value, True, how)


def equations(problem: Problem) -> Alternative:
    """The equations of the minimum, solved once: all of them where they are linear, else those of the last layer."""
    every = np.arange(problem.size)
    whole = _is_quadratic(problem, every)
    block = every if whole else last_layer(problem.surface.layout)
    exact = whole or _is_quadratic(problem, block)
    count = len(block)
    method = "normal equations" if whole else "last layer solved"
    each, solving = problem.time_of("product"), _solving(count)
    if whole:
        how = "the loss is quadratic in all parameters, so that its gradient is zero where linear equations hold"
    elif exact:
        how = f"linear in the last layer alone, {count:,} parameters; those before it stay as they began"
    else:
        how = (
            f"they are linear in no layer: the loss was expanded to second order in the last one, {count:,} "
            "parameters; those before it stay as they began"
        )
    if count * count > MOST_ELEMENTS or count * each + solving > problem.seconds:
        how += f"; {count:,} products of {duration(each)}, and {duration(solving)} of solving"
        return Alternative(method, log10(count), "products", log10(count * each + solving), None, False, how)
    begun = time.perf_counter()
    value, g = problem.gradient(problem.theta)
    direction = np.zeros(problem.size)
    direction[block] = _downhill(_hessian(problem, problem.theta, block), g[block])
    ahead = _lower(problem, problem.theta, value, direction)
    took = time.perf_counter() - begun
    loss = value if ahead is None else problem.value(ahead)
    return Alternative(method, log10(count), "products", log10(took), loss, True, how)


def exhaustive(problem: Problem, values: int) -> Alternative:
    """All combinations of so many values for each parameter, from -BOX to BOX."""
    p, grid = problem.size, np.linspace(-BOX, BOX, values)
    # Values of many points at once, of as many as the activations of some megabytes allow.
    block = max(1, min(BLOCK, (1 << 22) // (problem.surface.rows * max(1, p))))
    points = np.zeros((block, p))
    each = seconds_of(lambda: problem.surface.values_at(points), min(0.1, problem.seconds / 10)) / block
    total = p * math.log10(values)
    how = f"{values} values for each of {p:,} parameters, from -{BOX:g} to {BOX:g}, at {duration(each)} a loss"
    method = "exhaustive search"
    if total + log10(each) > math.log10(problem.seconds):
        return Alternative(method, total, "losses", total + log10(each), None, False, how)
    begun = time.perf_counter()
    best, _ = search(lambda thetas: problem.surface.values_at(thetas), p, grid)
    return Alternative(method, total, "losses", log10(time.perf_counter() - begun), best, True, how)


def random_search(problem: Problem) -> Alternative:
    """Independent points of the same box, the best of which is kept, until the time is over."""
    rng = np.random.default_rng(problem.seed)
    block = max(1, min(BLOCK, (1 << 22) // (problem.surface.rows * max(1, problem.size))))
    problem.surface.values_at(np.zeros((block, problem.size)))  # compiling is not charged
    begun, best, made = time.perf_counter(), math.inf, 0
    while not made or (time.perf_counter() - begun < problem.seconds and made < 10 * MOST_STEPS):
        found = problem.surface.values_at(rng.uniform(-BOX, BOX, (block, problem.size)))
        best, made = min(best, float(np.nanmin(found, initial=math.inf))), made + block
    how = f"points drawn from -{BOX:g} to {BOX:g} along each parameter; the best of them"
    took = time.perf_counter() - begun
    return Alternative("random search", log10(made), "losses", log10(took), best, True, how)


def last_layer(layout: Layout) -> Array:
    """The places of the last layer's parameters among the trainable ones."""
    slots = dict(layout.trained.items())

    def order(path: str) -> tuple[tuple[int, int, str], ...]:
        layer = path.rpartition(".")[0].split(".")
        return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in layer)

    last = max(map(order, slots))
    places = [np.arange(slot.start, slot.stop) for path, slot in slots.items() if order(path) == last]
    return np.concatenate(places)


def _is_quadratic(problem: Problem, block: Array) -> bool:
    """Whether the gradient in these parameters is linear in them: g(a) + g(b) - g(0) = g(a + b) at random a and b."""
    rng = np.random.default_rng(problem.seed)
    for _ in range(2):
        a, b = np.zeros((2, problem.size))
        a[block], b[block] = rng.standard_normal((2, len(block)))
        at = [problem.gradient(problem.theta + move)[1][block] for move in (a, b, np.zeros_like(a), a + b)]
        if not np.allclose(at[0] + at[1] - at[2], at[3], rtol=0, atol=1e-9 * max(np.abs(at).max(), 1e-300)):
            return False
    return True


def _hessian(problem: Problem, theta: Array, block: Array) -> Array:
    rows = []
    for place in block:
        unit = np.zeros(problem.size)
        unit[place] = 1.0
        rows.append(problem.product(theta, unit)[block])
    matrix = np.array(rows)
    symmetric: Array = (matrix + matrix.T) / 2
    return symmetric


def _downhill(hessian: Array, g: Array) -> Array:
    """-|H|^-1 g, without directions in which H is flat."""
    values, vectors = np.linalg.eigh(hessian)
    sizes = np.abs(values)
    bent = sizes > 1e-12 * max(float(sizes.max()), 1e-300)
    along = vectors[:, bent].T @ g
    direction: Array = -vectors[:, bent] @ (along / sizes[bent])
    return direction


def _lower(problem: Problem, theta: Array, value: float, direction: Array) -> Array | None:
    """A point along a direction where the loss is lower, the whole step if it may be; None where there is none."""
    for halvings in range(40):
        ahead = theta + 0.5**halvings * direction
        if problem.value(ahead) < value:
            return ahead
    return None


def _solving(p: int) -> float:
    """Seconds that the equations of p parameters take, which grow like p^3."""
    size = min(p, SOLVED)
    matrix = np.eye(size) + 1 / size
    return seconds_of(lambda: np.linalg.eigh(matrix), 0.02) * (p / size) ** 3
