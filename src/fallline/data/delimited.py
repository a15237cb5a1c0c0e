"""Files of delimited text, CSV in all its dialects, read piece by piece through Arrow.

A piece is whole records. One that Arrow refuses, or whose quotes stand where RFC 4180 has none, is read by the csv
module, which names the line that is wrong.
"""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.data.ahead import ahead
from fallline.data.cutting import end_of_records, line_ends, lines_of_records, quotes_of
from fallline.data.dialect import SAMPLE, Dialect, find_encoding, recognise
from fallline.data.fields import count
from fallline.data.one_file import OneFile
from fallline.data.piece import Piece, blank_columns
from fallline.data.plain_numbers import BeyondRange, numbers
from fallline.data.raw_bytes import Bytes
from fallline.data.reading import WHITE, Reading
from fallline.data.records import Record, lines_of, records_of, why
from fallline.data.utf8 import WESTERN, Utf8, remark, western
from fallline.errors import DataError

# Bytes that are read, and parsed, at once.
PIECE = 2**22
# Bytes of the first lines, from which the dialect is recognised.
HEAD = 2**18
# Bytes of a record: files without an end are cut here.
LONGEST_LINE = 2**26

NAMED = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar", WHITE: "blanks"}

# Columns of texts in the order of the file, the line of each row, and the bytes that they took.
Parsed = tuple[list[Any], Array, int]


@dataclass(frozen=True)
class Delimited(OneFile):
    """An open file of delimited text."""

    dialect: Dialect
    encoding: str

    def pieces(self, texts: Collection[str] = (), only: Collection[str] | None = None) -> Iterator[Piece]:
        """The rows, from the first. texts: columns that are not tried as numbers; it may grow meanwhile. only: the
        columns that are read; None for all.
        """
        wanted = self.wanted(only)
        places = self.places(wanted)
        for strings, lines in ahead(self.parsed(places)):
            columns = blank_columns(self.reading, wanted, len(lines))
            for i, column in zip(places, strings):
                name = self.dialect.names[i]
                written = name in texts or name in self.reading.texts
                columns[name] = column if written else self._cells(name, column, lines)
            yield Piece(columns, lines, len(lines))

    def _cells(self, name: str, column: Any, lines: Array) -> Any:
        if column.null_count == len(column):
            return column
        try:
            found = numbers(column)
        except BeyondRange as problem:
            row, told = problem.args
            raise DataError(f"{self.name}, line {lines[row]}, column {name!r}: {told}") from None
        return column if found is None else found

    def parsed(self, wanted: Sequence[int]) -> Iterator[tuple[list[Any], Array]]:
        """Columns of texts by their places, and the lines of their rows, piece by piece."""
        dialect = self.dialect
        with self.source.opened() as stream:
            utf8 = Utf8(stream, self.encoding, self.name, self.reading.encoding is None, self.notes)
            rest, line, ended = utf8.skip(dialect.start), dialect.first, False
            while not ended:
                more = utf8.read(PIECE)
                ended = not more
                chunk = rest + (more.replace(b"\r", b"\n") if dialect.carriage else more)
                if not chunk:
                    break
                strings, lines, end = self.parse(chunk, line, ended, wanted, utf8)
                if end == 0 and len(chunk) > LONGEST_LINE:
                    raise DataError(
                        f"{self.name}, line {line}: longer than {LONGEST_LINE:,} characters, so this is no CSV file"
                    )
                if len(lines):
                    yield strings, lines
                line += line_ends(chunk[:end])
                rest = chunk[end:]

    def parse(self, chunk: bytes, line: int, ended: bool, wanted: Sequence[int], utf8: Utf8) -> Parsed:
        """The whole records of a chunk that begins with one."""
        dialect = self.dialect
        quotes = None if dialect.loose else quotes_of(chunk, dialect.delimiter, dialect.quote, ended)
        if quotes is None:
            raw = chunk if ended else chunk[: chunk.rfind(b"\n") + 1]
            whole = utf8.checked(raw, line)
            strings, lines, end = self.parse_exactly(whole, line, ended, wanted)
            # Of an encoding with one byte a character, the bytes are as many as the characters.
            return strings, lines, end if len(whole) == len(raw) else len(whole[:end].decode())
        end = end_of_records(chunk, quotes, ended)
        if end == 0:
            return [], np.empty(0, np.int64), 0
        whole = utf8.checked(chunk[:end], line)
        if len(whole) != end:
            quotes = quotes_of(whole, dialect.delimiter, dialect.quote, ended)
        if dialect.comment and dialect.comment.encode() in whole:
            whole = re.sub(b"(?m)^" + re.escape(dialect.comment.encode()) + b"[^\r\n]*", b"", whole)
            quotes = quotes_of(whole, dialect.delimiter, dialect.quote, ended)
        found = self.parse_by_arrow(whole, wanted)
        if found is not None and quotes is not None:
            rows = len(found[0])
            if rows == line_ends(whole) + (not whole.endswith(b"\n")):
                return found, np.arange(line, line + rows), end
            lines = lines_of_records(whole, quotes) + line
            if len(lines) == rows:
                return found, lines, end
        strings, lines, _ = self.parse_exactly(whole, line, True, wanted)
        return strings, lines, end

    def parse_by_arrow(self, whole: bytes, wanted: Sequence[int]) -> list[Any] | None:
        """Columns of texts; None where Arrow refuses the piece."""
        import pyarrow
        from pyarrow import csv as arrow

        dialect = self.dialect
        names = [str(i) for i in range(dialect.width + dialect.trailing)]
        take = [names[i] for i in wanted] or names[:1]
        if dialect.trailing:
            take.append(names[-1])
        try:
            table = arrow.read_csv(
                pyarrow.py_buffer(whole),
                read_options=arrow.ReadOptions(column_names=names, block_size=len(whole) + 1, use_threads=False),
                parse_options=arrow.ParseOptions(
                    delimiter=dialect.delimiter, quote_char=dialect.quote or False, newlines_in_values=True
                ),
                convert_options=arrow.ConvertOptions(
                    column_types=dict.fromkeys(names, pyarrow.string()), include_columns=take, null_values=[""],
                    strings_can_be_null=True, check_utf8=False,
                ),
            )  # fmt: skip
        except pyarrow.ArrowInvalid:
            return None
        strings = [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]
        if dialect.trailing and strings.pop().null_count != table.num_rows:
            return None
        return strings

    def parse_exactly(self, chunk: bytes, line: int, ended: bool, wanted: Sequence[int]) -> Parsed:
        """The same by the csv module. Errors: DataError for a record that does not fit, naming its line."""
        import pyarrow

        lines = list(lines_of(chunk.decode()))
        if self.dialect.comment:
            lines = ["\n" if one.startswith(self.dialect.comment) else one for one in lines]
        rows: list[list[str]] = []
        found: list[int] = []
        after = line
        try:
            for record in records_of(lines, self.dialect.cut, line - 1):
                after = record.after
                rows.append(self._fitted(record))
                found.append(record.line)
            after = line + len(lines)
        except csv.Error as error:
            if ended or "unexpected end of data" not in str(error):
                raise DataError(f"{self.name}, line {after}: {why(error)}") from None
        end = sum(len(one.encode()) for one in lines[: after - line])
        columns = list(zip(*rows)) or [()] * self.dialect.width
        strings = [pyarrow.array([cell or None for cell in columns[i]], pyarrow.string()) for i in wanted or (0,)]
        return strings, np.array(found, np.int64), end

    def _fitted(self, record: Record) -> list[str]:
        """The fields of a record, of which there are as many as columns."""
        fields, width = record.fields, self.dialect.width
        if len(fields) == width + 1 and not fields[-1].strip():
            return fields[:-1]
        if len(fields) == width:
            return fields
        where = "the header names" if self.dialect.header else "there are"
        delimiter = NAMED.get(self.dialect.delimiter, repr(self.dialect.delimiter))
        hint = "quotes around a field that holds one" if len(fields) > width else "all fields in each row, empty or not"
        if fields and fields[0].startswith(("#", "%", "//")):
            hint += f"; comment={fields[0][0]!r} (--comment) for lines to be left out"
        elif len(fields) > width and record.line <= SAMPLE and self.dialect.header:
            hint += f"; skip={record.line - 1} (--skip) if this line is the header"
        raise DataError(
            f"{self.name}, line {record.line}: {count(len(fields), 'field')} where {where} {count(width, 'column')}\n"
            f"  fields are separated by {delimiter}; try: {hint}"
        )


