"""Columns above the limit go to temporary files: the same table, and no file is left, also after errors."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fallline.data import delimited, spool
from fallline.data.files import read_table
from fallline.errors import DataError
from fallline.table import Texts

LINES = [f"{i},{i / 7!r},w{i % 11},{'' if i % 5 else i},{i if i < 900 else 'late'}" for i in range(1000)]
TEXT = "whole,real,word,gap,late\n" + "\n".join(LINES) + "\n"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pieces of 2,000 bytes, columns in files above 1,000, temporary files in a folder of their own."""
    monkeypatch.setattr(delimited, "PIECE", 2000)
    monkeypatch.setattr(spool, "SPOOLED_ABOVE", 1000)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


def test_a_spooled_table_is_the_one_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(TEXT, encoding="utf-8")
    spooled = read_table(path)
    monkeypatch.setattr(spool, "SPOOLED_ABOVE", 10**9)
    monkeypatch.setattr(delimited, "PIECE", 10**6)
    plain = read_table(path)
    assert isinstance(spooled["real"], np.memmap) and not isinstance(plain["real"], np.memmap)
    for name in plain.names:
        a, b = plain[name], spooled[name]
        if isinstance(a, Texts):
            assert isinstance(b, Texts) and a.levels == b.levels and np.array_equal(a.codes, b.codes)
        else:
            assert isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    assert spooled.place(998) == plain.place(998)
    assert spooled.take([999, 3])["word"].strings().tolist() == ["w9", "w3"]  # type: ignore[union-attr]
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.filterwarnings("error")
def test_nothing_is_left_after_an_error(tmp_path: Path, small: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(TEXT + "1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1002: 2 fields"):
        read_table(path)
    gc.collect()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_more_distinct_texts_than_fit_are_an_error_that_names_the_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_TEXT", 2000)
    path = tmp_path / "data.csv"
    path.write_text("a,b\n" + "".join(f"text {i},1\n" for i in range(1000)), encoding="utf-8")
    with pytest.raises(DataError, match="column 'a' has more than 1,000 distinct texts"):
        read_table(path)


def test_whole_numbers_before_a_fraction_are_converted_in_the_file(tmp_path: Path, small: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a\n" + "1\n" * 3000 + "1.5\n" * 10, encoding="utf-8")
    assert np.array_equal(read_table(path)["a"], [1] * 3000 + [1.5] * 10)
