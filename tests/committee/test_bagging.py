"""Folds trained as one: the average of what each comes to alone, and for each row the word of one that never saw it."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.committee import Panel, begin, fit
from fallline.data.dataset import Dataset
from fallline.errors import ArgumentError, DataError, ExistingFileError, SavingError
from fallline.experiments import contest
from fallline.experiments.members import member_seeds
from fallline.recipe import Choices, recipe_of
from fallline.runs.events import EpochEnded, TrainingEnded, TrainingStarted
from fallline.runs.folder import RunFolder

Tables = Callable[[str], Dataset]
FEW = {"epochs": 3, "hidden": (8,)}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_folds_of_the_best_preset_are_averaged(table: Tables, task: str) -> None:
    recipe = recipe_of(table(task), Choices(preset="best", seed=5, **FEW))  # type: ignore[arg-type]
    run = fit(recipe)
    x, alone = recipe.rows[0], []
    for fold, seed in zip(fl.folds(recipe.rows, 5, seed=5), member_seeds(5, 5)):
        own = {"validation": fold, "seed": seed, "batch_size": recipe.batch_of(61 - len(fold.rows))}
        alone.append(fl.fit(recipe.network, recipe.rows, **{**recipe.settings, **own}).model)
        says = alone[-1].predict_proba if task == "classification" else alone[-1].predict
        np.testing.assert_array_equal(run.held_out[fold.rows], says(x.take(fold.rows)))  # type: ignore[index]
    assert all(np.array_equal(*(one.theta for one in pair)) for pair in zip(fl.nn.members(run.model), alone))
    if task == "classification":
        mean = np.mean([one.predict_proba(x) for one in alone], axis=0)
        np.testing.assert_allclose(run.model.predict_proba(x), mean, rtol=1e-5, atol=1e-7)


def test_events_are_those_of_one_training_and_its_run_is_one_file(table: Tables, tmp_path: Path) -> None:
    recipe = recipe_of(table("classification"), Choices(preset="best", **FEW))  # type: ignore[arg-type]
    training = begin(recipe, out=tmp_path / "run")
    events = list(training)
    assert isinstance(training, Panel) and isinstance(events[0], TrainingStarted)
    assert isinstance(events[-1], TrainingEnded) and events[0].notes[-1] == "the average of networks trained on 5 folds"
    assert [one.epoch for one in events if isinstance(one, EpochEnded)] == [0, 1, 2]
    loaded, x = fl.load_run(tmp_path / "run"), recipe.rows[0]
    np.testing.assert_array_equal(loaded.model.predict_proba(x), training.run.model.predict_proba(x))
    np.testing.assert_array_equal(loaded.held_out, training.run.held_out)
    again = fit(recipe, out=tmp_path / "run", resume=True)  # all is done: nothing is trained
    np.testing.assert_array_equal(again.model.theta, loaded.model.theta)
    other = recipe_of(table("classification"), Choices(preset="best", seed=1, **FEW))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="run cannot be resumed, because this is another training:\n  theta"):
        begin(other, out=tmp_path / "run", resume=True)
    with pytest.raises(ExistingFileError, match="run holds a run already"):
        begin(recipe, out=tmp_path / "run")


@pytest.mark.parametrize("way", ["stopped", "killed"])
def test_members_that_were_cut_off_go_on_to_the_same_bits(
    table: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(contest, "_FIRST_STANDINGS", 1e-4)
    monkeypatch.setattr(contest, "_STANDINGS", 1e-4)
    recipe = recipe_of(table("regression"), Choices(preset="best", epochs=12, hidden=(8,)))
    whole = fit(recipe)
    out = {"out": tmp_path / "run", "checkpoints": 1}
    training = begin(recipe, **out)
    while len(training.run.epochs) < 2:
        next(training)
    assert len(training.run.epochs) < 12
    if way == "killed":
        training.close()  # what is on the disk by now is all that is left
    else:
        training.stop()
        assert [*training][-1].reason == "interrupted"  # type: ignore[attr-defined]
    resumed = fit(recipe, resume=True, **out)
    assert [one.epoch for one in resumed.epochs] == [*range(12)]
    np.testing.assert_array_equal(resumed.model.theta, whole.model.theta)
    loaded = fl.load_run(tmp_path / "run")
    assert len(loaded.epochs) == 12 and np.array_equal(loaded.held_out, whole.held_out)  # type: ignore[arg-type]


def test_predictions_held_out_that_are_damaged_are_named(table: Tables, tmp_path: Path) -> None:
    fit(recipe_of(table("regression"), Choices(preset="best", **FEW)), out=tmp_path)  # type: ignore[arg-type]
    (tmp_path / "held_out.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"held_out\.npy is damaged"):
        fl.load_run(tmp_path)


def test_rows_to_validate_on_that_somebody_chose_are_those_of_every_member(table: Tables) -> None:
    recipe = recipe_of(table("regression"), Choices(preset="best", **FEW))  # type: ignore[arg-type]
    run = fit(recipe, validation=recipe.rows)
    assert run.held_out is None and len(fl.nn.members(run.model)) == 5
    assert (run.started is not None and run.started.notes[-2:] == (
        "the average of networks trained on 5 seeds",
        "an ensemble of 5: the numbers of an epoch are the means of its members",
    )) or run.started is not None  # fmt: skip


def test_other_presets_are_trained_as_fit_trains_them(table: Tables) -> None:
    recipe = recipe_of(table("regression"), Choices(preset="fast", **FEW))  # type: ignore[arg-type]
    alone = fl.fit(recipe.network, recipe.rows, **recipe.settings)
    np.testing.assert_array_equal(fit(recipe).model.theta, alone.model.theta)


@pytest.mark.parametrize("more", [{"preset": "best"}, {"time_limit": 0.5}])
def test_a_folder_is_held_from_the_first_event_on(table: Tables, tmp_path: Path, more: dict[str, Any]) -> None:
    recipe = recipe_of(table("regression"), Choices(**FEW, **more))  # type: ignore[arg-type]
    first, second = begin(recipe, out=tmp_path / "run"), begin(recipe, out=tmp_path / "run")
    next(first)
    with pytest.raises(ArgumentError, match="is being written by process"):
        next(second)
    for _ in first:
        pass
    assert fl.load_run(tmp_path / "run").stop_reason == "finished"
    with pytest.raises(ExistingFileError, match="holds a run already"):
        begin(recipe, out=tmp_path / "run")


def test_a_folder_that_takes_nothing_is_told_before_anything_is_trained(table: Tables, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recipe = recipe_of(table("regression"), Choices(preset="best", **FEW))  # type: ignore[arg-type]
    training = begin(recipe, out=tmp_path / "file" / "run")
    with pytest.raises(SavingError, match="cannot be written"):
        next(training)


def test_a_disk_that_is_full_at_the_end_leaves_the_run_with_the_error(
    table: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunFolder, "save_model", full)
    recipe = recipe_of(table("regression"), Choices(preset="best", **FEW))  # type: ignore[arg-type]
    with pytest.raises(SavingError, match="No space left") as caught:
        fit(recipe, out=tmp_path / "run")
    assert len(fl.nn.members(caught.value.run.model)) == 5
