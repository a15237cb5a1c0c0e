"""Sums of outer products from their factors: the same numbers in no more steps, and no outer product in memory."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.graph.node import new_input
from fallline.graph.op import Kind
from fallline.graph.trace import trace
from fallline.graph.verify import verify
from fallline.passes.outer_products import outer_products_summed, steps_of
from fallline.passes.outer_rows import outer_products_by_element
from fallline.passes.simplify import simplify
from fallline.program import reference
from fallline.program.lower import lower, prepared

RNG = np.random.default_rng(0)
N, D, H, K = 12, 9, 8, 7


def graph_of(function, *arrays):
    return simplify(trace(function, [new_input(a.shape, a.dtype) for a in arrays])[0])


def same(graph, values, tolerance=1e-9):
    """The changed graph, which has to compute the same in no more steps."""
    changed = verify(outer_products_summed(graph))
    assert steps_of(changed) <= steps_of(graph)
    for got, want in zip(reference.run(changed, values), reference.run(graph, values), strict=True):
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1, abs(want).max(initial=0)))
    return changed


ONE = [
    np.square, np.abs, lambda x: -x, lambda x: x * x, lambda x: x * 0.5, lambda x: x / 3.0, lambda x: x.T,
    lambda x: x.reshape(x.shape[0], -1) if x.ndim else x, lambda x: x.reshape(-1), lambda x: np.sum(x, axis=0),
    lambda x: np.sum(x, axis=-1), lambda x: np.sum(x), lambda x: np.mean(x, axis=0, keepdims=True),
    lambda x: np.sum(x, axis=(0, 1)), lambda x: x[..., None], lambda x: x[None], lambda x: np.tanh(x),
    lambda x: x @ x.T, lambda x: x.T @ x, lambda x: np.concatenate([x, 2 * x], axis=-1), lambda x: np.swapaxes(x, 0, 1),
    lambda x: x.reshape(x.shape[0] // 2, 2, *x.shape[1:]), lambda x: np.broadcast_to(x, (2, *x.shape)),
    lambda x: np.sqrt(1 + np.sum(np.square(x), axis=tuple(range(1, x.ndim)))), lambda x: x[:, 1:],
    lambda x: x.astype(np.float32).astype(np.float64) if x.ndim > 3 else x,
]  # fmt: skip
TWO = [
    lambda a, b: a[..., :, None] @ b[..., None, :], lambda a, b: a[..., :, None] * b[..., None, :],
    lambda a, b: np.outer(a, b) if a.ndim == b.ndim == 1 else a * b, lambda a, b: a * b, lambda a, b: a / (2 + b * b),
    lambda a, b: a @ b, lambda a, b: a @ b.T, lambda a, b: a + b, lambda a, b: a.T @ b,
    lambda a, b: np.concatenate([a, b], axis=-1), lambda a, b: np.concatenate([a, b], axis=0),
    lambda a, b: a.reshape(a.shape[0], -1) @ b.reshape(b.shape[0], -1).T, lambda a, b: np.tensordot(a, b, 1),
    lambda a, b: a * b.reshape(b.shape + (1,) * (a.ndim - 1)),
    lambda a, b: np.concatenate([a.reshape(a.shape[0], -1), b.reshape(b.shape[0], -1)], axis=1),
]  # fmt: skip
VALUES = [RNG.standard_normal(shape) for shape in [(4, 3), (4, 2), (4,), (3, 2), (1, 2), ()]]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=12))
def test_the_same_on_random_graphs(steps):
    def function(*values):
        pool = [*values, np.reshape(values[0], (4, 3, 1)) @ np.reshape(values[1], (4, 1, 2))]
        for which, i, j in steps:
            a, b = pool[-1 - i % len(pool)], pool[-1 - j % len(pool)]
            try:
                made = ONE[which % len(ONE)](a) if which < 40 else TWO[which % len(TWO)](a, b)
            except (ValueError, IndexError):
                continue
            if 0 < made.size <= 4000:
                pool.append(made)
        return pool[len(values) :]

    def results_alone(*values):
        return [made for made in function(*values) if made.ndim < 2] or function(*values)[-1:]

    for each in (function, results_alone):
        same(graph_of(each, *VALUES), VALUES)


@pytest.mark.parametrize("values", [
    [RNG.standard_normal(shape).astype(dtype) for shape in [(n, d), (n, h)]]
    for dtype in ("float32", "float64")
    for n, d, h in [(1, 1, 1), (1, 3, 2), (3, 1, 4), (3, 4, 1), (0, 2, 3), (2, 0, 3)]
], ids=lambda values: f"{values[0].dtype} {values[0].shape} {values[1].shape}")  # fmt: skip
def test_sizes_of_one_and_none(values):
    def function(a, b):
        g = a[:, :, None] @ b[:, None, :]
        flat = g.reshape(len(g), g.shape[1] * g.shape[2])
        return np.sum(g * g, axis=(1, 2)), np.sum(g, axis=0), flat @ flat.T, np.sum(np.abs(g)), flat.T @ flat

    same(graph_of(function, *values), values, 1e-5)


PARAMS = {"w1": RNG.normal(size=(D, H)), "b1": RNG.normal(size=H), "w2": RNG.normal(size=(H, K)),
          "b2": RNG.normal(size=K)}  # fmt: skip
X, Y, C, V = (RNG.normal(size=shape) for shape in [(N, D), (N, K), N, (D, H)])


def loss(params, x, y):
    return np.mean((np.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"] - y) ** 2)


rows = fl.vmap(fl.grad(loss), in_axes=(None, 0, 0))


def flat(grads):
    return np.concatenate([grads[name].reshape(N, -1) for name in sorted(grads)], axis=1)


def clipped(grads):
    norms = np.sqrt(sum(np.sum(g * g, axis=tuple(range(1, g.ndim))) for g in grads.values()))
    return {name: np.tensordot(np.minimum(1, 1 / norms), g, 1) for name, g in grads.items()}


READERS = {
    "norm of each row": lambda g: np.sum(g["w1"] ** 2, axis=(1, 2)),
    "length of each row": lambda g: np.linalg.norm(flat(g), axis=1),
    "mean over rows": lambda g: {name: np.mean(each, axis=0) for name, each in g.items()},
    "mean of squares": lambda g: np.mean(np.square(g["w1"]), axis=0),
    "weighted sum": lambda g: np.sum(C[:, None, None] * g["w1"], axis=0),
    "weighted sum by einsum": lambda g: np.einsum("n,nij->ij", C, g["w1"]),
    "clipped and summed": clipped,
    "products of all pairs of rows": lambda g: flat(g) @ flat(g).T,
    "with one direction": lambda g: np.sum(g["w1"] * V, axis=(1, 2)),
    "with one direction, flat": lambda g: flat(g) @ np.arange(D * H + H + H * K + K),
    "with the mean": lambda g: flat(g) @ np.mean(flat(g), axis=0),
    "mean and mean of squares": lambda g: (np.mean(flat(g), axis=0), np.mean(np.square(flat(g)), axis=0)),
    "sums of absolute values": lambda g: np.sum(np.abs(flat(g)), axis=1),
    "of all": lambda g: np.sum(np.square(flat(g))),
    "in double precision": lambda g: np.sum(np.square(flat(g).astype(np.float64)), axis=1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_read_of_gradients_of_rows_makes_none_of_them(reader, dtype):
    params = {name: value.astype(dtype) for name, value in PARAMS.items()}
    x, y = X.astype(dtype), Y.astype(dtype)

    def function(params, x, y):
        return READERS[reader](rows(params, x, y))

    graph = simplify(fl.graph_of(function, params, x, y))
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    same(graph, [params["b1"], params["b2"], params["w1"], params["w2"], x, y], tolerance)
    largest = max(buffer.size for buffer in lower(prepared(graph)).buffers)
    assert largest < min(N * D * H, N * H * K), "a gradient of every row lies in memory"
    want = READERS[reader](rows(params, x, y))  # each gradient of a row as it is
    for got, one in zip(fl.tree.leaves(fl.compile(function)(params, x, y)), fl.tree.leaves(want), strict=True):
        assert got.dtype == one.dtype
        np.testing.assert_allclose(got, one, rtol=tolerance, atol=tolerance * abs(one).max())


@pytest.mark.parametrize("last", [lambda z: z, np.exp], ids=["z", "exp z"])
@pytest.mark.parametrize("widths", [(60, 50, 1), (60, 50, 40, 1), (60, 50, 40, 2)])
def test_a_network_of_one_output_makes_none_of_them_either(widths, last):
    # d out / d hidden is then a row of the last weights, a product over an axis of length 1 that is no outer product.
    weights = [RNG.normal(size=shape) for shape in itertools.pairwise(widths)]

    def out(weights, row):
        for w in weights[:-1]:
            row = np.tanh(row @ w)
        return np.sum(last(row @ weights[-1]))

    def function(weights, x):
        return fl.vmap(lambda row: [np.sum(np.square(g)) for g in fl.grad(out)(weights, row[None])])(x)

    x = RNG.normal(size=(9, widths[0]))
    graph = outer_products_summed(simplify(fl.graph_of(function, weights, x)))
    made = [node.size for node in graph.nodes() if node.op.kind not in (Kind.VIEW, Kind.SOURCE)]
    assert max(made) < 9 * min(a * b for a, b in itertools.pairwise(widths[:-1])), "a gradient of every row is made"
    want = function(weights, x)
    for got, one in zip(reference.run(graph, [*weights, x]), want, strict=True):
        np.testing.assert_allclose(got, one, rtol=1e-12)


def test_worked_by_hand():
    # a = (1, 2) and (3, 0), d = (1, -1, 2) and (0, 5, 0): squares 5 * 6 = 30 and 9 * 25 = 225; the rows have the inner
    # products a1 a2 = 3 and d1 d2 = -5, so -15.
    a, d = np.array([[1.0, 2], [3, 0]]), np.array([[1.0, -1, 2], [0, 5, 0]])

    def function(a, d):
        g = (a[:, :, None] @ d[:, None, :]).reshape(2, 6)
        return np.sum(g * g, axis=1), g @ g.T

    norms, gram = fl.compile(function)(a, d)
    assert norms.tolist() == [30, 225]
    assert gram.tolist() == [[30, -15], [-15, 225]]
    changed = same(graph_of(function, a, d), [a, d])
    assert max(node.size for node in changed.nodes()) == 6


LEFT = {
    "read as they are": lambda a, d: a[:, :, None] @ d[:, None, :],
    "under another function": lambda a, d: np.sum(np.tanh(a[:, :, None] @ d[:, None, :]), axis=0),
    "no outer product": lambda a, d: np.sum(a[:, :2] * d[:, :2], axis=0),
    "many outputs of few inputs": lambda a, d: (a[:, :, None] * d[:, None, :]).reshape(len(a), -1) @ np.ones((15, 40)),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_alone(case):
    graph = graph_of(LEFT[case], X[:, :5], Y[:, :3])
    assert outer_products_summed(graph) is graph


def test_gradients_in_theta_are_followed_through_its_pieces():
    model = fl.nn.Model.init(fl.nn.mlp((H, H), K), D, dtype="float64")

    def row_loss(theta, x, y):
        return np.mean((model.apply(theta, x[None]) - y) ** 2)

    each = fl.vmap(fl.grad(row_loss), in_axes=(None, 0, 0))

    def lengths(theta, x, y):
        return np.linalg.norm(each(theta, x, y), axis=1)

    graph = simplify(fl.graph_of(lengths, model.theta, X, Y))
    assert max(node.size for node in outer_products_summed(graph).nodes()) == model.theta.size
    want = np.linalg.norm(each(model.theta, X, Y), axis=1)
    np.testing.assert_allclose(fl.compile(lengths)(model.theta, X, Y), want, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(1, 40)),
    dtype=st.sampled_from(["float32", "float64"]),
    turned=st.booleans(),
)
def test_outer_products_of_rows_are_the_same_numbers_element_by_element(sizes, dtype, turned):
    n, m, k = sizes
    a, d = RNG.standard_normal((n, m)).astype(dtype), RNG.standard_normal((n, k)).astype(dtype)

    def function(a, d):
        g = a[:, :, None] @ d[:, None, :]
        return (g, 2 * g + 1) if not turned else (np.swapaxes(g, 1, 2), np.exp(-np.swapaxes(g, 1, 2)))

    graph = graph_of(function, a, d)
    changed = verify(outer_products_by_element(graph))
    assert (changed is graph) == (k < 16 or n < 2)
    for got, want in zip(reference.run(changed, [a, d]), reference.run(graph, [a, d]), strict=True):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(fl.compile(function)(a, d), function(a, d), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)
