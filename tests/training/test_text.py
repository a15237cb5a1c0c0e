"""Bytes and seconds read in the unit that suits them, and columns are aligned."""

from __future__ import annotations

import pytest

from fallline.training.units import columns, in_bytes, in_seconds


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (3 << 20, "3.0 MiB"), (5 << 40, "5,120.0 GiB")]
)
def test_bytes_in_the_unit_that_suits_them(n: int, text: str) -> None:
    assert in_bytes(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ns"), (2.5e-9, "2.5 ns"), (999.6e-9, "1 us"), (12.34e-6, "12.3 us"), (0.1234, "123 ms"), (4321, "4,321 s")],
)
def test_seconds_in_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert in_seconds(seconds) == text


def test_the_first_column_is_to_the_left_and_the_others_to_the_right() -> None:
    assert columns([("name", "n"), ("x", "100"), ("longer", "")]) == ["  name      n", "  x       100", "  longer"]
