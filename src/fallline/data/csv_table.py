"""A CSV file as numbers and labels: the wanted columns, the meaning of each field, and errors by line and column.

Numeric columns and class labels only. Knows nothing of training.
"""

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

import numpy as np

from fallline.data.dataset import Numbers, listed
from fallline.data.records import Block, Records, count, open_records
from fallline.errors import ArgumentError, DataError, nearest

# Fields, without regard to case, that stand for a value that is not there.
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)

# Problems listed in one message; of a file with more the message gives the number.
MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a file. x: (N, D) float64, its columns called `names`; labels: N texts of the target, None without one.

    lines: the line of the file each row starts at, from 1.
    """

    path: Path
    names: tuple[str, ...]
    x: Numbers
    labels: tuple[str, ...] | None
    lines: Sequence[int]


def read_table(path: str | Path, *, target: str | None = None, features: Sequence[str] | None = None) -> Table:
    """The wanted columns of a CSV file (see `records.open_records` for the accepted forms).

    target: the column read as text into `labels`. features: the columns read as numbers, in this order, wherever they
    stand in the file; by default all but the target.
    Errors: MissingFileError; ArgumentError for a column that is not there, with the nearest name; DataError for a file
    without header or rows, and for fields that are no numbers or not there, with line and column.
    """
    with open_records(path) as records:
        names, places, place = wanted(records, target, features)
        parts: list[Numbers] = []
        labels: list[str] = []
        lines = array("q")
        for block in records.blocks:
            parts.append(numbers(records.path, block, names, places))
            if place is not None:
                labels += label_column(records.path, block, records.header[place], place)
            lines.extend(block.lines)
    if not parts:
        raise DataError(f"{path} has a header and no rows")
    x = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return Table(records.path, names, x, tuple(labels) if place is not None else None, lines)


def wanted(
    records: Records, target: str | None, features: Sequence[str] | None
) -> tuple[tuple[str, ...], list[int], int | None]:
    """Names and places of the numeric columns, and the place of the target."""
    header, times = records.header, Counter(records.header)
    requested = [*(features or ()), *([target] if target is not None else [])]
    missing = [name for name in requested if name not in times]
    if (features is None or missing) and all(map(is_number, header)):
        raise DataError(
            f"{records.place}: only numbers, where the names of the columns are expected\n"
            f"  try: a first line that names the {count(len(header), 'column')}"
        )
    if missing:
        raise absent(records, missing)
    if features is None:
        features = [name for name in header if name != target]
    if not all(features):
        unnamed = next(i for i, name in enumerate(header, 1) if not name)
        raise DataError(
            f"{records.place}: column {unnamed} has no name\n"
            "  try: a name for it, or the file without it (an index of the rows predicts nothing)"
        )
    place = {name: i for i, name in enumerate(header)}
    if len(place) < len(header):
        twice = sorted({name for name in [*features, *requested] if times[name] > 1})
        if twice:
            where = ", ".join(str(i) for i, name in enumerate(header, 1) if name == twice[0])
            raise DataError(
                f"{records.place}: {count(len(twice), 'name')} used for more than one column: {listed(twice)}\n"
                f"  {twice[0]!r} names columns {where}"
            )
    if not features:
        raise DataError(f"{records.path} has no column other than the target {target!r}")
    return tuple(features), [place[name] for name in features], None if target is None else place[target]


def absent(records: Records, missing: Sequence[str]) -> ArgumentError:
    """The error for columns that are not in the header."""
    path, header = records.path, records.header
    number = next(filter(is_number, header), None)
    tail = f"\n  columns: {listed(header, 12)}"
    if number is not None:
        tail += f"\n  is line {records.header_line} a header? It holds the number {number!r}"
    if len(missing) == 1:
        return ArgumentError(f"{path} has no column {missing[0]!r}{nearest(missing[0], header)}{tail}")
    hints = "".join(f"\n  no {name!r}{nearest(name, header)}" for name in missing[:MOST_TOLD])
    more = f"\n  and {len(missing) - MOST_TOLD} more" if len(missing) > MOST_TOLD else ""
    return ArgumentError(f"{path} lacks {count(len(missing), 'column')}{hints}{more}{tail}")


def numbers(path: Path, block: Block, names: Sequence[str], places: Sequence[int]) -> Numbers:
    """The block's wanted columns, (rows, D)."""
    if len(places) == 1:
        flat = [row[places[0]] for row in block.rows]
    else:
        flat = list(chain.from_iterable(map(itemgetter(*places), block.rows)))
    text = "".join(flat)
    # Python's float, which NumPy asks here, also reads 1_000 and digits of other scripts.
    if text.isascii() and "_" not in text:
        try:
            values = np.array(flat, dtype=np.float64)
        except ValueError:
            values = None
        if values is not None and np.isfinite(values).all():
            return values.reshape(len(block.rows), len(places))
    return one_by_one(path, block, names, places)


def one_by_one(path: Path, block: Block, names: Sequence[str], places: Sequence[int]) -> Numbers:
    """The same numbers, field by field: slow, but it finds the field that is wrong."""
    values = np.empty((len(block.rows), len(places)))
    problems: dict[str, str] = {}
    for i, (row, line) in enumerate(zip(block.rows, block.lines)):
        for j, place in enumerate(places):
            problem = problem_of(row[place])
            if problem is None:
                values[i, j] = float(row[place])
            elif names[j] not in problems:
                problems[names[j]] = f"line {line}, column {names[j]!r}: {problem}"
    if problems:
        raise several(path, list(problems.values()), "column")
    return values


def is_number(field: str) -> bool:
    return NUMBER.fullmatch(field.strip()) is not None


def problem_of(field: str) -> str | None:
    """Why a field is not a finite number, or None if it is one."""
    text = field.strip()
    if text.lower() in MISSING:
        return "the value is missing" + (f" ({text!r})" if text else "")
    if NUMBER.fullmatch(text):
        return None if np.isfinite(float(text)) else f"{shown(text)} is beyond the largest number"
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return f"{shown(text)} is not finite"
    hint = "; numbers are written with a decimal point" if DECIMAL_COMMA.fullmatch(text) else ""
    return f"{shown(text)} is not a number{hint}"


def shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def several(path: Path, problems: Sequence[str], each: str) -> DataError:
    """One error for all problems: on one line if there is one, listed otherwise."""
    if len(problems) == 1:
        return DataError(f"{path}, {problems[0]}")
    rest = len(problems) - MOST_TOLD
    tail = f"\n  and {count(rest, f'more {each}')}" if rest > 0 else ""
    return DataError(
        f"{path}: {count(len(problems), each)} with fields that are not numbers\n  "
        + "\n  ".join(problems[:MOST_TOLD])
        + tail
    )


def label_column(path: Path, block: Block, name: str, place: int) -> list[str]:
    """The target of each row of the block as stripped text."""
    found = [row[place].strip() for row in block.rows]
    for label, line in zip(found, block.lines):
        if label.lower() in MISSING:
            raise DataError(
                f"{path}, line {line}, column {name!r}: the target is missing" + (f" ({label!r})" if label else "")
            )
    return found
