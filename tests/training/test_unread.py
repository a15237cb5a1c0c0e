"""Data that are not read whole train to the bits of the same rows in memory, and let go of their thread."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline import nn, stored
from fallline.errors import ArgumentError, DataError, ReadingError
from fallline.feeds import window

N, D = 53, 3
RNG = np.random.default_rng(1)
X = RNG.standard_normal((N, D)).astype(np.float32)
CODES = np.argmax(X @ RNG.standard_normal((D, 3)), axis=1)
NUMBERS = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], 1)
NETWORK = nn.mlp((4,), 3)
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "optimizer": fl.optim.Adam(0.01), "epochs": 4, "batch_size": 8}


class Slices:
    """A file's array as h5py gives it: a shape, a dtype, and slices of rows that are read anew."""

    def __init__(self, array: np.ndarray, fails: Callable[[], None] = lambda: None) -> None:
        self._array, self.shape, self.dtype, self._fails = array, array.shape, array.dtype, fails

    def __getitem__(self, rows: slice) -> Any:
        assert isinstance(rows, slice)
        self._fails()
        return self._array[rows].copy()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every memory map is too large to be read whole, and a half of a window holds two batches of 8 rows."""
    monkeypatch.setattr(stored, "WHOLE_BYTES", 0)
    monkeypatch.setattr(window, "HALF_BYTES", 2 * 8 * (4 * D + 8))
    yield
    assert not [one for one in threading.enumerate() if one.name.startswith("fallline-window")]


def mapped(array: np.ndarray, folder: Path, name: str = "x") -> np.ndarray:
    np.save(folder / f"{name}.npy", array)
    return np.load(folder / f"{name}.npy", mmap_mode="r")  # type: ignore[no-any-return]


def in_batches(arrays: tuple[np.ndarray, ...], *sizes: int) -> Iterator[Any]:
    start, turn = 0, 0
    while start < N:
        end = start + sizes[turn % len(sizes)]
        yield tuple(array[start:end] for array in arrays)
        start, turn = end, turn + 1


def same(one: fl.Run, other: fl.Run) -> bool:
    """Theta and history to the last bit."""
    assert list(one.history) == list(other.history)
    columns = [name for name in one.history if name not in ("seconds", "steps_per_second")]
    return one.model.theta.tobytes() == other.model.theta.tobytes() and all(
        one.history[name].tolist() == other.history[name].tolist() for name in columns
    )


GIVEN: dict[str, dict[str, Any]] = {
    "plain": {},
    "in order": {"shuffle": False},
    "validation": {"validation": 0.3, "early_stopping": 2},
    "rows named": {"validation": np.arange(5, 20)},
    "float64": {"dtype": "float64", "batch_size": 7},
    "one row a step": {"batch_size": 1, "epochs": 2},
    "all rows": {"batch_size": "full"},
    "more than all": {"batch_size": 100},
    "standardised": {"encoder": nn.standardise(X), "validation": 0.3},
    "metrics of all outputs": {"validation": 0.3, "metrics": "roc_auc"},
    "two lanes": {"threads": 2},
    "dropout": {"batch_size": 16},
}


@pytest.mark.parametrize("kind", GIVEN)
def test_a_memory_map_and_slices_of_a_file_are_the_array(kind: str, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Dropout(0.3), nn.Dense(3)) if kind == "dropout" else NETWORK
    told = {**SETTINGS, **GIVEN[kind]}
    whole = fl.fit(network, (X, CODES), **told)
    for x in (mapped(X, tmp_path), Slices(X), mapped(X, tmp_path).astype(">f4").view()):
        assert same(fl.fit(network, (x, CODES), **told), whole)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64", "float16", "bool", ">f8", ">i4"])
def test_numbers_of_every_kind(dtype: str, tmp_path: Path) -> None:
    x = (np.abs(X) * 40).astype(dtype)
    whole = fl.fit(NETWORK, (x, CODES), **SETTINGS)
    assert same(fl.fit(NETWORK, (mapped(x, tmp_path), CODES), **SETTINGS), whole)
    assert same(fl.fit(NETWORK, (Slices(x), CODES), **SETTINGS), whole)
    again = fl.fit(whole.model, (x, CODES), **SETTINGS)
    assert same(fl.fit(whole.model, (Slices(x), CODES), **SETTINGS), again)


def test_targets_may_be_stored_too(tmp_path: Path) -> None:
    x, codes, numbers = mapped(X, tmp_path), mapped(CODES, tmp_path, "codes"), mapped(NUMBERS, tmp_path, "numbers")
    assert same(fl.fit(NETWORK, (x, codes), **SETTINGS), fl.fit(NETWORK, (X, CODES), **SETTINGS))
    told: dict[str, Any] = {**SETTINGS, "loss": "squared_error", "validation": 0.3}
    assert same(fl.fit(nn.Dense(2), (x, numbers), **told), fl.fit(nn.Dense(2), (X, NUMBERS), **told))
    with pytest.raises(DataError, match="share of them alike"):
        fl.fit(NETWORK, (x, codes), **SETTINGS, validation=0.3)


def test_several_inputs_and_weights(tmp_path: Path) -> None:
    class Both:
        def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
            return nn.Dense(3).init(rng, (D + 1,), dtype)

        def apply(self, params: Any, x: Any) -> Any:
            return nn.Dense(3).apply(params, np.concatenate([x["a"], x["b"].astype(x["a"].dtype)], axis=1))

    b, weight = np.arange(N).reshape(N, 1), RNG.random(N)
    whole = fl.fit(Both(), {"x": {"a": X, "b": b}, "y": CODES, "weight": weight}, **SETTINGS, validation=0.3)
    parts = {"x": {"a": mapped(X, tmp_path), "b": b}, "y": CODES, "weight": weight}
    assert same(fl.fit(Both(), parts, **SETTINGS, validation=0.3), whole)

    def stream() -> Iterator[Any]:
        for i in range(0, N, 9):
            some = slice(i, i + 9)
            yield {"x": {"a": X[some], "b": b[some]}, "y": CODES[some], "weight": weight[some]}

    in_order = fl.fit(Both(), {"x": {"a": X, "b": b}, "y": CODES, "weight": weight}, **SETTINGS, shuffle=False)
    assert same(fl.fit(Both(), stream, **SETTINGS), in_order)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any),
    batch_size=st.integers(1, 60),
    half=st.integers(1, 2000),
    validated=st.booleans(),
)
def test_an_iterable_is_the_array_in_its_order(
    sizes: list[int], batch_size: int, half: int, validated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "HALF_BYTES", half)
    told = {**SETTINGS, "batch_size": batch_size, "shuffle": False, "epochs": 2}
    validation: Any = (X[:9], CODES[:9]) if validated else None
    whole = fl.fit(NETWORK, (X, CODES), validation=validation, **told)
    given_batches = lambda: in_batches((X, CODES), *sizes)
    held = (lambda: in_batches((X[:9], CODES[:9]), 4)) if validated else None
    assert same(fl.fit(NETWORK, given_batches, validation=held, **told), whole)


class Loader:
    """A stand-in for a loader of another library: an iterable of batches that can be gone through again and again."""

    def __init__(self, rows: int | None = None) -> None:
        if rows is not None:
            self.rows = rows

    def __iter__(self) -> Iterator[Any]:
        return ([x, y] for x, y in in_batches((X, CODES), 10))

    def __len__(self) -> int:
        return 6


def test_the_rows_of_an_iterable_that_says_how_many_it_has_are_known_from_the_start() -> None:
    events = list(fl.train(NETWORK, Loader(N), **SETTINGS))
    assert isinstance(events[0], fl.events.TrainingStarted)
    assert (events[0].rows, events[0].steps_per_epoch) == (N, 7)
    unknown = next(fl.train(NETWORK, Loader(), **SETTINGS))
    assert isinstance(unknown, fl.events.TrainingStarted)
    assert (unknown.rows, unknown.steps_per_epoch) == (None, None)
    rate = fl.optim.Adam(fl.optim.Cosine(0.01))
    whole = fl.fit(NETWORK, (X, CODES), **{**SETTINGS, "optimizer": rate, "shuffle": False})
    assert same(fl.fit(NETWORK, Loader(N), **{**SETTINGS, "optimizer": rate}), whole)
    with pytest.raises(DataError, match=r"data has 50 rows, as it says, and gave 53 in epoch 0"):
        fl.fit(NETWORK, Loader(50), **SETTINGS)
    with pytest.raises(DataError, match=r"data has 60 rows, as it says, and gave 53 in epoch 0"):
        fl.fit(NETWORK, Loader(60), **SETTINGS)


@pytest.mark.parametrize("kind", ["map", "iterable"])
@pytest.mark.parametrize("steps", [1, 2, 6, 7, 13, 27])
def test_a_resumed_run_equals_the_uninterrupted_one(kind: str, steps: int, cut: Any, tmp_path: Path) -> None:
    data: Any = (mapped(X, tmp_path), CODES) if kind == "map" else Loader()
    whole = fl.fit(NETWORK, (X, CODES), **SETTINGS, shuffle=kind == "map")
    cut([1])
    training = fl.train(NETWORK, data, out=tmp_path / "run", **SETTINGS)
    advance = training._stepper.advance

    def counted() -> Any:
        setback = advance()
        if training._stepper.step >= steps:
            training.stop()
        return setback

    training._stepper.advance = counted  # type: ignore[method-assign]
    *_, last = training
    assert (last.reason, last.step) == ("interrupted", steps)  # type: ignore[union-attr]
    assert same(fl.fit(NETWORK, data, resume=tmp_path / "run", **SETTINGS), whole)


@pytest.mark.parametrize("kind", ["map", "iterable"])
@pytest.mark.parametrize("calls", [[1], [2, 5], [1000]])
@pytest.mark.parametrize("copy", [False, True])
def test_the_last_good_parameters_are_kept(kind: str, calls: list[int], copy: bool, cut: Any, tmp_path: Path) -> None:
    told: dict[str, Any] = {"loss": "squared_error", "optimizer": fl.optim.GradientDescent(4.0), "epochs": 90,
                            "batch_size": 5, "dtype": "float64", "shuffle": kind == "map"}  # fmt: skip
    whole = fl.fit(nn.Dense(2), (X, NUMBERS), **told)
    cut(calls, copy)
    data: Any = (mapped(X, tmp_path), NUMBERS) if kind == "map" else (lambda: in_batches((X, NUMBERS), 4))
    run = fl.fit(nn.Dense(2), data, **told)
    assert run.diverged is not None and whole.diverged is not None
    assert (run.diverged.step, run.diverged.last_loss) == (whole.diverged.step, whole.diverged.last_loss)
    assert same(run, whole)


def test_a_training_goes_on_with_data_that_are_not_read_whole(tmp_path: Path) -> None:
    told = {**SETTINGS, "shuffle": False}
    first = fl.fit(NETWORK, (X, CODES), **told)
    whole = fl.fit(NETWORK, (X, CODES), init=first, **told)
    assert same(fl.fit(NETWORK, lambda: in_batches((X, CODES), 7), init=first, **told), whole)
    assert same(fl.fit(NETWORK, (mapped(X, tmp_path), CODES), init=first, **told), whole)
    training = fl.train(NETWORK, lambda: in_batches((X, CODES), 7), **told)
    list(training)
    for _ in range(2):
        training = training.more(lambda: in_batches((X, CODES), 5), epochs=2)
        list(training)
    assert training.run.model.theta.tobytes() == whole.model.theta.tobytes()
    once = fl.fit(NETWORK, (X, CODES), init=first, **{**told, "epochs": 1})
    assert same(fl.fit(NETWORK, in_batches((X, CODES), 7), init=first, **{**told, "epochs": 1}), once)


def numbered(epoch: int) -> Iterator[Any]:
    order = np.random.default_rng(epoch).permutation(N)
    return in_batches((X[order], CODES[order]), 11)


def test_a_function_of_the_epoch_shuffles_and_resumes(tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, numbered, **SETTINGS)
    fl.fit(NETWORK, numbered, out=tmp_path, **{**SETTINGS, "epochs": 2})
    assert same(fl.fit(NETWORK, numbered, resume=tmp_path, **SETTINGS), whole)
    assert not same(fl.fit(NETWORK, lambda: numbered(0), **SETTINGS), whole)


def broken(array: np.ndarray, row: int, value: float) -> np.ndarray:
    array = array.copy()
    array[row] = value
    return array


def failing(after: int, error: BaseException) -> Callable[[], Iterator[Any]]:
    def batches() -> Iterator[Any]:
        for number, batch in enumerate(in_batches((X, CODES), 5)):
            if number == after:
                raise error
            yield batch

    return batches


WHILE_TRAINING: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "nan": (lambda path: (mapped(broken(X, 41, np.nan), path), CODES), ["epoch 0", "x holds NaN", "row 41, column 0"]),
    "nan in a batch": (lambda _: lambda: in_batches((broken(X, 41, np.nan), CODES), 5), ["batch 8 of epoch 0: x"]),
    "a label": (lambda _: lambda: in_batches((X, broken(CODES, 41, 7)), 5), ["batch 8 of epoch 0", "of the classes"]),
    "another shape": (
        lambda _: lambda: iter([(X, CODES), (X[:, :2], CODES)]), ["batch 1 of epoch 0", "the model was made for"]),
    "lengths": (lambda _: lambda: iter([(X, CODES), (X, CODES[:5])]), ["batch 1", "x has 53 rows and y has 5"]),
    "no pair": (lambda _: lambda: iter([(X, CODES), X]), ["batch 1 of epoch 0", "pair (x, y)"]),
    "a disk": (lambda _: failing(8, OSError(5, "input/output error")), ["batch 8 of epoch 0: OSError", "input/output"]),
    "a bug": (lambda _: failing(8, KeyError("label")), ["batch 8 of epoch 0: KeyError: 'label'"]),
    "nothing": (lambda _: Once(in_batches((X, CODES), 5)), ["no batch in epoch 1", "a fresh iterator for each epoch"]),
}  # fmt: skip


class Once:
    """An iterable that is used up by the first loop over it."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.iterator = iterator

    def __iter__(self) -> Iterator[Any]:
        return self.iterator


