"""L-BFGS and its line search against their textbook forms and against SciPy's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.errors import ArgumentError
from fallline.nn.theta import Layout
from fallline.optim import LBFGS, MINIMISERS, OPTIMIZERS, Minimiser, Point, get
from fallline.optim.line_search import Trial, cubic, strong_wolfe
from fallline.optim.minimiser import inner

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


def minimised(function: Function, theta: np.ndarray, optimizer: Minimiser, most: int = 1000) -> tuple[Point, int, int]:
    """The last point, how many steps, and how many evaluations."""
    seen = []

    def evaluate(place: np.ndarray) -> Point:
        value, gradient = function(place)
        seen.append(value)
        return Point(place, float(value), gradient)

    here, state, steps = evaluate(theta), optimizer.start(theta), 0
    while optimizer.reason(here, state) is None and steps < most:
        here, state = optimizer.step(here, state, evaluate)
        steps += 1
    return here, steps, len(seen)


def scipys(function: Function, theta: np.ndarray, **options: Any) -> Any:
    options = {"gtol": 1e-5, "ftol": 0.0, "maxiter": 5000, "maxfun": 50_000, **options}
    return scipy.optimize.minimize(function, theta, jac=True, method="L-BFGS-B", options=options)


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    return scipy.optimize.rosen(x), scipy.optimize.rosen_der(x)


@pytest.mark.parametrize("size", [2, 10, 40])
def test_rosenbrock_s_valley_takes_as_many_steps_as_scipy(size: int) -> None:
    start = np.tile([-1.2, 1.0], size // 2)
    here, steps, evaluations = minimised(rosenbrock, start, LBFGS())
    theirs = scipys(rosenbrock, start)
    np.testing.assert_allclose(here.theta, 1, atol=1e-5)
    assert steps <= 1.2 * theirs.nit
    assert evaluations <= 1.2 * theirs.nfev


@pytest.mark.parametrize("seed", range(3))
def test_logistic_regression_comes_to_scipy_s_minimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, sign = rng.normal(size=(60, 8)) * np.geomspace(0.1, 10, 8), np.where(rng.random(60) < 0.5, -1.0, 1.0)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = sign * (x @ w)
        value = np.mean(np.logaddexp(0, -z)) + 0.05 * w @ w
        return float(value), -(x.T @ (sign / (1 + np.exp(z)))) / len(x) + 0.1 * w

    here, steps, _ = minimised(loss, np.zeros(8), LBFGS(tolerance=1e-8))
    theirs = scipys(loss, np.zeros(8), gtol=1e-8)
    np.testing.assert_allclose(here.theta, theirs.x, atol=1e-6)
    assert steps <= 1.3 * theirs.nit + 3


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 9))
def test_the_direction_is_that_of_the_matrix_which_bfgs_would_hold(seed: int, memory: int, pairs: int) -> None:
    # Nocedal & Wright 2006, eq. 7.19: H is built from gamma I by the pairs that are left, the oldest first.
    rng = np.random.default_rng(seed)
    curvature = np.diag(np.geomspace(0.5, 2, 5))
    optimizer, g = LBFGS(memory=memory), rng.normal(size=5)
    state = optimizer.start(g)
    kept = []
    for i in range(pairs):
        s = rng.normal(size=5)
        y = curvature @ s
        row = i % memory
        state["s"][row], state["y"][row], state["sy"][row] = s, y, s @ y
        kept.append((s, y))
    state["pairs"][...] = pairs
    kept = kept[-memory:]
    s, y = kept[-1]
    h = np.eye(5) * (s @ y) / (y @ y)
    for s, y in kept:
        rho = 1 / (y @ s)
        v = np.eye(5) - rho * np.outer(y, s)
        h = v.T @ h @ v + rho * np.outer(s, s)
    np.testing.assert_allclose(optimizer.direction(g, state), -h @ g, rtol=1e-7, atol=1e-9)


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.floats(0.1, 2), st.floats(1e-3, 100))
def test_the_line_search_meets_both_wolfe_conditions(c: list[float], slope: float, first: float) -> None:
    # A wavy function that falls at 0 and rises in the end, so that both conditions can be met.
    def phi(a: float) -> Trial[None]:
        waves = sum(k * math.sin((i + 1) * a) for i, k in enumerate(c))
        tilt = slope + sum(k * (i + 1) for i, k in enumerate(c))
        value = waves + 0.1 * a * a - tilt * a
        grows = sum(k * (i + 1) * math.cos((i + 1) * a) for i, k in enumerate(c))
        return Trial(a, value, grows + 0.2 * a - tilt, None)

    start = phi(0.0)
    assert start.slope == pytest.approx(-slope)
    found = strong_wolfe(phi, start, first, c1=1e-4, c2=0.9, most=60)
    assert found is not None
    assert found.value <= start.value + 1e-4 * found.length * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)


@given(*[st.floats(-5, 5)] * 3, st.floats(0.1, 5))
def test_the_cubic_s_minimum_is_where_its_slope_is_zero_and_rises(k: float, b: float, d: float, a: float) -> None:
    # f(t) = a t^3 / 3 + b t^2 / 2 + k t + d, whose minimum is at (-b + sqrt(b^2 - 4 a k)) / 2 a.
    def at(t: float) -> Trial[None]:
        return Trial(t, a * t**3 / 3 + b * t**2 / 2 + k * t + d, a * t**2 + b * t + k, None)

    inside = b * b - 4 * a * k
    found = cubic(at(-1.0), at(2.0))
    if inside < -1e-6:
        assert math.isnan(found)
    elif inside > 1e-6:
        assert found == pytest.approx((-b + math.sqrt(inside)) / (2 * a), rel=1e-5, abs=1e-5)


def test_values_that_are_not_finite_are_too_high_and_gone_back_from() -> None:
    def barrier(x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            return float(x[0] - np.log(x[0])), 1 - 1 / x

    # The first trial, at length 1 / |g|, is the step that theta asks for; at 50 it would leave the domain of log.
    here, _, _ = minimised(barrier, np.array([0.02]), LBFGS(50.0))
    np.testing.assert_allclose(here.theta, 1, atol=1e-4)


def test_where_no_step_lowers_the_value_it_ends_as_stalled() -> None:
    def lying(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.abs(x).sum()), -np.sign(x) - 0.5  # the gradient points up

    optimizer = LBFGS(evaluations=5)
    here, steps, _ = minimised(lying, np.array([1.0, 2.0]), optimizer)
    assert steps == 1
    np.testing.assert_array_equal(here.theta, [1.0, 2.0])


def test_where_it_has_converged_a_step_stays() -> None:
    start = np.ones(4)
    here, steps, evaluations = minimised(rosenbrock, start, LBFGS())
    assert (steps, evaluations) == (0, 1)
    state = LBFGS().start(start)
    assert LBFGS().step(here, state, pytest.fail)[0] is here  # type: ignore[arg-type]


def test_the_inner_product_is_exact_enough_over_blocks() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 4095, 4096, 10_001):
        a, b = rng.normal(size=(2, size))
        assert inner(a, b) == pytest.approx(math.fsum(a * b), abs=1e-10)


def test_minimisers_have_a_table_of_their_own_and_one_look_up() -> None:
    assert MINIMISERS == {"lbfgs": LBFGS}
    assert not {*MINIMISERS} & {*OPTIMIZERS}
    assert get("lbfgs", memory=3) == LBFGS(memory=3)


@pytest.mark.parametrize("wrong", [{"memory": 0}, {"c1": 0.0}, {"c2": 1.0}, {"evaluations": 1}, {"tolerance": -1.0},
                                   {"c1": 0.5, "c2": 0.4}])  # fmt: skip
def test_fields_have_ranges(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        LBFGS(**wrong)


def test_a_function_of_a_tree_of_parameters_is_minimised_as_scipy_does() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(50, 4)), rng.normal(size=50)

    def loss(params: Any) -> Any:
        w, v = params["w"], params["v"]
        return np.mean((np.tanh(x @ w) @ v + params["b"] - y) ** 2) + 0.02 * (np.sum(w * w) + np.sum(v * v))

    start = {"w": rng.normal(size=(4, 3)), "v": rng.normal(size=3), "b": np.zeros(())}
    begun = {name: array.copy() for name, array in start.items()}
    slope = fl.compile(fl.value_and_grad(loss))
    found = LBFGS(tolerance=1e-6).minimise(slope, start)
    for name, array in begun.items():
        np.testing.assert_array_equal(start[name], array)

    def flat(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, grads = slope({"w": theta[:12].reshape(4, 3), "v": theta[12:15], "b": theta[15]})
        return float(value), np.concatenate([np.ravel(grads[name]) for name in ("w", "v", "b")])

    theirs = scipys(flat, np.concatenate([np.ravel(start[name]) for name in ("w", "v", "b")]), gtol=1e-6)
    assert (found.reason, found.params["b"].shape) == ("converged", ())
    assert float(loss(found.params)) == pytest.approx(found.value, rel=1e-12)
    assert found.value == pytest.approx(theirs.fun, rel=1e-6)
    assert found.steps <= found.evaluations <= 2 * theirs.nfev


def test_weight_decay_is_a_term_of_a_function_of_one_s_own() -> None:
    a = np.array([[1.0, -2.0], [3.0, 0.5]])
    found = LBFGS(weight_decay=0.5, tolerance=1e-9).minimise(fl.value_and_grad(lambda w: np.sum((w - a) ** 2)), a * 0)
    np.testing.assert_allclose(found.params, a * 2 / 2.5, atol=1e-8)  # 2 (w - a) + 0.5 w = 0
    assert found.value == pytest.approx(float(np.sum((found.params - a) ** 2) + 0.25 * np.sum(found.params**2)))


def test_functions_that_cannot_be_minimised_raise() -> None:
    with pytest.raises(ArgumentError, match="not finite"), np.errstate(all="ignore"):
        LBFGS().minimise(fl.value_and_grad(lambda w: np.sum(np.log(w))), -np.ones(2))
    with pytest.raises(ArgumentError, match="steps"):
        LBFGS().minimise(fl.value_and_grad(lambda w: np.sum(w * w)), np.ones(2), steps=0)
    assert LBFGS().minimise(fl.value_and_grad(lambda w: np.sum(np.cos(w))), np.ones(2), steps=1).reason == "finished"


def test_factors_of_the_learning_rate_scale_the_first_matrix_and_leave_the_minimum() -> None:
    layout = Layout.of({"a": np.zeros(1), "b": np.zeros(1), "c": np.zeros(1)}).marked("a", rate=0.25)
    layout = layout.marked("c", rate=0.0)
    optimizer, target = LBFGS(tolerance=1e-9), np.array([3.0, -2.0, 0.0])

    def evaluate(place: np.ndarray) -> Point:
        return Point(place, float(np.sum((place - target) ** 4 + (place - target) ** 2)),
                     4 * (place - target) ** 3 + 2 * (place - target))  # fmt: skip

    here = evaluate(np.zeros(3))
    state = optimizer.start(here.theta, layout)
    first, _ = optimizer.step(here, state, evaluate)
    assert first.theta[0] / here.gradient[0] == pytest.approx(0.25 * first.theta[1] / here.gradient[1])
    assert first.theta[2] == 0
    while optimizer.reason(here, state) is None:
        here, state = optimizer.step(here, state, evaluate)
    np.testing.assert_allclose(here.theta, target, atol=1e-6)


@pytest.mark.parametrize("least", [1e-3, 1e-6])
def test_a_least_fall_ends_where_scipy_s_ends(least: float) -> None:
    start = np.tile([-1.2, 1.0], 5)
    here, steps, _ = minimised(rosenbrock, start, LBFGS(least_fall=least))
    theirs = scipys(rosenbrock, start, ftol=least)
    assert abs(steps - theirs.nit) <= 4
    assert steps < minimised(rosenbrock, start, LBFGS())[1]
    optimizer = LBFGS(least_fall=least)
    state = optimizer.start(start)
    state["settled"][...] = here.value
    assert optimizer.reason(here, state) == "converged"


@pytest.mark.parametrize("budget", [1, 7, 20])
def test_a_budget_of_evaluations_ends_with_the_line_search_that_reaches_it(budget: int) -> None:
    start = np.tile([-1.2, 1.0], 5)
    _, steps, evaluations = minimised(rosenbrock, start, LBFGS(budget=budget))
    _, fewer, before = minimised(rosenbrock, start, LBFGS(), most=steps - 1)
    assert fewer < steps and before - 1 < budget <= evaluations - 1  # the start is not counted


def test_a_training_that_used_up_its_budget_is_finished() -> None:
    x, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    settings: dict[str, Any] = {"loss": "squared_error", "epochs": 100, "dtype": "float64"}
    run = fl.fit(fl.nn.mlp((8,), 1), (x, y), optimizer=LBFGS(budget=12), **settings)
    assert run.stop_reason == "finished" and len(run.epochs) <= 12
