"""fl.vmap and jax.vmap of the same functions have the same results; cases that JAX, PyTorch or MLX once had wrong are
among them.

JAX's results are kept in tests/oracles/vmap_golden.npz; `python tests/transforms/test_vmap_golden.py` makes them anew,
where JAX is installed. `np` is NumPy or jax.numpy, `d` the package: its vmap, grad, jacobian and hessian.
"""

from pathlib import Path

import numpy
import pytest

import fallline as fl
from fallline import tree

GOLDEN = Path(__file__).parents[1] / "oracles" / "vmap_golden.npz"


def wave(*shape):
    """Numbers without a pattern, between -1 and 1."""
    return numpy.sin(1.3 * numpy.arange(numpy.prod(shape, dtype=int)) ** 1.5 + len(shape)).reshape(shape)


A, B, C, V = wave(5, 3), wave(5, 3), wave(3, 4), wave(3)
CUBE, BLOCKS = wave(5, 2, 3), wave(5, 3, 3)
AT = numpy.array([[0, 2], [1, -1], [2, 2], [-3, 0], [1, 1]])
PARAMS = {"w": wave(3, 4), "b": wave(4), "out": wave(4, 2)}


def loss(np):
    """Of one row."""
    return lambda p, x, y: np.sum((np.tanh(x @ p["w"] + p["b"]) @ p["out"] - y) ** 2)


def safe(np):
    """Length of a row, with derivative 0 at 0."""

    def length(x):
        under = np.sum(x**2)
        return np.where(under > 0, np.sqrt(np.where(under > 0, under, 1.0)), 0.0)

    return length


def kernel(np):
    return lambda x, z: np.exp(-np.sum((x - z) ** 2))


