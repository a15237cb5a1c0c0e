"""The meaning of a target column: classes or a quantity, by one written rule; labels stay as they are written.

text                                                            classification
at most 10 distinct whole numbers, one of them seen again       classification
at most 20 distinct whole numbers, in 10 rows each on average   classification
any other numbers                                               regression
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.data.dataset import listed
from fallline.data.understood import kept_tokens
from fallline.data.writing import Written, written_as
from fallline.errors import DataError, nearest, unknown
from fallline.nn.column import PLAIN, written
from fallline.nn.notation import MISSING, MISSING_NUMBERS, NUMBER, Notation
from fallline.table import Table, Texts, Values

TASKS = ("classification", "regression")
# Distinct whole numbers that are classes; in any case, and where so many rows, on average, have each. Counts of a small
# table, such as accidents by airline, are quantities.
SURELY_CODES, MOST_CODES, ROWS_A_CODE = 10, 20, 10
# Problems listed in one message; of a file with more the message gives the number.
MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Goal:
    """A target, understood. rows: those that have one. y: (len(rows),) class codes or quantities. notes: for people.

    notation: how quantities are written.
    """

    task: str
    rows: NDArray[np.int64]
    y: NDArray[Any]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    notation: Notation = PLAIN


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a target. texts: without blanks around them. labels: how many rows have each text that counts.
    notation: how its numbers are written. numbers: by text, NaN where it is none.
    """

    name: str
    table: Table
    texts: Texts
    labels: dict[str, int]
    notation: Notation
    numbers: dict[str, float]
    written: Written

    def place(self, label: str) -> str:
        """The first row with a label, in words."""
        return self.table.place(int(np.argmax(self.texts.codes == self.texts.levels.index(label))))

    @property
    def plain(self) -> list[str]:
        """The labels that are plain numbers."""
        return [label for label in self.labels if NUMBER.fullmatch(label)]

    def without(self, tokens: Collection[str]) -> "Cells":
        labels = {label: n for label, n in self.labels.items() if label.lower() not in tokens}
        return replace(self, labels=labels)

    def codes_of(self, values: Mapping[str, Any], rest: Any) -> NDArray[Any]:
        """(N,) the value of each row's text."""
        found: NDArray[Any] = np.array([*(values.get(level, rest) for level in self.texts.levels), rest])
        return found[self.texts.codes]


def goal_of(
    values: Values, name: str, table: Table, task: str | None = None, decimal: str | None = None, every: bool = False
) -> Goal:
    """The target with these cells.

    table: for the places of rows. task: "classification" or "regression"; None applies the rule above. decimal: the
    mark before fractions, where it is known. every: all texts are labels, NA and ? too; only empty cells are missing.
    Rows without a target are left out, and a note says how many.
    Errors: DataError for a target that cannot be trained on: no row, one class or one value only, labels seen only
    once, text where numbers are needed.
    """
    if task is not None and task not in TASKS:
        raise unknown("task", task, TASKS)
    if not len(values):
        raise DataError(f"{table.name} has columns and no rows")
    cells = _cells_of(values, name, table, decimal, every)
    chosen = task or ("classification" if every else _task_of(cells))
    if chosen == "regression":
        cells = cells.without(MISSING_NUMBERS)
    rows = np.flatnonzero(cells.codes_of(dict.fromkeys(cells.labels, True), False))
    if not len(rows):
        raise DataError(f"{table.name}: the target {name!r} is missing in every row")
    gone = len(values) - len(rows)
    notes = [f"{gone:,} of {len(values):,} rows have no {name!r} and are left out"] if gone else []
    made = _quantity(cells, rows) if chosen == "regression" else _classes(cells, rows, task is None)
    return replace(made, notes=(*notes, *made.notes))


def _cells_of(values: Values, name: str, table: Table, decimal: str | None, every: bool) -> Cells:
    texts = values if isinstance(values, Texts) else written(values)
    stripped = Texts.of([level.strip() for level in texts.levels])
    texts = Texts(np.append(stripped.codes, -1)[texts.codes], stripped.levels)
    counts = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.levels))
    there = {level: int(count) for level, count in zip(texts.levels, counts) if count}
    keeps, tokens = kept_tokens([*there]), {""} if every else MISSING
    labels = {level: n for level, n in there.items() if level in keeps or level.lower() not in tokens}
    how = written_as([*labels], decimal)
    notation = how.notation or Notation(decimal or ".")
    return Cells(name, table, texts, labels, notation, dict(zip(labels, notation.numbers([*labels])[0].tolist())), how)


def _quantity(cells: Cells, rows: NDArray[np.int64]) -> Goal:
    name = cells.name
    for label in cells.labels:
        if not np.isfinite(cells.numbers[label]):
            problem = "is not a number" if np.isnan(cells.numbers[label]) else "is not finite"
            raise DataError(f"{cells.place(label)}, target {name!r}: {shown(label)} {problem}\n"
                            "  try: task='classification' (--task)")  # fmt: skip
    y = cells.codes_of(cells.numbers, np.nan)[rows]
    if y.min() == y.max():
        only = next(iter(cells.labels))
        raise DataError(f"{cells.table.name}: the target {name!r} is {only} in every row: there is nothing to learn")
    doubt = cells.written.doubt
    return Goal("regression", rows, y, (), (f"{name!r}: {doubt}",) if doubt else (), cells.notation)


