"""Sections on a run as it was asked for: its data as they were understood, its settings, its members."""

import json
import math
from typing import Any

from fallline.data.target_column import class_list
from fallline.plots.page_parts import escaped, folded, pre, table
from fallline.report.markup import says, wide
from fallline.report.section_table import section
from fallline.report.subject import Subject
from fallline.runs.events import TrainingStarted, plain
from fallline.typesetting import fit, number

# Columns that stand on the page without being asked for; those of one table at most.
MOST_COLUMNS, MOST_LISTED = 15, 500


@section("data", "Data", 10)
def data(subject: Subject) -> str:
    """The rows and each column as it was understood."""
    recipe, start = subject.opened.recipe, subject.run.started
    if recipe is None:
        told = [] if start is None else [says(f"{_rows(start)}.")]
        return "".join([*told, *(says(f"{one[:1].upper()}{one[1:]}.", quiet=True) for one in subject.opened.missing)])
    of = recipe.data
    what = class_list(of.classes) if of.classes else f"the quantity {of.target!r}"
    parts = [says(f"{of.name}: {number(len(of))} rows, {number(len(of.features))} columns, {what}.")]
    test = subject.opened.test
    if start is not None and test is not None:
        parts.append(says(f"{_rows(start)}, {number(len(test))} for the test."))
    parts += [says(f"note: {note}", quiet=True) for note in of.notes]
    rows = [
        [fit(one.name, 80), one.kind, one.about if not one.left_out else f"left out: {one.left_out}",
         f"{one.missing:,}" if one.missing else "", "; ".join(one.marks)]
        for one in of.columns
    ]  # fmt: skip
    if not rows:
        return "".join(parts) + folded(f"{number(len(of.features))} columns", says(", ".join(of.features)))
    head = ["column", "kind", "values", "missing", "to look at"]
    shown = "".join(wide(table(rows[i : i + 30], head), "columns") for i in range(0, min(len(rows), MOST_LISTED), 30))
    if len(rows) > MOST_LISTED:
        shown += says(f"and {len(rows) - MOST_LISTED:,} more", quiet=True)
    return "".join(parts) + (shown if len(rows) <= MOST_COLUMNS else folded(f"{len(rows):,} columns", shown))


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
    else:
        rows.append(["ended", "not yet, or it was cut off"])
    wrong = run.diverged
    if wrong is not None:
        rows.append(["diverged", f"at step {number(wrong.step)}, last finite loss {number(wrong.last_loss)}"])
    config = json.dumps(plain({name: value for name, value in run.config.items() if name != "model"}), indent=1)
    return "".join([wide(_facts(rows), "settings"), _members(subject), folded("layers", pre(run.model.summary())),
                    folded("everything to repeat it", pre(config))])  # fmt: skip


def _facts(rows: list[list[Any]]) -> str:
    """Names with what they are, the names as headers of their rows."""
    inside = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:400;padding:2px 16px 2px 0" class="quiet">'
        f"{escaped(name)}</th><td>{escaped(text)}</td></tr>"
        for name, text in rows
    )
    return f'<table style="border-collapse:collapse">{inside}</table>'


def _members(subject: Subject) -> str:
    """The networks of an average, a line each."""
    if len(subject.opened.parts) < 2:
        return ""
    rows = []
    for part in subject.opened.parts:
        run = part.run
        if run is None or not run.epochs:
            rows.append([part.name, "-", "-", "-", "no history of its own was kept"])
            continue
        best = next((one for one in run.epochs if one.epoch == run.best_epoch), run.epochs[-1])
        held = math.nan if best.validation_loss is None else best.validation_loss
        ended = "-" if run.stop_reason is None else run.stop_reason.replace("_", " ")
        rows.append([part.name, f"{len(run.epochs):,}", number(best.loss, 4), number(held, 4), ended])
    shown = table(rows, ["network", "epochs", "loss", "validation loss", "ended"])
    return says(f"The answer is the average of {len(rows)} networks.") + wide(shown, "networks")


def _rows(start: TrainingStarted) -> str:
    given = "rows of a stream" if start.rows is None else f"{number(start.rows)} training rows"
    return f"{given}, {number(start.validation_rows)} for validation"


__all__ = ["data", "settings"]
