"""Activations: values against the textbook formula, first and second derivatives, and finite values at the ends of the
range."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.graph.node import new_input
from fallline.nn import activation


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def log1pexp(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772

# The formulas as their papers write them, on one number.
TEXTBOOK = {
    "identity": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: SCALE * (x if x > 0 else ALPHA * math.expm1(x)),
    "gelu": lambda x: x / 2 * math.erfc(-x / math.sqrt(2)),
    "gelu_tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x * sigma(x),
    "mish": lambda x: x * math.tanh(log1pexp(x)),
    "softplus": log1pexp,
    "softsign": lambda x: x / (1 + abs(x)),
    "sigmoid": sigma,
    "tanh": math.tanh,
}
NAMES = sorted(TEXTBOOK)
KINKED = {"relu", "leaky_relu", "elu", "selu"}  # elu's second derivative jumps at 0
moderate = st.lists(st.floats(-30, 30), min_size=1, max_size=20).map(np.array)


def slope(name: str, x: np.ndarray) -> np.ndarray:
    """The elementwise derivative."""
    return fl.grad(lambda x: np.sum(activation.get(name)(x)))(x)


def difference(f, x: np.ndarray, h: float = 2e-3) -> np.ndarray:
    """The derivative by a stencil of five points, exact to h^4."""
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


def test_the_table_holds_what_is_tested_here() -> None:
    assert set(nn.ACTIVATIONS) == {*TEXTBOOK, "softmax"}


@pytest.mark.parametrize("name", NAMES)
@given(x=moderate)
def test_value_is_the_textbook_formula(name: str, x: np.ndarray) -> None:
    expected = np.array([TEXTBOOK[name](float(v)) for v in x])
    np.testing.assert_allclose(activation.get(name)(x), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivative_agree_with_differences(name: str) -> None:
    x = np.concatenate([np.linspace(-6, 6, 49), [-20.0, 20.0]])
    if name in KINKED or name == "softsign":
        x = x[np.abs(x) > 0.01]
    f = activation.get(name)
    np.testing.assert_allclose(slope(name, x), difference(f, x), rtol=1e-8, atol=1e-9)
    second = fl.grad(lambda x: np.sum(slope(name, x)))(x)
    np.testing.assert_allclose(second, difference(lambda x: slope(name, x), x), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("name", "at_zero"), [
    ("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0), ("selu", SCALE * ALPHA), ("softsign", 1.0), ("softplus", 0.5),
    ("gelu", 0.5), ("gelu_tanh", 0.5), ("silu", 0.5), ("mish", 0.6), ("sigmoid", 0.25), ("tanh", 1.0),
    ("identity", 1.0),
])  # fmt: skip
def test_the_derivative_at_zero_is_the_written_one(name: str, at_zero: float) -> None:
    np.testing.assert_allclose(slope(name, np.zeros(3)), at_zero, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_values_are_finite_and_keep_their_dtype_over_the_whole_range(name: str, dtype: type) -> None:
    top = float(np.finfo(dtype).max) / 2
    sizes = np.geomspace(float(np.finfo(dtype).tiny), top, 200)
    x = np.concatenate([-sizes, [0.0], sizes]).astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        y = activation.get(name)(x)
    assert y.dtype == dtype
    assert np.isfinite(y).all()


@pytest.mark.parametrize("name", NAMES)
def test_float32_values_are_near_the_exact_ones(name: str) -> None:
    sizes = np.geomspace(1e-30, 1e4, 300)
    x = np.concatenate([-sizes, [0.0], sizes]).astype(np.float32)
    exact = np.array([TEXTBOOK[name](float(v)) for v in x if abs(v) < 500])
    y = activation.get(name)(x[np.abs(x) < 500])
    # 1 + erf cancels where gelu is nearly 0, which leaves an absolute error of one part of float32.
    np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-6 if name.startswith("gelu") else 1e-37)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_two_orders_are_finite_at_zero_and_far_out(name: str, dtype: type) -> None:
    x = np.array([-1e18, -1e4, -1e3, -89, -1e-30, -0.0, 0.0, 1e-30, 89, 1e3, 1e4, 1e18], dtype)
    if name == "gelu_tanh":
        x = x[np.abs(x) < 1e10]  # its cube: float32 ends at 3e38
    first = slope(name, x)
    second = fl.grad(lambda x: np.sum(slope(name, x)))(x)
    assert first.dtype == second.dtype == dtype
    assert np.isfinite(first).all() and np.isfinite(second).all()
    assert (np.abs(first) < 2).all()


@given(x=moderate)
def test_symmetries(x: np.ndarray) -> None:
    f = {name: activation.get(name) for name in NAMES}
    for odd in ("tanh", "softsign", "identity"):
        np.testing.assert_array_equal(f[odd](-x), -f[odd](x))
    np.testing.assert_allclose(f["sigmoid"](x) + f["sigmoid"](-x), 1, rtol=1e-14)
    for gate in ("relu", "softplus", "gelu", "gelu_tanh", "silu"):  # x g(x) with g(x) + g(-x) = 1, or its like
        np.testing.assert_allclose(f[gate](x) - f[gate](-x), x, rtol=1e-12, atol=1e-13)


def test_the_tanh_form_of_gelu_is_within_its_stated_distance() -> None:
    x = np.linspace(-8, 8, 20001)
    gap = np.abs(nn.GELU()(x) - nn.GELUTanh()(x))
    assert 4e-4 < gap.max() < 5e-4


def test_selu_keeps_mean_zero_and_variance_one() -> None:
    # The equations of its two constants: checked by integrating over the normal density.
    x = np.linspace(-12, 12, 200001)
    density = np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    y = nn.SELU()(x)
    assert abs(np.sum(density * y)) < 1e-9
    assert abs(np.sum(density * y * y) - 1) < 1e-9


def test_parameters_change_the_function() -> None:
    x = np.array([-2.0, 3.0])
    np.testing.assert_allclose(nn.LeakyReLU(0.2)(x), [-0.4, 3.0])
    np.testing.assert_allclose(nn.ELU(alpha=2.0)(x), [2 * math.expm1(-2), 3.0])
    np.testing.assert_allclose(
        fl.grad(lambda x: np.sum(nn.ELU(alpha=2.0)(x)))(np.array([-2.0, 0.0])), [2 * math.exp(-2), 2.0]
    )


@given(
    x=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=5), c=st.floats(-1e3, 1e3)
)
def test_softmax_rows_are_probabilities_and_do_not_feel_a_shift(x: list[list[float]], c: float) -> None:
    z = np.array(x)
    p = nn.Softmax()(z)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(nn.Softmax()(z + c), p, rtol=1e-9, atol=1e-12)


def test_softmax_worked_by_hand_and_its_derivative() -> None:
    # exp(log 1), exp(log 2), exp(log 5) over their sum 8.
    z = np.log([[1.0, 2.0, 5.0]])
    p = nn.Softmax()(z)
    np.testing.assert_allclose(p, [[0.125, 0.25, 0.625]], rtol=1e-15)
    # d p_1 / d z = p_1 (onehot_1 - p)
    g = fl.grad(lambda z: nn.Softmax()(z)[0, 1])(z)
    np.testing.assert_allclose(g, 0.25 * (np.array([[0, 1, 0]]) - p), rtol=1e-14, atol=1e-17)
    extreme = np.array([[3e38, 1e38, -1.0]], np.float32)
    np.testing.assert_array_equal(nn.Softmax()(extreme), [[1, 0, 0]])


@pytest.mark.parametrize("name", sorted(nn.ACTIVATIONS))
def test_tracing_gives_the_shape_and_dtype_that_computing_gives(name: str) -> None:
    for dtype in (np.float32, np.float64):
        y = activation.get(name)(new_input((4, 3), dtype))
        assert (y.shape, y.dtype) == ((4, 3), dtype)


def test_get_takes_names_and_layers_and_refuses_the_rest() -> None:
    assert activation.get("relu") == nn.ReLU() == activation.get(nn.ReLU())
    with pytest.raises(ArgumentError, match="did you mean 'leaky_relu'"):
        activation.get("leakyrelu")
    with pytest.raises(ArgumentTypeError, match=r"nn\.ReLU\(\)"):
        activation.get(nn.ReLU)
    with pytest.raises(ArgumentError, match="slope has to be a number >= 0 and < 1, got 3"):
        nn.LeakyReLU(3)
