"""Batches of the rows of a Parquet file, which is never read whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.arguments import PATH, record, shown
from fallline.errors import ArgumentError, ArgumentTypeError, MissingFileError, ReadingError, nearest
from fallline.graph.op import Array
from fallline.ranges import option


@record
@dataclass(frozen=True)
class Parquet:
    """Batches (x, y) of the rows of a Parquet file, in their order; goes through it anew each time.

    path: of the file. target: the column to predict. columns: those of x, in this order; None for all but the target.
    batch_rows: read at a time; a step takes `batch_size` rows, whatever this is.
    Missing entries come as NaN, and are refused while training like any NaN. Columns of x hold numbers.
    Errors: MissingFileError; ReadingError for a file of another kind; ArgumentError for a column that the file
    does not have, or that holds no numbers; ArgumentTypeError for other columns, and where pyarrow is not installed.
    Example: fl.fit(network, Parquet("flights.parquet", target="delay"), loss="squared_error", epochs=3)
    """

    path: Any
    target: str
    columns: Sequence[str] | None = None
    batch_rows: int = option(1 << 16, "rows read at a time", at_least=1, whole=True)

    def __post_init__(self) -> None:
        ranges.check(self)
        wrong = PATH.problem(self.path)
        if wrong:
            raise ArgumentTypeError(f"path {wrong}")
        if self.columns is not None and (isinstance(self.columns, str) or not isinstance(self.columns, Sequence)):
            raise ArgumentTypeError(f"columns are names in a list or a tuple, got {shown(self.columns)}")
        with self._opened() as file:
            known = list(file.schema_arrow.names)
        columns = [name for name in known if name != self.target] if self.columns is None else list(self.columns)
        if not columns:
            raise ArgumentError(f"x takes one column or more, and {self.path} is left with none")
        missing = [name for name in (*columns, self.target) if name not in known]
        if missing:
            problems = (f"{self.path} has no column {name!r}{nearest(str(name), known)}" for name in missing)
            raise ArgumentError("\n  ".join(problems))
        object.__setattr__(self, "columns", tuple(columns))

    def _opened(self) -> Any:
        try:
            from pyarrow import parquet
        except ImportError:
            raise ArgumentTypeError("reading a Parquet file takes pyarrow\n  try: pip install pyarrow") from None
        try:
            return parquet.ParquetFile(self.path)
        except FileNotFoundError:
            raise MissingFileError(f"there is no file {self.path}") from None
        except (OSError, ValueError) as error:  # pyarrow's own errors are among them
            raise ReadingError(f"{self.path} cannot be read as Parquet: {error}") from error

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        assert self.columns is not None
        names = list(dict.fromkeys([*self.columns, self.target]))
        with self._opened() as file:
            for batch in file.iter_batches(batch_size=self.batch_rows, columns=names):
                x = [self._numbers(batch.column(name), name) for name in self.columns]
                yield np.column_stack(x), batch.column(self.target).to_numpy(zero_copy_only=False)

    def _numbers(self, column: Any, name: str) -> Array:
        array: Array = column.to_numpy(zero_copy_only=False)
        if array.dtype.kind not in "fiub":
            raise ArgumentError(
                f"column {name!r} of {self.path} holds {column.type}, and x is made of numbers\n"
                "  try: columns=, without it"
            )
        return array
