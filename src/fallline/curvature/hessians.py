"""The Hessian of a function: whole where it is small, its two ends by Lanczos' method where it is large."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fallline.curvature.flat import Flat
from fallline.curvature.lanczos import Extremes, lanczos
from fallline.curvature.surface import Surface
from fallline.errors import DataError
from fallline.graph.op import Array
from fallline.nn.theta import Layout
from fallline.tree import Tree


def dense_hessian(surface: Surface) -> Array:
    """The whole Hessian, one product a column, made symmetric to the last bit."""
    product = surface.product()
    matrix = np.stack([product(row) for row in np.eye(surface.size)])
    if not np.isfinite(matrix).all():
        raise DataError("the Hessian is not finite here: it has no eigenvalues")
    symmetric: Array = (matrix + matrix.T) / 2
    return symmetric


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


__all__ = ["dense_hessian", "hessian_ends"]
