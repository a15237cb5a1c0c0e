"""Sections on answers row by row: predicted against true, the hardest rows, and the columns that answers lean on."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.errors import FalllineError
from fallline.insight.importance import permutation_importance
from fallline.insight.row_losses import row_losses
from fallline.plots.answer_plots import calibration, confusion, predictions
from fallline.plots.chart import Axis, Bars, Chart, Panel
from fallline.plots.page_parts import escaped, table
from fallline.report.markup import image, pictures, says, sub, wide
from fallline.report.section_table import section
from fallline.report.subject import Held, Subject, drawn
from fallline.table import Table, Texts
from fallline.typesetting import fit, number

# Of the hardest rows and of their columns, how many are shown.
HARDEST, COLUMNS = 8, 6
# Columns of a table up to which each is shuffled, and the products of numbers that this may take.
MOST_SHUFFLED, MOST_PRODUCTS, REPEATS = 200, 1e10, 3
FEWEST, BARS = 60, 15


@section("answers", "Answers", 42)
def answers(subject: Subject) -> str:
    """Which classes are taken for which, or predicted against true numbers; and the rows it is worst at."""
    held = subject.held
    if held is None:
        return says(f"Not shown: {subject.no_rows}.", quiet=True)
    data, charts, notes = (held.x, held.y), list[Chart](), list[str]()
    classes = held.model.labels is not None
    for function in (confusion, calibration) if classes else (predictions,):
        made, why = _made(function, subject, data)
        charts += [] if made is None else [made]
        notes += [why] if why else []
    how = {"test": "rows that training never saw", "validation": "rows that training did not step on, and chose its "
           "epoch by", "training": "rows it was trained on, which say little of others"}[held.which]  # fmt: skip
    shown = says(f"On {held.said}: {how}.") + pictures(*charts, height=280)
    return shown + "".join(says(one, quiet=True) for one in notes) + _hardest(subject, held)


def _made(function: Callable[..., Chart], subject: Subject, data: Any) -> tuple[Chart | None, str]:
    held = subject.held
    assert held is not None
    try:
        made = function(replace(subject.run, model=held.model), data=data)
        return replace(made, title=made.title.replace("given rows", held.rows)), ""
    except FalllineError as error:
        return None, f"{function.__name__} is not drawn: {error}".partition("\n")[0]


def _hardest(subject: Subject, held: Held) -> str:
    """The rows with the highest loss, as they are in the data."""
    try:
        losses = row_losses(held.model, held.x, held.y)
    except FalllineError as error:
        return says(f"The hardest rows are not known: {error}", quiet=True)
    if losses.ndim != 1 or not np.isfinite(losses).any():
        return ""
    worst = np.argsort(-np.nan_to_num(losses, nan=-np.inf), kind="stable")[: min(HARDEST, len(losses))]
    said = held.model.predict(_rows_of(held.x, worst))
    truth = np.asarray(held.y)[worst]
    true = [_cell(one) for one in truth]
    rows = [
        [f"{held.index[row]:,}", true[k], _cell(said[k]), number(float(losses[row]), 3)] for k, row in enumerate(worst)
    ]
    head = ["row", "true", "predicted", "loss"]
    mean = float(np.mean(losses[np.isfinite(losses)]))
    intro = says(f"The highest losses among them; the mean is {number(mean, 3)}. Rows are counted from 0 in the data.")
    shape = _image_shape(subject, held)
    if shape is not None:
        arrays = np.asarray(held.x if not isinstance(held.x, Table) else _numbers(held.x))[worst]
        figures = "".join(
            f'<figure class="shown">{image(array.reshape(shape), f"row {row[0]}")}<figcaption>row {escaped(row[0])}: '
            f"{escaped(row[1])}, taken for {escaped(row[2])}; loss {row[3]}</figcaption></figure>"
            for array, row in zip(arrays, rows, strict=True)
        )
        return sub("Hardest rows") + intro + f'<div class="pictures">{figures}</div>'
    cells, names = _columns(subject, held, worst)
    shown = table([row + more for row, more in zip(rows, cells, strict=True)], head + names)
    return sub("Hardest rows") + intro + wide(shown, "hardest rows")


def _rows_of(x: Any, index: Array) -> Any:
    return x.take(index) if isinstance(x, Table) else tree.map(lambda leaf: leaf[index], x)


def _cell(value: Any, most: int = 40) -> str:
    if isinstance(value, float | np.floating):
        return number(float(value), 4)
    if isinstance(value, np.ndarray):
        return fit(", ".join(number(one, 3) for one in value.ravel()[:6]), most)
    return fit(value, most)


def _numbers(x: Table) -> Array:
    return np.stack([np.asarray(x[name], np.float64) for name in x.names], axis=1)


def _image_shape(subject: Subject, held: Held) -> tuple[int, ...] | None:
    """The shape by which rows are images: of arrays their own, of columns of one unit a square."""
    recipe = subject.opened.recipe
    if recipe is not None:
        side = math.isqrt(len(recipe.data.features))
        square = recipe.data.same_unit and side > 3 and side * side == len(recipe.data.features)
        return (side, side) if square else None
    shape = np.shape(held.x)[1:] if isinstance(held.x, np.ndarray) else ()
    if (len(shape) == 3 and shape[0] in (1, 3)) or len(shape) == 2:
        return shape if min(shape[-2:]) >= 4 and max(shape[-2:]) <= 256 else None
    return None


def _columns(subject: Subject, held: Held, worst: Array) -> tuple[list[list[str]], list[str]]:
    """Cells of the first columns of these rows as they are in the data, and the names of these columns."""
    recipe = subject.opened.recipe
    if recipe is None:
        return [[] for _ in worst], []
    rows = cells_of(recipe.data.table, held.index[worst], list(recipe.data.features)[:COLUMNS])
    left = len(recipe.data.features) - COLUMNS
    names = [fit(name, 24) for name in list(recipe.data.features)[:COLUMNS]] + ([f"{left} more"] if left > 0 else [])
    return [row + ([""] if left > 0 else []) for row in rows], names


def cells_of(data: Table, index: Array, names: list[str], most: int = 40) -> list[list[str]]:
    """Cells of a table as texts, "missing" where there is no value."""
    some = data.take(index)
    columns = []
    for name in names:
        values = some[name]
        each = values.strings() if isinstance(values, Texts) else values
        columns.append([_in_words(one, most) for one in each])
    return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in index]


def _in_words(value: Any, most: int) -> str:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return "missing"
    if isinstance(value, np.datetime64):
        return "missing" if np.isnat(value) else str(value).removesuffix("T00:00:00")
    return number(float(value), 8) if isinstance(value, int | float | np.number) else fit(value, most)


@section("columns", "Columns that answers lean on", 44)
def columns(subject: Subject) -> str:
    """The rise of the loss where the cells of a column trade rows."""
    held, recipe = subject.held, subject.opened.recipe
    if held is None or recipe is None or recipe.data.same_unit:
        return ""
    count = len(recipe.encoder.names)
    if count > MOST_SHUFFLED:
        return says(f"Not looked at: {count:,} columns, each of which has to be shuffled.", quiet=True)
    room = int(MOST_PRODUCTS / max(count * REPEATS * 2 * held.model.theta.size, 1))
    if room < FEWEST:
        return says(f"Not looked at: {count:,} columns through {held.model.theta.size:,} parameters take long; "
                    "fl.permutation_importance measures it.", quiet=True)  # fmt: skip
    some = drawn(np.arange(len(held.index)), min(room, 1000))
    found = permutation_importance(held.model, _rows_of(held.x, some), np.asarray(held.y)[some], repeats=REPEATS)
    order = np.argsort(-found.mean, kind="stable")[:BARS]
    which = f"{len(some):,} {held.which} rows"
    bars = Bars(found.mean[order], found.spread[order], "", 0)
    axes = (Axis("rise of the loss, ± spread of the orders", "loss of a row"),
            Axis("column", "1", names=tuple(fit(found.names[place], 40) for place in order)))  # fmt: skip
    chart = Chart("Rise of the loss when a column is shuffled", (Panel(*axes, (bars,)),))
    left = count - len(order)
    more = f" The {left:,} columns that matter less are left out." if left > 0 else ""
    told = (f"The loss of {which} is {number(found.loss, 4)}; it rises so much where the cells of a column trade rows, "
            f"mean of {REPEATS} orders. Columns that say the same share it: each is little missed.{more}")  # fmt: skip
    return says(told) + pictures(chart, width=560, height=70 + 22 * len(order))


__all__ = ["answers", "cells_of", "columns"]
