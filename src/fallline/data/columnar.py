"""Files whose columns have types: Parquet, Feather and Arrow IPC. Texts in them stay texts."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.data.header import column_names
from fallline.data.one_file import OneFile
from fallline.data.piece import Piece, blank_columns, cells_of, strange
from fallline.data.raw_bytes import Bytes
from fallline.data.reading import Reading
from fallline.errors import DataError

# Rows that are read at once.
ROWS = 2**17

# First bytes of each format.
PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"


@dataclass(frozen=True)
class Columnar(OneFile):
    """An open file of typed columns."""

    def pieces(self, texts: Collection[str] = (), only: Collection[str] | None = None) -> Iterator[Piece]:
        """The rows, from the first. texts: columns that are read as they are written. only: those that are read."""
        wanted = self.wanted(only)
        places = self.places(wanted)
        with batches(self.source, places) as (_, found):
            for batch in found:
                columns = blank_columns(self.reading, wanted, batch.num_rows)
                for i, column in zip(places, batch.columns):
                    name = self.all_names[i]
                    written = name in texts or name in self.reading.texts
                    columns[name] = cells_of(column, f"{self.name}, column {name!r}", written)
                yield Piece(columns, None, batch.num_rows)


@contextmanager
def batches(source: Bytes, wanted: Sequence[int] | None) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The schema of a file, and its rows some at a time: the columns at these places, or none of them with None."""
    import pyarrow
    from pyarrow import ipc, parquet

    with source.opened() as raw:
        start = raw.read(8)
        raw.seek(0)
        opened = str(source.file) if isinstance(source.file, Path) else pyarrow.PythonFile(raw, mode="r")
        try:
            if start.startswith(PARQUET):
                with parquet.ParquetFile(opened, memory_map=True) as file:
                    schema = file.schema_arrow
                    names = None if wanted is None else [schema.names[i] for i in wanted]
                    yield schema, iter(()) if names is None else file.iter_batches(ROWS, columns=names)
                return
            stream = pyarrow.memory_map(opened) if isinstance(opened, str) else opened
            if start.startswith(ARROW_FILE):
                with ipc.open_file(stream) as file:
                    every = (file.get_batch(i) for i in range(file.num_record_batches))
                    yield file.schema, (batch.select(list(wanted or ())) for batch in every)
            else:
                with ipc.open_stream(stream) as file:
                    yield file.schema, (batch.select(list(wanted or ())) for batch in file)
        except pyarrow.ArrowException as error:
            raise DataError(f"{source.name} cannot be read: {error}") from None


def open_columnar(source: Bytes, reading: Reading) -> Columnar:
    """A file of typed columns. Errors: DataError for columns whose cells are lists or records, all of them named."""
    with batches(source, None) as (schema, _):
        notes: list[str] = []
        names = column_names(schema.names, notes)
        found = Columnar(source, reading, names, notes=notes)
        problems = [strange(f"{source.name}, column {name!r}", kind) for name, kind in zip(names, schema.types)
                    if name not in reading.drop | reading.blank]  # fmt: skip
    told = [problem for problem in problems if problem]
    if told:
        raise DataError("\n  ".join(told[:5]) + (f"\n  and {len(told) - 5} more" if len(told) > 5 else ""))
    if len({*schema.names}) < len(schema.names):
        raise DataError(f"{source.name}: {'; '.join(notes)}\n  try: a name of its own for each column")
    return found