@pytest.mark.parametrize("name", WHILE_TRAINING)
def test_an_error_while_training_says_where_and_what_to_do(name: str, tmp_path: Path) -> None:
    made, told = WHILE_TRAINING[name]
    with pytest.raises(DataError) as error:
        fl.fit(NETWORK, made(tmp_path), **SETTINGS, out=tmp_path / "run")
    for part in told:
        assert part in str(error.value)


def test_an_error_of_the_data_keeps_the_run_and_its_cause(tmp_path: Path) -> None:
    calls = []

    def fails() -> None:
        calls.append(True)
        if len(calls) == 12:
            raise OSError(5, "disk gone")

    with pytest.raises(ReadingError, match=r"the data cannot be read in epoch \d: OSError: .*disk gone") as error:
        fl.fit(NETWORK, (Slices(X, fails), CODES), **SETTINGS)
    assert isinstance(error.value.__cause__, OSError)
    assert error.value.run.model.predict(X).shape == (N,)


class Rows:
    """A collection of rows as loaders of other libraries take it."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> Any:
        return X[row], CODES[row]


BEFORE: dict[str, tuple[Callable[[], Any], dict[str, Any], str, str]] = {
    "a generator for several epochs": (
        lambda: in_batches((X, CODES), 5), {}, "gone through once, and epochs is 4", "a fresh iterator for each epoch"),
    "no number of epochs": (Loader, {"epochs": None}, "known only at their end", "epochs=10"),
    "a share": (Loader, {"validation": 0.2}, "cannot be split off from an iterable", "validation=(x, y)"),
    "all rows in a step": (Loader, {"batch_size": "full"}, "all rows", "batch_size=32"),
    "a schedule": (
        Loader, {"optimizer": fl.optim.Adam(fl.optim.Cosine(0.1))}, "the number of its steps", "steps"),
    "no batch": (lambda: lambda: iter([]), {}, "has no batch", ""),
    "text": (lambda: lambda: iter([(X, np.array(["a"] * N))]), {}, "its classes are not known", "nn.Labels"),
    "dicts": (
        lambda: lambda: iter([{"image": X, "label": CODES}]), {}, "a dict with the names image, label",
        "data=lambda: ((b['image'], b['label']) for b in batches)"),
    "single rows": (lambda: lambda: zip(X, CODES), {}, "data gives single rows", "several rows at a time"),
    "a collection of rows": (Rows, {}, "asked for one by one", "DataLoader(data, batch_size=256)"),
    "a broken start": (lambda: failing(0, OSError("no such thing")), {}, "the first batch of data: OSError", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BEFORE)
def test_an_iterable_that_cannot_be_trained_on_is_refused_with_a_hint(name: str) -> None:
    made, told, text, hint = BEFORE[name]
    with pytest.raises((ArgumentError, DataError)) as error:
        fl.train(NETWORK, made(), **{**SETTINGS, **told})
    assert text in str(error.value)
    assert hint in str(error.value).partition("try: ")[2]


def test_what_the_hints_say_works() -> None:
    fl.fit(NETWORK, in_batches((X, CODES), 5), **{**SETTINGS, "epochs": 1})
    names = np.array(["a", "b", "c"])[CODES]
    decoder = nn.Labels("kind", ("a", "b", "c"))
    whole = fl.fit(NETWORK, (X, names), **SETTINGS, shuffle=False, decoder=decoder)
    run = fl.fit(NETWORK, lambda: in_batches((X, names), 5), **SETTINGS, decoder=decoder)
    assert same(run, whole)
    assert run.model.predict(X).tolist() == whole.model.predict(X).tolist()
    spans = fl.optim.Adam(fl.optim.Cosine(0.01, steps=28))
    fl.fit(NETWORK, Loader(), **{**SETTINGS, "optimizer": spans})


def test_races_and_ensembles_take_stored_rows_and_refuse_iterables(tmp_path: Path) -> None:
    variants = [{"seed": seed} for seed in range(3)]
    whole = fl.race(NETWORK, (X, CODES), variants=variants, **SETTINGS, validation=0.3)
    parts = fl.race(NETWORK, (mapped(X, tmp_path), CODES), variants=variants, **SETTINGS, validation=0.3)
    assert all(same(parts.runs[name], whole.runs[name]) for name in whole.runs)
    folds = [{"validation": fold} for fold in fl.folds((X, CODES), 3)]
    fl.race(NETWORK, (Slices(X), CODES), variants=folds, **SETTINGS)
    for call in (fl.race, fl.racing):
        with pytest.raises(ArgumentError, match="several trainings"):
            call(NETWORK, Loader(), variants=variants, **SETTINGS)
    with pytest.raises(ArgumentError, match="several trainings"):
        fl.fit(NETWORK, Loader(), ensemble=3, **SETTINGS)


@pytest.mark.parametrize("how", ["close", "forgotten", "error in the reader", "ctrl-c"])
def test_the_thread_ends_with_the_training(how: str, tmp_path: Path) -> None:
    data = mapped(X, tmp_path), CODES
    training = fl.train(NETWORK, data, **SETTINGS)
    next(training)
    if how == "close":
        next(training)
        training.close()
    elif how == "forgotten":
        next(training)
        del training
        gc.collect()
    elif how == "error in the reader":
        with pytest.raises(ZeroDivisionError):
            for event in training:
                1 / (not isinstance(event, fl.events.EpochEnded))
        training.close()
    else:

        def batches() -> Iterator[Any]:
            for number, batch in enumerate(in_batches((X, CODES), 5)):
                if number == 3:
                    os.kill(os.getpid(), signal.SIGINT)
                yield batch

        run = fl.fit(NETWORK, batches, **SETTINGS)
        assert run.stop_reason == "interrupted"


def test_a_plan_counts_the_window_and_a_profile_reads_it(tmp_path: Path) -> None:
    data = mapped(X, tmp_path), CODES
    announced = fl.plan(NETWORK, data, loss="cross_entropy", batch_size=8)
    assert announced.bytes["window"] == 2 * 2 * 8 * (4 * D + 8)
    assert announced.bytes["data"] == CODES.nbytes
    streamed = fl.plan(NETWORK, Loader(), loss="cross_entropy", batch_size=8)
    assert streamed.rows is None
    assert "rows of a stream" in str(streamed)
    with pytest.raises(ArgumentError, match="use up its first batch"):
        fl.plan(NETWORK, in_batches((X, CODES), 5), loss="cross_entropy")
    run = fl.fit(NETWORK, data, **SETTINGS)
    assert run.profile(seconds=0.01).instructions
    fl.fit(NETWORK, Loader(), **SETTINGS).profile(seconds=0.01)


def test_another_file_is_not_gone_on_with(tmp_path: Path) -> None:
    fl.fit(NETWORK, (mapped(X, tmp_path), CODES), out=tmp_path / "run", **SETTINGS)
    with pytest.raises(ArgumentError, match=r"data\.x"):
        fl.fit(NETWORK, (mapped(X + 1, tmp_path, "other"), CODES), resume=tmp_path / "run", **SETTINGS)


class Squares:
    """A Source of a user's own."""

    rows = 40

    @property
    def form(self) -> Any:
        return {"x": fl.Form((1,), np.dtype(np.float32)), "y": fl.Form((), np.dtype(np.float64))}

    def read(self, rows: Any, into: Any) -> None:
        for name, array in into.items():
            array[...] = rows.reshape(-1, 1) / 40 if name == "x" else (rows / 40) ** 2


