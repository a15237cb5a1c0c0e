"""Verdicts on causes: each is told on a training that has the fault, its remedy takes it away, and a symptom that it
explains comes after it and suggests nothing.
"""

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, optim

RNG = np.random.default_rng(5)
X = RNG.normal(size=(400, 4))
LINE = X @ [1.0, -2, 0.5, 0]
Y = np.sin(LINE) + 0.05 * RNG.normal(size=400)
CODES = (LINE + 0.1 * RNG.normal(size=400) > 0).astype(int)
FIVE = np.digitize(LINE, [-2, -1, 1, 2])


def fit(network: Any, y: Any = Y, loss: str = "squared_error", x: Any = X, **settings: Any) -> fl.Run:
    return fl.fit(network, (x, y), loss=loss, **{"epochs": 40, **settings})


def ended(units: int, *last: Any) -> nn.Sequential:
    return nn.Sequential(nn.Dense(16), nn.ReLU(), nn.Dense(units), *last)


def names(run: fl.Run) -> list[str]:
    return [one.name for one in fl.diagnose(run).warnings]


@pytest.mark.parametrize(("last", "y"), [(nn.Sigmoid(), 20 * Y), (nn.Tanh(), Y + 5), (nn.ReLU(), Y)])
def test_targets_that_the_last_layer_cannot_give_are_told_first_and_others_are_not(last: Any, y: Any) -> None:
    run = fit(ended(1, last), y)
    assert names(run)[0] == "unreachable_target"
    low, high = {"Sigmoid": (0, 1), "Tanh": (-1, 1), "ReLU": (0, np.inf)}[type(last).__name__]
    share = np.mean((y < low) | (y > high))
    told = fl.diagnose(run)["unreachable_target"].evidence[0].value
    assert told == pytest.approx(100 * share, abs=4)
    assert "unreachable_target" not in names(fit(ended(1), y))
    assert "unreachable_target" not in names(fit(ended(1, last), np.clip(y, low, high)))


def softmax(z: Any) -> Any:
    grown = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return grown / np.sum(grown, axis=-1, keepdims=True)


def test_scores_that_are_squashed_twice_are_told_with_the_lowest_loss_that_is_left() -> None:
    # Five classes and a right answer of 1 beside 0: -log(e / (e + 4)) = log(1 + 4 / e) = 0.9048.
    found = fl.diagnose(fit(ended(5, nn.Function(softmax)), FIVE, "cross_entropy"))["squashed_scores"]
    assert found.evidence[0].value == pytest.approx(np.log(1 + 4 / np.e), rel=1e-6)
    own = nn.Function(lambda z: 1 / (1 + np.exp(-z)))
    found = fl.diagnose(fit(ended(1, own), CODES, "binary_cross_entropy"))["squashed_scores"]
    assert found.evidence[0].value == pytest.approx(np.log(2), rel=1e-3)
    for healthy in (ended(5, nn.Softmax()), ended(5), ended(5, nn.ReLU())):
        assert "squashed_scores" not in names(fit(healthy, FIVE, "cross_entropy", epochs=3))


def test_a_missing_bias_is_told_where_it_is_needed() -> None:
    bare = nn.Sequential(nn.Dense(1, bias=False))
    assert names(fit(bare, LINE + 7, epochs=100))[0] == "missing_bias"
    assert "missing_bias" not in names(fit(bare, LINE - LINE.mean(), epochs=100))
    assert "missing_bias" not in names(fit(nn.Sequential(nn.Dense(1)), LINE + 7, epochs=100))


def test_a_loss_that_depends_on_no_parameter_is_told() -> None:
    def apart(output: Any, y: Any) -> Any:
        return np.mean(np.square(y)) + 0 * np.mean(output)

    assert names(fl.fit(ended(1), (X, Y), loss=apart, epochs=3))[0] == "no_gradient"


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_units_that_began_alike_are_one_unit_and_it_is_told_before_what_follows_from_it(value: float) -> None:
    model = nn.Model.init(ended(2), 4, loss="cross_entropy")
    found = fl.diagnose(fl.fit(model.with_theta(np.full_like(model.theta, value)), (X, CODES), epochs=20))
    assert found["alike_units"].evidence[0].value == "1 of 16"
    assert found.warnings[0].name == "alike_units" or found.warnings[0].name == "saddle"
    for one in found.warnings:
        assert one.name not in ("plateau", "same_answer", "vanishing_gradient") or not one.tries
    drawn = fl.fit(ended(2), (X, CODES), loss="cross_entropy", epochs=20)
    assert "alike_units" not in names(drawn)


@pytest.mark.parametrize(
    "optimizer", [optim.AdamW(1e-2, weight_decay=100.0), optim.Adam(1e-3, weight_decay=1e3),
                  optim.GradientDescent(0.1, weight_decay=1.0)]
)  # fmt: skip
def test_decay_that_holds_all_weights_at_0_is_told_first_and_a_usual_one_is_not(optimizer: Any) -> None:
    found = fl.diagnose(fit(ended(2), CODES, "cross_entropy", optimizer=optimizer))
    assert found.warnings[0].name == "weight_decay"
    assert all(not one.tries for one in found.warnings if one.name in ("saddle", "same_answer", "idle_units"))
    usual = fit(ended(2), CODES, "cross_entropy", optimizer=optim.AdamW(1e-2, weight_decay=0.01))
    assert "weight_decay" not in names(usual)


def held(x: Any, y: Any) -> fl.Run:
    return fit(ended(2), CODES[:250], "cross_entropy", X[:250], validation=(x, y), epochs=30)


