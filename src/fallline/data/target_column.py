"""The meaning of a target column: classes or a quantity, by one written rule; labels stay as they are written.

text                                                            classification
at most 20 distinct whole numbers, one of them seen again       classification
any other numbers                                               regression
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.data.dataset import listed
from fallline.data.understood import kept_tokens
from fallline.data.writing import written_as
from fallline.errors import DataError, nearest, unknown
from fallline.nn.column import written
from fallline.nn.notation import MISSING, MISSING_NUMBERS, NUMBER, Notation
from fallline.table import Table, Texts, Values

TASKS = ("classification", "regression")
MOST_CODES = 20
# Problems listed in one message; of a file with more the message gives the number.
MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Goal:
    """A target, understood. rows: those that have one. y: (len(rows),) class codes or quantities. notes: for people."""

    task: str
    rows: NDArray[np.int64]
    y: NDArray[Any]
    classes: tuple[str, ...]
    notation: Notation
    notes: tuple[str, ...]


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
    texts = values if isinstance(values, Texts) else written(values)
    stripped = Texts.of([level.strip() for level in texts.levels])
    codes = np.append(stripped.codes, -1)[texts.codes]
    counts = np.bincount(codes[codes >= 0], minlength=len(stripped.levels))
    there = {level: int(count) for level, count in zip(stripped.levels, counts) if count}
    keeps = kept_tokens([*there])
    tokens = {""} if every else MISSING
    labels = {level: n for level, n in there.items() if level in keeps or level.lower() not in tokens}
    how = written_as([*labels], decimal)
    quantity = how.notation or Notation(decimal or ".")
    numbers = dict(zip(labels, quantity.numbers([*labels])[0].tolist())) if labels else {}
    task = task or (
        "classification" if every else _task_of(labels, numbers, how.notation is not None, name, table, codes, stripped)
    )
    if task == "regression":
        labels = {level: n for level, n in labels.items() if level.lower() not in MISSING_NUMBERS}
    gone = ~np.isin(codes, [place for place, level in enumerate(stripped.levels) if level in labels])
    rows = np.flatnonzero(~gone)
    if not len(rows):
        raise DataError(f"{table.name}: the target {name!r} is missing in every row")
    notes = [f"{gone.sum():,} of {len(gone):,} rows have no {name!r} and are left out"] if gone.any() else []
    if task == "regression":
        strange = next((level for level in labels if np.isnan(numbers[level])), None)
        if strange is not None:
            row = int(np.argmax(codes == stripped.levels.index(strange)))
            raise DataError(f"{table.place(row)}, target {name!r}: {shown(strange)} is not a number\n"
                            "  try: task='classification' (--task)")  # fmt: skip
        y = np.append([numbers.get(level, np.nan) for level in stripped.levels], np.nan)[codes[rows]]
        if not np.isfinite(y).all():
            row = int(rows[np.argmax(~np.isfinite(y))])
            raise DataError(f"{table.place(row)}, target {name!r}: {shown(stripped.levels[codes[row]])} is not finite")
        if y.min() == y.max():
            only = next(iter(labels))
            raise DataError(f"{table.name}: the target {name!r} is {only} in every row: there is nothing to learn")
        return Goal(task, rows, y, (), quantity, (*notes, *([f"{name!r}: {how.doubt}"] if how.doubt else [])))
    order = _in_order(labels, numbers)
    _check_classes(order, labels, name, table, codes, stripped)
    once = [label for label in order if labels[label] == 1]
    if once:
        what = "a class of one row trains" if len(once) == 1 else f"{len(once)} classes of one row train"
        notes.append(f"{what} and cannot be tested: {listed(once, 3)}")
    place = {label: code for code, label in enumerate(order)}
    lookup = np.array([place.get(level, -1) for level in stripped.levels], np.int64)
    return Goal(task, rows, lookup[codes[rows]], tuple(order), quantity, tuple(notes))


def _task_of(
    labels: dict[str, int], numbers: dict[str, float], numeric: bool, name: str, table: Table, codes: Any, texts: Texts
) -> str:
    plain = [label for label in labels if NUMBER.fullmatch(label)]
    if len(plain) == len(labels):
        values = {float(label) for label in plain}
        whole = all(value.is_integer() for value in values)
        return (
            "classification"
            if whole and len(values) <= MOST_CODES and len(values) < sum(labels.values())
            else "regression"
        )
    if numeric and len(labels) > MOST_CODES:
        return "regression"
    # A column of many numbers with a word in between is a damaged quantity, not a class for each number.
    if len(plain) > MOST_CODES and 2 * sum(labels[label] for label in plain) > sum(labels.values()):
        return "regression"
    return "classification"


def _in_order(labels: dict[str, int], numbers: dict[str, float]) -> list[str]:
    """Numbers in their order, other texts in the alphabet's."""
    if all(NUMBER.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (numbers[label], label))
    return sorted(labels)


def _check_classes(
    order: Sequence[str], labels: dict[str, int], name: str, table: Table, codes: Any, texts: Texts
) -> None:
    if len(order) < 2:
        raise DataError(
            f"{table.name}: the target {name!r} has the one class {shown(order[0])}: there is nothing to learn"
        )
    once = [label for label in labels if labels[label] == 1]
    if len(once) > len(order) / 2 or len(order) - len(once) < 2:
        places = {label: table.place(int(np.argmax(codes == texts.levels.index(label)))) for label in once[:MOST_TOLD]}
        listing = ", ".join(f"{shown(label)} ({place})" for label, place in places.items())
        more = f" and {len(once) - MOST_TOLD:,} more" if len(once) > MOST_TOLD else ""
        advice = "task='regression' (--task) if this is a quantity, or " if all(map(NUMBER.fullmatch, labels)) else ""
        raise DataError(
            f"{table.name}: {len(once):,} of the {len(order):,} labels of the target {name!r} seen only once: "
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
