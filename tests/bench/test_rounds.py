"""The race: who may run, what is refused, and that times come from the competitors' own processes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fallline.bench import numpy_steps as reference
from fallline.bench import rounds
from fallline.bench.cases import BETA1, CASES, Case, problem, short
from fallline.bench.field import Field, WorkerFailed
from fallline.bench.peers import COMPETITORS, Competitor, Entry, SklearnFit, SklearnPartialFit
from fallline.bench.results import Outcome
from fallline.bench.rounds import disagreement

CASE = CASES[1]


def curve(case: Case = CASE) -> np.ndarray:
    return reference.loss_curve(problem(short(case)), case.check_steps)


def test_the_right_curve_is_accepted_by_step_and_by_epoch() -> None:
    assert disagreement(CASE, curve()) == ""
    assert disagreement(CASE, curve().reshape(8, 8).mean(axis=1)) == ""


def test_a_learning_rate_wrong_by_one_percent_is_refused() -> None:
    wrong = curve(replace(CASE, learning_rate=1.01 * CASE.learning_rate))
    assert "another loss curve" in disagreement(CASE, wrong)
    assert "another loss curve" in disagreement(CASE, wrong.reshape(8, 8).mean(axis=1))


def test_another_decay_of_the_first_moment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds.curves(CASE)  # the right ones, kept
    monkeypatch.setattr(reference, "BETA1", BETA1 - 0.01)
    wrong = curve()
    assert "another loss curve" in disagreement(CASE, wrong)
    assert "another loss curve" in disagreement(CASE, wrong.reshape(8, 8).mean(axis=1))


def test_a_curve_that_is_not_finite_or_of_another_length_is_refused() -> None:
    assert "nan" in disagreement(CASE, np.where(np.arange(CASE.check_steps) == 9, np.nan, curve()))
    assert disagreement(CASE, curve()[:-1]) == "gave 63 losses for 64 steps"


def test_rows_in_another_order_are_refused() -> None:
    rng = np.random.default_rng(0)
    given = problem(short(CASE))
    order = rng.permutation(len(given.x))
    given.x[:], given.y[:] = given.x[order], given.y[order]
    assert disagreement(CASE, reference.loss_curve(given, CASE.check_steps)) != ""


def test_what_is_not_installed_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rounds.COMPETITORS, "imaginary", Entry("no_such_module", SklearnFit))
    with Field(1) as field:
        raced = rounds.race(CASES[0], ["imaginary"], field, report=lambda line: None)
    assert raced.left_out == {"imaginary": "not installed"} and raced.timings == {}


def test_an_older_version_runs_in_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = Entry("sklearn", SklearnFit, home="older")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert not entry.is_installed and Path(entry.python).is_relative_to(tmp_path / "peers" / "older")
    Path(entry.python).parent.mkdir(parents=True)
    Path(entry.python).write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec "{sys.executable}" "$@"\n')
    Path(entry.python).chmod(0o755)
    assert entry.is_installed
    with Field(1) as field:
        worker = field.process("sklearn fit", 1, entry.python)
        assert worker.ask("check", case=CASE.name, steps=CASE.check_steps)["curve"]
    assert (tmp_path / "used").exists()


def test_a_library_is_checked_and_timed_in_its_own_process() -> None:
    with Field(1) as field:
        raced = rounds.race(CASES[0], ["sklearn fit"], field, rounds=2, seconds=0.001, report=lambda line: None)
    timing = raced.timings["sklearn fit"]
    assert raced.left_out == {} and len(timing.seconds) == 2 and min(timing.seconds) > 0
    assert raced.threads == timing.threads == 1


SQUARED = [
    Case((6, 5, 4), 5, 40, "sigmoid", "squared_error", "gradient_descent"),
    Case((6, 5, 6), 5, 40, loss="squared_error", target="x"),
    Case((6, 5, 2), 5, 40),
]


@pytest.mark.parametrize("case", SQUARED, ids=lambda case: case.name)
@pytest.mark.parametrize("build", [SklearnFit, SklearnPartialFit, COMPETITORS["Fallline"].build])
def test_other_forms_to_count_a_loss_come_to_the_same_steps(case: Case, build: type[Competitor]) -> None:
    # scikit-learn halves squares and sums them over a row: another multiple of the loss, undone in rate and epsilon.
    competitor = build(problem(case), 2)
    competitor.start(case.check_steps)
    assert disagreement(case, competitor.run()) == ""


class Asked:
    """A process that says how long its steps take and keeps to the right curve, or does not; may fail at a turn."""

    def __init__(self, step: float, *, warm: float = 1.0, right: bool = True, fails: bool = False) -> None:
        self.step, self.warm, self.right, self.fails = step, warm, right, fails

    def ask(self, do: str, **details: object) -> dict[str, object]:
        if do == "check":
            return {"curve": (curve() if self.right else 2 * curve()).tolist()}
        if do == "load":
            return {"steps": 5, "step": self.warm * self.step}
        if self.fails:
            raise WorkerFailed("out of memory")
        return {"seconds": 5 * self.step, "cpu": 5 * self.step}


def field_of(**entries: Asked) -> SimpleNamespace:
    """Four threads, on which only PyTorch runs: `four` and `one` are its two entries."""
    by_threads = {4: entries["four"], 1: entries["one"]}
    return SimpleNamespace(
        threads=4, cpus=[0], process=lambda name, threads, python: by_threads[threads], elsewhere=lambda: None
    )


@pytest.fixture
def pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may race whether it is installed or not."""
    monkeypatch.setattr(rounds, "installed", lambda names: dict.fromkeys(names, ""))


def raced(**entries: Asked) -> Outcome:
    return rounds.race(CASE, ["PyTorch"], field_of(**entries), rounds=3, report=lambda line: None)


@pytest.mark.usefixtures("pytorch")
@pytest.mark.parametrize(("four", "one", "counts"), [(2.0, 1.0, 1), (1.0, 2.0, 4)])
def test_the_quicker_of_both_entries_counts_by_its_rounds_not_by_its_warming_up(
    four: float, one: float, counts: int
) -> None:
    outcome = raced(four=Asked(four, warm=1 / four), one=Asked(one, warm=1 / one))
    assert outcome.timings["PyTorch"].threads == counts and outcome.timings["PyTorch"].step == 1.0


@pytest.mark.usefixtures("pytorch")
def test_an_entry_that_is_hopelessly_slow_is_not_raced() -> None:
    assert [
        entry.timing.threads for entry in rounds.entries_of("PyTorch", CASE, field_of(four=Asked(1), one=Asked(9)), 1)
    ] == [4]


@pytest.mark.usefixtures("pytorch")
def test_who_fails_in_one_entry_counts_the_other_and_who_fails_both_is_left_out() -> None:
    outcome = raced(four=Asked(1.0, fails=True), one=Asked(2.0))
    assert outcome.timings["PyTorch"].threads == 1 and outcome.left_out == {}
    outcome = raced(four=Asked(1.0, fails=True), one=Asked(2.0, fails=True))
    assert outcome.timings == {} and outcome.left_out == {"PyTorch": "out of memory"}


def test_who_shows_another_curve_is_not_timed() -> None:
    wrong = Asked(1.0, right=False)
    with pytest.raises(WorkerFailed, match="another loss curve"):
        rounds.entries_of("PyTorch", CASE, field_of(four=wrong, one=wrong), 0.1)
