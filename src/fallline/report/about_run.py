"""Sections on a run as it was asked for: its data as they were understood, its settings, its network."""

import json
from typing import Any

from fallline.data.target_column import class_list
from fallline.plots.page_parts import folded, line, pre, table
from fallline.report.section_table import section
from fallline.report.subject import Subject
from fallline.runs.events import TrainingStarted, plain
from fallline.typesetting import number

# Columns that stand on the page without being asked for.
MOST_COLUMNS = 30


@section("data", "Data", 10)
def data(subject: Subject) -> str:
    """The rows and each column as it was understood."""
    recipe, start = subject.opened.recipe, subject.run.started
    if recipe is None:
        told = [] if start is None else [line(_rows(start))]
        return "".join([*told, *(line(one, quiet=True) for one in subject.opened.missing)])
    of = recipe.data
    what = class_list(of.classes) if of.classes else f"the quantity {of.target!r}"
    parts = [line(f"{of.name}: {number(len(of))} rows, {number(len(of.features))} columns, {what}")]
    test = subject.opened.test
    if start is not None and test is not None:
        parts.append(line(f"{_rows(start)}, {number(len(test))} for the test"))
    parts += [line(f"note: {note}", quiet=True) for note in of.notes]
    rows = [
        [one.name, one.kind, one.about if not one.left_out else f"left out: {one.left_out}", one.missing or "",
         "; ".join(one.marks)]
        for one in of.columns
    ]  # fmt: skip
    if not rows:
        parts.append(folded(f"{number(len(of.features))} columns", line(", ".join(of.features))))
    else:
        shown = table(rows[:MOST_COLUMNS], ["column", "kind", "values", "missing", "to look at"])
        more = len(rows) - MOST_COLUMNS
        parts.append(shown if more <= 0 else folded(f"{len(rows)} columns", table(rows, ["column", "kind", "values"])))
    return "".join(parts)


@section("settings", "Training", 20)
def settings(subject: Subject) -> str:
    """The network and how it was trained."""
    run, start = subject.run, subject.run.started
    rows: list[list[Any]] = []
    if start is not None:
        trained = "" if start.trainable in (None, start.parameters) else f", {number(start.trainable)} trained"
        rows += [
            ["parameters", f"{number(start.parameters)}{trained}, {start.dtype}"],
            ["loss", start.loss],
            ["optimizer", start.optimizer],
            ["batch", f"{number(start.batch_size)} rows, {number(start.steps_per_epoch or 0)} steps an epoch"],
            ["seed", str(start.seed)],
        ]
        rows += [["note", note] for note in start.notes]
    end = run.ended
    if end is not None:
        rows.append(["ended", f"{end.reason.replace('_', ' ')}, epoch {end.epochs}, step {number(end.step)}"])
        rows.append(["time", f"{number(end.seconds, 3)} s, {number(end.steps_per_second, 3)} steps per second"])
    config = json.dumps(plain({name: value for name, value in run.config.items() if name != "model"}), indent=1)
    return table(rows) + folded("layers", pre(run.model.summary())) + folded("everything to repeat it", pre(config))


def _rows(start: TrainingStarted) -> str:
    given = "rows of a stream" if start.rows is None else f"{number(start.rows)} training rows"
    return f"{given}, {number(start.validation_rows)} for validation"


__all__ = ["data", "settings"]
