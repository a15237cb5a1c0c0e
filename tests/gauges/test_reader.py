"""Gauges read of a run that has ended: those that training itself would have told, also of runs made without gauges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError
from fallline.gauges import Gauges

NETWORK = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(3))


def fit(data: Any, **settings: Any) -> fl.Run:
    return fl.fit(NETWORK, data, **{"loss": "cross_entropy", "epochs": 4, "batch_size": 8, **settings})


def agree(reading: Any, run: fl.Run) -> None:
    """Every number read is that of the run's last sample."""
    assert reading.step == run.gauges.steps[-1] and set(reading.values) == set(run.gauges)
    for name, by_path in reading.values.items():
        for path, value in by_path.items():
            np.testing.assert_allclose(value, run.gauges[name][path][-1], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "momentum"}, {"batch_size": None}], ids=str)
def test_they_are_those_of_the_sample_at_the_end(labelled: Any, settings: dict[str, Any]) -> None:
    run = fit(labelled, gauges=Gauges("all", every=4), **settings)
    reading = fl.read_gauges(run, "all")
    agree(reading, run)
    assert not reading.missing


def test_a_folder_and_its_data_are_enough(labelled: Any, tmp_path: Path) -> None:
    watched = fit(labelled, gauges=Gauges("all", every=28))
    fit(labelled, out=tmp_path)  # without gauges
    agree(fl.read_gauges(tmp_path, "all", labelled), watched)
    with pytest.raises(ArgumentError, match=r"try: read_gauges\(run, names, data=\(x, y\)\)"):
        fl.read_gauges(tmp_path)


def test_best_and_last_parameters_are_two_points(labelled: Any) -> None:
    run = fit(labelled, validation=0.3, epochs=60, optimizer=fl.optim.Adam(0.3), early_stopping=3)
    best, last = fl.read_gauges(run, ["distance", "alpha"]), fl.read_gauges(run, ["distance", "alpha"], last=True)
    assert run.ended is not None and run.ended.restored_best
    assert set(best.values) == {"distance"} and "arrays at these parameters were not kept" in best.missing[0]
    assert set(last.values) == {"distance", "alpha"} and last.step == run.ended.step and best.step is None
    for path, slot in run.model.layout.items():
        start = slot.of(fl.train(NETWORK, labelled, loss="cross_entropy", epochs=1, validation=0.3).run.model.theta)
        moved = np.linalg.norm(slot.of(run.model.theta) - start)
        np.testing.assert_allclose(best["distance"][path], moved, rtol=1e-5)


def test_wrong_questions_are_refused_with_a_way_out(labelled: Any) -> None:
    run = fit(labelled)
    with pytest.raises(ArgumentError, match="try: member=0"):
        fl.read_gauges(run, member=1)
    assert fl.read_gauges(run, member=0).values
    with pytest.raises(ArgumentError, match="alpha"):
        fl.read_gauges(run, "alpa")
    pickled = fl.Run(run.model, run.events, run.config, None, run.job)  # without its last state
    with pytest.raises(ArgumentError, match="try: last=False"):
        fl.read_gauges(pickled, last=True)
    assert fl.read_gauges(pickled, last=False).values


def test_a_member_of_an_ensemble_is_chosen(labelled: Any) -> None:
    run = fit(labelled, ensemble=2)
    one, other = (fl.read_gauges(run, ["gradient_norm", "norm_test"], labelled, member=i) for i in (0, 1))
    assert one["gradient_norm"] != other["gradient_norm"]


@pytest.mark.parametrize("width", [60, 80])
def test_its_text_fits(labelled: Any, width: int) -> None:
    reading = fl.read_gauges(fit(labelled), "usual")
    lines = reading.text(width=width, ascii_only=True).splitlines()
    assert max(map(len, lines)) <= width and all(line.isascii() for line in lines)
    assert str(reading).splitlines()[0].split() == ["gauge", "least", "largest", "unit", "usual"]
