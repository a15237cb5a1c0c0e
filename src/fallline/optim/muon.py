"""Muon: momentum whose step on a matrix is made orthogonal by a few matrix products."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fallline.config import saved
from fallline.errors import ShapeError
from fallline.graph.op import Array
from fallline.nn.theta import Layout
from fallline.ops.view import join, reshape
from fallline.optim.optimizer import RATE, LearningRate, Optimizer, State, cast_like, zeros
from fallline.ranges import option

# Of the polynomial a x + b x^3 + c x^5, chosen by the source for the steepest rise at 0.
A, B, C = 3.4445, -4.7750, 2.0315


@saved
@dataclass(frozen=True)
class Muon(Optimizer):
    """Momentum made orthogonal: on every matrix, a step of about the same length in all directions.

        m = momentum m + g                      one matrix for each weight, same shape
        u = g + momentum m                      Nesterov's look ahead; u = m without it
        x = u / max(|u|, eps)                   |u|: the root of the sum of squares
        x = a x + (b s + c s s) x, s = x x^T    Newton-Schulz, `iterations` times; a, b, c = 3.4445, -4.7750, 2.0315
        theta <- theta - learning_rate sqrt(max(1, columns / rows)) x

    The iterations move every singular value of x to between 0.7 and 1.2 or so, and leave its singular vectors. Rows
    are a weight's inputs and columns its outputs, as in nn.Dense.
    Only for parameters with two axes; biases and the like need another optimizer, by Groups. weight_decay is
    apart from the gradient's step, as in AdamW.
    learning_rate: > 0, about ten times that of Adam; a number or a schedule. momentum: 0..1. nesterov: look ahead.
    iterations: of Newton-Schulz, 1..99. eps: > 0, below it a gradient counts as none.
    Errors: ArgumentError outside the declared ranges; ShapeError, naming the parameter, for one that is no matrix.
    Example: Groups({"*.weight": Muon(0.02), "*": Adam(1e-3)})
    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks,
    kellerjordan.github.io/posts/muon. Differs: computes in theta's precision, not in bfloat16.
    """

    name = "muon"
    no_border = "its steps have one length whatever the gradient, so curvature sets no border"
    decoupled = True
    learning_rate: LearningRate = option(0.02, **RATE)
    _: KW_ONLY
    momentum: float = option(0.95, "share of the momentum kept", at_least=0, below=1)
    nesterov: bool = option(True, "look ahead along the momentum", flag=True)
    iterations: int = option(5, "Newton-Schulz iterations", at_least=1, at_most=99, whole=True)
    eps: float = option(1e-7, "keeps the quotient finite", above=0)

    def start(self, theta: Array, layout: Layout) -> dict[str, Array]:
        for path, slot in layout.items():
            if len(slot.shape) != 2:
                raise ShapeError(
                    f"Muon moves matrices, and the parameter {path!r} has the shape {slot.shape}\n"
                    '  try: optim.Groups({"*.weight": optim.Muon(0.02), "*": optim.Adam(1e-3)})'
                )
        return {"m": zeros(theta)}

    def rule(
        self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any, layout: Layout
    ) -> tuple[Any, State]:
        m = self.momentum * state["m"] + g
        u = g + self.momentum * m if self.nesterov else m
        steps = []
        for _, slot in layout.items():
            rows, columns = slot.shape
            x = self.orthogonal(slot.of(u)) * max(1.0, columns / max(rows, 1)) ** 0.5
            steps.append(reshape(x, shape=(slot.size,)))
        whole = steps[0] if len(steps) == 1 else join(*steps, axis=0)
        return theta - cast_like(learning_rate, theta) * whole, {"m": m}

    def orthogonal(self, u: Any) -> Any:
        """u, (rows, columns), with its singular values near 1."""
        x = u / np.maximum(np.sqrt(np.sum(np.square(u))), self.eps)
        x = x.T if u.shape[0] > u.shape[1] else x  # the products are of the shorter side
        for _ in range(self.iterations):
            s = x @ x.T
            x = A * x + (B * s + C * (s @ s)) @ x
        return x.T if u.shape[0] > u.shape[1] else x
