"""Ways to a low point or to a slope that do without backpropagation: equations, a grid, central differences."""

from collections.abc import Callable

import numpy as np

from fallline.graph.op import Array

# Grid points computed by one call of the program: large enough that the cost of the call does not show.
BLOCK = 4096


def normal_equations(x: Array, y: Array) -> Array:
    """The theta at which every derivative of the mean squared error is zero: (x'x) theta = x'y."""
    return np.linalg.solve(x.T @ x, x.T @ y)


def search(losses: Callable[[Array], Array], parameters: int, grid: Array) -> tuple[float, Array]:
    """The lowest loss over all combinations of grid values, and where it is."""
    total = grid.size**parameters
    block = min(BLOCK, total)
    place_value = grid.size ** np.arange(parameters)
    best, best_theta = np.inf, np.zeros(parameters)
    for start in range(0, total, block):
        # The last block runs past the end and wraps round: some points are computed twice, none is left out.
        index = np.arange(start, start + block) % total
        thetas = grid[index[:, None] // place_value % grid.size]
        found = losses(thetas)
        lowest = int(found.argmin())
        if found[lowest] < best:
            best, best_theta = float(found[lowest]), thetas[lowest]
    return best, best_theta


def by_differences(loss: Callable[[], float], theta: Array, step: float = 1e-2) -> Array:
    """(loss(theta + h e_i) - loss(theta - h e_i)) / 2h for every i; `loss` reads theta, which is put back."""
    found = np.zeros(theta.size)
    for i in range(theta.size):
        kept = theta[i]
        theta[i] = kept + step
        up = loss()
        theta[i] = kept - step
        found[i] = (up - loss()) / (2 * step)
        theta[i] = kept
    return found
