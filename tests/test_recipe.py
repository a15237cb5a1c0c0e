"""From a table to a training: defaults follow from the table, and given choices are taken or refused."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline import nn
from fallline.data.dataset import Dataset
from fallline.data.preprocess import targets_of
from fallline.errors import ArgumentError
from fallline.jobs.stopping import NEVER
from fallline.ranges import options
from fallline.recipe import FEWEST_VALIDATION_ROWS, SMOOTHING, VALIDATION, Choices, loss_for, recipe_of, validation_for

RNG = np.random.default_rng(0)


def table(rows: int = 60, classes: tuple[str, ...] = ("b", "a"), same_unit: bool = False) -> Dataset:
    x = RNG.normal(size=(rows, 3)) * [1, 10, 100] + 5
    score = x[:, 0] - x[:, 1] / 10
    y = (np.argsort(np.argsort(score)) * len(classes) // rows) if classes else 1000 + 50 * score
    task = "classification" if classes else "regression"
    return Dataset("made", x, y, ("p", "q", "r"), "goal", task, classes, same_unit)


@pytest.mark.parametrize("classes", [("b", "a"), ("0", "1", "2"), ()], ids=str)
def test_a_recipe_trains_as_it_stands_and_its_model_takes_raw_rows_and_gives_the_targets_back(classes: Any) -> None:
    data = table(200, classes)
    recipe = recipe_of(data, Choices(hidden=(8,), epochs=60))
    run = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    y_hat = run.model.predict(data.x)
    truth = targets_of(data, np.arange(len(data)), recipe.decoder)
    if classes:
        assert np.mean(y_hat == truth) > 0.7 and set(y_hat) <= set(truth)
    else:
        assert np.corrcoef(y_hat, truth)[0, 1] > 0.9 and abs(y_hat.mean() - truth.mean()) < 30
    assert recipe.shape == (3, 8, max(1, len(classes)))
    assert run.started is not None and run.started.validation_rows == 20


def test_the_loss_follows_from_the_target() -> None:
    assert loss_for(table(), Choices()) == nn.CrossEntropy(label_smoothing=SMOOTHING)
    assert loss_for(table(), Choices(label_smoothing=0.0)) == nn.CrossEntropy()
    assert loss_for(table(classes=()), Choices()) == nn.LOSSES["squared_error"]
    assert loss_for(table(), Choices(loss="binary_cross_entropy")) == nn.LOSSES["binary_cross_entropy"]


@pytest.mark.parametrize(
    ("classes", "choices", "told"),
    [
        (("a", "b", "c"), {"loss": "binary_cross_entropy"}, "learns two classes, and the target 'goal' is 3 classes"),
        (
            ("a", "b"),
            {"loss": "huber"},
            "learns a quantity, and the target 'goal' is 2 classes\n  try: binary_cross_en",
        ),
        ((), {"loss": "cross_entropy"}, "learns classes, and the target 'goal' is a quantity\n  try: absolute_error"),
        (
            (),
            {"label_smoothing": 0.1},
            "label_smoothing=0.1 goes with loss='cross_entropy', not with loss='squared_err",
        ),
    ],
)
def test_a_loss_that_cannot_learn_the_target_is_refused_with_those_that_can(
    classes: Any, choices: dict[str, Any], told: str
) -> None:
    data = table(classes=classes)
    with pytest.raises(ArgumentError) as error:
        recipe_of(data, Choices(**choices))
    assert told in str(error.value)
    suits = str(error.value).partition("try: ")[2]
    for name in filter(None, suits.split(", ")):
        assert recipe_of(data, Choices(loss=name)).loss.name == name


@given(st.integers(2, 500))
def test_rows_are_validation_rows_where_there_are_enough_of_them(rows: int) -> None:
    share = validation_for(rows)
    assert share == (VALIDATION if rows * VALIDATION >= FEWEST_VALIDATION_ROWS else 0)


def test_the_best_epoch_is_kept_where_somebody_says_how_many() -> None:
    big, small = table(200), table(20)
    assert recipe_of(big, Choices(epochs=5)).early_stopping == NEVER
    assert recipe_of(big, Choices(epochs=5, early_stopping=3)).early_stopping == 3
    assert recipe_of(big, Choices()).early_stopping is None
    assert recipe_of(small, Choices(epochs=5)).early_stopping is None


def test_columns_and_target_are_measured_on_the_training_rows_alone() -> None:
    data, train = table(90, ()), np.arange(0, 90, 2)
    recipe = recipe_of(data, Choices(), train)
    assert np.allclose([one.mean for one in recipe.encoder.columns], data.x[train].mean(axis=0))
    assert isinstance(recipe.decoder, nn.Quantity)
    assert np.allclose((recipe.decoder.mean, recipe.decoder.scale), (data.y[train].mean(), data.y[train].std()))
    x, y = recipe.rows
    assert np.array_equal(x, data.x[train]) and np.array_equal(y, data.y[train])
    counts = recipe_of(data, Choices(loss="poisson"), train)
    assert counts.decoder == nn.Quantity("goal")  # the outputs are logarithms


def test_a_recipe_like_another_measures_nothing_again() -> None:
    first = recipe_of(table(), Choices())
    other = recipe_of(first.data, Choices(hidden=()), like=first)
    assert other.encoder is first.encoder and other.train is first.train and other.shape == (3, 2)
    assert set(first.variant) == {"model", "optimizer", "batch_size", "epochs", "seed"}


def test_a_batch_of_all_rows_left_is_a_full_one() -> None:
    data = table(200)  # 20 of them for validation
    assert recipe_of(data, Choices(batch_size=179)).batch_size == 179
    assert recipe_of(data, Choices(batch_size=180)).batch_size == "full"
    assert recipe_of(data, Choices(batch_size="full")).batch_size == "full"


def test_a_metric_is_watched_and_measured() -> None:
    recipe = recipe_of(table(200), Choices(hidden=(4,), epochs=3, metrics=("f1",), watch="roc_auc"))
    run = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    assert run.started is not None and run.started.watches == "validation_roc_auc"
    assert list(run.epochs[0].metrics) == ["validation_accuracy", "validation_f1", "validation_roc_auc"]
    assert recipe_of(table(), Choices()).settings["metrics"] is None
    alone: dict[str, Any] = {"metrics": "f1", "hidden": 8}
    assert Choices(**alone) == Choices(metrics=("f1",), hidden=(8,))
    assert Choices(**dict.fromkeys(alone)) == Choices()
    with pytest.raises(ArgumentError, match="did you mean 'accuracy'"):
        Choices(watch="acuracy")


def test_choices_report_all_that_is_wrong_with_them() -> None:
    with pytest.raises(ArgumentError, match=r"activation has to be[\s\S]*validation has to be[\s\S]*a width has to be"):
        Choices(activation="rleu", validation=1.5, hidden=(3, 0))
    with pytest.raises(ArgumentError, match="did you mean 'huber'"):
        Choices(loss="hubert")


def test_every_choice_but_the_widths_has_a_range_that_takes_its_default() -> None:
    ranged = {name for name, _, _ in options(Choices)}
    assert ranged == {field.name for field in fields(Choices)} - {"hidden", "metrics", "watch"}
    assert all(limits.problem(default) is None and limits.doc for _, default, limits in options(Choices))


def test_a_minimiser_takes_all_rows_unless_others_are_asked_for() -> None:
    recipe = recipe_of(table(200), Choices(hidden=(4,), epochs=5, optimizer="lbfgs"))
    run = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    assert run.started is not None and run.started.batch_size == run.started.rows
    for rows in (16, 32):
        other = recipe_of(table(200), Choices(optimizer="lbfgs", batch_size=rows))
        with pytest.raises(ArgumentError, match="compares losses"):
            fl.fit(other.network, other.rows, **other.settings)
    assert recipe_of(table(200), Choices()).batch_size == 16
