"""The kind of a point, by the gradient and the Hessian's eigenvalues: minimum, maximum, saddle or none of them.

Small problems get the whole Hessian, large ones its ends. Knows functions of arrays, no network and no training.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import FUNCTION, Form, takes
from fallline.curvature.flat import Flat
from fallline.curvature.hessians import dense_hessian
from fallline.curvature.lanczos import lanczos
from fallline.curvature.surface import SURFACE, Surface
from fallline.displays import Displayed
from fallline.graph.op import Array
from fallline.nn.theta import Layout
from fallline.ranges import Range
from fallline.tree import Tree
from fallline.typesetting import number

# Up to this many parameters all eigenvalues are computed: 200 products with the Hessian and one small decomposition.
DENSE = 200

KINDS = {
    "minimum": "every direction leads up: descent ends here",
    "maximum": "every direction leads down: descent stands still here, and the smallest push sends it off",
    "saddle": "some directions lead up and some down: descent stands still here, and a push sends it off",
    "flat": "some direction is neither up nor down to second order: eigenvalues decide no more",
    "not stationary": "the gradient is not zero: descent goes on",
}


@dataclass(frozen=True, eq=False)
class Verdict(Displayed):
    """The kind of a point: minimum, maximum, saddle or none of them.

    kind: "minimum", "maximum", "saddle", "flat" (an eigenvalue is zero to rounding) or "not stationary".
    eigenvalues: of the Hessian, ascending: all of them if `complete`, else the lowest and the highest.
    direction: unit length, in the form of the parameters: along it (or against it) the function falls fastest to
        second order; minus the gradient where that is not zero; None at a minimum.
    curvature: the second derivative along `direction`, or 0.0 where there is none.
    """

    kind: str
    value: float
    gradient_norm: float
    eigenvalues: Array
    complete: bool
    direction: Tree
    curvature: float

    def __str__(self) -> str:
        found = ", ".join(number(v) for v in self.eigenvalues[:4])
        more = f", ... {number(self.eigenvalues[-1])}" if self.eigenvalues.size > 4 else ""
        which = "eigenvalues" if self.complete else "lowest and highest eigenvalue"
        return "\n".join([
            f"{self.kind}: {KINDS[self.kind]}",
            f"  value {number(self.value, 6)}, gradient norm {number(self.gradient_norm)}, {which} {found}{more}",
        ])  # fmt: skip


LAYOUT = Form("a layout, model.layout", lambda given: isinstance(given, Layout), optional=True)


@takes(function=FUNCTION, tolerance=Range(above=0, below=1), dense=Range(at_least=0, whole=True), layout=LAYOUT)
def verdict(
    function: Callable[..., Any],
    params: Tree,
    *args: Any,
    tolerance: float = 1e-5,
    dense: int = DENSE,
    layout: Layout | None = None,
) -> Verdict:
    """Where descent stopped, by the gradient and the Hessian's eigenvalues.

        stationary:  |g| <= tolerance * max |lambda| * (1 + |params|)
        zero eigenvalue:  |lambda| <= 1e-6 * max |lambda|, or within the error of Lanczos' method

    The first says that the stationary point is about `tolerance` away, so it holds in any units of the function.

    function: (params, *args) -> one real number, written with NumPy. params: nested arrays; computed in float64.
    dense: up to how many parameters the whole Hessian is computed; beyond, its ends by Lanczos.
    layout: of a model's parameters, model.layout: only the trainable ones are moved; the direction is 0 in the others.
    Errors: DataError where value, gradient or Hessian are not finite.

    >>> verdict(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2)).kind
    'saddle'
    """
    flat = Flat.of(function, params, args, layout)
    found = verdict_on(flat, tolerance=tolerance, dense=dense)
    return found if found.direction is None else replace(found, direction=_like(params, found.direction))


@takes(surface=SURFACE, tolerance=Range(above=0, below=1), dense=Range(at_least=0, whole=True))
def verdict_on(surface: Surface, *, tolerance: float = 1e-5, dense: int = DENSE) -> Verdict:
    """The kind of a surface's point; arguments and rules as for `verdict`, the direction as a tree of arrays.

    >>> verdict_on(at(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2))).kind
    'saddle'
    """
    value, gradient = surface.value_and_gradient()
    complete = surface.size <= dense
    if complete:
        values, vectors = np.linalg.eigh(dense_hessian(surface))
        lowest_vector, error = vectors[:, 0], 0.0
    else:
        ends = lanczos(surface.product(), surface.size)
        values, lowest_vector, error = np.array([ends.lowest, ends.highest]), ends.lowest_vector, ends.error
    scale = float(np.abs(values).max())
    norm = float(np.linalg.norm(gradient))
    if norm > tolerance * scale * (1 + float(np.linalg.norm(surface.theta))):
        kind = "not stationary"
    else:
        zero = max(1e-6 * scale, error)
        down, up = bool(values[0] < -zero), bool(values[-1] > zero)
        level = bool((np.abs(values) <= zero).any())
        kind = "saddle" if down and up else "flat" if level else "minimum" if up else "maximum"
        # A level value between the ends makes no saddle less of one; without the ends' signs it decides.
    direction, curvature = None, 0.0
    if kind == "not stationary":
        direction = -gradient / norm
    elif values[0] < 0 and kind != "minimum":
        direction, curvature = lowest_vector, float(values[0])
    tree_form = None if direction is None else surface.tree_of(direction)
    return Verdict(kind, value, norm, values, complete, tree_form, curvature)


def _like(params: Tree, parts: Tree) -> Tree:
    """Leaves that were plain numbers come back as plain numbers."""
    return tree.unflatten(params, [np.array(p)[()] for p in tree.leaves(parts)])


__all__ = ["KINDS", "Verdict", "verdict", "verdict_on"]
