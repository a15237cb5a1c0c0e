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
