"""Operations that cannot be traced raise one error with the operation, the user's file and line, and a replacement."""

import cmath
import functools
import math
import re

import numpy as np
import pytest
import scipy.special

import fallline as fl
from fallline.errors import ArgumentError, ArgumentTypeError, FalllineError, ShapeError, TraceError

X = np.array([1.0, 2.0, 3.0])


def raised(error, function, *args, **kwargs):
    """The message of the error that this call raises."""
    with pytest.raises(error) as caught:
        function(*args, **kwargs)
    assert isinstance(caught.value, FalllineError)
    return str(caught.value)


def line_of(function):
    """The only statement of a one-line function."""
    return function.__code__.co_firstlineno


def branches(x):
    return x if x[0] > 0 else -x


def stores(x):
    x[0] = 1.0


def stores_into_plain(x):
    total = np.zeros(3)
    total[0] = x[0]
    return np.sum(total)


def adds_in_place(x):
    h = x * 2
    h += 1
    return np.sum(h)


@pytest.mark.parametrize(("function", "told", "instead"), [
    (branches, "a branch on a traced value", "np.where(condition, a, b)"),
    (lambda x: 1.0 if 0 < x[0] < 2 else 0.0, "a branch on a traced value", "np.where"),
    (lambda x: np.sum(x) if 2.0 in x else 0.0, "`in` on a traced value", "np.any(a == value)"),
    (lambda x: max(x), "a branch on a traced value", "np.where"),
    (stores, "in place", "np.where(mask, new, old)"),
    (stores_into_plain, "stored into a plain array", "np.stack"),
    (adds_in_place, "in place", "h = h + b"),
    (lambda x: np.sum(np.add(x, 1, out=np.zeros(3))), "np.add writes", "h = h + b"),
    (lambda x: np.sum(x, out=np.zeros(())), "np.sum(..., out=)", "the returned value"),
    (lambda x: np.add.at(x, 0, 1.0), "np.add.at writes", "np.where"),
    (lambda x: x.sort(), ".sort() writes", "np.sort(a)"),
    (lambda x: x.fill(0.0), ".fill() writes", "np.full_like"),
    (lambda x: np.copyto(x, 1.0), "np.copyto writes", "np.where"),
    (lambda x: np.linalg.det(x), "np.linalg.det cannot be traced", "fallline.ops.supported()"),
    (lambda x: np.sinc(x), "np.sinc cannot be traced", "np.sin(np.pi * s)"),
    (lambda x: scipy.special.gammaln(x), "the ufunc gammaln cannot be traced", "fallline.ops.supported()"),
    (lambda x: np.fmod(x, 2), "np.fmod cannot be traced", "np.remainder(a, b)"),
    (lambda x: np.add.reduceat(x, [0]), "np.add.reduceat cannot be traced", "another NumPy function"),
    (lambda x: np.sum(x, where=x > 0), "unexpected keyword argument 'where'", "np.sum(a, axis=None"),
    (lambda x: np.exp(x, where=np.array([True, False, True])), "np.exp(..., where=)", "np.where"),
    (lambda x: math.exp(x[0]), "turned into a plain number", "np.exp, not math.exp"),
    (lambda x: float(x[0]), "turned into a plain number", "only after the function has returned"),
    (lambda x: int(x[0]), "turned into a plain number", "only after the function has returned"),
    (lambda x: cmath.exp(x[0]), "turned into a plain number", "np.exp, not math.exp"),
    (lambda x: X[x], "turned into a plain number", "ops.gather(a, i, axis=0)"),
    (lambda x: range(x[0]), "turned into a plain number", "only after the function has returned"),
    (lambda x: np.array([x[0], x[1]]), "turned into a plain number or array", "np.stack([...])"),
    (lambda x: np.asarray(x), "turned into a plain number or array", "np.stack([...])"),
    (lambda x: x.item(0), "turned into a plain number", "only after"),
    (lambda x: x.tolist(), "turned into a plain number", "only after"),
    (lambda x: np.nonzero(x), "np.nonzero cannot be traced", "np.where(mask, x, 0)"),
    (lambda x: np.sum(x[x > 1]), "a traced mask", "np.where(mask, x, 0)"),
    (lambda x: x * 1j, "only real numbers can be traced, got complex128", ""),
    (lambda x: x.astype(complex), "not complex128", "real and imaginary parts"),
    (lambda x: x.astype(np.float16), "not float16", "x.astype(np.float32)"),
    (lambda x: x + np.array([1, None, "a"], dtype=object), "only real numbers can be traced, got object", ""),
    (lambda x: x + "a", "only real numbers can be traced", ""),
    (lambda x: None, "return numbers, got None", "a return statement"),
    (lambda x: "loss", "return numbers, got 'loss'", "only arrays and numbers"),
    (lambda x: x.partition(1), ".partition of an array cannot be traced", "another NumPy function"),
    (lambda x: x.nonzero(), ".nonzero of an array cannot be traced", "fallline.ops.supported()"),
    (lambda x: x & 1, "np.bitwise_and of traced numbers", "comparisons"),
])  # fmt: skip
def test_one_clear_error_with_the_users_line(function, told, instead):
    message = raised(TraceError, fl.grad(function), X)
    assert told in message
    assert instead in message
    place = re.search(r"(?:at|function:) test_refused.py:(\d+)", message)
    assert place, message
    assert line_of(function) <= int(place[1]) <= line_of(function) + 3
    assert message.count("\n  at ") + message.count("\n  function: ") == 1


