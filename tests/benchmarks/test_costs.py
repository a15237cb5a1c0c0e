"""The measurements without peers: answers come from fresh processes, floors are judged rightly."""

from __future__ import annotations

import sys

import pytest

from benchmarks.measurement import missed, verdict
from benchmarks.probes import gradient, prediction, resident
from benchmarks.processes import apart


def test_more_than_the_ceiling_is_short_and_reported() -> None:
    assert verdict(3.2, 3.2) == "met" and missed("gradient", 3.2, 3.2) == []
    assert verdict(3.21, 3.2) == "SHORT"
    assert missed("gradient", 3.21, 3.2) == ["gradient: 3.21, floor 3.20"]


def test_the_gradient_probe_counts_its_parameters() -> None:
    # Three layers of 4 by 4 weights and 4 biases: 3 * (16 + 4) = 60.
    found = gradient(4, rounds=1)
    assert found["parameters"] == 60 and found["value"] > 0 and found["both"] > 0


def test_the_prediction_probe_counts_its_products() -> None:
    found = prediction((4, 5, 3), 50, rounds=1)
    assert found["flops"] == 2 * 50 * (4 * 5 + 5 * 3)
    assert found["one"] > 0 and found["many"] > 0 and found["share"] == found["products"] / found["many"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_of_memory_holds_what_was_touched() -> None:
    before = resident("VmHWM")
    touched = bytearray(b"x") * (before + 32 * 2**20)
    assert resident("VmHWM") >= len(touched)


def test_a_function_answers_from_its_own_process() -> None:
    found, seconds = apart(resident, "VmRSS")
    assert isinstance(found, int) and seconds > 0


def test_the_end_of_a_process_comes_back_with_what_it_said() -> None:
    with pytest.raises(RuntimeError, match="resident: StopIteration"):
        apart(resident, "no such field")
