"""Quantiles of a quantity: a network for several of them at once, moved on held-out rows until they cover."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.errors import ArgumentError, DataError
from fallline.graph.op import Array
from fallline.nn.model import Model
from fallline.nn.pinball import Pinball
from fallline.nn.sequential import Sequential
from fallline.recipe import LOSS, Recipe

USUAL = (0.05, 0.25, 0.5, 0.75, 0.95)


def for_quantiles(recipe: Recipe, levels: Sequence[float]) -> Recipe:
    """The recipe with one output for each level, trained by their pinball loss.

    Errors: ArgumentError for a recipe whose network does not end in a layer of `units`.
    """
    last: Any = recipe.network.layers[-1]
    if not hasattr(last, "units"):
        raise ArgumentError(f"quantiles need a network that ends in nn.Dense, and this one ends in {last!r:.60}")
    network = Sequential(*recipe.network.layers[:-1], replace(last, units=len(levels)))
    # Metrics of one prediction a row do not measure several quantiles: the best epoch is that of the lowest loss.
    # A search makes networks of its own, for the target itself: quantiles are learnt by the preset that it begins with.
    choices = replace(recipe.choices, metrics=(), watch=LOSS, time_limit=None)
    return replace(recipe, network=network, loss=Pinball(tuple(levels)), choices=choices)


def checked_levels(levels: Any) -> tuple[float, ...]:
    """Levels of quantiles in ascending order, each once. Errors: ArgumentError unless they are in 0..1, ends out."""
    several = np.atleast_1d(np.asarray(levels, np.float64)) if np.ndim(levels) < 2 else np.empty(0)
    if not several.size or not np.all((several > 0) & (several < 1)):
        raise ArgumentError(f"quantiles are numbers > 0 and < 1, got {shown(levels)}")
    return tuple(np.unique(several).tolist())


@dataclass(frozen=True, eq=False)
class Quantiles:
    """A model of quantiles with the shift of each that makes it cover on held-out rows.

        q_p(x) = model(x)_p + c_p        c_p: the quantile p of y - model(x)_p over the held-out rows

    levels: (q,) ascending. shifts: (q,) in the unit of the target. rows: held-out rows that these are from.
    """

    model: Model = field(repr=False)
    levels: tuple[float, ...]
    shifts: Array
    rows: int

    def predict(self, x: Any, levels: Any = None, *, threads: int | None = None) -> Array:
        """(N, q) quantiles in the unit of the target, ascending in a row; between levels of its own on straight lines.

        Errors: ArgumentError for levels outside of its own.
        """
        found = np.sort(np.asarray(self.model.predict(x, threads=threads), np.float64) + self.shifts, axis=1)
        if levels is None:
            return found
        checked_levels(levels)
        asked = np.atleast_1d(np.asarray(levels, np.float64))
        if asked.min() < self.levels[0] - 1e-9 or asked.max() > self.levels[-1] + 1e-9:
            raise ArgumentError(
                f"the quantiles {asked.tolist()} are asked for, and {self.levels[0]:g} to {self.levels[-1]:g} were "
                f"learnt\n  try: quantiles={tuple(sorted({*asked.tolist(), *self.levels}))} where the model is trained"
            )
        place = np.interp(asked, self.levels, np.arange(len(self.levels)))
        below = np.minimum(place.astype(np.int64), max(len(self.levels) - 2, 0))
        above = np.minimum(below + 1, len(self.levels) - 1)
        share = place - below
        between: Array = found[:, below] * (1 - share) + found[:, above] * share
        return between


def covering(model: Model, levels: Sequence[float], x: Any, y: Any, *, threads: int | None = None) -> Quantiles:
    """The quantiles of a model, moved so that they cover on rows that it was not trained on.

        c_p = the k-th smallest of y_i - model(x_i)_p,     k = ceil((n + 1) p) from the median on, else floor((n + 1) p)

    For rows of the same kind as the held-out ones, P(y <= q_p(x)) >= p from the median on, and <= p below, so that an
    interval between two levels holds at least their difference: the split-conformal guarantee, one side at a time. With
    so few rows that there is no k-th one, the outermost is taken.

    x, y: n held-out rows. Those by which training chose its best epoch will do; they look a little too good.
    Errors: DataError for no rows.
    Source: Romano et al. 2019, Conformalized quantile regression, arXiv:1905.03222, section 5; Vovk et al. 2005.
    """
    predicted = np.asarray(model.predict(x, threads=threads), np.float64)
    if not len(predicted):
        raise DataError("quantiles are moved on held-out rows, and there are none")
    rest = np.sort(np.asarray(y, np.float64).reshape(-1, 1) - predicted, axis=0)
    n = len(rest)
    ranks = [np.ceil((n + 1) * p) if p >= 0.5 else np.floor((n + 1) * p) for p in levels]
    picked = np.clip(np.array(ranks, np.int64), 1, n) - 1
    return Quantiles(model, tuple(levels), rest[picked, np.arange(len(levels))], n)