def test_a_value_kept_from_an_earlier_trace_is_reported_with_the_line_that_used_it():
    kept = []
    fl.grad(lambda x: kept.append(x) or np.sum(x))(X)
    message = raised(TraceError, fl.grad(lambda x: np.sum(x * kept[0])), X)
    assert "kept from another call" in message
    assert "used at test_refused.py:" in message
    assert "instead of storing it outside" in message
    assert "kept from another call" in raised(TraceError, fl.grad(np.sum), kept[0])
    assert "kept from another call" in raised(TraceError, fl.grad(lambda x: kept[0]), X)


@pytest.mark.parametrize(("params", "instead"), [
    (3, "3.0 instead of 3"),
    (True, "x.astype(float)"),
    (np.arange(3), "x.astype(float)"),
    (np.array([True]), "x.astype(float)"),
    ("text", "argnums="),
    (1j, "two real arrays"),
    (np.zeros(3, np.float16), "x.astype(np.float32)"),
    (np.zeros(3, np.longdouble), "x.astype(np.float32)"),
    (np.array([1.0, None]), "rows of unequal length"),
    ({"w": np.zeros(2), "b": np.arange(2)}, "x.astype(float)"),
])  # fmt: skip
def test_parameters_that_are_no_real_numbers(params, instead):
    message = raised(ArgumentTypeError, fl.grad(lambda p: 1.0), params)
    assert "derivatives need float32 or float64 parameters" in message
    assert instead in message
    assert "at test_refused.py:" in message
    assert "argument 0.b" in message if isinstance(params, dict) else "argument 0 is" in message


@pytest.mark.parametrize(("result", "told"), [
    (lambda x: x, "an array of shape (3,)"),
    (lambda x: x[:1], "an array of shape (1,)"),
    (lambda x: (np.sum(x), np.sum(x)), "tuple of 2 values"),
    (lambda x: {"loss": np.sum(x)}, "dict of 1 values"),
    (lambda x: np.argmax(x), "dtype int64, which has no derivative"),
])  # fmt: skip
def test_a_result_that_is_not_one_real_number(result, told):
    for transform in (fl.grad, fl.value_and_grad):
        message = raised(ShapeError, transform(result), X)
        assert told in message
        assert f"function: test_refused.py:{line_of(result)}" in message
        assert ("np.sum or np.mean" in message) == ("an array" in told)
        assert "\n  try: " in message


def test_argnums_that_name_no_argument():
    assert "argnums=1, but the function got 1 positional argument\n" in raised(ArgumentError, fl.grad(np.sum, 1), X)
    assert "got 2 positional arguments" in raised(ArgumentError, fl.grad(np.dot, (0, 5)), X, X)
    assert "none twice" in raised(ArgumentError, fl.grad(np.dot, (0, -2)), X, X)
    assert "at least one" in raised(ArgumentError, fl.grad(np.dot, ()), X, X)
    assert "an int or a tuple of ints" in raised(ArgumentTypeError, fl.grad(np.sum, "x"), X)
    assert "got 0 positional arguments" in raised(ArgumentError, fl.grad(np.sum), x=X)


def test_directions_and_seeds_of_another_form():
    assert "form dict(a: *)" in raised(ArgumentError, fl.jvp(lambda p: p["a"]), {"a": X}, X)
    assert "direction has shape (2,), not (3,)" in raised(ShapeError, fl.hvp(np.sum), X, X[:2])
    assert "seed at b has shape (), not (3,)" in raised(
        ShapeError, fl.vjp(lambda x: {"a": x, "b": x})(X)[1], {"a": X, "b": 1.0}
    )
    assert "takes the parameters and then the direction" in raised(ArgumentError, fl.hvp(np.sum), X)
    assert "the function returned int64" in raised(ArgumentTypeError, fl.jvp(np.argmax), X, X)
    assert "the function returned bool as 1" in raised(ArgumentTypeError, fl.jacobian(lambda x: (x, x > 0)), X)


