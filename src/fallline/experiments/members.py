"""`fit(..., ensemble=k)`: one training from k seeds side by side, and the average of the results as one model."""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.experiments.contest import Race, racing
from fallline.feeds.order import stream
from fallline.jobs.describe import described, form
from fallline.jobs.job import prepare
from fallline.jobs.settings import SEED_LIMIT, Settings
from fallline.nn.ensemble import averaged
from fallline.ranges import Range
from fallline.runs.disk import saving_errors
from fallline.runs.events import EpochEnded, Event, TrainingEnded, TrainingStarted
from fallline.runs.folder import RunFolder
from fallline.training.run import Run

SIZE = Range("members of an ensemble", at_least=1, at_most=1000, whole=True)


def member_seeds(seed: int, size: int) -> list[int]:
    """The seeds of an ensemble's members; those of a smaller ensemble are the first of a larger one's."""
    drawn = stream(seed, "ensemble members").integers(0, SEED_LIMIT, size, dtype=np.uint64)
    return [int(value) for value in drawn]


def fit_ensemble(model: Any, data: Any, size: int, settings: Mapping[str, Any]) -> Run:
    """Train `size` members and return one Run with their average.

    All members have the validation rows that the seed chooses for a single training. Member i is the network that `fit`
    gives with seed=member_seeds(seed, size)[i] and those rows as `validation`. Members that diverge are left out.
    """
    wrong = SIZE.problem(size)
    if wrong:
        raise ArgumentError(f"ensemble {wrong}")
    if settings.get("resume"):
        raise ArgumentError("an ensemble keeps no checkpoints, so it cannot be resumed\n  try: overwrite=True")
    if settings.get("init") is not None:
        raise ArgumentError("an ensemble draws its members anew, so it goes on from no run\n  try: ensemble=None")
    if settings.get("gauges"):
        raise ArgumentError("an ensemble is one model of several networks, and gauges watch a single one\n"
                            "  try: fl.race with a variant for each seed; its runs have gauges")  # fmt: skip
    options = {name: value for name, value in settings.items() if name not in ("out", "checkpoints", "overwrite")}
    threads = options.pop("threads", None)
    job = prepare(model, data, Settings(**settings))
    seeds = member_seeds(job.seed, int(size))
    if job.settings.share and job.validation is not None:
        options["validation"] = job.validation.index
    config = described(job) | {"ensemble": {"seeds": seeds}}
    folder = None
    if job.settings.folder is not None:
        job.model.to_config()  # raises before any training if no file can hold the model
        folder = RunFolder(job.settings.folder, config, overwrite=job.settings.given.overwrite)
    variants = [{"name": f"member {i}", "seed": seed} for i, seed in enumerate(seeds)]
    members = racing(model, data, variants, threads=threads, **{**options, "seed": job.seed})
    with members.interrupts, ExitStack() as stack:  # a signal that ends the process lets it save first
        if folder is not None:
            with saving_errors(folder.path):
                stack.enter_context(folder.opened())  # held until the end, so that nobody else takes it meanwhile
        for _ in members:
            pass
        for error in members.race.errors.values():
            raise error
        whole = assembled(members.race, config, job.seed)
        return whole if folder is None else whole.write_into(folder)


def assembled(done: Race, config: dict[str, Any], seed: int) -> Run:
    """The Run of an ensemble from its members' race."""
    runs = list(done.runs.values())
    kept = [run for run in runs if run.stop_reason != "diverged"] or runs[:1]
    model = averaged([run.model for run in kept])
    started, ended = kept[0].started, [run.ended for run in kept if run.ended is not None]
    events: list[Event] = []
    if started is not None:
        notes = [f"an ensemble of {len(kept)}: the numbers of an epoch are the means of its members"]
        if len(kept) < len(runs):
            notes.append(f"{len(runs) - len(kept)} of {len(runs)} members diverged and are left out")
        counted = replace(started, parameters=model.layout.size, trainable=model.layout.count())
        events.append(replace(counted, seed=seed, folder=None, notes=(*started.notes, *notes)))
    events += mean_epochs(kept, started)
    if all(run.stop_reason == "diverged" for run in kept):
        events += [run.diverged for run in kept if run.diverged is not None]
    if ended:
        events.append(_end(ended, [e for e in events if isinstance(e, EpochEnded)], done, started))
    return Run(model, tuple(events), config | {"model": form(model)})


def mean_epochs(runs: Sequence[Run], started: TrainingStarted | None = None) -> list[EpochEnded]:
    """The figures of each epoch, averaged over the runs that came so far.

    started: says which value is monitored, and whether higher is better.
    """
    found: list[EpochEnded] = []
    lowest = math.nan
    watches, sign = ("", 1.0) if started is None else (started.watches, -1.0 if started.higher_is_better else 1.0)
    histories = [run.epochs for run in runs]  # once, for a run looks through all its events
    for epoch in range(max(map(len, histories), default=0)):
        those = [epochs[epoch] for epochs in histories if len(epochs) > epoch]
        held = [event.validation_loss for event in those if event.validation_loss is not None]
        loss, validation_loss = _mean([event.loss for event in those]), _mean(held) if held else None
        metrics = {name: _mean([event.metrics[name] for event in those]) for name in those[0].metrics}
        score = sign * metrics.get(watches, loss if validation_loss is None else validation_loss)
        best = not found or score < lowest
        lowest = float(np.minimum(lowest, score)) if found else score
        found.append(
            replace(
                those[0],
                step=sum(event.step for event in those),
                loss=loss,
                validation_loss=validation_loss,
                metrics=metrics,
                seconds=sum(event.seconds for event in those),
                steps_per_second=_mean([event.steps_per_second for event in those]),
                is_best=best,
            )
        )
    return found


# An ensemble ended as one of its members did: the first of these that one did.
REASONS = ("interrupted", "early_stopping", "finished", "converged", "stalled", "diverged")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _end(
    ended: Sequence[TrainingEnded], epochs: Sequence[EpochEnded], done: Race, started: TrainingStarted | None
) -> TrainingEnded:
    reasons = [event.reason for event in ended]
    reason = next((r for r in REASONS if r in reasons), reasons[0])
    best = next((event for event in reversed(epochs) if event.is_best), None)
    steps = sum(event.step for event in ended)
    best_loss = math.nan if best is None else best.loss if best.validation_loss is None else best.validation_loss
    return TrainingEnded(
        reason=reason,
        epochs=max(event.epochs for event in ended),
        step=steps,
        loss=_mean([event.loss for event in ended]),
        best_epoch=None if best is None else best.epoch,
        best_loss=best_loss,
        best_value=math.nan if best is None or started is None else best.value(started.watches),
        restored_best=False,  # each member has the parameters of its own best epoch, where requested
        seconds=done.seconds,
        steps_per_second=steps / done.seconds if done.seconds else 0.0,
        still_falling=any(event.still_falling for event in ended),
    )
