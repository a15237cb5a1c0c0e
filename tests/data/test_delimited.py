"""Delimited text: laws against the csv module over random tables, pieces of any size, lines, and options of reading."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.data import delimited
from fallline.data.cutting import end_of_records, lines_of_records, quotes_of
from fallline.data.dialect import find_delimiter
from fallline.data.files import open_file, read_table
from fallline.data.reading import Reading
from fallline.errors import DataError
from fallline.table import Texts

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
# Any character a UTF-8 file can hold but the null character.
ANY = st.characters(codec="utf-8", exclude_characters="\0")
WORDS = st.text(ANY, max_size=8)
NASTY = st.text(st.sampled_from('a1,;\t"\n\r '), max_size=6)
PLAIN_NAMES = st.text("abcdefghij_ é", min_size=1, max_size=6).map(str.strip).filter(bool)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def written(rows: list[list[str]], **options: Any) -> str:
    text = io.StringIO()
    csv.writer(text, **options).writerows(rows)
    return text.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


def put(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[float]]]:
    names = draw(st.lists(PLAIN_NAMES, min_size=2, max_size=5, unique=True))
    row = st.lists(FINITE, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, min_size=1, max_size=8))


@settings(max_examples=50)
@given(
    tables(), st.sampled_from(",;\t|"), ENDS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_numbers_written_come_back_to_the_last_bit(
    folder: Path, table: tuple[list[str], list[list[float]]], delimiter: str, end: str, quoting: int, bom: bool,
    trail: bool,
) -> None:  # fmt: skip
    names, rows = table
    more = [""] if trail and quoting == csv.QUOTE_MINIMAL else []
    text = written(
        [names + more, *([repr(v) for v in row] + more for row in rows)],
        delimiter=delimiter, lineterminator=end, quoting=quoting,
    )  # fmt: skip
    found = read_table(put(folder, ("\ufeff" if bom else "") + text), Reading(header=True))
    assert found.names == tuple(names)
    assert np.array_equal(np.column_stack([*found.columns.values()]), np.array(rows))


@settings(max_examples=80)
@given(
    st.lists(st.lists(st.one_of(WORDS, NASTY), min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from(",;\t|"), ENDS, st.sampled_from([20, 64, 2**22]),
)  # fmt: skip
def test_fields_are_those_of_the_csv_module_and_lines_are_those_of_the_file(
    folder: Path, rows: list[list[str]], delimiter: str, end: str, piece: int
) -> None:
    # The csv module leaves a lone CR without quotes.
    quoting = csv.QUOTE_ALL if any("\r" in field for row in rows for field in row) else csv.QUOTE_MINIMAL
    text = written([["left", "middle", "right"], *rows], delimiter=delimiter, lineterminator=end, quoting=quoting)
    reading = Reading(header=True, delimiter=delimiter, texts=frozenset({"left", "middle", "right"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "PIECE", piece)
        table = read_table(put(folder, text), reading)
    # A file whose lines all end with CR has no other line ends.
    carriage = "\n" not in text
    reader = csv.reader(io.StringIO(text.replace("\r", "\n") if carriage else text, newline=""), delimiter=delimiter)
    expected, lines, line = [], [], 1
    for record in reader:
        expected.append([field.strip() or None for field in record])
        lines.append(line)
        line = reader.line_num + 1
    columns = [values.strings().tolist() for values in table.columns.values() if isinstance(values, Texts)]
    assert [list(row) for row in zip(*columns)] == expected[1:]
    assert table.lines is not None and table.lines.tolist() == lines[1:]


@given(st.lists(st.lists(NASTY, min_size=2, max_size=2), min_size=1, max_size=6), st.integers(1, 60))
def test_bytes_are_cut_where_a_record_ends(rows: list[list[str]], size: int) -> None:
    whole = written(rows, lineterminator="\n")
    ends = {len(written(rows[: i + 1], lineterminator="\n").encode()) for i in range(len(rows))}
    chunk = whole.encode()[:size]
    quotes = quotes_of(chunk, ",", '"', False)
    # A quote at the very end may be one of two that stand for one: then the piece is not judged.
    if quotes is not None:
        end = end_of_records(chunk, quotes, False)
        assert end == max([0, *(end for end in ends if end <= size)]) or chunk.endswith(b'"')


def test_lines_of_records_are_those_at_which_they_begin() -> None:
    chunk = b'\na,b\n"x\n\ny",2\r\n\r\n1,2\r3,4\n'
    quotes = quotes_of(chunk, ",", '"', True)
    assert quotes is not None
    assert lines_of_records(chunk, quotes).tolist() == [1, 2, 6, 7]


def test_lines_of_rows_count_blank_lines_comments_and_quoted_newlines(tmp_path: Path) -> None:
    table = read_table(put(tmp_path, '# c\n\n"a\nb",y\r\n\r\n1,2\n   \n"3",4\n# d\n\n5,6'))
    assert table.names == ("a\nb", "y")
    assert table.lines is not None and table.lines.tolist() == [6, 8, 11]
    assert [table.place(i).rpartition(", ")[2] for i in range(3)] == ["line 6", "line 8", "line 11"]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","), ("a;b\n1,5;2,5\n3,5;4,5\n", ";"), ("a\tb\n1\t2\n", "\t"), ("a|b\n1|2\n", "|"),
        ('"a;x";"b";"c"\n1;2;3\n', ";"), ("name, with comma;b\n1;2\n", ";"), ("a\n1\n", ","), ("", ","),
        ("1 2\n3 4\n", " "), ("some words\nmore words\n", ","),
    ],
)  # fmt: skip
def test_the_delimiter_is_the_one_that_cuts_the_lines_evenly(text: str, delimiter: str) -> None:
    assert find_delimiter(text.splitlines(keepends=True)) == delimiter


def columns_of(path: Path, **options: Any) -> dict[str, list[Any]]:
    table = read_table(path, Reading(**options))
    return {n: v.strings().tolist() if isinstance(v, Texts) else v.tolist() for n, v in table.columns.items()}


def test_what_is_stated_wins_over_what_is_recognised(tmp_path: Path) -> None:
    path = put(tmp_path, "400,500\n1,2\n")
    assert columns_of(path, header=True) == {"400": [1], "500": [2]}
    assert columns_of(path, header=False) == {"column_1": [400, 1], "column_2": [500, 2]}
    assert columns_of(path, expects=("500",)) == {"400": [1], "500": [2]}
    assert columns_of(path, names=("a", "b"), header=False) == {"a": [400, 1], "b": [500, 2]}
    assert columns_of(path, names=("a", "b"), header=True) == {"a": [1], "b": [2]}
    assert columns_of(path, header=True, drop=frozenset({"400"})) == {"500": [2]}
    assert columns_of(path, header=True, texts=frozenset({"400"})) == {"400": ["1"], "500": [2]}
    assert columns_of(put(tmp_path, "x y\n\na::b\n1::2\n"), skip=2, delimiter="::") == {"a": [1], "b": [2]}
    assert columns_of(put(tmp_path, "a,b\n% x\n1,2\n"), comment="%") == {"a": [1], "b": [2]}
    assert columns_of(put(tmp_path, "a,b\n'1,5',2\n"), quote="'") == {"a": ["1,5"], "b": [2]}
    assert columns_of(put(tmp_path, 'a,b\n"1,2\n'), quote="") == {"a": ['"1'], "b": [2]}
    assert columns_of(put(tmp_path, "a,b\nя,2\n".encode("cp1251")), encoding="cp1251") == {"a": ["я"], "b": [2]}
    with pytest.raises(DataError, match="2 columns, and names= gives 3"):
        columns_of(path, names=("a", "b", "c"), header=False)


def test_choices_that_a_person_may_want_to_know_of_are_noted(tmp_path: Path) -> None:
    def notes(text: str | bytes) -> str:
        file = open_file(put(tmp_path, text))
        assert sum(piece.rows for piece in file.pieces()) > 0
        return "; ".join(file.notes)

    assert notes("a,b\n1,2\n") == ""
    assert "line 1 is taken for a row" in notes("1.5,2\n3.5,4\n")
    assert "1 column has the name of another one: called 'a_2'" in notes("a,a\n1,2\n")
    assert "1 column has no name: called 'column_1'" in notes(",b\n1,2\n")
    assert "left out" in notes("# x\na,b\n1,2\n")
    assert "names of the rows" in notes("a b\nx 1 2\ny 3 4\n")
    assert "line 2 has 'café'" in notes("a,b\ncafé,2\n".encode("cp1252"))
    assert "line 90002 has 'café'" in notes(("a,b\n" + "1,2\n" * 90_000 + "café,2\n").encode("cp1252"))


def test_a_text_far_into_a_column_of_numbers_brings_back_how_they_are_written(tmp_path: Path) -> None:
    path = put(tmp_path, "a,b\n" + "1.50,2\n" * 700_000 + "x,2\n")
    assert path.stat().st_size > delimited.PIECE
    values = read_table(path)["a"]
    assert isinstance(values, Texts) and values.levels == ("1.50", "x")


def test_a_line_without_an_end_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "LONGEST_LINE", 1000)
    monkeypatch.setattr(delimited, "PIECE", 500)
    with pytest.raises(DataError, match=r"data\.csv, line 3: longer than 1,000 characters"):
        read_table(put(tmp_path, b"a,b\n1,2\n" + b"x" * 5000 + b"\n3,4\n"))
