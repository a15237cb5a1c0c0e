"""Few columns taken apart: the same results from few chains, whatever stands before and behind them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.graph.node import new_input
from fallline.graph.op import Kind
from fallline.graph.trace import trace
from fallline.graph.verify import verify
from fallline.passes.columns import MOST, by_columns
from fallline.passes.simplify import simplify
from fallline.program import reference
from fallline.program.lower import lower, prepared
from fallline.program.machine import Program

RNG = np.random.default_rng(0)


def graph_of(function, *arrays):
    return simplify(trace(function, [new_input(a.shape, a.dtype) for a in arrays])[0])


def on_machine(graph, arrays):
    program = Program(lower(graph), arrays)
    program.run()
    return [np.array(program.value(ref)) for ref in program.outputs]


def log_loss(x, w, b, y):
    """Cross-entropy with its gradient for what comes in, written out; the logits are results too."""
    z = x @ w + b
    shifted = z - np.max(z, axis=1, keepdims=True)
    hit = y[:, None] == np.arange(len(b))
    exps = np.exp(shifted)
    total = np.sum(exps, axis=1)
    loss = np.mean(np.log(total) - np.sum(np.where(hit, shifted, 0), axis=1))
    gradient = (exps * (1 / total)[:, None] - np.where(hit, 1, 0)) * (1 / len(y))
    return loss, z, x.T @ gradient, np.sum(gradient, axis=0), gradient @ w.T


@settings(max_examples=25)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, MOST + 1),
    depth=st.integers(1, 5),
    dtype=st.sampled_from(["float32", "float64"]),
    turned=st.booleans(),
)
def test_a_loss_over_few_classes_is_the_same_number(rows, columns, depth, dtype, turned):
    w, b = RNG.standard_normal((depth, columns)).astype(dtype), RNG.standard_normal(columns).astype(dtype)
    x = RNG.standard_normal((depth, rows) if turned else (rows, depth)).astype(dtype)
    arrays = [x, w, b, RNG.integers(0, columns, rows)]
    graph = graph_of(lambda x, *rest: log_loss(x.T if turned else x, *rest), *arrays)
    apart = by_columns(graph)
    verify(apart)
    expected = reference.run(graph, arrays)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for got in (reference.run(apart, arrays), on_machine(prepared(graph), arrays)):
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
            assert one.shape == other.shape
            assert one.dtype == other.dtype


def test_a_loss_of_two_classes_is_two_chains():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((10, 4)), rng.standard_normal((4, 2)), np.zeros(2), rng.integers(0, 2, 10)]
    names = [ins.name for ins in lower(prepared(graph_of(log_loss, *arrays))).instructions]
    chains = [name for name in names if "+" in name]
    assert len([name for name in chains if "maximum" in name and "log" in name]) == 1
    assert len(chains) <= 3
    assert not [name for name in names if name.startswith("fold_max") or name == "copy"]


def test_by_hand():
    x = np.array([[1.0, 5.0], [4.0, 2.0], [3.0, 3.0]])
    graph = graph_of(lambda x: (np.max(x, axis=1), np.min(x, axis=1, keepdims=True), x - np.sum(x, axis=1)[:, None]), x)
    highest, lowest, rest = on_machine(prepared(graph), [x])
    np.testing.assert_array_equal(highest, [5, 4, 3])
    np.testing.assert_array_equal(lowest, [[1], [2], [3]])
    np.testing.assert_array_equal(rest, [[-5, -1], [-2, -4], [-3, -3]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(value):
    x = np.array([[1.0, value], [value, value], [2.0, 3.0]])
    graph = graph_of(lambda x: (np.max(x, axis=1), np.min(x, axis=1), np.sum(x, axis=1)), x)
    for one, other in zip(on_machine(prepared(graph), [x]), reference.run(graph, [x]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(4, MOST + 1), (1, 2), (4, 1), (3, 4, 2)])
def test_other_shapes_are_left_alone(shape):
    x = np.ones(shape)
    graph = graph_of(lambda x: np.exp(x - np.max(x, axis=-1, keepdims=True)), x)
    assert by_columns(graph) is graph


def test_without_a_fold_nothing_is_taken_apart():
    x = np.ones((4, 2))
    graph = graph_of(lambda x: (np.exp(x) + 1, np.sum(x, axis=0)), x)
    assert by_columns(graph) is graph


def test_columns_are_written_where_their_join_lies():
    x = np.arange(8.0).reshape(4, 2)
    graph = prepared(graph_of(lambda x: (x - np.max(x, axis=1, keepdims=True)) * 2 + x, x))
    assert any(node.op.kind is Kind.JOIN for node in graph.nodes())
    assert len(lower(graph).instructions) == 1
    np.testing.assert_array_equal(on_machine(graph, [x])[0], [[-2, 1], [0, 3], [2, 5], [4, 7]])
