"""Values chosen where a derivative does not exist, each pinned; and functions at zero, at infinity and at nothing."""

import math

import numpy as np
import pytest
import scipy.special

import fallline as fl
from fallline.program import reference


def slope(function, x):
    return fl.grad(function)(np.float64(x))


@pytest.mark.parametrize(("function", "at", "expected"), [
    (fl.ops.relu, 0.0, 0.0),
    (np.abs, 0.0, 0.0),
    (np.sign, 0.0, 0.0),
    (np.floor, 1.0, 0.0),
    (lambda x: np.maximum(x, 0), 0.0, 0.5),
    (lambda x: np.minimum(x, 0), 0.0, 0.5),
    (lambda x: np.clip(x, 0, 1), 0.0, 0.5),
    (lambda x: np.clip(x, 0, 1), 1.0, 0.5),
    (lambda x: np.where(x > 0, x, 2 * x), 0.0, 2.0),
    (lambda x: np.hypot(x, 0), 0.0, 0.0),
    (lambda x: np.linalg.norm(np.stack([x, x])), 0.0, 0.0),
    (lambda x: np.linalg.norm(np.stack([x, x]), 3), 0.0, 0.0),
    (lambda x: np.std(np.stack([x, 1.0])), 1.0, 0.0),
    (lambda x: x**0, 0.0, 0.0),
    (lambda x: x**2, 0.0, 0.0),
    (lambda x: np.power(x, 3.0), 0.0, 0.0),
    (lambda x: np.power(0.0, x), 2.0, 0.0),
    (lambda x: np.power(-2.0, x), 2.0, 0.0),
    (lambda x: np.logaddexp(x, 800.0), 800.0, 0.5),
    (lambda x: fl.ops.xlogy(x, 2.0), 0.0, math.log(2)),
    (lambda x: fl.ops.xlogy(x, 0.0), 0.0, 0.0),
    (lambda x: fl.ops.sigmoid(x), -800.0, 0.0),
    (np.round, 0.3, 0.0),
])  # fmt: skip
def test_the_derivative_chosen_at_a_kink(function, at, expected):
    assert slope(function, at) == pytest.approx(expected, abs=1e-15)


def test_second_derivatives_at_zero_of_lengths_are_finite():
    x = np.zeros(3)
    assert np.isfinite(fl.hessian(np.linalg.norm)(x)).all()
    assert np.isfinite(fl.hessian(np.std)(x)).all()


@pytest.mark.parametrize("fold", [np.max, np.min])
def test_equal_extremes_share_the_gradient(fold):
    np.testing.assert_array_equal(fl.grad(fold)(np.array([2.0, 2.0, 2.0, 2.0])), [0.25] * 4)
    x = np.array([[1.0, 5.0, 5.0], [5.0, 1.0, 1.0]]) * (1 if fold is np.max else -1)
    np.testing.assert_array_equal(fl.grad(fold)(x), [[0, 1 / 3, 1 / 3], [1 / 3, 0, 0]])
    by_row = fl.grad(lambda x: np.sum(fold(x, axis=1) * np.array([1.0, 2.0])))(x)
    np.testing.assert_array_equal(by_row, [[0, 0.5, 0.5], [2, 0, 0]])


def test_the_product_has_right_derivatives_at_zeros():
    # d/dx1 of x0 x1 x2 x3 at (2, 0, 3, 5) is 30; with a second zero the mixed second derivative alone is left.
    np.testing.assert_array_equal(fl.grad(np.prod)(np.array([2.0, 0, 3, 5])), [0, 30, 0, 0])
    hessian = fl.hessian(np.prod)(np.array([2.0, 0, 0, 5]))
    expected = np.zeros((4, 4))
    expected[1, 2] = expected[2, 1] = 10
    np.testing.assert_array_equal(hessian, expected)
    third = fl.jacobian(fl.hessian(np.prod))(np.zeros(3))
    assert third[0, 1, 2] == 1
    assert np.sum(third) == 6
    np.testing.assert_array_equal(fl.grad(lambda x: np.cumprod(x)[-1])(np.array([2.0, 0, 3, 5])), [0, 30, 0, 0])


def test_a_nan_stays_one():
    x = np.array([np.nan, 1.0])
    for function in (fl.ops.relu, np.sign, lambda x: np.maximum(x, 0), lambda x: np.minimum(0, x), np.rint, np.trunc,
                     lambda x: np.clip(x, 0, 1), lambda x: np.hypot(x, 1), np.max, np.std, np.linalg.norm,
                     fl.ops.logsumexp):  # fmt: skip
        value = reference.run(fl.graph_of(function, x), [x])[0]
        assert np.isnan(value.flat[0]), function


def test_large_and_small_numbers_do_not_overflow():
    big = np.array([1e200, 1e200])
    value, (g, _) = fl.value_and_grad(lambda a, b: np.hypot(a, b), argnums=(0, 1))(*big)
    assert value == pytest.approx(math.hypot(*big), rel=1e-15)
    assert g == pytest.approx(math.sqrt(0.5))
    assert fl.grad(lambda x: np.hypot(x, 1e-200))(1e-200) == pytest.approx(math.sqrt(0.5))
    assert fl.value_and_grad(np.hypot)(np.inf, 1.0)[0] == np.inf
    x = np.array([1000.0, 1001.0])
    np.testing.assert_allclose(fl.grad(fl.ops.logsumexp)(x), scipy.special.softmax(x))
    np.testing.assert_allclose(fl.vjp(fl.ops.log_expit)(np.array([-800.0, 800.0]))[0], [-800, 0])


