"""From a table to a data set: every column understood, the target too, and a person's corrections heeded.

Files are read elsewhere: a Table may come from a file or from a data frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np

from fallline.data.dataset import Dataset
from fallline.data.joined import joined
from fallline.data.marks import marked
from fallline.data.target_column import TASKS, Goal, goal_of, without_points
from fallline.data.understood import UNNAMED, WISHES, Understood, understood
from fallline.errors import ArgumentError, DataError, nearest, unknown
from fallline.nn.column import Moment, Number, written
from fallline.table import Table, Texts, Values


class HasNames(Protocol):
    """A table, or a file that is not read yet."""

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """A person's word on a table, where the rules would say otherwise or nothing.

    kinds: by column, a word of WISHES: "number", "category", "date", "y/m/d", "d/m/y", "m/d/y", "time". drop: columns
    that are left out. features: the only columns that are used; () for all. group: the column whose equal values
    belong together; order_by: the one that grows with time; weights: the one that says how much a row counts.
    task: of the target, "classification" or "regression". decimal: the mark before fractions, "." or ",".
    Errors: ArgumentError for words that are none.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    group: str | None = None
    order_by: str | None = None
    weights: str | None = None
    task: str | None = None
    decimal: str | None = None

    def __post_init__(self) -> None:
        if self.task is not None and self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        if self.decimal not in (None, ".", ","):
            raise ArgumentError(f"decimal={self.decimal!r} is no decimal mark, '.' or ','")
        if self.group is not None and self.order_by is not None:
            raise ArgumentError(
                f"rows are held out by group={self.group!r} or by order_by={self.order_by!r}, not by both"
            )
        for name, wish in self.kinds.items():
            if wish not in WISHES:
                raise ArgumentError(
                    f"{name!r} cannot be taken as {wish!r}{nearest(wish, WISHES)}\n  kinds: {', '.join(WISHES)}"
                )

    @property
    def names(self) -> dict[str, str]:
        """The columns that are named, each with the wish that names it."""
        found = dict.fromkeys((*self.kinds, *self.drop, *self.features), "")
        return found | {one: "" for one in (self.group, self.order_by, self.weights) if one is not None}

    @property
    def texts(self) -> frozenset[str]:
        """The columns of a file that are read as they are written, digits too."""
        written = [name for name, kind in self.kinds.items() if kind != "number"]
        return frozenset([*written, *([] if self.group is None else [self.group])])

    def to_config(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {one.name: _plain(value) for one in fields(self) if (value := getattr(self, one.name))}

    @staticmethod
    def from_config(config: Any) -> "Wishes":
        """The inverse; an empty one for anything else."""
        given = config if isinstance(config, dict) else {}
        known: dict[str, Any] = {one.name: given[one.name] for one in fields(Wishes) if one.name in given}
        same: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in known.items()}
        return Wishes(**same)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def dataset_of(
    table: Table, target: str, wishes: Wishes = Wishes(), name: str | None = None, held: Table | None = None
) -> Dataset:
    """A table as a data set: `target` is predicted from all other columns that tell something.

    name: of the data set; by default that of the table. held: the test rows, in a table of the same columns.
    Errors: ArgumentError for a column that is not there, with the nearest name; DataError for a target that cannot be
    trained on, and for columns of which nothing says how they are to be read.
    """
    check_names(table, target, wishes)
    own = table.rows
    if held is not None:
        if target not in held.columns:
            raise DataError(f"{held.name} has no column {target!r}{nearest(target, held.names)}, the target to test")
        test = {**held.columns, target: without_points(held[target], table[target])}
        table = joined(table, replace(held, columns=test), optional=wishes.drop)
    wish = wishes.kinds.get(target)
    task = wishes.task or {"number": "regression", "category": "classification"}.get(wish or "")
    decimal = wishes.decimal or _decimal_of(table)
    goal = goal_of(table[target], target, table, task, decimal, every=wish == "category")
    rest = table.drop([target])
    rest = rest if len(goal.rows) == table.rows else rest.take(goal.rows)
    made = with_goal(rest, goal, target, wishes, name or table.name)
    if held is None:
        return made
    notes = [f"{held.name}: {note}" for note in held.notes if note not in made.notes]
    return replace(made, held=np.flatnonzero(goal.rows >= own), notes=(*made.notes, *notes))


def with_goal(table: Table, goal: Goal, target: str = "y", wishes: Wishes = Wishes(), name: str = "x") -> Dataset:
    """A table of features and their target, in as many rows, as a data set."""
    columns = features_of(table, goal.y, target, wishes)
    used = [column for column in columns if not column.left_out]
    if not used:
        told = "; ".join(f"{column.name!r}: {column.left_out}" for column in columns[:5])
        raise DataError(
            f"{table.name} has no column from which {target!r} could be learnt" + (f"\n  {told}" if told else "")
        )
    names = tuple(column.name for column in used)
    return Dataset(
        name=name,
        x=table.select(names),
        y=goal.y,
        features=names,
        target=target,
        task=goal.task,
        classes=goal.classes,
        kinds={column.name: column.kind for column in used},
        columns=columns,
        notes=(*table.notes, *goal.notes),
        target_notation=goal.notation,
        weights=None if wishes.weights is None else _weights(table, wishes.weights),
        groups=None if wishes.group is None else _groups(table[wishes.group]),
        order=None if wishes.order_by is None else _order(table, wishes.order_by, wishes),
    )


