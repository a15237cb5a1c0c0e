"""The whole spectrum of a Hessian from few random vectors: its trace and its density, each with a standard error."""

import math
from dataclasses import dataclass

import numpy as np

from fallline.arguments import takes
from fallline.curvature.eigen import check_room
from fallline.curvature.lanczos import Krylov
from fallline.curvature.surface import SURFACE, Surface
from fallline.graph.op import Array
from fallline.ranges import SEED, Range

_PRODUCTS = Range(at_least=6, whole=True)
_PROBES, _STEPS = Range(at_least=2, whole=True), Range(at_least=2, whole=True)


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error: 0 where it is exact. products: of the Hessian with a vector."""

    value: float
    error: float
    products: int


@takes(surface=SURFACE, products=_PRODUCTS, seed=SEED)
def trace(surface: Surface, *, products: int = 60, seed: int = 0) -> Estimate:
    """The sum of the Hessian's eigenvalues, by Hutch++.

        tr H = tr Q^T H Q + E[g^T (I - Q Q^T) H (I - Q Q^T) g]        Q: an orthonormal basis of H S

    The first term is exact on the part of H that a third of the products finds; the second is a mean over random signs
    g, whose standard error is that of the result.
    products: to spend, >= 6; of a Hessian with no more parameters than that, the trace is exact.
    Errors: DataError where the Hessian is not finite.
    Source: Meyer, Musco, Musco, Woodruff 2021, Hutch++, arXiv:2010.09649, Algorithm 1; Hutchinson 1990.

    >>> trace(at(lambda x: x @ np.diag([1.0, 5.0]) @ x, np.zeros(2))).value
    12.0
    """
    product, size = surface.product(), surface.size
    if size <= products:
        return Estimate(float(sum(product(row)[i] for i, row in enumerate(np.eye(size)))), 0.0, size)
    rng, third = np.random.default_rng(seed), products // 3
    check_room(size, 2 * third, "trace", lambda n: f"products={max(6, n // 2 * 3)}")
    sketch = np.stack([product(_signs(rng, size)) for _ in range(third)], axis=1)
    basis, _ = np.linalg.qr(sketch)
    known = sum(float(q @ product(q)) for q in basis.T)
    left = products - 2 * third
    terms = np.empty(left)
    for i in range(left):
        g = _signs(rng, size)
        g -= basis @ (basis.T @ g)
        terms[i] = g @ product(g)
    return Estimate(known + float(terms.mean()), float(terms.std(ddof=1)) / math.sqrt(left), products)


def _signs(rng: np.random.Generator, size: int) -> Array:
    signs: Array = rng.integers(0, 2, size) * 2.0 - 1.0
    return signs


@dataclass(frozen=True, eq=False)
class Density:
    """How many of a Hessian's eigenvalues lie where: a share of all P of them for each unit of curvature.

    at: (M,) curvatures, ascending. density: (M,) smoothed by a Gaussian of deviation `width`; its integral is 1.
    error: (M,) standard error of `density` over the probes. width: of the smoothing, in units of curvature.
    nodes, weights: (probes, steps), the eigenvalues that each probe sees and their shares, which sum to 1 in each.
    size: P. products: of the Hessian with a vector.
    """

    at: Array
    density: Array
    error: Array
    width: float
    nodes: Array
    weights: Array
    size: int
    products: int

    def below(self, value: float) -> Estimate:
        """The share of eigenvalues below a value, with its standard error over the probes."""
        return self._mean(np.where(self.nodes < value, self.weights, 0.0).sum(axis=1))

    @property
    def trace(self) -> Estimate:
        """The sum of all eigenvalues, as these probes see it."""
        return self._mean(self.size * (self.nodes * self.weights).sum(axis=1))

    def _mean(self, of_probes: Array) -> Estimate:
        error = float(of_probes.std(ddof=1)) / math.sqrt(len(of_probes))
        return Estimate(float(of_probes.mean()), error, self.products)


@takes(surface=SURFACE, probes=_PROBES, steps=_STEPS, points=Range(at_least=2, whole=True), seed=SEED)
def density(surface: Surface, *, probes: int = 5, steps: int = 30, points: int = 400, seed: int = 0) -> Density:
    """The spectral density of the Hessian, by stochastic Lanczos quadrature.

        p(t) = 1/P sum_i N(t; lambda_i, width^2)  ~  mean over probes of  sum_j w_j N(t; theta_j, width^2)

    For each random probe, `steps` products give nodes theta_j and weights w_j that meet v^T H^k v exactly up to
    k = 2 steps - 1. Details finer than `width`, a hundredth of the spectrum, are not shown.
    probes: random vectors, >= 2. steps: products with each. points: curvatures at which the density is given.
    Errors: DataError where the Hessian is not finite.
    Source: Golub & Welsch 1969; Ubaru, Chen, Saad 2017; for networks Ghorbani, Krishnan, Xiao 2019, arXiv:1901.10159.

    >>> round(density(at(lambda x: x @ np.diag([1.0, 5.0]) @ x, np.zeros(2))).trace.value, 6)
    12.0
    """
    size, product = surface.size, surface.product()
    steps = min(steps, size)
    check_room(size, steps, "density", lambda n: f"steps={max(2, n)}")
    rng = np.random.default_rng(seed)
    nodes, weights, used = np.zeros((probes, steps)), np.zeros((probes, steps)), 0
    for i in range(probes):
        space = Krylov(product, _signs(rng, size), seed)
        while space.steps < steps and not space.is_closed:
            space.grow()
        nodes[i, : space.steps], weights[i, : space.steps] = space.values, space.weights()
        nodes[i, space.steps :] = space.values[-1]
        used += space.steps
    low, high = float(nodes.min()), float(nodes.max())
    # Where all eigenvalues are one, a hundredth of it, or of 1.
    width = (high - low) / 100 or 0.01 * max(abs(low), abs(high)) or 0.01
    at = np.linspace(low - 4 * width, high + 4 * width, points)
    each = np.stack([_smooth(at, node, weight, width) for node, weight in zip(nodes, weights, strict=True)])
    peak = float(each.max()) or 1.0  # its square may be beyond floats
    error = peak * (each / peak).std(axis=0, ddof=1) / math.sqrt(probes)
    return Density(at, each.mean(axis=0), error, width, nodes, weights, size, used)


def _smooth(at: Array, nodes: Array, weights: Array, width: float) -> Array:
    found: Array = np.exp(-0.5 * np.square((at[:, np.newaxis] - nodes) / width)) @ weights
    return found / (width * math.sqrt(2 * math.pi))


__all__ = ["Density", "Estimate", "density", "trace"]
