"""Files of JSON: an object a line, or one list of objects. Numbers are as in a file of text: 20 digits stay a text."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.data.cutting import NO_QUOTES, lines_of_records
from fallline.data.fields import shown
from fallline.data.one_file import OneFile
from fallline.data.piece import Piece, blank_columns, cells_of
from fallline.data.plain_numbers import MOST_DIGITS, BeyondRange, numbers
from fallline.data.raw_bytes import Bytes
from fallline.data.reading import Reading
from fallline.errors import DataError

# Bytes of lines that are read at once; of a list, which is read whole.
PIECE, LONGEST_LIST = 2**22, 2**28
# Columns named in one message.
MOST_TOLD = 5


class LateColumn(Exception):
    """A name that no object at the beginning of the file has; the file knows all names now, and is read again."""


class Written(str):
    """A number as the file has it."""

    __slots__ = ()


@dataclass(frozen=True)
class JsonLines(OneFile):
    """An open file of JSON. all_names: those at its beginning, and once a later one is met, all. is_list: one list of
    objects, not an object a line.
    """

    all_names: list[str]
    is_list: bool

    def pieces(self, texts: Collection[str] = (), only: Collection[str] | None = None) -> Iterator[Piece]:
        """The rows, from the first. texts: columns that are read as they are written. only: those that are read.

        Errors: LateColumn, at most once.
        """
        wanted = self.wanted(only)
        if self.is_list:
            rows = self._list()
            yield self._piece(rows, None, wanted, texts)
            return
        line = 1
        for chunk in chunks(self.source):
            yield self._by_arrow(chunk, line, wanted, texts) or self._lines(chunk, line, wanted, texts)
            line += chunk.count(b"\n")

    def _by_arrow(self, chunk: bytes, line: int, wanted: Sequence[str], texts: Collection[str]) -> Piece | None:
        """A piece by Arrow; None where it cannot tell numbers as they are written, or refuses the piece."""
        import pyarrow
        from pyarrow import json as arrow

        lines = lines_of_records(chunk, NO_QUOTES) + line
        options = arrow.ReadOptions(use_threads=False, block_size=len(chunk) + 1)
        table, schema = None, pyarrow.schema([])
        for _ in range(2):  # texts that look like moments are read again as texts
            parsing = arrow.ParseOptions(explicit_schema=schema)
            try:
                table = arrow.read_json(pyarrow.BufferReader(chunk), options, parsing)
            except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
                return None
            moments = [one.name for one in table.schema if pyarrow.types.is_timestamp(one.type)]
            if not moments:
                break
            schema = pyarrow.schema([(name, pyarrow.string()) for name in moments])
        if table is None or table.num_rows != len(lines) or set(table.column_names) - {*self.all_names}:
            return None
        columns = blank_columns(self.reading, wanted, len(lines))
        for name in wanted:
            if name in columns:
                continue
            if name not in table.column_names:
                columns[name] = pyarrow.nulls(len(lines), pyarrow.string())
                continue
            column = table[name].combine_chunks()
            column = column.chunk(0) if isinstance(column, pyarrow.ChunkedArray) else column
            is_text = pyarrow.types.is_string(column.type)
            if not is_text and (name in texts or name in self.reading.texts or pyarrow.types.is_nested(column.type)):
                return None
            columns[name] = cells = cells_of(column, f"{self.name}, column {name!r}")
            if isinstance(cells, np.ndarray) and cells.dtype.kind in "if" and (abs(cells) >= 10.0**MOST_DIGITS).any():
                return None
        return Piece(columns, lines, len(lines))

    def _lines(self, chunk: bytes, line: int, wanted: Sequence[str], texts: Collection[str]) -> Piece:
        """A piece line by line. Errors: DataError naming the line that is no object."""
        rows, lines = [], []
        for place, text in enumerate(chunk.split(b"\n"), line):
            if text.strip():
                rows.append(parsed(text, f"{self.name}, line {place}"))
                lines.append(place)
        return self._piece(rows, np.array(lines), wanted, texts)

    def _piece(self, rows: list[dict[str, Any]], lines: Array | None, wanted: Sequence[str], texts: Any) -> Piece:
        known = {*self.all_names}
        if not all(known.issuperset(row) for row in rows):
            self.learn_names()
            raise LateColumn
        columns = blank_columns(self.reading, wanted, len(rows))
        for name in wanted:
            if name not in columns:
                cells = [row.get(name) for row in rows]
                if any(isinstance(cell, list | dict) for cell in cells):
                    raise self._nested(rows, lines, [one for one in wanted if one not in columns])
                columns[name] = self._cells(name, cells, lines, texts)
        return Piece(columns, lines, len(rows))

    def _cells(self, name: str, cells: list[Any], lines: Array | None, texts: Collection[str]) -> Any:
        import pyarrow

        there = [cell for cell in cells if cell is not None]
        written = name in texts or name in self.reading.texts
        if there and all(isinstance(cell, bool) for cell in there) and len(there) == len(cells) and not written:
            return np.array(cells, bool)
        strings = pyarrow.array(
            [None if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in cells],
            pyarrow.string(),
        )
        if written or not there or not all(isinstance(cell, Written) for cell in there):
            return strings
        try:
            found = numbers(strings)
        except BeyondRange as problem:
            raise DataError(f"{self._place(lines, problem.args[0])}, column {name!r}: {problem.args[1]}") from None
        return strings if found is None else found

    def _nested(self, rows: list[dict[str, Any]], lines: Array | None, names: Sequence[str]) -> DataError:
        """The problem of all columns that hold lists or objects."""
        told, wrong = [], []
        for name in names:
            row = next((i for i, one in enumerate(rows) if isinstance(one.get(name), list | dict)), None)
            if row is not None:
                kind = "a list" if isinstance(rows[row][name], list) else "an object"
                told.append(f"{self._place(lines, row)}, column {name!r}: {kind}")
                wrong.append(name)
        return DataError("\n  ".join(told[:MOST_TOLD]) + "\n  columns hold numbers or texts; try: leaving out "
                         f"{', '.join(wrong)} (--drop {','.join(wrong)})")  # fmt: skip

    def _place(self, lines: Array | None, row: int) -> str:
        return f"{self.name}, object {row + 1}" if lines is None else f"{self.name}, line {lines[row]}"

    def learn_names(self) -> None:
        """Take the names of all objects into `all_names`."""
        line = 1
        for chunk in chunks(self.source):
            self.all_names.extend(name for name in names_of(chunk, line, self.name) if name not in self.all_names)
            line += chunk.count(b"\n")

    def _list(self) -> list[dict[str, Any]]:
        with self.source.opened() as stream:
            return listed_objects(stream.read(LONGEST_LIST + 1), self.name)


def chunks(source: Bytes) -> Iterator[bytes]:
    """Whole lines of a file, some at a time."""
    with source.opened() as stream:
        rest, begun = b"", False
        while more := bytes(stream.read(PIECE) or b""):
            if not begun:
                more, begun = more.removeprefix(b"\xef\xbb\xbf"), True
            chunk = rest + more
            end = chunk.rfind(b"\n") + 1
            if end:
                yield chunk[:end]
            rest = chunk[end:]
        if rest.strip():
            yield rest


def parsed(text: bytes, place: str) -> dict[str, Any]:
    """An object whose numbers are as the file has them. Errors: DataError for anything else."""
    try:
        found = json.loads(text, parse_int=Written, parse_float=Written, parse_constant=lambda name: None)
    except ValueError as error:
        told = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise DataError(f"{place}: no object of JSON: {told}\n  {shown(text[:60].decode(errors='replace'))}") from None
    if not isinstance(found, dict):
        raise DataError(f"{place}: {type(found).__name__} where an object of JSON, {{...}}, is expected")
    return found


def listed_objects(text: bytes, name: str) -> list[dict[str, Any]]:
    """The objects of one list. Errors: DataError."""
    if len(text) > LONGEST_LIST:
        raise DataError(f"{name}: a list of more than {LONGEST_LIST:,} bytes\n  try: JSON lines, an object a line")
    try:
        found = json.loads(text, parse_int=Written, parse_float=Written, parse_constant=lambda name: None)
    except ValueError as error:
        raise DataError(f"{name} is not JSON: {error}") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DataError(f"{name} is JSON, but no list of objects\n  try: an object a line, {{...}}")
    return found


def open_json(source: Bytes, reading: Reading, is_list: bool) -> JsonLines:
    """A file of JSON; the names of its columns are those of the objects at its beginning; a name that is
    expected and not there is looked for in all of it.
    """
    if is_list:
        with source.opened() as stream:
            rows = listed_objects(stream.read(LONGEST_LIST + 1), source.name)
        names = [*dict.fromkeys(name for row in rows for name in row)]
    else:
        names = next((names_of(chunk, 1, source.name) for chunk in chunks(source)), [])
    if not names:
        raise DataError(f"{source.name} has no objects with names in them")
    found = JsonLines(source, reading, names, is_list)
    if not is_list and not {*reading.expects} <= {*names}:
        found.learn_names()
    return found


def names_of(chunk: bytes, line: int, name: str) -> list[str]:
    """The names of all objects in these lines, each once, in the order in which they come."""
    texts = enumerate(chunk.split(b"\n"), line)
    return [*dict.fromkeys(key for i, text in texts if text.strip() for key in parsed(text, f"{name}, line {i}"))]
