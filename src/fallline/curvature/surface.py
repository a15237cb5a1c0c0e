"""Surface: a function of one vector around one point, with its gradient and products with its Hessian, in float64.

Two kinds stand on it: any function of a tree (flat.py), and a model's loss on rows (on_rows.py).
"""

from abc import ABC, abstractmethod

import numpy as np

from fallline.arguments import of
from fallline.curvature.lanczos import Product
from fallline.errors import DataError
from fallline.graph.node import CONSTANT, Node, reachable
from fallline.graph.op import Array, Kind
from fallline.nn.theta import Layout
from fallline.ops import arithmetic, reduce
from fallline.ops.arithmetic import where
from fallline.ops.view import stop_gradient
from fallline.tree import Tree

# Ops whose derivative jumps: where their inputs depend on parameters, so does the gradient of the function.
KINKED = (arithmetic.relu, arithmetic.absolute, arithmetic.maximum, arithmetic.minimum, reduce.max_, reduce.min_)
GUARD = 15.0


class Surface(ABC):
    """A function at a point: value, gradient, Hessian times a vector.

    theta: the point, the trainable parameters one after the other, (P,) float64. layout: of all parameters.
    weight_decay: the strength of an optimizer's weight decay that is part of the function.
    """

    theta: Array
    layout: Layout
    weight_decay: float = 0.0

    @property
    def size(self) -> int:
        """P, the number of trainable parameters."""
        return self.theta.size

    @abstractmethod
    def evaluated(self) -> tuple[float, Array]:
        """The value and the gradient at theta, as they come."""

    @abstractmethod
    def product(self) -> Product:
        """vector (P,) -> Hessian times vector, at theta."""

    @abstractmethod
    def tree_of(self, direction: Array) -> Tree:
        """A direction in the trainable parameters as a tree of all: 0 in the others."""

    @abstractmethod
    def kinks(self) -> tuple[str, ...]:
        """Names of the ops with kinks that parameters go through, so that the second derivative jumps there."""

    def value_and_gradient(self) -> tuple[float, Array]:
        """Errors: DataError where one of them is not finite."""
        value, gradient = self.evaluated()
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            raise DataError(f"the function's value here is {value}, its gradient's norm {np.linalg.norm(gradient)}")
        return float(value), gradient

    @property
    def meaning(self) -> str:
        """The meaning of curvature here, in a sentence; "" where the function is smooth."""
        found = self.kinks()
        if not found:
            return ""
        return (
            f"the function is not twice differentiable everywhere ({', '.join(found)}): its curvature is the second "
            "derivative of the smooth piece around this point, and kinks are not seen"
        )


def kinks_between(output: Node, parameters: Node) -> tuple[str, ...]:
    """The names of kinked ops on the ways along which gradients flow from an output to the parameters.

    A choice by `where` counts where its condition follows from the parameters.
    """
    moves: dict[Node, bool] = {}  # whether a node changes with the parameters
    for node in reachable([output]):
        moves[node] = node is parameters or any(moves[one] for one in node.inputs)
    found: dict[str, None] = {}
    ways, seen = [output], {output}
    while ways:
        node = ways.pop()
        if not moves[node] or node.op is stop_gradient or node.dtype.kind != "f":
            continue
        if node.op.kind is Kind.LOOP:
            inside = node.attrs["body"].graph.nodes()
            found.update(dict.fromkeys(one.op.name for one in inside if one.op in KINKED))
        if (node.op in KINKED and not _is_guard(node)) or (node.op is where and moves[node.inputs[0]]):
            found[node.op.name] = None
        ways += [one for one in node.inputs if one not in seen]
        seen.update(node.inputs)
    return tuple(found)


def _is_guard(node: Node) -> bool:
    """Whether a kink lies where a float's exp ends anyway, as a bound against overflow does."""
    values = [np.abs(one.attrs["value"]) for one in node.inputs if one.op is CONSTANT]
    return any(value.size and value.min() >= GUARD for value in values)


SURFACE = of(Surface, "a surface, such as curvature.at(function, params) or curvature.of_model(model, (x, y))")

__all__ = ["KINKED", "SURFACE", "Surface", "kinks_between"]
