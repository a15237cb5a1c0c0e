"""The dialect of delimited text: encoding, delimiter, width and names, recognised from the first lines of a file."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fallline.data.fields import count, is_missing, is_number
from fallline.data.header import column_names, has_header
from fallline.data.reading import WHITE, Reading
from fallline.data.records import Cut, Record, lines_of, records_of, why
from fallline.errors import DataError

# Candidates, the first of those that fit equally well wins.
DELIMITERS = ",;\t|"
# Lines that are looked at.
SAMPLE = 100


MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
         codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
# First bytes of files that hold no text, and their name in a message.
OTHERS = {b"%PDF": "a PDF document", b"SQLite format 3": "a database of SQLite", b"\x89HDF": "an HDF5 file",
          b"\xd0\xcf\x11\xe0": "a workbook of a spreadsheet program", b"\x93NUMPY": "an array of NumPy",
          b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"ORC": "an ORC file",
          b"Obj\x01": "an Avro file", b"FEA1": "a Feather file of version 1"}  # fmt: skip
SAVE = "\n  try: saving it as CSV or Parquet"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is cut into fields.

    names: of the columns. header: its line, 0 where there is none. first: the line at which rows begin. start: bytes
    of UTF-8 before it. trailing: a delimiter ends each row and begins no field. loose: fields are separated by runs of
    blanks or several characters, or quoted after blanks. comment: begins lines to be left out. carriage: lines end
    with CR alone. notes: sentences about choices that a person may want to know of.
    """

    cut: Cut
    names: tuple[str, ...]
    header: int
    first: int
    start: int
    trailing: bool
    loose: bool
    comment: str | None
    carriage: bool
    notes: tuple[str, ...]

    @property
    def delimiter(self) -> str:
        return self.cut.delimiter

    @property
    def quote(self) -> str:
        return self.cut.quote

    @property
    def width(self) -> int:
        return len(self.names)


def find_encoding(head: bytes, reading: Reading, name: str) -> str:
    """The encoding of a file by its first bytes. Errors: DataError for a file that holds no text."""
    if reading.encoding:
        return reading.encoding
    for first, kind in OTHERS.items():
        if head.startswith(first):
            raise DataError(f"{name} is {kind}, not a table of rows{SAVE}")
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    head = head[:1000]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > 0.3 * len(head) and min(even, odd) == 0 and len(head) > 3:
        return "utf-16-be" if even else "utf-16-le"
    if sum(head.count(code) for code in range(9)) > 0.1 * len(head):
        raise DataError(f"{name} holds no text: its first bytes are {head[:8]!r}{SAVE}")
    return "utf-8"


def find_delimiter(lines: Sequence[str], cut: bool = False, quote: str = '"') -> str:
    """The delimiter that cuts the first lines into the same number of fields, the most if several do.

    If none cuts them evenly, the one that cuts the first line most; the ragged line is then reported as such. Ties go
    to the first in `DELIMITERS`; blanks are tried last, and are delimiters of numbers alone. cut: more lines follow.
    """
    best, best_rank = DELIMITERS[0], (False, 1)
    for delimiter in DELIMITERS + WHITE:
        try:
            records = [record.fields for record in records_of(lines, Cut(delimiter, quote))]
        except csv.Error:
            continue
        if cut and len(records) > 1:
            records.pop()  # the sample may end inside a quoted field
        if delimiter == WHITE and not (_mostly_numbers(records) and (best_rank[1] == 1 or _runs(lines, best))):
            continue
        widths = {len(record) - (not record[-1].strip()) for record in records}
        rank = (len(widths) == 1, len(records[0]) if records else 0)
        if rank[1] > 1 and rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def _runs(lines: Sequence[str], delimiter: str) -> bool:
    """Whether what this delimiter cuts off first is more than one number, in every line."""
    first = [line.split(delimiter)[0].split() for line in lines if line.strip()]
    return delimiter == "\t" and all(len(cells) > 1 and all(map(is_number, cells)) for cells in first)


def _mostly_numbers(records: Sequence[Sequence[str]]) -> bool:
    cells = [cell for record in records[1:] or records for cell in record]
    return 2 * sum(map(is_number, cells)) > len(cells)


