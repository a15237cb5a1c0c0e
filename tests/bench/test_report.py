"""The report's texts: units, aligned tables, the verdicts, the page."""

from __future__ import annotations

import pytest

from fallline.bench import report
from fallline.bench.cases import CASES
from fallline.bench.race import Outcome, Timing


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.50 s"),
        (12.34, "12.3 s"),
        (0.00271, "2.71 ms"),
        (158.6e-6, "159 us"),
        (1.04e-6, "1.04 us"),
        (5e-7, "0.50 us"),
    ],
)
def test_a_time_has_three_digits_in_its_unit(value: float, text: str) -> None:
    assert report.seconds(value) == text


def test_a_table_lines_up() -> None:
    assert report.table(("", "step"), [("PyTorch", "9 us"), ("us", "12 us")]).splitlines() == [
        "|         |  step |",
        "| ------- | ----: |",
        "| PyTorch |  9 us |",
        "| us      | 12 us |",
    ]


def test_a_race_shows_the_fastest_first_with_ratio_and_verdict() -> None:
    timings = {"PyTorch": Timing(5, [70.0], [70.0]), "Fallline": Timing(10, [10.0], [9.5])}
    text = report.race_table(Outcome(CASES[1], timings, {"JAX scan": "not installed"}))
    ours, theirs = text.splitlines()[2:4]
    assert ours.startswith("| Fallline") and theirs.startswith("| PyTorch")
    assert "14.00" in theirs and "SHORT" in theirs and "SHORT" not in ours
    assert "Left out: JAX scan: not installed." in text and "busy" not in text


def test_times_taken_on_a_shared_processor_are_marked() -> None:
    text = report.race_table(Outcome(CASES[1], {"PyTorch": Timing(5, [70.0], [35.0])}))
    assert "0.50" in text and "The machine was busy" in text


def test_the_page_says_where_it_was_made_and_what_falls_short() -> None:
    page = report.page([], [("Memory", "text")], ["too slow"])
    assert report.machine() in page and "## Memory\n\ntext" in page and "- too slow" in page
    assert "Nothing." in report.page([], [], [])
