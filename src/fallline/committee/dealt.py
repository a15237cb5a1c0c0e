"""The parts of a recipe's rows that its networks are not trained on, one each: folds that keep groups whole."""

from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.jobs.settings import are_rows
from fallline.recipe import Recipe
from fallline.split import Fold, folds


def parts_of(recipe: Recipe, rows: Any, size: int, validation: Any) -> tuple[Fold, ...]:
    """So many folds of the rows, or fewer where there are fewer rows or groups.

    None where there is one choice of rows to validate on: rows that somebody gave, or the latest of an order.
    """
    n, data = len(rows[1]), recipe.data
    if are_rows(validation) or data.order is not None or _others(validation, recipe):
        return ()
    if data.groups is not None and n == len(recipe.train):
        return of_groups(data.groups[recipe.train], size, recipe.choices.seed)
    size = min(size, n // 2)
    return folds(rows[:2], size, recipe.choices.seed) if size > 1 else ()


def _others(validation: Any, recipe: Recipe) -> bool:
    """Whether these are places of rows that are not the recipe's own choice: somebody keeps them for something else."""
    is_places = isinstance(validation, np.ndarray | Fold)
    return is_places and not np.array_equal(validation, recipe.validation_rows)


def of_groups(groups: Array, size: int, seed: int) -> tuple[Fold, ...]:
    """Folds of whole groups: the largest first, each to the fold with the fewest rows.

    groups: (N,) the code of each row's group.
    """
    names, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    size = min(size, len(names))
    if size < 2:
        return ()
    dealt = np.random.default_rng(seed).permutation(len(names))
    filled, fold_of = np.zeros(size, np.int64), np.empty(len(names), np.int64)
    for group in dealt[np.argsort(-counts[dealt], kind="stable")]:
        fold_of[group] = place = int(np.argmin(filled))
        filled[place] += counts[group]
    return tuple(Fold(np.flatnonzero(fold_of[places] == i), i + 1, size) for i in range(size))
