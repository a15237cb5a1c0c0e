"""Columns that grow piece by piece: in memory, or above a limit in temporary files that are mapped to memory.

A temporary file has no name, so the system removes it when nobody maps it any more, also after a crash.
"""

import errno
import tempfile
import weakref
from collections.abc import Iterable
from typing import IO, Any

import numpy as np

from fallline.arrays import Array
from fallline.data.arrow import as_numpy
from fallline.errors import DataError
from fallline.table import Texts, Values

# Bytes of all columns together above which they go to temporary files; of distinct texts of one column.
SPOOLED_ABOVE, MOST_TEXT = 2**30, 2**30
# Bytes of texts that wait to be coded at once. Of 4,000,000 distinct texts (305 MB), 2**24, 2**26 and 2**28 took 6.8,
# 7.1 and 8.4 s of processor time and 1.2, 1.3 and 1.8 GB at most.
WAITING = 2**24
ROWS = 2**20


class Numbers:
    """Numbers or moments, one a row. `spool` moves them to a file."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.rows = np.dtype(dtype), 0
        self.parts: list[Array] = []
        self.file: IO[bytes] | None = None

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return sum(part.nbytes for part in self.parts)

    def add(self, values: Array) -> None:
        dtype = _common(self.dtype, values.dtype)
        if dtype != self.dtype:
            self._convert(dtype)
        self.parts.append(np.ascontiguousarray(values, dtype))
        self.rows += len(values)
        if self.file is not None:
            self.spool()

    def spool(self) -> None:
        """Write what is in memory to the file."""
        if self.file is None:
            self.file = tempfile.TemporaryFile("w+b", prefix="fallline-")  # noqa: SIM115
            self.close = weakref.finalize(self, self.file.close)
        try:
            for part in self.parts:
                self.file.write(part.data.cast("B") if part.size else b"")
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise DataError(
                f"the folder for temporary files, {tempfile.gettempdir()}, has no room left for the columns\n"
                "  try: TMPDIR=, a folder with room for them, or columns left out (--drop)"
            ) from None
        self.parts = []

    def _convert(self, dtype: np.dtype[Any]) -> None:
        self.parts = [part.astype(dtype) for part in self.parts]
        if self.file is not None:
            before, self.file, self.parts = self.whole(), None, []
            self.dtype = dtype
            for i in range(0, len(before), ROWS):
                self.parts.append(before[i : i + ROWS].astype(dtype))
                self.spool()
        self.dtype = dtype

    def whole(self) -> Array:
        """All rows."""
        if self.file is None:
            return self.parts[0] if len(self.parts) == 1 else np.concatenate([np.empty(0, self.dtype), *self.parts])
        self.file.flush()
        if not self.rows:
            return np.empty(0, self.dtype)
        found = np.memmap(self.file, self.dtype, "r+", shape=(self.rows,))
        self.close()  # the map keeps it
        return found


def _common(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of numbers of two pieces: whole numbers and others are float64."""
    return a if a == b else np.dtype(np.float64) if {a.kind, b.kind} <= set("fiub") else np.result_type(a, b)