@pytest.mark.parametrize("x", [-0.5, 0.5, 1.5, 2.5, 0.49999999999999994, -2.5, 7.0, -0.0])
def test_rounding_to_even_is_numpys(x):
    for function in (np.rint, np.round, np.trunc, np.ceil, np.floor, lambda x: np.round(x, 1)):
        assert reference.run(fl.graph_of(function, np.float64(x)), [np.asarray(x)])[0] == function(x)


# Arrays of no elements and no axes, and of other dtypes.


FOLDS = (np.sum, np.mean, np.var, np.std, np.prod, np.max, np.min, np.ptp, np.argmax, np.argmin, np.any, np.all)
LAYOUTS = (np.cumsum, np.cumprod, np.ravel, np.squeeze, np.atleast_1d, np.atleast_2d, np.transpose)


@pytest.mark.parametrize("function", [*FOLDS, *LAYOUTS, np.abs, np.linalg.norm])
def test_a_value_without_axes(function):
    x = np.asarray(1.5)
    got = reference.run(fl.graph_of(function, x), [x])[0]
    expected = np.asarray(function(x))
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_folds_over_no_elements(shape):
    x = np.zeros(shape)
    for function in (np.sum, np.mean, np.prod, np.var, np.std, np.any, np.all, np.count_nonzero, np.linalg.norm):
        for axis in (None, 0, -1):
            if function is np.linalg.norm and axis is None and x.ndim > 2:
                continue
            got = reference.run(fl.graph_of(function, x, axis=axis), [x])[0]
            expected = np.asarray(function(x, axis=axis))
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype), (function, axis)
            np.testing.assert_array_equal(got, expected)
    for function in (np.max, np.min, np.argmax):
        with pytest.raises(ValueError, match="over no elements"):
            fl.graph_of(function, x)
    np.testing.assert_array_equal(fl.grad(np.sum)(x), x)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.int32, np.uint8])
def test_whole_numbers_and_booleans_fold_as_numpy_folds_them(dtype):
    x = np.array([[3, 0, 2], [1, 1, 7]]).astype(dtype)
    sums = (lambda x: x + x, lambda x: x * 2, lambda x: x * 2.5, lambda x: x / 2, lambda x: x + np.float32(1))
    others = (np.exp, np.sort, lambda x: np.where(x > 1, x, x), lambda x: x if x.dtype == bool else x @ x.T)
    folds = (fold for fold in FOLDS if dtype is not bool or fold is not np.ptp)
    for function in (*folds, np.cumsum, np.cumprod, *sums, *others):
        got = reference.run(fl.graph_of(function, x), [x])[0]
        expected = np.asarray(function(x))
        if dtype in (np.int32, np.uint8, bool) and got.dtype != expected.dtype:
            # One rule of ours: narrow whole numbers are counted in int64, and their real functions are float64.
            assert got.dtype.kind == expected.dtype.kind or (got.dtype, expected.dtype.kind) == (np.int64, "u")
        else:
            assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected.astype(np.float64), rtol=1e-3 if dtype in (np.uint8, bool) else 1e-13)


def hessian(function, *at):
    return fl.hessian(lambda x: function(*x))(np.array(at, dtype=np.float64))


@pytest.mark.parametrize(("at", "expected"), [
    ((2.0, 0.0), [[0, 0.5], [0.5, math.log(2) ** 2]]),
    ((1.0, 3.0), [[6, 1], [1, 0]]),
    ((1.0, 0.0), [[0, 1], [1, 0]]),
    ((2.0, 1.0), [[0, 1 + math.log(2)], [1 + math.log(2), 2 * math.log(2) ** 2]]),
    ((0.0, 2.0), [[2, 0], [0, 0]]),
    ((0.0, 1.0), [[0, 0], [0, 0]]),
    ((0.0, 0.0), [[0, 0], [0, 0]]),
    ((-2.0, 2.0), [[2, 0], [0, 0]]),
    ((-2.0, 0.0), [[0, 0], [0, 0]]),
])  # fmt: skip
def test_the_hessian_of_a_power_at_special_points(at, expected):
    # Where a <= 0 the exponent counts as a constant, so the mixed derivative is 0 from both sides.
    np.testing.assert_allclose(hessian(np.power, *at), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("square", [lambda r: r**2, np.square, lambda r: r * r, lambda r: np.power(r, 2.0)])
def test_the_square_of_a_length_has_its_hessian_at_zero(square):
    for length in (np.linalg.norm, lambda x: np.hypot(x[0], x[1]), lambda x: np.linalg.norm(x, axis=0)):
        for x in (np.zeros(2), np.array([3.0, 4.0])):
            np.testing.assert_allclose(fl.hessian(lambda x, f=length: square(f(x)))(x), 2 * np.eye(2), atol=1e-15)
    column, half = (
        lambda r: np.sum(square(r[None, None])),
        lambda r: square(0.5 * r) + square(-r / 2) + 0.25 * r * 2 * r,
    )
    for function in (column, half, lambda r: square(r) * r / (r + 1) + square(2 * (-r)) / 4):
        np.testing.assert_allclose(fl.hessian(lambda x, f=function: f(np.linalg.norm(x)))(np.zeros(2)), 2 * np.eye(2))
    spread = fl.hessian(lambda x: square(np.std(x)))(np.zeros(2))
    np.testing.assert_allclose(spread, [[0.5, -0.5], [-0.5, 0.5]])
    np.testing.assert_array_equal(fl.hessian(lambda x: np.linalg.norm(x) ** 4)(np.zeros(2)), np.zeros((2, 2)))
