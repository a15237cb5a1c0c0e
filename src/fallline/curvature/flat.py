"""A function of a tree of parameters as a function of one vector, with its gradient and products with its Hessian."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arrays import as_array
from fallline.errors import ArgumentError, ArgumentTypeError, DataError
from fallline.graph.op import Array
from fallline.nn.theta import Layout
from fallline.tree import Tree


@dataclass(frozen=True, eq=False)
class Flat:
    """A function of a tree of parameters as a function of one vector, in float64; its derivatives are traced once.

    theta: the trainable parameters, one after the other. whole: all of them. own: the layout of the tree that the
    function takes; layout: with the kinds of its parts.
    """

    function: Callable[..., Any]
    own: Layout
    layout: Layout
    whole: Array
    args: tuple[Any, ...]

    @staticmethod
    def of(function: Callable[..., Any], params: Tree, args: tuple[Any, ...], layout: Layout | None = None) -> "Flat":
        leaves = [as_array(leaf, f"parameter {path}".rstrip()) for path, leaf in tree.items(params)]
        if not leaves or any(leaf.dtype.kind not in "fiu" for leaf in leaves):
            raise ArgumentTypeError(f"a verdict needs parameters that are arrays of real numbers, got {params!r:.80}")
        arrays = tree.unflatten(params, [leaf.astype(np.float64) for leaf in leaves])
        theta = np.concatenate([leaf.ravel() for leaf in tree.leaves(arrays)])
        if not np.isfinite(theta).all():
            raise DataError(f"{(~np.isfinite(theta)).sum()} of {theta.size} parameters are not finite")
        own = Layout.of(arrays)
        if layout is not None and own.size != layout.size:
            raise ArgumentError(f"the layout is of {layout.size} parameters, and these are {own.size}")
        if layout is not None and not layout.count():
            raise ArgumentError("the layout has no trainable parameters, so there is no direction to look along")
        return Flat(function, own, layout or own, theta, args)

    @property
    def theta(self) -> Array:
        packed: Array = self.layout.pack(self.whole)
        return packed

    def __call__(self, theta: Any) -> Any:
        return self.function(self.own.split(self.layout.unpack(self.whole, theta)), *self.args)

    def tree_of(self, direction: Array) -> Tree:
        """A direction in the trainable parameters as a tree of all: 0 in the others."""
        return self.own.split(np.ascontiguousarray(self.layout.unpack(np.zeros_like(self.whole), direction)))

    def value_and_gradient(self) -> tuple[float, Array]:
        value, gradient = transforms.value_and_grad(self)(self.theta)
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            raise DataError(f"the function's value here is {value}, its gradient's norm {np.linalg.norm(gradient)}")
        return float(value), gradient

    def product(self) -> Callable[[Array], Array]:
        """vector -> Hessian times vector, at theta."""
        compiled = transforms.compile(transforms.hvp(self))
        return lambda vector: np.asarray(compiled(self.theta, vector))


__all__ = ["Flat"]
