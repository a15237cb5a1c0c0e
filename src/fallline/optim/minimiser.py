"""Minimisers: optimizers that evaluate the loss and its gradient as often as they need for one step.

The step of any other optimizer is a rule that is traced into a program and sees one gradient. A minimiser is plain
NumPy around calls of a compiled value and gradient. Knows nothing of networks, data or how they are evaluated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fallline import ranges
from fallline.arguments import record
from fallline.config import enter, saved
from fallline.errors import ArgumentError, FalllineError
from fallline.graph.op import Array
from fallline.optim import trees
from fallline.optim.optimizer import MINIMISERS, Optimizer, State, decay
from fallline.ranges import short

# So many elements at a time: a BLAS takes longer vectors on several threads, and their number would reach the bits.
_BLOCK = 4096


@record
@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A place that was evaluated.

    theta: (K,). value: of the function there, in float64. gradient: (K,), in theta's precision.
    """

    theta: Array
    value: float
    gradient: Array

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all())


Evaluate = Callable[[Array], Point]


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where `minimise` ended.

    params: in the form of those it began with. value: of the function there. reason: "converged" and the like, or
    "finished" after the most steps allowed. steps, evaluations: how many there were.
    """

    params: Any
    value: float
    reason: str
    steps: int
    evaluations: int


@record
@dataclass(frozen=True, kw_only=True)
class Minimiser(Optimizer):
    """An optimizer that chooses where to evaluate: a step may take one evaluation of all rows or many.

    A subclass gives `start`, `step` and, where it has one, `reason`; it is trained with like any optimizer, with all
    rows in every step, so that a step is an epoch. weight_decay adds weight_decay / 2 times the sum of the squared
    weights to the function, so value and gradient belong together. The gradient is never clipped.
    Errors: ArgumentError for clip_norm, clip_value, or a schedule as learning_rate or weight_decay.
    Example: docs/extending.md
    """

    no_border = "it chooses the length of every step by looking, so no learning rate is too long"

    def __post_init__(self) -> None:
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                message = f"{self.name} compares values with the gradient as it is, so {name} cannot cut it"
                raise ArgumentError(f"{message}\n  try: {self.name} without {name}")
        if callable(self.weight_decay):
            raise ArgumentError(
                f"{self.name} compares values of one function, so weight_decay is a number\n  try: weight_decay=0.01"
            )
        if callable(self.learning_rate):
            raise ArgumentError(
                f"{self.name} searches the length of every step, so learning_rate is a number, the length tried first\n"
                "  try: learning_rate=1.0, and no schedule"
            )
        Optimizer.__post_init__(self)

    def step(self, here: Point, state: State, evaluate: Evaluate) -> tuple[Point, State]:
        """One step: the point it leads to, which is `here` or one that `evaluate` returned, and the state after it.

        Until its last call of `evaluate`, which training may interrupt, it must leave `state` as it is; after that it
        may write into its arrays. Their names, shapes and dtypes are those that `start` returned.
        """
        raise NotImplementedError

    def reason(self, here: Point, state: State) -> str | None:
        """Why no further step would help, as training then ends with it ("converged"); None while steps help."""
        return None

    def minimise(self, value_and_grad: Callable[[Any], Any], params: Any, *, steps: int = 1000) -> "Minimum":
        """The lowest point that steps from `params` lead to, for a function of one's own.

        value_and_grad: from params to the value and the gradient, a tree like params, as fl.value_and_grad(f) gives
            them; fl.compile around it makes it quick. params: a tree of float arrays, or one vector; left as it is.
        steps: at most, >= 1. weight_decay is added to the function, as in training.
        Errors: ArgumentError for steps out of range, and where the value is not finite at params; ShapeError for
            gradients of another shape.
        Example: LBFGS().minimise(fl.value_and_grad(lambda w: np.sum((w - 1) ** 4)), np.zeros(3)).params
        """
        wrong = ranges.COUNT.problem(steps)
        if wrong:
            raise ArgumentError(f"minimise: steps {wrong}")
        layout, theta = trees.as_vector(params, None, "minimise")
        mask, count = layout.decay_mask(theta.dtype), 0

        def evaluate(place: Array) -> Point:
            nonlocal count
            count += 1
            value, grads = value_and_grad(trees.as_tree(params, layout, place))
            g = np.array(trees.like(params, grads, layout, theta))
            value = float(value)
            if self.weight_decay:
                value += 0.5 * self.weight_decay * inner(place * mask, place)
                g += decay(place, self.weight_decay, mask)
            return Point(place, value, g)

        here = evaluate(np.array(theta))
        if not here.is_finite:
            raise ArgumentError(f"minimise: the function or its gradient is not finite at params: {here.value}")
        state, done = self.started(theta, layout), 0
        while done < steps and self.reason(here, state) is None:
            here, state = self.step(here, state, evaluate)
            done += 1
        reason = self.reason(here, state) or "finished"
        return Minimum(trees.as_tree(params, layout, here.theta), here.value, reason, done, count)

    def rule(self, theta: Any, g: Any, state: State, *rest: Any) -> tuple[Any, State]:
        raise FalllineError(
            f"{short(self)} evaluates the loss several times a step, so no rule makes its step from one gradient\n"
            "  try: fl.fit(model, data, optimizer=...), or its minimise(fl.value_and_grad(loss), params)"
        )


def inner(a: Array, b: Array) -> float:
    """<a, b> in float64, to the same bits on any number of threads."""
    return sum(float(np.dot(a[i : i + _BLOCK], b[i : i + _BLOCK])) for i in range(0, len(a), _BLOCK))


Class = TypeVar("Class", bound=type[Minimiser])


def minimiser(cls: Class) -> Class:
    """Enter a minimiser under its name."""
    enter(MINIMISERS, cls.name, cls, "minimisers")
    return saved(cls)
