"""A data set ready for training: rows, targets, and the meaning of their columns; and how it is cut in two.

Knows nothing of files or of networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.errors import ArgumentError, DataError
from fallline.split import split_off
from fallline.table import Table, Texts, as_table

# Held-out rows are chosen by this seed and never by a run's own, so that runs with other seeds are compared on the
# same rows.
SPLIT_SEED = 0
TEST_SHARE = 0.2

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

    def __len__(self) -> int:
        return len(self.y)

    @property
    def table(self) -> Table:
        """The columns by name."""
        return self.x if isinstance(self.x, Table) else as_table(self.x, self.name, self.features)

    def kind(self, name: str) -> str:
        """The kind of a column: the stated one, or that of its cells."""
        values = self.table[name]
        of_cells = "category" if isinstance(values, Texts) else "moment" if values.dtype.kind == "M" else "number"
        return self.kinds.get(name, of_cells)

    def take(self, index: Rows) -> Any:
        """x of these rows, in this order."""
        return self.x.take(index) if isinstance(self.x, Table) else self.x[index]

    def rows(self, index: Rows) -> tuple[Any, NDArray[Any]]:
        """x and y of these rows, in this order."""
        return self.take(index), self.y[index]


def split(data: Dataset, test: float = TEST_SHARE) -> tuple[Rows, Rows]:
    """The training rows and the test rows, both in ascending order; always the same ones.

    test: share of the rows, 0 <= test < 1; 0 holds none out. Classes keep their shares, and each keeps at least one row
    to train on; a class of two rows or more has one in the test as well where there is room.
    Errors: ArgumentError for a share outside the range; DataError for a single row.
    """
    if not 0 <= test < 1:
        raise ArgumentError(f"the share of test rows has to be in 0 <= test < 1, got {test!r}")
    n = len(data)
    if test == 0:
        return np.arange(n), np.arange(0)
    if n < 2:
        raise DataError(f"{data.name}: one row cannot be cut into training and test; try a test share of 0")
    codes = data.y if data.task == "classification" else None
    return split_off(n, test, np.random.default_rng(SPLIT_SEED), codes)


def names(prefix: str, *sizes: int) -> tuple[str, ...]:
    """`pixel_0_0`, `pixel_0_1` ...: column names counted along one or more axes."""
    return tuple("_".join([prefix, *map(str, index)]) for index in np.ndindex(*sizes))


def listed(items: Sequence[str], most: int = 5) -> str:
    """'a', 'b' and 3 more: names for a message, quoted."""
    shown = ", ".join(repr(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