def test_shapes_that_do_not_fit_name_where_each_came_from():
    message = raised(ShapeError, fl.grad(lambda x: np.sum(x @ np.ones((4, 2)))), X)
    assert "inner sizes differ: [1, 3] @ [4, 2], 3 != 4" in message
    assert "at test_refused.py:" in message
    assert "shapes [3] and [2] do not broadcast" in raised(ShapeError, fl.grad(lambda x: x + np.ones(2)), X)
    assert "axis 1 does not exist" in raised(ShapeError, fl.grad(lambda x: np.sum(x, axis=1)), X)
    for wrong in (
        lambda x: x.reshape(2, 2), lambda x: x.reshape(-1, 2), lambda x: np.transpose(x, (0, 0)),
        lambda x: np.squeeze(x, 0),
        lambda x: np.concatenate([x, x[None]]), lambda x: np.stack([x, x[:2]]), lambda x: np.split(x, 2),
        lambda x: np.broadcast_to(x, (2, 2)), lambda x: np.expand_dims(x, (0, 0)), lambda x: np.sum(x, axis=(0, 0)),
        lambda x: np.repeat(x, [1, 2]), lambda x: np.tensordot(x, x[:2], 1), lambda x: np.einsum("ij", x),
        lambda x: np.einsum("i,j", x), lambda x: np.einsum("i,i", x, x[:2]), lambda x: np.einsum("i->ii", x),
        lambda x: np.moveaxis(x[None], (0, 1), 0), lambda x: np.diag(x[None, None]), lambda x: x @ 2.0,
        lambda x: np.linalg.norm(x[None, None], axis=(0, 1, 2)), lambda x: np.take_along_axis(x, np.array([[0]]), 0),
    ):  # fmt: skip
        assert "at test_refused.py:" in raised(ShapeError, fl.grad(wrong), X)


def test_arguments_of_supported_functions_that_are_not():
    for wrong in (
        lambda x: np.pad(x, 1, mode="linear_ramp"), lambda x: x.reshape(3, 1, order="F"),
        lambda x: np.take(x, 0, mode="fast"),
        lambda x: np.einsum(x, [0], [0]), lambda x: np.einsum("i->i", x, dtype=float),
        lambda x: np.linalg.norm(x, "fro"),
        lambda x: np.linalg.norm(x[None], "nuc"), lambda x: np.repeat(x, np.argmax(x)), lambda x: x[True],
        lambda x: np.pad(x, 1, constant_values=(0, 1)), lambda x: np.where(x > 0),
    ):  # fmt: skip
        assert "\n  try: " in raised(TraceError, fl.grad(wrong), X)


def test_attributes_are_asked_for_without_harm_and_printing_is_allowed():
    def f(x):
        assert not hasattr(x, "tobytes")
        assert not hasattr(x, "anything")
        assert not hasattr(x, "__array_interface__")
        assert f"{x[0]:.3f} {x}".startswith("<traced reshape float64[] from test_refused.py:")
        return np.sum(round(x * 10, 1) + x)

    np.testing.assert_array_equal(fl.grad(f)(X), np.ones(3))


@pytest.mark.parametrize(
    "transform", [fl.grad, fl.value_and_grad, fl.vjp, fl.jvp, fl.hvp, fl.jacobian, fl.hessian, fl.compile]
)
def test_a_value_instead_of_a_function_is_reported_at_once(transform):
    message = raised(ArgumentTypeError, transform, np.sum(X))
    assert message.startswith(f"{transform.__name__}: takes a function, got float64")
    assert f"fallline.{transform.__name__}(f)(x), not fallline.{transform.__name__}(f(x))" in message


def test_functions_of_any_kind_are_named_in_errors():
    class Loss:
        def __call__(self, x):
            return None

    assert "function: test_refused.py:" in raised(TraceError, fl.grad(Loss()), X)
    assert "function: test_refused.py:" in raised(TraceError, fl.grad(functools.partial(lambda a, x: None, 1)), X)


@pytest.mark.parametrize("form", [
    lambda x: x.astype(">f8"), lambda x: np.repeat(x, 2)[::2], lambda x: x[::-1][::-1],
    lambda x: np.broadcast_to(x, (3,)),
    lambda x: np.asfortranarray(x), lambda x: x.astype(">f4"),
])  # fmt: skip
def test_big_endian_strided_and_read_only_arrays_just_work(form):
    x = form(X)
    for g in (fl.grad(lambda x: np.sum(x**2))(x), fl.grad(lambda y: np.sum(x * y * y) / 2)(X)):
        assert g.dtype.isnative
        assert g.flags.writeable
    np.testing.assert_array_equal(fl.grad(lambda x: np.sum(x**2))(x), 2 * X)
    np.testing.assert_array_equal(fl.compile(lambda x: x * 2)(x), 2 * X)


def test_results_share_no_memory_with_arguments_or_with_each_other():
    ones = np.ones(3)
    a, b = fl.grad(lambda x, y: np.sum(x * ones) + np.sum(y * ones), argnums=(0, 1))(X, X)
    value, _ = fl.vjp(lambda x: (x, x, ones))(X)
    every = [a, b, *value, X, ones]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(every) for q in every[:i])
    for result in (a, b, *value):
        result += 1
    np.testing.assert_array_equal(ones, 1)
