"""How long training goes on by default: while the monitored loss falls, up to a limit; the end gives the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.jobs import length, stopping
from fallline.jobs.length import FEWEST_EPOCHS, MOST_EPOCHS, by_default
from fallline.jobs.stopping import Best, EarlyStopping
from fallline.nn import Model, mlp

SMALL, LARGE = Model.init(mlp((4,), 1), 3), Model.init(mlp((512, 512), 1), 784)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rule on a smaller scale."""
    monkeypatch.setattr(length, "MOST_STEPS", 900)
    monkeypatch.setattr(length, "ALONE_STEPS", 300)
    monkeypatch.setattr(stopping, "WAIT_STEPS", 60)


def noisy(n: int = 64) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 8))
    return x, np.sin(2 * x[:, 0]) + 0.5 * rng.standard_normal(n)


@pytest.mark.parametrize("rows", [1, 10, 1_000, 10**5, 10**7])
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("model", [SMALL, LARGE], ids=["small", "large"])
def test_epochs_stay_between_their_limits_and_follow_from_the_sizes_alone(
    rows: int, validated: bool, model: Model
) -> None:
    size = min(32, rows)
    found = by_default(model, fl.optim.Adam(), size, -(-rows // size), validated=validated, rule=None)
    assert FEWEST_EPOCHS <= found.epochs <= MOST_EPOCHS
    assert found.rule == EarlyStopping(restore_best=validated)
    assert found.epochs >= by_default(LARGE, fl.optim.Adam(), size, -(-rows // size), validated=False, rule=None).epochs


def test_a_rule_that_was_asked_for_is_kept_and_none_is_none() -> None:
    rule = EarlyStopping(3)
    assert by_default(SMALL, fl.optim.Adam(), 8, 8, validated=True, rule=rule).rule == rule
    assert by_default(SMALL, fl.optim.Adam(), 8, 8, validated=True, rule=False) == length.Length(MOST_EPOCHS, None)


def test_a_schedule_that_spans_the_training_is_trained_to_its_end(numbers: Any) -> None:
    spans = by_default(SMALL, fl.optim.Adam(fl.optim.Cosine(0.1)), 8, 100, validated=True, rule=None)
    assert spans.epochs == length.ALONE_STEPS // 100
    assert spans.rule is not None and spans.rule.patience == 10**9
    fixed = by_default(SMALL, fl.optim.Adam(fl.optim.Cosine(0.1, steps=50)), 8, 100, validated=True, rule=None)
    assert fixed.epochs == length.MOST_STEPS // 100
    started = next(fl.train(mlp((), 1), numbers, loss="squared_error", optimizer=fl.optim.Adam(fl.optim.Cosine(0.1))))
    assert isinstance(started, fl.events.TrainingStarted) and not started.open_ended


@pytest.mark.parametrize(
    ("losses", "steps", "ended"),
    [
        ([1.0] * 50, 1, None),  # fifty steps are no reason yet
        ([1.0] * 90, 100, 41),  # 4000 steps after the first epoch
        ([1.0] * 10, 10**5, 6),  # five epochs, where one of them has more steps than that
        ([1.0 - 0.0001 * i for i in range(90)], 100, None),  # it creeps: a thousandth in eleven epochs
        ([1.0 - 0.00001 * i for i in range(90)], 100, 41),  # too slowly to be worth it
        ([1.0 - 0.01 * i for i in range(22)] + [1.0] * 90, 1000, 33),  # half of the 22 epochs to the last progress
    ],
)
def test_patience_without_a_number_counts_steps(losses: list[float], steps: int, ended: int | None) -> None:
    best, found = Best(EarlyStopping(), np.zeros(1)), None
    for epoch, loss in enumerate(losses):
        best.note(epoch, loss, (epoch + 1) * steps)
        if best.has_waited_enough:
            found = epoch + 1
            break
    assert found == ended


@pytest.mark.usefixtures("short")
def test_training_ends_after_the_validation_loss_has_stopped_falling_and_keeps_its_best() -> None:
    run = fl.fit(mlp((32,), 1), noisy(), loss="squared_error", optimizer=fl.optim.Adam(0.02), validation=0.3, seed=1)
    assert run.started is not None and run.started.open_ended
    assert run.ended is not None and run.best_epoch is not None
    assert (run.stop_reason, run.ended.restored_best, run.ended.still_falling) == ("early_stopping", True, False)
    assert len(run.epochs) < run.started.epochs
    there = fl.fit(mlp((32,), 1), noisy(), loss="squared_error", optimizer=fl.optim.Adam(0.02), validation=0.3, seed=1,
                   epochs=run.best_epoch + 1)  # fmt: skip
    assert run.model.theta.tobytes() == there.model.theta.tobytes()
    assert "still falling" not in run.summary()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("validation", [None, 0.3])
def test_a_loss_that_is_still_falling_at_the_limit_is_reported(validation: float | None) -> None:
    settings: dict[str, Any] = {"loss": "squared_error", "optimizer": fl.optim.Adam(1e-4), "validation": validation}
    run = fl.fit(mlp((16,), 1), noisy(), **settings)
    assert run.ended is not None
    assert (run.stop_reason, run.ended.still_falling) == ("finished", True)
    watched = "loss" if validation is None else "validation loss"
    assert f"the {watched} was still falling; try: epochs={2 * len(run.epochs)}" in run.summary()
    several = fl.fit(mlp((16,), 1), noisy(), **settings, ensemble=2)
    assert several.ended is not None and several.ended.still_falling
    asked = fl.fit(mlp((16,), 1), noisy(), **settings, epochs=3)
    assert asked.ended is not None and not asked.ended.still_falling  # three is what was asked for


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("first", [{"epochs": 3}, {}])
def test_a_default_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Any, first: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"loss": "squared_error", "optimizer": fl.optim.Adam(0.02), "seed": 1}
    data, validation = noisy(), noisy(40)
    whole = fl.fit(mlp((32,), 1), data, validation=validation, **settings)
    training = fl.train(mlp((32,), 1), data, validation=validation, out=tmp_path, checkpoints=1, **settings, **first)
    for event in training:
        if isinstance(event, fl.events.EpochEnded) and event.epoch == 7:
            training.stop()
    again = fl.fit(mlp((32,), 1), data, validation=validation, out=tmp_path, resume=True, **settings)
    assert again.model.theta.tobytes() == whole.model.theta.tobytes()
    assert len(again.epochs) == len(whole.epochs)


def test_training_on_small_tables_predicts_better_than_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1277, 6))
    y = np.sin(2 * x[:, 0]) + x[:, 1] ** 2 / 2
    few, columns = slice(277), np.c_[x, np.ones(len(x))]
    run = fl.fit(mlp((50,), 1), (x[few], y[few]), loss="squared_error")
    plane = columns @ np.linalg.lstsq(columns[few], y[few], rcond=None)[0]
    errors = [float(np.mean((found - y)[277:] ** 2)) for found in (run.model.predict(x), plane)]
    assert errors[0] < 0.5 * errors[1]
