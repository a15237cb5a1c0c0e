"""The border of stability: the largest step that an optimizer bears on this curvature, beside the step in use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arguments import Form, of, takes
from fallline.curvature.eigen import MOST, Eigenvalue, end_of
from fallline.curvature.surface import SURFACE, Surface
from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.optim import Optimizer
from fallline.ranges import COUNT, SEED, Range, short
from fallline.typesetting import number

_STATE = Form("a dict of arrays by name", lambda given: isinstance(given, Mapping), optional=True)


@dataclass(frozen=True, eq=False)
class Border:
    """The largest stable learning rate of an optimizer at a point, on the quadratic that touches the loss there.

    optimizer: in text. curvature: lambda, the highest eigenvalue of the Hessian as the optimizer's steps meet it (of
        P^-1/2 H P^-1/2 where it divides by P), with weight decay; None where no border is known.
    learning_rate: in use at this step. border: the largest stable one; infinite where nothing bends upwards; None where
        none is known. formula: of the border, with lambda. note: why none is known, or what curvature means here.
    """

    optimizer: str
    curvature: Eigenvalue | None
    learning_rate: float
    border: float | None
    formula: str
    note: str

    @property
    def ratio(self) -> float | None:
        """learning_rate / border: above 1, steps along the steepest bend grow until the loss bends otherwise."""
        return None if self.border is None else self.learning_rate / self.border

    def __str__(self) -> str:
        if self.curvature is None or self.border is None or self.ratio is None:
            return f"{self.optimizer}: {self.note}"
        told = [
            f"lambda_max {number(self.curvature.value)} (+- {number(self.curvature.error, 2)}, "
            f"{self.curvature.products} products)",
            f"largest stable learning rate {number(self.border)} = {self.formula}",
            f"learning rate in use {number(self.learning_rate)}, {number(self.ratio, 3)} of it",
        ]
        return "\n".join([*told, self.note] if self.note else told)


@takes(
    surface=SURFACE,
    optimizer=of(Optimizer, "an optimizer, such as optim.Adam(1e-3)"),
    state=_STATE,
    step=Range(at_least=0, whole=True),
    learning_rate=Range(above=0, optional=True),
    tolerance=Range(above=0, below=1),
    most=COUNT,
    seed=SEED,
)
def stable_step(
    surface: Surface,
    optimizer: Optimizer,
    *,
    state: Mapping[str, Any] | None = None,
    step: int = 0,
    learning_rate: float | None = None,
    tolerance: float = 0.01,
    most: int = MOST,
    seed: int = 0,
) -> Border:
    """The largest learning rate with which an optimizer's steps stay bounded here, from the highest eigenvalue.

        gradient descent   2 / lambda
        heavy ball         2 (1 + momentum) / lambda
        Nesterov           2 (1 + momentum) / ((1 + 2 momentum) lambda)
        RMSProp            2 / lambda                                    lambda of P^-1/2 H P^-1/2, P = sqrt(v) + eps
        Adam, AdamW        2 (1 + beta1) / ((1 - beta1) lambda)          P = (sqrt(v_hat) + eps) (1 - beta1^t)

    Every optimizer states its own (`Optimizer.bears`). Weight decay counts as curvature. It is the border of steps on
    all rows; those of mini-batches are noisy, and often unstable a little below it.
    state: of the optimizer, arrays by name ("m", "v"), as `optimizer.update` returns it; adaptive ones need it.
    step: how many steps were made. learning_rate: in use; None takes the optimizer's at the last of them. tolerance,
        most, seed: as for `lambda_max`.
    Errors: ArgumentError for a state of other parameters.
    Source: Polyak 1964; Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of
    stability, arXiv:2103.00065; for Adam, Cohen et al. 2022, arXiv:2207.14484.

    >>> stable_step(at(lambda x: x @ np.diag([1.0, 5.0]) @ x, np.zeros(2)), optim.GradientDescent(0.1)).border
    0.2
    """
    last, layout = np.int64(max(step - 1, 0)), surface.layout.trained
    rate = float(optimizer.rate_at(last)) if learning_rate is None else float(learning_rate)
    given = {} if state is None else {name: array for name, array in state.items() if name != "step"}
    try:
        found = optimizer.stability(given, step, layout)
    except ValueError:
        shapes = {name: np.shape(array) for name, array in given.items()}
        raise ArgumentError(
            f"stable_step: the state of {short(optimizer)} is of other parameters than these {surface.size}: {shapes}"
        ) from None
    if found is None:
        return Border(short(optimizer), None, rate, None, "", optimizer.no_border)
    scale = np.asarray(found.scale)
    # Weight decay in the gradient is curvature; the surface may hold it already.
    decay = 0.0 if optimizer.decoupled else optimizer.decay_at(last) - surface.weight_decay
    shift = found.shift + scale * decay * layout.decay_mask(np.float64)
    root, product = np.sqrt(scale), surface.product()

    def preconditioned(vector: Array) -> Array:
        moved: Array = root * product(root * vector) + shift * vector
        return moved

    top = end_of(preconditioned, surface.size, "highest", tolerance, most, seed)
    lambda_ = Eigenvalue(found.limit * top.value, found.limit * top.error, top.vector, top.products, top.reached)
    border = 1 / top.value if top.value > 0 else np.inf
    return Border(short(optimizer), lambda_, rate, border, found.formula, surface.meaning)


__all__ = ["Border", "stable_step"]
