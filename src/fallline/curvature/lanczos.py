"""Lanczos' method: eigenvalues of a symmetric matrix from products with vectors alone. Knows no derivative."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline.errors import ArgumentError, DataError
from fallline.graph.op import Array

Product = Callable[[Array], Array]


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


class Krylov:
    """The space that grows from a start vector by products with A, and the small matrix that A is in it.

        beta_{j+1} q_{j+1} = A q_j - alpha_j q_j - beta_j q_{j-1}         q_1 = start / |start|

    The matrix of alphas and betas is small, and its ends converge to those of A first. Every q is made orthogonal to
    all before it a second time: rounding would let found directions come back as copies.

    product: vector (P,) -> A vector. start: the first vector, not zero. seed: of the vectors that are drawn where the
    space is closed, so that no direction leads out of it.
    values: eigenvalues of the small matrix, ascending. residuals: |A v - value v| of each: an eigenvalue of A is no
    farther away. is_closed: the last step found the space closed.
    Source: Lanczos 1950; Parlett 1998, The symmetric eigenvalue problem, chapter 13 (error bound: theorem 13.2.1).
    """

    def __init__(self, product: Product, start: Array, seed: int = 0) -> None:
        self._product, self._rng = product, np.random.default_rng(seed)
        self._basis = np.empty((8, start.size))
        self._next = start / np.linalg.norm(start)
        self._alphas: list[float] = []
        self._betas: list[float] = []
        self.steps, self.is_closed = 0, False
        self.values = self.residuals = np.empty(0)
        self._small = np.empty((0, 0))

    def grow(self) -> None:
        """One product more. Errors: DataError where it is not finite."""
        j = self.steps
        if j == len(self._basis):
            self._basis = np.concatenate([self._basis, np.empty_like(self._basis)])
        self._basis[j] = self._next
        w = np.array(self._product(self._basis[j]), dtype=np.float64)
        if not np.isfinite(w).all():
            raise DataError("the Hessian is not finite here: it has no eigenvalues")
        self._alphas.append(float(self._basis[j] @ w))
        self.steps = j + 1
        beta = _length(self._apart(w))
        self.values, self._small = np.linalg.eigh(_tridiagonal(self._alphas, self._betas))
        scale = float(np.abs(self.values).max())
        self.is_closed = beta <= 1e-12 * scale or scale == 0
        if self.is_closed:
            # Another start is needed to see the rest.
            beta, w = 0.0, self._rng.standard_normal(w.size)
            self._apart(w)
        self.residuals = beta * np.abs(self._small[-1])
        self._betas.append(beta)
        length = _length(w)
        self._next = w / length if length > 0 else w

    def _apart(self, w: Array) -> Array:
        """w without its part in the space, in place."""
        basis = self._basis[: self.steps]
        for _ in range(2):
            w -= basis.T @ (basis @ w)
        return w

    def weights(self) -> Array:
        """The share of each value in the start vector: squared first entries of the small eigenvectors, sum 1."""
        shares: Array = np.square(self._small[0])
        return shares

    def vectors(self, places: list[int]) -> Array:
        """Unit vectors that belong to these values, a row each."""
        found: Array = self._small[:, places].T @ self._basis[: self.steps]
        return found


def _length(w: Array) -> float:
    """|w|, also of elements whose squares a float cannot hold: curvatures of 1e-200 are no zeros."""
    largest = float(np.abs(w).max(initial=0.0))
    return largest * float(np.linalg.norm(w / largest)) if largest > 0 else 0.0


def _tridiagonal(alphas: list[float], betas: list[float]) -> Array:
    matrix: Array = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
    return matrix


def random_start(size: int, seed: int) -> Array:
    """Errors: ArgumentError for a matrix of no rows."""
    if size < 1:
        raise ArgumentError("lanczos needs a matrix of one row at least and one product at least")
    start: Array = np.random.default_rng(seed).standard_normal(size)
    return start


def lanczos(product: Product, size: int, *, most: int = 150, tolerance: float = 1e-4, seed: int = 0) -> Extremes:
    """The two ends of a symmetric matrix's spectrum, from products with vectors alone.

    product: vector (size,) -> A vector. most: products to spend at most. tolerance: error of both ends to stop at,
    relative to the larger one. seed: of the start vector.
    Source: as for Krylov.
    """
    space, most = Krylov(product, random_start(size, seed), seed), min(most, size)
    while space.steps < most:
        space.grow()
        scale = float(np.abs(space.values).max())
        ends = [0, space.steps - 1]
        # The residual of an eigenvector bounds the distance to a true eigenvalue.
        error = float(space.residuals[ends].max())
        if not space.is_closed and space.steps >= min(10, most) and error <= tolerance * scale:
            break
    if not space.steps:
        raise ArgumentError("lanczos needs a matrix of one row at least and one product at least")
    vectors = space.vectors(ends)
    return Extremes(float(space.values[0]), float(space.values[-1]), vectors[0], vectors[1], error, space.steps)


__all__ = ["Extremes", "Krylov", "Product", "lanczos", "random_start"]
