"""Files as data sets: read, understood, and read again in the same way where a trained model meets other files."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.data import files, sets
from fallline.data.dataset import Dataset, listed
from fallline.data.files import open_file, read_table
from fallline.data.reading import Reading
from fallline.data.target_column import known_codes
from fallline.data.understand import Wishes, check_names, dataset_of
from fallline.errors import ArgumentError, DataError
from fallline.nn.column import PLAIN, Category, Moment, Standardised
from fallline.nn.encoder import Columns, Decoder, Labels, Quantity
from fallline.table import Table, Texts

# Problems listed in one message; of a file with more the message gives the number.
MOST_TOLD = 5
# Rows of a file that is read again where a point may stand between thousands; of larger ones only where it is likely.
MOST_READ_TWICE = 200_000
_THOUSANDS = re.compile(r"[+-]?\d{1,3}\.\d{3}", re.ASCII)


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
    table = table_for(path, target, wishes, reading)
    test = None if held is None else table_for(held, target, wishes, reading)
    return dataset_of(table, target, wishes, Path(path).name.partition(".")[0], held=test)


def table_for(path: str | Path, target: str | None, wishes: Wishes, reading: Reading | None = None) -> Table:
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
    return _as_written(table, file)


def _as_written(table: Table, file: files.File) -> Table:
    """The table with those columns of numbers as texts in which a point may stand between thousands: 1.000, 2.500."""
    doubtful = [name for name, values in table.columns.items() if _may_be_thousands(values)]
    if not doubtful:
        return table
    again = files.gathered(file, doubtful, texts=doubtful)
    texts = {name: column.whole() for name, column in again.columns.items()}
    kept = {
        name: values
        for name, values in texts.items()
        if isinstance(values, Texts) and all(_THOUSANDS.fullmatch(text) for text in values.levels if "." in text)
    }
    return replace(table, columns={**table.columns, **kept})


def _may_be_thousands(values: Any) -> bool:
    """Whether numbers lie from 1 to below 1000 and have three decimals at most; of many rows, most of them three."""
    if isinstance(values, Texts) or values.dtype.kind != "f":
        return False
    known = np.abs(values[~np.isnan(values)])
    if not len(known) or known.max() >= 1000 or known.min() < 1:
        return False
    is_long = np.abs(known * 100 - np.round(known * 100)) > 1e-6
    is_cut = bool(np.all(np.abs(known * 1000 - np.round(known * 1000)) < 1e-6))
    return is_cut and (len(values) <= MOST_READ_TWICE or float(is_long.mean()) > 0.5)


def rows_for(encoder: Columns, path: str | Path, more: Sequence[str] = (), reading: Reading | None = None) -> Table:
    """The columns of another file that an encoder takes, and `more` of them as they are written, in this order.

    Errors: those of `read_table`; DataError for columns that are not there, with the nearest names, and naming the
    line of a cell that the encoder's column cannot take.
    """
    wanted = [*encoder.names, *more]
    # Numbers in a notation of their own too: 1.250 would be read as 1.25 where it means 1250.
    texts = {one.name for one in encoder.columns if getattr(one, "notation", None) != PLAIN} | {*more}
    texts -= {one.name for one in encoder.columns if isinstance(one, Standardised)}
    own, plain = (
        replace(one, texts=one.texts | texts, expects=(*one.expects, *wanted))
        for one in (reading or Reading(), Reading())
    )
    # The words of the training on its file need not be true of another one: of another dialect, it is read as it is.
    as_it_is = own != plain and not _has(path, wanted, own) and _has(path, wanted, plain)
    table = read_table(path, plain if as_it_is else own)
    if not table.rows:
        raise DataError(f"{path} has a header and no rows")
    table = table.select(wanted)
    problems = [told for one in encoder.columns if (told := _problem(one, table)) is not None]
    if problems:
        more = f"\n  and {len(problems) - MOST_TOLD} more columns" if len(problems) > MOST_TOLD else ""
        raise DataError("\n  ".join(problems[:MOST_TOLD]) + more)
    return table


def _has(path: str | Path, names: Sequence[str], reading: Reading) -> bool:
    """Whether a file, read so, has columns of these names. A file of another dialect than the training's has not."""
    try:
        return {*names} <= {*open_file(path, reading).names}
    except DataError:
        return False


def labelled_rows_for(
    encoder: Columns, decoder: Decoder, name: str, reading: Reading | None = None
) -> tuple[Table, Array, int]:
    """The columns and the targets of a named set or a file, as a trained model knows them: labels, or quantities.

    Rows without a target are left out; the last number says how many they are.
    Errors: as for `rows_for`; ArgumentError for a named set of other columns or another target; DataError for a label
    that is no class.
    """
    labels: tuple[Any, ...] = () if isinstance(decoder, Quantity) else decoder.labels
    if name in sets.SETS:
        data = sets.load(name)
        columns_differ = not {*encoder.names} <= {*data.features}
        if columns_differ or (data.target, data.classes) != (decoder.target, tuple(map(str, labels))):
            raise ArgumentError(f"the data set {name!r} has other columns than those of the run: "
                                f"{listed(encoder.names)} and the target {decoder.target!r}")  # fmt: skip
        return data.table.select(encoder.names), np.asarray(labels)[data.y] if labels else data.y, 0
    table = rows_for(encoder, name, [decoder.target], reading)
    values = table[decoder.target]
    if isinstance(decoder, Labels):
        y: Array = known_codes(values, decoder.target, table, tuple(map(str, labels)))
        there = np.flatnonzero(y >= 0)
    else:
        y = decoder.read(values)
        there = np.flatnonzero(~np.isnan(y))
    x, y, left_out = table.select(encoder.names).take(there), y[there], len(y) - len(there)
    return x, np.asarray(labels)[y] if labels else y, left_out


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