def _classes(cells: Cells, rows: NDArray[np.int64], by_rule: bool) -> Goal:
    labels, notes = cells.labels, []
    numeric = len(cells.plain) == len(labels)
    order = sorted(labels, key=lambda label: (cells.numbers[label], label)) if numeric else sorted(labels)
    _check_classes(cells)
    once = [label for label in order if labels[label] == 1]
    if once:
        told = "a class of one row trains" if len(once) == 1 else f"{len(once)} classes of one row train"
        notes.append(f"{told} and cannot be tested: {listed(once, 3)}")
    if by_rule and len(order) > 2 and numeric:
        notes.append(f"{len(order)} whole numbers are classes; a quantity with task='regression' (--task)")
    y = cells.codes_of({label: code for code, label in enumerate(order)}, -1)[rows].astype(np.int64)
    return Goal("classification", rows, y, tuple(order), tuple(notes))


def _task_of(cells: Cells) -> str:
    labels, plain = cells.labels, cells.plain
    rows = sum(labels.values())
    if len(plain) == len(labels):
        values = {float(label) for label in plain}
        whole = all(value.is_integer() for value in values)
        few = len(values) <= SURELY_CODES or ROWS_A_CODE * len(values) <= rows
        return "classification" if whole and few and len(values) <= MOST_CODES and len(values) < rows else "regression"
    if cells.written.notation is not None and len(labels) > MOST_CODES:
        return "regression"
    # A column of many numbers with a word in between is a damaged quantity, not a class for each number.
    damaged = len(plain) > MOST_CODES and 2 * sum(labels[label] for label in plain) > rows
    return "regression" if damaged else "classification"


def _check_classes(cells: Cells) -> None:
    """Errors: DataError for one class, and where most labels, or all but one, have a single row."""
    labels, name = cells.labels, cells.name
    if len(labels) < 2:
        only = shown(next(iter(labels)))
        told = f"{cells.table.name}: the target {name!r} has the one class {only}: there is nothing to learn"
        tokens = [level for level in cells.texts.levels if level and level not in labels]
        if tokens:
            told += f"\n  try: kinds={{{name!r}: 'category'}} (--as '{name}=category'), if {tokens[0]!r} is a label too"
        raise DataError(told)
    once = [label for label in labels if labels[label] == 1]
    if len(once) <= len(labels) / 2 and len(labels) - len(once) >= 2:
        return
    listing = ", ".join(f"{shown(label)} ({cells.place(label)})" for label in once[:MOST_TOLD])
    more = f" and {len(once) - MOST_TOLD:,} more" if len(once) > MOST_TOLD else ""
    advice = "task='regression' (--task) if this is a quantity, or " if len(cells.plain) == len(labels) else ""
    raise DataError(
        f"{cells.table.name}: {len(once):,} of the {len(labels):,} labels of the target {name!r} seen only once: "
        f"{listing}{more}\n"
        f"  a class needs a training row and a test row; try: {advice}another column as the target"
    )


def known_codes(values: Values, target: str, table: Table, classes: Sequence[str]) -> NDArray[np.int64]:
    """The target as the codes of classes that are known already; -1 where it is missing.

    Errors: DataError for a label that is no class.
    """
    code = {name: i for i, name in enumerate(classes)}
    texts = _without_points(values if isinstance(values, Texts) else written(values), code)
    levels = [level.strip() for level in texts.levels]
    found = np.full(len(levels) + 1, -1, np.int64)
    for place, level in enumerate(levels):
        found[place] = code.get(level, -1)
        known = found[place] >= 0 or level.lower() in MISSING
        if not known and len(rows := np.flatnonzero(texts.codes == place)):
            raise DataError(
                f"{table.place(int(rows[0]))}: the target {target!r} is {shown(level)}, which is not one of "
                f"{class_list(classes)}{nearest(level, classes)}"
            )
    return found[texts.codes]


def without_points(values: Values, like: Values) -> Values:
    """The labels of a second file without the point that follows each, where those of the first file have none."""
    if not isinstance(values, Texts) or not isinstance(like, Texts):
        return values
    return _without_points(values, {level.strip() for level in like.levels})


def _without_points(texts: Texts, known: Collection[str]) -> Texts:
    levels = [level.strip() for level in texts.levels]
    if not levels or any(level in known for level in levels) or not all(level.endswith(".") for level in levels):
        return texts
    return replace(texts, levels=tuple(level.removesuffix(".") for level in levels))


def class_list(classes: Sequence[str]) -> str:
    """`3 classes: 'a', 'b', 'c'`, for the screen."""
    return f"{len(classes):,} class{'es' * (len(classes) != 1)}: {listed(classes, 3)}"


def shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
