"""The race: who may run, what is refused, and that times come from the competitors' own processes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from fallline.bench import race, reference
from fallline.bench.cases import BETA1, CASES, LEARNING_RATE, Case, problem, short
from fallline.bench.peers import Entry, SklearnFit
from fallline.bench.race import CHECK_STEPS, Outcome, Process, Timing, WorkerFailed, disagreement

CASE = CASES[1]


def curve(case: Case = CASE) -> np.ndarray:
    return reference.loss_curve(problem(short(case)), CHECK_STEPS)


def test_the_right_curve_is_accepted_by_step_and_by_epoch() -> None:
    assert disagreement(CASE, curve()) == ""
    assert disagreement(CASE, curve().reshape(8, 8).mean(axis=1)) == ""


@pytest.mark.parametrize(("name", "value"), [("LEARNING_RATE", 1.01 * LEARNING_RATE), ("BETA1", BETA1 - 0.01)])
def test_a_step_wrong_by_one_percent_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    monkeypatch.setattr(reference, name, value)
    wrong = curve()
    monkeypatch.undo()
    assert "another loss curve" in disagreement(CASE, wrong)
    assert "another loss curve" in disagreement(CASE, wrong.reshape(8, 8).mean(axis=1))


def test_a_curve_that_is_not_finite_or_of_another_length_is_refused() -> None:
    assert "nan" in disagreement(CASE, np.where(np.arange(CHECK_STEPS) == 9, np.nan, curve()))
    assert disagreement(CASE, curve()[:-1]) == "gave 63 losses for 64 steps"


def test_rows_in_another_order_are_refused() -> None:
    rng = np.random.default_rng(0)
    given = problem(short(CASE))
    order = rng.permutation(len(given.x))
    given.x[:], given.y[:] = given.x[order], given.y[order]
    assert disagreement(CASE, reference.loss_curve(given, CHECK_STEPS)) != ""


def outcome(ours: list[float], theirs: list[float]) -> Outcome:
    timings = {"Fallline": Timing(10, ours, ours), "PyTorch": Timing(5, theirs, theirs)}
    return Outcome(CASE, timings)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # Steps of ours 1, 2, 4 and theirs 20, 30, 60: ratios 20, 15, 15. The ratio of medians would be the same 15,
    # the ratio of totals 110/7 = 15.7.
    raced = outcome([10.0, 20.0, 40.0], [100.0, 150.0, 300.0])
    assert raced.ratio("PyTorch") == 15
    assert raced.timings["PyTorch"].step == 30
    assert raced.ratio("JAX scan") is None


def test_a_ratio_below_its_floor_is_told() -> None:
    assert outcome([10.0], [75.0]).shortfalls() == []
    assert outcome([10.0], [74.0]).shortfalls() == ["30-64-64-2 batch 32: 14.80 times PyTorch, floor 15"]


def test_what_is_not_installed_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(race.COMPETITORS, "imaginary", Entry("no_such_module", SklearnFit))
    raced = race.race(CASES[0], ["imaginary"], tell=lambda line: None)
    assert raced.left_out == {"imaginary": "not installed"} and raced.timings == {}


def test_a_library_is_checked_and_timed_in_its_own_process() -> None:
    raced = race.race(CASES[0], ["sklearn fit"], rounds=2, seconds=0.001, tell=lambda line: None)
    timing = raced.timings["sklearn fit"]
    assert raced.left_out == {} and len(timing.seconds) == 2 and min(timing.seconds) > 0


def test_what_a_library_cannot_train_is_left_out_with_the_reason() -> None:
    case = next(case for case in CASES if case.loss == "squared_error")
    raced = race.race(case, ["sklearn fit"], tell=lambda line: None)
    assert "another multiple" in raced.left_out["sklearn fit"]


def test_the_idlest_processor_is_one_we_may_use() -> None:
    cpu = race.idlest_processor(0.01)
    assert cpu is None or int(cpu) in os.sched_getaffinity(0)


def test_a_workers_error_and_its_end_come_back_as_worker_failed() -> None:
    with Process("sklearn fit") as worker:
        with pytest.raises(WorkerFailed, match="KeyError"):
            worker.ask("check", case="no such case", steps=1)
        worker.process.kill()
        with pytest.raises(WorkerFailed, match="ended"):
            worker.ask("check", case=CASES[0].name, steps=1)
