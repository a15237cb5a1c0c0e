"""Any file of a table: the format is recognised by what the file holds, and rows come as Tables.

Delimited text, Parquet, Feather and Arrow, JSON lines; gzip, bzip2, xz, zstd, zip.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from fallline.data.columnar import ARROW_FILE, ARROW_STREAM, PARQUET, open_columnar
from fallline.data.delimited import open_delimited
from fallline.data.json_lines import LateColumn, open_json
from fallline.data.piece import Piece
from fallline.data.raw_bytes import bytes_of
from fallline.data.reading import Reading
from fallline.data.several import Several, found_files, is_several
from fallline.data.spool import Gathering
from fallline.table import Table

# Files whose names end so are delimited text, whatever their first character.
DELIMITED = (".csv", ".tsv", ".tab", ".psv")


class File(Protocol):
    """An open file, or several as one. names: of its columns. notes: sentences about what was recognised."""

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def reading(self) -> Reading: ...

    @property
    def notes(self) -> list[str]: ...

    def pieces(self, texts: Collection[str] = (), only: Collection[str] | None = None) -> Iterator[Piece]:
        """The rows from the first, some at a time; anew with each call."""


def open_file(path: str | Path, reading: Reading | None = None) -> File:
    """A file, its format and its columns; a folder or a pattern such as `data/*.csv` of files as one.

    Errors: MissingFileError; DataError for one that is no table, and for files whose columns are not the same.
    """
    reading = reading or Reading()
    if not is_several(path):
        return open_one(Path(path), reading)
    root, paths = found_files(path)
    files = [open_one(paths[0], reading)]
    if paths[1:]:
        headless = not getattr(getattr(files[0], "dialect", None), "header", 1)
        other = replace(reading, expects=(*reading.expects, *files[0].names))
        files += [open_one(one, replace(reading, header=False) if headless else other) for one in paths[1:]]
    return Several(str(path), root, tuple(paths), tuple(files), reading)


def open_one(path: Path, reading: Reading) -> File:
    """One file. Errors: those of `open_file`."""
    source = bytes_of(path)
    with source.opened() as stream:
        start = bytes(stream.read(64) or b"")
    if start.startswith((PARQUET, ARROW_FILE, ARROW_STREAM)):
        return open_columnar(source, reading)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"[") and not any(end in DELIMITED for end in path.suffixes):
        return open_json(source, reading, text.startswith(b"["))
    return open_delimited(source, reading)


def read_table(path: str | Path, reading: Reading | None = None) -> Table:
    """All rows of a file: in memory, or above `spool.SPOOLED_ABOVE` in columns mapped to memory.

    A column is numbers where every field of it is a plain number or stands for a missing value, else texts as they are
    written. Errors: those of `open_file`; DataError naming the file and the line for a row that does not fit.
    """
    return table_of(open_file(path, reading))


def table_of(file: File) -> Table:
    """All rows of an open file."""
    try:
        found = gathered(file, file.names)
    except LateColumn:
        found = gathered(file, file.names)
    columns = {name: column.whole() for name, column in found.columns.items() if not column.late}
    if found.late:
        again = gathered(file, found.late, texts=found.late)
        columns |= {name: column.whole() for name, column in again.columns.items()}
    lines = None if found.lines is None else found.lines.whole()
    files = file.parts if isinstance(file, Several) else ()
    whole = {name: columns[name] for name in file.names}
    return Table(whole, file.name, lines, found.rows, files, tuple(dict.fromkeys(file.notes)))


def gathered(file: File, names: Collection[str], texts: Collection[str] = ()) -> Gathering:
    """The columns of a file that are called so. texts: those that are not tried as numbers."""
    found = Gathering(names, {*texts, *file.reading.texts})
    for piece in file.pieces(found.texts, names):
        found.add(piece)
    return found