def open_delimited(source: Bytes, reading: Reading) -> Delimited:
    """A file of delimited text with its dialect. Errors: DataError for one that holds no lines of text."""
    with source.opened() as stream:
        head = bytes(stream.read(HEAD) or b"")
        while head and not any(mark in head for mark in (b"\n", b"\r")) and len(head) <= LONGEST_LINE:
            more = bytes(stream.read(HEAD) or b"")
            if not more:
                break
            head += more
        while len(head) < HEAD and (more := bytes(stream.read(HEAD - len(head)) or b"")):
            head += more
        whole = not stream.read(1)
    encoding = find_encoding(head, reading, source.name)
    notes: list[str] = []
    if encoding == "utf-8" and not reading.encoding:
        cut = head if whole else head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1]
        if not _is_utf8(cut) and western(cut) is not None:
            encoding = WESTERN
            notes.append(remark(cut, 1))
    utf8 = Utf8(_Once(head), encoding, source.name, False, [])
    data = b"".join(iter(lambda: utf8.read(HEAD), b"")) if whole or utf8.plain else utf8.read(HEAD)
    if utf8.plain:
        ends = len(data) if whole else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        data = utf8.checked(data[:ends] if ends else data, 1)
    dialect = recognise(data.decode(), whole, reading, source.name)
    return Delimited(source, reading, dialect.names, dialect, encoding, notes=[*notes, *dialect.notes])


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Once:
    """Bytes as a stream."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        found, self.data = self.data, b""
        return found
