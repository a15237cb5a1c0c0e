"""A search: what stops it, what it returns, and that each of its networks is one that `fit` gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.committee import begin, fit, timed
from fallline.data.dataset import Dataset
from fallline.errors import ArgumentError
from fallline.recipe import Choices, recipe_of
from fallline.runs.events import Event, TrainingEnded, TrainingStarted, Tried

Tables = Callable[[str], Dataset]
LONG = 1e6


def searched(data: Dataset, seed: int, tried: int) -> list[Event]:
    """The events of a search that is stopped after so many candidates have ended."""
    given = Choices(time_limit=LONG, epochs=15, hidden=(8,), seed=seed)  # type: ignore[arg-type]
    training, events, ended = begin(recipe_of(data, given), threads=1), [], 0
    for event in training:
        events.append(event)
        ended += isinstance(event, Tried)
        if ended == tried:
            training.stop()
    return events


def test_a_search_has_no_gauges_and_a_training_of_the_same_recipe_has(table: Tables) -> None:
    data, given = table("classification"), {"epochs": 2, "hidden": (8,)}
    with pytest.raises(ArgumentError, match="try: gauges=None, or no time_limit"):
        begin(recipe_of(data, Choices(time_limit=LONG, **given)), gauges=True)  # type: ignore[arg-type]
    assert fit(recipe_of(data, Choices(**given)), gauges=True).gauges  # type: ignore[arg-type]


def test_a_search_tells_what_it_tried_and_ends_with_one_model(table: Tables, tmp_path: Path) -> None:
    data = table("classification")
    recipe = recipe_of(data, Choices(time_limit=LONG, epochs=15, hidden=(8,)))
    training, ended = begin(recipe, out=tmp_path / "run"), 0
    for event in training:
        ended += isinstance(event, Tried)
        if ended == 6:
            training.stop()
    run = training.run
    assert isinstance(run.events[0], TrainingStarted) and "candidates in" in run.events[0].notes[-1]
    assert isinstance(run.events[-1], TrainingEnded) and run.stop_reason == "interrupted"
    tried = [one for one in run.events if isinstance(one, Tried)]
    assert len(tried) >= 6 and tried[0].what != "" and {one.state for one in tried} <= {
        "finished", "dropped", "interrupted", "early_stopping"}  # fmt: skip
    best = min(one.score for one in tried if one.state == "finished")
    assert np.isfinite(best)
    loaded = fl.load_run(tmp_path / "run")
    x = recipe.rows[0]
    np.testing.assert_array_equal(loaded.model.predict(x), run.model.predict(x))
    assert len([one for one in loaded.events if isinstance(one, Tried)]) == len(tried)


def test_the_same_seed_tries_the_same_candidates(table: Tables) -> None:
    first, again = (
        [(one.name, one.what) for one in searched(table("regression"), 3, 4) if isinstance(one, Tried)]
        for _ in range(2)
    )
    assert sorted(first)[:3] == sorted(again)[:3]


def test_a_limit_that_leaves_no_time_gives_the_network_as_it_stands(table: Tables) -> None:
    recipe = recipe_of(table("regression"), Choices(time_limit=1e-6))
    run = fit(recipe)
    assert run.stop_reason == "finished" and np.isfinite(run.model.predict(recipe.rows[0])).all()


def test_epochs_are_halved_until_one_training_fits(table: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "ONE", 0.0)
    recipe = recipe_of(table("regression"), Choices(time_limit=LONG))
    training = begin(recipe, threads=1)
    for event in training:
        # The first candidate may be at its end before anybody looks.
        if isinstance(event, Tried) and event.epochs == 2:
            training.stop()
    assert training.run.stop_reason == "interrupted"


@pytest.mark.parametrize("limit", [1e-9, 1e-3])
def test_however_short_the_time_the_first_event_is_the_start_and_the_last_the_end(table: Tables, limit: float) -> None:
    training = begin(recipe_of(table("regression"), Choices(time_limit=limit, hidden=(8,))))
    events = [*training]
    assert isinstance(events[0], TrainingStarted) and isinstance(events[-1], TrainingEnded)
    assert np.isfinite(training.run.model.predict({"size": [1.0], "colour": ["red"]})).all()


def test_the_best_so_far_is_on_the_disk_before_the_end(
    table: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "_KEEP", 0.0)
    recipe = recipe_of(table("regression"), Choices(time_limit=LONG, epochs=15, hidden=(8,)))
    training = begin(recipe, out=tmp_path, threads=1)
    while not isinstance(next(training), Tried):
        pass
    training.close()  # the process ends here
    assert np.isfinite(fl.load_model(tmp_path).predict(recipe.rows[0])).all()
    with pytest.raises(ArgumentError, match="begins anew each time, so it cannot be resumed\n  try: overwrite=True"):
        begin(recipe, out=tmp_path, resume=True)
    begin(recipe, out=tmp_path, overwrite=True).close()
