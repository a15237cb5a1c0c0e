"""The rows of a large table as numbers that are read a window at a time, so that they never lie in memory at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.nn.encoder import Columns
from fallline.source import Form
from fallline.stored import parts_of_source
from fallline.table import Table, Texts


class TableRows:
    """A Source of some rows of a table: one number for each column of an encoder, as its columns read them.

    rows: how many. A text is read once, however many rows have it.
    """

    def __init__(self, table: Table, rows: Array, encoder: Columns) -> None:
        self._index = rows
        self._columns: list[tuple[Any, Array, Array | None]] = []
        for one in encoder.columns:
            values = table[one.name]
            if isinstance(values, Texts):
                every = np.append(np.arange(len(values.levels), dtype=np.int32), np.int32(-1))
                self._columns.append((one, values.codes, one.read(Texts(every, values.levels))))
            else:
                self._columns.append((one, values, None))

    @property
    def rows(self) -> int:
        return len(self._index)

    @property
    def form(self) -> Mapping[str, Form]:
        return {"x": Form((len(self._columns),), np.dtype(np.float64))}

    def read(self, rows: Array, into: Mapping[str, Array]) -> None:
        order = np.argsort(rows, kind="stable")  # a memory map is read from its front to its end
        index, out = self._index[rows[order]], into["x"]
        for place, (column, cells, known) in enumerate(self._columns):
            out[order, place] = column.read(cells[index]) if known is None else known[cells[index]]


def numbers_of(table: Table, rows: Array, encoder: Columns) -> Any:
    """These rows as a training or a prediction takes numbers that stay where they are stored."""
    return parts_of_source(TableRows(table, rows, encoder), ("x",))["x"]
