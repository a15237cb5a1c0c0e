"""L-BFGS: quasi-Newton steps from the last few steps and their changes of the gradient."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.optim.line_search import Trial, strong_wolfe
from fallline.optim.minimiser import Evaluate, Minimiser, Point, inner, minimiser
from fallline.optim.optimizer import State, zeros
from fallline.ranges import option


@minimiser
@dataclass(frozen=True)
class LBFGS(Minimiser):
    """Limited-memory BFGS: steps along -H g, where H approximates the inverse of the curvature.

        p = -H g                          by the two-loop recursion over the last `memory` pairs (s, y)
        theta <- theta + a p              a by a line search for the strong Wolfe conditions
        s = a p,  y = g(theta + a p) - g(theta);  the first H of a step is (s'y / y'y) I

    A step is one iteration and uses all rows; on average it takes little more than one evaluation. For losses that are
    smooth and the same at every evaluation: dropout is refused. Right for small networks and tables. In float32 the
    loss soon differs by less than its last digit; dtype="float64" goes further.
    learning_rate: the length a that is tried first, as a multiple of the quasi-Newton step; 1 suits nearly always.
        The first step of all, which knows no curvature, begins at learning_rate min(1, 1 / |g|) times -g.
    memory: pairs kept, (2 memory) vectors like theta. tolerance: training has converged once no element of the
        gradient is larger than this. c1, c2: constants of the strong Wolfe conditions, 0 < c1 < c2 < 1.
    evaluations: of one line search at most. least_fall: training has converged, too, once a step lowers the value by
        no more than this share of the larger of |value| and 1; 0 for never. budget: evaluations of the whole training;
        the line search that reaches it comes to its end, then training ends with the reason "finished". None: no limit.
    Factors of the learning rate, where the parameters have them, scale the first H of a step.
    Training ends with the reason "converged", or "stalled" where no step lowers the loss by more than its last digit.
    Errors: ArgumentError outside the ranges, for c1 >= c2, clipping, or a schedule.
    Example: fl.fit(model, data, loss="cross_entropy", optimizer=optim.LBFGS(), dtype="float64")
    Source: Nocedal & Wright 2006, Numerical Optimization, 2nd edition, algorithms 7.4 and 7.5; H by eq. 7.20.
    """

    name = "lbfgs"
    learning_rate: Any = option(1.0, "length of a step that is tried first", above=0)
    _: KW_ONLY
    memory: int = option(10, "steps from which the curvature is estimated", at_least=1, at_most=1000, whole=True)
    tolerance: float = option(1e-5, "largest element of the gradient at which training ends", at_least=0)
    c1: float = option(1e-4, "share of the expected fall that is enough", above=0, below=1)
    c2: float = option(0.9, "share of the slope that may be left", above=0, below=1)
    evaluations: int = option(20, "evaluations of a line search at most", at_least=2, at_most=1000, whole=True)
    least_fall: float = option(0.0, "fall of the value, as a share of it, at which training ends", at_least=0)
    budget: int | None = option(None, "evaluations of the whole training", at_least=1, whole=True, optional=True)

    def __post_init__(self) -> None:
        Minimiser.__post_init__(self)
        if self.c1 >= self.c2:
            raise ArgumentError(f"LBFGS: c1 has to be below c2, got {self.c1} and {self.c2}")

    def start(self, theta: Array, layout: Any = None) -> dict[str, Array]:
        flat, rates = zeros(theta), None if layout is None else layout.rates(theta.dtype)
        many = np.zeros((self.memory, *flat.shape), flat.dtype)
        return {
            "s": many,
            "y": many.copy(),
            "sy": np.zeros(self.memory),  # s'y of each pair
            "pairs": np.zeros((), np.int64),  # made since the memory was last empty; pair i lies in row i mod memory
            "stalled": np.full((), np.nan),  # the value from which no step led down; on other data it is another
            # Factors of the learning rate scale the first H of a step, and with it the direction of the first step.
            **({} if rates is None else {"rates": rates}),
            **(
                {"settled": np.full((), np.nan)} if self.least_fall else {}
            ),  # the value after a fall that was too small
            **({"evaluations": np.zeros((), np.int64)} if self.budget else {}),
        }

    def step(self, here: Point, state: State, evaluate: Evaluate) -> tuple[Point, State]:
        if self.reason(here, state):
            return here, state
        pairs, found, count = int(state["pairs"]), None, 0

        def counted(place: Array) -> Point:
            nonlocal count
            count += 1
            return evaluate(place)

        if pairs:
            found = self._search(here, self.direction(here.gradient, state), self.learning_rate, counted)
        if found is None:  # downhill, the only direction that is known to lead down
            p = -here.gradient * state.get("rates", here.gradient.dtype.type(1))
            pairs, norm = 0, np.sqrt(inner(p, p))
            found = self._search(here, p, self.learning_rate * min(1.0, 1.0 / norm if norm else 1.0), counted)
        if self.budget:
            state["evaluations"][...] += count
        if found is None:
            state["stalled"][...] = here.value
            return here, state
        s, y = found.theta - here.theta, found.gradient - here.gradient
        sy, eps = inner(s, y), np.finfo(here.theta.dtype).eps
        if sy > eps * inner(y, y):  # else H would not stay positive definite
            row = pairs % self.memory
            state["s"][row], state["y"][row], state["sy"][row] = s, y, sy
            pairs += 1
        state["pairs"][...] = pairs
        fall = here.value - found.value
        state["stalled"][...] = found.value if fall <= eps * abs(here.value) else np.nan
        if self.least_fall:
            least = self.least_fall * max(abs(here.value), abs(found.value), 1.0)
            state["settled"][...] = found.value if fall <= least else np.nan
        return found, state

    def _search(self, here: Point, p: Array, length: float, evaluate: Evaluate) -> Point | None:
        slope = inner(p, here.gradient)
        if not (slope < 0 and np.isfinite(slope)):
            return None

        def phi(a: float) -> Trial[Point]:
            point = evaluate(here.theta + p.dtype.type(a) * p)
            return Trial(a, point.value, inner(p, point.gradient), point)

        start = Trial(0.0, here.value, slope, here)
        found = strong_wolfe(phi, start, length, c1=self.c1, c2=self.c2, most=self.evaluations)
        return None if found is None else found.found

    def direction(self, g: Array, state: State) -> Array:
        """-H g by the two-loop recursion, algorithm 7.4."""
        pairs, kind = int(state["pairs"]), g.dtype.type
        rows = [i % self.memory for i in range(max(0, pairs - self.memory), pairs)]  # the oldest first
        s, y, sy = state["s"], state["y"], state["sy"]
        q, alpha = np.array(g), {}
        for i in reversed(rows):
            alpha[i] = inner(s[i], q) / sy[i]
            q -= kind(alpha[i]) * y[i]
        last = rows[-1]
        r = q * kind(sy[last] / inner(y[last], y[last])) * state.get("rates", kind(1))
        for i in rows:
            beta = inner(y[i], r) / sy[i]
            r += kind(alpha[i] - beta) * s[i]
        result: Array = -r
        return result

    def reason(self, here: Point, state: State) -> str | None:
        if self.budget and state["evaluations"] >= self.budget:
            return "finished"  # looked at first, as in SciPy
        if np.abs(here.gradient).max(initial=0) <= self.tolerance or state.get("settled") == here.value:
            return "converged"
        return "stalled" if state["stalled"] == here.value else None
