"""fl.scan and jax.lax.scan of the same functions have the same results, gradients and second derivatives.

JAX's results are kept in tests/oracles/scan_golden.npz; `python tests/transforms/test_scan_golden.py` makes them anew,
where JAX is installed. `np` is NumPy or jax.numpy, `scan` the package's.
"""

from pathlib import Path

import numpy
import pytest

import fallline as fl
from fallline import tree

GOLDEN = Path(__file__).parents[1] / "oracles" / "scan_golden.npz"


def wave(*shape):
    """Numbers without a pattern, between -1 and 1."""
    return numpy.sin(1.3 * numpy.arange(numpy.prod(shape, dtype=int)) ** 1.5 + len(shape)).reshape(shape)


W, X = wave(3, 3), wave(5, 3)
AT = numpy.array([0, 2, 1, 2, 0])


def gated(np, w, c, x):
    """A turn of a recurrent network with a gate and a memory."""
    h, memory = c
    gate = 1 / (1 + np.exp(-(h @ w + x)))
    memory = gate * memory + (1 - gate) * np.tanh(x @ w)
    return (gate * np.tanh(memory), memory), h * x


# name: a scalar of (w, x), arrays of shapes (3, 3) and (5, 3)
CASES = {
    "last": lambda np, scan, w, x: np.sum(scan(lambda c, r: (np.tanh(c @ w + r), c), x[0], x)[0] ** 2),
    "stacked": lambda np, scan, w, x: np.sum(scan(lambda c, r: (np.tanh(c @ w + r), c * r), x[0], x)[1] ** 2),
    "backwards": lambda np, scan, w, x: np.sum(
        np.sin(scan(lambda c, r: (np.tanh(c @ w + r), c * r), x[0], x, reverse=True)[1])
    ),
    "gated": lambda np, scan, w, x: sum(
        np.sum(a**2) for a in tree.leaves(scan(lambda c, r: gated(np, w, c, r), (x[0], x[1]), x))
    ),
    "exchanged": lambda np, scan, w, x: np.sum(
        scan(lambda c, r: ((c[1] @ w, c[0] + r), c[0] * c[1]), (x[0], x[0]), x)[1] ** 2
    ),
    "counted": lambda np, scan, w, x: np.sum(
        scan(lambda c, r: ((c[0] @ w + r / (1.0 + c[1]), c[1] + 1), c[0]), (x[0], np.array(0)), x)[1] ** 3
    ),
    "masked": lambda np, scan, w, x: np.sum(
        scan(lambda c, r: (np.where(r > 0, np.sqrt(np.where(r > 0, r, 1.0)), c @ w), None), x[0], x)[0] ** 2
    ),
    "greatest": lambda np, scan, w, x: np.sum(
        scan(lambda c, r: (np.maximum(c, r @ w), np.sort(c + r)), x[0], x)[1] ** 3
    ),
    "nested": lambda np, scan, w, x: np.sum(
        scan(lambda c, r: scan(lambda d, z: (np.tanh(d @ w + z * r), d * z), c, x[:2]), x[0], x)[1] ** 2
    ),
    "weights alone": lambda np, scan, w, x: np.sum(
        scan(lambda c, r: (c, np.tanh(r @ w)), np.zeros(2), wave(4, 3))[1] * np.sum(x)
    ),
    "without rows": lambda np, scan, w, x: np.sum(scan(lambda c, _: (np.tanh(c @ w), c), x[0], None, length=4)[1] ** 2),
    "no turns": lambda np, scan, w, x: np.sum(scan(lambda c, r: (c @ w + r, c), x[0] @ w, x[:0])[0] ** 2),
}


def derived(f, d):
    """Value, gradient, and the gradient of the gradient along a direction."""

    def along(w, x):
        dw, dx = d.grad(f, (0, 1))(w, x)
        return (dw * numpy.cos(3 * W)).sum() + (dx * numpy.cos(2 * X)).sum()

    return lambda w, x: (f(w, x), *d.grad(f, (0, 1))(w, x), *d.grad(along, (0, 1))(w, x))


def results_of_jax():
    """Each case's results as plain arrays."""
    import jax

    jax.config.update("jax_enable_x64", True)
    for name, case in CASES.items():
        f = derived(lambda w, x, case=case: case(jax.numpy, jax.lax.scan, w, x), jax)
        for i, leaf in enumerate(f(jax.numpy.asarray(W), jax.numpy.asarray(X))):
            yield f"{name}/{i}", numpy.asarray(leaf)


@pytest.mark.parametrize("name", CASES)
def test_scan_agrees_with_jax(name):
    f = derived(lambda w, x: CASES[name](numpy, fl.scan, w, x), fl)
    with numpy.load(GOLDEN) as golden:
        for i, got in enumerate(f(W, X)):
            numpy.testing.assert_allclose(got, golden[f"{name}/{i}"], rtol=1e-9, atol=1e-10)


if __name__ == "__main__":
    numpy.savez_compressed(GOLDEN, **dict(results_of_jax()))
