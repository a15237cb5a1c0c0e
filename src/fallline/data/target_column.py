"""The meaning of a file's target: classes or a quantity, by one written rule, and the data set that follows from it.

text                                                            classification
at most 20 distinct whole numbers, one of them seen again       classification
any other numbers                                               regression
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fallline.data.chosen import MOST_TOLD, read_with
from fallline.data.dataset import Dataset, listed
from fallline.data.fields import count, is_missing, is_number, problem_of, shown
from fallline.data.reading import Reading
from fallline.errors import DataError, nearest, unknown
from fallline.table import Table, Texts

TASKS = ("classification", "regression")
MOST_CODES = 20


def read_dataset(path: str | Path, target: str, task: str | None = None, reading: Reading | None = None) -> Dataset:
    """A file as a data set: `target` is predicted from all other columns.

    task: "classification" or "regression"; None applies the rule above. reading: how the file is read.
    Errors: those of `read_table`; DataError for a target that cannot be trained on: one class or one value only, a
    label seen only once, text where numbers are needed.
    """
    if task is not None and task not in TASKS:
        raise unknown("task", task, TASKS)
    table = read_with(path, [target], texts=[target], reading=reading)
    if len(table.names) == 1:
        raise DataError(f"{path} has no column other than the target {target!r}")
    labels = labels_of_column(table, target)
    task = task or task_of(table, target, labels)
    y: NDArray[np.int64] | NDArray[np.float64]
    classes: tuple[str, ...] = ()
    if task == "regression":
        y = quantities(table, target, labels)
        if y.min() == y.max():
            raise DataError(f"{path}: the target {target!r} is {labels[0]} in every row: there is nothing to learn")
    else:
        y, classes = codes(table, target, labels)
    x = table.drop([target])
    return Dataset(Path(path).stem, x, y, x.names, target, task, classes)


def labels_of_column(table: Table, target: str) -> list[str]:
    """The target of each row as it is written. Errors: DataError where it is missing."""
    values = table[target]
    texts = values if isinstance(values, Texts) else Texts.of([str(value) for value in values.tolist()])
    gone = np.array([is_missing(level) for level in texts.levels] + [True])[texts.codes]
    if gone.any():
        row = int(np.argmax(gone))
        text = texts.strings()[row]
        told = f" ({text!r})" if text else ""
        raise DataError(f"{table.place(row)}, column {target!r}: the target is missing{told}")
    found: list[str] = texts.strings().tolist()
    return found


def task_of(table: Table, target: str, labels: Sequence[str]) -> str:
    kinds = Counter(labels)
    numeric = [label for label in kinds if is_number(label)]
    if len(numeric) == len(kinds):
        values = {float(label) for label in numeric}
        whole = all(value.is_integer() for value in values)
        return "classification" if whole and len(values) <= MOST_CODES and len(values) < len(labels) else "regression"
    # A column of many numbers with a word in between is a damaged quantity, not a class for each number.
    if len(numeric) > MOST_CODES and 2 * sum(kinds[label] for label in numeric) > len(labels):
        quantities(table, target, labels)
    return "classification"


def quantities(table: Table, target: str, labels: Sequence[str]) -> NDArray[np.float64]:
    """The target as numbers."""
    for row, label in enumerate(labels):
        problem = problem_of(label)
        if problem is not None:
            raise DataError(f"{table.place(row)}, target {target!r}: {problem}\n  try: task classification (--task)")
    return np.array(labels, dtype=np.float64)


def codes(table: Table, target: str, labels: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The target as class codes 0..K-1 and the K names: numbers in their order, other text in the alphabet's."""
    names = canonical(labels)
    counts = Counter(names)
    if len(counts) < 2:
        raise DataError(
            f"{table.name}: the target {target!r} has the one class {shown(names[0])}: there is nothing to learn"
        )
    once = [name for name, n in counts.items() if n == 1]
    if once:
        rows = dict(zip(names, range(len(names))))
        where = {name: rows[name] if table.lines is None else table.lines[rows[name]] for name in once[:MOST_TOLD]}
        unit = "row" if table.lines is None else "line"
        listing = ", ".join(f"{shown(name)} ({unit} {place})" for name, place in where.items())
        more = f" and {len(once) - MOST_TOLD} more" if len(once) > MOST_TOLD else ""
        advice = "task regression (--task) if this is a quantity, or " if all(map(is_number, counts)) else ""
        raise DataError(
            f"{table.name}: {count(len(once), 'label')} of the target {target!r} seen only once: {listing}{more}\n"
            f"  a class needs a training row and a test row; try: {advice}more rows of it, or none"
        )
    order = sorted(counts, key=float) if all(map(is_number, counts)) else sorted(counts)
    code = {name: i for i, name in enumerate(order)}
    return np.array([code[name] for name in names], dtype=np.int64), tuple(order)


def known_codes(table: Table, target: str, classes: Sequence[str]) -> NDArray[np.int64]:
    """The target as the codes of classes that are known already."""
    labels = labels_of_column(table, target)
    names = canonical(labels) if all(map(is_number, classes)) else labels
    code = {name: i for i, name in enumerate(classes)}
    for row, name in enumerate(names):
        if name not in code:
            raise DataError(
                f"{table.place(row)}: the target {target!r} is {shown(name)}, which is not one of "
                f"{class_list(classes)}{nearest(name, classes)}"
            )
    return np.array([code[name] for name in names], dtype=np.int64)


def canonical(labels: Sequence[str]) -> list[str]:
    """Labels as class names: numbers that are equal get one name, so 1, 01 and 1.0 are one class."""
    kinds = set(labels)
    if not all(is_number(kind) for kind in kinds):
        return list(labels)
    name = {kind: str(int(v)) if (v := float(kind)).is_integer() else repr(v) for kind in kinds}
    return [name[label] for label in labels]


def class_list(classes: Sequence[str]) -> str:
    """`3 classes: 'a', 'b', 'c'`, for the screen."""
    return f"{count(len(classes), 'class').replace('classs', 'classes')}: {listed(classes, 3)}"
