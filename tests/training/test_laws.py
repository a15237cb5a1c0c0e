"""The same bits: however a run is cut into calls, stopped and resumed, or read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl

NETWORK = fl.nn.mlp((4,), 3)
SETTINGS: dict[str, Any] = {
    "loss": "cross_entropy", "optimizer": fl.optim.Adam(0.01), "epochs": 6, "batch_size": 8, "validation": 0.3,
    "early_stopping": fl.EarlyStopping(patience=50), "seed": 5,
}  # fmt: skip


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[1], [3], [2, 1, 5], [1000]])
@pytest.mark.parametrize("copy", [False, True])
def test_how_a_run_is_cut_into_calls_changes_nothing(
    labelled: Any, cut: Any, arithmetic: Any, dtype: str, sizes: list[int], copy: bool
) -> None:
    whole = fl.fit(NETWORK, labelled, dtype=dtype, **SETTINGS)
    cut(sizes, copy)
    pieces = fl.fit(NETWORK, labelled, dtype=dtype, **SETTINGS)
    assert same_bits(whole.model.theta, pieces.model.theta)
    assert arithmetic(whole.history) == arithmetic(pieces.history)


def test_the_same_call_twice_gives_the_same_bits_and_another_seed_does_not(labelled: Any) -> None:
    first, again = (fl.fit(NETWORK, labelled, **SETTINGS).model.theta for _ in range(2))
    assert same_bits(first, again)
    assert not same_bits(first, fl.fit(NETWORK, labelled, **{**SETTINGS, "seed": 6}).model.theta)


def stopped_after(steps: int, out: Path, data: Any, **settings: Any) -> None:
    """A run that is interrupted after this many steps, in the middle of an epoch or at its end."""
    training = fl.train(NETWORK, data, out=out, **settings)
    advance = training._stepper.advance

    def counted() -> Any:
        setback = advance()
        if training._stepper.step >= steps:
            training.stop()
        return setback

    training._stepper.advance = counted  # type: ignore[method-assign]
    *_, last = training
    assert isinstance(last, fl.events.TrainingEnded)
    assert (last.reason, last.step) == ("interrupted", steps)


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "adam"])
@pytest.mark.parametrize("steps", [1, 4, 5, 13, 24])
def test_a_resumed_run_equals_the_uninterrupted_one(
    labelled: Any, cut: Any, arithmetic: Any, tmp_path: Path, steps: int, optimizer: str
) -> None:
    settings = {**SETTINGS, "optimizer": optimizer, "early_stopping": fl.EarlyStopping(patience=3)}
    whole = fl.fit(NETWORK, labelled, out=tmp_path / "whole", **settings)
    cut([1])
    stopped_after(steps, tmp_path / "cut", labelled, **settings)
    resumed = fl.fit(NETWORK, labelled, out=tmp_path / "cut", resume=True, **settings)
    assert same_bits(whole.model.theta, resumed.model.theta)
    assert arithmetic(whole.history) == arithmetic(resumed.history)
    assert (whole.stop_reason, whole.best_epoch) == (resumed.stop_reason, resumed.best_epoch)
    loaded = fl.load_run(tmp_path / "cut")
    assert arithmetic(loaded.history) == arithmetic(whole.history)
    assert same_bits(loaded.model.theta, whole.model.theta)


def test_a_run_stopped_again_and_again_still_arrives(labelled: Any, cut: Any, arithmetic: Any, tmp_path: Path) -> None:
    cut([1])
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    for steps in range(3, 24, 4):
        stopped_after(steps, tmp_path, labelled, resume=True, **SETTINGS)
    resumed = fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS)
    assert same_bits(whole.model.theta, resumed.model.theta)
    assert arithmetic(whole.history) == arithmetic(resumed.history)


def test_a_finished_run_goes_on_for_more_epochs_as_if_it_had_been_asked_to_at_first(
    labelled: Any, arithmetic: Any, tmp_path: Path
) -> None:
    whole = fl.fit(NETWORK, labelled, **{**SETTINGS, "epochs": 9})
    fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    more = fl.fit(NETWORK, labelled, resume=tmp_path, **{**SETTINGS, "epochs": 9})
    assert same_bits(whole.model.theta, more.model.theta)
    assert arithmetic(whole.history) == arithmetic(more.history)


def test_a_stream_read_slowly_and_a_fit_come_to_the_same(labelled: Any, arithmetic: Any) -> None:
    training = fl.train(NETWORK, labelled, **SETTINGS)
    seen = []
    for event in training:
        seen.append(event)
        _ = training.run.model.predict(labelled[0])
    run = fl.fit(NETWORK, labelled, **SETTINGS)
    assert same_bits(training.run.model.theta, run.model.theta)
    assert arithmetic(training.run.history) == arithmetic(run.history)
    assert isinstance(seen[0], fl.events.TrainingStarted)
    assert isinstance(seen[-1], fl.events.TrainingEnded)


def test_the_run_in_the_middle_is_a_copy(labelled: Any) -> None:
    training = fl.train(NETWORK, labelled, **SETTINGS)
    next(training)
    middle = training.run
    theta = middle.model.theta.copy()
    for _ in training:
        pass
    assert same_bits(middle.model.theta, theta)
    assert middle.stop_reason is None
    assert len(training.run.epochs) == 6


def test_a_model_goes_on_from_its_parameters_and_keeps_them(labelled: Any) -> None:
    run = fl.fit(NETWORK, labelled, **SETTINGS)
    first, theta = run.model, run.model.theta.copy()
    second = fl.fit(first, labelled, optimizer="adam", epochs=3)
    assert same_bits(first.theta, theta)
    assert second.history["loss"][0] < run.history["loss"][0]
    assert not same_bits(second.model.theta, theta)


def test_training_data_are_never_written_to(labelled: Any) -> None:
    x, y = (np.array(part) for part in labelled)
    x.flags.writeable = y.flags.writeable = False
    kept = x.tobytes(), y.tobytes()
    fl.fit(NETWORK, (x, y), dtype="float64", **SETTINGS)
    assert (x.tobytes(), y.tobytes()) == kept


@pytest.fixture
def epochs() -> Callable[[Any], list[Any]]:
    return lambda training: [event for event in training if isinstance(event, fl.events.EpochEnded)]


def test_steps_are_counted_with_the_rest_of_each_epoch(labelled: Any, epochs: Any) -> None:
    settings = {**SETTINGS, "validation": None, "early_stopping": None}
    found = epochs(fl.train(NETWORK, labelled, **{**settings, "batch_size": 10}))  # 53 rows: 5 batches and 3 rows
    assert [event.step for event in found] == [6, 12, 18, 24, 30, 36]
    assert [event.epoch for event in found] == list(range(6))


def test_the_learning_rate_in_the_history_is_the_schedule_s(labelled: Any) -> None:
    schedule = fl.optim.Cosine(0.1)
    settings = {**SETTINGS, "optimizer": fl.optim.GradientDescent(schedule), "validation": None}
    run = fl.fit(NETWORK, labelled, **settings)
    steps = run.history["step"]
    expected = [0.1 * (1 + np.cos(np.pi * (step - 1) / steps[-1])) / 2 for step in steps]
    np.testing.assert_allclose(run.history["learning_rate"], expected, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [7, 33])
def test_copies_of_the_state_leave_the_history_of_a_float64_training_as_it_is(
    batch_size: int, numbers: Any, cut: Any, arithmetic: Any
) -> None:
    found, told = [], {"epochs": 3, "batch_size": batch_size, "dtype": "float64", "seed": 1}
    for copies in (False, True):
        cut([3], copies)
        run = fl.fit(fl.nn.mlp((5,), 1), numbers, loss="squared_error", **told)
        found.append(arithmetic(run.history))
    assert found[0] == found[1]