def test_a_source_of_ones_own(tmp_path: Path) -> None:
    x = (np.arange(40) / 40).reshape(-1, 1).astype(np.float32)
    told: dict[str, Any] = {**SETTINGS, "loss": "squared_error", "validation": 0.25}
    whole = fl.fit(nn.mlp((4,), 1), (x, (np.arange(40) / 40) ** 2), **told)
    assert same(fl.fit(nn.mlp((4,), 1), Squares(), **told), whole)


class Given:
    """A Source of arrays by name that counts what is asked of it, and may leave a name out or fail at some call."""

    def __init__(self, arrays: dict[str, Any], leaves: str = "", fails: int = 10**9, **form: Any) -> None:
        self.arrays, self.leaves, self.fails, self.calls = arrays, leaves, fails, list[tuple[str, ...]]()
        self.rows: Any = len(arrays["x"])
        self.form: Any = {name: fl.Form(one.shape[1:], one.dtype) for name, one in arrays.items()} | form

    def read(self, rows: Any, into: Any) -> None:
        self.calls.append(tuple(into))
        if len(self.calls) >= self.fails:
            raise OSError(5, "disk gone")
        for name in into:
            if name != self.leaves:
                into[name][...] = self.arrays[name][rows]


def test_a_source_with_weights_is_read_by_one_call_for_all_names() -> None:
    weight = RNG.random(N)
    source = Given({"x": X, "y": CODES, "weight": weight})
    told = {**SETTINGS, "validation": np.arange(5)}
    assert same(fl.fit(NETWORK, source, **told), fl.fit(NETWORK, (X, CODES, weight), **told))
    before = len(source.calls)
    fl.fit(NETWORK, source, **SETTINGS)
    assert source.calls.count(("x", "y")) >= 4
    assert len(source.calls[before:]) - source.calls[before:].count(("x", "y")) <= 6  # what is looked at beforehand


