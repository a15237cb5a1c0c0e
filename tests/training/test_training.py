"""The stream of events: their order and their contents."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError
from fallline.runs import folder
from fallline.runs.events import CheckpointSaved, EpochEnded, Progress, TrainingEnded, TrainingStarted
from fallline.training import training

NETWORK = fl.nn.mlp((4,), 3)
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "epochs": 3, "batch_size": 10}


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is told or saved from time to time is told and saved after every machine call."""
    monkeypatch.setattr(training, "PROGRESS_SECONDS", -1.0)
    monkeypatch.setattr(folder, "_EVERY_SECONDS", -1.0)
    monkeypatch.setattr(folder, "_SHARE", float("inf"))


def test_progress_comes_inside_epochs_with_the_mean_loss_so_far(labelled: Any, cut: Any, always: None) -> None:
    cut([1])
    events = list(fl.train(NETWORK, labelled, **SETTINGS))
    kinds = [type(event) for event in events]
    assert kinds == [TrainingStarted, *([Progress] * 5 + [EpochEnded]) * 3, TrainingEnded]
    assert [e.step for e in events if isinstance(e, Progress)] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17]
    assert [e.epoch_step for e in events if isinstance(e, Progress)] == [1, 2, 3, 4, 5] * 3
    for progress, ended in pairwise(events):
        if isinstance(progress, Progress) and isinstance(ended, EpochEnded):
            # 50 rows were seen, and the last 3 weigh little.
            assert progress.loss == pytest.approx(ended.loss, rel=0.2)
            assert progress.learning_rate == ended.learning_rate == 1e-3


def test_the_first_event_reports_what_will_be_done(labelled: Any) -> None:
    started = next(fl.train(NETWORK, labelled, validation=0.2, **SETTINGS))
    assert isinstance(started, TrainingStarted)
    assert (started.rows, started.validation_rows, started.input_shape) == (42, 11, (3,))
    assert (started.batch_size, started.steps_per_epoch, started.epochs) == (10, 5, 3)
    assert started.parameters == 3 * 4 + 4 + 4 * 3 + 3
    assert (started.loss, started.optimizer, started.task) == ("cross_entropy", "adam", "classification")
    assert started.metrics == ("validation_accuracy",)


def test_epochs_report_which_is_the_best_so_far(labelled: Any) -> None:
    run = fl.fit(NETWORK, labelled, validation=0.3, **{**SETTINGS, "epochs": 30, "optimizer": fl.optim.Adam(0.1)})
    losses = run.history["validation_loss"]
    lowest = [all(loss > later for loss in losses[:i]) for i, later in enumerate(losses)]
    assert [event.is_best for event in run.epochs] == lowest
    assert run.best_epoch == int(np.argmin(losses))


def test_a_checkpoint_in_the_middle_of_an_epoch_is_a_place_to_go_on_from(
    labelled: Any, cut: Any, always: None, tmp_path: Path
) -> None:
    cut([1])
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    stream = fl.train(NETWORK, labelled, out=tmp_path, **SETTINGS)
    for event in stream:
        if isinstance(event, CheckpointSaved) and event.step == 9:
            break
    stream.close()  # as if the process had died here
    run = fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS)
    assert run.started is not None
    assert (run.started.first_epoch, run.started.first_step) == (1, 9)
    assert run.model.theta.tobytes() == whole.model.theta.tobytes()
    assert run.history["loss"].tolist() == whole.history["loss"].tolist()


def test_a_run_cut_off_loads_with_the_model_of_its_newest_checkpoint(
    labelled: Any, cut: Any, always: None, tmp_path: Path
) -> None:
    cut([1])
    stream = fl.train(NETWORK, labelled, out=tmp_path, **SETTINGS)
    for event in stream:
        if isinstance(event, CheckpointSaved) and event.step == 4:
            break
    theta = stream.run.model.theta
    stream.close()
    assert fl.load_run(tmp_path).model.theta.tobytes() == theta.tobytes()


