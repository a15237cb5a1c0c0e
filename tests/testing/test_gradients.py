"""The test of the check: a rule wrong by 0.1 % must fail, so must a forgotten broadcast sum; right rules must pass."""

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError, ArgumentTypeError, FalllineError, GradientError
from fallline.graph.declare import elementwise, primitive
from fallline.graph.op import TABLE, Kind

check_grads = fl.testing.check_grads
X = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4))


@pytest.fixture(autouse=True)
def table():
    """Ops declared in a test are gone after it."""
    before = dict(TABLE)
    yield
    TABLE.clear()
    TABLE.update(before)


def failure(function, args, **kwargs):
    with pytest.raises(GradientError) as caught:
        check_grads(function, args, **kwargs)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, FalllineError)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_rule_wrong_by_a_thousandth_fails(dtype):
    @elementwise(grad=lambda g, y, x: (g * np.cos(x) * 1.001,))
    def almost_sin(x):
        """Sine, with a slope one thousandth too steep."""
        return np.sin(x)

    message = failure(almost_sin, (X.astype(dtype),))
    assert "order 1 with respect to argument 0 is wrong, by vjp" in message
    assert "difference quotient" in message
    check_grads(np.sin, (X.astype(dtype),), order=3)


def test_a_forgotten_broadcast_sum_fails():
    @primitive(Kind.JOIN, batch={}, infer=lambda x, b: (x.shape, x.dtype), grad=lambda g, y, x, b: (g, g[0]))
    def shifted(x, b):
        """Rows plus a row; its rule keeps the first row's gradient instead of the sum of all."""
        return x + b

    message = failure(shifted, (X, np.ones(4)))
    assert "with respect to argument 1" in message

    @primitive(
        Kind.JOIN, batch={}, infer=lambda x, b: (x.shape, x.dtype), grad=lambda g, y, x, b: (g, np.sum(g, axis=0))
    )
    def rightly_shifted(x, b):
        """Rows plus a row."""
        return x + b

    check_grads(rightly_shifted, (X, np.ones(4)))


def test_a_rule_right_at_first_order_and_wrong_at_second_fails_at_second():
    @elementwise(grad=lambda g, y, x: (g * fl.ops.stop_gradient(2 * x),))
    def square_once(x):
        """Square, whose rule cannot be differentiated again."""
        return x * x

    check_grads(square_once, (X,), order=1)
    assert "derivative of order 2" in failure(square_once, (X,), order=2)


def test_a_missing_derivative_fails():
    assert "gradient along a random direction  0\n" in failure(lambda x: fl.ops.stop_gradient(np.sin(x)), (X,))


def test_the_argument_is_named_by_its_path():
    params = {"w": X, "b": [np.ones(4), np.ones(3)]}

    def f(p, x):
        return np.sum(x @ p["w"] + p["b"][0]) + np.sum(fl.ops.stop_gradient(p["b"][1]) ** 2)

    assert "with respect to argument 0.b.1 is wrong" in failure(f, (params, np.ones((2, 3))))


@pytest.mark.parametrize("function", [
    lambda x: np.sum(x), lambda x: [x, {"a": x * x}], lambda x: np.exp(10 * x), lambda x: 1e-8 * np.sin(x),
    lambda x: 1e8 * np.sin(x), lambda x: np.ones(3), lambda x: np.argmax(x), lambda x: (np.argmax(x), x**3),
    lambda x: np.sin(x) + 1e6, lambda x: np.log(x), lambda x: x**-6.5, lambda x: np.linalg.norm(x - 1),
])  # fmt: skip
def test_right_gradients_of_any_size_and_form_pass(function):
    check_grads(function, (X,), order=3)


def test_arguments_of_very_different_sizes():
    x = np.array([1e-4, 1.0, 1e5, -30.0])
    check_grads(lambda x: np.sum(np.log(np.abs(x)) * x), (x,))
    check_grads(lambda x: np.sum(x**2), (np.zeros(3),))


def test_whole_numbers_and_strings_among_the_arguments_are_left_alone():
    check_grads(lambda x, n, axis, how: np.sum(x**n, axis=axis) if how == "power" else None, (X, 3, 1, "power"))
    check_grads(lambda x, i: x[i], (X, np.array([0, 0, 2])))


def test_empty_arrays_have_nothing_to_check():
    check_grads(lambda x, y: np.sum(x) + y, (np.zeros((0, 3)), 2.0))


def test_a_function_that_computes_in_float32_inside_is_checked_with_what_digits_there_are():
    check_grads(lambda x: np.sin(x.astype(np.float32)), (X,), order=1)
    assert "is wrong" in failure(lambda x: np.sin(fl.ops.stop_gradient(x).astype(np.float32)), (X,))


def test_the_check_is_the_same_each_time_and_its_tolerance_can_be_set():
    wrong = lambda x: np.sin(x) + 1e-5 * fl.ops.stop_gradient(np.sin(x))
    assert failure(wrong, (X,)) == failure(wrong, (X,))
    assert failure(wrong, (X,)) != failure(wrong, (X,), seed=1)
    check_grads(wrong, (X,), order=1, tolerance=1e-3)


def test_wrong_arguments_are_reported():
    with pytest.raises(ArgumentTypeError, match="args has to be a tuple"):
        check_grads(np.sin, X)
    with pytest.raises(ArgumentError, match="order has to be a whole number >= 1 and <= 9, got 0"):
        check_grads(np.sin, (X,), order=0)
    with pytest.raises(ArgumentError, match="none of the arguments is"):
        check_grads(np.sin, (3,))


def test_a_kink_at_the_arguments_is_hinted_at():
    assert "at a kink near the arguments" in failure(np.abs, (np.array([1e-9]),))
