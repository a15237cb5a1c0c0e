"""Search: random candidates raced under a time limit, losers dropped early, the best averaged as one model.

A candidate is compared where its learning rate has come to zero: the schedule of the default preset, coslog4, does so
at 1/15, 1/5 and 7/15 of the training. Time decides how many candidates there are, and how many epochs they have.
"""

import math
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.committee import space
from fallline.committee.dealt import parts_of
from fallline.committee.panel import Panel, Saved, predicted, progress, shared, started_as_one
from fallline.committee.selection import is_better, selected
from fallline.errors import ArgumentError
from fallline.experiments.members import member_seeds
from fallline.experiments.track import Runner, Track
from fallline.experiments.variants import Variant
from fallline.jobs.describe import described, form
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings, are_rows
from fallline.jobs.shared_cache import SharedCache
from fallline.nn.encoder import Labels
from fallline.nn.ensemble import averaged
from fallline.nn.model import Model
from fallline.program import lanes
from fallline.recipe import Recipe, recipe_of
from fallline.runs.events import EpochEnded, Event, RaceResult, TrainingEnded, Tried
from fallline.split import Fold, chosen_rows
from fallline.table import Table
from fallline.training.interrupt import Interrupts
from fallline.training.run import Run
from fallline.training.training import Training

# Where candidates are compared, as shares of their epochs; of those that come there, this share goes on.
RUNGS, KEPT = (1 / 15, 1 / 5, 7 / 15), 0.5
# Shares of the time: one training takes this at most; new candidates begin until that; what is left at the end is for
# the selection.
ONE, EXPLORED, RESERVED = 0.4, 0.6, 0.03
# Networks that are averaged at most before they are trained on other folds, and the folds.
MOST, FOLDS = 4, 5
# Candidates that are kept after their end, for the selection.
REMEMBERED = 30
# Seconds between two looks at the candidates.
_ROUND = 0.25
# Seconds between two times that the best so far is saved.
_KEEP = 10.0


@dataclass
class Candidate:
    """A candidate in training or after it.

    number: from 0. fold: the part of the rows that it is validated on, from 0. score: lower is better. rung: how many
    comparisons it has passed. model: once its training has ended.
    """

    number: int
    drawn: Mapping[str, Any]
    fold: int
    runner: Runner
    cache: SharedCache  # the data of all, and the programs of its own network
    rung: int = 0
    dropped: bool = False
    model: Model | None = field(default=None, repr=False)

    @property
    def result(self) -> RaceResult:
        return self.runner.result

    @property
    def is_finished(self) -> bool:
        return self.model is not None and not self.dropped and self.result.state not in (
            "interrupted", "diverged", "failed")  # fmt: skip


