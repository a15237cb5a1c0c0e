"""Table: named columns of numbers, moments and texts in memory, from whatever holds them: data frames, Arrow tables,
dicts, records, arrays. Knows no files and no meaning of a column.
"""

import datetime
import decimal
import math
import numbers
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.arrays import Array, as_array
from fallline.errors import ArgumentTypeError, DataError, nearest

CELLS = "columns hold numbers, texts or dates\n  try: leave the column out"
MOMENT = np.dtype("datetime64[us]")
# More lines than a file has.
FILE = 2**40


@dataclass(frozen=True, eq=False)
class Texts:
    """A column of texts, each distinct text once.

    codes: (N,) int32, the place of each row's text in `levels`; -1 where it is missing. levels: distinct texts, as they
    are written. categorical: the holder calls them categories, though they may look like numbers.
    """

    codes: Array
    levels: tuple[str, ...]
    categorical: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> "Texts":
        """Some rows, with the same levels."""
        return replace(self, codes=self.codes[rows])

    def strings(self) -> Array:
        """(N,) the text of each row, an array of objects; None where it is missing."""
        return self._with_none[self.codes]

    @cached_property
    def _with_none(self) -> Array:
        """The levels and None after them, where the code -1 finds it."""
        found = np.empty(len(self.levels) + 1, object)
        found[:-1] = self.levels
        return found

    @staticmethod
    def of(strings: Sequence[Any] | Array) -> "Texts":
        """Texts from one cell a row, None or NaN where it is missing; levels in the order of their first rows."""
        strings = strings.tolist() if isinstance(strings, np.ndarray) else strings
        if {*map(type, strings)} <= _TEXTS:  # most often, and in a tenth of the time
            distinct = dict.fromkeys(strings)
            gone = [one for one in distinct if type(one) is not str]
            if all(map(is_missing, gone)):
                levels = [one for one in distinct if type(one) is str]
                place = {**dict.fromkeys(gone, -1), **dict(zip(levels, range(len(levels))))}
                return Texts(np.fromiter(map(place.__getitem__, strings), np.int32, len(strings)), tuple(levels))
        places: dict[Any, int] = {None: -1}
        cells = (one if type(one) is str else None if is_missing(one) else str(one) for one in strings)
        codes = np.fromiter((places.setdefault(one, len(places) - 1) for one in cells), np.int32, len(strings))
        del places[None]
        return Texts(codes, tuple(map(str, places)))


# The types of cells in a column of texts, and in one of numbers, as they most often are.
_TEXTS = frozenset({str, type(None), float})
_NUMBERS = frozenset({int, float, type(None), np.float64, np.float32, np.int64})

# Numbers (float, whole or bool; NaN where missing; spans of time in seconds), moments (datetime64[us]; NaT where
# missing), or Texts.
Values = Array | Texts


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of named columns of one length, in memory or memory-mapped.

    columns: in their order. name: in messages. lines: the line of a file at which each row begins, from 1; None where
    there is no file. files: names of the files where there are several; the line of file k is k * FILE + line. notes:
    sentences for people about how it was read.
    """

    columns: Mapping[str, Values] = field(repr=False)
    name: str = "x"
    lines: Array | None = field(default=None, repr=False)
    length: int | None = None  # of a table without columns
    files: tuple[str, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return self.rows

    @cached_property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else self.length or 0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def __getitem__(self, name: str) -> Values:
        return self.columns[name]

    def take(self, rows: Any) -> "Table":
        """These rows, in this order."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        lines = None if self.lines is None else self.lines[rows]
        return Table(columns, self.name, lines, len(np.arange(self.rows)[rows]), self.files, self.notes)

    def select(self, names: Sequence[str]) -> "Table":
        """These columns, in this order. Errors: DataError naming those that are not there."""
        if tuple(names) == self.names:
            return self
        wrong = [
            f"{self.name} has no column {one!r}{nearest(one, self.names)}" for one in names if one not in self.columns
        ]
        if wrong:
            more = f"\n  and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise DataError("\n  ".join(wrong[:5]) + more)
        return replace(self, columns={name: self.columns[name] for name in names}, length=self.rows)

    def renamed(self, names: Sequence[str]) -> "Table":
        """The same columns under other names, as many."""
        return replace(self, columns=dict(zip(names, self.columns.values(), strict=True)), length=self.rows)

    def drop(self, names: Sequence[str]) -> "Table":
        """All columns but these."""
        return self.select([name for name in self.names if name not in names])

    def place(self, row: int) -> str:
        """A row in words: `data.csv, line 17`, or `row 16 of x`."""
        if self.lines is None:
            return f"row {row} of {self.name}"
        file, line = divmod(int(self.lines[row]), FILE)
        return f"{self.files[file] if self.files else self.name}, line {line}"


def is_named(given: Any) -> bool:
    """Whether a value is a dict of columns, or a list of dicts, a row each."""
    rows = isinstance(given, list | tuple) and bool(given)
    return isinstance(given, Mapping) or (rows and isinstance(given[0], Mapping))


