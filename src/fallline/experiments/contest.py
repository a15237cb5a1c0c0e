"""Many trainings at once: variants of one training side by side, a slice of time each, on as many lanes as there are
cores. Each is a Training like any other, on one lane, so its result is that of training it alone.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from fallline.arguments import record, takes
from fallline.displays import Displayed
from fallline.errors import Attributes
from fallline.experiments.track import Runner, Track
from fallline.experiments.variants import Collected, Variant, comparable, is_repeated, variants_of
from fallline.program import lanes
from fallline.runs.events import (
    Event,
    RaceEnded,
    RaceResult,
    RaceResults,
    RaceStarted,
    VariantEnded,
    ranked,
)
from fallline.training.interrupt import Interruptible, Interrupts
from fallline.training.run import Run
from fallline.training.training import Training

# Seconds between two results; the first come sooner. Lanes meet then, and wait for one another for a machine call at
# most.
_STANDINGS, _FIRST_STANDINGS = 0.5, 0.1


@record
@dataclass(frozen=True, eq=False)
class Race(Displayed, Attributes):
    """The result of `race`.

    runs: by name, in the order the variants were given; each as `fit` returns it. results: sorted by validation
        loss (by loss where there is no validation; by the metric that all variants watch), the best first; what
        diverged or failed comes last.
    stop_reason: "finished" or "interrupted". errors: of variants that failed, by name.
    """

    runs: Mapping[str, Run] = field(repr=False)
    results: tuple[RaceResult, ...]
    stop_reason: str
    seconds: float
    errors: Mapping[str, Exception] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    repeats: bool = False  # the variants differ in nothing but seeds and validation rows

    @property
    def best(self) -> Run:
        """The run in first place."""
        return self.runs[self.results[0].name]

    @property
    def columns(self) -> dict[str, Any]:
        """The results as columns, in their order: "name" and "state" are lists, the numbers arrays.

        Columns: name, state, epoch, loss, validation_loss and the metrics where there was validation, seconds.
        """
        table = self.results
        found: dict[str, Any] = {"name": [one.name for one in table], "state": [one.state for one in table]}
        found["epoch"] = np.array([one.epoch for one in table])
        found["loss"] = np.array([one.loss for one in table])
        if any(one.validation_loss is not None for one in table):
            values = [math.nan if one.validation_loss is None else one.validation_loss for one in table]
            found["validation_loss"] = np.array(values)
        for name in dict.fromkeys(name for one in table for name in one.metrics):
            found[name] = np.array([one.metrics.get(name, math.nan) for one in table])
        found["seconds"] = np.array([one.seconds for one in table])
        return found

    def summary(self) -> str:
        """The results as a text table; of repetitions of one training also their mean and standard deviation."""
        columns = self.columns
        shown = [name for name in columns if name not in ("name", "state", "epoch", "seconds")]
        rows = [["", "name", "epochs", *shown, "ended"]]
        for one, *values in zip(self.results, *(columns[name] for name in shown)):
            numbers = ["-" if math.isnan(value) else f"{value:.4g}" for value in values]
            rows.append([str(one.place), one.name, f"{one.epoch}", *numbers, one.state.replace("_", " ")])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        left = (1, len(widths) - 1)
        lines = [
            "  ".join(f"{cell:<{w}}" if i in left else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths)))
            for row in rows
        ]
        lines = [line.rstrip() for line in lines]
        if self.repeats and len(self.results) > 1:
            means = (f"{name} {columns[name].mean():.4g} +- {columns[name].std(ddof=1):.2g}" for name in shown)
            lines.append(f"mean and standard deviation of {len(self.results)}: {', '.join(means)}")
        lines += [f"{one.name} {one.state}: {one.problem}" for one in self.results if one.problem]
        lines += [f"note: {note}" for note in self.notes]
        done = "" if self.stop_reason == "finished" else f", {self.stop_reason}"
        lines.append(f"{len(self.results)} variants in {self.seconds:.3g} s{done}")
        return "\n".join(lines)


class Racing(Interruptible[Event]):
    """A race as an iterator over its events; `race` is its result so far.

    Work is done only while an event is requested. Ctrl-C while an event is awaited ends
    all trainings in good order; so does `stop`, for a reader that has seen enough.
    """

    def __init__(self, variants: Sequence[Variant], most_lanes: int) -> None:
        self._variants = tuple(variants)
        self.lanes = min(most_lanes, len(self._variants))
        self.notes = comparable(self._variants)
        self.interrupts = Interrupts(self._stop_all)
        made, problems = [], Collected(len(self._variants))
        for variant in self._variants:
            with problems.of(variant.name):
                made.append(Runner(variant, Training(variant.job)))
        problems.raise_if_any()
        self._runners = tuple(made)
        watched = {(variant.job.measures.watches, variant.job.measures.higher_is_better) for variant in self._variants}
        if len(watched) == 1 and self._variants[0].job.measures.watched is not None:
            for runner in self._runners:
                runner.watches, runner.higher_is_better = next(iter(watched))
        self._track = Track(self._runners, self.lanes, self.interrupts, _STANDINGS)
        self._reason = "interrupted"
        self._events = self._stream()

    def stop(self) -> None:
        """End all trainings after the machine calls that run now, as Ctrl-C does."""
        self.interrupts.stop_requested = True
        self._stop_all()

    def _stop_all(self) -> None:
        for runner in self._runners:
            runner.training.stop()

    @property
    def results(self) -> tuple[RaceResult, ...]:
        return ranked(runner.result for runner in self._runners)

    @property
    def race(self) -> Race:
        """The race so far, with copies of all parameters as they are now."""
        runs = MappingProxyType({runner.name: runner.training.run for runner in self._runners})
        errors = {runner.name: runner.error for runner in self._runners if runner.error is not None}
        repeats = all(is_repeated(variant.given) for variant in self._variants)
        return Race(runs, self.results, self._reason, self._track.seconds, errors, self.notes, repeats)

    def _stream(self) -> Generator[Event, None, None]:
        with ExitStack() as stack:
            stack.callback(lanes.rest)
            for runner in self._runners:
                stack.callback(runner.training.close)
            stack.enter_context(self._track)
            yield self._started()
            pause = _FIRST_STANDINGS
            while self._track.waiting:
                self._track.round(pause)
                pause = _STANDINGS
                results = {one.name: one for one in self.results}
                while self._track.over:
                    yield VariantEnded(results[self._track.over.popleft().name])
                if self._track.waiting:
                    yield RaceResults(tuple(results.values()), self._track.seconds)
            self._reason = "interrupted" if self.interrupts.stop_requested else "finished"
            yield RaceEnded(self._reason, self.results, self._track.seconds)

    def _started(self) -> RaceStarted:
        jobs = [variant.job for variant in self._variants]
        metrics = dict.fromkeys(name for runner in self._runners for name in runner.training.metrics)
        return RaceStarted(
            names=tuple(runner.name for runner in self._runners),
            lanes=self.lanes,
            rows=jobs[0].train.count or 0,
            validation_rows=len(jobs[0].validation.index) if jobs[0].validation is not None else 0,
            validated=any(job.validation is not None for job in jobs),
            metrics=tuple(metrics),
            watches=self._runners[0].watches,
            notes=self.notes,
        )


@takes()
def racing(
    model: Any, data: Any, variants: Sequence[Mapping[str, Any]], *, threads: int | None = None, **settings: Any
) -> Racing:
    """A race as a stream of events; arguments as for `race`.

    Returns an iterator over RaceStarted, RaceResults, VariantEnded and RaceEnded, with the result so far as its `race`.
    Errors: those of `race`.
    Example:
        for event in (racing := fl.racing(model, data, variants=[{"seed": s} for s in range(8)], loss="cross_entropy")):
            print(event)
        racing.race.best.model.predict(x)
    """
    most = lanes.checked(threads)
    return Racing(variants_of(model, data, variants, settings), most)


@takes()
def race(
    model: Any, data: Any, variants: Sequence[Mapping[str, Any]], *, threads: int | None = None, **settings: Any
) -> Race:
    """Variants of one training side by side: learning rates, optimizers, seeds, networks, folds.

    Each comes to the same bits as if it were trained alone with `fit`. A variant that diverges or fails stands at the
    end of the results; the others go on. Ctrl-C ends all, with their results so far.

    model, data, settings: as for `fit`, shared by all variants. Data are checked and converted once for all of them.
        With out=, each variant is saved in a folder of its own inside that one.
    variants: a dict for each, of the settings in which it differs: any setting of `fit`; "learning_rate", of whatever
        optimizer it has; "model", another network; "name", else it is named after its differences. A "validation" may
        be one of `folds`. An "encoder" that all share has seen the validation rows of every fold; one for each fold has
        not: {"validation": fold, "encoder": nn.standardise(np.delete(x, fold.rows, axis=0))}.
    threads: variants that advance at the same time, >= 1; None means the cores this process may use. Each is trained
        on one.
    Errors: ArgumentError or DataError with everything that is wrong with any variant, before anything starts.
    Example:
        race = fl.race(model, (x, y), variants=[{"learning_rate": r} for r in (1e-4, 1e-3, 1e-2)],
                       loss="cross_entropy", validation=0.2)
        race.summary(), race.best.model
    """
    one = racing(model, data, variants, threads=threads, **settings)
    with one.interrupts:
        for _ in one:
            pass
    return one.race
