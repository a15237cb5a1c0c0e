"""The lessons on descent, steps, cost and critical points: the numbers they show are true."""

import math

import numpy as np
import pytest

from fallline import lessons, transforms, tree
from fallline.lessons import chain_rule, gradient_cost
from fallline.lessons.brute_force import many_losses, networks
from fallline.lessons.step_size import arrival, height
from fallline.lessons.walk import compiled_gradient, descend, duration, walk
from fallline.nn import Model


def test_descent_follows_its_own_formula_down_to_the_lowest_point(results) -> None:
    found = results["descent"]
    walked = found.walk
    np.testing.assert_allclose(walked.points[1:], walked.points[:-1] - found.learning_rate * walked.gradients[:-1])
    assert (np.diff(walked.values) < 0).all()
    # The gradient of the mean of (w x + b - y)^2, by hand.
    w, b = walked.points[3]
    error = w * found.x + b - found.y
    np.testing.assert_allclose(walked.gradients[3], [np.mean(2 * error * found.x), np.mean(2 * error)])
    assert found.best_loss <= walked.values[-1] < 1.01 * found.best_loss


def test_height_from_ten_takes_ten_steps_two_steps_and_for_ever(results) -> None:
    found = results["step-size"]
    assert found.arrivals == {1.0: 10, 5.0: 2, 11.0: None}
    assert found.paths[1.0] == [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    assert found.paths[5.0] == [10.0, 5.0, 0.0]
    assert found.paths[11.0][:5] == [10.0, -1.0, 10.0, -1.0, 10.0]


def test_a_way_that_repeats_never_arrives() -> None:
    assert arrival(descend(height, 3.0, 2.0, 5).points.tolist()) is None  # 3, 1, -1, 1
    assert arrival([2.0, 0.0]) == 1
    with pytest.raises(ValueError, match="too short"):
        arrival([2.0, 1.0])


def test_the_border_of_stability_is_two_over_the_largest_eigenvalue(results) -> None:
    found = results["step-size"]
    assert found.predicted == pytest.approx(2 / found.highest)
    assert found.measured == pytest.approx(found.predicted, rel=0.01)
    for share, losses in found.trials.items():
        assert (losses[-1] < losses[len(losses) // 2]) == (share < 1)


def test_the_largest_eigenvalue_is_that_of_the_data(results) -> None:
    from fallline.data.preprocess import standardised
    from fallline.data.sets import load

    data = load("diabetes")
    x, _ = standardised(data)
    assert results["step-size"].highest == pytest.approx(np.linalg.eigvalsh(2 * x.T @ x / len(x))[-1], rel=1e-9)


def test_the_chain_rule_by_hand_is_the_librarys_gradient(results) -> None:
    found = results["chain-rule"]
    assert found.largest_difference < 1e-15
    assert found.forward["loss"] == pytest.approx(found.loss, rel=1e-14)
    for tried, exact in zip(tree.leaves(found.by_difference), tree.leaves(found.by_library), strict=True):
        np.testing.assert_allclose(tried, exact, rtol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_the_chain_rule_by_hand_holds_for_other_numbers(seed) -> None:
    rng = np.random.default_rng(seed)
    params = tree.map(lambda a: rng.standard_normal(np.shape(a)) if np.ndim(a) else np.array(0.3), chain_rule.PARAMS)
    x = tuple(rng.standard_normal(2).tolist())
    found = lessons.run("chain-rule", params=params, x1=x[0], x2=x[1], y=-0.7)
    assert found.largest_difference < 1e-14
    exact = transforms.grad(chain_rule.network_loss)(params, np.array(x), -0.7)
    np.testing.assert_allclose(found.by_library["w1"], exact["w1"])


def test_brute_force_visits_every_point_and_finds_the_lowest(results) -> None:
    found = results["brute-force"]
    assert [s.parameters for s in found.searches] == [2, 3, 4, 5]
    assert [s.points for s in found.searches] == [25, 125, 625, 3125]
    assert all(s.seconds > 0 and s.loss > 0 for s in found.searches)
    # The smallest one again, by another method: a line through the same points, every pair of grid values.
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (20, 5))
    y = 1.3 * np.tanh(x @ (1.7 * 0.5 ** np.arange(5)) + 0.3) + 0.05 * rng.standard_normal((20, 1))[:, 0]
    grid = np.linspace(-2, 2, 5)
    lowest = min(np.mean((w * x[:, 0] + b - y) ** 2) for w in grid for b in grid)
    assert found.searches[0].loss == pytest.approx(lowest)


def test_brute_force_extrapolates_by_its_own_numbers(results) -> None:
    digits, values = results["brute-force"].digits, results["brute-force"].values
    assert digits.parameters == 64 * 32 + 32 + 32 * 10 + 10
    assert digits.log10_points == pytest.approx(digits.parameters * math.log10(values))
    seconds = digits.log10_points + math.log10(digits.seconds_per_point)
    assert digits.log10_years == pytest.approx(seconds - math.log10(365.25 * 86400))
    assert digits.accuracy > 0.9


def test_losses_of_many_candidates_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    for _, inputs, network in networks(5):
        model = Model.init(network, inputs, loss="squared_error", dtype="float64")
        x, y = rng.standard_normal((6, inputs)), rng.standard_normal((6, 1))
        thetas = rng.standard_normal((3, model.theta.size))
        expected = [float(model.objective(theta, x, y)) for theta in thetas]
        np.testing.assert_allclose(many_losses(model, thetas, x, y), expected)


def test_the_equations_and_descent_reach_the_same_point(results) -> None:
    found = results["closed-form"]
    assert found.largest_difference < 1e-6
    assert found.gradient_norm < 1e-12
    assert [c.parameters for c in found.costs] == [64 + 1 + 10 + 10, 2 * 64 + 2 + 20 + 10]


def test_regression_finds_the_coefficients_of_scikit_learn(results) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    from fallline.data.sets import load

    def standard(x):
        return (x - x.mean(axis=0)) / x.std(axis=0)

    first, second, found = load("diabetes"), load("breast-cancer"), results["regression"]
    linear = linear_model.LinearRegression().fit(standard(first.x), standard(first.y))
    logistic = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(standard(second.x), second.y)
    np.testing.assert_allclose(found.linear.weight, linear.coef_, atol=1e-4)
    np.testing.assert_allclose(found.logistic.weight, logistic.coef_[0], atol=1e-4)
    assert found.logistic.bias == pytest.approx(logistic.intercept_[0], abs=1e-4)
    assert found.linear.score == pytest.approx(linear.score(standard(first.x), standard(first.y)))
    assert found.logistic.score == pytest.approx(logistic.score(standard(second.x), second.y))


def test_gradient_cost_measures_small_sizes_and_extrapolates_large_ones(results) -> None:
    found = results["gradient-cost"]
    assert [c.parameters for c in found.costs] == [12, 112, 2 * 22**2 + 2 * 22]
    assert found.costs[0].measured and found.costs[0].error < 0.01
    for cost in found.costs:
        assert cost.forward > 0 and cost.gradient > 0
        if not cost.measured:
            assert cost.differences == pytest.approx(2 * cost.parameters * cost.forward)
            assert math.isnan(cost.error)


@pytest.mark.parametrize("parameters", [10, 100, 1e4, 1e7])
def test_the_width_gives_about_so_many_parameters(parameters) -> None:
    h = gradient_cost.width_for(parameters)
    assert 2 * h * h + 2 * h == pytest.approx(parameters, rel=0.25)


def test_himmelblaus_nine_points_are_found_and_descent_ends_in_its_minima(results) -> None:
    found = results["critical-points"]
    kinds = [s.verdict.kind for s in found.points]
    assert kinds == ["minimum"] * 4 + ["saddle"] * 4 + ["maximum"]
    assert sum(s.descents for s in found.points if s.verdict.kind == "minimum") == found.starts == 36
    # Himmelblau 1972: the one minimum with whole numbers.
    assert any(np.allclose(s.point, [3.0, 2.0], atol=1e-9) for s in found.points)


def test_units_that_start_alike_end_at_a_saddle_and_leave_it_along_the_eigenvector(results) -> None:
    escape = results["critical-points"].escape
    assert escape.at.kind == "saddle"
    biases, weights = escape.before.points[-1][:2], escape.before.points[-1][2:4]
    assert biases[0] == biases[1] and weights[0] == weights[1], "the two units are still copies of one another"
    assert escape.at.curvature < 0 and max(escape.off) < escape.at.value
    assert escape.after.values[-1] < 0.1 * escape.at.value


def test_a_walk_stops_where_numbers_end() -> None:
    walked = descend(lambda x: np.sum(x**4), [10.0], 10.0, 50)
    assert len(walked.points) < 20 and np.isfinite(walked.points).all()


def test_one_compiled_gradient_serves_many_walks() -> None:
    gradient = compiled_gradient(lambda x: x @ x)
    for start in ([1.0, 2.0], [3.0, -1.0]):
        np.testing.assert_allclose(walk(gradient, start, 0.25, 3).points[-1], np.array(start) / 8)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2e-6, "2 us"), (0.0123, "12.3 ms"), (5.0, "5 s"), (600.0, "10 minutes"), (36000.0, "10 hours"),
     (864000.0, "10 days"), (3.15576e9, "100 years"), (3.15576e7 * 1e7, "1e7 years"),
     (3.15576e7 * 13.8e9 * 100, "100 ages of the universe")],
)  # fmt: skip
def test_durations_are_reported_in_a_unit_people_use(seconds, text) -> None:
    assert duration(seconds) == text
