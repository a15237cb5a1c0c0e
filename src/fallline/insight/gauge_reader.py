"""Gauges of a run after it has ended: at its parameters, on its rows, without training anything again."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fallline.arguments import takes
from fallline.errors import ArgumentError
from fallline.gauges.chosen import Gauges
from fallline.gauges.gauge_graph import GaugeProgram
from fallline.gauges.gauge_table import Facts
from fallline.gauges.gauge_words import read_out
from fallline.gauges.inner_values import PROBE
from fallline.graph.op import Array
from fallline.insight.opened import opened
from fallline.jobs.job import Job
from fallline.jobs.named import Rows
from fallline.jobs.training_state import TrainingState
from fallline.nn.model import Model
from fallline.optim import Minimiser
from fallline.ranges import FLAG, Range
from fallline.training.feed import feed_of, gathered_feed
from fallline.training.run import Run
from fallline.training.sampler import probe_of
from fallline.training.stepper import first_state, step_inputs

# Gauges of the step that would come next, which need the optimizer's arrays as they are at these parameters.
OF_THE_STEP = ("update", "after", "state")
MEMBER = Range("of an ensemble's networks, from 0", at_least=0, whole=True)


@dataclass(frozen=True, eq=False)
class GaugeReading:
    """Gauges of a run at one point.

    values: by gauge and path, as an event Gauged has them. step: steps made until there; None where that is not known.
    rows: of the batch that was looked at. missing: what could not be had, in sentences.
    """

    values: Mapping[str, Mapping[str, Array]]
    step: int | None
    rows: int
    missing: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> Mapping[str, Array]:
        return self.values[name]

    def __str__(self) -> str:
        return self.text()

    def text(self, *, width: int = 80, ascii_only: bool = False) -> str:
        """A table, a line a gauge, and below it what is missing."""
        told = [read_out(self.values, width=width, ascii_only=ascii_only), *self.missing]
        return "\n".join(told)


@takes(last=FLAG, member=MEMBER)
def read_gauges(
    run: Run | str | os.PathLike[str], names: Any = "usual", data: Any = None, *, last: bool = False, member: int = 0
) -> GaugeReading:
    """Gauges of a run that has ended, also of one made before there were gauges; nothing is trained.

    run: a Run, or the folder of one. names: of gauges, as for `fl.fit(..., gauges=names)`, or a fl.gauges.Gauges, whose
        `rows` counts. data: (x, y) or (x, y, weight) as they were given to the training; None takes them from the run,
        or from the file or set that it names.
    last: at the parameters after the last step instead of those of the run's model, which are the best ones where
        early stopping restored them.
    member: which network of an ensemble.
    The batch is the one that would have come next. Gauges of the next step need the optimizer's arrays of that point:
    they are left out where the run has kept none, or is looked at elsewhere.
    Errors: ArgumentError for a name that is none, or where the run's rows cannot be had; those of `fl.load_run`.
    Example: print(fl.read_gauges("runs/digits-1", ["lambda_max", "dead_units"]))
    """
    chosen = names if isinstance(names, Gauges) else Gauges(names)
    found = opened(run, data)
    if member >= len(found.parts):
        raise ArgumentError(f"member: the run has {len(found.parts)} networks, got {member}\n  try: member=0")
    part = found.parts[member]
    job, missing = part.job, list[str]()
    if job is None or not isinstance(job.train, Rows):
        why = "; ".join(found.missing) or "its rows came from an iterable"
        raise ArgumentError(f"no gauges can be read of this run: {why}\n  try: read_gauges(run, names, data=(x, y))")
    state = None if part.run is None else part.run.state
    if last and state is None:
        raise ArgumentError("the run has kept no state of its last step\n  try: last=False")
    theta = state.model.theta if state is not None and last else part.model.theta
    at_state = state is not None and np.array_equal(state.model.theta, theta)
    model = replace(part.model, theta=np.array(theta))
    given, size, rows = _arrays(job, model, state if at_state else None)
    wanted = [one for one in chosen.chosen if at_state or not set(OF_THE_STEP) & set(one.needs)]
    for one in chosen.chosen:
        if one not in wanted:
            missing.append(f"no {one.name}: the optimizer's arrays at these parameters were not kept")
    # The job begins with the first parameters of the training, where those are known.
    if not (found.replays and job.model.layout.size == model.layout.size):
        wanted, left = [one for one in wanted if "start" not in one.needs], wanted
        missing += [f"no {one.name}: the parameters at the start are not known" for one in left if one not in wanted]
    probe, facts = _probe(job, chosen)
    program = GaugeProgram(model, job.optimizer, wanted, {**given, **probe}, size, job.settings.threads)
    sample = program({**given, **probe}, facts)
    missing += [f"no {name}: {why}" for name, why in sample.missing.items()]
    step = state.step if at_state and state is not None else None
    return GaugeReading(sample.values, step, rows, tuple(missing))


def _arrays(job: Job, model: Model, state: TrainingState | None) -> tuple[dict[str, Array], int | None, int]:
    """Everything that the next step would read, by name; its rows, None for all as they stand; and their number."""
    feed = feed_of(job.train, job.batch_size, job.epochs + 1, job.seed, job.shuffle, job.steps)
    if isinstance(job.optimizer, Minimiser):
        feed = gathered_feed(feed)
    made = first_state(model, job.optimizer, "weight" in feed.arrays)
    if state is not None:
        made.update({name: np.array(array) for name, array in state.arrays.items() if name in made})
    made["cursor"][...] = feed.place(0 if state is None else state.epochs, 0) or 0
    whole = feed.rows == job.batch_size and feed.is_whole
    start = np.array(job.model.theta if job.model.layout.size == model.layout.size else model.theta)
    given = {**step_inputs(job.optimizer, feed), **made, "start": start}
    rows = min(job.batch_size, feed.rows or job.batch_size)
    given = {name: np.array(one) if name in feed.arrays else one for name, one in given.items()}
    feed.close()
    return given, None if whole else rows, rows


def _probe(job: Job, chosen: Gauges) -> tuple[dict[str, Array], Facts]:
    """The rows that activations, units and classes are looked at on: those that a training with gauges takes."""
    assert isinstance(job.train, Rows)
    arrays, rows = probe_of(job.train, job.seed, chosen.rows)
    named = {PROBE + name: array for name, array in arrays.items()}
    return named, Facts(job.model.classes, rows, len(job.train.index))


__all__ = ["GaugeReading", "read_gauges"]
