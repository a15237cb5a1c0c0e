"""Row losses: how badly a model predicts each row, and out of fold, where mislabelled rows stand out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data.dataset import Dataset
from fallline.data.preprocess import targets_of
from fallline.errors import ShapeError
from fallline.graph.op import Array
from fallline.nn.loss import CrossEntropy
from fallline.nn.model import Model
from fallline.recipe import Recipe
from fallline.split import folds as cut
from fallline.start import fit


def row_losses(model: Model, x: Any, y: Any, *, threads: int | None = None) -> Array:
    """The loss of each row, (N,) float64.

        -log p(y_i | x_i)       of labels, the cross-entropy without label smoothing
        (y_i - y_hat_i)^2       of one quantity, in its unit
        l(z_i, y_i)             of a model with another loss: that loss

    x, y: rows and targets as the model takes them.
    Errors: ShapeError where x and y have several lengths; DataError for labels that the model does not know.
    Example: worst = np.argsort(-row_losses(run.model, x, y))[:20]
    """
    z = model.outputs(x, threads=threads)
    targets = model.prepare(y)
    if len(z) != len(targets.y):
        raise ShapeError(f"row_losses: x has {len(z)} rows and y has {len(targets.y)}")
    loss = replace(model.loss, label_smoothing=0.0) if isinstance(model.loss, CrossEntropy) else model.loss
    with np.errstate(over="ignore"):
        found: Array = np.asarray(loss.rows(z.astype(np.float64), targets.y), np.float64)
    return found * scale_of(model) ** 2 if loss.name == "squared_error" else found


def scale_of(model: Model) -> float:
    """The factor between outputs and predictions in the unit of the target; 1 where there is none."""
    return float(getattr(model.decoder, "scale", 1.0))


def out_of_fold(
    data: Dataset, recipe: Callable[[Array], Recipe], *, folds: int = 5, seed: int = 0, threads: int | None = None
) -> Array:
    """The loss of each row by a model that was not trained on it, (N,) float64.

    A row with a wrong label has a high loss here: a network that trained on the row may have learnt it by heart. Rows
    are cut into folds, of each class alike; each fold is predicted by a training on the others.

    recipe: the recipe for some rows, such as lambda rows: recipe_of(data, Choices(), rows). folds: 2 or more.
    seed: of the cut.
    Errors: ArgumentError for more folds than rows.
    Example: suspects = np.argsort(-out_of_fold(data, lambda rows: recipe_of(data, Choices(), rows)))
    Source: Stone 1974 for the folds; ranking by loss as in Northcutt et al. 2021, Confident learning, arXiv:1911.00068.
    """
    found = np.empty(len(data))
    for fold in cut((data.y, data.y), folds, seed):
        others = np.delete(np.arange(len(data)), fold.rows)
        chosen = recipe(others)
        model = fit(chosen.network, chosen.rows, **{**chosen.settings, "threads": threads}).model
        y = targets_of(data, fold.rows, chosen.decoder)
        found[fold.rows] = row_losses(model, data.take(fold.rows), y, threads=threads)
    return found
