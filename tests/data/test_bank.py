"""Files as people have them: each gives its rows, all of them and nothing else, or an error that says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fallline.data.files import read_table
from fallline.errors import DataError
from fallline.table import Table, Texts

NUMBERS = {"a": [1, 3], "b": [2, 4]}

# What the file holds, and its columns: numbers, or texts.
FILES: dict[str, tuple[str | bytes, dict[str, list[Any]]]] = {
    "comma": ("a,b\n1,2\n3,4\n", NUMBERS),
    "semicolon": ("a;b\n1;2\n3;4\n", NUMBERS),
    "tab": ("a\tb\n1\t2\n3\t4\n", NUMBERS),
    "bar": ("a|b\n1|2\n3|4\n", NUMBERS),
    "white space": ("  a   b\n  1   2\n  3   4\n", NUMBERS),
    "white space and tabs, quoted": ('1  2\t"ford pinto"\n3  4\t"fiat"\n3  4\t"fiat"\n',
                                     {"column_1": [1, 3, 3], "column_2": [2, 4, 4],
                                      "column_3": ["ford pinto", "fiat", "fiat"]}),
    "decimal comma stays as it is written": ("a;b\n1,5;2\n3,5;4\n", {"a": ["1,5", "3,5"], "b": [2, 4]}),
    "quoted newline": ('a,b\n"x\ny",2\nz,4\n', {"a": ["x\ny", "z"], "b": [2, 4]}),
    "doubled quotes": ('a,b\n"x ""y"" z",2\nw,4\n', {"a": ['x "y" z', "w"], "b": [2, 4]}),
    "quoted delimiter": ('a,b\n"x,y",2\nz,4\n', {"a": ["x,y", "z"], "b": [2, 4]}),
    "blank after delimiter, then a quote": ('a, b\n1, "x, y"\n3, "z"\n', {"a": [1, 3], "b": ["x, y", "z"]}),
    "stray quote in a field": ('a,b\n5" pipe,2\n6" pipe,4\n', {"a": ['5" pipe', '6" pipe'], "b": [2, 4]}),
    "headerless numbers": ("1,2\n3,4\n", {"column_1": [1, 3], "column_2": [2, 4]}),
    "headerless, with a text": ("5.1,setosa\n4.9,setosa\n7.0,virginica\n6.5,virginica\n", {
        "column_1": [5.1, 4.9, 7, 6.5], "column_2": ["setosa", "setosa", "virginica", "virginica"]}),
    "headerless texts": ("x,s\nx,y\ny,s\nb,s\nx,y\n", {
        "column_1": ["x", "x", "y", "b", "x"], "column_2": ["s", "y", "s", "s", "y"]}),
    "header of texts": ("tint,size\nred,big\nblue,big\nred,big\nblue,big\n", {
        "tint": ["red", "blue", "red", "blue"], "size": ["big"] * 4}),
    "years as names":
        ("country,2019,2020\nFR,1,2\nDE,3,4\n", {"country": ["FR", "DE"], "2019": [1, 3], "2020": [2, 4]}),
    "a year as a name": ("state,2021\nAL,-3.5\nAK,2.25\nAZ,1.5\nAR,-9.0\n", {
        "state": ["AL", "AK", "AZ", "AR"], "2021": [-3.5, 2.25, 1.5, -9]}),
    "numbers as names of texts": ("0,1,2\nP53,M,A\nP21,E,L\nP10,M,L\n", {
        "0": ["P53", "P21", "P10"], "1": ["M", "E", "M"], "2": ["A", "L", "L"]}),
    "single quotes": ("a,b\n'x y',2\n?,4\n'z',6\n", {"a": ["x y", "?", "z"], "b": [2, 4, 6]}),
    "apostrophes": ("a,b\n'tis,2\n'x',4\n'y',6\n", {"a": ["'tis", "'x'", "'y'"], "b": [2, 4, 6]}),
    "byte order mark": ("\ufeffa,b\n1,2\n3,4\n", NUMBERS),
    "utf-16": ("a,b\n1,2\n3,4\n".encode("utf-16"), NUMBERS),
    "utf-16 without a mark": ("a,b\n1,2\n3,4\n".encode("utf-16-le"), NUMBERS),
    "cp1252": ("a,größe\ncafé,2\nthé,4\n".encode("cp1252"), {"a": ["café", "thé"], "größe": [2, 4]}),
    "duplicate names": ("a,a\n1,2\n3,4\n", {"a": [1, 3], "a_2": [2, 4]}),
    "a duplicate whose new name is taken": ("a,a_2,a\n1,2,3\n", {"a": [1], "a_2": [2], "a_3": [3]}),
    "an empty name": (",b\n1,2\n3,4\n", {"column_1": [1, 3], "b": [2, 4]}),
    "names of rows": ('"a" "b"\n"1" 1 2\n"2" 3 4\n', {"column_1": [1, 2], **NUMBERS}),
    "blank lines": ("\na,b\n\n1,2\n\n3,4\n\n", NUMBERS),
    "lines of blanks": ("a,b\n1,2\n   \n3,4\n", NUMBERS),
    "comments": ("# made by x\n# on a day\na,b\n1,2\n# between\n3,4\n", NUMBERS),
    "comments below the header": ("a,b\n# made by x\n1,2\n# between\n3,4\n", NUMBERS),
    "a level that begins with #": ("a,b\n#1,2\n#3,4\n", {"a": ["#1", "#3"], "b": [2, 4]}),
    "backslashes before quotes": ('a,b\n"x \\"y\\", z",2\n"w",4\n', {"a": ['x "y", z', "w"], "b": [2, 4]}),
    "backslashes that are none": ('a,b\n"c:\\",2\n"d",4\n', {"a": ["c:\\", "d"], "b": [2, 4]}),
    "a header after #": ("#a,b\n1,2\n3,4\n", {"#a": [1, 3], "b": [2, 4]}),
    "CR": ("a,b\r1,2\r3,4\r", NUMBERS),
    "CR LF and LF": ("a,b\r\n1,2\n3,4\r\n", NUMBERS),
    "no line end at the end": ("a,b\n1,2\n3,4", NUMBERS),
    "post codes": ("a,b\n02134,2\n2134,4\n", {"a": ["02134", "2134"], "b": [2, 4]}),
    "negative with a zero": ("a,b\n-05,-0.5\n-5,0\n", {"a": ["-05", "-5"], "b": [-0.5, 0]}),
    "20 digits": ("a\n12345678901234567890\n12345678901234567891\n", {
        "a": ["12345678901234567890", "12345678901234567891"]}),
    "16 digits": ("a\n1234567890123456\n1\n", {"a": ["1234567890123456", "1"]}),
    "15 digits": ("a\n123456789012345\n1\n", {"a": [123456789012345, 1]}),
    "hexadecimal": ("a,b\n0x10,1_000\n0x11,2\n", {"a": ["0x10", "0x11"], "b": ["1_000", "2"]}),
    "sep= line": ("sep=;\na;b\n1;2\n3;4\n", NUMBERS),
    "delimiter at the end": ("a,b,\n1,2,\n3,4,\n", NUMBERS),
    "delimiter at the end of rows": ("a,b\n1,2,\n3,4,\n", NUMBERS),
    "delimiter at the end of the header": ("a,b,\n1,2\n3,4\n", NUMBERS),
    "words for missing values": ("a,b\n1,?\nNA,4\n,5\n", {"a": [1, None, None], "b": [None, 4, 5]}),
    "NA as a label": ("a,b\n1,NA\n2,EU\n3,NA\n", {"a": [1, 2, 3], "b": ["NA", "EU", "NA"]}),
    "blanks around fields": ("a, b\n 1 , x \n 3,y\n", {"a": [1, 3], "b": ["x", "y"]}),
    "a column without a value": ("a,b\n1,\n3,\n", {"a": [1, 3], "b": [None, None]}),
    "infinities": ("a\n1\n-inf\n", {"a": [1, float("-inf")]}),
    "null characters": (b"a,b\n1\x00,2\n3,4\n", {"a": ["1\0", "3"], "b": [2, 4]}),
    "a line end of another script in a field":
        ("a,b\nx\u2028y,2\nz\x0bw,4\n", {"a": ["x\u2028y", "z\x0bw"], "b": [2, 4]}),
    "header only": ("a,b\n", {"a": [], "b": []}),
    "one row": ("a,b\n1,2\n", {"a": [1], "b": [2]}),
    "one row without a header": ("1,2\n", {"column_1": [1], "column_2": [2]}),
    "one column": ("a\n1\n3\n", {"a": [1, 3]}),
    "a late text": ("a,b\n" + "1,2\n" * 5000 + "x,4\n", {"a": ["1"] * 5000 + ["x"], "b": [2] * 5000 + [4]}),
    "a late fraction": ("a\n" + "1\n" * 5000 + "1.5\n", {"a": [1] * 5000 + [1.5]}),
    "a field longer than a piece":
        ('a,b\n"' + "x\n" * 5000 + '",2\n3,4\n', {"a": ["x\n" * 4999 + "x", "3"], "b": [2, 4]}),
}  # fmt: skip


@pytest.fixture(params=[None, 700], ids=["whole", "in pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read at once, and in pieces that are smaller than they are."""
    if request.param:
        monkeypatch.setattr("fallline.data.delimited.PIECE", request.param)


