"""A bias added by its product: the same results, one instruction less for each layer, and nothing else touched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.graph.verify import verify
from fallline.passes.add_row import rows_into_products
from fallline.passes.simplify import simplify
from fallline.program import reference
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program

RNG = np.random.default_rng(0)


def graph_of(function, *arrays):
    return simplify(trace(function, [new_input(a.shape, a.dtype) for a in arrays])[0])


def merged(graph):
    return [node for node in graph.nodes() if node.op.name == "contract_onto"]


@settings(max_examples=25)
@given(
    m=st.integers(1, 9),
    k=st.integers(1, 9),
    n=st.integers(1, 9),
    turned=st.booleans(),
    first=st.booleans(),
    lead=st.sampled_from([(), (1,)]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_a_product_plus_a_row_is_the_same_number(m, k, n, turned, first, lead, dtype):
    x, w, b = (RNG.standard_normal(shape).astype(dtype) for shape in ((m, k), (n, k) if turned else (k, n), (*lead, n)))

    def layer(x, w, b):
        product = x @ (w.T if turned else w)
        return np.tanh(b + product if first else product + b)

    graph = graph_of(layer, x, w, b)
    changed = rows_into_products(graph)
    verify(changed)
    assert len(merged(changed)) == 1
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    program = Program(lower(changed), [x, w, b])
    program.run()
    for got in (reference.run(changed, [x, w, b])[0], program.value(program.outputs[0])):
        np.testing.assert_allclose(got, reference.run(graph, [x, w, b])[0], rtol=tolerance, atol=tolerance)


def test_by_hand():
    # [1 2] @ [[3], [4]] = 11, and 0.5 more.
    x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5])
    program = Program(lower(prepared(graph_of(lambda x, w, b: x @ w + b, x, w, b))), [x, w, b])
    program.run()
    assert program.value(program.outputs[0]) == 11.5
    assert [instruction.name for instruction in program.instructions] == ["product"]


X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 5)), RNG.standard_normal(5)
LEFT_ALONE = {
    "the product is read elsewhere": (lambda x, w, b: (x @ w + b) * np.sum(x @ w), (X, W, B)),
    "the product is a result": (lambda x, w, b: [x @ w, x @ w + b], (X, W, B)),
    "not a row": (lambda x, w, b: x @ w + b, (X, W, RNG.standard_normal((4, 1)))),
    "as many rows as the product has": (lambda x, w, b: x @ w + b, (X, W, RNG.standard_normal((4, 5)))),
    "one number": (lambda x, w, b: x @ w + b, (X, W, np.array(2.0))),
    "whole numbers": (lambda x, w, b: x @ w + b, tuple(np.arange(a.size).reshape(a.shape) for a in (X, W, B))),
    "a difference": (lambda x, w, b: x @ w - b, (X, W, B)),
}


@pytest.mark.parametrize("case", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_is_left_alone(case):
    function, arrays = case
    graph = graph_of(function, *arrays)
    changed = rows_into_products(graph)
    assert not merged(changed)
    for a, b in zip(reference.run(graph, arrays), reference.run(changed, arrays), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_of_products_adds_one_row():
    x, w = RNG.standard_normal((2, 4, 3)), RNG.standard_normal((2, 3, 5))
    graph = graph_of(lambda x, w, b: x @ w + b, x, w, B)
    program = Program(lower(rows_into_products(graph)), [x, w, B])
    program.run()
    np.testing.assert_allclose(program.value(program.outputs[0]), x @ w + B, rtol=1e-13, atol=1e-13)


def test_a_large_row_swallows_no_terms():
    # float32 near a million has steps of 1/16: each of the thousand terms alone would be rounded away or up.
    x, w, b = np.full((2, 1000), 0.1, np.float32), np.full((1000, 3), 0.1, np.float32), np.full(3, 1e6, np.float32)
    program = Program(lower(prepared(graph_of(lambda x, w, b: x @ w + b, x, w, b))), [x, w, b])
    program.run()
    np.testing.assert_allclose(program.value(program.outputs[0]), 1000010.0, rtol=0, atol=0.1)