WRONG_SOURCES: dict[str, tuple[Callable[[], Any], str]] = {
    "negative": (lambda: (0, -3), "whole number"),
    "no number": (lambda: (0, "many"), "whole number"),
    "more": (lambda: (0, N + 5), "IndexError"),
    "no targets": (lambda: ({"x": fl.Form((D,), np.dtype("f4"))}, N), "nothing under 'y'"),
    "another name": (lambda: (Given({"x": X, "y": CODES}, z=fl.Form((), np.dtype("f4"))).form, N), "the name 'z'"),
    "one inside": (lambda: ({"x": fl.Form((D,), np.dtype("f4")), "x.a": fl.Form((D,), np.dtype("f4")),
                             "y": fl.Form((), np.dtype("i8"))}, N), "inside it"),
    "a shape": (lambda: ({"x": ((D,), "f4"), "y": ((), "i8")}, N), "not a Form"),
    "objects": (lambda: (Given({"x": X.astype(object), "y": CODES}).form, N), "only real numbers"),
    "another shape": (lambda: (Given({"x": X[:, :2], "y": CODES}).form, N), "ValueError"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_SOURCES)
def test_a_source_that_is_none_is_an_error_of_ours(name: str) -> None:
    made, told = WRONG_SOURCES[name]
    source = Given({"x": X, "y": CODES})
    form, source.rows = made()
    source.form = form or source.form
    with pytest.raises(DataError, match=told):
        fl.fit(NETWORK, source, **SETTINGS)


def test_a_source_that_fails_at_any_call_is_a_reading_error_or_not_met() -> None:
    for call in range(1, 9):
        with pytest.raises(DataError, match=r"OSError.*disk gone"):
            fl.fit(NETWORK, Given({"x": X, "y": CODES}, fails=call), **{**SETTINGS, "epochs": 40})
    with pytest.raises(DataError, match="x holds NaN"):
        fl.fit(NETWORK, Given({"x": X, "y": CODES}, leaves="x"), **SETTINGS)
    source = Given({"x": X, "y": CODES}, fails=1)
    model = fl.fit(NETWORK, (X, CODES), **SETTINGS).model
    with pytest.raises(ReadingError, match="disk gone"):
        model.predict(source)


def test_sources_and_batches_are_evaluated_and_predicted_as_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_SLICE_BYTES", 10 * 4 * D)
    weight = RNG.random(N)
    model = fl.fit(NETWORK, (X, CODES, weight), **SETTINGS).model
    source = Given({"x": X, "y": CODES, "weight": weight})
    for answer in (model.predict, model.outputs, model.predict_proba):
        assert np.array_equal(answer(source), answer(X))
    assert source.calls.count(("x",)) == 18
    whole = model.evaluate((X, CODES, weight), metrics="f1")
    assert model.evaluate(source, metrics="f1") == whole
    for batches in (lambda: in_batches((X, CODES, weight), 7), lambda epoch: in_batches((X, CODES, weight), 50, 3)):
        assert model.evaluate(batches, metrics="f1") == whole
    assert model.evaluate(in_batches((X, CODES), N)) == model.evaluate((X, CODES))
    with pytest.raises(DataError, match="gave no batch"):
        model.evaluate(iter(()))
    with pytest.raises(DataError, match="some batches"):
        model.evaluate(iter([(X, CODES), (X, CODES, weight)]))
    with pytest.raises(fl.errors.ShapeError, match="batch 1 of data x has 53 rows and y has 5"):
        model.evaluate(iter([(X, CODES), (X, CODES[:5])]))
    assert model.predict(Given({"x": X[:0], "y": CODES[:0]})).shape == (0,)


def test_batches_of_no_rows_are_passed_over_and_weights_of_no_row_are_refused() -> None:
    parts = [(X[:20], CODES[:20]), (X[:0], CODES[:0]), (X[20:], CODES[20:])]
    in_order = fl.fit(NETWORK, (X, CODES), **SETTINGS, shuffle=False)
    run = fl.fit(NETWORK, lambda: iter(parts), **SETTINGS)
    assert same(run, in_order)
    assert run.started is not None
    assert "order in which the iterable" in run.started.notes[0]
    assert not in_order.started.notes  # type: ignore[union-attr]
    half = np.arange(N) < 20
    for weight, refused in ((half, False), (~half, False), (half & False, True)):
        batches = lambda weight=weight: in_batches((X, CODES, weight), 10)
        if refused:
            with pytest.raises(DataError, match="weights of all 53 rows of epoch 0 are 0"):
                fl.fit(NETWORK, batches, **SETTINGS)
        else:
            whole = fl.fit(NETWORK, (X, CODES, weight), **SETTINGS, shuffle=False)
            assert same(fl.fit(NETWORK, batches, **SETTINGS), whole)


@pytest.mark.parametrize("same_unit", [False, True])
def test_columns_are_measured_in_blocks_to_the_same_numbers(
    same_unit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = (X * [1e-3, 5, 1e200]).astype(np.float64)
    x[:, 1] = 7
    monkeypatch.setattr("fallline.nn.encoder._BLOCK", 4 * D)
    whole = nn.standardise(x, same_unit=same_unit)
    for given_rows in (mapped(x, tmp_path), Slices(x), Given({"x": x})):
        made = nn.standardise(given_rows, same_unit=same_unit)
        numbers = [[(one.mean, one.scale) for one in columns.columns] for columns in (made, whole)]
        if same_unit:
            np.testing.assert_allclose(*numbers, rtol=1e-14)
        else:
            assert numbers[0] == numbers[1]
    with pytest.raises(ArgumentError, match="NaN or infinite"):
        nn.standardise(Slices(broken(x, 41, np.nan)))
    several = Given({"x": x})
    several.form = {"x.a": fl.Form((), x.dtype), "x.b": fl.Form((), x.dtype)}
    with pytest.raises(ArgumentError, match="one input, got several, a, b"):
        nn.standardise(several)


def test_a_reader_can_neither_change_the_order_nor_hand_over_arrays_of_its_own() -> None:
    class Sorts(Given):
        def read(self, rows: Any, into: Any) -> None:
            super().read(rows, into)
            rows.sort()

    class Sets(Given):
        def read(self, rows: Any, into: Any) -> None:
            for name in into:
                into[name] = self.arrays[name][rows]

    for kind in (Sorts, Sets):
        with pytest.raises(DataError, match=r"read-only|item assignment"):
            fl.fit(NETWORK, kind({"x": X, "y": CODES}), **SETTINGS)


def test_a_file_that_is_cut_while_it_is_mapped_is_an_error_of_ours(tmp_path: Path) -> None:
    held = mapped(np.repeat(X, 200, axis=1), tmp_path)
    training = fl.train(NETWORK, (held, CODES), **SETTINGS)
    next(training)
    os.truncate(tmp_path / "x.npy", 4096)
    with pytest.raises(ReadingError, match="4,096 bytes long"):
        list(training)


def test_labels_in_an_array_of_objects_are_reported_as_texts_are() -> None:
    with pytest.raises(DataError, match="labels such as 'a'"):
        fl.fit(NETWORK, lambda: iter([(X, np.array(["a"] * N, object))]), **SETTINGS)


MASKED = np.ma.masked_less(X, 0)
WRONG_VALIDATION: dict[str, tuple[list[Any], str]] = {
    "lengths that add up": ([(X[:5], CODES[:4]), (X[:4], CODES[:5])], "batch 0 of validation: x has 5 rows, y has 4"),
    "a mask": ([(X, CODES), (MASKED, CODES)], "x of batch 1 of validation is a masked array"),
    "a mask of targets": ([(X, np.ma.masked_less(CODES, 1))], "y of batch 0 of validation is a masked array"),
    "weights of some": ([(X, CODES, np.ones(N)), (X, CODES)], "weight is in batch 0 and not in batch 1"),
    "another width": ([(X, CODES), (X[:, :2], CODES)], "x of batch 1 of validation has rows of"),
    "numbers": ([(3, 4)], "x of batch 0 of validation is"),
    "no pair": ([3], "batch 0 of validation has to be a pair"),
}


@pytest.mark.parametrize("name", WRONG_VALIDATION)
def test_batches_of_validation_are_looked_at_one_by_one(name: str) -> None:
    batches, told = WRONG_VALIDATION[name]
    with pytest.raises(fl.errors.FalllineError, match=told):
        fl.fit(NETWORK, (X, CODES), **SETTINGS, validation=iter(batches))


def test_errors_of_batches_of_validation_and_masks_in_evaluation_are_told() -> None:
    with pytest.raises(ReadingError, match="batch 2 of validation: OSError"):
        fl.fit(NETWORK, (X, CODES), **SETTINGS, validation=failing(2, OSError("gone")))
    model = fl.fit(NETWORK, (X, CODES), **SETTINGS).model
    for batch in ((X, np.ma.masked_less(CODES, 1)), (MASKED, CODES), (X, CODES, np.ma.masked_less(np.ones(N), 2))):
        with pytest.raises(fl.errors.FalllineError, match="masked array"):
            model.evaluate(iter([batch, batch]))
