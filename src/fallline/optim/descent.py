"""Gradient descent, and its forms with momentum."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from fallline.graph.op import Array
from fallline.optim.optimizer import RATE, LearningRate, Optimizer, State, cast_like, optimizer, zeros
from fallline.ranges import option


@optimizer
@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """A step straight down: theta <- theta - learning_rate * g."""

    name = "gradient_descent"
    learning_rate: LearningRate = option(0.1, **RATE)

    def rule(self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any) -> tuple[Any, State]:
        return theta - cast_like(learning_rate, theta) * g, {}


@optimizer
@dataclass(frozen=True)
class Momentum(Optimizer):
    """Descent with a heavy ball: v <- momentum v + g; theta <- theta - learning_rate v.

    Source: Polyak 1964, Some methods of speeding up the convergence of iteration methods; in PyTorch's form.
    """

    name = "momentum"
    learning_rate: LearningRate = option(0.01, **RATE)
    _: KW_ONLY
    momentum: float = option(0.9, "share of the velocity kept", at_least=0, below=1)

    def start(self, theta: Array) -> dict[str, Array]:
        return {"v": zeros(theta)}

    def rule(self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any) -> tuple[Any, State]:
        v = self.momentum * state["v"] + g
        return theta - cast_like(learning_rate, theta) * self.direction(v, g), {"v": v}

    def direction(self, v: Any, g: Any) -> Any:
        return v


@optimizer
@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum that looks ahead: v <- momentum v + g; theta <- theta - learning_rate (g + momentum v).

    Source: Sutskever, Martens, Dahl, Hinton 2013, eq. 3 and 4, in PyTorch's form.
    """

    name = "nesterov"

    def direction(self, v: Any, g: Any) -> Any:
        return g + self.momentum * v
