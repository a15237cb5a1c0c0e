"""Files as data sets: read, understood, and read again in the same way where a trained model meets other files."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.data import files
from fallline.data.dataset import Dataset
from fallline.data.files import open_file, read_table
from fallline.data.reading import Reading
from fallline.data.understand import Wishes, check_names, dataset_of
from fallline.errors import DataError
from fallline.nn.column import Category, Moment
from fallline.nn.encoder import Columns
from fallline.table import Table, Texts

# Problems listed in one message; of a file with more the message gives the number.
MOST_TOLD = 5


def read_dataset(
    path: str | Path,
    target: str,
    wishes: Wishes | None = None,
    reading: Reading | None = None,
    held: str | Path | None = None,
) -> Dataset:
    """A file as a data set: `target` is predicted from all other columns that tell something.

    wishes: a person's corrections. reading: how the file is read, where its first lines do not say it. held: another
    file, whose rows are the test.
    Errors: those of `read_table` and of `dataset_of`.
    Example: read_dataset("titanic.csv", "survived", Wishes(drop=("alive",)))
    """
    wishes = wishes or Wishes()
    table = table_of(path, target, wishes, reading)
    test = None if held is None else table_of(held, target, wishes, reading)
    return dataset_of(table, target, wishes, Path(path).name.partition(".")[0], held=test)


def table_of(path: str | Path, target: str | None, wishes: Wishes, reading: Reading | None = None) -> Table:
    """The rows of a file, the target and what a person calls codes as they are written.

    Errors: those of `read_table`; ArgumentError for columns that are not there; DataError for a file without rows.
    """
    known = tuple(dict.fromkeys(one for one in (target, *wishes.names) if one is not None))
    reading = reading or Reading()
    texts = wishes.texts if target is None else wishes.texts | {target}
    asked = replace(
        reading,
        texts=reading.texts | texts,
        expects=(*reading.expects, *known),
        blank=reading.blank | {*wishes.drop},
    )
    file = open_file(path, asked)
    if target is not None:
        check_names(file, target, wishes)
    table = files.table_of(file)
    if not table.rows:
        raise DataError(f"{path} has a header and no rows")
    return table


def rows_for(encoder: Columns, path: str | Path, more: Sequence[str] = (), reading: Reading | None = None) -> Table:
    """The columns of another file that an encoder takes, and `more` of them as they are written, in this order.

    Errors: those of `read_table`; DataError for columns that are not there, with the nearest names, and naming the
    line of a cell that the encoder's column cannot take.
    """
    wanted = [*encoder.names, *more]
    texts = {one.name for one in encoder.columns if isinstance(one, Category | Moment)} | {*more}
    reading = reading or Reading()
    table = read_table(path, replace(reading, texts=reading.texts | texts, expects=(*reading.expects, *wanted)))
    if not table.rows:
        raise DataError(f"{path} has a header and no rows")
    table = table.select(wanted)
    problems = [told for one in encoder.columns if (told := _problem(one, table)) is not None]
    if problems:
        more = f"\n  and {len(problems) - MOST_TOLD} more columns" if len(problems) > MOST_TOLD else ""
        raise DataError("\n  ".join(problems[:MOST_TOLD]) + more)
    return table


def _problem(column: Any, table: Table) -> str | None:
    """The first cell that a column cannot take, in words and with its place."""
    values, name = table[column.name], column.name
    if isinstance(values, Texts) and not isinstance(column, Category):
        strange = {*column.strange(values.levels)}
        wrong = np.array([*(level in strange for level in values.levels), not column.takes_missing])[values.codes]
        what = "date" if isinstance(column, Moment) else "number"
        if wrong.any():
            row = int(np.argmax(wrong))
            text = values.strings()[row]
            problem = "the value is missing" if text is None else f"{text!r:.40} is not a {what}"
            return f"{table.place(row)}, column {name!r}: {problem}"
    elif not column.takes_missing and not np.isfinite(read := column.read(values)).all():
        row = int(np.argmin(np.isfinite(read)))
        problem = "the value is missing" if np.isnan(read[row]) else f"{read[row]} is not finite"
        return f"{table.place(row)}, column {name!r}: {problem}"
    return None


def to_config(reading: Reading) -> dict[str, Any]:
    """How a file is read, as plain values for a file."""
    plain = Reading()
    found = {one.name: getattr(reading, one.name) for one in fields(reading)}
    found = {name: value for name, value in found.items() if value != getattr(plain, name)}
    return {name: [*value] if isinstance(value, tuple | frozenset) else value for name, value in found.items()}


def from_config(config: Any) -> Reading:
    """The inverse; the default for anything else."""
    given = config if isinstance(config, dict) else {}
    known: dict[str, Any] = {one.name: given[one.name] for one in fields(Reading) if one.name in given}
    for name in ("texts", "drop", "blank"):
        if name in known:
            known[name] = frozenset(known[name])
    for name in ("names", "expects"):
        if name in known:
            known[name] = tuple(known[name])
    return Reading(**known)