def test_signs_of_life_are_thinned_in_the_file(labelled: Any, cut: Any, always: None, tmp_path: Path) -> None:
    cut([1])
    fl.fit(NETWORK, labelled, out=tmp_path, checkpoints=None, **{**SETTINGS, "epochs": 20})
    kinds = [json.loads(line)["event"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert kinds.count("epoch_ended") == 20
    assert kinds.count("progress") < 20


def test_training_images_and_a_loss_of_one_s_own() -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((40, 4, 4))
    y = images.mean(axis=(1, 2))

    def relative(output: Any, y: Any) -> Any:
        return np.mean(np.abs(output - y) / (1 + np.abs(y)))

    network = fl.nn.Sequential(fl.nn.Flatten(), fl.nn.Dense(8), fl.nn.Tanh(), fl.nn.Dense(1))
    run = fl.fit(network, (images, y), loss=relative, optimizer=fl.optim.Adam(0.01), epochs=60, batch_size=8)
    assert run.history["loss"][-1] < 0.5 * run.history["loss"][0]
    assert run.model.predict(images).shape == (40,)


def test_a_stream_that_is_never_read_writes_nothing(labelled: Any, tmp_path: Path) -> None:
    fl.train(NETWORK, labelled, out=tmp_path / "run", **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_train_and_fit_take_what_settings_hold() -> None:
    import inspect
    from dataclasses import fields

    from fallline.jobs.settings import Settings

    taken = {name: p.default for name, p in inspect.signature(fl.train).parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert taken == {field.name: field.default for field in fields(Settings)}


@pytest.mark.parametrize("loss", sorted(fl.nn.LOSSES))
@pytest.mark.parametrize("out", [False, True])
def test_every_loss_trains_validates_and_is_saved(loss: str, out: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3))
    record = fl.nn.LOSSES[loss]
    outputs, y = {
        "regression": (1, np.floor(np.exp(x[:, 0]))),
        "quantiles": (1, np.floor(np.exp(x[:, 0]))),
        "binary": (1, np.where(x[:, 0] > 0, "b", "a")),
        "classification": (3, rng.integers(0, 3, 60)),
    }[record.task]
    run = fl.fit(
        fl.nn.mlp((4,), outputs), (x, y), loss=loss, validation=0.25, epochs=np.int64(15), batch_size=np.int32(8),
        seed=np.int64(3), optimizer=fl.optim.Adam(np.float32(0.03)), early_stopping=np.int64(14),
        out=tmp_path if out else None, checkpoints=np.int64(2),
    )  # fmt: skip
    assert run.history["loss"][-1] < run.history["loss"][0]
    usual = {"regression": {"r2", "rmse"}, "quantiles": set()}.get(record.task, {"accuracy"})
    measured = {name for name in run.history if name.startswith("validation")}
    assert measured == {"validation_loss", *(f"validation_{name}" for name in usual)}
    if out:
        assert fl.load_run(tmp_path).model.predict(x).tolist() == run.model.predict(x).tolist()


@pytest.mark.parametrize("optimizer", sorted(fl.optim.OPTIMIZERS))
def test_every_optimizer_lowers_the_loss_by_its_name(optimizer: str, labelled: Any) -> None:
    run = fl.fit(NETWORK, labelled, optimizer=optimizer, **{**SETTINGS, "epochs": 20})
    assert run.history["loss"][-1] < run.history["loss"][0]
    assert run.stop_reason == "finished"


def test_soft_labels_are_counted_by_their_largest(labelled: Any) -> None:
    x, y = labelled
    soft = 0.8 * np.eye(3)[y] + 0.2 / 3
    run = fl.fit(NETWORK, (x, soft), validation=(x, soft), **SETTINGS)
    hits = np.argmax(run.model.predict_proba(x), axis=1) == y
    assert run.history["validation_accuracy"][-1] == pytest.approx(np.mean(hits))


def test_a_setting_that_there_is_not_is_reported_with_the_nearest(labelled: Any) -> None:
    with pytest.raises(ArgumentError, match=r"'epoch'.*epochs"):
        fl.fit(fl.nn.mlp((4,), 3), labelled, loss="cross_entropy", epoch=1)
