"""`begin` and `fit`: the training of a recipe, whichever way its choices ask for: one network, folds, or a search."""

from typing import Any

from fallline.committee.panel import Panel
from fallline.errors import ArgumentError
from fallline.jobs.job import Job, prepare
from fallline.jobs.settings import Settings
from fallline.recipe import Recipe
from fallline.start import train
from fallline.training.run import Run
from fallline.training.training import Training


def begin(recipe: Recipe, rows: Any = None, **settings: Any) -> Training | Panel:
    """The training of a recipe as a stream of events, with the result so far as its `run`.

    rows: (x, y) or (x, y, weight) to train on; by default the recipe's own. settings: of `fl.train`, for what is to be
        other than the recipe says; out, overwrite, threads and extra as there.
    The first event is TrainingStarted and the last TrainingEnded; in between come Progress, EpochEnded, and of a search
    Tried. Networks on folds are runs of their own in `members` within the folder, and go on from there when it is
    resumed; a search saves the best so far, and begins anew.
    Errors: those of `fl.train`.
    Example: begin(recipe_of(data, Choices(preset="best")), out="runs/best")
    """
    rows = recipe.rows if rows is None else rows
    given = {**recipe.settings, **settings}
    if recipe.choices.time_limit is not None:
        if given.get("gauges"):
            raise ArgumentError("a search trains many networks, and gauges watch a single one\n"
                                "  try: gauges=None, or no time_limit (--time)")  # fmt: skip
        from fallline.committee.timed import Search  # one network, the common case, does without

        return Search(recipe, rows, given)
    size = folds_of(recipe, len(rows[1]))
    if size > 1:
        from fallline.committee.bagging import Bagging

        return Bagging(recipe, rows, size, given)
    return train(recipe.network, rows, **given)


def fit(recipe: Recipe, rows: Any = None, **settings: Any) -> Run:
    """The training of a recipe from its start to its end; arguments as for `begin`.

    Errors: those of `begin`.
    Example: run = fit(recipe_of(data, Choices(time_limit=60)))
    """
    training = begin(recipe, rows, **settings)
    with training.interrupts:  # a signal that ends the process lets it save first
        for _ in training:
            pass
        return training.run


def jobs_of(recipe: Recipe, rows: Any = None, **settings: Any) -> tuple[Job, ...]:
    """The jobs of the networks that `begin` would train: the same rows, first parameters and steps, nothing begun.

    rows, settings: as for `begin`.
    Errors: those of `begin`; ArgumentError for a search, whose networks follow from the time that it had.
    Example: job, = jobs_of(recipe_of(data, Choices(preset="plain")))
    """
    if recipe.choices.time_limit is not None:
        raise ArgumentError("the networks of a search follow from the time that it had, so they cannot be told before")
    rows = recipe.rows if rows is None else rows
    given = {**recipe.settings, **settings}
    size = folds_of(recipe, len(rows[1]))
    if size > 1:
        from fallline.committee.bagging import fold_variants

        return tuple(one.job for one in fold_variants(recipe, rows, size, given)[0])
    return (prepare(recipe.network, rows, Settings(**given)),)


def folds_of(recipe: Recipe, rows: int) -> int:
    """The folds of a recipe's preset, of two rows at least each; 1 for none."""
    return max(1, min(recipe.ingredients.folds, rows // 2))
