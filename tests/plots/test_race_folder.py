"""A race read again from its folder has the results of the race itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.errors import MissingFileError


def test_a_race_from_its_folder_stands_as_the_race_did(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    variants = [{"learning_rate": rate, "name": f"r{rate:g}"} for rate in (0.01, 0.1, 1e4)]
    race = fl.race(
        fl.nn.Dense(1), (x, x[:, :1]), variants, loss="squared_error", optimizer=fl.optim.GradientDescent(0.1),
        epochs=80, batch_size="full", validation=0.25, out=tmp_path / "race",
    )  # fmt: skip
    back = fl.load_race(tmp_path / "race")
    assert race.results[-1].state == "diverged"
    for one, other in zip(race.results, back.results, strict=True):
        kept = (one.name, one.state, one.place, one.epoch, one.epochs, one.loss, one.problem)
        assert kept == (other.name, other.state, other.place, other.epoch, other.epochs, other.loss, other.problem)
    with pytest.raises(MissingFileError, match=r"3 of its folders hold one\n  try: .*r0.01"):
        fl.load_run(tmp_path / "race")
    assert back.stop_reason == "finished"
    np.testing.assert_array_equal(back.best.model.theta, race.best.model.theta)


def test_a_folder_without_runs_is_no_race(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingFileError, match="no race in"):
            fl.load_race(path)