def is_table(given: Any) -> bool:
    """Whether a value has named columns or cells of several kinds: anything but an array or nested lists of numbers."""
    if isinstance(given, Table) or hasattr(given, "columns") or is_named(given):
        return True
    dtype = getattr(given, "dtype", None)
    return isinstance(dtype, np.dtype) and (dtype.kind in "OUSTM" or dtype.names is not None)


def as_table(given: Any, what: str = "x", names: Sequence[str] | None = None) -> Table:
    """A table from pandas, polars, Arrow and other frames, a dict of columns, a list of dicts (a row each), a
    structured array, or an array (N, D) of any kind.

    names: of the columns of an array; by default "0", "1" ...
    Errors: ArgumentTypeError for anything else; DataError for columns of several lengths or cells that are no numbers,
        texts or moments.
    """
    if isinstance(given, Table):
        return given
    if isinstance(given, Mapping):
        return _of_dict(given, what)
    if hasattr(given, "collect"):
        kind = type(given).__name__
        raise ArgumentTypeError(f"{what} is a {kind}, which holds no rows yet\n  try: {what}.collect()")
    if hasattr(given, "columns") or hasattr(given, "__arrow_c_stream__"):
        return _of_frame(given, what)
    if isinstance(given, list | tuple) and given and isinstance(given[0], Mapping):
        return _of_records(given, what)
    array = given if isinstance(given, np.ndarray) and type(given) is np.ndarray else _as_array(given, what)
    if array.dtype.names is not None:
        return _of_dict({name: array[name] for name in array.dtype.names}, what)
    if array.ndim != 2:
        raise DataError(f"{what} has shape {array.shape}, and a table has rows and columns, (N, D)")
    names = [*map(str, range(array.shape[1]))] if names is None else names
    if len(names) != array.shape[1]:
        raise DataError(f"{what} has {array.shape[1]} columns, and {len(names)} were expected: {', '.join(names[:5])}")
    columns = {name: values_of(array[:, i], f"{what}, column {name!r}") for i, name in enumerate(names)}
    return Table(columns, what, None, len(array))


def _as_array(given: Any, what: str) -> Array:
    if isinstance(given, str | bytes) or given is None:
        raise ArgumentTypeError(
            f"{what} is {shown(given)}, not a table\n  try: a data frame, a dict of columns, or an array"
        )
    if isinstance(given, list | tuple) and any(isinstance(row, list | tuple) for row in given):
        cells = [list(row) if isinstance(row, list | tuple) else row for row in given]
        widths = {len(row) if isinstance(row, list) else 0 for row in cells}
        if len(widths) == 1 and any(isinstance(cell, str) or cell is None for row in cells for cell in row):
            array = np.empty((len(cells), widths.pop()), object)
            for i, row in enumerate(cells):
                array[i] = row
            return array
    return as_array(given, what)


def _of_dict(given: Mapping[Any, Any], what: str) -> Table:
    columns = {}
    for name, cells in given.items():
        if not isinstance(name, str):
            raise DataError(
                f"{what}: a column is called {name!r:.40}, and names of columns are texts\n  try: {str(name)!r}"
            )
        columns[name] = values_of(cells, f"{what}, column {name!r}")
    lengths = {name: len(values) for name, values in columns.items()}
    if len({*lengths.values()}) > 1:
        told = ", ".join(f"{name!r} has {n}" for name, n in list(lengths.items())[:6])
        raise DataError(f"{what}: the columns of a table have one length, and {told}")
    return Table(columns, what)


def _of_records(given: Sequence[Mapping[Any, Any]], what: str) -> Table:
    first = [*given[0]]
    if len(first) > 1 and {*map(len, given)} == {len(first)}:
        try:
            return _of_dict(dict(zip(first, zip(*map(operator.itemgetter(*first), given)))), what)
        except KeyError:  # rows of as many other names
            pass
    names = dict.fromkeys(name for row in given for name in row)
    return _of_dict({name: [row.get(name) for row in given] for name in names}, what)


def _of_frame(given: Any, what: str) -> Table:
    """A frame of another library, through narwhals."""
    import narwhals as nw

    try:
        frame = nw.from_native(given, eager_only=True)
    except TypeError as error:
        raise ArgumentTypeError(f"{what} is {shown(given)}, which is no data frame: {error}") from None
    columns: dict[str, Values] = {}
    for series in frame.iter_columns():
        name = str(series.name)
        if name in columns:
            raise DataError(f"{what} has two columns called {name!r}")
        columns[name] = _of_series(series, f"{what}, column {name!r}")
    return Table(columns, what, None, len(frame))


def _of_series(series: Any, what: str) -> Values:
    """A column of a frame as Values."""
    import narwhals as nw

    kind = series.dtype
    if kind in (nw.Categorical, nw.Enum) or isinstance(kind, nw.Enum):
        return replace(Texts.of(series.to_list()), categorical=True)
    if kind == nw.Boolean or kind.is_numeric():
        wide = str(kind) in ("Int128", "UInt128")  # which NumPy lacks
        array = np.array(series.to_list(), object) if wide else series.to_numpy()
        if array.dtype.kind in "fiub":  # objects where a bool or a whole number is missing
            return values_of(array, what)
    if kind == nw.String:
        return _of_strings(series)
    if kind in (nw.Datetime, nw.Date, nw.Duration):
        zone = getattr(kind, "time_zone", None)
        plain = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series
        array = plain.to_numpy()
        if array.dtype.kind in "mM":
            return values_of(array, what)
    return values_of(series.to_list(), what)


