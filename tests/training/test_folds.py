"""Folds: every row is a validation row once, each class alike; and named rows are the validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline.errors import ArgumentError, DataError
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings

NETWORK = fl.nn.mlp((3,), 3)


@given(st.integers(2, 60), st.integers(2, 9), st.integers(0, 5), st.integers(1, 4))
def test_every_row_is_in_one_fold_and_folds_and_classes_are_of_equal_size(
    n: int, k: int, seed: int, kinds: int
) -> None:
    k = min(k, n)
    y = np.random.default_rng(seed).integers(0, kinds, n)
    cut = fl.folds((np.zeros((n, 1)), y), k, seed)
    assert np.array_equal(np.sort(np.concatenate([fold.rows for fold in cut])), np.arange(n))
    sizes = [len(fold.rows) for fold in cut]
    assert max(sizes) - min(sizes) <= 1
    for kind in range(kinds):
        held = [int((y[fold.rows] == kind).sum()) for fold in cut]
        assert max(held) - min(held) <= 1


def test_folds_follow_from_the_seed(numbers: Any) -> None:
    first, again, other = (np.concatenate([f.rows for f in fl.folds(numbers, 4, seed)]) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("y", [np.array(["a", "b"] * 6), np.eye(2)[[0, 1] * 6], np.array([0.0, 1] * 6)], ids=repr)
def test_labels_of_any_form_are_cut_each_into_equal_parts(y: np.ndarray) -> None:
    for fold in fl.folds((None, y), 3):
        assert len(fold.rows) == 4
        assert len(np.unique(y[fold.rows], axis=0, return_counts=True)[1]) == 2
        assert set(np.unique(y[fold.rows], axis=0, return_counts=True)[1].tolist()) == {2}


def test_the_rows_of_a_fold_are_validation_rows_and_the_others_trained_on_without_a_copy(labelled: Any) -> None:
    x, y = labelled[0].astype(np.float32), labelled[1]
    for fold in fl.folds((x, y), 3):
        job = prepare(NETWORK, (x, y), Settings(loss="cross_entropy", validation=fold))
        assert job.validation is not None
        assert np.array_equal(job.validation.index, fold.rows)
        assert np.array_equal(np.sort(np.concatenate([job.train.index, fold.rows])), np.arange(len(x)))
        assert job.train.data["x"] is job.validation.data["x"]
        assert np.shares_memory(job.train.data["x"], x)


def test_row_numbers_and_true_or_false_name_the_same_rows(labelled: Any) -> None:
    rows = np.array([40, 3, 17])
    named = np.isin(np.arange(53), rows)
    runs = [fl.fit(NETWORK, labelled, loss="cross_entropy", epochs=2, validation=v) for v in (rows, named)]
    assert runs[0].model.theta.tobytes() == runs[1].model.theta.tobytes()
    assert runs[0].started is not None and runs[0].started.validation_rows == 3
    left = labelled[0][~named], labelled[1][~named]
    apart = fl.fit(NETWORK, left, loss="cross_entropy", epochs=2, validation=(labelled[0][named], labelled[1][named]))
    np.testing.assert_allclose(apart.history["validation_loss"][0], runs[0].history["validation_loss"][0], rtol=0.5)


def test_a_run_on_other_rows_cannot_be_resumed_as_the_same(labelled: Any, tmp_path: Any) -> None:
    settings: dict[str, Any] = {"loss": "cross_entropy", "epochs": 2, "out": tmp_path}
    first, second = fl.folds(labelled, 2)
    fl.fit(NETWORK, labelled, validation=first, **settings)
    with pytest.raises(ArgumentError, match=r"validation\.chosen"):
        fl.fit(NETWORK, labelled, validation=second, **{**settings, "epochs": 3}, resume=True)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (np.array([], int), "names no row"),
        (np.array([3, 53]), r"names rows 3..53, and x has rows 0..52"),
        (np.array([-1]), "names rows -1..-1"),
        (np.arange(53), "names every row"),
        (np.ones(5, bool), "5 times True or False, and x has 53 rows"),
    ],
)
def test_rows_that_cannot_be_validation_rows_are_reported(labelled: Any, rows: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        fl.fit(NETWORK, labelled, loss="cross_entropy", validation=rows)


def test_folds_that_cannot_be_cut_are_reported(labelled: Any) -> None:
    for k in (0, 1, 2.5, True):
        with pytest.raises(ArgumentError, match="k has to be a whole number >= 2"):
            fl.folds(labelled, k)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="54 folds cannot be cut from 53 rows"):
        fl.folds(labelled, 54)
    with pytest.raises(ArgumentError, match="seed"):
        fl.folds(labelled, 2, seed=-1)
    with pytest.raises(DataError, match="pair"):
        fl.folds((labelled[0],))


def test_an_encoder_of_each_fold_s_training_rows_makes_repetitions_still(numbers: Any) -> None:
    cut = fl.folds(numbers, 3)
    own = [fl.nn.standardise(np.delete(numbers[0], fold.rows, axis=0)) for fold in cut]
    given = [{"validation": fold, "encoder": encoder} for fold, encoder in zip(cut, own)]
    race = fl.race(fl.nn.mlp((3,), 1), numbers, given, loss="squared_error", epochs=2)
    assert set(race.runs) == {"fold 1 of 3", "fold 2 of 3", "fold 3 of 3"}
    assert [race.runs[f"fold {i + 1} of 3"].model.encoder for i in range(3)] == own
    assert "mean and standard deviation of 3" in race.summary()
    encoders = fl.race(fl.nn.mlp((3,), 1), numbers, [{"encoder": one} for one in own], loss="squared_error", epochs=1)
    assert set(encoders.runs) == {"encoder 1", "encoder 2", "encoder 3"}
