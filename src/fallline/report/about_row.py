"""Sections on the inside of a network: the network drawn, and one row through it and back, every number shown."""

import re
from typing import Any

import numpy as np

from fallline.insight.microscope import explain
from fallline.insight.network_drawing import drawing
from fallline.nn.ensemble import members
from fallline.plots.page_parts import folded, html_of, table
from fallline.report.about_answers import cells_of
from fallline.report.markup import demoted, says, wide
from fallline.report.section_table import section
from fallline.report.subject import Subject
from fallline.typesetting import fit, number

# Cells of a row that stand on the page without being asked for, and at most.
FEW_CELLS, MOST_CELLS = 12, 200


@section("network", "The network", 25)
def network(subject: Subject) -> str:
    """Its units and weights, drawn."""
    return says(subject.several, quiet=True) + wide(drawing(members(subject.run.model)[0]).svg(), "the network drawn")


@section("row", "One row, forward and backward", 70)
def row(subject: Subject) -> str:
    """A row of the data through the first network to the loss, and the chain rule back."""
    if subject.no_rows:
        return says(f"Not shown: {subject.no_rows}.", quiet=True)
    model, x, y = subject.one_row()
    found = explain(model, x, y)
    which = subject.place_in(subject.row)
    recipe = subject.opened.recipe
    of = f" of {recipe.data.name}" if recipe is not None else ""
    kind = f", one of the {which} rows" if which else ""
    told = says(f"Row {subject.row:,}{of}{kind}, counted from 0. {subject.several}".strip())
    return told + _as_given(subject, y) + demoted(_untitled(html_of(found) or ""), 1)


def _untitled(html: str) -> str:
    """An explanation without its heading, which is the section's."""
    return re.sub(r"<h1>.*?</h1>", "", html, count=1)


def _as_given(subject: Subject, y: Any) -> str:
    """The row as it is in the data."""
    recipe = subject.opened.recipe
    if recipe is None or recipe.data.same_unit:
        return ""
    names = list(recipe.data.features)[:MOST_CELLS]
    cells = cells_of(recipe.data.table, np.array([subject.row]), names, 200)[0]
    target = number(float(y), 6) if recipe.data.task != "classification" else fit(y, 200)
    rows = [[fit(recipe.data.target, 80), target], *([fit(name, 80), cell] for name, cell in zip(names, cells))]
    blocks = [rows[i : i + 30] for i in range(0, len(rows), 30)]
    shown = "".join(wide(table(part, ["column", "value"]), "the row") for part in blocks)
    return shown if len(rows) <= FEW_CELLS else folded(f"the row, {len(rows):,} columns", shown)


__all__ = ["network", "row"]
