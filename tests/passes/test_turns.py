"""The transpose of a product made as a product: the same results and gradients, nothing else touched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.graph.node import new_input
from fallline.graph.op import Kind
from fallline.graph.trace import trace
from fallline.graph.verify import verify
from fallline.passes.simplify import simplify
from fallline.passes.turns import turned_products
from fallline.program import reference

RNG = np.random.default_rng(0)


def graph_of(function, *arrays):
    return simplify(trace(function, [new_input(a.shape, a.dtype) for a in arrays])[0])


def products(graph):
    return [node.shape for node in graph.nodes() if node.op.kind is Kind.CONTRACTION]


WAYS = {
    "transposed": lambda a, b: np.swapaxes(a @ b, -1, -2),
    "and read by a chain": lambda a, b: np.exp(-np.swapaxes(a @ b, -1, -2)) + 1,
    "plus a row": lambda a, b: np.swapaxes(a @ b, -1, -2) + a[..., 0],
    "of transposes": lambda a, b: np.swapaxes(np.swapaxes(b, -1, -2) @ np.swapaxes(a, -1, -2), -1, -2).mT,
    "and multiplied again": lambda a, b: np.swapaxes(a @ b, -1, -2) @ a,
    "twice": lambda a, b: np.swapaxes(np.swapaxes(a @ b, -1, -2) @ a, -1, -2),
}


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9)),
    batch=st.sampled_from([(), (), (2,), (2, 3)]),
    way=st.sampled_from(sorted(WAYS)),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_a_transposed_product_is_the_same_number_and_gradient(sizes, batch, way, dtype):
    m, k, n = sizes
    way = way if k else "transposed"
    a, b = RNG.standard_normal((*batch, m, k)).astype(dtype), RNG.standard_normal((*batch, k, n)).astype(dtype)
    graph = graph_of(WAYS[way], a, b)
    changed = turned_products(graph)
    verify(changed)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    want = reference.run(graph, [a, b])[0]
    for got in (reference.run(changed, [a, b])[0], fl.compile(WAYS[way])(a, b)):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    loss = lambda a, b: np.sum(np.square(WAYS[way](a, b)))
    for got, want in zip(
        fl.compile(fl.grad(loss, argnums=(0, 1)))(a, b), fl.grad(loss, argnums=(0, 1))(a, b), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=20 * tolerance, atol=20 * tolerance)


A, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 5))


def test_by_hand():
    graph = graph_of(lambda a, b: (a @ b).T, A, B)
    assert products(graph) == [(4, 5)]
    changed = turned_products(graph)
    assert products(changed) == [(5, 4)]
    assert changed.outputs[0].op.kind is Kind.CONTRACTION
    np.testing.assert_allclose(reference.run(changed, [A, B])[0], B.T @ A.T, rtol=1e-14)


def test_batch_axes_move_with_it():
    a, b = RNG.standard_normal((2, 3, 4, 5)), RNG.standard_normal((2, 3, 5, 6))
    graph = graph_of(lambda a, b: np.transpose(a @ b, (1, 0, 3, 2)), a, b)
    assert products(turned_products(graph)) == [(3, 2, 6, 4)]
    np.testing.assert_allclose(reference.run(turned_products(graph), [a, b])[0], reference.run(graph, [a, b])[0])


LEFT_ALONE = {
    "read as it is too": (lambda a, b: (np.exp(a @ b), (a @ b).T), (A, B)),
    "a result": (lambda a, b: (a @ b, np.exp((a @ b).T)), (A, B)),
    "not transposed": (lambda a, b: np.exp(a @ b), (A, B)),
    "whole numbers": (lambda a, b: (a @ b).T, (A.astype(int), B.astype(int))),
    "batches alone": (lambda a, b: np.swapaxes(a @ b, 0, 1), (RNG.normal(size=(2, 3, 4, 3)), np.stack([[B] * 3] * 2))),
}


@pytest.mark.parametrize("case", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_is_left_alone(case):
    function, arrays = case
    graph = graph_of(function, *arrays)
    assert turned_products(graph) is graph
