"""Ranges: the values that they allow, their messages, and the records that declare them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline import ranges
from fallline.errors import ArgumentError
from fallline.ranges import Range, option, required


@given(value=st.floats(), low=st.floats(-5, 0), high=st.floats(1, 5))
def test_bounds_are_the_comparisons_they_are_named_after(value: float, low: float, high: float) -> None:
    finite = np.isfinite(value)
    assert (Range(above=low, below=high).problem(value) is None) == (low < value < high)
    assert (Range(at_least=low, at_most=high).problem(value) is None) == (low <= value <= high)
    assert (Range().problem(value) is None) == finite


@pytest.mark.parametrize(("limits", "good", "bad"), [
    ({}, [1, 2.5, np.float32(3), np.int64(4)], [True, None, "1", [1], 1j, np.nan, np.inf, print, 10**400]),
    ({"whole": True}, [1, 2.0, np.int64(3), 10**9, -(10**12)],
     [-(10**400), 1.5, "2", np.nan, np.inf, -np.inf, 10**9 + 1, 1e300, np.int64(2**62), np.float64(2.0**53)]),
    ({"whole": True, "below": 2**63}, [2**63 - 1], [2**63, 1e300]),
    ({"optional": True, "above": 0}, [None, 1], [0, "None"]),
    ({"words": ("auto", "all")}, ["auto", 3], ["autos", None]),
    ({"words": ("auto", "all"), "number": False}, ["auto"], [3]),
    ({"function": True}, [print, 2], ["print"]),
    ({"flag": True}, [True, False, np.True_], [1, 0, None, "yes"]),
])  # fmt: skip
def test_forms(limits: dict[str, Any], good: list, bad: list) -> None:
    range_ = Range(**limits)
    assert [range_.problem(value) for value in good] == [None] * len(good)
    assert all(range_.problem(value) for value in bad)


@pytest.mark.parametrize(("limits", "text"), [
    ({}, "a number"),
    ({"above": 0, "at_most": 1}, "a number > 0 and <= 1"),
    ({"whole": True, "at_least": 1, "optional": True}, "a whole number >= 1, or None"),
    ({"words": ("a", "b"), "number": False}, "'a' | 'b'"),
    ({"words": ("auto",), "whole": True}, "a whole number, or 'auto'"),
    ({"function": True, "above": 0}, "a number > 0, or a function of the step"),
    ({"flag": True}, "True or False"),
])  # fmt: skip
def test_a_range_in_words(limits: dict[str, Any], text: str) -> None:
    assert str(Range(**limits)) == text


@dataclass(frozen=True)
class Record:
    size: int = required("how many", whole=True, at_least=1)
    share: float = option(0.5, "how much", at_least=0, below=1)
    mode: str = option("slow", "which way", number=False, words=("slow", "fast"))
    note: str = "free"

    def __post_init__(self) -> None:
        ranges.check(self)


def test_a_record_is_checked_when_it_is_made_and_reports_all_that_is_wrong() -> None:
    assert Record(2).share == 0.5
    with pytest.raises(ArgumentError) as caught:
        Record(0, 1.0, "fats")
    assert str(caught.value) == (
        "Record: size has to be a whole number >= 1, got 0\n"
        "  and share has to be a number >= 0 and < 1, got 1.0\n"
        "  and mode has to be 'slow' | 'fast', got 'fats'; did you mean 'fast'?"
    )
    with pytest.raises(TypeError, match="size"):
        Record()


def test_options_lists_what_declares_a_range() -> None:
    assert [(name, range_.doc) for name, _, range_ in ranges.options(Record)] == [
        ("size", "how many"), ("share", "how much"), ("mode", "which way")]  # fmt: skip


def test_short_leaves_out_what_is_as_usual() -> None:
    assert ranges.short(Record(3)) == "Record(3)"
    assert ranges.short(Record(3, mode="fast")) == "Record(3, mode='fast')"


def test_a_record_with_an_array_is_reported_too() -> None:
    @dataclass
    class Fixed:
        weight: Any = None
        scale: float = 1.0

    assert ranges.short(Fixed(np.eye(1))) == "Fixed(weight=array([[1.]]))"
    assert ranges.short(Fixed(np.ones(2), 2.0)) == "Fixed(weight=array([1., 1.]), scale=2.0)"