def cells(table: Table) -> dict[str, list[Any]]:
    found = {}
    for name, values in table.columns.items():
        each = values.strings().tolist() if isinstance(values, Texts) else values.tolist()
        found[name] = [None if cell != cell else cell for cell in each]
    return found


def put(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("case", FILES)
def test_every_row_of_a_file_comes_as_it_is_written(tmp_path: Path, case: str) -> None:
    text, expected = FILES[case]
    assert cells(read_table(put(tmp_path, text))) == expected


# What the file holds, and parts of the message.
BAD_FILES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "empty": ("", ("data.csv is empty", "name the columns")),
    "blank lines only": ("\n\n  \n", ("data.csv is empty",)),
    "byte order mark only": ("\ufeff", ("data.csv is empty",)),
    "comments only": ("# a\n# b\n", ("data.csv is empty after the 2 lines left out",)),
    "text after a closing quote": ('a,b\n"1"x,2\n3,4\n', ("line 2: a quoted field goes on after its closing quote",)),
    "an open quote": ('a,y\n1,2\n"3,4\n5,6\n', ("line 3: a quoted field is opened here and never closed",)),
    "an open quote in the last column": ('a,b\n1,2\n3,"4\n5,6\n', ("line 3: a quoted field is opened here",)),
    "an open quote that another one closes": ('a,b\n1,"2\n3,4\n5,"6"\n7,8\n', ("line 2: a quoted field goes on",)),
    "too many fields": ("a,b\n1,2\n1,2,3\n3,4\n", ("line 3: 3 fields where the header names 2 columns", "a comma")),
    "too few fields": ("a,b,y\n1,2,3\n1\n", ("line 3: 1 field where the header names 3 columns",)),
    "too many fields, far in": ("a,b\n" + "1,2\n" * 3000 + "1,2,3\n3,4\n", ("line 3002: 3 fields",)),
    "too many fields after quoted newlines": ('a,b\n"x\n\ny",2\n\n1,2,3\n', ("line 6: 3 fields",)),
    "too many fields in all rows but three": ("a,b\n1,2\n3,4\n5,6\n" + "1,2,3\n" * 50, ("line 5: 3 fields",)),
    "a title over the table": ("Report of May\n\na,b,c\n1,2,3\n4,5,6\n", ("line 3: 3 fields", "skip=2 (--skip)")),
    "a comment among the rows": ("a,b\n1,2\n% note\n", ("line 3: 1 field", "--comment")),
    "damaged UTF-8":
        (b"a,b\n\xc3\xa9,2\n\xff,4\n\xc3\xa9\xc3\xa8,1\n", ("line 3: byte 0xff is not UTF-8 text", "--encoding")),
    "damaged UTF-8, far in": (b"a,b\n\xc3\xa9,2\n" + b"1,2\n" * 3000 + b"\xff,4\n", ("line 3003: byte 0xff",)),
    "beyond the largest number": ("a,b\n1e400,2\n1,4\n", ("line 2, column 'a': '1e400' is beyond the largest number",)),
    "a page": ("<!DOCTYPE html>\n<html><body>404</body></html>\n", ("is a page of the web",)),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ("is a picture",)),
    "a workbook of old": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), ("is a workbook", "CSV")),
    "no text": (bytes(range(8)) * 20, ("holds no text",)),
    "a header, or a row":
        ("400,500,600\n1.5,2,3\n", ("line 1: does it name the columns", "'400', '500', '600'", "--no-header")),
    "one number and a text": ("Ann,23\nBob,35\n", ("line 1: does it name the columns",)),
}  # fmt: skip


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_read_says_where_and_why(tmp_path: Path, case: str) -> None:
    text, parts = BAD_FILES[case]
    with pytest.raises(DataError) as caught:
        read_table(put(tmp_path, text))
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\0" not in message
