"""Any file of a table: the format is recognised by what the file holds, and rows come as Tables.

Delimited text, Parquet, Arrow and Feather, JSON lines; gzip, bzip2, xz, zstd, zip; folders and patterns of them.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from fallline.data.delimited import open_delimited
from fallline.data.piece import Piece
from fallline.data.raw_bytes import bytes_of
from fallline.data.reading import Reading
from fallline.data.spool import Gathering
from fallline.table import Table


class File(Protocol):
    """An open file, or several as one. names: of its columns. notes: sentences about what was recognised."""

    @property
    def notes(self) -> list[str]: ...

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def pieces(self, texts: Collection[str] = (), only: Collection[str] | None = None) -> Iterator[Piece]: ...


def open_file(path: str | Path, reading: Reading | None = None) -> File:
    """A file, its format and its columns. Errors: MissingFileError; DataError for one that is no table."""
    return open_delimited(bytes_of(Path(path)), reading or Reading())


def read_table(path: str | Path, reading: Reading | None = None) -> Table:
    """All rows of a file: in memory, or above `spool.SPOOLED_ABOVE` in columns mapped to memory.

    A column is numbers where every field of it is a plain number or stands for a missing value, else texts as they are
    written. Errors: those of `open_file`; DataError naming the file and the line for a row that does not fit.
    """
    return table_of(open_file(path, reading))


def table_of(file: File) -> Table:
    """All rows of an open file."""
    found = gathered(file, file.names)
    columns = {name: column.whole() for name, column in found.columns.items() if not column.late}
    if found.late:
        again = gathered(file, found.late, texts=found.late)
        columns |= {name: column.whole() for name, column in again.columns.items()}
    lines = None if found.lines is None else found.lines.whole()
    return Table({name: columns[name] for name in file.names}, file.name, lines, found.rows)


def gathered(file: File, names: Collection[str], texts: Collection[str] = ()) -> Gathering:
    found = Gathering(names, texts)
    for piece in ahead(file.pieces(found.texts, names)):
        found.add(piece)
    return found


def ahead(pieces: Iterator[Any]) -> Iterator[Any]:
    return pieces
