"""Lets the competitors take turns: first all show the same loss curve, then they are timed, round by round.

Knows neither the libraries nor how results are shown.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache

import numpy as np

from fallline.bench.cases import Array, Case, problem, short
from fallline.bench.field import Field, Process, WorkerFailed, usable
from fallline.bench.peers import COMPETITORS
from fallline.bench.reference import loss_curve
from fallline.bench.results import Outcome, Timing

# A competitor's curve may be off by so much of what a learning rate that is wrong by 1 % does to the losses. Sums of
# float32 in another order come to a tenth of that at most over the networks here, and mostly to a thousandth.
WRONG, TOLERANCE = 1.01, 1 / 3


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
    return {n: "" if importlib.util.find_spec(COMPETITORS[n].needs) else "not installed" for n in names}


def race(
    case: Case,
    names: Iterable[str],
    field: Field,
    *,
    rounds: int = 11,
    seconds: float = 0.15,
    tell: Callable[[str], None] = print,
) -> Outcome:
    """One case: check, warm up and time the competitors in turn.

    rounds: every competitor runs once in each, one after the other, the first one changing from round to round.
    seconds: about how long a competitor's part of a round takes.
    """
    outcome = Outcome(case, field.threads)
    workers: dict[str, Process] = {}
    for name, why in installed(names).items():
        if not why:
            tell(f"  {name}: checking, warming up")
            try:
                workers[name], outcome.timings[name] = prepared(name, case, field, seconds)
            except WorkerFailed as failure:
                why = str(failure)
        if why:
            outcome.left_out[name] = why
            tell(f"  {name}: left out: {why}")
    begun, elsewhere = time.perf_counter(), field.elsewhere()
    for r in range(rounds):
        running = list(outcome.timings)
        turn = r % max(1, len(running))
        for name in running[turn:] + running[:turn]:
            timing = outcome.timings[name]
            try:
                answer = workers[name].ask("time", steps=timing.steps)
            except WorkerFailed as failure:
                outcome.left_out[name] = str(failure)
                del outcome.timings[name]
                continue
            timing.seconds.append(answer["seconds"])
            timing.cpu.append(answer["cpu"])
    ended = field.elsewhere()
    if elsewhere is not None and ended is not None:
        processors = len(field.cpus or usable())
        outcome.foreign = max(0.0, (ended - elsewhere) / (time.perf_counter() - begun) / processors)
    return outcome


def prepared(name: str, case: Case, field: Field, seconds: float) -> tuple[Process, Timing]:
    """Check one competitor and get it ready, on one thread if that is quicker. Errors: WorkerFailed."""
    ways: list[tuple[float, Process, Timing]] = []
    alone = COMPETITORS[name].alone_too and field.threads > 1
    for threads in (field.threads, 1) if alone else (field.threads,):
        worker = field.process(name, threads)
        why = disagreement(case, np.array(worker.ask("check", case=case.name, steps=case.check_steps)["curve"]))
        if why:
            raise WorkerFailed(why)
        found = worker.ask("load", case=case.name, seconds=seconds)
        ways.append((found["step"], worker, Timing(found["steps"], threads=threads)))
    _, worker, timing = min(ways, key=lambda way: way[0])
    return worker, timing