def recognise(text: str, whole: bool, reading: Reading, name: str) -> Dialect:
    """The dialect of the text that a file begins with. whole: whether the text is all of the file.

    Errors: DataError for a file without lines, and where it is doubtful whether the first line is a header.
    """
    lines = list(lines_of(text))
    if not whole and len(lines) > 1:
        lines.pop()
    notes: list[str] = []
    top, comment, delimiter = _top(lines, reading, notes)
    body = ["\n" if comment and line.startswith(comment) else line for line in lines[top : top + SAMPLE]]
    if not any(line.strip() for line in body):
        told = "; the first line has to name the columns" if not top else f" after the {count(top, 'line')} left out"
        raise DataError(f"{name} is empty{told}")
    if re.match(r"\s*<(!doctype|html|\?xml)", body[0], re.IGNORECASE):
        raise DataError(f"{name} is a page of the web, not a table of rows\n  try: downloading the file itself")
    cut = not whole or len(lines) > top + SAMPLE
    delimiter = delimiter or find_delimiter(body, cut, reading.quote)
    quote = _quote(body, delimiter, reading.quote, notes)
    escape = reading.escape
    records: list[Record] = []
    try:
        if not escape and quote and "\\" + quote in "".join(body):
            escape = _escape(body, Cut(delimiter, quote), notes)
        for record in records_of(body, Cut(delimiter, quote, escape), top):
            records.append(record)
    except csv.Error as error:
        if not records:
            raise DataError(f"{name}, line {top + 1}: {why(error)}") from None
        cut = False  # the record that is wrong is not among them, and is reported when rows are read
    if cut and len(records) > 2:
        records.pop()
    if not comment:
        comment, records = _without_remarks(records, notes)
    first, rows = records[0], [record.fields for record in records[1:]]
    fields = [field.strip() for field in first.fields]
    width = Counter(map(len, rows or [fields])).most_common(1)[0][0]
    trailing = width > 1 and all(not row[-1].strip() for row in rows or [fields] if len(row) == width)
    trailing = trailing and len(fields) in (width, width - 1) and not (len(fields) == width and fields[-1])
    width -= trailing
    if len(fields) == width + 1 and not fields[-1]:
        fields.pop()
    place = f"{name}, line {first.line}"
    header = reading.header
    if header is None:
        header = has_header(fields, rows, reading.names, reading.expects, place)
    if header and len(fields) + 1 == width and len({row[0] for row in rows}) == len(rows) > 1:
        notes.append(f"the header has {count(len(fields), 'name')} for {count(width, 'column')}: "
                     "the first column is taken for names of the rows")  # fmt: skip
        fields.insert(0, "")
    found = column_names(fields if header else [""] * width, notes)
    if reading.names and len(reading.names) != len(found):
        raise DataError(f"{place}: {count(len(found), 'column')}, and names= gives {len(reading.names)}")
    if not header:
        notes.append(f"line {first.line} is taken for a row, not for a header")
    before = first.after - 1 if header else first.line - 1
    quoted = quote and delimiter != "\t"
    loose = escape is not None or len(delimiter.encode()) > 1 or delimiter == WHITE or bool(
        quoted and re.search(re.escape(delimiter) + " +" + re.escape(quote), "".join(body))
    )  # fmt: skip
    return Dialect(
        Cut(delimiter, quote, escape), reading.names or found, first.line if header else 0, before + 1,
        len("".join(lines[:before]).encode()), trailing, loose, comment, "\r" in text and "\n" not in text,
        tuple(notes),
    )  # fmt: skip


def _top(lines: Sequence[str], reading: Reading, notes: list[str]) -> tuple[int, str | None, str | None]:
    """Lines before the table, the mark that begins a comment, and the delimiter as far as it is stated."""
    top, comment, delimiter = reading.skip, reading.comment, reading.delimiter
    announced = re.fullmatch(r'"?sep=(.)"?\s*', lines[top]) if top < len(lines) else None
    if announced:  # as spreadsheet programs write it
        delimiter, top = delimiter or announced[1], top + 1
    while top < len(lines):
        line = lines[top]
        if line.strip() and not (comment and line.startswith(comment)):
            if comment or not line.startswith("#") or _is_header(lines[top:], delimiter, reading.quote):
                break
            comment = "#"
            notes.append("lines that begin with '#' are left out")
        top += 1
    return top, comment, delimiter


def _quote(body: Sequence[str], delimiter: str, quote: str, notes: list[str]) -> str:
    """The stated quote, or a single one where no other occurs and it stands around all texts of some column."""
    if quote != '"' or any(quote in line for line in body) or not any("'" in line for line in body):
        return quote
    fields = [field.strip() for line in body for field in line.strip().split(delimiter)]
    begun = [field for field in fields if field.startswith("'")]
    rows = [line.strip().split(delimiter) for line in body if line.strip()]
    if not all(len(field) > 1 and field.endswith("'") for field in begun):
        return quote
    for column in zip(*rows[1:]):
        texts = [cell.strip() for cell in column if not is_missing(cell)]
        if len(texts) > 1 and all(text.startswith("'") for text in texts):
            notes.append("fields are taken out of single quotes")
            return "'"
    return quote


def _escape(body: Sequence[str], plain: Cut, notes: list[str]) -> str | None:
    """A backslash where it is needed to read these lines."""
    for escape in (None, "\\"):
        try:
            widths = {len(record.fields) for record in records_of(body, Cut(plain.delimiter, plain.quote, escape))}
        except csv.Error:
            continue
        if escape is None and len(widths) == 1:
            return None
        if escape is not None:
            notes.append("a backslash takes the next character as it is")
            return escape
    return None


def _without_remarks(records: list[Record], notes: list[str]) -> tuple[str | None, list[Record]]:
    """The mark that begins a comment, and the records without those that begin with it and fit no other."""
    marked = [record for record in records[1:] if record.fields[0].startswith("#")]
    if not marked or {len(record.fields) for record in marked} & {len(records[0].fields)}:
        return None, records
    notes.append("lines that begin with '#' are left out")
    return "#", [record for record in records if record not in marked]


def _is_header(lines: Sequence[str], delimiter: str | None, quote: str) -> bool:
    """Whether a line that begins with # has as many fields as the lines below it, which don't."""
    below = [line for line in lines[1:SAMPLE] if line.strip()]
    if not below or any(line.startswith("#") for line in below):
        return False
    delimiter = delimiter or find_delimiter(below, True, quote)
    try:
        widths = {len(record.fields) for record in records_of([lines[0], *below[:-1]], Cut(delimiter, quote))}
    except csv.Error:
        return False
    return len(widths) == 1 and widths != {1}
