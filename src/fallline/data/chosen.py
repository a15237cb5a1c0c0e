"""Rows of a file by the names of its columns, and the rows that a trained encoder takes, checked cell by cell."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fallline.data.dataset import listed
from fallline.data.fields import count, is_number, problem_of
from fallline.data.files import open_file, table_of
from fallline.data.reading import Reading
from fallline.errors import ArgumentError, DataError, nearest
from fallline.nn.column import Category
from fallline.nn.encoder import Columns
from fallline.table import Table, Texts

# Problems listed in one message; of a file with more the message gives the number.
MOST_TOLD = 5


def read_with(
    path: str | Path, wanted: Sequence[str], texts: Collection[str] = (), reading: Reading | None = None
) -> Table:
    """All columns of a file that has to have these ones. texts: columns that are read as they are written.

    Errors: ArgumentError for columns that are not there, with the nearest names; DataError for a file without rows;
    those of `read_table`.
    """
    reading = reading or Reading()
    reading = replace(reading, texts=reading.texts | {*texts}, expects=(*reading.expects, *wanted))
    file = open_file(path, reading)
    missing = [name for name in wanted if name not in file.names]
    if missing:
        raise absent(file.name, file.names, missing)
    table = table_of(file)
    if not table.rows:
        raise DataError(f"{path} has a header and no rows")
    return table


def absent(path: str, names: Sequence[str], missing: Sequence[str]) -> ArgumentError:
    """The error for columns that a file does not have."""
    number = next(filter(is_number, names), None)
    tail = f"\n  columns: {listed(names, 12)}"
    if number is not None:
        tail += f"\n  is its first line a header? It holds the number {number!r} (--no-header)"
    if len(missing) == 1:
        return ArgumentError(f"{path} has no column {missing[0]!r}{nearest(missing[0], names)}{tail}")
    hints = "".join(f"\n  no {name!r}{nearest(name, names)}" for name in missing[:MOST_TOLD])
    more = f"\n  and {len(missing) - MOST_TOLD} more" if len(missing) > MOST_TOLD else ""
    return ArgumentError(f"{path} lacks {count(len(missing), 'column')}{hints}{more}{tail}")


def rows_for(encoder: Columns, path: str | Path, more: Sequence[str] = (), reading: Reading | None = None) -> Table:
    """The columns that an encoder takes, and `more` of them read as they are written, in this order.

    Errors: those of `read_with`; DataError naming line and column of a cell that the encoder's column cannot take.
    """
    texts = [one.name for one in encoder.columns if isinstance(one, Category)]
    table = read_with(path, [*encoder.names, *more], [*texts, *more], reading).select([*encoder.names, *more])
    problems = []
    for one in encoder.columns:
        row, problem = _problem(one, table)
        if problem:
            place = table.place(row)
            problems.append(f"{place}, column {one.name!r}: {problem}")
    if problems:
        rest = len(problems) - MOST_TOLD
        tail = f"\n  and {count(rest, 'more column')}" if rest > 0 else ""
        raise DataError("\n  ".join(problems[:MOST_TOLD]) + tail)
    return table


def _problem(column: object, table: Table) -> tuple[int, str | None]:
    """The first row whose cell a column of numbers cannot take, and why."""
    name, strict = getattr(column, "name", ""), not getattr(column, "takes_missing", True)
    values = table[name]
    if isinstance(values, Texts):
        if not strict:
            return 0, None
        problems = [*map(problem_of, values.levels), "the value is missing"]
        wrong = np.array([problem is not None for problem in problems])[values.codes]
        row = int(np.argmax(wrong)) if wrong.any() else 0
        return row, problems[values.codes[row]] if wrong.any() else None
    if not strict or values.dtype.kind not in "fiub" or np.isfinite(values).all():
        return 0, None
    row = int(np.argmin(np.isfinite(values)))
    return row, "the value is missing" if np.isnan(values[row]) else f"{values[row]} is not finite"
