"""Lets the competitors take turns: first all show the same loss curve, then they are timed, round by round.

Knows neither the libraries nor how results are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from fallline.bench.cases import Array, Case, problem, short
from fallline.bench.field import Field, Process, WorkerFailed, usable
from fallline.bench.numpy_steps import loss_curve
from fallline.bench.peers import COMPETITORS
from fallline.bench.results import Outcome, Timing

# A competitor's curve may be off by so much of what a learning rate that is wrong by 1 % does to the losses. Sums of
# float32 in another order come to a tenth of that at most over the networks here, and mostly to a thousandth.
WRONG, TOLERANCE = 1.01, 1 / 3

# A form that takes this many times as long as another while warming up is not raced.
HOPELESS = 4.0


@cache
def curves(case: Case) -> tuple[Array, Array]:
    """The loss before each of the steps that are compared, and what it would be with the wrong learning rate."""
    small = short(case)
    wrong = replace(small, learning_rate=WRONG * case.learning_rate)
    return loss_curve(problem(small), case.check_steps), loss_curve(problem(wrong), case.check_steps)


def disagreement(case: Case, curve: Array) -> str:
    """Why a loss curve is not the case's; empty if it is. A curve of epochs is compared with the epochs' means."""
    right, wrong = curves(case)
    if len(curve) != len(right):
        if len(curve) * short(case).steps_per_epoch != len(right):
            return f"gave {len(curve)} losses for {len(right)} steps"
        right, wrong = (losses.reshape(len(curve), -1).mean(axis=1) for losses in (right, wrong))
    away, allowed = np.abs(curve - right), TOLERANCE * np.abs(wrong - right).max()
    if np.all(away <= allowed):  # and so is not NaN
        return ""
    at = int(np.argmax(~(away <= allowed)))
    return f"another loss curve: {curve[at]:.6f} for {right[at]:.6f} at {at}, allowed are {allowed:.1e}"


def installed(names: Iterable[str]) -> dict[str, str]:
    """For each competitor why it cannot run here; empty where it can."""
    return {name: "" if COMPETITORS[name].is_installed else "not installed" for name in names}


@dataclass(slots=True)
class Entry:
    """A competitor on a number of threads: its process and its rounds."""

    name: str
    worker: Process
    timing: Timing


def race(
    case: Case,
    names: Iterable[str],
    field: Field,
    *,
    rounds: int = 9,
    seconds: float = 0.12,
    report: Callable[[str], None] = print,
) -> Outcome:
    """One case: check, warm up and time the competitors in turn.

    rounds: every competitor runs once in each, one after the other, the first one changing from round to round.
    seconds: about how long a competitor's part of a round takes.
    """
    outcome = Outcome(case, field.threads)
    entries: list[Entry] = []
    for name, why in installed(names).items():
        if not why:
            report(f"  {name}: checking, warming up")
            try:
                entries += entries_of(name, case, field, seconds)
            except WorkerFailed as failure:
                why = str(failure)
        if why:
            outcome.left_out[name] = why
            report(f"  {name}: left out: {why}")
    begun, elsewhere = time.perf_counter(), field.elsewhere()
    for r in range(rounds):
        turn = r % max(1, len(entries))
        for entry in entries[turn:] + entries[:turn]:
            try:
                answer = entry.worker.ask("time", steps=entry.timing.steps)
            except WorkerFailed as failure:
                entries.remove(entry)
                if entry.name not in (other.name for other in entries):
                    outcome.left_out[entry.name] = str(failure)
                continue
            entry.timing.seconds.append(answer["seconds"])
            entry.timing.cpu.append(answer["cpu"])
    for entry in sorted(entries, key=lambda entry: entry.timing.step):
        outcome.timings.setdefault(entry.name, entry.timing)
    ended = field.elsewhere()
    if elsewhere is not None and ended is not None:
        processors = len(field.cpus or usable())
        outcome.foreign = max(0.0, (ended - elsewhere) / (time.perf_counter() - begun) / processors)
    return outcome


def entries_of(name: str, case: Case, field: Field, seconds: float) -> list[Entry]:
    """Check one competitor and get it ready, on one thread too where that may be quicker. Errors: WorkerFailed."""
    found: list[tuple[float, Entry]] = []
    alone = COMPETITORS[name].alone_too and field.threads > 1
    for threads in (field.threads, 1) if alone else (field.threads,):
        worker = field.process(name, threads, COMPETITORS[name].python)
        why = disagreement(case, np.array(worker.ask("check", case=case.name, steps=case.check_steps)["curve"]))
        if why:
            raise WorkerFailed(why)
        ready = worker.ask("load", case=case.name, seconds=seconds)
        found.append((ready["step"], Entry(name, worker, Timing(ready["steps"], threads=threads))))
    least = min(step for step, _ in found)
    return [entry for step, entry in found if step <= HOPELESS * least]
