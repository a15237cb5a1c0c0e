"""Reading a CSV file: laws against the csv module and Python's float, and a table of files that cannot be read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.data.csv_table import is_number, numbers, one_by_one, problem_of, read_table
from fallline.data.records import Block, Reader, find_delimiter, open_records
from fallline.errors import DataError, FalllineError

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
# Any character a UTF-8 file can hold but the null character.
ANY = st.characters(codec="utf-8", exclude_characters="\0")
WORDS = st.text(ANY, max_size=8)
PLAIN_NAMES = st.text("abcdefghij_ é", min_size=1, max_size=6).map(str.strip).filter(bool)


def written(header: list[str], rows: list[list[str]], **options: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, **options)  # type: ignore[arg-type]
    writer.writerows([header, *rows])
    return text.getvalue()


def put(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[float]]]:
    names = draw(st.lists(PLAIN_NAMES, min_size=2, max_size=5, unique=True))
    row = st.lists(FINITE, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, min_size=1, max_size=8))


@given(
    tables(),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
    st.booleans(),
)
def test_numbers_written_come_back_to_the_last_bit(
    folder: Path,
    table: tuple[list[str], list[list[float]]],
    delimiter: str,
    end: str,
    quoting: int,
    bom: bool,
    trail: bool,
) -> None:
    names, rows = table
    text = written(
        [*names, ""] if trail and quoting == csv.QUOTE_MINIMAL else names,
        [[repr(v) for v in row] + ([""] if trail and quoting == csv.QUOTE_MINIMAL else []) for row in rows],
        delimiter=delimiter, lineterminator=end, quoting=quoting,  # type: ignore[arg-type]
    )  # fmt: skip
    path = put(folder, ("\ufeff" if bom else "") + text)
    found = read_table(path)
    assert found.names == tuple(names)
    assert found.labels is None
    assert np.array_equal(found.x, np.array(rows), equal_nan=False)


@given(st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_fields_are_those_of_the_csv_module_and_lines_are_those_of_the_file(
    folder: Path, rows: list[list[str]], delimiter: str
) -> None:
    text = written(["left", "middle", "right"], rows, delimiter=delimiter)
    path = put(folder, text)
    # The delimiter is found from the header at the latest: the words may hold any other.
    assert find_delimiter(text.splitlines(keepends=True)[:1]) == delimiter
    expected = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True))[1:]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    ends = [reader.line_num for _ in reader]
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = Reader(path, iter(file), delimiter)
        records.header()
        found = list(records.blocks(3))
    assert [row for block in found for row in block.rows] == expected
    assert [line for block in found for line in block.lines] == [end + 1 for end in ends[:-1]]


@given(st.text(st.sampled_from("0123456789.eE+-_ ,infaxX١²−\xa0\u3000"), max_size=8))
def test_a_field_is_a_number_exactly_where_float_says_so_but_for_what_no_file_means_by_a_number(text: str) -> None:
    try:
        value: float | None = float(text)
    except ValueError:
        value = None
    if "_" in text or not text.strip().isascii() or (value is not None and not np.isfinite(value)):
        value = None
    assert (problem_of(text) is None) == (value is not None)
    if value is not None:
        assert is_number(text)


@given(
    st.lists(
        st.sampled_from(["1", " 2.5", "-1e3", ".5", "1_0", "", "x", "\xa07", "١", "1e999", "nan", "3,5"]),
        min_size=2,
        max_size=12,
    )
)
def test_the_fast_way_through_a_block_gives_what_the_slow_way_gives(fields: list[str]) -> None:
    rows = [fields[i : i + 2] for i in range(0, len(fields) - 1, 2)]
    block = Block(rows, list(range(2, 2 + len(rows))))

    def outcome(read: object) -> object:
        try:
            return read(Path("t.csv"), block, ["a", "b"], [0, 1]).tolist()  # type: ignore[operator]
        except DataError as error:
            return str(error)

    assert outcome(numbers) == outcome(one_by_one)


def test_columns_are_found_by_name_in_the_order_asked_and_others_are_not_read(tmp_path: Path) -> None:
    path = put(tmp_path, "who,b,a,c\nAnn,1,2,\nBob,3,4,x\n")
    table = read_table(path, features=["a", "b"])
    assert table.x.tolist() == [[2, 1], [4, 3]]
    assert list(read_table(path, features=["b"], target="who").labels or ()) == ["Ann", "Bob"]


def test_blank_lines_and_quoted_newlines_keep_the_line_numbers_right(tmp_path: Path) -> None:
    path = put(tmp_path, '\n"a\nb",y\r\n\r\n1,2\n   \n"3",4\n\n5,6')
    table = read_table(path)
    assert table.names == ("a\nb", "y")
    assert list(table.lines) == [5, 7, 9]
    assert table.x.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_delimiter_at_the_end_of_rows_or_of_the_header_is_no_column(tmp_path: Path) -> None:
    for text in ("a,b\n1,2,\n3,4,\n", "a,b,\n1,2,\n3,4,\n", "a,b,\n1,2\n3,4\n"):
        table = read_table(put(tmp_path, text))
        assert table.names == ("a", "b")
        assert table.x.tolist() == [[1, 2], [3, 4]]


def test_an_empty_last_field_is_a_missing_value_and_not_a_trailing_delimiter(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3, column 'b': the value is missing"):
        read_table(put(tmp_path, "a,b\n1,2\n3,\n"))


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n3,5;4,5\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('"a;x";"b";"c"\n1;2;3\n', ";"),
        ("name, with comma;b\n1;2\n", ";"),
        ("a\n1\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_is_the_one_that_cuts_the_lines_evenly(text: str, delimiter: str) -> None:
    assert find_delimiter(text.splitlines(keepends=True)) == delimiter


def test_a_wide_table_and_a_long_one_are_read_in_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for rows, columns in ((40, 6000), (90_000, 3)):
        values = rng.integers(-999, 999, size=(rows, columns))
        header = ",".join(f"c{i}" for i in range(columns))
        path = put(tmp_path, header + "\n" + "\n".join(",".join(map(str, row)) for row in values.tolist()))
        table = read_table(path)
        assert np.array_equal(table.x, values)
        assert table.lines[-1] == rows + 1


def test_an_error_far_into_a_long_file_has_its_line(tmp_path: Path) -> None:
    lines = ["a,b", *("1,2" for _ in range(150_000)), "1,two", *("1,2" for _ in range(10))]
    with pytest.raises(DataError, match="line 150002, column 'b': 'two' is not a number"):
        read_table(put(tmp_path, "\n".join(lines)))


BAD_FILES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "empty file": ("", ("data.csv is empty", "name the columns")),
    "blank lines only": ("\n\n  \n", ("data.csv is empty",)),
    "byte order mark only": ("\ufeff", ("data.csv is empty",)),
    "header only": ("a,b,y\n", ("has a header and no rows",)),
    "no header": ("1,2,0\n3,4,1\n", ("line 1: only numbers", "names the 3 columns")),
    "no header, with a word": ("5.1,setosa\n4.9,setosa\n", ("no column 'y'", "is line 1 a header?", "'5.1'")),
    "unknown target": ("a,b,label_y\n1,2,0\n", ("no column 'y'", "columns: 'a', 'b', 'label_y'")),
    "text in a numeric column": ("a,b,y\n1,2,0\n1,Paris,1\n", ("csv, line 3, column 'b': 'Paris' is not a number",)),
    "two columns of text": (
        "a,b,y\nred,Rome,0\nblue,Paris,1\n",
        ("2 columns with fields that are not numbers", "line 2, column 'a': 'red'", "line 2, column 'b': 'Rome'"),
    ),
    "missing value": ("a,b,y\n1,2,0\n\n1,,1\n", ("line 4, column 'b': the value is missing",)),
    "question mark": ("a,b,y\n1,?,0\n", ("line 2, column 'b': the value is missing ('?')",)),
    "missing target": ("a,b,y\n1,2,0\n1,2,\n", ("line 3, column 'y': the target is missing",)),
    "infinity": ("a,y\ninf,0\n", ("line 2, column 'a': 'inf' is not finite",)),
    "overflow": ("a,y\n1e400,0\n", ("line 2, column 'a': '1e400' is beyond the largest number",)),
    "decimal comma": ("a;y\n1,5;0\n2,5;1\n", ("line 2, column 'a': '1,5' is not a number", "decimal point")),
    "underscore": ("a,y\n1_000,0\n", ("'1_000' is not a number",)),
    "other digits": ("a,y\n١٢,0\n", ("is not a number",)),
    "too many fields": ("a,y\n1,2\n1,2,3\n", ("line 3: 3 fields where the header names 2 columns", "a comma")),
    "too few fields": ("a,b,y\n1,2,3\n1\n", ("line 3: 1 field where the header names 3 columns",)),
    "duplicate columns": ("a,b,a,y\n1,2,3,0\n", ("used for more than one column: 'a'", "columns 1, 3")),
    "target twice": ("a,y,y\n1,2,3\n", ("used for more than one column: 'y'",)),
    "index column": (",a,y\n0,1,2\n", ("line 1: column 1 has no name",)),
    "target only": ("y\n1\n2\n", ("no column other than the target 'y'",)),
    "open quote": ('a,y\n1,2\n"3,4\n5,6\n', ("line 3: a quoted field is opened here and never closed",)),
    "text after a quote": ('a,y\n"1"x,2\n', ("line 2: a quoted field goes on after its closing quote",)),
    "latin-1": ("a,größe,y\n1,2,0\n".encode("latin-1"), ("line 1: byte 0xf6 is not UTF-8 text", "UTF-8")),
    "latin-1 far in": (b"a,y\n" + b"1,2\n" * 9000 + b"\xe9,2\n", ("line 9002: byte 0xe9",)),
    "utf-16": ("a,y\n1,2\n".encode("utf-16"), ("not UTF-8 text",)),
    "null characters": (b"a,y\n1\x00,2\n", ("line 2, column 'a'", "is not a number")),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ("line 1: byte 0x89 is not UTF-8 text",)),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_read_says_where_and_why(tmp_path: Path, case: str) -> None:
    text, parts = BAD_FILES[case]
    with pytest.raises(FalllineError) as caught:
        read_table(put(tmp_path, text), target="y")
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\0" not in message


def test_a_file_that_is_not_there_is_reported_with_its_nearest_neighbour(tmp_path: Path) -> None:
    put(tmp_path, "a,y\n1,2\n")
    with pytest.raises(FileNotFoundError, match=r"dta\.csv'; did you mean 'data.csv'"):
        read_table(tmp_path / "dta.csv")
    with pytest.raises(FileNotFoundError, match="no file"):
        read_table(tmp_path / "nowhere" / "data.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)


def test_columns_that_a_model_needs_and_a_file_lacks_are_all_reported(tmp_path: Path) -> None:
    path = put(tmp_path, "length,height\n1,2\n")
    with pytest.raises(FalllineError) as caught:
        read_table(path, features=["lenght", "height", "wide"])
    assert "lacks 2 columns" in str(caught.value)
    assert "no 'lenght'; did you mean 'length'?" in str(caught.value)
    assert "no 'wide'" in str(caught.value)


def test_a_header_of_numbers_is_one_where_it_holds_the_names_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path, "400,500\n1,2\n")
    assert read_table(path, features=["500"]).x.tolist() == [[2]]


def test_records_close_their_file(tmp_path: Path) -> None:
    path = put(tmp_path, "a,y\n1,2\n")
    with open_records(path) as records:
        assert records.header == ("a", "y")
    path.unlink()
