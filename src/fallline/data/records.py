"""A CSV file as records of text: encoding, delimiter, header, quotes, blank lines, and the line each record starts at.

Knows nothing of numbers: tables interpret the fields.
"""

import csv
import math
import os
import select
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO

from fallline.errors import DataError, FalllineError, MissingFileError, nearest

DELIMITERS = ",;\t|"
# Lines looked at to find the delimiter.
SAMPLE = 50
# Fields held as text at once: a file of any length is read in blocks of this size. Small enough for the cache: 0.18 us
# a field instead of 0.3 us with blocks a hundred times as large.
BLOCK = 2_000

# Characters of a line and, where its length is unknown, bytes of a file: files without an end are cut
# here.
LONGEST_LINE, MOST_PIPED = 2**26, 2**28
# Seconds to wait until somebody writes into a pipe.
PIPE_SECONDS = 60.0

# One field of a wide text column may be longer than the csv module's own limit of 131072 characters.
LONGEST_FIELD = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive records: their fields, all of the header's length, and the line each starts at, from 1."""

    rows: list[list[str]]
    lines: list[int]


@dataclass(frozen=True, slots=True)
class Records:
    """An open file past its header. `header` holds stripped names; `blocks` reads on."""

    path: Path
    header: tuple[str, ...]
    header_line: int
    blocks: Iterator[Block]

    @property
    def place(self) -> str:
        """The header, for a message."""
        return f"{self.path}, line {self.header_line}"


@contextmanager
def open_records(path: str | Path) -> Iterator[Records]:
    """The records of a CSV file.

    UTF-8 with or without a byte order mark; LF, CRLF or CR; comma, semicolon, tab or bar, whichever fits; quotes as in
    RFC 4180; blank lines are skipped; a delimiter at the end of the lines is no column.
    Errors: MissingFileError; DataError for text that cannot be read, with its line.
    """
    path = Path(path)
    with open_text(path) as file:
        lines = lines_of(path, file)
        with told_by_line(path):
            head = list(islice(lines, SAMPLE))
        reader = Reader(path, chain(head, lines), find_delimiter(head))
        header, header_line = reader.header()
        yield Records(path, header, header_line, reader.blocks(len(header)))


def open_text(path: Path) -> IO[str]:
    """The file as text, newlines untouched: the csv reader counts them itself.

    A pipe may be read, but a device has no end.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise DataError(f"{path} is a device, not a CSV file")
        if stat.S_ISFIFO(mode):
            return piped(path)
        return path.open(encoding="utf-8-sig", newline="")
    except FalllineError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"no file {str(path)!r}{nearest(path.name, neighbours(path))}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a CSV file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def piped(path: Path) -> IO[str]:
    """A pipe that somebody has begun to write into."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not select.select([file], [], [], PIPE_SECONDS)[0]:
            raise DataError(f"{path} is a pipe into which nobody has written for {PIPE_SECONDS:g} s")
        os.set_blocking(file, True)
        return open(file, encoding="utf-8-sig", newline="")
    except BaseException:
        os.close(file)
        raise


def lines_of(path: Path, file: IO[str]) -> Iterator[str]:
    """The lines of an open file. Errors: DataError for a line, or a pipe, that does not end."""
    left = MOST_PIPED if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode) else math.inf
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), ""), 1):
        left -= len(line)
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}, line {number}: longer than {LONGEST_LINE:,} characters, so this is no CSV file")
        if left < 0:
            raise DataError(f"{path}: more than {MOST_PIPED:,} characters came through this pipe\n  try: a file")
        yield line


def neighbours(path: Path) -> list[str]:
    """Names of the files in a path's folder, for a suggestion."""
    try:
        return [item.name for item in islice(path.parent.iterdir(), 1000) if item.is_file()]
    except OSError:
        return []


@contextmanager
def told_by_line(path: Path) -> Iterator[None]:
    """Bytes that are not UTF-8, reported by their line instead of by a position in a buffer."""
    try:
        yield
    except UnicodeDecodeError:
        raise DataError(f"{path}{undecodable(path)}\n  try: saving the file as CSV in UTF-8") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def undecodable(path: Path) -> str:
    if not path.is_file():  # text from a pipe is gone
        return " is not UTF-8 text"
    with path.open("rb") as file:
        for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f", line {number}: byte 0x{line[error.start]:02x} is not UTF-8 text"
    return " is not UTF-8 text"


def find_delimiter(head: Sequence[str]) -> str:
    """The delimiter that cuts the first lines into the same number of fields, the most if several do.

    If none cuts them evenly, the one that cuts the first line most; the ragged line is then reported as such. Ties go
    to the first in `DELIMITERS`.
    """
    best, best_rank = DELIMITERS[0], (False, 1)
    for delimiter in DELIMITERS:
        try:
            records = [r for r in csv.reader(head, delimiter=delimiter, skipinitialspace=True) if not blank(r)]
        except csv.Error:
            continue
        if len(head) == SAMPLE and len(records) > 1:
            records.pop()  # the sample may end inside a quoted field
        widths = {len(record) - (not record[-1].strip()) for record in records}
        rank = (len(widths) == 1, len(records[0]) if records else 0)
        if rank[1] > 1 and rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def blank(record: Sequence[str]) -> bool:
    return not record or (len(record) == 1 and not record[0].strip())


class Reader:
    """Walks the records of one file, with the line each starts at."""

    def __init__(self, path: Path, lines: Iterator[str], delimiter: str) -> None:
        self.path, self.delimiter = path, delimiter
        csv.field_size_limit(LONGEST_FIELD)
        self.reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """(line, fields) of every record that is not blank."""
        reader = self.reader
        before = reader.line_num
        with told_by_line(self.path):
            while True:
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise DataError(f"{self.path}, line {before + 1}: {why(error)}") from None
                if not blank(record):
                    yield before + 1, record
                before = reader.line_num

    def header(self) -> tuple[tuple[str, ...], int]:
        for line, record in self.records():
            names = [field.strip() for field in record]
            if len(names) > 1 and not names[-1]:
                names.pop()
            return tuple(names), line
        raise DataError(f"{self.path} is empty; the first line has to name the columns")

    def blocks(self, width: int) -> Iterator[Block]:
        """The rows after the header, each of `width` fields, some thousand at a time."""
        most = max(1, BLOCK // width)
        rows: list[list[str]] = []
        lines: list[int] = []
        for line, record in self.records():
            if len(record) != width:
                if len(record) != width + 1 or record[-1].strip():
                    raise self.ragged(line, len(record), width)
                record.pop()
            rows.append(record)
            lines.append(line)
            if len(rows) == most:
                yield Block(rows, lines)
                rows, lines = [], []
        if rows:
            yield Block(rows, lines)

    def ragged(self, line: int, found: int, width: int) -> DataError:
        named = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}[self.delimiter]
        return DataError(
            f"{self.path}, line {line}: {count(found, 'field')} where the header names {count(width, 'column')}\n"
            f"  fields are separated by {named}; try: quotes around a field that holds one"
        )


def why(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a quoted field is opened here and never closed"
    if "expected after" in text:
        return "a quoted field goes on after its closing quote; try: doubling a quote inside quotes"
    return text


def count(n: int, what: str) -> str:
    """`1 field`, `2 fields`."""
    return f"{n} {what}" + ("" if n == 1 else "s")