def _of_strings(series: Any) -> Texts:
    """A column of texts; Arrow finds the distinct ones where it can read the column."""
    try:
        found = series.to_arrow().dictionary_encode()
        codes = found.indices.to_numpy(zero_copy_only=False)
    except (ImportError, AttributeError, TypeError, ValueError):  # Arrow's own errors are these
        return Texts.of(series.to_list())
    levels = found.dictionary.to_pylist()
    if not all(type(level) is str for level in levels):  # of a column of nothing but missing cells, None is one
        return Texts.of(series.to_list())
    codes = np.where(np.isnan(codes), -1, codes) if codes.dtype.kind == "f" else codes
    return Texts(codes.astype(np.int32, copy=False), tuple(levels))


def is_missing(cell: Any) -> bool:
    """Whether a cell stands for a value that is not there: None, NaN, NaT, pandas' NA."""
    if cell is None or type(cell).__name__ == "NAType":
        return True
    return isinstance(cell, float | np.floating | np.datetime64 | datetime.date) and bool(cell != cell)


def values_of(cells: Any, what: str) -> Values:
    """One column, (N,), as numbers, moments or texts.

    Errors: DataError for cells that are none of these, naming the first one.
    """
    if isinstance(cells, Texts):
        return cells
    array = cells if isinstance(cells, np.ndarray) else np.asarray(cells) if hasattr(cells, "__array__") else None
    if array is None:
        found = [*cells] if not isinstance(cells, str | bytes) and hasattr(cells, "__iter__") else None
        if found is None:
            raise DataError(f"{what}: a column is a list of cells, got {shown(cells)}")
        kinds = {*map(type, found)}
        if kinds <= _NUMBERS:
            return _numbers(found)
        if str in kinds and kinds <= _TEXTS:
            return Texts.of(found)
        array = np.empty(len(found), object)
        for i, cell in enumerate(found):
            array[i] = cell
    if array.ndim != 1:
        raise DataError(f"{what}: a column has one cell a row, got an array of shape {array.shape}")
    kind = array.dtype.kind
    if kind in "fiub":
        if array.dtype.itemsize == 2 and kind == "f":  # beyond 65504 of which all is infinite
            return array.astype(np.float64)
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if kind == "M":
        return array.astype(MOMENT)
    if kind == "m":  # a span of time, in seconds
        return np.where(np.isnat(array), np.nan, array / np.timedelta64(1, "s"))
    if kind in "UT":
        return Texts.of(array.tolist())
    if kind != "O":
        raise DataError(
            f"{what} holds {array.dtype}; columns hold numbers, texts or dates\n  try: leave the column out"
        )
    return _of_objects(array, what)


def _numbers(cells: Sequence[Any]) -> Array:
    """Python's numbers as float64, with NaN for None; one that is too large for any float is infinite."""
    try:
        return np.array(cells, np.float64)
    except OverflowError:
        return np.array([np.nan if one is None else _as_float(one) for one in cells])


def _as_float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _of_objects(array: Array, what: str) -> Values:
    missing = np.fromiter((is_missing(cell) for cell in array), bool, len(array))
    there = array[~missing]
    number = (numbers.Real, np.bool_, np.number, decimal.Decimal)
    if len(there) and all(isinstance(cell, bool | np.bool_) for cell in there):
        return Texts.of(array) if missing.any() else array.astype(bool)
    if len(there) and all(isinstance(cell, datetime.timedelta | np.timedelta64) for cell in there):
        seconds = np.full(len(array), np.nan)
        seconds[~missing] = [cell / np.timedelta64(1, "s") for cell in there]
        return seconds
    if all(isinstance(cell, number) for cell in there):
        found = np.full(len(array), np.nan)
        found[~missing] = [float(cell) for cell in there]
        return found
    if all(isinstance(cell, datetime.date | np.datetime64) for cell in there):
        moments = np.full(len(array), np.datetime64("NaT"), MOMENT)
        moments[~missing] = [_moment(cell) for cell in there]
        return moments
    strange = next((i for i, cell in enumerate(array) if not missing[i] and not isinstance(cell, (str, *number))), None)
    if strange is not None:
        told = f"{what} holds {type(array[strange]).__name__} {array[strange]!r:.40} in row {strange}"
        raise DataError(f"{told}; {CELLS}")
    return Texts.of([None if gone else str(cell) for cell, gone in zip(array, missing)])


def _moment(cell: Any) -> np.datetime64:
    """A date or a moment; one with a time zone as UTC."""
    if isinstance(cell, datetime.datetime) and cell.tzinfo is not None:
        cell = cell.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(cell).astype(MOMENT)
