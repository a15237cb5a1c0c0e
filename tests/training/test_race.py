"""A race: each variant to the bits of training it alone; results, endings and errors as promised."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, DataError, ExistingFileError, FalllineError
from fallline.experiments import contest as races
from fallline.experiments import track
from fallline.runs.events import RaceEnded, RaceResult, RaceResults, RaceStarted, VariantEnded, ranked
from fallline.training.stepper import BatchStepper

NETWORK = nn.mlp((4,), 3)
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "epochs": 5, "batch_size": 8, "validation": 0.3}


def alone(data: Any, one: dict[str, Any], settings: dict[str, Any]) -> fl.Run:
    """The variant trained by `fit`."""
    told = {**settings, **{key: value for key, value in one.items() if key not in ("name", "model", "learning_rate")}}
    if "learning_rate" in one:
        told["optimizer"] = replace(told.get("optimizer", fl.optim.Adam()), learning_rate=one["learning_rate"])
    return fl.fit(one.get("model", NETWORK), data, **told)


VARIANTS: dict[str, list[dict[str, Any]]] = {
    "rates": [{"learning_rate": rate} for rate in (1, 1e-3, 0.02, 0.02)],
    "seeds": [{"seed": seed} for seed in (0, 1, 2**62)],
    "optimizers": [{"optimizer": name} for name in sorted(fl.optim.OPTIMIZERS)]
    + [{"optimizer": fl.optim.AdamW(0.01, weight_decay=0.1)}, {"optimizer": fl.optim.Adam(0.01, clip_norm=0.1)}],
    "schedules": [{"learning_rate": fl.optim.schedule.Cosine(0.02)}, {"learning_rate": lambda step: 0.01 / (step + 1)}],
    "networks": [{"model": nn.mlp(w, 3, bend)} for w, bend in (((), "relu"), ((9,), "tanh"), ((5, 4), "elu"))],
    "noise": [{"model": nn.Sequential(nn.Dense(8), nn.Dropout(0.4), nn.Dense(3)), "seed": seed} for seed in (3, 4)],
    "batches": [{"batch_size": size} for size in (1, 5, 53, "full", None)] + [{"shuffle": False}, {"epochs": 2}],
    "losses": [{"loss": nn.CrossEntropy(0.1)}, {"loss": nn.CrossEntropy()}, {"loss": lambda z, y: np.mean(z * z)}],
    "precisions": [{"dtype": "float64"}, {"dtype": "float32"}],
    "stopping": [{"early_stopping": 1}, {"early_stopping": fl.EarlyStopping(2, restore_best=False)}],
    "validation": [{"validation": None}, {"validation": 0.3, "seed": 1}, {"validation": np.arange(9)}],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "threads"), [("rates", 1), *((kind, 2) for kind in VARIANTS)])
def test_each_variant_comes_to_the_bits_of_training_it_alone(
    labelled: Any, arithmetic: Any, kind: str, threads: int
) -> None:
    variants = VARIANTS[kind]
    race = fl.race(NETWORK, labelled, variants, threads=threads, **SETTINGS)
    for run, one in zip(race.runs.values(), variants, strict=True):
        single = alone(labelled, one, SETTINGS)
        assert run.model.theta.tobytes() == single.model.theta.tobytes()
        assert arithmetic(run.history) == arithmetic(single.history)
        assert run.config | {"threads": None} == single.config | {"threads": None}
        assert (run.stop_reason, run.best_epoch) == (single.stop_reason, single.best_epoch)
        assert np.array_equal(run.model.predict(labelled[0]), single.model.predict(labelled[0]))


def test_folds_race_to_the_bits_of_each_alone(labelled: Any) -> None:
    variants = [{"validation": fold} for fold in fl.folds(labelled, 4, seed=2)]
    race = fl.race(NETWORK, labelled, variants, **SETTINGS)
    assert list(race.runs) == [f"fold {i} of 4" for i in (1, 2, 3, 4)]
    for run, one in zip(race.runs.values(), variants, strict=True):
        assert run.model.theta.tobytes() == alone(labelled, one, SETTINGS).model.theta.tobytes()
    held = race.columns["validation_loss"]
    assert f"validation_loss {held.mean():.4g} +- {held.std(ddof=1):.2g}" in race.summary()


def test_a_model_that_was_trained_before_is_where_all_begin(labelled: Any) -> None:
    start = fl.fit(NETWORK, labelled, **SETTINGS).model
    before = start.theta.copy()
    race = fl.race(start, labelled, [{"seed": 1}, {"seed": 2}], epochs=3)
    for run, seed in zip(race.runs.values(), (1, 2), strict=True):
        assert run.model.theta.tobytes() == fl.fit(start, labelled, epochs=3, seed=seed).model.theta.tobytes()
    assert np.array_equal(start.theta, before)


def test_how_a_race_is_cut_into_slices_changes_nothing(
    labelled: Any, cut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = [{"seed": seed} for seed in range(4)]
    whole = fl.race(NETWORK, labelled, variants, **SETTINGS)
    cut([1, 3])
    for where, name, value in (
        (track, "_SLICE", 0.0), (track, "_SHORTEST_SLICE", 0.0),
        (races, "_FIRST_STANDINGS", 1e-4), (races, "_STANDINGS", 1e-4),
    ):  # fmt: skip
        monkeypatch.setattr(where, name, value)
    events = list(racing := fl.racing(NETWORK, labelled, variants, threads=2, **SETTINGS))
    assert sum(isinstance(event, RaceResults) for event in events) > 3
    for run, other in zip(whole.runs.values(), racing.race.runs.values(), strict=True):
        assert run.model.theta.tobytes() == other.model.theta.tobytes()


def test_data_are_checked_and_converted_once_for_all(labelled: Any) -> None:
    racing = fl.racing(NETWORK, labelled, [{"seed": s} for s in range(3)] + [{"dtype": "float64"}], **SETTINGS)
    jobs = [variant.job for variant in racing._variants]
    assert jobs[0].train.data["x"] is jobs[1].train.data["x"] is jobs[2].train.data["x"]
    assert jobs[0].train.data["y"] is jobs[1].train.data["y"]
    assert jobs[3].train.data["x"].dtype == np.float64
    assert np.shares_memory(jobs[3].train.data["x"], labelled[0])


# The order of results


@given(st.permutations(range(8)))
def test_results_are_sorted_by_validation_loss_and_what_broke_comes_last(order: list[int]) -> None:
    best_first = [
        RaceResult("a", "running", validation_loss=0.1, loss=0.9),
        RaceResult("b", "finished", validation_loss=0.2, loss=0.1),
        RaceResult("c", "interrupted", loss=0.3),  # without validation: by loss
        RaceResult("d", "early_stopping", validation_loss=0.4, loss=0.0),
        RaceResult("e", "waiting"),
        RaceResult("f", "diverged", validation_loss=0.0, loss=0.0),
        RaceResult("g", "diverged"),
        RaceResult("h", "failed", validation_loss=0.0, loss=0.0),
    ]
    got = ranked(best_first[i] for i in order)
    assert "".join(one.name for one in got) in ("abcdefgh", "abcdegfh"[:5] + "fgh")
    assert [one.place for one in got] == list(range(1, 9))


def test_the_stream_begins_and_ends_and_reports_each_ending_once(labelled: Any) -> None:
    variants = [{"name": f"n{i}", "learning_rate": rate} for i, rate in enumerate((1e-4, 1e-2, 1e-3))]
    first, *between, last = fl.racing(NETWORK, labelled, variants, **SETTINGS)
    assert isinstance(first, RaceStarted)
    assert (first.names, first.rows, first.validated) == (("n0", "n1", "n2"), 53, True)
    assert first.metrics == ("validation_accuracy",)
    endings = [event.result for event in between if isinstance(event, VariantEnded)]
    assert sorted(one.name for one in endings) == ["n0", "n1", "n2"]
    assert all(isinstance(event, RaceResults | VariantEnded) for event in between)
    assert isinstance(last, RaceEnded)
    losses = [one.validation_loss for one in last.results]
    assert losses == sorted(losses)  # type: ignore[type-var]
    assert {one.name: one for one in last.results} == {one.name: replace(one, place=p.place) for one in endings
            for p in last.results if p.name == one.name}  # fmt: skip


def test_a_standing_reports_the_epoch_whose_parameters_are_kept(labelled: Any) -> None:
    settings = {**SETTINGS, "epochs": 60, "optimizer": fl.optim.Adam(0.1)}
    race = fl.race(NETWORK, labelled, [{"early_stopping": 2}, {"early_stopping": None}], **settings)
    for one in race.results:
        run = race.runs[one.name]
        shown = run.epochs[run.best_epoch if run.stop_reason == "early_stopping" else -1]  # type: ignore[index]
        assert (one.loss, one.validation_loss, one.metrics) == (shown.loss, shown.validation_loss, shown.metrics)
        assert (one.epoch, one.state) == (len(run.epochs), run.stop_reason)
    assert race.best is race.runs[race.results[0].name]
    assert race.columns["validation_loss"].tolist() == [one.validation_loss for one in race.results]


# Endings


def test_one_that_diverges_stands_last_and_the_others_go_on(labelled: Any) -> None:
    race = fl.race(NETWORK, labelled, [{"learning_rate": rate} for rate in (1e30, 1e-3, 1e-2)], **SETTINGS)
    assert [one.state for one in race.results] == ["finished", "finished", "diverged"]
    wild = race.results[-1]
    assert wild.name == "learning_rate 1e+30"
    assert "learning rate 1e+30" in wild.problem
    assert f"{wild.name} diverged: {wild.problem}" in race.summary()
    single = alone(labelled, {"learning_rate": 1e30}, SETTINGS)
    assert race.runs[wild.name].model.theta.tobytes() == single.model.theta.tobytes()


def test_one_that_fails_is_reported_and_the_others_go_on(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    race = fl.racing(NETWORK, labelled, [{"seed": seed} for seed in range(3)], threads=2, **SETTINGS)
    broken = race._runners[1].training._stepper
    advance = broken.advance

    def breaks() -> Any:
        if broken.step > 8:
            raise OSError("the disk is full")
        return advance()

    monkeypatch.setattr(broken, "advance", breaks)
    *_, last = race
    assert isinstance(last, RaceEnded)
    assert [one.state for one in last.results] == ["finished", "finished", "failed"]
    assert last.results[-1].problem == "OSError: the disk is full"
    assert isinstance(race.race.errors["seed 1"], OSError)
    assert np.isfinite(race.race.runs["seed 1"].model.theta).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("step", [1, 9, 60])
def test_ctrl_c_ends_all_in_good_order_with_what_they_have(
    labelled: Any, cut: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int, step: int
) -> None:
    cut([1])
    run, sent, steps = BatchStepper._run, [], iter(range(10**9))

    def and_then(self: BatchStepper, limit: int) -> int:
        done = run(self, limit)
        if next(steps) >= step and not sent:
            sent.append(step)
            os.kill(os.getpid(), signal.SIGINT)
        return done

    monkeypatch.setattr(BatchStepper, "_run", and_then)
    variants = [{"seed": seed} for seed in range(12)]
    race = fl.race(NETWORK, labelled, variants, threads=threads, out=tmp_path / "all", **{**SETTINGS, "epochs": 4000})
    assert race.stop_reason == "interrupted"
    assert {run.stop_reason for run in race.runs.values()} == {"interrupted"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    made = sum(one.step for one in race.results)
    assert step <= made < 24_000  # a tenth of what they were to make; a lane may go on until Python looks at signals
    # Each can go on from there, to where it would have been.
    one = race.runs["seed 0"]
    assert one.ended is not None
    further = {**SETTINGS, "epochs": one.ended.epochs + 2}
    on = fl.fit(NETWORK, labelled, resume=one.folder, **further)
    assert on.model.theta.tobytes() == fl.fit(NETWORK, labelled, **further).model.theta.tobytes()


def test_a_second_ctrl_c_is_not_held_back_and_no_thread_stays(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = BatchStepper._run

    def and_then(self: BatchStepper, limit: int) -> int:
        if threading.current_thread() is threading.main_thread():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return run(self, limit)

    monkeypatch.setattr(BatchStepper, "_run", and_then)
    racing = fl.racing(NETWORK, labelled, [{"seed": s} for s in range(6)], threads=2, **{**SETTINGS, "epochs": 4000})
    with pytest.raises(KeyboardInterrupt):
        list(racing)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fallline-lane")]
    assert len(racing.race.runs) == 6


def test_a_reader_that_raises_or_stops_leaves_what_was_reached(labelled: Any) -> None:
    settings = {**SETTINGS, "epochs": 10**6}
    racing = fl.racing(NETWORK, labelled, [{"seed": 0}, {"seed": 1}], threads=2, **settings)
    with pytest.raises(ZeroDivisionError):
        for event in racing:
            if isinstance(event, RaceResults):
                raise ZeroDivisionError
    racing.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fallline-lane")]
    assert all(np.isfinite(run.model.theta).all() for run in racing.race.runs.values())
    racing = fl.racing(NETWORK, labelled, [{"seed": 0}, {"seed": 1}], **settings)
    for event in racing:
        if isinstance(event, RaceResults):
            racing.stop()
    assert isinstance(event, RaceEnded) and event.reason == "interrupted"


def test_a_race_works_outside_the_main_thread(labelled: Any) -> None:
    found: list[fl.Race] = []
    variants = [{"seed": 0}, {"seed": 1}]
    thread = threading.Thread(target=lambda: found.append(fl.race(NETWORK, labelled, variants, threads=2, **SETTINGS)))
    thread.start()
    thread.join()
    for name, run in fl.race(NETWORK, labelled, variants, **SETTINGS).runs.items():
        assert found[0].runs[name].model.theta.tobytes() == run.model.theta.tobytes()


# Folders


def test_each_variant_is_saved_in_a_folder_of_its_own(labelled: Any, tmp_path: Path) -> None:
    variants = [{"learning_rate": 0.01}, {"name": "a/b: wide?", "model": nn.mlp((9,), 3)}, {"name": "a b wide"}]
    race = fl.race(NETWORK, labelled, variants, out=tmp_path, **SETTINGS)
    for run in race.runs.values():
        assert run.folder is not None and run.folder.parent == tmp_path
        assert fl.load_run(run.folder).model.theta.tobytes() == run.model.theta.tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-b-wide", "a-b-wide-3", "learning_rate-0.01"]
    with pytest.raises(ExistingFileError, match="overwrite=True"):
        fl.race(NETWORK, labelled, variants, out=tmp_path, **SETTINGS)
    more = fl.race(NETWORK, labelled, variants, out=tmp_path, resume=True, **{**SETTINGS, "epochs": 8})
    for name, one in zip(more.runs, variants, strict=True):
        single = alone(labelled, one, {**SETTINGS, "epochs": 8})
        assert more.runs[name].model.theta.tobytes() == single.model.theta.tobytes()
        assert next(one.epoch for one in more.results if one.name == name) == 8


# Names and errors


@pytest.mark.parametrize(
    ("variants", "names"),
    [
        ([{"learning_rate": 0.1}, {"learning_rate": 1e-5}], ["learning_rate 0.1", "learning_rate 1e-05"]),
        ([{"optimizer": "momentum", "seed": 1}, {"optimizer": fl.optim.Adam(0.1), "seed": 1}],
         ["momentum", "Adam(learning_rate=0.1)"]),
        ([{"seed": 1}, {}], ["seed 1", "as given"]),
        ([{}, {}], ["variant 1", "variant 2"]),
        ([{"seed": 1}, {"seed": 1, "name": "mine"}], ["variant 1", "mine"]),
        ([{"model": nn.mlp((8, 4), 2)}, {"model": nn.mlp((), 2)}, {"model": nn.Function(np.sin)}],
         ["8-4-2 relu", "2 linear", "Function(sin)"]),
        ([{"model": nn.mlp((8,), 2), "seed": s} for s in (0, 1)], ["seed 0", "seed 1"]),
        ([{"validation": 0.1}, {"validation": ([[1.0]], [1.0])}], ["validation 0.1", "validation 2"]),
        ([{"seed": 1}, {"seed": 2}, {"seed": 1}], ["seed 1", "seed 2", "seed 1 (2)"]),
    ],
)  # fmt: skip
def test_a_variant_is_called_by_what_it_differs_in(variants: list[dict[str, Any]], names: list[str]) -> None:
    from fallline.experiments.variants import names_of

    assert names_of(variants) == names


BAD: list[tuple[dict[str, Any], type[FalllineError], list[str]]] = [
    ({"variants": []}, ArgumentError, ["variants is a list of dicts, one for each variant, got []"]),
    ({"variants": {"seed": 1}}, ArgumentError, ["variants is a list of dicts"]),
    ({"variants": [{"seed": 1}, 3]}, ArgumentError, ["variant 1 has to be a dict such as", "got 3"]),
    (
        {"variants": [{"learning_rat": 1}, {"names": "x"}], "epoch": 2},
        ArgumentError,
        ["no epoch=; did you mean 'epochs'?", "variant 0: there is no 'learning_rat'; did you mean 'learning_rate'?",
         "variant 1: there is no 'names'; did you mean 'name'?"],
    ),
    ({"variants": [{"threads": 2}]}, ArgumentError, ["there is no 'threads'"]),
    ({"variants": [{"name": " "}]}, ArgumentError, ["a name is a text"]),
    ({"variants": [{"name": "a"}, {"name": "a"}]}, ArgumentError, ["two variants are called 'a'"]),
    (
        {"variants": [{"learning_rate": -1, "epochs": 0}, {"epochs": 0}, {"loss": "crossentropy"}, {"seed": 1}]},
        ArgumentError,
        ["3 problems", "learning_rate has to be a number > 0", "epochs has to be a whole number >= 1, or None, got 0",
         "unknown loss 'crossentropy'; did you mean 'cross_entropy'?"],
    ),
    ({"variants": [{"seed": 1}, {"seed": 2}], "batch_size": 0}, ArgumentError, ["batch_size has to be"]),
    ({"variants": [{"seed": 1}, {"seed": 2}], "resume": "runs/a"}, ArgumentError, ["resume is True or False"]),
    ({"variants": [{"model": nn.mlp((4,), 2)}, {"model": nn.mlp((4,), 3)}]}, DataError, ["variant 'NAME'", "2"]),
    ({"variants": [{"seed": 1}], "threads": 0}, ArgumentError, ["threads"]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "told"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_with_any_variant_is_reported_at_once(
    labelled: Any, given: dict[str, Any], kind: type[FalllineError], told: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        fl.race(NETWORK, labelled, **{**SETTINGS, **given})
    for text in told:
        assert text.replace("NAME", "4-2 relu") in str(caught.value)


def test_what_is_wrong_for_all_is_reported_once(labelled: Any) -> None:
    x = labelled[0].copy()
    x[3, 1] = np.nan
    with pytest.raises(DataError) as caught:
        fl.race(NETWORK, (x, labelled[1]), [{"seed": seed} for seed in range(9)], **SETTINGS)
    assert str(caught.value).count("NaN") == 1
    assert "variant" not in str(caught.value)


def test_what_cannot_be_traced_is_reported_before_anything_starts(labelled: Any, tmp_path: Path) -> None:
    def branches(output: Any, y: Any) -> Any:
        return output.sum() if output.sum() > 0 else y.sum()

    with pytest.raises(FalllineError, match="variants 'branches', 'seed 2, branches': the loss branches: a branch"):
        fl.race(NETWORK, labelled, [{"seed": 1}, {"loss": branches}, {"loss": branches, "seed": 2}],
                out=tmp_path / "all", **SETTINGS)  # fmt: skip
    assert not (tmp_path / "all").exists()


def test_losses_that_cannot_be_compared_are_noted(labelled: Any) -> None:
    first = next(fl.racing(NETWORK, labelled, [{"loss": "cross_entropy"}, {"loss": nn.CrossEntropy(0.2)}], **SETTINGS))
    assert isinstance(first, RaceStarted)
    assert "cannot be compared" in first.notes[0]


def test_a_race_goes_on_where_a_round_is_over_before_the_lanes_have_met(monkeypatch) -> None:
    monkeypatch.setattr(races, "_STANDINGS", 0.0)
    monkeypatch.setattr(races, "_FIRST_STANDINGS", 0.0)
    x = np.arange(8.0)[:, None]
    variants = [{"seed": 0}, {"seed": 1}]
    found = fl.race(fl.nn.Dense(1), (x, x[:, 0]), variants, loss="squared_error", epochs=2, threads=2)
    assert found.stop_reason == "finished" and all(len(run.epochs) == 2 for run in found.runs.values())
