"""Verdicts on the rows: scales, leaks, copies, constant targets, a linear model that does better; and overfitting."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.committee.entry import fit as trained
from fallline.data import sets
from fallline.data.dataset import split
from fallline.recipe import Choices, recipe_of
from fallline.runs.events import EpochEnded

from .told import told

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3))
Y = X @ [1.0, 2, 3] + 0.1 * RNG.normal(size=400)
LABELS = (Y > 0).astype(int)


def fit(x: Any = X, y: Any = Y, network: Any = None, loss: str = "squared_error", **settings: Any) -> fl.Run:
    outputs = 2 if loss == "cross_entropy" else 1
    return fl.fit(network or nn.mlp((16,), outputs), (x, y), loss=loss, **{"epochs": 100, **settings})


def names(run: fl.Run) -> set[str]:
    return {one.name for one in told(run).warnings}


def test_columns_of_other_size_or_far_from_0_are_named_and_an_encoder_or_a_norm_mends_it() -> None:
    x = X * [1, 1e4, 1] + [0, 0, 2000]
    finding = told(fit(x, epochs=2))["unscaled_inputs"]
    assert "from column 0 to column 1" in finding.says and "1 of 3 columns lies far from 0" in finding.says
    numbers = {one.name: one.value for one in finding.evidence}
    size = np.sqrt(np.square(x.astype(np.float32)).mean(axis=0))
    assert numbers["largest by smallest size"] == pytest.approx(size.max() / size.min(), rel=1e-6)
    for mended in (
        fit(x, encoder=nn.standardise(x)),
        fit(x, network=nn.Sequential(nn.BatchNorm(), *nn.mlp((16,), 1).layers)),
    ):
        assert "unscaled_inputs" not in names(mended)
    assert "typical size of 1" in told(fit(np.abs(X) * 128, epochs=2))["unscaled_inputs"].says
    for healthy in (X * [1, 10, 1], np.where(RNG.random((400, 3)) < 0.01, 1.0, 0.0) + X * [1, 0, 0]):
        assert "unscaled_inputs" not in names(fit(healthy, epochs=2))


def test_a_target_far_from_0_is_told_and_a_decoder_mends_it() -> None:
    y = 1e6 + 1e4 * Y
    assert "unscaled_target" in names(fit(y=y, epochs=2))
    assert "unscaled_target" not in names(fit(y=y, epochs=2, decoder=nn.Quantity("y", y.mean(), y.std())))


def test_one_column_that_tells_the_target_is_named() -> None:
    line = np.column_stack([X, 3 * Y + 1])
    assert "column 3" in told(fit(line))["leaked_target"].says
    label = np.column_stack([X, np.where(LABELS, 7, -2)])
    assert "column 3" in told(fit(label, LABELS, loss="cross_entropy"))["leaked_target"].says
    rule = told(fit(X, (X[:, 0] > 0).astype(int), loss="cross_entropy"))["leaked_target"]
    assert not rule.warns and "column 0" in rule.says
    almost = label.copy()
    almost[5, 3] = 7 - 2 - almost[5, 3]
    assert "leaked_target" not in names(fit(almost, LABELS, loss="cross_entropy"))


def test_validation_rows_among_the_training_rows_are_told_and_few_values_are_not() -> None:
    assert "100 of 100" in str(told(fit(validation=(X[:100], Y[:100])))["rows_in_both"].evidence[0].value)
    coarse = np.round(X)
    y = (coarse.sum(axis=1) > 0).astype(int)
    for seed in range(3):
        assert "rows_in_both" not in names(fit(coarse, y, loss="cross_entropy", validation=0.25, seed=seed, epochs=3))


def test_a_constant_target_is_told_and_nothing_else_about_it() -> None:
    assert names(fit(y=np.ones(400), epochs=3)) == {"constant_target"}


def test_one_answer_for_all_rows_is_told_where_there_is_more_to_learn() -> None:
    dead = nn.Model.init(nn.mlp((16,), 2), 3, loss="cross_entropy")
    dead.params[0]["bias"][:] = -50
    found = told(fl.fit(dead, (X, LABELS), epochs=2))
    assert found["same_answer"].warns and "worse_than_linear" not in found
    noise = fit(y=RNG.normal(size=400), network=nn.Sequential(nn.Dense(1, initializer="zeros")), epochs=1,
                optimizer=fl.optim.GradientDescent(1e-9))  # fmt: skip
    assert not told(noise)["same_answer"].warns


def test_a_linear_model_that_does_better_is_told_with_the_kind_of_failure() -> None:
    short = told(fit(epochs=1, validation=0.2))["worse_than_linear"]
    assert "underfits" in short.says and "validation rows and on the training rows" in short.says
    x = np.random.default_rng(1).normal(size=(600, 60))
    y = (x[:, :10].sum(axis=1) + 2 * np.random.default_rng(2).normal(size=600)) / 4
    found = told(fl.fit(nn.mlp((256,), 1), (x, y), loss="squared_error", epochs=100, validation=0.5))
    assert "though not on the training rows" in found["worse_than_linear"].says
    curved = np.abs(X[:, 0]) + X[:, 1] ** 2
    assert "worse_than_linear" not in names(fit(y=curved, validation=0.2))
    assert "worse_than_linear" not in names(fit(validation=0.2, epochs=300))


def test_squared_error_on_classes_is_told_where_a_flat_output_hides_errors() -> None:
    stuck = nn.Model.init(nn.Sequential(nn.Dense(1), nn.Sigmoid()), 3)
    stuck.params[0]["bias"][:] = 30
    assert "unsuited_loss" in names(fl.fit(stuck, (X, LABELS.astype(float)), epochs=2))
    fine = fit(y=LABELS.astype(float), network=nn.Sequential(nn.Dense(1), nn.Sigmoid()))
    assert "unsuited_loss" not in names(fine)


def test_overfitting_says_from_when_and_whether_answers_get_worse() -> None:
    x = RNG.normal(size=(150, 30))
    y = (x[:, 0] + RNG.normal(size=150) > 0).astype(int)
    run = fl.fit(nn.mlp((128,), 2), (x, y), loss="cross_entropy", epochs=300, validation=0.4)
    finding = told(run)["overfitting"]
    assert f"From epoch {run.best_epoch} on" in finding.says and "accuracy" in finding.says
    kept = fl.fit(nn.mlp((128,), 2), (x, y), loss="cross_entropy", epochs=300, validation=0.4, early_stopping=True)
    assert "overfitting" not in names(kept)
    restless = tuple(EpochEnded(i, i + 1, 3 - i / 50, 1 + 0.2 * (i % 2), is_best=False) for i in range(100))
    assert "overfitting" not in names(replace(run, events=restless, job=None))


def test_several_inputs_weights_and_losses_of_ones_own_are_no_error() -> None:
    weight = np.ones(400)
    found = told(fl.fit(nn.mlp((8,), 1), (X, Y, weight), loss="squared_error", epochs=2))
    assert any("weights" in one for one in found.unchecked)
    own = fl.fit(nn.mlp((8,), 1), (X, Y), loss=lambda output, y: np.mean((output - y) ** 4), epochs=2)
    assert told(own).checked
    two = nn.Sequential(lambda x: np.concatenate([x["a"], x["b"]], axis=1), nn.Dense(1))
    assert told(fl.fit(two, ({"a": X[:, :1], "b": X[:, 1:]}, Y), loss="squared_error", epochs=2)).checked
    tokens = nn.Sequential(nn.Embedding((50,) * 5, width=4), nn.Dense(1))
    ids = RNG.integers(0, 50, (400, 5))
    assert told(fl.fit(tokens, (ids, Y), loss="squared_error", epochs=2)).checked


@pytest.mark.parametrize(
    ("name", "preset", "seeds"),
    [(name, "plain", 2) for name in ("digits", "iris", "wine", "breast-cancer", "diabetes")]
    + [("iris", "fast", 1), ("wine", "default", 1)],
)
def test_healthy_runs_are_not_warned_of(name: str, preset: str, seeds: int) -> None:

    data = sets.load(name)
    train, _ = split(data, 0.2)
    for seed in range(seeds):
        run = trained(recipe_of(data, Choices(preset=preset, seed=seed), train), threads=1)
        found = fl.diagnose(run)
        assert not found.warnings, found.text()


def test_inputs_that_never_vary_are_told_and_nothing_else_of_the_network() -> None:
    assert names(fit(np.ones((400, 3)), epochs=30)) == {"constant_inputs"}
    assert names(fit(np.zeros((400, 3)), epochs=30)) == {"constant_inputs"}