# name: (what is computed, the arguments)
CASES = {
    "dot": (lambda np, d: d.vmap(np.dot), (A, B)),
    "dot with one for all": (lambda np, d: d.vmap(np.dot, (0, None)), (A, V)),
    "dot along the second axis": (lambda np, d: d.vmap(np.dot, (1, None), 0), (A.T, V)),
    "dot of a vector for all": (lambda np, d: d.vmap(np.dot, (None, 1)), (V, A.T)),
    "vdot": (lambda np, d: d.vmap(np.vdot, (1, None), 0), (A.T, V)),
    "matrix times vectors": (lambda np, d: d.vmap(np.matmul, (None, 0)), (C.T, A)),
    "matrices times a vector": (lambda np, d: d.vmap(np.matmul, (0, None)), (CUBE, V)),
    "matrices times matrices": (lambda np, d: d.vmap(np.matmul), (CUBE, BLOCKS)),
    "matrices times one": (lambda np, d: d.vmap(np.matmul, (0, None)), (CUBE, C)),
    "one times matrices": (lambda np, d: d.vmap(np.matmul, (None, 0), 1), (C.T, BLOCKS)),
    "one batch times batches": (lambda np, d: d.vmap(np.matmul, (None, 0)), (CUBE, wave(7, 5, 3, 2))),
    "batches times one batch": (lambda np, d: d.vmap(np.matmul, (1, None)), (wave(5, 7, 2, 3), BLOCKS)),
    "einsum": (lambda np, d: d.vmap(lambda a, b: np.einsum("ij,kj->ik", a, b), (0, None)), (CUBE, wave(4, 3))),
    "outer": (lambda np, d: d.vmap(np.outer), (A, B)),
    "other ranks": (lambda np, d: d.vmap(np.add), (wave(5, 4, 1), wave(5, 2, 1, 3))),
    "as long as the rows": (lambda np, d: d.vmap(np.multiply, (0, None)), (wave(3), V)),
    "scalars and vectors": (lambda np, d: d.vmap(lambda a, x: a * x + a), (wave(5), A)),
    "softmax": (lambda np, d: d.vmap(lambda x: np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x)))), (A,)),
    "negative axes": (lambda np, d: d.vmap(lambda x: np.tanh(x @ C_of(np)), -2, -2), (wave(2, 5, 3),)),
    "last axis": (lambda np, d: d.vmap(lambda x: np.cumsum(x) / (1 + x**2), -1, -1), (A,)),
    "sort along the last axis": (lambda np, d: d.vmap(lambda x: np.sort(x, axis=-1), 1, 1), (A,)),
    "order along the last axis": (lambda np, d: d.vmap(lambda x: np.argsort(x, axis=-1), 1, 1), (A,)),
    "cumsum along the last axis": (lambda np, d: d.vmap(lambda x: np.cumsum(x, axis=-1), 1, 1), (CUBE,)),
    "picked in rising order": (lambda np, d: d.vmap(lambda x: x[np.argsort(x)]), (A,)),
    "one position for all": (lambda np, d: d.vmap(lambda x, i: x[i], (0, None)), (A, AT[0])),
    "positions in one array": (lambda np, d: d.vmap(lambda x, i: x[i], (None, 0)), (V, AT[:, 0])),
    "pairs of positions in one array": (lambda np, d: d.vmap(lambda x, i: x[i], (None, 0)), (CUBE[0].T, AT)),
    "positions in rows": (lambda np, d: d.vmap(lambda x, i: x[i]), (A, AT)),
    "positions along an inner axis": (lambda np, d: d.vmap(lambda x, i: np.take(x, i, axis=1)), (CUBE, AT)),
    "positions along with": (lambda np, d: d.vmap(lambda x, i: np.take_along_axis(x, i, axis=0)), (A, AT)),
    "positions apart": (
        lambda np, d: d.vmap(lambda x: x[numpy.array([0, 0]), :, numpy.array([1, 1])]), (wave(5, 2, 3, 4),)
    ),
    "added at positions": (
        lambda np, d: d.vmap(lambda i, x, g: d.grad(lambda x: np.sum(x[i] * g))(x), (0, None, None)), (AT, V, wave(2))
    ),
    "added at positions, last axis": (
        lambda np, d: d.vmap(lambda x, i: d.grad(lambda x: np.sum(x[:, i] ** 3))(x), (2, None), 2),
        (wave(2, 3, 4), AT[1]),
    ),
    "added at positions of rows": (
        lambda np, d: d.vmap(lambda x, i: d.grad(lambda x: np.sum(np.sin(x[:, i]) * 2))(x)), (CUBE, AT)
    ),
    "split": (lambda np, d: d.vmap(lambda x: tuple(p * 2 for p in np.split(x, 2, axis=-1)), 1, (0, 1)),
                        (wave(3, 5, 4),)),
    "joined with one for all": (lambda np, d: d.vmap(lambda x, y: np.concatenate([x, y, x]), (0, None)), (A, V)),
    "stacked": (lambda np, d: d.vmap(lambda x, y: np.stack([x, y], axis=-1), (1, None)), (wave(3, 5), V)),
    "padded": (lambda np, d: d.vmap(lambda x: np.pad(x, ((1, 0), (2, 1)))), (CUBE,)),
    "flipped and strided": (lambda np, d: d.vmap(lambda x: x[::-1, ::2]), (wave(5, 3, 4),)),
    "triangles": (lambda np, d: d.vmap(lambda x: (np.tril(x), np.triu(x, 1))), (BLOCKS,)),
    "trace": (lambda np, d: d.vmap(np.trace), (BLOCKS,)),
    "spread": (lambda np, d: d.vmap(lambda x: (np.std(x), np.var(x, axis=0), np.mean(x, axis=1))), (CUBE,)),
    "greatest": (lambda np, d: d.vmap(lambda x: (np.max(x, axis=1), np.argmax(x, axis=0), np.min(x))), (CUBE,)),
    "nested": (lambda np, d: d.vmap(d.vmap(kernel(np), (None, 0)), (0, None)), (A, wave(4, 3))),
    "nested over other axes": (lambda np, d: d.vmap(d.vmap(kernel(np), (None, 1)), (1, None), 1), (A.T, wave(3, 4))),
    "gradients of rows": (lambda np, d: d.vmap(d.grad(loss(np)), (None, 0, 0)), (PARAMS, A, wave(5, 2))),
    "gradients of networks": (
        lambda np, d: d.vmap(d.grad(loss(np)), ({"w": 0, "b": None, "out": 2}, None, None)),
        ({"w": wave(6, 3, 4), "b": wave(4), "out": wave(4, 2, 6)}, V, wave(2)),
    ),
    "gradient of rows": (
        lambda np, d: d.grad(lambda p, x, y: np.mean(d.vmap(loss(np), (None, 0, 0))(p, x, y))), (PARAMS, A, wave(5, 2))
    ),
    "gradients through a choice": (lambda np, d: d.vmap(d.grad(safe(np))), (A * numpy.arange(5)[:, None],)),
    "Hessians": (lambda np, d: d.vmap(d.hessian(lambda x: np.sum(np.sin(x) * x[::-1] ** 2))), (A,)),
    "Jacobians": (lambda np, d: d.vmap(d.jacobian(lambda x: np.tanh(x @ C_of(np))), 1, 2), (A.T,)),
    "Hessian of rows": (lambda np, d: d.hessian(lambda x: np.sum(d.vmap(lambda a: np.prod(a) ** 2)(x))), (A[:2],)),
    "products with zeros": (lambda np, d: d.vmap(d.grad(lambda x: np.prod(x))), (numpy.round(A),)),
    "the same for all": (lambda np, d: d.vmap(lambda x, y: (x + 1, y * 2), (0, None), (0, None)), (A, V)),
    "a number": (lambda np, d: d.vmap(lambda x: 2.5), (A,)),
    "names": (lambda np, d: lambda x, y: d.vmap(lambda x, y: x * np.sum(y))(x, y=y), (A, B)),
}  # fmt: skip


def C_of(np):
    return np.asarray(C)


def results_of_jax():
    """Each case's results as plain arrays."""
    import jax

    jax.config.update("jax_enable_x64", True)
    for name, (function, args) in CASES.items():
        given = jax.tree.map(jax.numpy.asarray, args)
        for i, leaf in enumerate(jax.tree.leaves(function(jax.numpy, jax)(*given))):
            yield f"{name}/{i}", numpy.asarray(leaf)


@pytest.mark.parametrize("name", CASES)
def test_vmap_agrees_with_jax(name):
    function, args = CASES[name]
    with numpy.load(GOLDEN) as golden:
        expected = [golden[f"{name}/{i}"] for i in range(sum(key.startswith(f"{name}/") for key in golden))]
    leaves = tree.leaves(function(numpy, fl)(*args))
    assert len(leaves) == len(expected) > 0
    for got, wanted in zip(leaves, expected, strict=True):
        assert numpy.shape(got) == wanted.shape
        numpy.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-12)


if __name__ == "__main__":
    numpy.savez_compressed(GOLDEN, **dict(results_of_jax()))
