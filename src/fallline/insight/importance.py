"""Permutation importance: how much worse a model predicts when one column of its table is shuffled."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.insight.row_losses import row_losses
from fallline.nn.model import Model
from fallline.ranges import COUNT


@dataclass(frozen=True, eq=False)
class Importance:
    """The rise of the loss for each column. mean, spread: (D,) over the repeats; rises: (D, repeats).

    loss: of the rows as they are.
    """

    names: tuple[str, ...]
    mean: Array
    spread: Array
    loss: float
    rises: Array = field(repr=False)


def permutation_importance(
    model: Model, x: Any, y: Any, *, repeats: int = 5, seed: int = 0, threads: int | None = None
) -> Importance:
    """The rise of the mean row loss when the cells of one column trade rows.

        importance_j = 1/R sum_r L(x with column j in the order r) - L(x)

    L is the mean of `row_losses`: cross-entropy, or the squared error in the unit of the target squared. A column of
    the table moves whole, all numbers that the network gets for it together. The order r is the same for all columns.
    Columns that say the same share their importance: each is little missed while the other stands.

    x, y: rows that the model was not trained on, better than training rows: those show what it leans on, not what
        helps. repeats: orders to average over, >= 1. seed: of the orders.
    Errors: those of `row_losses`; ArgumentError for no repeats.
    Example: permutation_importance(run.model, x_test, y_test).mean
    Source: Breiman 2001, Random forests, section 10; Fisher et al. 2019, arXiv:1801.01489.
    """
    if problem := COUNT.problem(repeats):
        raise ArgumentError(f"repeats {problem}")
    numbers, names = numbers_of(model, x)
    base = float(row_losses(model, numbers, y, threads=threads).mean())
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(numbers)) for _ in range(repeats)]
    rises, moved = np.empty((len(names), repeats)), numbers.copy()
    for place in range(len(names)):
        for turn, order in enumerate(orders):
            moved[:, place] = numbers[order, place]
            rises[place, turn] = row_losses(model, moved, y, threads=threads).mean() - base
        moved[:, place] = numbers[:, place]
    return Importance(names, rises.mean(axis=1), rises.std(axis=1), base, rises)


def numbers_of(model: Model, x: Any) -> tuple[Array, tuple[str, ...]]:
    """One number for each cell of some rows, as the model's encoder reads them, and the names of its columns."""
    if model.encoder is not None:
        return model.encoder.table_numbers(x, "x"), model.encoder.names
    rows = np.array(model.rows(x))
    return rows, tuple(map(str, range(rows.shape[1])))
