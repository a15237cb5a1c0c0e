"""Two tables of the same columns below one another."""

from typing import Any

import numpy as np

from fallline.errors import DataError, nearest
from fallline.nn.column import written
from fallline.table import Table, Texts, Values


def joined(first: Table, second: Table, optional: tuple[str, ...] = ()) -> Table:
    """The rows of the first table and then those of the second, with the columns of the first.

    optional: columns that the second table may lack; they are missing there.
    Errors: DataError for other columns that it lacks.
    """
    absent = [name for name in first.names if name not in second.columns and name not in optional]
    if absent:
        lines = [f"{second.name} has no column {name!r}{nearest(name, second.names)}" for name in absent[:5]]
        raise DataError("\n  ".join(lines))
    columns = {name: _below(values, second.columns.get(name), second.rows) for name, values in first.columns.items()}
    return Table(columns, first.name, None, first.rows + second.rows, notes=first.notes)


def _below(first: Values, second: Values | None, rows: int) -> Values:
    if second is None:
        second = Texts(np.full(rows, -1, np.int32), ())
    if not isinstance(first, Texts) and not isinstance(second, Texts) and _alike(first, second):
        return np.concatenate([first, second], dtype=None)
    one, other = (values if isinstance(values, Texts) else written(values) for values in (first, second))
    places = {level: code for code, level in enumerate(one.levels)}
    codes = np.array([*(places.setdefault(level, len(places)) for level in other.levels), -1], np.int32)
    return Texts(np.concatenate([one.codes, codes[other.codes]]), tuple(places), one.categorical)


def _alike(first: Any, second: Any) -> bool:
    return bool((first.dtype.kind in "fiu") == (second.dtype.kind in "fiu") or first.dtype.kind == second.dtype.kind)
