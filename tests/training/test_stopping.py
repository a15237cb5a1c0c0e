"""Early stopping: the epoch at which a run ends, and the parameters that it keeps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.jobs.stopping import Best, EarlyStopping

losses = st.lists(st.one_of(st.floats(0, 3), st.sampled_from([math.nan, math.inf, 1.0])), max_size=30)


@given(losses=losses, patience=st.integers(1, 4))
def test_the_best_epoch_is_the_first_with_the_lowest_loss(losses: list[float], patience: int) -> None:
    theta = np.zeros(1)
    best = Best(EarlyStopping(patience), theta)
    for epoch, loss in enumerate(losses):
        theta[0] = epoch
        best.note(epoch, loss)
    known = [loss for loss in losses if not math.isnan(loss)]
    if not known:
        assert best.epoch is None
        return
    assert best.epoch == losses.index(min(known))
    assert best.value == min(known)
    assert best.theta is not None
    assert best.theta[0] == best.epoch


@pytest.mark.parametrize(
    ("losses", "min_delta", "epochs"),
    [
        ([3, 2, 1, 1, 1, 1], 0.0, 5),  # patience 2: the second epoch in a row that is not lower ends it
        ([3, 2, 2, 1, 2, 2, 0], 0.0, 6),
        ([3, 2.9, 2.8, 2.7], 0.5, 3),  # lower, but never by half
        ([3, math.nan, math.nan, 1], 0.0, 3),
        ([math.nan, 3, 2, 1], 0.0, None),
        ([math.nan, math.nan, math.nan, math.nan], 0.0, 2),
        ([4, 3, 2, 1], 0.0, None),
    ],
)
def test_patience_counts_epochs_in_a_row(losses: list[float], min_delta: float, epochs: int | None) -> None:
    best = Best(EarlyStopping(2, min_delta), np.zeros(1))
    ended = None
    for epoch, loss in enumerate(losses):
        best.note(epoch, float(loss))
        if best.has_waited_enough:
            ended = epoch + 1
            break
    assert ended == epochs


def overfitting() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 10)), rng.integers(0, 2, 60)  # nothing to learn, so validation gets worse
    return {
        "data": (x, y), "loss": "cross_entropy", "optimizer": fl.optim.Adam(0.02), "validation": 0.3, "seed": 2,
        "batch_size": 8,
    }  # fmt: skip


def test_the_model_ends_with_the_parameters_of_its_best_epoch() -> None:
    settings = overfitting()
    data, network = settings.pop("data"), fl.nn.mlp((32,), 2)
    run = fl.fit(network, data, epochs=200, early_stopping=5, **settings)
    assert run.stop_reason == "early_stopping"
    assert run.best_epoch is not None
    assert len(run.epochs) == run.best_epoch + 1 + 5
    assert run.ended is not None
    assert run.ended.best_loss == min(run.history["validation_loss"])
    stopped_there = fl.fit(network, data, epochs=run.best_epoch + 1, **settings)
    assert run.model.theta.tobytes() == stopped_there.model.theta.tobytes()
    assert f"epoch {run.best_epoch}" in run.summary()


def test_without_restoring_the_last_parameters_stay() -> None:
    settings = overfitting()
    data, network = settings.pop("data"), fl.nn.mlp((32,), 2)
    rule = fl.EarlyStopping(5, restore_best=False)
    run = fl.fit(network, data, epochs=200, early_stopping=rule, **settings)
    assert run.stop_reason == "early_stopping"
    stopped_there = fl.fit(network, data, epochs=len(run.epochs), **settings)
    assert run.model.theta.tobytes() == stopped_there.model.theta.tobytes()
    assert run.ended is not None
    assert not run.ended.restored_best


def test_without_validation_the_training_loss_is_watched(numbers: Any) -> None:
    run = fl.fit(
        fl.nn.Sequential(fl.nn.Dense(1)), numbers, loss="squared_error", optimizer=fl.optim.GradientDescent(0.1),
        epochs=5000, batch_size="full", early_stopping=fl.EarlyStopping(3, min_delta=1e-4),
    )  # fmt: skip
    assert run.stop_reason == "early_stopping"
    assert "validation_loss" not in run.history


FALLS: dict[str, Any] = {"min_delta": 1e-2, "rate_factor": 0.2, "lowest_rate": 1e-3, "restore_best": False}


def test_a_rule_with_a_rate_factor_lowers_the_rate_until_it_is_the_lowest() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    settings: dict[str, Any] = {"loss": "squared_error", "optimizer": fl.optim.Momentum(0.05), "epochs": 500}
    run = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), early_stopping=EarlyStopping(2, **FALLS), **settings)
    assert run.stop_reason == "early_stopping"
    rates = run.history["learning_rate"]
    # 0.05 / 5^3 = 4e-4 is at most lowest_rate, and 0.05 / 5^2 = 2e-3 is not
    np.testing.assert_allclose(np.unique(rates), 0.05 * 0.2 ** np.arange(3, -1, -1.0), rtol=1e-12)
    ends = np.flatnonzero(np.diff(rates) < 0)
    assert (np.diff(ends) >= 2).all() and len(rates) - 1 - ends[-1] >= 2
    same = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), **{**settings, "epochs": int(ends[0]) + 1})
    np.testing.assert_array_equal(same.history["loss"], run.history["loss"][: ends[0] + 1])


def test_a_run_whose_rate_was_lowered_is_resumed_to_the_same_bits(tmp_path: Any) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    settings: dict[str, Any] = {"loss": "squared_error", "optimizer": fl.optim.Momentum(0.05), "epochs": 500,
                                "early_stopping": EarlyStopping(2, **FALLS)}  # fmt: skip
    whole = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), **settings)
    lowered = int(np.flatnonzero(np.diff(whole.history["learning_rate"]) < 0)[0]) + 2
    for event in (training := fl.train(fl.nn.Dense(1), (x, x[:, 0]), out=tmp_path, **settings)):
        if isinstance(event, fl.events.EpochEnded) and event.epoch == lowered:
            training.stop()
    resumed = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), resume=tmp_path, **settings)
    np.testing.assert_array_equal(resumed.model.theta, whole.model.theta)
    np.testing.assert_array_equal(resumed.history["learning_rate"], whole.history["learning_rate"])


def test_the_training_loss_may_choose_beside_validation_rows() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    rule = EarlyStopping(3, watch="training_loss")
    run = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), loss="squared_error", validation=0.5, early_stopping=rule, epochs=5)
    assert run.started is not None and run.started.watches == "loss"
    assert run.best_epoch == int(np.argmin(run.history["loss"]))
    alone = fl.fit(fl.nn.Dense(1), (x, x[:, 0]), loss="squared_error", early_stopping=rule, epochs=5)
    assert alone.best_epoch is not None
