"""From a table to a training: defaults follow from the table, and given choices are taken or refused."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline import nn, optim
from fallline.data.dataset import Dataset
from fallline.data.preprocess import targets_of
from fallline.errors import ArgumentError, DataError
from fallline.jobs.stopping import NEVER
from fallline.presets import FEW, PRESETS
from fallline.ranges import options
from fallline.recipe import FEWEST_VALIDATION_ROWS, Choices, loss_for, recipe_of
from fallline.table import as_table

RNG = np.random.default_rng(0)


def table(
    rows: int = 60, classes: tuple[str, ...] = ("b", "a"), same_unit: bool = False, preset: str = "plain"
) -> Dataset:
    x = RNG.normal(size=(rows, 3)) * [1, 10, 100] + 5
    score = x[:, 0] - x[:, 1] / 10
    y = (np.argsort(np.argsort(score)) * len(classes) // rows) if classes else 1000 + 50 * score
    task = "classification" if classes else "regression"
    return Dataset("made", x, y, ("p", "q", "r"), "goal", task, classes, same_unit, preset=preset)


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
    assert loss_for(table(), Choices(), 0.1) == nn.CrossEntropy(label_smoothing=0.1)
    assert loss_for(table(), Choices(label_smoothing=0.0), 0.1) == nn.CrossEntropy()
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


@given(st.integers(2, 500), st.sampled_from(list(PRESETS)))
def test_rows_are_validation_rows_where_there_are_enough_of_them(rows: int, preset: str) -> None:
    share = PRESETS[preset].of("regression", rows).validation
    made = recipe_of(table(rows, ()), Choices(preset=preset))
    assert made.validation == (share if rows * share >= FEWEST_VALIDATION_ROWS else 0)
    size = made.batch_size
    assert size == "full" or (isinstance(size, int) and 0 < size < rows)


def test_few_rows_have_several_small_networks_that_together_cost_as_much_as_one() -> None:
    of = {rows: recipe_of(table(rows, ()), Choices(preset="default")) for rows in (100, FEW, FEW + 1)}
    assert [one.ingredients.folds for one in of.values()] == [5, 5, 1]
    assert of[FEW].early_stopping is False and of[FEW + 1].early_stopping is not False
    few = of[FEW].ingredients
    steps = (of[FEW].choices.epochs or 0) * round(0.8 * FEW / few.batch_size) * few.folds
    assert few.steps is not None and abs(steps / few.steps - 1) < 0.05
    for chosen in ({"epochs": 9}, {"validation": 0.1}, {"early_stopping": 3}, {"watch": "mae"}):
        assert recipe_of(table(100, ()), Choices(preset="default", **chosen)).ingredients.folds == 1


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


def test_predictions_stay_in_the_range_of_the_training_rows_where_no_order_leads_out_of_it() -> None:
    data, choices = table(90, ()), Choices(preset="fast")
    made, ordered = (recipe_of(one, choices).decoder for one in (data, replace(data, order=np.arange(90.0))))
    assert isinstance(made, nn.Quantity) and isinstance(ordered, nn.Quantity)
    assert (made.lowest, made.highest) == (data.y.min(), data.y.max())
    assert (ordered.lowest, ordered.highest) == (None, None)


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


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("rows", [3, 70])
@pytest.mark.parametrize("classes", [("b", "a"), ("0", "1", "2"), ()], ids=str)
def test_every_preset_trains_any_task_on_few_rows_and_many(preset: str, rows: int, classes: Any) -> None:
    data = table(rows, classes)
    recipe = recipe_of(data, Choices(preset=preset, hidden=(8,), epochs=3))
    run = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    y_hat = run.model.predict(data.x)
    assert y_hat.shape == (rows,) and (classes or np.isfinite(y_hat).all())
    again = fl.fit(recipe.network, recipe.rows, **recipe.settings, threads=1)
    assert np.array_equal(again.model.theta, run.model.theta)


def test_what_a_person_chooses_holds_and_the_preset_decides_the_rest() -> None:
    data = table(200, (), preset="default")
    of = PRESETS["default"].of("regression", len(data))
    made = recipe_of(data, Choices())
    assert made.choices.preset == "default" and made.choices.hidden == of.hidden
    assert made.choices.epochs == 200 and made.batch_size == "full"  # 160 rows make one step
    assert recipe_of(table(2100, (), preset="default"), Choices()).choices.epochs == 200  # 7 steps of 270 rows
    assert recipe_of(table(20_000, (), preset="fast"), Choices()).choices.epochs == round(2400 / 70)
    assert isinstance(made.optimizer, optim.AdamW) and made.optimizer.learning_rate == optim.CosLog(of.learning_rate)
    assert made.optimizer.weight_decay == optim.FlatCosine(of.weight_decay)
    own = recipe_of(data, Choices(activation="tanh", hidden=(4, 4), learning_rate=0.5, epochs=7, watch="loss"))
    assert [type(one).__name__ for one in own.network.layers] == [
        "ByColumns", "Scale", *["Dense", "Parametric", "Dropout"] * 2, "Dense"
    ]  # fmt: skip
    assert own.optimizer.learning_rate == optim.CosLog(0.5)
    assert own.settings["epochs"] == 7 and own.early_stopping == NEVER
    other = recipe_of(data, Choices(optimizer="momentum"))
    assert other.optimizer == optim.Momentum()
    assert recipe_of(data, Choices(optimizer="lbfgs")).batch_size == "full"
    assert recipe_of(data, Choices(loss="huber")).choices.watch is None  # the validation loss


def test_robust_columns_bear_far_values_gaps_and_columns_that_tell_nothing() -> None:
    n, rng = 80, np.random.default_rng(3)
    x = rng.normal(size=(n, 5))
    x[3, 0], x[4, 0] = 1e300, -np.inf
    x[:, 1] = 7.0  # constant
    x[:, 2] = np.nan  # empty
    x[:, 3] = np.where(np.arange(n) % 9, 0.0, 5.0)  # the quartiles are one value
    x[5:9, 4] = np.nan
    data = Dataset("made", x, x[:, 0].clip(-1, 1) + x[:, 3], tuple("abcde"), "goal", "regression")
    recipe = recipe_of(data, Choices(preset="fast", epochs=20, hidden=(16,)))
    kinds = [type(one).__name__ for one in recipe.encoder.columns]
    assert kinds == ["Number", "Unused", "Unused", "Number", "Number"]
    far, few, gaps = (recipe.encoder.columns[i] for i in (0, 3, 4))
    usual = np.delete(x[:, 0], [3, 4])
    assert abs(far.scale - np.subtract(*np.quantile(usual, [0.75, 0.25]))) < 0.1
    assert few.scale == 5 and gaps.indicator and not far.indicator
    seen = recipe.encoder.encode(x)
    assert seen.shape == (n, 4) and np.abs(seen).max() <= 3 and seen[5, 3] == 1 and seen[5, 2] == 0
    run = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    first = run.model.predict(x[:1])
    other = x[:1].copy()
    other[0, 1:3] = 1e9, 3.0  # what the network never saw cannot decide
    assert np.array_equal(run.model.predict(other), first)
    lowest, highest = data.y.min(), data.y.max()
    assert ((run.model.predict(x * 1e6) >= lowest) & (run.model.predict(x * 1e6) <= highest)).all()
    with pytest.raises(DataError, match="every column is the same in all training rows"):
        recipe_of(Dataset("made", np.ones((n, 1)), data.y, ("a",), "goal", "regression"), Choices(preset="fast"))


def test_rare_levels_count_as_unknown_where_there_are_many() -> None:
    texts = [f"l{i % 12}" for i in range(60)] + ["once"]
    y = np.arange(61) % 2
    data = Dataset("made", as_table({"city": texts}), y, ("city",), "goal", "classification", ("no", "yes"))
    recipe = recipe_of(data, Choices(preset="fast", epochs=3, hidden=(4,)))
    (column,) = recipe.encoder.columns
    assert column.embedded and "once" not in column.levels and len(column.levels) == 12
    model = fl.fit(recipe.network, recipe.rows, **recipe.settings).model
    asked = as_table({"city": ["once", "never seen", None]})
    assert len({*map(tuple, model.predict_proba(asked).tolist())}) == 1
