"""Numbers and tables as they are written."""

from __future__ import annotations

import pytest

from fallline.bench import markdown


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.5, "1.50 s"),
        (12.34, "12.3 s"),
        (0.00271, "2.71 ms"),
        (158.6e-6, "159 us"),
        (1.04e-6, "1.04 us"),
        (5e-7, "0.50 us"),
    ],
)
def test_a_time_has_three_digits_in_its_unit(value: float, written: str) -> None:
    assert markdown.seconds(value) == written


@pytest.mark.parametrize(("value", "written"), [(1.053, "1.05x"), (21.57, "21.6x"), (134.2, "134x")])
def test_a_ratio_has_three_digits(value: float, written: str) -> None:
    assert markdown.times(value) == written


def test_a_table_lines_up() -> None:
    assert markdown.table(("", "step"), [("PyTorch", "9 us"), ("us", "12 us")]).splitlines() == [
        "|         |  step |",
        "| ------- | ----: |",
        "| PyTorch |  9 us |",
        "| us      | 12 us |",
    ]


def test_words_are_listed() -> None:
    assert [markdown.listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
