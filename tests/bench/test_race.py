"""The race: who may run, what is refused, and that times come from the competitors' own processes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fallline.bench import race, reference
from fallline.bench.cases import BETA1, CASES, Case, problem, short
from fallline.bench.field import Field, WorkerFailed
from fallline.bench.peers import COMPETITORS, Competitor, Entry, SklearnFit, SklearnPartialFit
from fallline.bench.race import disagreement

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
    race.curves(CASE)  # the right ones, kept
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
    monkeypatch.setitem(race.COMPETITORS, "imaginary", Entry("no_such_module", SklearnFit))
    with Field(1) as field:
        raced = race.race(CASES[0], ["imaginary"], field, tell=lambda line: None)
    assert raced.left_out == {"imaginary": "not installed"} and raced.timings == {}


def test_a_library_is_checked_and_timed_in_its_own_process() -> None:
    with Field(1) as field:
        raced = race.race(CASES[0], ["sklearn fit"], field, rounds=2, seconds=0.001, tell=lambda line: None)
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
def test_other_ways_to_count_a_loss_come_to_the_same_steps(case: Case, build: type[Competitor]) -> None:
    # scikit-learn halves squares and sums them over a row: another multiple of the loss, undone in rate and epsilon.
    competitor = build(problem(case), 2)
    competitor.start(case.check_steps)
    assert disagreement(case, competitor.run()) == ""


class Asked:
    """A process that says how long its steps take and keeps to the right curve, or does not."""

    def __init__(self, step: float, right: bool = True) -> None:
        self.step, self.right = step, right

    def ask(self, do: str, **details: object) -> dict[str, object]:
        if do == "check":
            return {"curve": (curve() if self.right else 2 * curve()).tolist()}
        return {"steps": 5, "step": self.step}


@pytest.mark.parametrize(("several", "alone", "taken"), [(2.0, 1.0, 1), (1.0, 2.0, 4)])
def test_one_thread_is_raced_where_it_is_quicker(several: float, alone: float, taken: int) -> None:
    ways = {4: Asked(several), 1: Asked(alone)}
    field = SimpleNamespace(threads=4, process=lambda name, threads: ways[threads])
    worker, timing = race.prepared("PyTorch", CASE, field, 0.1)
    assert worker is ways[taken] and timing.threads == taken


def test_who_shows_another_curve_is_not_timed() -> None:
    field = SimpleNamespace(threads=1, process=lambda name, threads: Asked(1.0, right=False))
    with pytest.raises(WorkerFailed, match="another loss curve"):
        race.prepared("PyTorch", CASE, field, 0.1)
