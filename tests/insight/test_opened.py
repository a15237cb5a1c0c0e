"""Opening a run with its rows: those in memory, those of the caller, and those of the file or set that it names."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline.committee import fit
from fallline.data import sets
from fallline.errors import ArgumentTypeError, DataError
from fallline.insight.opened import opened
from fallline.recipe import Choices, recipe_of


def line(n: int = 60, **settings):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 3))
    given = {"loss": "squared_error", "epochs": 3, "validation": 0.2, **settings}
    return x, x[:, 0] - x[:, 1], fl.fit(fl.nn.mlp((4,), 1), (x, x[:, 0] - x[:, 1]), **given)


def saved_iris(folder, **choices):
    data = sets.load("iris")
    choices = {"epochs": 4, **choices}
    recipe = recipe_of(data, Choices(**choices))
    extra = {"source": {"data": "iris", "task": data.task},
             "training": {"choices": choices, "test": 0}}  # fmt: skip
    return recipe, fit(recipe, out=folder, extra=extra)


def test_a_run_in_memory_has_its_rows_and_its_first_parameters() -> None:
    x, y, run = line()
    found = opened(run)
    (part,) = found.parts
    assert found.missing == () and found.has_rows and found.replays
    rows, held = part.sample(), part.validation()
    assert rows is not None and held is not None and rows.whole
    assert sorted([*rows.index, *held.index]) == list(range(60))
    np.testing.assert_allclose(rows.x, x[rows.index].astype(np.float32))
    # Training once more from the opened job comes to the same network, to the last bit.
    assert part.job is not None
    again = fl.fit(part.job.model, (x, y), epochs=3, validation=0.2)
    assert np.array_equal(again.model.theta, run.model.theta)


def test_a_sample_follows_from_its_seed_and_stays_in_order() -> None:
    part = opened(line()[2]).parts[0]
    first, again, other = part.sample(10), part.sample(10), part.sample(10, seed=1)
    assert first is not None and again is not None and other is not None
    assert len(first) == 10 and not first.whole and list(first.index) == sorted(set(first.index))
    assert np.array_equal(first.index, again.index) and not np.array_equal(first.index, other.index)


def test_a_run_without_rows_says_so_and_takes_those_of_the_caller() -> None:
    x, y, run = line()
    bare = pickle.loads(pickle.dumps(run))
    found = opened(bare)
    assert not found.has_rows and "data=(x, y)" in found.missing[0] and found.parts[0].sample() is None
    assert opened(bare, (x, y)).replays
    with pytest.raises(DataError, match="other values of y\n  try: the rows in the form and the order"):
        opened(bare, (x, y + 1))
    with pytest.raises(DataError, match="60 rows then, 59 now"):
        opened(bare, (x[:-1], y[:-1]))
    with pytest.raises(ArgumentTypeError, match="a run, or the folder of one"):
        opened(x)  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", ["plain", "default"])
def test_a_run_that_names_its_data_is_opened_with_them(tmp_path, preset) -> None:
    recipe, run = saved_iris(tmp_path / "run", preset=preset)
    found = opened(tmp_path / "run")
    assert found.missing == () and found.recipe is not None and found.test is not None and not len(found.test)
    assert len(found.parts) == len(fl.nn.members(run.model))
    for part in found.parts:
        rows, held = part.sample(), part.validation()
        assert rows is not None and part.run is not None
        seen = [*rows.index, *(() if held is None else held.index)]
        assert sorted(seen) == list(range(len(recipe.train)))
        if held is not None:  # the losses of its own history are those of its own rows
            loss = part.model.objective(part.model.theta, held.x, held.y)
            assert np.isclose(loss, part.run.epochs[-1].validation_loss, rtol=1e-5)


def test_rows_that_have_changed_are_not_taken_for_those_of_the_training(tmp_path) -> None:
    table = "a,b,y\n" + "".join(f"{i % 7},{i % 5},{i % 7 + 2 * (i % 5)}\n" for i in range(60))
    file = tmp_path / "rows.csv"
    file.write_text(table)
    extra = {"source": {"data": str(file), "task": "regression"},
             "training": {"choices": {"epochs": 4, "preset": "plain"}, "test": 0}}  # fmt: skip
    from fallline.data.dataset_file import read_dataset

    fit(recipe_of(read_dataset(file, "y"), Choices(epochs=4, preset="plain")), out=tmp_path / "run", extra=extra)
    assert opened(tmp_path / "run").missing == ()
    file.write_text(table.replace("3,3,9\n", "3,3,90\n"))
    assert "changed since the training" in opened(tmp_path / "run").missing[0]
    file.unlink()
    found = opened(tmp_path / "run")
    assert "could not be read again" in found.missing[0] and not found.has_rows


def test_a_run_of_before_there_were_choices_was_trained_by_the_plain_preset(tmp_path) -> None:
    saved_iris(tmp_path / "run", preset="plain")
    run = fl.load_run(tmp_path / "run")
    config = json.loads(json.dumps(run.config))
    del config["extra"]["training"]
    found = opened(replace(run, config=config))
    assert found.recipe is not None and found.recipe.choices.preset == "plain"


def test_a_run_whose_choices_were_not_kept_replays_by_its_config(tmp_path) -> None:
    # Told by the preset alone it would be trained again by Adam, and be another network.
    chosen = {"hidden": (5,), "optimizer": "gradient_descent", "learning_rate": 0.2, "batch_size": 16, "epochs": 3}
    saved_iris(tmp_path / "run", preset="plain", activation="tanh", **chosen)
    run = fl.load_run(tmp_path / "run")
    config = json.loads(json.dumps(run.config))
    del config["extra"]["training"]
    found = opened(replace(run, config=config))
    job = found.parts[0].job
    assert found.replays and job is not None and job.model.layout.size == run.model.layout.size
    assert job.optimizer == fl.optim.GradientDescent(0.2) and (job.batch_size, job.epochs) == (16, 3)


def test_an_iterable_gives_its_rows_once() -> None:
    x, y, _ = line()
    batches = [(x[:30], y[:30]), (x[30:], y[30:])]
    run = fl.fit(fl.nn.mlp((4,), 1), lambda: iter(batches), loss="squared_error", epochs=1)
    assert "once" in opened(run).missing[0]


def test_a_run_of_an_optimizer_that_no_file_can_hold_is_opened_with_no_other() -> None:
    x, y, run = line()
    config = {**run.config, "optimizer": {"not_saved": "Own()"}}
    found = opened(replace(run, job=None, config=config), (x, y))
    assert not found.has_rows and found.parts[0].optimizer is None and "trained by Own()" in found.missing[0]
