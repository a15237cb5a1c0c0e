"""The first value that was not finite: op, layer, step, row and element, found by going through the training again."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.diagnosis.finding import Finding

from .descents import CODES, X, Y, descent


@dataclass(frozen=True)
class Apply:
    """A function of NumPy as a layer."""

    function: Any

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {}, shape

    def apply(self, params: Any, x: Any) -> Any:
        return self.function(x)


def told(run: fl.Run) -> tuple[Finding, dict[str, Any]]:
    found = fl.diagnose(run)["diverged"]
    assert found.warns
    return found, {one.name: one.value for one in found.evidence}


def test_a_logarithm_of_zero_is_found_with_its_row() -> None:
    network = nn.Sequential(nn.Dense(3), nn.ReLU(), Apply(np.log), nn.Dense(2))
    run = fl.fit(network, (X, CODES), loss="cross_entropy", epochs=2, shuffle=False)
    found, seen = told(run)
    assert (seen["op"], seen["first value that is not finite"]) == ("log", "-inf")
    assert seen["part of the step"].startswith("2 Apply") and "all that it was made from is finite" in found.says
    # No step was made, so these are the first parameters: ReLU gives 0 in the first batch's first row that has one.
    zero = run.model[:2].outputs(X[:32]) == 0
    assert seen["row"] == int(np.flatnonzero(zero.any(1))[0])
    assert seen["computed from"] == "0"


def test_an_infinite_slope_is_found_in_the_backward_pass_one_step_before() -> None:
    network = nn.Sequential(nn.Dense(3), nn.ReLU(), Apply(np.sqrt), nn.Dense(2))
    run = fl.fit(network, (X, CODES), loss="cross_entropy", epochs=2)
    found, seen = told(run)
    assert run.diverged is not None and run.diverged.step == 1
    assert "backward pass" in found.says and "Apply" in seen["part of the step"]
    (first,) = [one for one in found.evidence if one.name == "first value that is not finite"]
    assert first.threshold == "step 0"


class Source:
    """200 rows, one of which is out of all measure; one that is no number is refused when it is read."""

    rows = 200
    form = {"x": fl.Form((3,), np.dtype("float32")), "y": fl.Form((), np.dtype("float32"))}  # noqa: RUF012

    def read(self, rows: Any, into: Any) -> None:
        x = X.astype(np.float32)
        x[137, 1] = 1e25
        for name, array in into.items():
            array[:] = (x if name == "x" else Y)[rows]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch", [16, "full"])
def test_a_bad_row_of_a_source_is_named(shuffle: bool, batch: Any) -> None:
    run = fl.fit(nn.Dense(1), Source(), loss="squared_error", epochs=2, shuffle=shuffle, batch_size=batch)
    found, seen = told(run)
    assert seen["row"] == 137 and "for row 137" in found.says and seen["first value that is not finite"] == "inf"
    assert abs(float(str(seen["computed from"]))) > 1e20


def test_steps_that_explode_are_found_where_they_overflow() -> None:
    run = descent(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(1)), rate=30.0)
    found, seen = told(run)
    assert run.diverged is not None and f"step {run.diverged.step}" in found.says
    assert "learning_rate=3" in found.tries[0] and seen["first value that is not finite"] in ("inf", "-inf", "nan")


def test_logarithms_that_where_does_not_choose_are_no_accident() -> None:
    def guarded(x: Any) -> Any:
        return np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0) * 1e30

    network = nn.Sequential(nn.Dense(3), nn.ReLU(), Apply(guarded), nn.Dense(1))
    run = fl.fit(network, (X, Y), loss="squared_error", epochs=2)
    _, seen = told(run)
    assert seen["op"] != "log"


def test_a_long_replay_is_left_out_and_said() -> None:
    run = descent(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(1)), rate=30.0)
    from dataclasses import replace

    ended, event = run.ended, run.diverged
    assert ended is not None and event is not None
    late = replace(event, step=10**6)
    events = tuple(late if one is event else one for one in run.events)
    slow = replace(run, events=tuple(replace(ended, steps_per_second=100.0) if one is ended else one for one in events))
    found = fl.diagnose(slow)["diverged"]
    assert any("thorough=True" in one and "10000 s" in one for one in found.unchecked)


def test_where_rows_are_gone_the_step_is_told_all_the_same() -> None:
    from dataclasses import replace

    run = descent(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(1)), rate=30.0)
    found = fl.diagnose(replace(run, job=None))["diverged"]
    assert found.unchecked and "rows are not there" in found.unchecked[0]
