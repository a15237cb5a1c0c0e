"""Curvature: Lanczos against dense decompositions, and verdicts at points whose kind is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline import nn, transforms, tree
from fallline.curvature.flat import Flat
from fallline.curvature.hessians import dense_hessian, hessian_ends
from fallline.curvature.lanczos import lanczos
from fallline.curvature.stationary import verdict
from fallline.errors import ArgumentError, ArgumentTypeError, DataError

FUNCTIONS = Path(__file__).parents[1] / "oracles" / "functions_2d.json"
KINDS = {"min": "minimum", "max": "maximum", "saddle": "saddle"}


def known_points():
    data = json.loads(FUNCTIONS.read_text())
    return [
        pytest.param(case["expression"], point, id=f"{name}-{i}")
        for name, case in data.items()
        for i, point in enumerate(case["stationary"])
    ]


def function_of(text):
    return lambda p: eval(text, {"x": p[0], "y": p[1], "exp": np.exp, "sin": np.sin, "cos": np.cos, "pi": np.pi})


@pytest.mark.parametrize(("expression", "point"), known_points())
def test_published_stationary_points_get_their_kind_and_eigenvalues(expression, point) -> None:
    function = function_of(expression)
    found = verdict(function, np.array(point["x"]))
    assert found.kind == KINDS[point["kind"]]
    assert found.value == pytest.approx(point["f"], abs=1e-8)
    np.testing.assert_allclose(found.eigenvalues, np.sort(point["hessian_eigenvalues"]), rtol=1e-6)
    away = np.array(point["x"]) + np.array([0.1, -0.2])
    assert verdict(function, away).kind == "not stationary"


@pytest.mark.parametrize("which", ["saddle", "max"])
def test_stepping_along_the_direction_lowers_the_function(which) -> None:
    case = json.loads(FUNCTIONS.read_text())["himmelblau"]
    function = function_of(case["expression"])
    for point in (np.array(p["x"]) for p in case["stationary"] if p["kind"] == which):
        found = verdict(function, point)
        assert np.linalg.norm(found.direction) == pytest.approx(1.0)
        for sign in (1, -1):
            moved = function(point + sign * 1e-2 * found.direction)
            # To second order the fall is curvature / 2 times the squared step.
            assert moved - found.value == pytest.approx(found.curvature / 2 * 1e-4, rel=0.1)


@pytest.mark.parametrize(
    ("function", "at", "kind"),
    [
        (lambda x: x @ x, [0.0, 0.0], "minimum"),
        (lambda x: -(x @ x), [0.0, 0.0], "maximum"),
        (lambda x: x[0] * x[1], [0.0, 0.0], "saddle"),
        (lambda x: x[0] ** 2 + 0 * x[1], [0.0, 5.0], "flat"),
        (lambda x: np.sum(x**4), [0.0, 0.0], "flat"),
        (lambda x: np.sum(0 * x), [1.0, 2.0], "flat"),
        (lambda x: np.sum(x), [1.0, 2.0], "not stationary"),
        (lambda x: 1e-9 * (x @ x), [1.0, 0.0], "not stationary"),
        (lambda x: 1e9 * (x @ x), [1e-9, 0.0], "minimum"),
    ],
)
def test_plain_cases_in_any_units(function, at, kind) -> None:
    found = verdict(function, np.array(at))
    assert found.kind == kind
    assert str(found).startswith(f"{kind}: ")
    assert (found.direction is None) == (kind in ("minimum", "flat"))


def test_off_a_stationary_point_the_direction_is_straight_down() -> None:
    found = verdict(lambda x: x[0] ** 2 + 3 * x[1] ** 2, np.array([1.0, 1.0]))
    np.testing.assert_allclose(found.direction, -np.array([2.0, 6.0]) / np.sqrt(40.0))


def test_params_may_be_nested_and_float32_and_the_direction_has_their_form() -> None:
    params = {"a": np.float32(0.0), "b": [np.zeros((2, 1), np.float32)]}
    found = verdict(lambda p, s: s * (p["a"] ** 2) - np.sum(p["b"][0] ** 2), params, 2.0)
    assert found.kind == "saddle" and found.eigenvalues.tolist() == [-2.0, -2.0, 4.0]
    assert found.direction["a"] == pytest.approx(0.0, abs=1e-12) and found.direction["b"][0].shape == (2, 1)


def symmetric(seed, size, spread=1.0):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((size, size)))
    values = np.sort(rng.standard_normal(size)) * spread
    return (q * values) @ q.T, values


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_lanczos_with_all_its_steps_finds_both_ends(seed, size) -> None:
    matrix, values = symmetric(seed, size)
    found = lanczos(lambda v: matrix @ v, size, tolerance=0.0)
    np.testing.assert_allclose([found.lowest, found.highest], values[[0, -1]], rtol=1e-9, atol=1e-12)
    for value, vector in ((found.lowest, found.lowest_vector), (found.highest, found.highest_vector)):
        np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-8)


@given(st.integers(0, 10_000))
def test_lanczos_stopped_early_keeps_its_promise(seed) -> None:
    matrix, values = symmetric(seed, 300)
    found = lanczos(lambda v: matrix @ v, 300, tolerance=1e-3)
    assert found.steps < 150
    for claimed in (found.lowest, found.highest):
        assert np.abs(values - claimed).min() <= found.error + 1e-10
    assert found.highest == pytest.approx(values[-1], rel=1e-2)


@pytest.mark.parametrize("matrix", [np.eye(30), np.zeros((30, 30)), np.diag([*[1.0] * 29, -5.0])])
def test_lanczos_survives_equal_eigenvalues(matrix) -> None:
    found = lanczos(lambda v: matrix @ v, 30)
    assert [found.lowest, found.highest] == pytest.approx([matrix.diagonal().min(), matrix.diagonal().max()], abs=1e-12)


def test_the_ends_of_a_networks_hessian_are_those_of_the_whole_matrix() -> None:
    rng = np.random.default_rng(0)
    model = nn.Model.init(nn.mlp((6,), 3, "tanh"), 4, loss="cross_entropy", dtype="float64")
    x, y = rng.standard_normal((20, 4)), rng.integers(0, 3, 20)
    flat = Flat.of(model.objective, model.theta, (x, y))
    values = np.linalg.eigvalsh(dense_hessian(flat))
    ends = hessian_ends(model.objective, model.theta, x, y, tolerance=1e-9)
    assert [ends.lowest, ends.highest] == pytest.approx(values[[0, -1]].tolist(), rel=1e-6)
    tree_form = verdict(lambda params: model.loss.function(model.network.apply(params, x), y), model.params)
    np.testing.assert_allclose(tree_form.eigenvalues, values, atol=1e-10)
    sparse = verdict(model.objective, model.theta, x, y, dense=10)
    assert not sparse.complete and sparse.kind == tree_form.kind == "not stationary"


def test_dense_and_lanczos_give_the_same_verdict_at_a_saddle_of_many_parameters() -> None:
    scales = np.concatenate([np.linspace(1.0, 3.0, 249), [-0.5]])
    found = verdict(lambda x: np.sum(scales * x * x), np.zeros(250))
    assert not found.complete and found.kind == "saddle"
    assert found.eigenvalues == pytest.approx([-1.0, 6.0], abs=1e-3)
    assert abs(found.direction[-1]) == pytest.approx(1.0, abs=1e-3)


def test_the_largest_eigenvalue_of_a_quadratic_is_exact() -> None:
    a = np.diag([1.0, 2.0, 5.0])
    assert hessian_ends(lambda x: x @ a @ x, np.zeros(3)).highest == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("function", "params", "options", "error"),
    [
        (lambda x: np.sum(np.log(x)), np.array([0.0, 1.0]), {}, DataError),
        (lambda x: x @ x, np.array([np.nan, 1.0]), {}, DataError),
        (lambda x: x @ x, np.zeros(2), {"tolerance": 0.0}, ArgumentError),
        (lambda x: x, [], {}, ArgumentTypeError),
        (lambda x: x, "text", {}, ArgumentTypeError),
    ],
)
def test_what_has_no_verdict_is_reported(function, params, options, error) -> None:
    with pytest.raises(error):
        verdict(function, params, **options)


def test_the_product_is_the_hessian_times_the_vector() -> None:
    flat = Flat.of(lambda p: np.sum(p["a"] ** 3) * p["b"], {"a": np.array([1.0, 2.0]), "b": 2.0}, ())
    expected = transforms.hessian(flat)(flat.theta) @ np.array([1.0, -1.0, 0.5])
    np.testing.assert_allclose(flat.product()(np.array([1.0, -1.0, 0.5])), expected)


def test_only_trainable_parameters_are_moved() -> None:
    rng = np.random.default_rng(0)
    network = nn.Sequential(nn.Frozen(nn.Dense(3)), nn.BatchNorm(), nn.Tanh(), nn.Dense(2))
    model = nn.Model.init(network, 4, dtype="float64")
    x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 2))
    moved = model.layout.pack(np.arange(model.theta.size))
    whole = dense_hessian(Flat.of(model.objective, model.theta, (x, y)))
    for params in (model.theta, model.params):
        function = lambda params, x, y: model.loss.function(model.apply(params, x), y)
        found = verdict(function, params, x, y, layout=model.layout)
        np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(whole[np.ix_(moved, moved)]), atol=1e-9)
        direction = np.concatenate([np.ravel(leaf) for leaf in tree.leaves(found.direction)])
        assert not np.delete(direction, moved).any() and direction[moved].any()
    ends = hessian_ends(model.objective, model.theta, x, y, layout=model.layout, tolerance=1e-9)
    assert [ends.lowest, ends.highest] == pytest.approx(found.eigenvalues[[0, -1]].tolist(), rel=1e-6)
    with pytest.raises(ArgumentError, match="no trainable parameters"):
        verdict(model.objective, model.theta, x, y, layout=model.marked("*", kind="frozen").layout)
    with pytest.raises(ArgumentError, match="the layout is of"):
        verdict(lambda a: a @ a, np.zeros(3), layout=model.layout)
