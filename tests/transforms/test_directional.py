"""vjp, jvp and hvp against each other, against hand-made matrices, in nested forms and nested in one another."""

import numpy as np
import pytest

import fallline as fl

RNG = np.random.default_rng(0)
A = RNG.standard_normal((4, 3))
X = RNG.standard_normal(3)


def test_of_a_linear_map_they_are_the_matrix_and_its_transpose():
    u, v = RNG.standard_normal(4), RNG.standard_normal(3)
    value, pullback = fl.vjp(lambda x: A @ x)(X)
    np.testing.assert_allclose(value, A @ X, atol=1e-15)
    np.testing.assert_allclose(pullback(u), A.T @ u, atol=1e-15)
    np.testing.assert_allclose(pullback(2 * u), 2 * A.T @ u, atol=1e-14)
    value, moved = fl.jvp(lambda x: A @ x)(X, v)
    np.testing.assert_allclose(moved, A @ v, atol=1e-15)


def test_of_a_quadratic_form_the_hessian_times_a_vector_is_the_matrix_times_it():
    m = A.T @ A
    v = RNG.standard_normal(3)
    np.testing.assert_allclose(fl.hvp(lambda x: x @ m @ x / 2)(X, v), m @ v, atol=1e-14)


def test_the_direction_stands_after_the_last_parameter():
    f = lambda a, b, scale, *, power: scale * np.sum(a**power * b)
    a, b, v, w = RNG.uniform(1, 2, (4, 3))
    assert fl.jvp(f)(a, v, b, 2.0, power=2)[1] == pytest.approx(2 * np.sum(2 * a * v * b))
    assert fl.jvp(f, argnums=1)(a, b, v, 2.0, power=2)[1] == pytest.approx(2 * np.sum(a**2 * v))
    assert fl.jvp(f, argnums=(0, 1))(a, b, (v, w), 2.0, power=2)[1] == pytest.approx(
        2 * np.sum(2 * a * v * b) + 2 * np.sum(a**2 * w)
    )
    h_a, h_b = fl.hvp(f, argnums=(0, 1))(a, b, (v, w), 2.0, power=2)
    np.testing.assert_allclose(h_a, 4 * b * v + 4 * a * w)
    np.testing.assert_allclose(h_b, 4 * a * v)
    np.testing.assert_allclose(fl.hvp(f, argnums=-3)(a, v, b, 2.0, power=2), 4 * b * v)


def test_nested_forms():
    params = {"w": RNG.standard_normal((2, 3)), "b": [RNG.standard_normal(2)]}
    direction = {"w": np.ones((2, 3)), "b": [np.zeros(2)]}
    f = lambda p, x: {"out": np.tanh(p["w"] @ x + p["b"][0]), "size": (np.sum(p["w"] ** 2),)}
    value, moved = fl.jvp(f)(params, direction, X)
    assert list(moved) == ["out", "size"]
    np.testing.assert_allclose(moved["out"], (1 - value["out"] ** 2) * np.sum(X), atol=1e-14)
    assert moved["size"][0] == pytest.approx(2 * np.sum(params["w"]))
    _, pullback = fl.vjp(f)(params, X)
    back = pullback({"out": np.zeros(2), "size": (1.0,)})
    np.testing.assert_allclose(back["w"], 2 * params["w"])
    assert isinstance(back["b"], list)


def test_second_derivatives_by_every_pair_of_ways_agree():
    f = lambda x: np.sum(np.sin(x) * np.cumprod(x))
    v = np.array([0.3, -0.2, 0.9])
    expected = fl.hessian(f)(X) @ v
    grad_f = fl.grad(f)
    ways = [
        fl.hvp(f)(X, v),
        fl.jvp(grad_f)(X, v)[1],
        fl.vjp(grad_f)(X)[1](v),
        fl.grad(lambda x: fl.jvp(f)(x, v)[1])(X),
        fl.grad(lambda x: np.sum(grad_f(x) * v))(X),
        fl.jvp(lambda x: fl.vjp(f)(x)[1](1.0))(X, v)[1],
    ]
    for way in ways:
        np.testing.assert_allclose(way, expected, atol=1e-12)


def test_seeds_and_directions_may_be_what_is_differentiated():
    f = lambda x: A @ np.sin(x)
    u = RNG.standard_normal(4)
    _, pullback = fl.vjp(f)(X)
    # <u, J v> is linear in u and in v: its gradients are J v and J^T u.
    v = np.ones(3)
    np.testing.assert_allclose(fl.grad(lambda u: pullback(u) @ v)(u), fl.jvp(f)(X, v)[1], atol=1e-14)
    np.testing.assert_allclose(fl.grad(lambda v: u @ fl.jvp(f)(X, v)[1])(v), pullback(u), atol=1e-14)


def test_directions_take_the_precision_of_what_they_belong_to():
    x = np.float32(X)
    _, moved = fl.jvp(np.sin)(x, np.array([1, 0, 0]))
    assert moved.dtype == np.float32
    assert fl.hvp(lambda x: np.sum(x**3))(x, np.ones(3)).dtype == np.float32
    assert fl.vjp(np.sin)(x)[1]([1.0, 0.0, 0.0] @ np.eye(3)).dtype == np.float32


def test_a_derivative_that_does_not_depend_on_the_point():
    np.testing.assert_array_equal(fl.hvp(lambda x: np.sum(A @ x))(X, X), np.zeros(3))
    np.testing.assert_array_equal(fl.jvp(lambda x: np.ones(2))(X, X)[1], np.zeros(2))
