"""The shape of a function around a point: the Hessian's extreme eigenvalues, and the kind of point.

Small problems get the whole Hessian; large ones Lanczos' method, which needs only products of the Hessian with
vectors. Knows functions of arrays, no network and no training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arguments import FUNCTION, Form, takes
from fallline.arrays import as_array
from fallline.errors import ArgumentError, ArgumentTypeError, DataError
from fallline.graph.op import Array
from fallline.insight.typesetting import number
from fallline.nn.theta import Layout
from fallline.ranges import Range
from fallline.tree import Tree

# Up to this many parameters all eigenvalues are computed: 200 products with the Hessian and one small decomposition.
DENSE = 200


@dataclass(frozen=True, eq=False)
class Extremes:
    """The lowest and the highest eigenvalue of a symmetric matrix, with unit vectors along which they are reached.

    error: how far an eigenvalue of the matrix may be from each of the two, at most. steps: products used.
    """

    lowest: float
    highest: float
    lowest_vector: Array
    highest_vector: Array
    error: float
    steps: int


def lanczos(
    product: Callable[[Array], Array], size: int, *, most: int = 150, tolerance: float = 1e-4, seed: int = 0
) -> Extremes:
    """The two ends of a symmetric matrix's spectrum, from products with vectors alone.

        beta_{j+1} q_{j+1} = A q_j - alpha_j q_j - beta_j q_{j-1}         q_1 random of length 1

    The matrix of alphas and betas is small, and its ends converge to those of A first. Every q is made orthogonal to
    all before it a second time: rounding would let found directions come back as copies.

    product: vector (size,) -> A vector. most: products to spend at most. tolerance: error of both ends to stop at,
    relative to the larger one. seed: of the start vector.
    Source: Lanczos 1950; Parlett 1998, The symmetric eigenvalue problem, chapter 13 (error bound: theorem 13.2.1).
    """
    rng = np.random.default_rng(seed)
    most = min(most, size)
    basis = np.zeros((most, size))
    alphas, betas = np.zeros(most), np.zeros(most)
    q = rng.standard_normal(size)
    basis[0] = q / np.linalg.norm(q)
    for j in range(most):
        w = np.asarray(product(basis[j]), dtype=np.float64)
        if not np.isfinite(w).all():
            raise DataError("the Hessian is not finite here: it has no eigenvalues")
        alphas[j] = basis[j] @ w
        for _ in range(2):
            w -= basis[: j + 1].T @ (basis[: j + 1] @ w)
        betas[j] = np.linalg.norm(w)
        values, vectors = np.linalg.eigh(_tridiagonal(alphas[: j + 1], betas[:j]))
        scale = np.abs(values).max()
        # The residual of an eigenvector bounds the distance to a true eigenvalue.
        error = float(betas[j] * np.abs(vectors[-1, [0, -1]]).max())
        last = j + 1 == most
        if betas[j] <= 1e-12 * scale or scale == 0:
            # The space is closed: no direction leads out of it, so another start is needed to see the rest.
            error, betas[j] = 0.0, 0.0
            w = rng.standard_normal(size)
            for _ in range(2):
                w -= basis[: j + 1].T @ (basis[: j + 1] @ w)
        elif j + 1 >= min(10, most) and error <= tolerance * scale:
            last = True
        if last:
            ends = vectors[:, [0, -1]].T @ basis[: j + 1]
            return Extremes(float(values[0]), float(values[-1]), ends[0], ends[1], error, j + 1)
        basis[j + 1] = w / np.linalg.norm(w)
    raise ArgumentError("lanczos needs a matrix of one row at least and one product at least")


def _tridiagonal(alphas: Array, betas: Array) -> Array:
    matrix: Array = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
    return matrix


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


def hessian_ends(
    function: Callable[..., Any], params: Tree, *args: Any, layout: Layout | None = None, **options: Any
) -> Extremes:
    """The lowest and highest eigenvalue of a function's Hessian at `params`, by Lanczos.

    function: (params, *args) -> one real number, written with NumPy. layout: as for `verdict`. options: of `lanczos`.
    The highest says how large a step gradient descent bears: learning_rate < 2 / highest.

    >>> hessian_ends(lambda x: x @ np.diag([1.0, 5.0]) @ x, np.zeros(2)).highest
    10.0
    """
    flat = Flat.of(function, params, args, layout)
    return lanczos(flat.product(), flat.theta.size, **options)


KINDS = {
    "minimum": "every direction leads up: descent ends here",
    "maximum": "every direction leads down: descent stands still here, and the smallest push sends it off",
    "saddle": "some directions lead up and some down: descent stands still here, and a push sends it off",
    "flat": "some direction is neither up nor down to second order: eigenvalues decide no more",
    "not stationary": "the gradient is not zero: descent goes on",
}


@dataclass(frozen=True, eq=False)
class Verdict:
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
    value, gradient = flat.value_and_gradient()
    complete = flat.theta.size <= dense
    if complete:
        values, vectors = np.linalg.eigh(dense_hessian(flat))
        lowest_vector, error = vectors[:, 0], 0.0
    else:
        ends = lanczos(flat.product(), flat.theta.size)
        values, lowest_vector, error = np.array([ends.lowest, ends.highest]), ends.lowest_vector, ends.error
    scale = float(np.abs(values).max())
    norm = float(np.linalg.norm(gradient))
    if norm > tolerance * scale * (1 + float(np.linalg.norm(flat.theta))):
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
    tree_form = None if direction is None else _like(params, flat.tree_of(direction))
    return Verdict(kind, value, norm, values, complete, tree_form, curvature)


def dense_hessian(flat: Flat) -> Array:
    """The whole Hessian, one product a column, made symmetric to the last bit."""
    product = flat.product()
    matrix = np.stack([product(row) for row in np.eye(flat.theta.size)])
    if not np.isfinite(matrix).all():
        raise DataError("the Hessian is not finite here: it has no eigenvalues")
    symmetric: Array = (matrix + matrix.T) / 2
    return symmetric


def _like(params: Tree, parts: Tree) -> Tree:
    """Leaves that were plain numbers come back as plain numbers."""
    return tree.unflatten(params, [np.array(p)[()] for p in tree.leaves(parts)])


__all__ = ["KINDS", "Extremes", "Flat", "Verdict", "dense_hessian", "hessian_ends", "lanczos", "verdict"]
