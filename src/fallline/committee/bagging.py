"""Bagging: one recipe trained on all but each fold of the rows, side by side, and the average as one model.

Every row is validated on once, so that the predictions of the members that were not trained on a row tell how good the
average is, and calibrate it.
"""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.committee.dealt import parts_of
from fallline.committee.panel import OF_THE_FOLDER, Panel, Saved, predicted, progress, shared, started_as_one
from fallline.errors import SavingError
from fallline.experiments.contest import Racing
from fallline.experiments.members import assembled, mean_epochs, member_seeds
from fallline.experiments.variants import Variant, variants_of
from fallline.jobs.describe import described, form
from fallline.nn.ensemble import averaged
from fallline.program import lanes
from fallline.recipe import Recipe
from fallline.runs.events import EpochEnded, Event, RaceResults, TrainingEnded, TrainingStarted
from fallline.split import Fold
from fallline.table import Table
from fallline.training.run import Run

# The folder of the members' runs within that of the whole.
MEMBERS = "members"


def fold_variants(
    recipe: Recipe, rows: Any, size: int, settings: Mapping[str, Any]
) -> tuple[tuple[Variant, ...], list[int], tuple[Fold, ...]]:
    """The trainings of a recipe on folds as variants of a race, their seeds, and the folds: () where the validation
    rows are somebody else's.

    size: their number, 2 or more. settings: of the whole.
    Errors: those of `fl.race`.
    """
    n, folds = len(rows[1]), parts_of(recipe, rows, size, settings.get("validation"))
    seeds = member_seeds(recipe.choices.seed, len(folds) or size)
    variants: list[dict[str, Any]] = [{"name": f"member {i}", "seed": seed} for i, seed in enumerate(seeds, 1)]
    # Without folds members differ by their seeds alone.
    if folds:
        variants = [
            # Batches of equal size in each fold: one of a single row would spoil the average.
            {**one, "name": repr(fold), "validation": fold, "batch_size": recipe.batch_of(n - len(fold.rows))}
            for one, fold in zip(variants, folds)
        ]
    options = shared(settings)
    if settings.get("out") is not None:
        # Each member is a run of its own in there, with checkpoints from which it goes on.
        options |= {name: settings[name] for name in OF_THE_FOLDER if name in settings}
        options["out"] = Path(settings["out"]) / MEMBERS
    return variants_of(recipe.network, rows, variants, options), seeds, folds


class Bagging(Panel):
    """The trainings of a recipe on folds, as one. size: their number, 2 or more."""

    resumes = True

    def __init__(self, recipe: Recipe, rows: Any, size: int, settings: Mapping[str, Any]) -> None:
        self._rows = rows
        made, seeds, self._folds = fold_variants(recipe, rows, size, settings)
        self._seed, self._gauged = recipe.choices.seed, bool(settings.get("gauges"))
        whole = averaged([one.job.model for one in made])
        self._config = {
            **described(made[0].job),
            "model": form(whole),
            "ensemble": {"seeds": seeds, "folds": len(self._folds)},
        }
        self._saved = Saved(settings, self._config)
        self._racing = Racing(made, lanes.checked(settings.get("threads")))
        self.interrupts = self._racing.interrupts
        self._result: Run | None = None
        self._events = self._stream()

    def stop(self) -> None:
        self._racing.stop()

    @property
    def run(self) -> Run:
        """The run so far: the average of the members as they are now."""
        return self._result or assembled(self._racing.race, self._config, self._seed)

    def _stream(self) -> Generator[Event, None, None]:
        with ExitStack() as stack:
            stack.enter_context(self._saved.opened())
            stack.callback(self._racing.close)
            told, started = 0, False
            for event in self._racing:
                if not isinstance(event, RaceResults):
                    continue
                if not started:
                    if all(run.started is None for run in self._racing.race.runs.values()):
                        continue  # a machine is so busy that nothing has begun yet
                    yield self._started()
                    started = True
                else:
                    yield progress(event.results, event.seconds)
                for epoch in self._common_epochs()[told:]:
                    told += 1
                    yield epoch
            for error in self._racing.race.errors.values():
                if isinstance(error, SavingError):
                    error.run = self.run  # of all members, not of the one that the disk did not take
                raise error
            self._result = self._saved.write(self._finished())
            if not started:
                yield self._started()
            *_, ended = self._result.events
            yield from [one for one in self._result.events if isinstance(one, EpochEnded)][told:]
            if isinstance(ended, TrainingEnded):
                yield ended

    def _started(self) -> TrainingStarted:
        runs = list(self._racing.race.runs.values())
        first = next(run.started for run in runs if run.started is not None)
        kind = f"{len(runs)} folds" if self._folds else f"{len(runs)} seeds"
        notes = [f"the average of networks trained on {kind}"]
        if self._gauged:
            kept = "kept where there is a folder (out=)"
            where = kept if self._saved.path is None else f"kept in {self._saved.path / MEMBERS}"
            notes.append(f"the average has no gauges, but each of the networks has, {where}")
        return replace(started_as_one(first, len(runs), self._saved.path, notes), seed=self._seed)

    def _common_epochs(self) -> list[EpochEnded]:
        """The epochs that all members have done, their figures averaged."""
        runs = list(self._racing.race.runs.values())
        return mean_epochs(runs, runs[0].started)[: min(len(run.epochs) for run in runs)]

    def _finished(self) -> Run:
        run = assembled(self._racing.race, self._config, self._seed)
        # The events are those of the whole run, from its first step, also where it was resumed.
        events = tuple(
            replace(one, first_epoch=0, first_step=0) if isinstance(one, TrainingStarted) else one for one in run.events
        )
        return replace(run, events=events, held_out=self._held_out())

    def _held_out(self) -> Array | None:
        """For each row what the member says that was not trained on it; None without folds."""
        found: Array | None = None
        x, runs = self._rows[0], list(self._racing.race.runs.values())
        for fold, run in zip(self._folds, runs):
            of_fold = predicted(run.model, x.take(fold.rows) if isinstance(x, Table) else x[fold.rows])
            if found is None:
                found = np.full((sum(len(one.rows) for one in self._folds), *of_fold.shape[1:]), np.nan)
            found[fold.rows] = of_fold
        return found
