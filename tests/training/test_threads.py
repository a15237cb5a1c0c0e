"""The law of threads in training: the same bits on any number of them; and they end with the training."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.program import lanes
from fallline.training.stepper import BatchStepper

NETWORK = fl.nn.mlp((7, 5), 3, "tanh")
SETTINGS: dict[str, Any] = {
    "loss": "cross_entropy", "optimizer": fl.optim.Adam(0.01, weight_decay=0.01, clip_norm=1.0), "epochs": 5,
    "batch_size": 8, "validation": 0.3, "early_stopping": 50, "seed": 5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def every_lane_at_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use as many lanes as allowed, and cut everything that can be cut, however little there is to gain."""
    gc.collect()
    lanes.rest()  # those that an earlier test has left
    monkeypatch.setattr(lanes, "SMALL", 0.0)
    monkeypatch.setattr(lanes, "available", lambda: 2)
    monkeypatch.setattr(lanes, "best", lambda ins, most, *rest: lanes.schedule(ins, most, *rest) if most > 1 else None)
    yield
    lanes.rest()


def running_lanes() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fallline-lane")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, 37, "full"])
def test_any_number_of_threads_gives_the_same_bits(
    labelled: Any, arithmetic: Any, dtype: str, batch_size: int | str
) -> None:
    settings = {**SETTINGS, "dtype": dtype, "batch_size": batch_size}
    alone = fl.fit(NETWORK, labelled, threads=1, **settings)
    for threads in (None, 2, 3, 4):
        run = fl.fit(NETWORK, labelled, threads=threads, **settings)
        assert run.started is not None
        assert run.started.lanes == (threads or 2)
        assert run.model.theta.tobytes() == alone.model.theta.tobytes()
        assert arithmetic(run.history) == arithmetic(alone.history)


def test_a_run_resumed_with_another_number_of_threads_equals_the_uninterrupted_one(
    labelled: Any, arithmetic: Any, cut: Any, tmp_path: Path
) -> None:
    whole = fl.fit(NETWORK, labelled, threads=1, **SETTINGS)
    cut([2])
    for epochs, threads in ((1, 3), (3, None), (5, 2)):
        run = fl.fit(NETWORK, labelled, out=tmp_path, resume=True, threads=threads, **{**SETTINGS, "epochs": epochs})
        assert run.config["threads"] == threads
    assert run.model.theta.tobytes() == whole.model.theta.tobytes()
    assert arithmetic(run.history) == arithmetic(whole.history)


@pytest.mark.parametrize("threads", [0, -2, 10**6, 2.5, True, "two"])
def test_senseless_numbers_of_threads_are_reported_with_everything_else(labelled: Any, threads: Any) -> None:
    with pytest.raises(fl.errors.ArgumentError, match="threads is a whole number from 1") as told:
        fl.fit(NETWORK, labelled, threads=threads, loss="cross_entropy", epochs=0)
    assert "epochs" in str(told.value)


def test_numbers_of_threads_may_be_numpy_s(labelled: Any, tmp_path: Path) -> None:
    run = fl.fit(NETWORK, labelled, threads=np.int64(2), out=tmp_path, **SETTINGS)
    assert fl.load_run(tmp_path).config["threads"] == run.config["threads"] == 2


def test_the_lanes_end_with_the_training(labelled: Any) -> None:
    training = fl.train(NETWORK, labelled, threads=3, **SETTINGS)
    for event in training:
        if isinstance(event, fl.events.EpochEnded):
            assert len(running_lanes()) == 2
    assert running_lanes() == []


def test_a_reader_that_raises_and_closes_leaves_the_last_state_and_no_lanes(labelled: Any, tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, labelled, threads=1, **SETTINGS)
    training = fl.train(NETWORK, labelled, threads=3, out=tmp_path, checkpoints=1, **SETTINGS)
    with pytest.raises(ZeroDivisionError):
        for event in training:
            if isinstance(event, fl.events.CheckpointSaved) and event.epoch == 3:
                raise ZeroDivisionError
    training.close()
    assert running_lanes() == []
    assert len(training.run.epochs) == 3
    assert np.isfinite(training.run.model.theta).all()
    more = fl.fit(NETWORK, labelled, threads=2, resume=tmp_path, **SETTINGS)
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


def test_a_training_that_is_dropped_lets_its_lanes_go(labelled: Any) -> None:
    training = fl.train(NETWORK, labelled, threads=3, **SETTINGS)
    next(training)
    next(training)
    assert running_lanes()
    del training
    gc.collect()
    assert running_lanes() == []


def test_ctrl_c_while_lanes_run_keeps_the_last_state(
    labelled: Any, cut: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fl.fit(NETWORK, labelled, threads=1, **SETTINGS)
    cut([1])
    run_on, sent = BatchStepper._run, []

    def interrupted(self: BatchStepper, limit: int) -> int:
        if self.step == 11 and not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)
        return run_on(self, limit)

    monkeypatch.setattr(BatchStepper, "_run", interrupted)
    run = fl.fit(NETWORK, labelled, threads=3, out=tmp_path, **SETTINGS)
    assert run.stop_reason == "interrupted"
    assert running_lanes() == []
    more = fl.fit(NETWORK, labelled, threads=2, resume=tmp_path, **SETTINGS)
    assert more.stop_reason == "finished"
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


def test_a_lane_that_dies_ends_the_training_with_its_error_and_the_last_state(
    labelled: Any, cut: Any, tmp_path: Path
) -> None:
    whole = fl.fit(NETWORK, labelled, threads=1, **SETTINGS)
    cut([1])
    training = fl.train(NETWORK, labelled, threads=3, out=tmp_path, checkpoints=1, **SETTINGS)
    program = training._stepper._main.program  # type: ignore[attr-defined]

    class Broken(list[Any]):
        def __getitem__(self, lane: Any) -> Any:
            if lane == 2:
                raise MemoryError
            return super().__getitem__(lane)

    with pytest.raises(MemoryError):
        for event in training:
            if isinstance(event, fl.events.CheckpointSaved) and event.epoch == 2:
                program.entries = Broken(program.entries)
    assert running_lanes() == []
    assert len(training.run.epochs) == 2
    assert fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS).model.theta.tobytes() == whole.model.theta.tobytes()


def test_a_system_without_lanes_says_that_a_step_runs_on_one(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "possible", lambda: False)
    for threads, said in ((2, 1), (1, 0), (None, 0)):
        run = fl.fit(NETWORK, labelled, threads=threads, **SETTINGS)
        assert run.started is not None
        assert sum("one thread" in note for note in run.started.notes) == said