def test_validation_rows_of_another_kind_are_told_in_the_place_of_overfitting() -> None:
    x, y = X[250:], CODES[250:]
    for other in (held(60 * x + 128, y), held(3 * x + 2, y), held(x / 255, y), held(x, 1 - y), held(x[:, ::-1], y)):
        found = fl.diagnose(other)
        assert "validation_differs" in found
        assert all(not one.tries for one in found.warnings if one.name == "overfitting")
    assert "validation_differs" not in fl.diagnose(held(x, y))
    order = np.argsort(FIVE, kind="stable")
    a, b = order[:300], order[300:]
    run = fit(ended(5), FIVE[a], "cross_entropy", X[a], validation=(X[b], FIVE[b]))
    assert "no training row is of class “4”" in fl.diagnose(run)["validation_differs"].says


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_targets_are_told_to_be_untold_by_the_inputs_and_others_are_not(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(X))
    for y, loss, units in ((Y, "squared_error", 1), (CODES, "cross_entropy", 2)):
        found = fl.diagnose(fit(ended(units), y[order], loss, validation=0.25, seed=seed, epochs=80))
        assert "Nor does a simple model" in found["learnt_nothing"].says
        assert not found.findings[0].tries or found.findings[0].name != "descending"
        assert "learnt_nothing" not in fl.diagnose(fit(ended(units), y, loss, validation=0.25, seed=seed, epochs=80))


def test_a_slow_descent_is_no_saddle() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 4))
    y = np.sin(x @ [1, 2, -1, 0.5]) + 0.1 * rng.normal(size=300)
    found = fl.diagnose(fl.fit(nn.mlp((8,), 1, "tanh"), (x, y), loss="squared_error", epochs=60, batch_size=32))
    assert [one.name for one in found.findings] == ["descending"]


@pytest.mark.parametrize("rate", [1e-9, 1e-30])
def test_steps_of_any_shortness_are_told_to_be_too_short_and_what_they_say_helps(rate: float) -> None:
    def descended(rate: float) -> fl.Run:
        return fit(ended(2), CODES, "cross_entropy", optimizer=optim.GradientDescent(rate), epochs=30)

    found = fl.diagnose(descended(rate))["step_too_short"]
    (said,) = found.tries
    better = descended(float(said.partition("=")[2]))
    assert better.epochs[-1].loss < 0.5 * descended(rate).epochs[-1].loss


def test_tiny_inputs_are_told_and_so_is_the_one_row_that_makes_a_column_large() -> None:
    assert names(fit(ended(2), CODES, "cross_entropy", 1e-12 * X))[0] in ("plateau", "unscaled_inputs")
    assert "unscaled_inputs" in names(fit(ended(2), CODES, "cross_entropy", 1e-12 * X))
    astray = X.copy()
    astray[7, 2] = 1e6
    found = fl.diagnose(fit(ended(2), CODES, "cross_entropy", astray))["unscaled_inputs"]
    assert "row 7" in found.says and "row 7" in found.tries[0]


def test_after_divergence_nothing_is_said_of_the_ruins() -> None:
    told = names(fit(ended(1), 100 * Y, optimizer=optim.GradientDescent(0.5)))
    assert told[0] == "diverged" and not {"exploding_gradient", "worse_than_linear"} & set(told)


@pytest.mark.parametrize(("scale", "op"), [(30, "logarithm"), (100, "exp of more")])
def test_a_function_outside_its_range_is_told_before_scales_are(scale: float, op: str) -> None:
    def own(output: Any, y: Any) -> Any:
        p = 1 / (1 + np.exp(-output))
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    found = fl.diagnose(fl.fit(nn.Dense(1), (scale * X, CODES.astype(float)), loss=own, epochs=3))
    assert op in found["diverged"].tries[0]


def test_ends_of_a_small_networks_spectrum_are_those_of_its_dense_hessian_however_uneven_it_is() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(100, 4))
    y = np.sin(x @ [1, 2, -1, 0.5]) + 0.1 * rng.normal(size=100)
    model = fl.nn.Model.init(fl.nn.mlp((4,), 1, "tanh"), 4, loss="squared_error", dtype="float64")
    settings = {"optimizer": fl.optim.LBFGS(), "epochs": 1500, "batch_size": "full", "dtype": "float64"}
    run = fl.fit(model, (x, y), **settings)
    found = fl.diagnose(run)["converged"]
    told = {one.name: one.value for one in found.evidence}
    values = np.linalg.eigvalsh(fl.hessian(run.model.objective)(run.model.theta, x, y.reshape(-1, 1)))
    assert told["highest eigenvalue"] == pytest.approx(values[-1], rel=1e-6)
    assert told["lowest eigenvalue"] == pytest.approx(values[0], abs=1e-6 * values[-1])


def test_an_average_is_not_judged_by_what_one_of_its_networks_answers(tmp_path) -> None:
    # Each of the five networks knows its own rows by heart; their average is better than the mean by far.
    from fallline.committee import fit as fit_recipe
    from fallline.data import sets
    from fallline.data.dataset import split
    from fallline.recipe import Choices, recipe_of

    data = sets.load("diabetes")
    train, _ = split(data, 0.2)
    extra = {
        "source": {"data": "diabetes", "task": data.task},
        "training": {"choices": {"preset": "default"}, "test": 0.2},
    }
    fit_recipe(recipe_of(data, Choices(preset="default"), train), out=tmp_path / "run", extra=extra)
    found = fl.diagnose(tmp_path / "run")
    assert "learnt_nothing" not in found and any(one.startswith("learnt_nothing") for one in found.unchecked)
