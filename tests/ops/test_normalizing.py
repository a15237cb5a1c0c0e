"""Sums of exponentials: SciPy's values on plain arrays and on traced ones, and right derivatives."""

import numpy as np
import pytest
import scipy.special

import fallline as fl
from fallline.errors import TraceError
from fallline.program import reference

X = np.random.default_rng(0).standard_normal((3, 4)) * 3
CALLS = {
    "logsumexp": [{}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)},
                  {"axis": 0, "b": np.array([1.0, 2, 3, 4])}],
    "softmax": [{}, {"axis": 1}, {"axis": 0}],
    "log_softmax": [{}, {"axis": -1}],
}  # fmt: skip
CASES = [
    pytest.param(name, kwargs, id=f"{name}-{i}") for name, calls in CALLS.items() for i, kwargs in enumerate(calls)
]


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_values_are_scipys_on_plain_and_on_traced_arrays(name, kwargs):
    ours, scipys = getattr(fl.ops, name), getattr(scipy.special, name)
    for dtype in (np.float64, np.float32):
        x = X.astype(dtype)
        expected = scipys(x, **{k: v.astype(dtype) if k == "b" else v for k, v in kwargs.items()})
        kwargs = {k: v.astype(dtype) if k == "b" else v for k, v in kwargs.items()}
        traced = reference.run(fl.graph_of(lambda x, kwargs=kwargs, ours=ours: ours(x, **kwargs), x), [x])[0]
        for got in (ours(x, **kwargs), traced):
            assert (np.shape(got), got.dtype) == (np.shape(expected), expected.dtype)
            np.testing.assert_allclose(got, expected, rtol=1e-13 if dtype is np.float64 else 2e-6)


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_derivatives_to_second_order(name, kwargs):
    fl.testing.check_grads(lambda x: getattr(fl.ops, name)(x, **kwargs), (X,), order=2)


def test_what_scipy_turns_into_plain_arrays_is_pointed_to_ours():
    for name in CALLS:
        with pytest.raises(TraceError, match=f"SciPy's {name} [\\s\\S]*fallline.ops.{name}, which is the same"):
            fl.grad(lambda x, name=name: np.sum(getattr(scipy.special, name)(x)))(X)


def test_infinite_scores_are_certain_or_impossible():
    x = np.array([-np.inf, 0.0, -np.inf])
    np.testing.assert_array_equal(fl.vjp(fl.ops.softmax)(x)[0], [0, 1, 0])
    for none in ([np.inf, 0.0, 1.0], [-np.inf, -np.inf, -np.inf], [np.inf, -np.inf, np.inf]):
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(scipy.special.softmax(none), np.full(3, np.nan))
            np.testing.assert_array_equal(fl.ops.softmax(none), np.full(3, np.nan))
        np.testing.assert_array_equal(fl.vjp(fl.ops.softmax)(np.array(none))[0], np.full(3, np.nan))
    assert fl.vjp(fl.ops.logsumexp)(np.array([-np.inf, -np.inf]))[0] == -np.inf
    assert fl.vjp(fl.ops.logsumexp)(np.array([np.inf, 0.0]))[0] == np.inf


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(("a", "b"), [
    ([0, 1000], [1, 0]), ([1.0, 0], [1, -1]), ([0.0, 1], [1, -1]), ([0, NAN], [1, 0]), ([0, INF], [1, 0]),
    ([0, -INF], [1, 0]), ([-INF, -INF], [1, 1]), ([0.0, 1], [0, 0]), ([INF, 1], [1, 1]), ([0.0, 0], [1, -1]),
    ([-1000, 5000, -1001], [2, 0, 3]), ([700, 710.0], [-1, 1]), ([0.0, 1], [NAN, 1]), ([1e4, 0], [1e-300, 1]),
])  # fmt: skip
def test_what_has_no_weight_does_not_count(a, b):
    a, b = np.array(a, np.float64), np.array(b, np.float64)
    with np.errstate(all="ignore"):
        expected = scipy.special.logsumexp(a, b=b)
        for got in (fl.ops.logsumexp(a, b=b), fl.compile(lambda a, b: fl.ops.logsumexp(a, b=b))(a, b),
                    fl.ops.logsumexp(np.stack([a, a]), axis=1, b=b, keepdims=True)[1, 0]):  # fmt: skip
            np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_derivatives_in_weights_and_next_to_weights_of_zero():
    a, b = np.array([0.0, 1000, -1, 0.5]), np.array([1.0, 0, 0, -0.5])
    d_a, d_b = fl.grad(lambda a, b: fl.ops.logsumexp(a, b=b), argnums=(0, 1))(a, b)
    total = 1 - 0.5 * np.exp(0.5)
    np.testing.assert_allclose(d_a, [1 / total, 0, 0, -0.5 * np.exp(0.5) / total], rtol=1e-13)
    np.testing.assert_allclose(d_b[[0, 2, 3]], np.exp(a[[0, 2, 3]]) / total, rtol=1e-13)
    assert d_b[1] > 1e300
