"""Eigenvalues of Hessians: against dense decompositions, by known spectra, and within their own bounds."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline import nn
from fallline.curvature import at, eigenvalues, eigenvectors, lambda_max, lambda_min, of_model
from fallline.curvature.eigen import check_room, end_of
from fallline.errors import ArgumentError, ArgumentTypeError, DataError

RNG = np.random.default_rng(0)


def networks():
    """(model, x, y) of several kinds, trained a little, with up to 2,000 parameters."""
    x = RNG.standard_normal((60, 8))
    labels, numbers = RNG.integers(0, 3, 60), np.sin(x[:, :1]) + x[:, 1:2]
    for name, network, loss, y in (
        ("tanh", nn.mlp((12,), 3, "tanh"), "cross_entropy", labels),
        ("relu", nn.mlp((16, 8), 3, "relu"), "cross_entropy", labels),
        ("numbers", nn.mlp((20,), 1, "sigmoid"), "squared_error", numbers),
        ("hinge", nn.mlp((10,), 1, "softplus"), "hinge", labels > 0),
    ):
        run = fl.fit(network, (x, y), loss=loss, epochs=5, optimizer=fl.optim.Adam(1e-2), dtype="float64")
        yield pytest.param(run.model, x, y, id=name)


NETWORKS = list(networks())


@pytest.mark.parametrize(("model", "x", "y"), NETWORKS)
def test_eigenvalues_are_those_of_the_hessian_that_finite_differences_give(model, x, y) -> None:
    here = of_model(model, (x, y))
    values = eigenvalues(here)
    matrix = np.empty((here.size, here.size))
    targets = model.prepare(y).y
    slope = fl.compile(fl.grad(lambda theta: model.objective(theta, x, targets)))
    for i, step in enumerate(1e-6 * np.eye(here.size)):
        matrix[i] = (slope(here.theta + step) - slope(here.theta - step)) / 2e-6
    expected = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    np.testing.assert_allclose(values, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("model", "x", "y"), NETWORKS)
def test_both_ends_of_a_network_are_met_to_the_tolerance_within_forty_gradients(model, x, y) -> None:
    here = of_model(model, (x, y))
    values = eigenvalues(here)
    high, low = lambda_max(here), lambda_min(here)
    assert high.reached and high.products <= 20
    assert high.value == pytest.approx(values[-1], rel=1e-2)
    assert low.value == pytest.approx(values[0], abs=1e-2 * np.abs(values).max())
    sharp = lambda_max(here, tolerance=1e-9, most=here.size)
    assert sharp.value == pytest.approx(values[-1], rel=1e-6)
    np.testing.assert_allclose(here.product()(sharp.vector), sharp.value * sharp.vector, atol=1e-3 * sharp.value)


def test_a_network_of_two_thousand_parameters_has_the_eigenvalues_of_its_whole_hessian() -> None:
    x, y = RNG.standard_normal((40, 20)), RNG.integers(0, 10, 40)
    model = nn.Model.init(nn.mlp((62,), 10, "tanh"), 20, loss="cross_entropy")
    here = of_model(model, (x, y))
    values = eigenvalues(here)
    assert 1900 < here.size < 2000
    found = eigenvectors(here, 5, tolerance=1e-8)
    assert found.reached
    np.testing.assert_allclose(found.values, values[::-1][:5], rtol=1e-6)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-9)
    lowest = eigenvectors(here, 3, end="lowest", tolerance=1e-7)
    np.testing.assert_allclose(lowest.values, values[:3], rtol=1e-6)


@given(st.integers(0, 10_000), st.integers(2, 80))
def test_an_eigenvalue_lies_within_the_stated_error(seed, size) -> None:
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((size, size)))
    values = np.sort(rng.standard_normal(size) * np.exp(2 * rng.standard_normal(size)))
    matrix = (q * values) @ q.T
    for end in ("highest", "lowest"):
        found = end_of(lambda v: matrix @ v, size, end, 0.01, 40)
        residual = np.linalg.norm(matrix @ found.vector - found.value * found.vector)
        assert np.abs(values - found.value).min() <= found.error + 1e-9 * np.abs(values).max()
        assert residual == pytest.approx(found.error, abs=1e-8 * np.abs(values).max())
        edge = values[-1] if end == "highest" else values[0]
        scale = abs(edge) if end == "highest" else np.abs(values).max()
        assert not found.reached or found.value == pytest.approx(edge, abs=0.01 * scale)


def test_the_spectrum_of_a_quadratic_is_its_own() -> None:
    a = np.diag([-3.0, 0.0, 1.0, 4.0])
    here = at(lambda x: 0.5 * (x @ a @ x), np.ones(4))
    np.testing.assert_allclose(eigenvalues(here), [-3, 0, 1, 4], atol=1e-12)
    assert lambda_max(here).value == pytest.approx(4) and lambda_min(here).value == pytest.approx(-3)
    # f = x^2 y: H = [[2y, 2x], [2x, 0]], at (1, 1.5) with eigenvalues 4 and -1.
    both = eigenvectors(at(lambda p: p[0] ** 2 * p[1], np.array([1.0, 1.5])), 2)
    np.testing.assert_allclose(both.values, [4, -1])
    assert abs(both.vectors[0] @ np.array([2.0, 1.0])) == pytest.approx(np.sqrt(5))


def test_lower_eigenvalues_that_hold_the_gradient_do_not_pass_for_the_highest() -> None:
    # Started from the gradient, Lanczos would find 5 and stop: the gradient has no part along the steepest bend.
    scales = np.concatenate([np.full(50, 5.0), np.full(50, 1.0), [9.0]])
    there = np.concatenate([np.ones(100), [0.0]])
    assert lambda_max(at(lambda x: 0.5 * np.sum(scales * x * x), there)).value == pytest.approx(9.0)


def test_bad_questions_are_refused_with_what_they_would_cost() -> None:
    here = at(lambda x: x @ x, np.zeros(3))
    with pytest.raises(ArgumentError, match="4 of 3 parameters"):
        eigenvectors(here, 4)
    assert eigenvectors(here, count=3).values.tolist() == pytest.approx([2.0] * 3)
    large = at(lambda x: x @ x, np.zeros(60_000))
    with pytest.raises(ArgumentError, match=r"60,000 products with vectors and 26\.8 GiB\n  try: curvature\.density"):
        eigenvalues(large)
    assert fl.curvature.density(large, probes=2).trace.value == pytest.approx(120_000)
    bent = at(lambda x: np.sum(np.linspace(1, 2, 60_000) ** 9 * x * x), np.zeros(60_000))
    assert fl.curvature.eigenvectors(bent, 10, most=30).values[0] == pytest.approx(1024.0, rel=0.02)
    with pytest.raises(ArgumentError, match=r"20000 vectors of 60,000 parameters take 8\.9 GiB\n  try: most=8947"):
        eigenvectors(large, 2, most=20_000)
    # The advice is of arguments that the function has, and is taken: each one more is refused.
    for ask, option, best in (("eigenvectors", "most", 8947), ("trace", "products", 13419), ("density", "steps", 8947)):
        function = getattr(fl.curvature, ask)
        with pytest.raises(ArgumentError, match=rf"{ask}: .*GiB\n  try: {option}={best}, or"):
            function(large, **{option: 30_000})
        assert check_room(60_000, best if option != "products" else 2 * best // 3, ask, str) is None
        assert option in inspect.signature(function).parameters
    with pytest.raises(ArgumentError, match="try: count=8947, most=8947, or"):
        eigenvectors(large, 20_000)
    with pytest.raises(ArgumentTypeError, match="has to be a surface"):
        lambda_max(lambda x: x @ x)
    with pytest.raises(DataError, match="not finite"):
        lambda_max(at(lambda x: np.sum(np.sqrt(x)), np.zeros(2)))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e150])
def test_the_unit_of_a_loss_changes_no_digit_of_its_spectrum(scale) -> None:
    bowl = np.array([1.0, 3.0, 3.0, -2.0])
    here = at(lambda x: 0.5 * scale * np.sum(bowl * x * x), np.ones(4))
    assert lambda_max(here).value == pytest.approx(3 * scale, rel=1e-9)
    assert lambda_min(here).value == pytest.approx(-2 * scale, rel=1e-9)
    assert fl.curvature.density(here).trace.value == pytest.approx(5 * scale, rel=1e-9)
