"""Sets of the quality benchmark: rows of a validation part are no test rows, and texts and gaps stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import raw_tables
from benchmarks.quality.raw_tables import RawTable

GIVEN = RawTable(
    "a", {"x": np.arange(20.0)}, np.arange(20) % 2, "classification", ((np.arange(16), np.arange(16, 20)),)
)


@pytest.mark.parametrize("table", [GIVEN, RawTable("b", {"x": np.arange(20.0)}, np.arange(20.0), "regression")])
@pytest.mark.parametrize("number", [0, 3])
def test_validation_rows_are_training_rows_of_the_same_split(table: RawTable, number: int) -> None:
    train, test = table.split(number, "test")
    inner, held = table.split(number, "validation")
    assert sorted([*train, *test]) == [*range(20)] and sorted([*inner, *held]) == sorted(train)
    assert not {*held} & {*test} and len(held) and all(map(np.array_equal, table.split(number, "test"), (train, test)))


def test_a_file_of_texts_and_gaps_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tabular").mkdir()
    lines = ["species,island,mass", "Adelie,Biscoe,3500.5", "Gentoo,,", "Adelie,Dream,4000"]
    (tmp_path / "tabular" / "penguins.csv").write_text("\n".join(lines) + "\n")
    table = raw_tables.load("penguins", tmp_path)
    assert table.y.tolist() == ["Adelie", "Gentoo", "Adelie"] and [*table.columns] == ["island", "mass"]
    assert table.columns["island"].tolist() == ["Biscoe", None, "Dream"]
    np.testing.assert_array_equal(table.columns["mass"], [3500.5, np.nan, 4000])


def test_sets_without_their_files_are_left_out_and_scikit_learns_are_always_there(tmp_path: Path) -> None:
    there = raw_tables.present(tmp_path)
    assert there == ["diabetes", "iris", "wine", "breast_cancer", "digits"]
    for name in there:
        table = raw_tables.load(name, tmp_path)
        assert {len(values) for values in table.columns.values()} == {len(table.y)}
