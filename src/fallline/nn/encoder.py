"""Encoders and decoders around a network: an encoder turns the columns of a table into its inputs, a decoder turns its
outputs into labels or quantities with a unit. Both are frozen records, part of the model, and saved with it.

The kinds of column are those of column.py. All is computed in float64 and rounded to the network's precision last, so
a row has the same bits whoever asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fallline import ranges
from fallline.arguments import Form, shown, takes
from fallline.arrays import as_array
from fallline.config import saved
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, FalllineError, nearest
from fallline.graph.op import Array
from fallline.nn.column import KINDS, PLAIN, Standardised, named, numbers_of
from fallline.nn.data_parts import is_stream
from fallline.nn.intake import Problems, as_numbers, check_finite
from fallline.nn.notation import Notation
from fallline.ranges import FLAG
from fallline.stored import Stored, is_source, parts_of_source, stored
from fallline.table import Table, Values, as_table, is_named, is_table

# Numbers encoded at once: the float64 values in between stay in the cache.
_BLOCK = 1 << 16


@saved
@dataclass(frozen=True)
class Columns:
    """The encoder of a table: its columns in order, each with what becomes of it.

    columns: records of KINDS, one for each column of the rows that a model with this encoder takes, (N, D).
    Errors: ArgumentTypeError for a value that is no column; ArgumentError for none, or two of one name.
    Example: Columns((Standardised("length", 5.84, 0.83), Standardised("width", 3.05, 0.43)))
    """

    columns: tuple[Any, ...]

    def __post_init__(self) -> None:
        columns = tuple(self.columns) if isinstance(self.columns, list | tuple) else ()
        if not columns:
            raise ArgumentError(f"an encoder takes one column or more, in a tuple, got {self.columns!r:.60}")
        for place, one in enumerate(columns):
            if not isinstance(one, tuple(KINDS.values())):
                raise ArgumentTypeError(f"column {place} of an encoder is {one!r:.60}, not one of {', '.join(KINDS)}")
        names = [one.name for one in columns]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1] if len({*names}) < len(names) else []
        if twice:
            raise ArgumentError(f"two columns of an encoder are called {twice[0]!r}")
        object.__setattr__(self, "columns", columns)

    def __repr__(self) -> str:
        return f"Columns({len(self.columns)}, the first {self.columns[0]!r})"

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.columns)

    @cached_property
    def width(self) -> int:
        """Numbers that the network gets for a row."""
        return sum(one.width for one in self.columns)

    @cached_property
    def _parts(self) -> list[tuple[Callable[[Array], Array], Any, Any]]:
        """For each kind: how it is encoded, the columns it reads, and the places its numbers go to."""
        starts = np.cumsum([0, *(one.width for one in self.columns)])
        found = []
        for kind in dict.fromkeys(type(one) for one in self.columns):
            read = [place for place, one in enumerate(self.columns) if type(one) is kind]
            write = np.concatenate([np.arange(starts[place], starts[place + 1]) for place in read])
            if not len(write):
                continue
            encoded = KINDS[kind.__name__].together([self.columns[i] for i in read])
            found.append((encoded, _as_slice(read), _as_slice(write)))
        return found

    @cached_property
    def _strict(self) -> list[int]:
        """The places of columns whose numbers have to be finite."""
        return [place for place, one in enumerate(self.columns) if not one.takes_missing]

    @cached_property
    def _counted(self) -> bool:
        """Whether the names only count the columns, "0", "1" ..., and are no names."""
        return self.names == tuple(map(str, range(len(self.names))))

    def numbers(self, x: Any, what: str, problems: Problems) -> Array | None:
        """One number for each cell of a table, (N, D) in the encoder's order; None after adding to `problems`.

        x: a table in any form that `as_table` takes, whose columns are found by name; or an array of numbers, (N, D),
        as it is, which may be Stored. Other columns of a table do not matter.
        """
        try:
            if not is_table(x) or (len(self._strict) == len(self.columns) and not is_named(x)):
                return as_numbers(self._in_order(x, what), what, problems)
            return self.table_numbers(x, what)
        except FalllineError as error:
            problems.data.append(str(error))
            return None

    def table_numbers(self, x: Any, what: str) -> Array:
        """One number for each cell of a table in any form that `as_table` takes, (N, D) in the encoder's order.

        Errors: DataError for columns that are not there, and for cells that their column cannot read.
        """
        table = as_table(x, what, None if hasattr(x, "columns") else self.names)
        is_placed = self._counted and len(table.names) == len(self.names)
        chosen = [*(table if is_placed else table.select(self.names)).columns.values()]
        out, wrong = np.empty((table.rows, len(self.columns))), []
        for place, (one, values) in enumerate(zip(self.columns, chosen)):
            try:
                out[:, place] = one.read(values)
            except FalllineError as error:
                wrong.append(f"{what}: {error}")
        if wrong:
            raise DataError("\n  ".join(wrong[:5]))
        return out

    def are_finite(self, numbers: Array, what: str, problems: Problems, rows: Array | None = None) -> bool:
        """Whether the numbers are finite in each column that does not take missing values; adds to `problems` if not.

        rows: their places among all rows, where these are some of them.
        """
        if len(self._strict) == len(self.columns):
            return check_finite(numbers, what, np.float64, problems, rows)
        return not self._strict or check_finite(numbers[:, self._strict], what, np.float64, problems, rows)

    def _in_order(self, x: Any, what: str) -> Any:
        """The columns of a data frame in the encoder's order; anything else as it is."""
        if isinstance(x, Table):
            return self.table_numbers(x, what)
        given = getattr(x, "columns", None)
        if given is None or not all(isinstance(name, str) for name in given):
            return x
        if self._counted:
            return x
        wrong = [f"{what} has no column {name!r}{nearest(name, given)}" for name in self.names if name not in [*given]]
        if wrong:
            raise DataError("\n  ".join(wrong[:5]))
        return x if [*given] == [*self.names] else x[[*self.names]]

    def encode(self, x: Array, dtype: Any = np.float64) -> Array:
        """The network's inputs, (N, width) in this dtype, for rows (N, D) of numbers."""
        out = np.empty((len(x), self.width), dtype)
        step = max(1, _BLOCK // len(self.columns))
        with np.errstate(over="ignore"):  # numbers too large for the dtype are found by the check of the rows
            for start in range(0, len(x), step):
                rows = np.asarray(x[start : start + step], np.float64)
                for encoded, read, write in self._parts:
                    out[start : start + step, write] = encoded(rows[:, read])
        return out

    def __getstate__(self) -> Mapping[str, Any]:
        return {"columns": self.columns}


def _as_slice(places: Any) -> Any:
    """The same places as a slice, which copies nothing, where they follow one another."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == len(places) else places


@saved
@dataclass(frozen=True)
class Labels:
    """The decoder of a classifier: output k means labels[k].

    target: the name of the labels' column. labels: all texts or all whole numbers, each once.
    Errors: ArgumentError for fewer than two, or labels of several kinds.
    Example: Labels("species", ("setosa", "versicolor", "virginica"))
    """

    target: str
    labels: tuple[Any, ...]

    def __post_init__(self) -> None:
        named(self, self.target)
        given = self.labels.tolist() if isinstance(self.labels, np.ndarray) else self.labels
        labels = tuple(given) if isinstance(given, list | tuple) else ()
        kinds = {type(label) for label in labels}
        whole = kinds == {int} and all(-(2**63) <= label < 2**63 for label in labels)
        if len({*labels}) < max(2, len(labels)) or not (whole or kinds == {str}):
            raise ArgumentError(f"labels are two or more texts or whole numbers, each once, got {given!r:.60}")
        object.__setattr__(self, "labels", labels)

    @property
    def classes(self) -> Array:
        """The labels as an array."""
        return np.array(self.labels)


@saved
@dataclass(frozen=True)
class Quantity:
    """The decoder of a regression: y = mean + scale * output, in the units of the target.

    target: the name of the predicted column. mean, scale: in its units; the targets of a training are taken through
    the inverse. lowest, highest: predictions are cut to these; None leaves them. notation: how targets that
    are texts are written.
    Errors: ArgumentError for a scale that is not above 0, or a lowest value above the highest.
    Example: Quantity("price", 206_855.8, 115_395.6, lowest=14_999.0, highest=500_001.0)
    """

    target: str
    mean: float = ranges.option(0.0, "added last")
    scale: float = ranges.option(1.0, "multiplied by first", above=0)
    lowest: float | None = ranges.option(None, "the smallest prediction", optional=True)
    highest: float | None = ranges.option(None, "the largest prediction", optional=True)
    notation: Notation = PLAIN

    def __post_init__(self) -> None:
        named(self, self.target)
        ranges.check(self)
        if self.lowest is not None and self.highest is not None and self.lowest > self.highest:
            raise ArgumentError(f"Quantity: lowest {self.lowest!r} is above highest {self.highest!r}")

    def read(self, values: Values) -> Array:
        """The cells of a target column as numbers, float64, NaN where one is missing."""
        return numbers_of(self.target, values, self.notation)

    def encode(self, y: Any) -> Array:
        """Targets as the loss sees them, in float64."""
        encoded: Array = (np.asarray(y, np.float64) - self.mean) / self.scale
        return encoded

    def decode(self, output: Array) -> Array:
        """Predictions in the units of the target, in float64, from lowest to highest."""
        decoded = self.in_units(output)
        if self.lowest is None and self.highest is None:
            return decoded
        return np.clip(decoded, self.lowest, self.highest)

    def in_units(self, y: Array) -> Array:
        """The inverse of `encode`, in float64: targets may lie beyond the bounds of predictions."""
        decoded: Array = np.asarray(y, np.float64) * self.scale + self.mean
        return decoded


Decoder = Labels | Quantity
NAMES = Form("a list of names, one for each column", lambda given: isinstance(given, list | tuple), optional=True)


@takes(names=NAMES, same_unit=FLAG)
def standardise(x: Array, names: Sequence[str] | None = None, *, same_unit: bool = False) -> Columns:
    """The encoder that gives each column of these rows mean 0 and standard deviation 1.

    x: (N, D), the rows to measure: those to train on; what is not read whole while training, such as a large memory map
        or a Source, is read in blocks, three times. names: of the columns; without them those of a data frame, or
        "0", "1" ...; a model with named columns finds them by name in data frames.
    same_unit: all columns measure one thing (pixels) and share one mean and one scale.
    A column that is constant is only moved to zero.
    Errors: ArgumentError, ArgumentTypeError for a value that is no table of numbers.
    Example: fl.fit(network, (x, y), encoder=nn.standardise(x), loss="cross_entropy")
    """
    rows, columns = _to_measure(x), getattr(x, "columns", None)
    if names is None and columns is not None and all(isinstance(name, str) for name in columns):
        names = columns
    if rows.ndim != 2 or not rows.size or rows.dtype.kind not in "fiub":
        raise ArgumentError(f"columns are measured on rows of numbers, (N, D), got {rows.dtype} of shape {rows.shape}")
    d = rows.shape[1]
    names = tuple(map(str, range(d))) if names is None else tuple(names)
    if len(names) != d:
        raise ArgumentError(f"{len(names)} names for {d} columns")
    if isinstance(rows, Stored):
        mean, scale = _centre_and_spread_of(rows, same_unit)
    else:
        rows = _finite(rows)
        mean, scale = centre_and_spread(rows.reshape(-1, 1) if same_unit else rows)
    return Columns(
        tuple(Standardised(*one) for one in zip(names, *(np.broadcast_to(part, d).tolist() for part in (mean, scale))))
    )


def centre_and_spread(x: Array) -> tuple[Any, Any]:
    """Mean and standard deviation along the first axis; the spread of a constant column is 1.

    Both are taken of x / max|x|, so that squares of large numbers do not overflow; a spread at the level of rounding
    counts as none.
    """
    size = np.abs(x).max(axis=0)
    size = np.where(size > 0, size, 1.0)
    unit = x / size
    spread = unit.std(axis=0)
    return unit.mean(axis=0) * size, np.where(spread > 1e-12, spread * size, 1.0)


def _to_measure(x: Any) -> Any:
    """Rows to measure, as an array, or Stored where they are not to be read whole."""
    if is_stream(x) and not hasattr(x, "__len__"):
        raise ArgumentError(f"columns are measured on an array of rows, got {shown(x)}\n"
                            "  try: nn.standardise of some rows in memory, such as next(iter(batches))[0]")  # fmt: skip
    held = parts_of_source(x, ("x",))["x"] if is_source(x) else stored(x)
    if isinstance(held, dict):
        raise ArgumentError(f"columns are measured on one input, got several, {', '.join(held)}")
    return held if isinstance(held, Stored) else as_array(x, "x")


def _finite(rows: Array) -> Array:
    """Rows in float64. Errors: ArgumentError for NaN and infinity."""
    rows = np.asarray(rows, np.float64)
    if not np.isfinite(rows).all():
        raise ArgumentError("columns are measured on finite numbers, and some of x are NaN or infinite")
    return rows


def _centre_and_spread_of(rows: Stored, same_unit: bool) -> tuple[Any, Any]:
    """`centre_and_spread` of rows that are read in blocks, to the same bits where there are several columns."""
    width = 1 if same_unit else rows.shape[1]
    count = rows.size // width
    step = max(1, _BLOCK // rows.shape[1])

    def add_up(function: Callable[[Array], Array], add: np.ufunc = np.add) -> Array:
        total: Array | None = None
        for start in range(0, len(rows), step):
            block = function(_finite(rows[np.arange(start, min(start + step, len(rows)))]).reshape(-1, width))
            total = add.reduce(block if total is None else np.concatenate([total[np.newaxis], block]), axis=0)
        assert total is not None  # there is a row
        return total

    size = add_up(np.abs, np.maximum)
    size = np.where(size > 0, size, 1.0)
    mean = add_up(lambda x: x / size) / count
    spread = np.sqrt(add_up(lambda x: np.square(x / size - mean)) / count)
    return mean * size, np.where(spread > 1e-12, spread * size, 1.0)
