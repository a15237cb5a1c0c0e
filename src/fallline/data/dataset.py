"""A data set ready for training: rows, targets, and the meaning of their columns; and how it is cut in two.

Knows nothing of files or of networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.data.understood import Understood
from fallline.errors import ArgumentError, DataError
from fallline.nn.column import PLAIN
from fallline.nn.notation import Notation
from fallline.split import all_but, latest, split_off, whole_groups
from fallline.table import Table, Texts, as_table

# Held-out rows are chosen by this seed and never by a run's own, so that runs with other seeds are compared on the
# same rows.
SPLIT_SEED = 0
TEST_SHARE = 0.2
# Bytes of numbers from which on a table is read a window at a time; rows that its columns are then measured on, and
# rows that are held out at most, for a validation or a test.
LARGE, MOST_MEASURED, MOST_HELD = 1 << 28, 1_000_000, 200_000

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows with a target.

    x: numbers, (N, D) float64, or a Table of D columns. y: (N,), class codes 0..K-1 (int64) or quantities (float64).
    features: D column names. classes: K class names in the order of their codes, empty for regression.
    task: "classification" or "regression". name: on screen and in file names.
    same_unit: all columns measure one thing (pixels), so one mean and one scale serve them all.
    preset: that suits it where nobody says otherwise (fallline.presets).
    kinds: by name, "number", "category" or "moment" for columns whose cells do not tell: texts that are numbers,
    numbers that are codes.
    columns: how each column of a table was understood, those that are left out of x too. notes: sentences for people.
    weights: (N,), >= 0, of the rows. groups: (N,) codes of rows that belong together; order: (N,) numbers that grow
    with time; held: the test rows, where they are given. The rules of `split` follow from these three.
    target_notation: how the quantities of the target are written.
    """

    name: str
    x: Any  # Numbers, or a Table
    y: NDArray[Any]  # int64 codes or float64 quantities, by task
    features: tuple[str, ...]
    target: str
    task: str
    classes: tuple[str, ...] = ()
    same_unit: bool = False
    kinds: Mapping[str, str] = field(default_factory=dict)
    preset: str = "default"
    columns: tuple[Understood, ...] = ()
    notes: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None
    groups: Rows | None = None
    order: NDArray[np.float64] | None = None
    held: Rows | None = None
    target_notation: Notation = PLAIN

    def __len__(self) -> int:
        return len(self.y)

    @property
    def is_large(self) -> bool:
        """Whether its numbers are not to lie in memory all at once."""
        return isinstance(self.x, Table) and 8 * len(self.y) * len(self.features) > LARGE

    def some(self, rows: Rows) -> Rows:
        """Of these rows as many as columns are measured on: all, but evenly spaced ones where the data are large."""
        return rows[:: -(-len(rows) // MOST_MEASURED)] if self.is_large else rows

    @property
    def table(self) -> Table:
        """The columns by name."""
        return self.x if isinstance(self.x, Table) else as_table(self.x, self.name, self.features)

    def kind(self, name: str) -> str:
        """The kind of a column: the stated one, or that of its cells."""
        values = self.table[name]
        of_cells = "category" if isinstance(values, Texts) else "moment" if values.dtype.kind == "M" else "number"
        return self.kinds.get(name, of_cells)

    def understood(self, name: str) -> Understood | None:
        """How a column was understood; None where nobody looked."""
        return next((column for column in self.columns if column.name == name), None)

    def notation(self, name: str) -> Notation:
        """How the numbers of a column are written."""
        found = self.understood(name)
        return Notation() if found is None else found.notation

    def take(self, index: Rows) -> Any:
        """x of these rows, in this order."""
        return self.x.take(index) if isinstance(self.x, Table) else self.x[index]

    def rows(self, index: Rows) -> tuple[Any, NDArray[Any]]:
        """x and y of these rows, in this order."""
        return self.take(index), self.y[index]


def split(data: Dataset, test: float = TEST_SHARE) -> tuple[Rows, Rows]:
    """The training rows and the test rows, both in ascending order; always the same ones.

    test: share of the rows, 0 <= test < 1; 0 holds none out. Classes keep their shares, and each keeps at least one row
    to train on; a class of two rows or more has one in the test as well where there is room. Where the data have groups
    or an order, whole groups or the last rows are held out; held rows are the test, whatever the share. Of large data
    MOST_HELD rows are enough.
    Errors: ArgumentError for a share outside the range; DataError for a single row or group.
    """
    if not 0 <= test < 1:
        raise ArgumentError(f"the share of test rows has to be in 0 <= test < 1, got {test!r}")
    n = len(data)
    if data.held is not None:
        return all_but(data.held, n), data.held
    if test == 0:
        return np.arange(n), np.arange(0)
    if n < 2:
        raise DataError(f"{data.name}: one row cannot be cut into training and test; try a test share of 0")
    return cut(data, np.arange(n), test, SPLIT_SEED)


def cut(data: Dataset, rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Some rows in two parts, the second about this share of them: by order, by groups, or each class alike."""
    rng = np.random.default_rng(seed)
    share = min(share, MOST_HELD / len(rows)) if data.is_large else share
    if data.order is not None:
        left, held = latest(data.order[rows], share)
    elif data.groups is not None:
        left, held = whole_groups(data.groups[rows], share, rng, data.name)
    else:
        left, held = split_off(len(rows), share, rng, data.y[rows] if data.task == "classification" else None)
    return rows[left], rows[held]


def names(prefix: str, *sizes: int) -> tuple[str, ...]:
    """`pixel_0_0`, `pixel_0_1` ...: column names counted along one or more axes."""
    return tuple("_".join([prefix, *map(str, index)]) for index in np.ndindex(*sizes))


def listed(items: Sequence[str], most: int = 5) -> str:
    """'a', 'b' and 3 more: names for a message, quoted."""
    shown = ", ".join(repr(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
