"""Stability: the curvature that an optimizer's steps bear, as the optimizer itself states it. Knows no Hessian."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Bears:
    """The steps that a rule bears on a quadratic whose curvature is lambda.

        theta and its moments stay bounded while  learning_rate * lambda < limit

    limit: the number above. inverse: the diagonal of P^-1 where the rule divides by P before it steps, a vector like
    theta; lambda is then of P^-1/2 H P^-1/2. None: the rule divides by nothing. formula: of the largest stable learning
    rate, in text, with `lambda`.
    """

    limit: float
    formula: str
    inverse: Any = None


@dataclass(frozen=True, eq=False)
class Stability:
    """The same for all parameters of a layout, with weight decay apart from the gradient and factors of the rate.

        stable while  learning_rate * mu < 1,   mu = highest eigenvalue of  S^1/2 H S^1/2 + shift

    scale: the diagonal S, (P,). shift: a diagonal too, (P,). limit, formula: as in Bears, whose lambda is limit mu.
    """

    scale: Any
    shift: Any
    limit: float
    formula: str


__all__ = ["Bears", "Stability"]
