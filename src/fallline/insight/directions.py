"""Directions in parameter space along which a landscape is cut: random ones, those of a path, those of the Hessian.

Vectors like theta, 0 in parameters that are not trained.
"""

from dataclasses import dataclass

import numpy as np

from fallline.errors import DataError
from fallline.graph.op import Array
from fallline.nn.model import Model
from fallline.nn.theta import TRAINABLE


def filter_normalised(model: Model, count: int, seed: int = 0) -> Array:
    """Random directions, (count, P), in which every filter has the length of the model's own.

        d = d_random / |d_random| |theta|          filter by filter; 0 for biases and all else with one axis

    A filter is all that leads into one output: of a dense layer, the weights into one unit; of any array, what shares
    a place on its last axis.
    Source: Li, Xu, Taylor, Studer, Goldstein 2018, Visualizing the loss landscape of neural nets, arXiv:1712.09913,
    section 4.
    """
    rng, theta = np.random.default_rng(seed), model.theta.astype(np.float64)
    found = np.zeros((count, theta.size))
    for k in range(count):
        for _, slot in model.layout.items():
            drawn = rng.standard_normal(slot.shape)
            if slot.kind != TRAINABLE or len(slot.shape) < 2:
                continue
            axes = tuple(range(len(slot.shape) - 1))
            own = np.sqrt(np.sum(np.square(theta[slot.start : slot.stop].reshape(slot.shape)), axis=axes))
            drawn *= own / np.sqrt(np.sum(np.square(drawn), axis=axes))
            found[k, slot.start : slot.stop] = drawn.ravel()
    return found


@dataclass(frozen=True, eq=False)
class Plane:
    """Orthonormal directions through a path, (K, P), with the path's coordinates along them, (T, K).

    share: of the path's movement that the plane holds, 0..1. shares: along each direction, (K,).
    """

    directions: Array
    path: Array
    share: float
    shares: Array


def principal(thetas: Array, centre: Array, count: int) -> Plane:
    """The directions that hold most of a path's movement away from its end.

        thetas - centre = U S V^T,     directions: the first rows of V^T,     shares: S_k^2 / sum S^2

    thetas: (T, P) along the path. centre: (P,), the point that the plane goes through, most often the end.
    Errors: DataError for a path that moves in fewer directions than are asked for.
    Source: Li et al. 2018, section 7. A share close to 1 is little proof of a simple path: in many dimensions the first
    two directions hold three quarters of a random walk too (Antognini & Sohl-Dickstein 2018, arXiv:1806.08805).
    """
    moves = thetas.astype(np.float64) - centre.astype(np.float64)
    # The small matrix of inner products has the same singular values, and P may be millions.
    values, vectors = np.linalg.eigh(moves @ moves.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    whole = float(np.maximum(values, 0.0).sum())
    seen = int((values > 1e-12 * max(whole, np.finfo(float).tiny)).sum())
    if seen < count:
        raise DataError(
            f"the path moves in {seen} directions, and {count} were asked for: it has {len(thetas)} points\n"
            '  try: directions="random"; or a path with more points, fl.trajectory(run, points=50)'
        )
    directions = vectors[:, :count].T @ moves
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # The path goes to the right and upwards in sum, so that pictures of one path look alike.
    turn = np.where((moves @ directions.T).sum(axis=0) > 0, -1.0, 1.0)
    directions *= turn[:, np.newaxis]
    shares = values[:count] / whole
    return Plane(directions, moves @ directions.T, float(shares.sum()), shares)


__all__ = ["Plane", "filter_normalised", "principal"]
