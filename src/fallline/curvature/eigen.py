"""Single eigenvalues of a Hessian with their vectors: the highest, the lowest, several of one end, or all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline.arguments import Form, takes
from fallline.curvature.hessians import dense_hessian
from fallline.curvature.lanczos import Krylov, Product, random_start
from fallline.curvature.surface import SURFACE, Surface
from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.ranges import COUNT, SEED, Range

# Products to spend at most on one end: with about two gradients a product, 40 gradients.
MOST, FEWEST = 20, 10
# Bytes that the vectors of one question may take together, and parameters up to which the whole Hessian is made.
ROOM, WHOLE = 4 << 30, 5000
_SHARE = Range(above=0, below=1)
_END = Form('"highest" or "lowest"', lambda given: isinstance(given, str) and given in ("highest", "lowest"))


@dataclass(frozen=True, eq=False)
class Eigenvalue:
    """An eigenvalue of a Hessian.

    value: found from within the spectrum, so the highest is never above the true one. error: |H v - value v|; an
    eigenvalue lies within value +- error. vector: v, (P,), of unit length. products: of the Hessian with a vector, each
    about two gradients. reached: whether the error is as small as was asked; if not, the products came to their end.
    """

    value: float
    error: float
    vector: Array
    products: int
    reached: bool


@dataclass(frozen=True, eq=False)
class Eigenvectors:
    """Several eigenvalues of one end, from the outermost inwards: values (k,), errors (k,), vectors (k, P)."""

    values: Array
    errors: Array
    vectors: Array
    products: int
    reached: bool


@takes(surface=SURFACE, tolerance=_SHARE, most=COUNT, seed=SEED)
def lambda_max(surface: Surface, *, tolerance: float = 0.01, most: int = MOST, seed: int = 0) -> Eigenvalue:
    """The highest eigenvalue of the Hessian, by Lanczos' method: the curvature along the steepest bend.

    tolerance: error to stop at, a share of the value. most: products to spend at most. seed: of the start vector,
    which is random: from the gradient, Lanczos is quicker, and in some networks ends at a lower eigenvalue.
    Errors: DataError where the Hessian is not finite.
    Source: Lanczos 1950; the bound on the error: Parlett 1998, theorem 13.2.1.

    >>> lambda_max(at(lambda x: x @ np.diag([1.0, 5.0]) @ x, np.zeros(2))).value
    10.0
    """
    return end_of(surface.product(), surface.size, "highest", tolerance, most, seed)


@takes(surface=SURFACE, tolerance=_SHARE, most=COUNT, seed=SEED)
def lambda_min(surface: Surface, *, tolerance: float = 0.01, most: int = 3 * MOST, seed: int = 0) -> Eigenvalue:
    """The lowest eigenvalue of the Hessian, by Lanczos' method: below 0, a way along which the function bends down.

    tolerance: error to stop at, a share of the largest absolute eigenvalue, as the lowest of a network is near 0.
    most, seed, errors: as for `lambda_max`.

    >>> lambda_min(at(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2))).value
    -2.0
    """
    return end_of(surface.product(), surface.size, "lowest", tolerance, most, seed)


def end_of(product: Product, size: int, end: str, tolerance: float, most: int, seed: int = 0) -> Eigenvalue:
    """One end of a symmetric matrix.

    A lower eigenvalue may hold the place of the highest for a few steps before that comes. Of 600 spectra, most of them
    like those of networks, 0.3 % ended more than 1 % off with FEWEST steps and two residuals in a row below half the
    tolerance, and 2.7 % with the first residual below it (benchmarks/curvature_ends.py).
    """
    space, calm = Krylov(product, random_start(size, seed), seed), 0
    while space.steps < min(most, size) and (calm < 2 or space.steps < FEWEST):
        space.grow()
        place = space.steps - 1 if end == "highest" else 0
        value, error = float(space.values[place]), float(space.residuals[place])
        scale = abs(value) if end == "highest" else float(np.abs(space.values).max())
        calm = calm + 1 if error <= tolerance / 2 * scale and not space.is_closed else 0
    (vector,) = space.vectors([place])
    return Eigenvalue(value, error, vector, space.steps, calm >= 2 or space.steps == size)


@takes(surface=SURFACE, count=COUNT, end=_END, tolerance=_SHARE, most=COUNT, seed=SEED)
def eigenvectors(
    surface: Surface,
    count: int = 2,
    *,
    end: str = "highest",
    tolerance: float = 0.01,
    most: int = 150,
    seed: int = 0,
) -> Eigenvectors:
    """The outermost eigenvalues of one end, with their vectors.

    count: how many. end: "highest" or "lowest". tolerance: of |H v - value v| for each, a share of the largest absolute
    eigenvalue. most: products to spend at most.
    Errors: ArgumentError for more than there are, and where the vectors would take more than 4 GiB.

    >>> eigenvectors(at(lambda x: x @ np.diag([1.0, 5.0]) @ x, np.zeros(2))).values.tolist()
    [10.0, 2.0]
    """
    if count > surface.size:
        raise ArgumentError(f"eigenvectors: {count} of {surface.size} parameters were asked for\n"
                            f"  try: count={surface.size}")  # fmt: skip
    most = min(max(most, count), surface.size)
    check_room(surface.size, most, "eigenvectors", lambda n: f"{f'count={n}, ' if count > n else ''}most={n}")
    space, reached = Krylov(surface.product(), random_start(surface.size, seed), seed), False
    while space.steps < most and not reached:
        space.grow()
        if space.steps < count:
            continue
        places = _outermost(space.steps, count, end)
        scale = float(np.abs(space.values).max())
        reached = not space.is_closed and float(space.residuals[places].max()) <= tolerance * scale
    places = _outermost(space.steps, count, end)
    found = space.vectors(places)
    return Eigenvectors(
        space.values[places], space.residuals[places], found, space.steps, reached or space.steps == surface.size
    )


def _outermost(steps: int, count: int, end: str) -> list[int]:
    return [steps - 1 - i for i in range(count)] if end == "highest" else list(range(count))


@takes(surface=SURFACE)
def eigenvalues(surface: Surface) -> Array:
    """All eigenvalues of the Hessian, ascending, (P,), from the whole matrix: P products and a decomposition.

    Errors: ArgumentError for more than 5,000 parameters, with what it would cost.

    >>> eigenvalues(at(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2))).tolist()
    [-2.0, 2.0]
    """
    if surface.size > WHOLE:
        raise ArgumentError(
            f"eigenvalues: the whole Hessian of {surface.size:,} parameters takes {surface.size:,} products with "
            f"vectors and {surface.size**2 * 8 / 2**30:,.1f} GiB\n"
            "  try: curvature.density(surface), which samples the spectrum, or curvature.eigenvectors(surface, 10)"
        )
    values: Array = np.linalg.eigvalsh(dense_hessian(surface))
    return values


def check_room(size: int, vectors: int, name: str, fewer: Callable[[int], str]) -> None:
    """Raise ArgumentError where so many vectors of so many parameters are more than memory should give.

    fewer: the arguments, as they are typed, with which the function keeps no more than so many vectors.
    """
    if size * vectors * 8 > ROOM:
        raise ArgumentError(
            f"{name}: {vectors} vectors of {size:,} parameters take {size * vectors * 8 / 2**30:,.1f} GiB\n"
            f"  try: {fewer(ROOM // (size * 8))}, or curvature.lambda_max(surface), which keeps {MOST}"
        )


__all__ = [
    "Eigenvalue",
    "Eigenvectors",
    "check_room",
    "eigenvalues",
    "eigenvectors",
    "end_of",
    "lambda_max",
    "lambda_min",
]
