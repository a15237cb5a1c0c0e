"""fit(..., ensemble=k): members to the bits of training each alone, their average as the model, one Run on disk."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ExistingFileError
from fallline.experiments.members import mean_epochs, member_seeds
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings
from fallline.training.stepper import BatchStepper

NETWORK = nn.mlp((4,), 3)
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "epochs": 6, "batch_size": 8, "validation": 0.3, "seed": 5}


@pytest.mark.parametrize("threads", [1, 2])
def test_members_come_to_the_bits_of_training_each_alone_on_the_same_rows(labelled: Any, threads: int) -> None:
    run = fl.fit(NETWORK, labelled, ensemble=3, threads=threads, **SETTINGS)
    job = prepare(NETWORK, labelled, Settings(**SETTINGS))
    assert job.validation is not None
    singles = [
        fl.fit(NETWORK, labelled, **{**SETTINGS, "seed": seed, "validation": job.validation.index})
        for seed in run.config["ensemble"]["seeds"]
    ]
    assert len({single.model.theta.tobytes() for single in singles}) == 3
    for member, single in zip(nn.members(run.model), singles, strict=True):
        assert member.theta.tobytes() == single.model.theta.tobytes()
    mean = np.mean([single.model.predict_proba(labelled[0]) for single in singles], axis=0)
    np.testing.assert_allclose(run.model.predict_proba(labelled[0]), mean, atol=1e-6)
    for name in ("loss", "validation_loss", "validation_accuracy"):
        np.testing.assert_allclose(run.history[name], np.mean([s.history[name] for s in singles], axis=0))


def test_numbers_are_averaged(numbers: Any) -> None:
    run = fl.fit(nn.mlp((5,), 1), numbers, loss="squared_error", epochs=4, ensemble=4)
    mean = np.mean([member.predict(numbers[0]) for member in nn.members(run.model)], axis=0)
    np.testing.assert_allclose(run.model.predict(numbers[0]), mean, rtol=1e-5, atol=1e-6)
    assert run.model.predict(numbers[0]).shape == numbers[1].shape


def test_seeds_follow_from_the_seed_and_those_of_a_smaller_ensemble_come_first() -> None:
    assert member_seeds(7, 3) == member_seeds(7, 9)[:3]
    assert len(set(member_seeds(7, 9)) | set(member_seeds(8, 9))) == 18
    assert all(0 <= seed < 2**63 for seed in member_seeds(0, 100))


def test_an_ensemble_is_saved_as_one_run_and_read_back(labelled: Any, tmp_path: Path, arithmetic: Any) -> None:
    run = fl.fit(NETWORK, labelled, ensemble=3, out=tmp_path / "three", **SETTINGS)
    assert run.folder == tmp_path / "three"
    loaded = fl.load_run(tmp_path / "three")
    assert loaded.model.theta.tobytes() == run.model.theta.tobytes()
    assert np.array_equal(loaded.model.predict(labelled[0]), run.model.predict(labelled[0]))
    assert arithmetic(loaded.history) == arithmetic(run.history)
    assert loaded.config["ensemble"] == run.config["ensemble"]
    assert "an ensemble of 3" in loaded.summary()
    assert len(nn.members(fl.load_model(tmp_path / "three"))) == 3
    with pytest.raises(ExistingFileError):
        fl.fit(NETWORK, labelled, ensemble=2, out=tmp_path / "three", **SETTINGS)
    fl.fit(NETWORK, labelled, ensemble=2, out=tmp_path / "three", overwrite=True, **SETTINGS)
    assert len(nn.members(fl.load_model(tmp_path / "three"))) == 2


def test_members_stop_each_at_its_own_epoch(labelled: Any) -> None:
    settings = {**SETTINGS, "epochs": 200, "early_stopping": 1, "optimizer": fl.optim.Adam(0.1)}
    run = fl.fit(NETWORK, labelled, ensemble=4, **settings)
    assert run.stop_reason == "early_stopping"
    singles = [
        fl.fit(NETWORK, labelled, **{**settings, "seed": seed, "validation": fold})
        for seed, fold in zip(run.config["ensemble"]["seeds"], [_held(labelled)] * 4, strict=True)
    ]
    assert len({len(single.epochs) for single in singles}) > 1
    assert len(run.epochs) == max(len(single.epochs) for single in singles)


def _held(data: Any) -> np.ndarray:
    held = prepare(NETWORK, data, Settings(**SETTINGS)).validation
    assert held is not None
    return held.index


def test_members_that_diverge_are_left_out_and_reported(labelled: Any) -> None:
    # Rates near the border of what is stable: some seeds cross it and some do not.
    settings = {**SETTINGS, "loss": lambda z, y: np.mean(np.exp(z * z)), "epochs": 8, "validation": None}
    for rate in (0.003, 0.01, 0.02, 0.04, 0.08):
        settings["optimizer"] = fl.optim.GradientDescent(rate)
        run = fl.fit(NETWORK, labelled, ensemble=8, **settings)
        ends = [fl.fit(NETWORK, labelled, **{**settings, "seed": seed}) for seed in run.config["ensemble"]["seeds"]]
        good = [end for end in ends if end.stop_reason != "diverged"]
        if 0 < len(good) < 8:
            break
    assert 0 < len(good) < 8
    assert [m.theta.tobytes() for m in nn.members(run.model)] == [end.model.theta.tobytes() for end in good]
    assert f"{8 - len(good)} of 8 members diverged and are left out" in run.summary()
    assert run.stop_reason == "finished"


def test_when_all_diverge_the_run_says_so(labelled: Any) -> None:
    run = fl.fit(NETWORK, labelled, ensemble=3, **{**SETTINGS, "optimizer": fl.optim.GradientDescent(1e30)})
    assert run.stop_reason == "diverged"
    assert run.diverged is not None
    assert "WARNING" in run.summary()
    assert np.isfinite(run.model.theta).all()


def test_ctrl_c_returns_the_ensemble_so_far(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, sent = BatchStepper._run, []

    def and_then(self: BatchStepper, limit: int) -> int:
        if self.step > 20 and not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)
        return run(self, limit)

    monkeypatch.setattr(BatchStepper, "_run", and_then)
    done = fl.fit(NETWORK, labelled, ensemble=3, **{**SETTINGS, "epochs": 100_000})
    assert done.stop_reason == "interrupted"
    assert len(nn.members(done.model)) == 3


@pytest.mark.parametrize("size", [0, -1, 2.5, "three", True])
def test_a_size_that_is_none_is_reported(labelled: Any, size: Any) -> None:
    with pytest.raises(ArgumentError, match="ensemble has to be a whole number >= 1"):
        fl.fit(NETWORK, labelled, ensemble=size, **SETTINGS)


def test_what_is_wrong_with_the_training_is_reported_as_for_one(labelled: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cannot be resumed"):
        fl.fit(NETWORK, labelled, ensemble=2, out=tmp_path, resume=True, **SETTINGS)
    with pytest.raises(ArgumentError, match="epochs has to be"):
        fl.fit(NETWORK, labelled, ensemble=2, **{**SETTINGS, "epochs": 0})


def test_an_ensemble_that_no_file_can_hold_is_refused_before_it_trains(labelled: Any, tmp_path: Path) -> None:
    network = nn.Sequential(lambda x: x, nn.Dense(3))
    with pytest.raises(ArgumentError, match="which a file cannot hold"):
        fl.fit(network, labelled, ensemble=2, out=tmp_path / "run", **SETTINGS)
    assert not (tmp_path / "run").exists()


def test_a_member_is_asked_for_its_epochs_once() -> None:
    run = fl.fit(fl.nn.mlp((2,), 1), (np.eye(4), np.arange(4.0)), loss="squared_error", epochs=9)
    asked: list[Any] = []

    class Member:
        @property
        def epochs(self) -> Any:
            asked.append(self)
            return run.epochs

    members: Any = [Member(), Member()]
    assert [epoch.loss for epoch in mean_epochs(members)] == run.history["loss"].tolist()
    assert asked == members
