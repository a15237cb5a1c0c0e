"""Lanczos' method: the ends of a symmetric matrix's spectrum from products with vectors alone. Knows no derivative."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline.errors import ArgumentError, DataError
from fallline.graph.op import Array


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


__all__ = ["Extremes", "lanczos"]
