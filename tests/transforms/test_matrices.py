"""jacobian and hessian: shapes, forms, both directions of work, and functions whose derivatives are known."""

import json
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.transforms import matrices

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("rows", "columns"), [(2, 7), (7, 2), (1, 1), (0, 3), (3, 0)])
def test_of_a_linear_map_the_jacobian_is_the_matrix_worked_from_either_side(rows, columns):
    a = RNG.standard_normal((rows, columns))
    np.testing.assert_array_equal(fl.jacobian(lambda x: a @ x)(np.ones(columns)), a)


def test_shapes_are_output_then_parameter():
    x = RNG.standard_normal((2, 3))
    j = fl.jacobian(lambda x: np.stack([x[0], x[1], x[0] * x[1], x[0]]))(x)
    assert j.shape == (4, 3, 2, 3)
    assert j[2, 1, 0, 1] == x[1, 1]
    assert fl.jacobian(np.sum)(x).shape == (2, 3)
    assert fl.jacobian(lambda s: s * x)(2.0).shape == (2, 3)
    assert fl.hessian(lambda x: np.sum(x**3))(x).shape == (2, 3, 2, 3)
    assert type(fl.hessian(lambda s: s**3)(2.0)) is np.float64


def test_nested_outputs_and_parameters_give_a_tree_of_trees():
    f = lambda p, x: {"sum": p["a"] + p["b"] * x, "norm": [np.sum(p["a"] ** 2)]}
    p = {"a": np.ones(2), "b": 3.0}
    j = fl.jacobian(f)(p, np.array([5.0, 7.0]))
    np.testing.assert_array_equal(j["sum"]["a"], np.eye(2))
    np.testing.assert_array_equal(j["sum"]["b"], [5, 7])
    np.testing.assert_array_equal(j["norm"][0]["a"], [2, 2])
    assert j["norm"][0]["b"] == 0
    h = fl.hessian(lambda a, b: np.sum(a**2 * b), argnums=(0, 1))(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    np.testing.assert_array_equal(h[0][0], np.diag([6, 8]))
    np.testing.assert_array_equal(h[0][1], np.diag([2, 4]))
    np.testing.assert_array_equal(h[1][1], np.zeros((2, 2)))


def test_many_rows_are_run_as_a_program_with_the_same_result(monkeypatch):
    x = RNG.standard_normal(5)
    f = lambda x: np.sin(x) * np.cos(x[::-1])
    expected = fl.jacobian(f)(x)
    monkeypatch.setattr(matrices, "_MANY", 0)
    np.testing.assert_allclose(fl.jacobian(f)(x), expected, atol=1e-15)


def test_they_nest_in_other_derivatives():
    x = RNG.standard_normal(3)
    f = lambda x: x[0] ** 2 * x[1] * np.sin(x[2])
    h = fl.hessian(f)(x)
    np.testing.assert_allclose(h, h.T, atol=1e-14)
    third = fl.grad(lambda x: np.trace(fl.hessian(f)(x)))(x)
    expected = fl.jacobian(lambda x: np.stack([fl.grad(lambda y, i=i: fl.grad(f)(y)[i])(x)[i] for i in range(3)]))(
        x
    ).sum(0)
    np.testing.assert_allclose(third, expected, atol=1e-13)
    wide = fl.grad(lambda x: np.sum(fl.jacobian(lambda y: np.outer(y, y))(x) ** 2))(x)
    np.testing.assert_allclose(wide, fl.grad(lambda x: 8 * np.sum(x**2))(x), atol=1e-12)
    # d(x_i x_j)/dx_k squared and summed: 2 n |x|^2 + 2 |x|^2 = 8 |x|^2 for n = 3.


def test_a_derivative_known_to_be_zero_stays_plain_inside_a_trace():
    assert fl.grad(lambda x: x * fl.jacobian(lambda y: 3 * y)(2.0))(1.0) == 3


FUNCTIONS = Path(__file__).parents[1] / "oracles" / "functions_2d.json"


def test_gradients_vanish_at_every_stationary_point_and_hessians_have_the_known_eigenvalues():
    functions = json.loads(FUNCTIONS.read_text())
    assert len(functions) == 4
    for function in functions.values():
        code = compile(function["expression"], "expression", "eval")

        def f(p, code=code):
            return eval(code, {}, {"x": p[0], "y": p[1]})

        for point in function["stationary"]:
            value, g = fl.value_and_grad(f)(np.array(point["x"]))
            assert value == pytest.approx(point["f"], abs=1e-9)
            eigenvalues = np.linalg.eigvalsh(fl.hessian(f)(np.array(point["x"])))
            np.testing.assert_allclose(eigenvalues, sorted(point["hessian_eigenvalues"]), rtol=1e-8)
            # The points are rounded to the last digit, which the curvature multiplies.
            assert np.abs(g).max() < 1e-9
