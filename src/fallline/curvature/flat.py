"""A function of a tree of parameters as a surface: one vector, its gradient and products with its Hessian."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arguments import FUNCTION, takes
from fallline.arrays import as_array
from fallline.curvature.lanczos import Product
from fallline.curvature.surface import Surface, kinks_between
from fallline.errors import ArgumentError, ArgumentTypeError, DataError
from fallline.graph.op import Array
from fallline.nn.theta import Layout
from fallline.tree import Tree


@dataclass(frozen=True, eq=False)
class Flat(Surface):
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

    @cached_property
    def theta(self) -> Array:  # type: ignore[override]
        packed: Array = self.layout.pack(self.whole)
        return packed

    def __call__(self, theta: Any) -> Any:
        return self.function(self.own.split(self.layout.unpack(self.whole, theta)), *self.args)

    def tree_of(self, direction: Array) -> Tree:
        return self.own.split(np.ascontiguousarray(self.layout.unpack(np.zeros_like(self.whole), direction)))

    def evaluated(self) -> tuple[float, Array]:
        value, gradient = transforms.value_and_grad(self)(self.theta)
        return value, gradient

    def product(self) -> Product:
        compiled = self._compiled
        return lambda vector: np.asarray(compiled(self.theta, vector))

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        return transforms.compile(transforms.hvp(self))

    def kinks(self) -> tuple[str, ...]:
        graph = transforms.graph_of(self.__call__, self.theta)
        return kinks_between(graph.outputs[0], graph.inputs[0])


@takes(function=FUNCTION)
def at(function: Callable[..., Any], params: Tree, *args: Any, layout: Layout | None = None) -> Flat:
    """The surface of a function around `params`, to ask for its curvature there.

    function: (params, *args) -> one real number, written with NumPy. params: nested arrays; computed in float64.
    layout: of a model's parameters, model.layout: only the trainable ones are moved.
    Errors: ArgumentTypeError for parameters that are no real numbers; DataError for such that are not finite.

    >>> at(lambda x: x @ x, np.zeros(2)).value_and_gradient()
    (0.0, array([0., 0.]))
    """
    return Flat.of(function, params, args, layout)


__all__ = ["Flat", "at"]
