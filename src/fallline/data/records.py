"""Records of delimited text by the csv module, strictly: slower than Arrow, and with the line of each."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from fallline.data.reading import WHITE

# One field of a wide text column may be longer than the csv module's own limit of 131072 characters.
LONGEST_FIELD = 2**31 - 1
# Stands for a delimiter of several characters.
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Cut:
    """The characters between and around fields, and the one that takes the next character as it is."""

    delimiter: str
    quote: str = '"'
    escape: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one row, the line at which it begins, from 1, and the line after it."""

    line: int
    after: int
    fields: list[str]


def lines_of(text: str) -> Iterator[str]:
    """Lines with their ends, which are LF, CR LF or CR and nothing else."""
    return iter(io.StringIO(text, newline=""))


def fields_of(lines: Iterable[str], cut: Cut) -> Any:
    """The csv module's strict reader of these lines, which come with their ends."""
    csv.field_size_limit(LONGEST_FIELD)
    delimiter = cut.delimiter
    if delimiter == WHITE:
        lines = (line.replace("\t", WHITE) for line in lines)
    elif len(delimiter) > 1:
        lines, delimiter = map(methodcaller("replace", delimiter, SEPARATOR), lines), SEPARATOR
    options: Any = {"quotechar": cut.quote} if cut.quote else {"quoting": csv.QUOTE_NONE}
    options["escapechar"] = cut.escape
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True, **options)


def blank(record: Sequence[str]) -> bool:
    return not any(field.strip() for field in record) and len(record) < 2


def records_of(lines: Sequence[str], cut: Cut, before: int = 0) -> Iterator[Record]:
    """The records that are not blank. before: number of lines before these. Errors: csv.Error."""
    reader = fields_of(iter(lines), cut)
    line = 1
    for fields in reader:
        if cut.delimiter == WHITE and len(fields) > 1 and not fields[-1]:
            fields.pop()
        if not blank(fields):
            yield Record(before + line, before + reader.line_num + 1, fields)
        line = reader.line_num + 1


def why(error: csv.Error) -> str:
    """The reason for which the csv module refuses a record."""
    text = str(error)
    if "unexpected end of data" in text:
        return "a quoted field is opened here and never closed"
    if "expected after" in text:
        return "a quoted field goes on after its closing quote\n  try: doubling a quote inside quotes"
    return text