class Search(Panel):
    """A search under the time limit of a recipe's choices, which counts from here on."""

    def __init__(self, recipe: Recipe, rows: Any, settings: Mapping[str, Any]) -> None:
        assert recipe.choices.time_limit is not None
        if settings.get("resume"):
            raise ArgumentError("a search under a time limit begins anew each time, so it cannot be resumed\n"
                                "  try: overwrite=True")  # fmt: skip
        self._begun, self._limit = time.perf_counter(), float(recipe.choices.time_limit)
        self._kept = self._begun
        self._recipe, self._rows, self._settings = recipe, rows, shared(settings)
        self._seed = recipe.choices.seed
        self._cache = SharedCache({})
        given = settings.get("validation")
        self._parts: tuple[Any, ...] = parts_of(recipe, rows, FOLDS, given) or (given,)
        self._epochs: int | None = None if recipe.asked.epochs is None else recipe.asked.epochs
        self._drawn, self._rungs = 0, [list[float]() for _ in RUNGS]
        self._all: list[Candidate] = []  # but for those that are forgotten
        self._past: list[Tried] = []
        self._past_steps = 0
        self.interrupts = Interrupts(self._stop_all)
        self._lanes = lanes.checked(settings.get("threads"))
        first = self._make(0)
        self._track = Track([first.runner], self._lanes, self.interrupts, _ROUND)
        self._config = {**described(first.runner.training.job), "search": {"time_limit": self._limit}}
        self._saved = Saved(settings, self._config)
        self._result: Run | None = None
        self._events = self._stream()

    def stop(self) -> None:
        self.interrupts.stop_requested = True
        self._stop_all()

    def _stop_all(self) -> None:
        for one in self._all:
            one.runner.training.stop()

    @property
    def run(self) -> Run:
        return self._result or self._assembled()

    # Candidates

    def _make(self, number: int, fold: int = 0) -> Candidate:
        """A candidate ready to be trained, on all rows but those of a fold."""
        drawn = space.candidate(number, self._seed, self._recipe.data.task)
        of = recipe_of(self._recipe.data, self._recipe.asked, like=self._recipe, ingredients=drawn)
        own = {name: of.settings[name] for name in ("loss", "optimizer", "batch_size", "early_stopping", "metrics")}
        if of.data.task == "classification":
            own["metrics"] = tuple(dict.fromkeys((*(own["metrics"] or ()), "log_loss")))
        seed = member_seeds(self._seed, (number + 1) * FOLDS)[-1 - fold]
        epochs = self._epochs or of.settings["epochs"]
        if isinstance(part := self._parts[fold], Fold):
            own["batch_size"] = of.batch_of(len(self._rows[1]) - len(part.rows))
        options = {**self._settings, **own, "epochs": epochs, "seed": seed, "validation": part}
        same = next((one.cache for one in self._all if one.number == number), None)
        cache = same or (self._cache.data() if number else self._cache)
        name = f"candidate {number}" + (f", fold {fold + 1}" if fold else "")
        job = prepare(of.network, self._rows, Settings(**options, threads=1), cache)
        made = Candidate(number, drawn, fold, Runner(Variant(name, drawn, job), Training(job)), cache)
        self._all.append(made)
        return made

    def _score(self, one: Candidate) -> float:
        """The log-loss or RMSE of the validation rows, in the best epoch so far; infinite before the first."""
        result = one.result
        name = "validation_log_loss" if self._recipe.data.task == "classification" else "validation_rmse"
        score = result.metrics.get(name, math.nan if result.validation_loss is None else result.validation_loss)
        return score if math.isfinite(score) else math.inf

    @property
    def _spent(self) -> float:
        return time.perf_counter() - self._begun

    @property
    def _left(self) -> float:
        return self._limit * (1 - RESERVED) - self._spent

    # The race

    def _stream(self) -> Generator[Event, None, None]:
        with ExitStack() as stack:
            stack.enter_context(self._saved.opened())
            stack.callback(lanes.rest)
            stack.callback(self._close_all)
            stack.enter_context(self._track)
            started = False
            while self._track.waiting and self._left > 0 and not self.interrupts.stop_requested:
                self._track.round(max(0.0, min(_ROUND, self._left, self._limit / 40)))
                if not started:
                    yield from (first := self._started())
                    started = bool(first)
                for one in self._ended():
                    self._keep()
                    yield self._tried(one)
                self._forget()
                if started:
                    yield progress([one.result for one in self._all], self._spent)
                self._decide_epochs()
                self._drop_losers()
                self._begin_others()
            self._stop_all()
            while self._track.waiting:
                self._track.round(_ROUND)
            if not started:  # stopped, or out of time, before the first candidate was
                yield from self._started()
            for one in self._ended():
                yield self._tried(one)
            for one in self._all:
                # One that fails is left out, unless nothing else came to its end.
                if one.runner.error is not None and not any(other.is_finished for other in self._all):
                    raise one.runner.error
            self._result = self._saved.write(self._assembled())
            yield from (one for one in self._result.events if isinstance(one, EpochEnded | TrainingEnded))

    def _started(self) -> list[Event]:
        """The first event, once the first candidate has begun."""
        first = self._all[0].runner.training.run.started
        if first is None:
            return []
        return [replace(started_as_one(first, 1, self._saved.path, ()), seed=self._seed, open_ended=True)]

    def _keep(self) -> None:
        """Save the best so far now and then, in case that the process does not live to the end."""
        if self._saved.path is not None and time.perf_counter() - self._kept > _KEEP:
            self._saved.keep(self._assembled())
            self._kept = time.perf_counter()

    def _close_all(self) -> None:
        for one in self._all:
            one.runner.training.close()

    def _ended(self) -> Generator[Candidate, None, None]:
        """The candidates whose training has ended since the last look; their parameters are kept, and no more."""
        by_runner = {id(one.runner): one for one in self._all}
        while self._track.over:
            one = by_runner[id(self._track.over.popleft())]
            one.model = one.runner.training.run.model
            yield one

    def _forget(self) -> None:
        """Let go of all but the best, so that a long search on few rows needs no more memory than a short one."""
        over = [one for one in self._all if one.model is not None and one.number and not one.fold]
        for one in sorted(over, key=self._score)[REMEMBERED:]:
            self._past.append(self._tried(one))
            self._past_steps += one.result.step
            self._close(one)
            self._all.remove(one)

    def _tried(self, one: Candidate) -> Tried:
        result = one.result
        state = "dropped" if one.dropped else result.state
        return Tried(one.runner.name, space.in_words(one.drawn), state, result.epoch, result.epochs, self._score(one),
                     result.seconds)  # fmt: skip

    def _decide_epochs(self) -> None:
        """After the first epoch: as many that one training takes its share of the time, halved until they fit."""
        first = self._all[0]
        if self._epochs is not None or first.result.epoch < 1:
            return
        whole = epochs = first.result.epochs
        each = first.result.seconds / first.result.epoch
        while epochs > 2 and epochs * each > ONE * self._limit:
            epochs = -(-epochs // 2)
        self._epochs = epochs
        if epochs < whole:
            first.runner.training.stop()
            first.dropped = True
            self._all.remove(first)
            self._track.waiting.clear()
            self._close(first)
            self._track.waiting.append(self._make(0).runner)

    def _close(self, one: Candidate) -> None:
        one.runner.training.close()

    def _drop_losers(self) -> None:
        """Compare those that have come to a rung with all that were there before them."""
        for one in self._all:
            if one.model is not None or one.dropped or one.fold:
                continue
            while one.rung < len(RUNGS) and one.result.epoch >= math.ceil(RUNGS[one.rung] * one.result.epochs):
                there = self._rungs[one.rung]
                score = self._score(one)
                there.append(score)
                one.rung += 1
                # The first ones have nobody to be compared with, and the preset itself is always trained to its end.
                if one.number and len(there) > 2 and score > np.quantile(there, KEPT):
                    one.dropped = True
                    one.runner.training.stop()
                    break

    def _begin_others(self) -> None:
        """Fill the lanes: with new candidates at first, then with the best ones on other folds."""
        if self._epochs is None:
            return
        while len(self._track.waiting) < self._lanes:
            one = self._next()
            if one is None:
                return
            self._track.waiting.append(one.runner)

    def _next(self) -> Candidate | None:
        finished = [one for one in self._all if one.is_finished]
        longest = max((one.result.seconds for one in finished), default=0.0)
        if 1.1 * longest > self._left:
            return None
        done = {(one.number, one.fold) for one in self._all}
        if self._preset_folds and any(one.number == 0 for one in finished):
            fold = next((fold for fold in range(1, len(self._parts)) if (0, fold) not in done), None)
            if fold is not None:
                return self._make(0, fold)
        if self._spent < EXPLORED * self._limit or not finished:
            self._drawn += 1
            return self._make(self._drawn)
        for fold in range(1, len(self._parts)):
            for one in self._chosen():
                if (one.number, fold) not in done:
                    return self._make(one.number, fold)
        return None

    # The result

    def _held(self) -> tuple[Any, Array]:
        """The rows on which candidates are compared, and their codes or quantities."""
        part = self._parts[0]
        x, y = (part if are_rows(part) else self._rows)[:2]
        if not are_rows(part) and part is not None:
            held = chosen_rows(part, [], len(y))
            x, y = x.take(held) if isinstance(x, Table) else x[held], y[held]
        decoder = self._recipe.decoder
        if isinstance(decoder, Labels):
            return x, np.searchsorted(decoder.classes, y) if _sorted(decoder.classes) else _places(decoder.classes, y)
        return x, np.asarray(y, np.float64)

    @property
    def _preset_folds(self) -> bool:
        """Whether the preset is an average of folds for so many rows: then a search has these first, and keeps them."""
        return self._recipe.ingredients.folds > 1

    def _chosen(self) -> list[Candidate]:
        """The candidates whose average is best on the rows on which they are compared."""
        there = [one for one in self._all if one.is_finished and not one.fold]
        there = there or [one for one in self._all if one.model is not None and math.isfinite(self._score(one))]
        if not there:
            return []
        there = sorted(there, key=self._score)[:REMEMBERED]
        x, y = self._held()
        found = [(one, predicted(one.model, x)) for one in there if one.model is not None]
        preset = next((pair for pair in found if pair[0].number == 0), None)
        if preset is None or not self._preset_folds:
            return [found[place][0] for place in selected([guess for _, guess in found], y, MOST)]
        # Few rows tell candidates apart badly: one has to be better than the preset by more than chance.
        better = [pair for pair in found if pair is not preset and is_better(pair[1], preset[1], y)]
        places = selected([guess for _, guess in better], y, MOST - 1) if better else []
        return [preset[0], *(better[place][0] for place in places)]

    def _assembled(self) -> Run:
        """The run so far: the average of the best candidates, each with its trainings on other folds."""
        chosen = self._chosen()
        numbers = {one.number for one in chosen}
        whole = chosen + [one for one in self._all if one.fold and one.number in numbers and one.is_finished]
        models = [one.model for one in whole if one.model is not None]
        models = models or [self._all[0].runner.training.run.model]
        loss = models[0].loss  # candidates may differ in the smoothing of labels, which no prediction shows
        model = averaged([replace(one, loss=loss) for one in models]) if len(models) > 1 else models[0]
        best = (chosen or self._all)[0].runner.training.run
        tried = [*self._past, *(self._tried(one) for one in self._all if one.model is not None)]
        notes = [
            f"{self._drawn + 1} candidates in {self._spent:.0f} s of {self._limit:g}; an average of {len(models)}: "
            + "; ".join(f"candidate {one.number} ({space.in_words(one.drawn)})" for one in chosen)
        ]
        events: list[Event] = []
        if best.started is not None:
            counted = replace(best.started, parameters=model.layout.size, trainable=model.layout.count())
            events.append(started_as_one(counted, 1, self._saved.path, notes))
        events += [*tried, *best.epochs]
        if best.ended is not None:
            steps = self._past_steps + sum(one.result.step for one in self._all)
            reason = "interrupted" if self.interrupts.stop_requested else "finished"
            rate = steps / self._spent
            told: dict[str, Any] = {"reason": reason, "step": steps, "seconds": self._spent, "steps_per_second": rate}
            events.append(replace(best.ended, **told, restored_best=False))
        kept = {
            "time_limit": self._limit,
            "candidates": self._drawn + 1,
            "averaged": [one.runner.name for one in whole],
        }
        return Run(model, tuple(events), self._config | {"model": form(model), "search": kept})


def _sorted(classes: Array) -> bool:
    return bool(np.all(classes[:-1] < classes[1:]))


def _places(classes: Array, y: Array) -> Array:
    """The place of each label among the classes."""
    places = {label: place for place, label in enumerate(classes.tolist())}
    return np.array([places[label] for label in np.asarray(y).tolist()])
