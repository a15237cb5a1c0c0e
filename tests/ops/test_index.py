"""Indexing of traced values takes what NumPy takes, and sends every gradient back to where its element came from."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fallline as fl
from fallline.errors import ShapeError, TraceError
from fallline.program import reference

SHAPE = (3, 4, 5)
X = np.random.default_rng(0).standard_normal(SHAPE)


def of_traced(function, *args):
    return reference.run(fl.graph_of(function, *args), args)[0]


basic = hnp.basic_indices(SHAPE, allow_newaxis=True, allow_ellipsis=True)
whole = hnp.integer_array_indices(SHAPE, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
pieces = st.sampled_from(
    [slice(None), slice(None, None, -1), slice(3, 0, -2), slice(5, 2), 1, -1, np.int64(0), None, Ellipsis,
     np.array([0, 2, -1]), np.array([[1], [2]]), np.array([], int), [0, 1, 1], np.array(2)]
)  # fmt: skip
mixed = st.lists(pieces, min_size=1, max_size=4).map(tuple).filter(lambda ix: sum(p is Ellipsis for p in ix) < 2)


@given(basic | whole | mixed)
def test_every_index_reads_what_numpy_reads(index):
    try:
        expected = X[index]
    except (IndexError, ValueError):
        with pytest.raises((IndexError, ValueError)):
            of_traced(lambda x: x[index], X)
        return
    got = of_traced(lambda x: x[index], X)
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@given(basic | whole)
def test_the_gradient_counts_how_often_each_element_was_read(index):
    counts = np.zeros(SHAPE)
    np.add.at(counts, index, 1.0)
    np.testing.assert_array_equal(fl.grad(lambda x: np.sum(x[index]))(X), counts)


@pytest.mark.parametrize(
    "mask",
    [X > 0, (X > 0)[:, :, 0], (X[:, 0, 0] > 0, slice(None), 2), (slice(None), X[0] > 0), (Ellipsis, X[0, 0] > 0),
     X > 99, ([True, False, True], [0, 1])],
    ids=lambda mask: "",
)  # fmt: skip
def test_constant_masks_pick_what_numpy_picks(mask):
    np.testing.assert_array_equal(of_traced(lambda x: x[mask], X), X[mask])
    counts = np.zeros(SHAPE)
    np.add.at(counts, mask, 1.0)
    np.testing.assert_array_equal(fl.grad(lambda x: np.sum(x[mask]))(X), counts)


@pytest.mark.parametrize("read", [
    lambda x, i: x[i], lambda x, i: x[:, i], lambda x, i: x[i, i], lambda x, i: x[i, :, i], lambda x, i: x[i[0]],
    lambda x, i: x[None, i, ..., 0], lambda x, i: np.take(x, i, axis=1), lambda x, i: x[i, [0, 1, 2]],
])  # fmt: skip
def test_positions_may_be_traced_too(read):
    i = np.array([2, 0, -1])
    np.testing.assert_array_equal(of_traced(read, X, i), read(X, i))


def test_a_position_outside_is_an_index_error_with_the_users_line():
    with pytest.raises(IndexError, match=r"index 7 is out of bounds for axis 1 with size 4\n  at test_index.py:"):
        fl.grad(lambda x: x[0, 7, 0])(X)
    with pytest.raises(IndexError, match="too many indices"):
        fl.grad(lambda x: x[0, 0, 0, 0])(X)
    with pytest.raises(IndexError, match="index -9 is out of bounds for axis 2"):
        fl.grad(lambda x: np.sum(x[:, :, [0, -9]]))(X)
    with pytest.raises(IndexError, match="positions are whole numbers"):
        fl.grad(lambda x: np.sum(x[np.array([0.5])]))(X)


def test_a_traced_mask_is_refused_with_the_hint():
    with pytest.raises(TraceError, match=r"traced mask[\s\S]*np.where\(mask, x, 0\)"):
        fl.grad(lambda x: np.sum(x[x > 0]))(X)
    with pytest.raises(TraceError, match=r"np.where\(condition, x, y\)"):
        fl.grad(lambda x: np.sum(x[np.where(x > 0)]))(X)


def test_a_traced_value_is_walked_over_row_by_row():
    assert of_traced(lambda x: sum(np.sum(row) * i for i, row in enumerate(x)), X) == pytest.approx(
        sum(row.sum() * i for i, row in enumerate(X)), rel=1e-14
    )


@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
@pytest.mark.parametrize("run", [lambda f: f, fl.compile], ids=["reference", "machine"])
def test_gather_counts_axes_from_the_end_too(run, axis):
    x, i = np.arange(60.0).reshape(4, 3, 5), np.array([[0, 2], [-1, 1]])
    gather = partial(fl.ops.gather, axis=axis)
    np.testing.assert_array_equal(run(gather)(x, i), np.take(x, i, axis=axis))
    weights = np.sin(np.arange(np.take(x, i, axis=axis).size)).reshape(np.take(x, i, axis=axis).shape)
    places = np.take(np.arange(60).reshape(x.shape), i, axis=axis)
    expected = np.bincount(places.ravel(), weights.ravel(), minlength=60).reshape(x.shape)
    got = run(fl.grad(lambda x: np.sum(gather(x, i) * weights)))(x)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    many = np.stack([x, -x])
    np.testing.assert_array_equal(run(fl.vmap(lambda x: gather(x, i)))(many), np.stack([gather(x, i), gather(-x, i)]))


def test_gather_refuses_axes_and_positions_that_are_none():
    for on in (lambda f: f, fl.compile):
        for axis in (2, -3):
            with pytest.raises(ShapeError, match=f"axis {axis} does not exist in an array with 2 axes"):
                on(lambda x, axis=axis: fl.ops.gather(x, np.array([0]), axis=axis))(np.ones((2, 3)))
        with pytest.raises(ShapeError, match="positions are whole numbers, got bool"):
            on(lambda x: fl.ops.gather(x, np.array([True, False]), axis=0))(np.ones((2, 3)))
