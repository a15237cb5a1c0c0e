"""Simplified = original, on random graphs and their gradients; and each rule by a case worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.graph.node import CONSTANT, INPUT, Graph, new_input
from fallline.graph.op import TABLE, Kind
from fallline.graph.verify import verify
from fallline.passes.simplify import simplify
from fallline.program import reference

RNG = np.random.default_rng(0)
VALUES = [RNG.standard_normal(shape) for shape in [(3, 4), (4,), (), (1, 4), (3, 1)]]

# Ways to make a value from one or two others; all of them keep numbers moderate and have derivatives.
ONE = [
    lambda a: -a, lambda a: np.negative(-a), lambda a: a * 1, lambda a: 1 * a, lambda a: a + 0, lambda a: 0 + a,
    lambda a: a - 0,
    lambda a: a / 1, lambda a: np.tanh(a), lambda a: a * a, lambda a: a * 0.5 + 0.25, lambda a: a.T, lambda a: a.T.T,
    lambda a: a.reshape(-1).reshape(a.shape), lambda a: a.ravel(), lambda a: a[..., ::-1] if a.ndim else a,
    lambda a: a[..., 1:][..., ::2] if a.ndim else a, lambda a: np.broadcast_to(a, (2, *a.shape)) if a.ndim < 3 else a,
    lambda a: np.broadcast_to(np.broadcast_to(0.5, (4,)), (3, 4)) * a if a.shape == (3, 4) else a,
    lambda a: np.sum(a, axis=0), lambda a: np.sum(a[None], axis=0), lambda a: np.max(a, axis=-1, keepdims=True),
    lambda a: np.mean(a), lambda a: a.astype(np.float64), lambda a: fl.ops.stop_gradient(a) * a,
    lambda a: np.where(a > 0, a, 2 * a), lambda a: np.concatenate([a, a]) if a.ndim else a,
    lambda a: a + np.ones((1, 1)),
    lambda a: np.zeros_like(a) + a, lambda a: np.ones_like(a) * a, lambda a: np.pad(a, 0) if a.ndim else a,
    lambda a: np.logical_not(np.logical_not(a > 0)) * a, lambda a: np.maximum(a, a), lambda a: np.cumsum(a, axis=-1),
]  # fmt: skip
TWO = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - np.tanh(b), lambda a, b: np.maximum(a, b),
       lambda a, b: a / (2 + np.abs(b)), lambda a, b: np.hypot(a, b)]  # fmt: skip


@st.composite
def programs(draw):
    """A function of five arrays, built of random steps; steps that NumPy refuses are left out."""
    steps = draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=14)
    )

    def function(*values):
        pool = list(values)
        for which, i, j in steps:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            try:
                result = ONE[which % len(ONE)](a) if which < 40 else TWO[which % len(TWO)](a, b)
            except (ValueError, IndexError):
                continue
            if np.size(result) <= 500:
                pool.append(result)
        return pool[5:] or [pool[0]]

    return function


def working(graph):
    """The nodes that cost something."""
    return [node for node in graph.nodes() if node.op.kind not in (Kind.SOURCE, Kind.VIEW)]


def same(graph):
    simple = verify(simplify(graph))
    assert simple.inputs == graph.inputs
    assert len(working(simple)) <= len(working(graph))
    values = VALUES[: len(graph.inputs)]
    for a, b in zip(reference.run(graph, values), reference.run(simple, values), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
    return simple


@given(programs())
def test_simplified_is_the_original(function):
    same(fl.graph_of(function, *VALUES))


@given(programs())
def test_simplified_gradient_is_the_original(function):
    def loss(*values):
        return sum(np.sum(part) for part in function(*values))

    same(fl.graph_of(fl.grad(loss, argnums=(0, 1, 2, 3, 4)), *VALUES))


@given(programs())
def test_a_simplified_graph_has_nothing_left_to_simplify(function):
    once = simplify(fl.graph_of(function, *VALUES))
    assert len(simplify(once).nodes()) == len(once.nodes())


def left(function, *values):
    """The names of the ops that remain, sources aside."""
    graph = same_on(function, *values)
    return [node.op.name for node in graph.nodes() if node.op.kind is not Kind.SOURCE]


def same_on(function, *values):
    graph = fl.graph_of(function, *values)
    simple = verify(simplify(graph))
    for a, b in zip(reference.run(graph, values), reference.run(simple, values), strict=True):
        np.testing.assert_array_equal(a, b)
    return simple


X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(("function", "expected"), [
    (lambda x: x * 1, []), (lambda x: 1 * x, []), (lambda x: x + -0.0, []), (lambda x: -0.0 + x, []),
    (lambda x: x - 0, []), (lambda x: x + 0, ["add"]), (lambda x: x - -0.0, ["subtract"]),
    (lambda x: x / 1, []), (lambda x: np.negative(-x), []), (lambda x: x.astype(float), []), (lambda x: x.T.T, []),
    (lambda x: x.reshape(4, 3).reshape(3, 4), []), (lambda x: fl.ops.stop_gradient(x), []), (lambda x: x[:, :], []),
    (lambda x: np.pad(x, 0), []), (lambda x: np.zeros_like(x) + x, ["add"]), (lambda x: x * np.ones((3, 4)), []),
    (lambda x: x * np.arange(4), ["multiply"]), (lambda x: x + np.full((2, 1, 1), -0.0), ["broadcast_to"]),
    (lambda x: x * np.ones_like(x), []), (lambda x: np.sum(x[None], axis=0), ["add"]),
    (lambda x: np.sum((x > 0).astype(int)[None], axis=0), ["less", "cast"]),
    (lambda x: np.max(x[:, None], axis=1, keepdims=True), ["reshape"]),
    (lambda x: 0 - x, ["subtract"]), (lambda x: 1 / x, ["divide"]),
    (lambda x: x.reshape(2, 6).reshape(12), ["reshape"]), (lambda x: x[1:][:, 1:][::-1], ["slice"]),
    (lambda x: x.astype(np.float32).astype(float), ["cast", "cast"]),
    (lambda x: (x > 0).astype(np.float32).astype(float), ["less", "cast"]),
    (lambda x: np.broadcast_to(np.broadcast_to(x, (1, 3, 4)), (2, 3, 4)), ["broadcast_to"]),
    (lambda x: np.broadcast_to(x, (2, 3, 4)) + np.arange(2).reshape(2, 1, 1) * x, ["multiply", "add"]),
    (lambda x: np.exp(np.broadcast_to(x, (2, 3, 4))), ["exp", "broadcast_to"]),
    (lambda x: np.tanh(x) * np.tanh(x), ["tanh", "multiply"]), (lambda x: (x + 2) * (2 + x), ["add", "multiply"]),
    (lambda x: x * np.exp(np.ones(3)).sum(), ["multiply"]), (lambda x: [np.sin(x), np.sin(x)], ["sin"]),
    (lambda x: x * (np.ones((1, 1)) * 2), ["multiply"]), (lambda x: x + 1e-30, ["add"]),
])  # fmt: skip
def test_what_is_left_of(function, expected):
    assert left(function, X) == expected


def test_an_output_may_turn_out_to_be_an_input_or_a_constant():
    graph = same_on(lambda x: [x * 1, np.sqrt(np.zeros_like(x[0]) + np.arange(4.0))], X)
    assert [node.op for node in graph.outputs] == [INPUT, CONSTANT]


def test_large_constants_are_not_multiplied():
    graph = same_on(lambda x: x + np.broadcast_to(np.float64(2.0), (300, 3, 4)), X)
    assert all(node.attrs["value"].size == 1 for node in graph.nodes() if node.op is CONSTANT)
    big = np.ones((30, 40))
    kept = same_on(
        lambda x: np.sum(x) + np.outer(np.ones(100), np.ones(100)) + fl.ops.gather(big, np.argmax(x), axis=0)[0], X
    )
    assert max(node.attrs["value"].size for node in kept.nodes() if node.op is CONSTANT) <= 10_000


def test_facts_that_simplify_uses_are_true_of_their_ops():
    a, b = RNG.uniform(0.5, 1.5, (2, 5))
    for op in TABLE.values():
        if "commutes" in op.facts:
            np.testing.assert_array_equal(op.meaning(a, b), op.meaning(b, a))
        if "identity" in op.facts:
            np.testing.assert_array_equal(op.meaning(a, op.facts["identity"]), a)
        if "right_identity" in op.facts:
            np.testing.assert_array_equal(op.meaning(a, op.facts["right_identity"]), a)
        if "involution" in op.facts:
            x = a > 1 if op.name.startswith("logical") else a
            np.testing.assert_array_equal(op.meaning(op.meaning(x)), x)


def test_unused_inputs_stay():
    x, y = new_input((2,), np.float64), new_input((), np.float64)
    assert simplify(Graph((x, y), (x + 1,))).inputs == (x, y)


def test_gradients_of_cuts_from_one_vector_are_joined_not_added():
    def loss(theta):
        w, b, rest = theta[:6].reshape(2, 3), theta[6:9], theta[10:]
        return np.sum(np.tanh(w) @ b) + np.sum(rest**3)

    theta = np.linspace(-1, 1, 14)
    graph = same_on(fl.grad(loss), theta)
    joins = [node for node in graph.nodes() if node.op.kind is Kind.JOIN]
    assert [[part.size for part in node.inputs] for node in joins] == [[6, 3, 1, 4]]
    assert not [node for node in graph.nodes() if "sum" in node.op.facts and node.shape == theta.shape]


PARTS = [(0, 2), (2, 3), (5, 7), (4, 5), (3, 6), (7, 9)]


@given(st.lists(st.sampled_from(PARTS), min_size=2, max_size=6), st.integers(0, 1), st.integers(0, 99))
def test_arrays_laid_into_zeros_have_the_same_sum_joined_as_added(parts, axis, seed):
    """In any order, overlapping or not, summed in any nesting, and where parts of the sum, or its terms, have other
    uses, as in another such sum."""
    rng = np.random.default_rng(seed)
    shape = (9, 2) if axis == 0 else (2, 9)
    values = [rng.normal(size=(b - a, 2) if axis == 0 else (2, b - a)) for a, b in parts]

    def laid(x, a, b):
        widths = [(0, 0), (0, 0)]
        widths[axis] = (a, 9 - b)
        return np.pad(x, widths)

    def total(*xs):
        terms = [laid(x, a, b) for x, (a, b) in zip(xs, parts, strict=True)]
        used = [terms[int(i)] + terms[int(j)] for i, j in rng.integers(len(terms), size=(2, 2))]
        while len(terms) > 1:
            i, j = sorted(rng.choice(len(terms), 2, replace=False))
            terms.append(terms.pop(j) + terms.pop(i))
            used.append(terms[-1])
        assert terms[0].shape == shape
        return (terms[0], used[0], used[1], used[int(rng.integers(len(used)))] * 2)

    same_on(total, *values)


def test_a_join_says_where_its_parts_lie():
    for op in TABLE.values():
        if op.kind is Kind.JOIN:
            for args, attrs in op.domain(RNG):
                nodes = [new_input(a.shape, a.dtype) for a in args]
                result, seen = op.meaning(*args, **attrs), np.zeros(op(*nodes, **attrs).shape, bool)
                for a, window in zip(args, op.facts["windows"](*nodes, **attrs), strict=True):
                    np.testing.assert_array_equal(result[window], a)
                    assert not seen[window].any()
                    seen[window] = True
                assert not result[~seen].any()
                assert seen.all() or "side_by_side" not in op.facts