class Coded:
    """Texts, each distinct one once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.codes = Numbers(np.int32)
        self.places: dict[str, int] = {}
        self.waiting: list[Any] = []
        self.levels: list[str] = []
        self.bytes = self.size = self.rows = self.rows_coded = 0

    @property
    def held(self) -> int:
        return self.codes.held + self.bytes

    def add(self, strings: Any) -> None:
        """strings: an Arrow array of texts, null where missing."""
        self.waiting.append(strings)
        self.rows += len(strings)
        self.bytes += strings.nbytes
        if self.bytes > WAITING:
            self.code()

    def code(self) -> None:
        """Give every text that waits its code. Blanks around a text are no part of it."""
        import pyarrow
        from pyarrow import compute

        if not self.waiting:
            return
        coded = pyarrow.chunked_array(self.waiting, pyarrow.string()).dictionary_encode().combine_chunks()
        coded = coded.chunk(0) if isinstance(coded, pyarrow.ChunkedArray) else coded
        self.waiting, self.bytes = [], 0
        trimmed = compute.utf8_trim_whitespace(coded.dictionary)
        places = as_numpy(coded.indices, -1)
        levels = trimmed.to_pylist()
        if not self.rows_coded and trimmed.equals(coded.dictionary):
            self.levels = levels  # each once already: a place for each of them is needed when more texts come
        else:
            known = self.places = self.places or dict(zip(self.levels, range(len(self.levels))))
            codes = [known.setdefault(level, len(known)) if level else -1 for level in levels]
            places = np.array([*codes, -1], np.int32)[places]
            self.levels = [*known]
        self.rows_coded += len(places)
        self.size += trimmed.nbytes
        if self.size > MOST_TEXT:
            raise DataError(
                f"column {self.name!r} has more than {len(self.levels):,} distinct texts, {self.size:,} bytes of them\n"
                "  try: leaving it out (--drop); a text that hardly comes again predicts nothing"
            )
        self.codes.add(places)

    def spool(self) -> None:
        self.code()
        self.codes.spool()

    def whole(self) -> Texts:
        self.code()
        return Texts(self.codes.whole(), tuple(self.levels))


class Column:
    """A column whose kind follows from its pieces. late: whether a text came after numbers, whose writing is gone."""

    def __init__(self, name: str, texts: Any = ()) -> None:
        self.name = name
        self.missing = 0
        self.cells: Numbers | Coded | None = Coded(name) if name in texts else None
        self.late = False

    @property
    def held(self) -> int:
        return self.cells.held if self.cells is not None and not self.late else 0

    def add(self, cells: Any) -> None:
        """cells: an array of numbers or moments, or an Arrow array of texts."""
        number = isinstance(cells, np.ndarray)
        if not number and cells.null_count == len(cells) and not isinstance(self.cells, Coded):
            self._add_missing(len(cells))
            return
        if self.late:
            return
        if self.cells is None:
            self.cells = Numbers(cells.dtype) if number else Coded(self.name)
            self._add_missing(self.missing)
        if number != isinstance(self.cells, Numbers):
            self.late, self.cells = True, None
        else:
            self.cells.add(cells)

    def _add_missing(self, rows: int) -> None:
        if not rows:
            return
        if isinstance(self.cells, Numbers):
            moment = self.cells.dtype.kind == "M"
            self.cells.add(np.full(rows, np.datetime64("NaT"), self.cells.dtype) if moment else np.full(rows, np.nan))
        elif isinstance(self.cells, Coded):
            import pyarrow

            self.cells.add(pyarrow.nulls(rows, pyarrow.string()))
        elif self.cells is None and not self.late:
            self.missing += rows

    def spool(self) -> None:
        if self.cells is not None:
            self.cells.spool()

    def whole(self) -> Values:
        return np.full(self.missing, np.nan) if self.cells is None else self.cells.whole()


class Gathering:
    """The columns of a file while its pieces arrive."""

    def __init__(self, names: Iterable[str], texts: Any = ()) -> None:
        self.columns = {name: Column(name, texts) for name in names}
        self.lines: Numbers | None = Numbers(np.int64)
        self.rows = 0
        self.spooled = False
        # Columns that are known to be texts, whose next pieces need not be tried as numbers.
        self.texts = set(texts)

    @property
    def late(self) -> list[str]:
        return [name for name, column in self.columns.items() if column.late]

    def add(self, piece: Any) -> None:
        for name, column in self.columns.items():
            column.add(piece.columns[name])
            if column.late or isinstance(column.cells, Coded):
                self.texts.add(name)
        self.rows += piece.rows
        if piece.lines is None:
            self.lines = None
        elif self.lines is not None:
            self.lines.add(piece.lines)
        held = sum(column.held for column in self.columns.values()) + (self.lines.held if self.lines else 0)
        if not self.spooled and held > SPOOLED_ABOVE:
            self.spooled = True
            for column in self.columns.values():
                column.spool()
            if self.lines is not None:
                self.lines.spool()