def features_of(table: Table, y: Any, target: str = "y", wishes: Wishes = Wishes()) -> tuple[Understood, ...]:
    """Every column of a table of features, beside the others and beside the target."""
    return marked(columns_of(table, wishes), table.columns, y, target)


def columns_of(table: Table, wishes: Wishes = Wishes()) -> tuple[Understood, ...]:
    """Every column of a table as it is understood, those that are left out with their reason.

    Errors: DataError naming all columns of which nothing says how they are to be read.
    """
    decimal = wishes.decimal or _decimal_of(table)
    # Where the other columns have names, one without was written by a program that numbers or names the rows.
    others = table.names[1:]
    named = bool(others) and not any(name.startswith("column_") for name in others)
    unnamed = UNNAMED if named and table.names[0] == UNNAMED else None
    found = []
    problems = []
    for name, values in table.columns.items():
        reason = _unwanted(name, wishes)
        try:
            called = "row.names" if name == unnamed else name
            column = replace(understood(called, values, wishes.kinds.get(name), decimal), name=name)
        except DataError as error:
            if not reason:
                problems.append(str(error))
            column = Understood(name, "category", 0, 0, "")
        if reason:
            column = Understood(name, column.kind, column.missing, column.distinct, column.about, left_out=reason)
        found.append(column)
    if problems:
        raise DataError(f"{table.name}: " + "\n  and ".join(problems[:5]))
    return tuple(found)


def check_names(table: HasNames, target: str, wishes: Wishes) -> None:
    """Errors: ArgumentError naming all columns that are not there, each with the nearest name."""
    named = [target, *wishes.names]
    absent = [name for name in dict.fromkeys(named) if name not in table.names]
    if absent:
        lines = [f"{table.name} has no column {name!r}{nearest(name, table.names)}" for name in absent[:5]]
        listing = ", ".join(repr(name) for name in table.names[:12])
        more = f" and {len(table.names) - 12} more" if len(table.names) > 12 else ""
        raise ArgumentError("\n  ".join(lines) + f"\n  columns: {listing}{more}")
    if target in (*wishes.drop, wishes.group, wishes.weights):
        raise ArgumentError(f"the target {target!r} cannot be left out, nor be a group or a weight")


def _unwanted(name: str, wishes: Wishes) -> str:
    """Why a column is no feature, by a person's wish."""
    if name in wishes.drop:
        return "dropped"
    if name == wishes.group:
        return "groups the rows"
    if name == wishes.weights:
        return "weighs the rows"
    return "not among the features" if wishes.features and name not in wishes.features else ""


def _decimal_of(table: Table) -> str | None:
    """The decimal mark that columns of a table leave no doubt about; None where they differ."""
    from fallline.data.writing import SAMPLE, written_as

    found = set()
    for values in table.columns.values():
        if isinstance(values, Texts):
            how = written_as(values.levels[:SAMPLE])
            # The mark is told by numbers that have one; 7 and 1.000.000 are written in both ways.
            if how.notation is not None and not how.doubt and any(how.notation.decimal in s for s in values.levels):
                found.add(how.notation.decimal)
        elif values.dtype.kind == "f" and table.lines is not None and _has_point(values[:SAMPLE]):
            found.add(".")
    return found.pop() if len(found) == 1 else None


def _has_point(values: Any) -> bool:
    """Whether numbers of a text file have fractions that are no thousands: other than three digits."""
    known = values[np.isfinite(values)]
    return bool(np.any((known != np.round(known)) & (np.abs(known * 100 - np.round(known * 100)) < 1e-6)))


def _weights(table: Table, name: str) -> Any:
    found = Number(name, 0.0, 1.0, notation=understood(name, table[name], "number").notation).read(table[name])
    wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any() or not found.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{table.place(row)}: weights are numbers >= 0, one in each row, and not all 0, got {found[row]:g}"
        )
    return found


def _groups(values: Values) -> Any:
    """A code for each row; rows without a value are each a group of their own."""
    texts = values if isinstance(values, Texts) else written(values)
    codes = texts.codes.astype(np.int64)
    missing = codes < 0
    codes[missing] = len(texts.levels) + np.arange(missing.sum())
    return codes


def _order(table: Table, name: str, wishes: Wishes) -> Any:
    column = understood(name, table[name], wishes.kinds.get(name), wishes.decimal)
    if column.kind == "category":
        raise DataError(f"{table.name}: order_by={name!r} is neither a number nor a date, such as {column.about}")
    if column.kind == "moment":
        read = Moment(name, 0.0, 0.0, (), column.form, column.strange, column.first_year).read
        return read(table[name])
    return Number(name, 0.0, 1.0, notation=column.notation).read(table[name])
