"""Gradient descent, and its forms with momentum."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from fallline.graph.op import Array
from fallline.optim.optimizer import RATE, LearningRate, Optimizer, State, cast_like, optimizer, zeros
from fallline.optim.stability import Bears
from fallline.ranges import option


@optimizer
@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """Gradient descent: a step straight down.

        theta <- theta - learning_rate g

    learning_rate: > 0, a number or a schedule; above 2 / (largest curvature) the loss grows from step to step.
    weight_decay, clip_norm, clip_value: as for every Optimizer. It remembers nothing.
    Errors: ArgumentError outside the declared ranges.
    Example: GradientDescent(0.1)
    Source: Cauchy 1847; for gradients of mini-batches, Robbins & Monro 1951.
    """

    name = "gradient_descent"
    learning_rate: LearningRate = option(0.1, **RATE)

    def rule(self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any) -> tuple[Any, State]:
        return theta - cast_like(learning_rate, theta) * g, {}

    def bears(self, state: State, step: Any) -> Bears:
        return Bears(2.0, "2 / lambda")


@optimizer
@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with momentum, as of a heavy ball.

        v <- momentum v + g                  the velocity, same shape as theta; 0 at first
        theta <- theta - learning_rate v

    learning_rate: > 0, a number or a schedule; along one slope, steps grow to learning_rate / (1 - momentum).
    momentum: 0 <= momentum <= 1, the share of the velocity kept; at 1 nothing brakes.
    velocity: "gradients", as above, where a new learning rate changes the whole next step; or "steps", where it changes
        the new part of it alone: v <- momentum v + learning_rate g, theta <- theta - v. The same for a constant rate.
    weight_decay, clip_norm, clip_value: as for every Optimizer.
    Errors: ArgumentError outside the declared ranges.
    Example: Momentum(0.01, momentum=0.9)
    Source: Polyak 1964, Some methods of speeding up the convergence of iteration methods; "gradients" is PyTorch's
    form, "steps" is the one of Sutskever et al. 2013 and of scikit-learn.
    """

    name = "momentum"
    learning_rate: LearningRate = option(0.01, **RATE)
    _: KW_ONLY
    momentum: float = option(0.9, "share of the velocity kept", at_least=0, at_most=1)
    velocity: str = option("gradients", "of gradients or of steps", number=False, words=("gradients", "steps"))

    def start(self, theta: Array) -> dict[str, Array]:
        return {"v": zeros(theta)}

    def rule(self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any) -> tuple[Any, State]:
        rate = cast_like(learning_rate, theta)
        if self.velocity == "steps":
            v = self.momentum * state["v"] + rate * g
            return theta - self.direction(v, rate * g), {"v": v}
        v = self.momentum * state["v"] + g
        return theta - rate * self.direction(v, g), {"v": v}

    def direction(self, v: Any, g: Any) -> Any:
        return v

    def bears(self, state: State, step: Any) -> Bears:
        return Bears(2 * (1 + self.momentum), "2 (1 + momentum) / lambda")


@optimizer
@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum that looks ahead along the velocity.

        v <- momentum v + g
        theta <- theta - learning_rate (g + momentum v)

    Arguments and errors: as for Momentum.
    Example: Nesterov(0.01, momentum=0.9)
    Source: Sutskever, Martens, Dahl, Hinton 2013, eq. 3 and 4, in PyTorch's form.
    """

    name = "nesterov"

    def direction(self, v: Any, g: Any) -> Any:
        return g + self.momentum * v

    def bears(self, state: State, step: Any) -> Bears:
        limit = 2 * (1 + self.momentum) / (1 + 2 * self.momentum)
        return Bears(limit, "2 (1 + momentum) / ((1 + 2 momentum) lambda)")
