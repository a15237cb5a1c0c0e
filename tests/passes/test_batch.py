"""Laws of batching that are not about one op: values without rows, requirements of a declaration, places of nodes.

That every op is right for many rows is a law of the table of ops, tests/ops/test_table.py.
"""

import numpy as np
import pytest

import fallline as fl
from fallline.errors import GraphError
from fallline.graph.declare import primitive, reduction
from fallline.graph.node import Graph, new_input
from fallline.graph.op import BATCH, TABLE, Kind, of_rows
from fallline.graph.trace import trace
from fallline.graph.verify import verify
from fallline.passes.batch import RULES, batch
from fallline.program import reference


def test_what_depends_on_no_row_is_computed_once_and_has_no_rows():
    row, whole, weights = new_input((3,), float), new_input((5, 3), float), new_input((3, 2), float)
    graph, _ = trace(lambda row, w: (row @ w, np.tanh(w), row * 2), [row, weights])
    (y, y_has), (t, t_has), (_, d_has) = batch(graph.outputs, {row: whole}, 5)
    assert (y_has, t_has, d_has) == (True, False, True)
    assert t is graph.outputs[1]
    assert (y.shape, t.shape) == ((5, 2), (3, 2))
    verify(Graph((whole, weights), (y, t)))
    assert row not in set(Graph((whole, weights), (y, t)).nodes())


def test_nodes_keep_the_place_they_were_made_at():
    row, whole = new_input((3,), float), new_input((5, 3), float)
    graph, _ = trace(lambda row: np.sum(np.tanh(row)), [row])
    ((y, _),) = batch(graph.outputs, {row: whole}, 5)
    assert {node.where for node in (y, *y.inputs)} == {
        node.where for node in (graph.outputs[0], *graph.outputs[0].inputs)
    }


def test_a_row_of_a_product_is_a_row_of_one_larger_product():
    """Not one product a row: whichever factor has rows, whatever axes are in front."""
    for a, b, axes in (((3,), (3, 2), (0, None)), ((4, 3), (3,), (None, 0)), ((2, 4, 3), (2, 3, 5), (None, 0))):
        given = [np.ones((7, *shape) if axis == 0 else shape) for shape, axis in zip((a, b), axes, strict=True)]
        nodes = fl.graph_of(fl.vmap(np.matmul, in_axes=axes), *given).nodes()
        (product,) = [node for node in nodes if node.op.kind is Kind.CONTRACTION]
        assert product.shape[:-2] == (a[:-2] if len(a) > 2 else ())


def test_every_kind_has_a_rule_and_says_its_attributes_or_leaves_them_to_its_ops():
    assert set(RULES) | {Kind.SOURCE} == set(Kind)
    own = {op.kind for op in TABLE.values() if op.batch is not None}
    assert own == set(Kind) - set(BATCH)
    for op in TABLE.values():
        assert set(op.leads) >= set(op.meaning.__kwdefaults__ or ()), op


@pytest.fixture
def table():
    before = dict(TABLE)
    yield TABLE
    TABLE.clear()
    TABLE.update(before)


def flat(x):
    """All elements in one row."""
    return x.reshape(-1)


def test_a_view_that_does_not_say_what_becomes_of_it_is_refused_by_name(table):
    declare = primitive(Kind.VIEW, infer=lambda x: ((x.size,), x.dtype), grad=None)
    with pytest.raises(
        GraphError, match=r"op 'flat' does not say that it, a view, stays the same .*\n  try: batch=\{\}"
    ):
        declare(flat)
    assert "flat" not in table


def test_an_attribute_that_is_left_out_is_named(table):
    def twice(x, *, shape, by=2):
        return np.reshape(x * by, shape)

    infer = lambda x, *, shape, by=2: (shape, x.dtype)
    with pytest.raises(GraphError, match=r"op 'twice' .* 'shape' .*\n  try: batch=\{'shape': ..., 'by': ...\}"):
        primitive(Kind.SCAN, infer=infer, grad=None)(twice)
    with pytest.raises(GraphError, match=r"op 'folded' .* its attribute 'weight'"):

        @reduction(grad=None)
        def folded(x, *, axes, keepdims=False, weight=1):
            return weight * np.sum(x, axis=axes, keepdims=keepdims)

    assert not {"twice", "folded"} & set(table)
    op = primitive(Kind.VIEW, infer=infer, grad=None, batch={"shape": of_rows, "by": lambda by, n: by})(twice)
    x = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(fl.vmap(lambda x: op(x, shape=(3, 2)))(x), 2 * x.reshape(2, 3, 2))


def test_a_position_outside_its_row_is_not_found_in_another():
    x, index = np.arange(6.0).reshape(2, 3), np.array([2, 3])
    row = lambda x, i: fl.ops.gather(x, i, axis=0)
    for function in (fl.vmap(row), fl.compile(fl.vmap(row))):
        for wrong in (index, np.array([-4, 0])):
            with pytest.raises(IndexError):
                function(x, wrong)
    np.testing.assert_array_equal(fl.vmap(row)(x, np.array([-1, -3])), [2, 3])


def test_the_batch_of_a_graph_runs_as_the_graph_on_each_row():
    rng = np.random.default_rng(0)
    row, whole = new_input((4,), float), new_input((6, 4), float)
    graph, _ = trace(lambda x: np.sort(np.cumsum(np.exp(x[::-1])))[1:] @ np.arange(3.0), [row])
    ((y, _),) = batch(graph.outputs, {row: whole}, 6)
    x = rng.normal(size=(6, 4))
    expected = [reference.run(graph, [each])[0] for each in x]
    np.testing.assert_allclose(reference.run(Graph((whole,), (y,)), [x])[0], expected, rtol=1e-14)
