"""grad and value_and_grad: forms of arguments, values that stay plain, nesting."""

from collections import namedtuple

import numpy as np
import pytest

import fallline as fl
from fallline.graph.node import Node

Pair = namedtuple("Pair", "left right")


def test_the_gradient_has_the_form_of_the_argument():
    params = {"b": [np.ones(2), (np.float64(2.0), 3.0)], "a": Pair(np.ones((2, 2), np.float32), {}), "none": None}
    value, g = fl.value_and_grad(
        lambda p: np.sum(p["b"][0]) * p["b"][1][0] * p["b"][1][1] + np.sum(p["a"].left).astype(float)
    )(params)
    assert value == 16
    assert list(g) == ["b", "a", "none"]
    assert g["none"] is None
    assert isinstance(g["a"], Pair)
    assert g["a"].left.dtype == np.float32
    np.testing.assert_array_equal(g["b"][0], [6, 6])
    assert g["b"][1] == (6.0, 4.0)


def test_results_without_axes_are_numpy_scalars():
    value, g = fl.value_and_grad(lambda x: x**2)(3.0)
    assert type(value) is np.float64
    assert type(g) is np.float64
    assert type(fl.grad(lambda x: x**2)(np.float32(3))) is np.float32
    assert type(fl.grad(lambda x: x**2)(np.array(3.0))) is np.float64


def test_argnums_choose_what_is_differentiated_and_the_rest_stays_plain():
    seen = {}

    def f(a, b, n, *, scale=1.0):
        seen.update(a=a, b=b, n=n, scale=scale)
        return np.sum(a * b**n) * scale

    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_array_equal(fl.grad(f, argnums=1)(a, b, 2, scale=0.5), a * b)
    assert seen["a"] is a
    assert isinstance(seen["b"], Node)
    assert seen["n"] == 2
    assert seen["scale"] == 0.5
    d_b, d_a = fl.grad(f, argnums=(1, 0))(a, b, 2)
    np.testing.assert_array_equal(d_b, 2 * a * b)
    np.testing.assert_array_equal(d_a, b**2)
    np.testing.assert_array_equal(fl.grad(f, argnums=-2)(a, b, 2), d_b)
    assert isinstance(fl.grad(f, argnums=(1,))(a, b, 2), tuple)


def test_python_control_flow_on_shapes_and_plain_arguments_works():
    def f(x, times, flip):
        for _ in range(times):
            x = np.sin(x) if not flip else np.cos(x)
        return np.sum(x) / len(x) if x.ndim == 1 and x.shape[0] > 1 and x.size == 3 else x

    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(fl.grad(f)(x, 1, False), np.cos(x) / 3)
    np.testing.assert_allclose(fl.grad(f)(x, 1, True), -np.sin(x) / 3)


def test_a_traced_function_is_run_once_a_call_and_sees_new_values():
    scale = [2.0]
    f = fl.grad(lambda x: scale[0] * x)
    assert f(1.0) == 2
    scale[0] = 5.0
    assert f(1.0) == 5


def test_an_inner_derivative_is_not_confused_with_the_outer_one():
    # d/dx x (d/dy (x + y)) = d/dx x = 1; mixing up the two x would give 2.
    assert fl.grad(lambda x: x * fl.grad(lambda y: x + y)(x))(3.0) == 1
    # d/dx [x d/dy (x y) at y = x] = d/dx x^2.
    assert fl.grad(lambda x: x * fl.grad(lambda y: x * y)(x))(3.0) == 6
    assert fl.grad(lambda x: x * fl.grad(lambda y: x * y)(2.0))(3.0) == 6
    # d/dx of d/dy (x^2 y^3) at y = x, which is 3 x^4: 12 x^3.
    assert fl.grad(lambda x: fl.grad(lambda y: x**2 * y**3)(x))(2.0) == 96
    assert fl.grad(lambda x: fl.jvp(lambda y: x * y * y)(x, 1.0)[1])(3.0) == 12
    assert fl.jvp(lambda x: x * fl.grad(lambda y: x + y)(x))(3.0, 1.0)[1] == 1


def test_gradients_nest_to_any_order():
    f = lambda x: np.exp(2 * x)
    for order in range(1, 6):
        f = fl.grad(f)
        assert f(0.3) == pytest.approx(2**order * np.exp(0.6), rel=1e-13)


def test_an_inner_derivative_of_plain_values_is_plain():
    def f(x):
        inner = fl.grad(lambda y: y**2)(3.0)
        assert not isinstance(inner, Node)
        return x * (inner if inner > 5 else 0)

    assert fl.grad(f)(1.0) == 6


def test_a_value_returned_with_the_gradient_may_be_nested_too():
    def f(x):
        value, slope = fl.value_and_grad(lambda y: x * y**2)(x)
        return value + slope  # x^3 + 2 x^2

    assert fl.grad(f)(2.0) == 20


def test_a_function_that_fails_leaves_no_trace_open():
    with pytest.raises(ZeroDivisionError):
        fl.grad(lambda x: x * (1 // 0))(1.0)
    inner = fl.grad(lambda x: x * 2)(1.0)
    assert not isinstance(inner, Node)


def test_wrapped_functions_keep_their_name_and_signature():
    def loss(params, x):
        """A loss."""

    for transform in (fl.grad, fl.value_and_grad, fl.vjp, fl.jvp, fl.hvp, fl.jacobian, fl.hessian, fl.compile):
        assert transform(loss).__name__ == "loss"
        assert transform(loss).__doc__ == "A loss."
