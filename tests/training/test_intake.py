"""Bad input is reported before training starts, all of it at once; usual forms of input are taken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import FalllineError

N = 30
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 3))
LABELS = RNG.integers(0, 3, N)
NUMBERS = X @ [1.0, -2.0, 0.5]
CLASSIFIER = fl.nn.mlp((4,), 3)
REGRESSOR = fl.nn.mlp((4,), 1)


def changed(array: Any, place: Any, value: Any) -> Any:
    array = np.array(array)
    array[place] = value
    return array


def columns_with(value: Any) -> Any:
    array = X.astype(object)
    array[4, 2] = value
    return array


# (what is given besides what is right, parts of the one message that comes back)
BAD_DATA: dict[str, tuple[Any, list[str]]] = {
    "nan": ((changed(X, (7, 2), np.nan), LABELS), ["x holds NaN", "1 of 90", "row 7, column 2"]),
    "infinity": ((changed(X, (slice(3, 5), 0), np.inf), LABELS), ["2 of 90", "inf in row 3, column 0"]),
    "too large for float32": ((changed(X, (0, 0), 1e300), LABELS), ["too large for float32", "float64"]),
    "nan in y": ((X, changed(NUMBERS, 4, np.nan)), ["y holds NaN", "row 4"]),
    "lengths differ": ((X, LABELS[:-1]), ["x has 30 rows and y has 29"]),
    "empty": ((X[:0], LABELS[:0]), ["x is empty", "y is empty"]),
    "empty list": (([], []), ["x is empty", "y is empty"]),
    "no features": ((X[:, :0], LABELS), ["x has no features", "(30, 0)"]),
    "one dimension": ((X[:, 0], LABELS), ["reshape(-1, 1)"]),
    "a text column": ((columns_with("tall"), LABELS), ["'tall'", "column 2", "row 4"]),
    "a None": ((columns_with(None), LABELS), ["NaN", "row 4, column 2"]),
    "strings": ((X.astype(str), LABELS), ["x holds", "column 0, row 0"]),
    "complex": ((X + 1j, LABELS), ["complex"]),
    "dates": ((np.full((N, 2), np.datetime64("2026-01-01")), LABELS), ["datetime"]),
    "ragged rows": (([[1.0, 2.0], [3.0]], [0, 1]), ["x cannot be made an array", "rows of equal length"]),
    "one class": ((X, np.ones(N, int)), ["one class"]),
    "fractions as labels": ((X, LABELS + 0.5), ["class labels"]),
    "more classes than outputs": ((X, np.arange(N)), ["30 classes", "3 outputs", "nn.Dense(30)"]),
    "y of three axes": ((X, np.zeros((N, 2, 2))), ["shape (30, 2, 2)"]),
    "not a pair": (X, ["pair (x, y)"]),
    "no x and no y": ((None, None), ["x of data is None", "y of data is None"]),
    "no y": ((X, None), ["y of data is None"]),
    "a whole number beyond floats": ((columns_with(10**400), LABELS), ["x holds a whole number", "too large"]),
    "five things": ((X, LABELS, X, LABELS, X), ["pair (x, y)", "5 things"]),
    "numbers for x": ((3.0, LABELS), ["not an array"]),
    "masked": ((np.ma.masked_where(X > 1, X), LABELS), ["masked"]),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_are_reported_in_one_error(name: str, tmp_path: Path) -> None:
    data, told = BAD_DATA[name]
    regression = name == "nan in y"
    network, loss = (REGRESSOR, "squared_error") if regression else (CLASSIFIER, "cross_entropy")
    with pytest.raises(FalllineError) as error:
        fl.train(network, data, loss=loss, out=tmp_path / "run")
    for part in told:
        assert part in str(error.value)
    assert isinstance(error.value, ValueError | TypeError)
    assert list(tmp_path.iterdir()) == []


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "epochs 0": ({"epochs": 0}, "epochs has to be a whole number >= 1, or None, got 0"),
    "epochs negative": ({"epochs": -3}, "epochs"),
    "epochs a fraction": ({"epochs": 2.5}, "epochs"),
    "epochs a word": ({"epochs": "many"}, "epochs"),
    "batch 0": ({"batch_size": 0}, "batch_size has to be a whole number >= 1"),
    "batch negative": ({"batch_size": -8}, "batch_size"),
    "batch a word": ({"batch_size": "ful"}, "did you mean 'full'"),
    "batch true": ({"batch_size": True}, "batch_size"),
    "loss unknown": ({"loss": "cross_entrpy"}, "did you mean 'cross_entropy'"),
    "loss not given": ({"loss": None}, "loss has to be given"),
    "loss a number": ({"loss": 3}, "loss"),
    "optimizer unknown": ({"optimizer": "adm"}, "did you mean 'adam'"),
    "optimizer a number": ({"optimizer": 0.1}, "optimizer"),
    "validation 1": ({"validation": 1.0}, "validation"),
    "validation above": ({"validation": 20}, "validation"),
    "validation negative": ({"validation": -0.1}, "validation"),
    "validation nan": ({"validation": float("nan")}, "validation"),
    "validation lengths": ({"validation": (X, LABELS[:-2])}, "validation x has 30 rows and validation y has 28"),
    "validation shape": ({"validation": (X[:, :2], LABELS)}, "validation x"),
    "validation nan in x": ({"validation": (changed(X, (1, 1), np.nan), LABELS)}, "validation x holds NaN"),
    "validation empty": ({"validation": (X[:0], LABELS[:0])}, "validation x is empty"),
    "validation label": ({"validation": (X, changed(LABELS, 0, 9))}, "9"),
    "patience 0": ({"early_stopping": 0}, "patience"),
    "seed negative": ({"seed": -1}, "seed"),
    "seed a fraction": ({"seed": 0.5}, "seed"),
    "seed huge": ({"seed": 2**64}, "seed"),
    "dtype": ({"dtype": "float16"}, "dtype"),
    "shuffle": ({"shuffle": "yes"}, "shuffle"),
    "checkpoints 0": ({"checkpoints": 0}, "checkpoints"),
    "resume nowhere": ({"resume": True}, "needs the folder"),
    "out a number": ({"out": 3}, "out has to be a path"),
    "extra": ({"extra": {"a": object()}}, "extra"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings_are_reported_in_one_error(name: str) -> None:
    settings, told = BAD_SETTINGS[name]
    with pytest.raises(FalllineError) as error:
        fl.train(CLASSIFIER, (X, LABELS), **{"loss": "cross_entropy", **settings})
    assert told in str(error.value)
    assert isinstance(error.value, ValueError | TypeError)


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "fast"])
def test_a_learning_rate_out_of_range_is_refused(rate: Any) -> None:
    with pytest.raises(FalllineError, match="learning_rate"):
        fl.train(CLASSIFIER, (X, LABELS), loss="cross_entropy", optimizer=fl.optim.Adam(rate))


def test_all_problems_come_at_once() -> None:
    with pytest.raises(FalllineError) as error:
        fl.train(CLASSIFIER, (changed(X, (0, 0), np.nan), LABELS[:-1]), loss="cross_entropy", epochs=0, optimizer="adm")
    for part in ("4 problems", "epochs", "adam", "NaN", "30 rows and y has 29"):
        assert part in str(error.value)


def test_a_share_that_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(FalllineError, match="cannot be split off"):
        fl.train(REGRESSOR, (X[:1], NUMBERS[:1]), loss="squared_error", validation=0.5)


def test_a_network_that_does_not_fit_the_targets_is_reported_before_training() -> None:
    with pytest.raises(FalllineError, match="2 numbers a row and the network gives 1"):
        fl.train(REGRESSOR, (X, np.stack([NUMBERS, NUMBERS], 1)), loss="squared_error")


def test_a_loss_that_is_no_number_is_reported_before_training(tmp_path: Path) -> None:
    with pytest.raises(FalllineError, match=r"np\.mean"):
        fl.train(REGRESSOR, (X, NUMBERS), loss=lambda output, y: (output - y) ** 2, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def result(x: Any, y: Any, **settings: Any) -> bytes:
    return fl.fit(REGRESSOR, (x, y), loss="squared_error", **{"epochs": 2, "seed": 1, **settings}).model.theta.tobytes()


WHOLE = np.round(X * 3)


def mapped(array: Any, tmp_path: Path) -> Any:
    np.save(tmp_path / "x.npy", array)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


GOOD: dict[str, Any] = {
    "a list": lambda path: WHOLE.tolist(),
    "integers": lambda path: WHOLE.astype(int),
    "small integers": lambda path: WHOLE.astype(np.int8),
    "float32": lambda path: WHOLE.astype(np.float32),
    "float16": lambda path: WHOLE.astype(np.float16),
    "long double": lambda path: WHOLE.astype(np.longdouble),
    "big-endian": lambda path: WHOLE.astype(">f8"),
    "big-endian integers": lambda path: WHOLE.astype(">i2"),
    "objects": lambda path: WHOLE.astype(object),
    "column-major": lambda path: np.asfortranarray(WHOLE),
    "strided": lambda path: np.repeat(WHOLE, 2, axis=0)[::2],
    "reversed": lambda path: WHOLE[::-1].copy()[::-1],
    "memory-mapped": lambda path: mapped(WHOLE, path),
    "memory-mapped float32": lambda path: mapped(WHOLE.astype(np.float32), path),
    "memory-mapped strided": lambda path: mapped(np.repeat(WHOLE, 2, axis=1), path)[:, ::2],
}


@pytest.mark.parametrize("batch_size", [8, None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", GOOD)
def test_the_same_numbers_in_any_form_give_the_same_bits(
    name: str, dtype: str, batch_size: Any, tmp_path: Path
) -> None:
    expected = result(WHOLE, NUMBERS, dtype=dtype, batch_size=batch_size)
    assert result(GOOD[name](tmp_path), NUMBERS, dtype=dtype, batch_size=batch_size) == expected


def test_booleans_are_numbers() -> None:
    assert result(X > 0, NUMBERS) == result((X > 0).astype(float), NUMBERS)


def test_a_frame_s_column_is_named() -> None:
    class Frame:
        columns = ("height", "name", "age")

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            array = X.astype(object)
            array[:, 1] = "Ann"
            return array

    with pytest.raises(FalllineError, match=r"column 1 \('name'\), row 0"):
        fl.train(CLASSIFIER, (Frame(), LABELS), loss="cross_entropy")


def test_a_data_set_is_taken_by_its_x_and_y() -> None:
    data = SimpleNamespace(x=X, y=NUMBERS)
    run = fl.fit(REGRESSOR, data, loss="squared_error", epochs=2, seed=1, validation=data)
    assert run.model.theta.tobytes() == result(X, NUMBERS)
    assert run.history["validation_loss"][-1] < run.history["loss"][0] * 2


def test_a_batch_larger_than_the_data_is_a_full_batch_with_a_note() -> None:
    run = fl.fit(REGRESSOR, (X, NUMBERS), loss="squared_error", epochs=3, batch_size=1000)
    assert run.started is not None
    assert (run.started.batch_size, run.started.steps_per_epoch) == (N, 1)
    assert "1000 is more than the 30 rows" in run.started.notes[0]
    assert "1000" in run.summary()
    whole = fl.fit(REGRESSOR, (X, NUMBERS), loss="squared_error", epochs=3, batch_size="full")
    assert run.model.theta.tobytes() == whole.model.theta.tobytes()


def test_labels_may_be_text_and_validation_knows_them() -> None:
    names = np.array(["ash", "beech", "cedar"])
    run = fl.fit(CLASSIFIER, (X, names[LABELS]), loss="cross_entropy", epochs=2, validation=(X, names[LABELS]))
    assert set(run.model.predict(X)) <= set(names)
    assert run.history["validation_accuracy"][-1] == np.mean(run.model.predict(X) == names[LABELS])


def test_one_row_can_be_trained_on() -> None:
    run = fl.fit(REGRESSOR, (X[:1], NUMBERS[:1]), loss="squared_error", epochs=3, optimizer=fl.optim.Adam(0.1))
    assert run.history["loss"][-1] < run.history["loss"][0]


def test_matching_data_are_not_copied(tmp_path: Path) -> None:
    for dtype in ("float32", "float64"):
        x, y = X.astype(dtype), NUMBERS
        training = fl.train(REGRESSOR, (x, y), loss="squared_error", dtype=dtype)
        assert np.shares_memory(training.job.train.data["x"], x)
    on_disk = mapped(X, tmp_path)
    for dtype in ("float32", "float64"):
        training = fl.train(REGRESSOR, (on_disk, NUMBERS), loss="squared_error", dtype=dtype)
        assert np.shares_memory(training.job.train.data["x"], on_disk)


def test_a_model_that_meets_rows_of_another_shape_says_so() -> None:
    model = fl.fit(REGRESSOR, (X, NUMBERS), loss="squared_error", epochs=1).model
    with pytest.raises(FalllineError, match=r"x has shape \(30, 2\)"):
        fl.train(model, (X[:, :2], NUMBERS))


def test_a_share_is_refused_where_no_class_has_a_row_to_spare() -> None:
    with pytest.raises(FalllineError, match=r"no class has a second row.*\n  try: validation=None"):
        fl.fit(CLASSIFIER, (X[:3], [0, 1, 2]), loss="cross_entropy", validation=0.3)


@pytest.mark.parametrize("schedule", [None, *fl.optim.SCHEDULES])
def test_the_most_epochs_that_may_be_asked_for_are_started(schedule: str | None) -> None:
    optimizer = fl.optim.get("adam", schedule=schedule)
    training = fl.train(CLASSIFIER, (X, LABELS), loss="cross_entropy", optimizer=optimizer, epochs=10**9)
    next(training)
    training.stop()
    assert [event.epoch for event in training if isinstance(event, fl.events.EpochEnded)] == []
    assert training.run.stop_reason == "interrupted"


@pytest.mark.parametrize("value", [1e300, 10**400, 10**18, np.inf, np.nan, np.float64(1e300), np.int64(2**62), 2.0**53])
@pytest.mark.parametrize("name", ["epochs", "batch_size", "early_stopping", "checkpoints", "ensemble", "threads"])
def test_counts_that_nobody_comes_to_are_refused(name: str, value: float) -> None:
    with pytest.raises(FalllineError, match=r"has to be|threads is a whole number"):
        fl.fit(CLASSIFIER, (X, LABELS), **{"loss": "cross_entropy", "epochs": 1, name: value})


ONE = (X[:5], NUMBERS[:5])
BAD_BATCHES: dict[str, list[Any]] = {
    "another width": [ONE, (X[:5, :2], NUMBERS[:5])],
    "weights in one": [(*ONE, np.ones(5)), ONE],
    "an array, then several": [ONE, ({"a": X[:5]}, NUMBERS[:5])],
    "targets of another form": [ONE, (X[:5], X[:5])],
    "one target": [(X[:5], 1.0)],
    "rows of several lengths": [([[1.0], [2.0, 3.0]], NUMBERS[:2])],
    "no pair": [3],
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_bad_batches_of_validation_and_evaluation_are_told(name: str) -> None:
    model = fl.nn.Model.init(REGRESSOR, 3)
    with pytest.raises(FalllineError):
        fl.fit(REGRESSOR, (X, NUMBERS), loss="squared_error", epochs=1, validation=lambda: iter(BAD_BATCHES[name]))
    with pytest.raises(FalllineError):
        model.evaluate(lambda: iter(BAD_BATCHES[name]))


@pytest.mark.parametrize("function", [lambda: None, lambda: 3, lambda epoch: 1 / epoch, lambda: map(int, "a")])
def test_errors_of_a_function_that_makes_batches_are_told(function: Any) -> None:
    with pytest.raises(fl.errors.ReadingError, match="batch 0 of validation"):
        fl.fit(REGRESSOR, (X, NUMBERS), loss="squared_error", epochs=1, validation=function)
    with pytest.raises(fl.errors.ReadingError, match="batch 0 of data"):
        fl.nn.Model.init(REGRESSOR, 3).evaluate(function)
    with pytest.raises(fl.errors.ReadingError, match="first batch of data"):
        fl.fit(REGRESSOR, function, loss="squared_error", epochs=1)


def test_batches_of_lists_are_taken() -> None:
    batches = [(X[:5].tolist(), NUMBERS[:5].tolist()), ONE]
    run = fl.fit(REGRESSOR, (X, NUMBERS), loss="squared_error", epochs=1, validation=lambda: iter(batches))
    assert "validation_loss" in run.history
