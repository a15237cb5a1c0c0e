"""Formats, folders and patterns: the same rows whatever they are kept in, and places that name the file."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from fallline.data import json_lines
from fallline.data.files import open_file, read_table
from fallline.data.reading import Reading
from fallline.errors import ArgumentError, DataError, MissingFileError
from fallline.table import Table, Texts

DAY = datetime.date(2020, 1, 5)
COLUMNS: dict[str, list[Any]] = {
    "whole": [1, 2, 3], "real": [1.5, None, -2.0], "text": ["02134", None, "x"], "flag": [True, False, True],
    "day": [DAY, DAY, None], "gap": [1, None, 3],
}  # fmt: skip


def cells(table: Table) -> dict[str, list[Any]]:
    found = {}
    for name, values in table.columns.items():
        each = values.strings().tolist() if isinstance(values, Texts) else values.tolist()
        found[name] = [None if cell != cell else cell for cell in each]
    return found


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow", "stream"])
def test_typed_files_give_their_rows(tmp_path: Path, kind: str) -> None:
    table = pa.table(COLUMNS)
    path = tmp_path / f"data.{kind}"
    if kind == "parquet":
        pa.parquet.write_table(table, path, row_group_size=2)
    elif kind == "feather":
        pa.feather.write_feather(table, path, compression="zstd")
    else:
        new = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
        with new(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    found = read_table(path)
    midnight = datetime.datetime(2020, 1, 5)
    assert cells(found) == {**COLUMNS, "day": [midnight, midnight, None]}
    assert found["whole"].dtype == np.int64 and found["day"].dtype == "datetime64[us]"  # type: ignore[union-attr]
    assert found.place(1) == f"row 1 of {path}"
    written = read_table(path, Reading(texts=frozenset({"whole"}), drop=frozenset({"day", "flag"})))
    assert written.names == ("whole", "real", "text", "gap")
    assert cells(written)["whole"] == ["1", "2", "3"]


def test_types_of_arrow_become_numbers_texts_or_moments(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    table = pa.table({
        "category": pa.array(["a", "b", "a"]).dictionary_encode(),
        "decimal": pa.array([1, 2, None], pa.decimal128(9, 2)), "large": pa.array(["a", None, "b"], pa.large_string()),
        "time": pa.array([1, 2, None], pa.time64("us")),
        "zone": pa.array([0, 1, 2], pa.timestamp("s", "Europe/Paris")), "id": pa.array([2**60 + 1, None, 2**60 + 2]),
        "none": pa.nulls(3), "half": pa.array([1, 2, 3], pa.float32()), "bytes": pa.array([b"x", b"y", None]),
    })  # fmt: skip
    pa.parquet.write_table(table, path)
    found = cells(read_table(path))
    assert (
        found["category"] == ["a", "b", "a"] and found["decimal"] == [1, 2, None] and found["large"] == ["a", None, "b"]
    )
    assert found["time"] == [1e-6, 2e-6, None] and found["zone"][1] == datetime.datetime(1970, 1, 1, 0, 0, 1)
    assert found["id"] == [str(2**60 + 1), None, str(2**60 + 2)] and found["none"] == [None] * 3
    assert found["half"] == [1, 2, 3] and found["bytes"] == ["x", "y", None]


def test_columns_of_lists_name_themselves_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pa.parquet.write_table(pa.table({"a": [1], "tags": [["x"]], "at": [{"x": 1}]}), path)
    with pytest.raises(DataError) as caught:
        open_file(path)
    assert "column 'tags' holds list" in str(caught.value) and "column 'at' holds struct" in str(caught.value)
    assert read_table(path, Reading(drop=frozenset({"tags", "at"}))).names == ("a",)
    blank = frozenset({"tags", "at"})
    assert cells(read_table(path, Reading(blank=blank))) == {"a": [1], "tags": [None], "at": [None]}
    path = tmp_path / "data.jsonl"
    path.write_text('{"a": 1, "tags": ["x"], "at": {"x": 1}}', encoding="utf-8")
    assert cells(read_table(path, Reading(blank=blank))) == {"a": [1], "tags": [None], "at": [None]}
    path.write_text("a,tags,at\n1,x,1e400\n", encoding="utf-8")
    assert cells(read_table(path, Reading(blank=blank))) == {"a": [1], "tags": [None], "at": [None]}


def test_a_damaged_file_of_types_is_an_error(tmp_path: Path) -> None:
    for name, data in (("a.parquet", b"PAR1" + bytes(50)), ("a.arrow", b"ARROW1\0\0" + bytes(50))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            read_table(tmp_path / name)


def test_rows_of_json_come_as_those_of_text(tmp_path: Path) -> None:
    rows = [
        '{"a": 1, "t": "02134", "d": "2020-01-05", "f": true, "id": 12345678901234567890}',
        '{"a": null, "t": null, "d": "2020-01-06", "f": false, "id": 1}', '', '{"a": 2.5, "d": null, "f": true}',
    ]  # fmt: skip
    expected = {"a": [1, None, 2.5], "t": ["02134", None, None], "d": ["2020-01-05", "2020-01-06", None],
                "f": [True, False, True], "id": ["12345678901234567890", "1", None]}  # fmt: skip
    for text in ("\n".join(rows), "[" + ",".join(filter(None, rows)) + "]"):
        (tmp_path / "data.json").write_text(text, encoding="utf-8")
        table = read_table(tmp_path / "data.json")
        assert cells(table) == expected
    (tmp_path / "data.jsonl").write_text("\n".join(rows), encoding="utf-8")
    assert [read_table(tmp_path / "data.jsonl").place(row)[-6:] for row in range(3)] == ["line 1", "line 2", "line 4"]


def test_a_name_that_comes_late_in_json_is_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "PIECE", 64)
    lines = [json.dumps({"a": i}) for i in range(50)] + ['{"a": 50, "b": "x"}', "{}", '{"c": 2, "b": "y"}']
    expected = {"a": [*range(51), None, None], "b": [None] * 50 + ["x", None, "y"], "c": [None] * 52 + [2]}
    (tmp_path / "0.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert cells(read_table(tmp_path / "0.jsonl")) == expected
    assert open_file(tmp_path / "0.jsonl", Reading(expects=("c",))).names == ("a", "b", "c")
    (tmp_path / "1.jsonl").write_text("\n".join(lines[:51]), encoding="utf-8")
    with pytest.raises(DataError, match=r"1\.jsonl has other columns than .*: without 'c'"):
        read_table(tmp_path)
    (tmp_path / "1.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert cells(read_table(tmp_path)) == {name: 2 * column for name, column in expected.items()}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (['{"a": 1}', "{a}"], "line 2: no object of JSON"),
        (['{"a": 1}', "[1]"], "line 2: list where an object"),
        (['{"a": 1}', '{"a": [1, 2]}'], "line 2, column 'a': a list"),
        (['{"a": {"b": 1}}'], "line 1, column 'a': an object"),
        (['{"a": {"b": 1}, "c": 1, "d": [2]}'], r"(?s)column 'a'.*column 'd'.*--drop a,d\)"),
        (['{"a": 1}', '{"a": 1e400}'], "line 2, column 'a': '1e400' is beyond the largest number"),
        (["{}"], "has no objects with names"),
    ],
)
def test_json_that_is_no_table_names_the_line(tmp_path: Path, lines: list[str], told: str) -> None:
    (tmp_path / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match=told):
        read_table(tmp_path / "data.jsonl")


def test_numbers_and_texts_in_one_column_of_json_are_texts_as_they_are_written(tmp_path: Path) -> None:
    lines = [json.dumps({"a": value}) for value in (1, "x", 2.50, True)]
    (tmp_path / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert cells(read_table(tmp_path / "data.jsonl")) == {"a": ["1", "x", "2.5", "true"]}


def test_the_files_of_a_folder_are_one_table_and_places_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "part-1.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    (tmp_path / "part-2.csv").write_text("b;a\nz;3.5\n", encoding="utf-8")
    (tmp_path / "_SUCCESS").write_text("", encoding="utf-8")
    (tmp_path / ".part-3.csv").write_text("c\n1\n", encoding="utf-8")
    for path in (tmp_path, tmp_path / "*.csv", tmp_path / "part-?.csv"):
        table = read_table(path)
        assert cells(table) == {"a": [1, 2, 3.5], "b": ["x", "y", "z"]}
        assert table.place(1) == f"{tmp_path / 'part-1.csv'}, line 3"
        assert table.take([2]).place(0) == f"{tmp_path / 'part-2.csv'}, line 2"


def test_folders_called_name_and_value_are_columns(tmp_path: Path) -> None:
    for year, place in ((2019, "north"), (2020, "south")):
        folder = tmp_path / f"year={year}" / f"place={place}"
        folder.mkdir(parents=True)
        pa.parquet.write_table(pa.table({"a": [year % 100]}), folder / "0.parquet")
    assert cells(read_table(tmp_path)) == {"a": [19, 20], "year": [2019, 2020], "place": ["north", "south"]}
    assert read_table(tmp_path, Reading(drop=frozenset({"year"}))).names == ("a", "place")


def test_files_that_do_not_belong_together_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("a,c\n1,x\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"2\.csv has other columns than .*1\.csv: without 'b'; with 'c'"):
        read_table(tmp_path)
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(DataError, match=r"several kinds: 2 of \.csv, 1 of \.txt"):
        read_table(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="a folder without files of data"):
        read_table(tmp_path / "empty")
    with pytest.raises(MissingFileError, match="no file matches"):
        read_table(tmp_path / "*.parquet")


def test_files_without_a_header_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("1.5,2\n3,4\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("x,2\n3,4\n", encoding="utf-8")
    assert cells(read_table(tmp_path)) == {"column_1": ["1.5", "3", "x", "3"], "column_2": [2, 4, 2, 4]}


def test_one_row_that_does_not_fit_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("a,b\n1,2\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"2\.csv, line 3: 1 field"):
        read_table(tmp_path)


def test_options_that_cannot_be_are_all_told_at_once() -> None:
    with pytest.raises(ArgumentError) as caught:
        Reading(delimiter="\n", quote="''", encoding="utf-9", skip=-1, names=("a", "a"))
    for part in ("delimiter", "quote", "unknown encoding", "skip", "'a' more than once"):
        assert part in str(caught.value)
