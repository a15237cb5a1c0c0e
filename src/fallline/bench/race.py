"""Lets the competitors take turns: first all show the same loss curve, then they are timed, round by round.

Drives workers over pipes; knows neither the libraries nor how results are shown.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np

from fallline.bench.cases import Array, Case, problem, short
from fallline.bench.peers import COMPETITORS
from fallline.bench.reference import loss_curve

CHECK_STEPS = 64

# Of the first loss. Sums of float32 in another order come to 2.4e-4 at most over the networks here; a learning rate
# that is wrong by 1 % comes to 9e-4 or more.
TOLERANCE = 5e-4

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class WorkerFailed(RuntimeError):
    """A competitor's process answered with an error, or ended."""


def idlest_processor(seconds: float = 0.1) -> str | None:
    """The processor with the most idle time just now, of those this process may use; None where nobody can tell."""
    if not hasattr(os, "sched_getaffinity") or not Path("/proc/stat").exists():
        return None

    def idle() -> dict[str, int]:
        lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
        return {words[0]: int(words[4]) for words in lines if words[0].startswith("cpu")}

    before = idle()
    time.sleep(seconds)
    after = idle()
    return str(max(os.sched_getaffinity(0), key=lambda cpu: (after[f"cpu{cpu}"] - before[f"cpu{cpu}"], cpu)))


class Process:
    """A competitor's process: `ask` sends a command and waits for its answer."""

    def __init__(self, name: str, cpu: str | None = None) -> None:
        self.name = name
        # Not a pipe: one that nobody empties would stop the worker.
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fallline.bench.worker", name, *([cpu] if cpu else [])],
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()
        self.said.close()

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """One command's answer. Errors: WorkerFailed, with what the worker said."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            self.said.seek(0)
            raise WorkerFailed(f"its process ended with {code}: {self.said.read().strip().rpartition(chr(10))[2]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(str(answer["error"]).splitlines()[0])
        return answer


@dataclass(slots=True)
class Timing:
    """A competitor's rounds on one case: `steps` steps each, with their seconds and processor seconds."""

    steps: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def step(self) -> float:
        """Seconds of one step: the median over rounds."""
        return median(self.seconds) / self.steps

    @property
    def threads(self) -> float:
        """Processor seconds per second: about 1, or the competitor was not kept to one thread."""
        return sum(self.cpu) / sum(self.seconds)


@dataclass(slots=True)
class Outcome:
    """A case raced: the timings by competitor, and why the others are left out."""

    case: Case
    timings: dict[str, Timing] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def ratio(self, name: str, to: str = "Fallline") -> float | None:
        """How many times our step goes into this one: the median over rounds of each round's own ratio."""
        if name not in self.timings or to not in self.timings:
            return None
        one, other = self.timings[name], self.timings[to]
        pairs = zip(one.seconds, other.seconds)
        return median(a / one.steps / (b / other.steps) for a, b in pairs)

    def shortfalls(self) -> list[str]:
        """The floors that were not reached, as sentences."""
        told = []
        for name, floor in self.case.floors.items():
            ratio = self.ratio(name)
            if ratio is not None and ratio < floor:
                told.append(f"{self.case.name}: {ratio:.2f} times {name}, floor {floor:g}")
        return told


def disagreement(case: Case, curve: Array) -> str:
    """Why a loss curve is not the case's; empty if it is. A curve of epochs is compared with the epochs' means."""
    small = problem(short(case))
    wanted = loss_curve(small, CHECK_STEPS)
    if len(curve) != CHECK_STEPS:
        if len(curve) * small.case.steps_per_epoch != CHECK_STEPS:
            return f"gave {len(curve)} losses for {CHECK_STEPS} steps"
        wanted = wanted.reshape(len(curve), -1).mean(axis=1)
    away = np.abs(curve - wanted) / wanted[0]
    if np.all(away <= TOLERANCE):  # and so is not NaN
        return ""
    at = int(np.argmax(~(away <= TOLERANCE)))
    return f"another loss curve: {curve[at]:.6f} for {wanted[at]:.6f} at {at}, off by {away[at]:.1e} of the first loss"


def installed(names: Iterable[str]) -> dict[str, str]:
    """For each competitor why it cannot run here; empty where it can."""
    return {n: "" if importlib.util.find_spec(COMPETITORS[n].needs) else "not installed" for n in names}


def race(
    case: Case, names: Iterable[str], *, rounds: int = 11, seconds: float = 0.2, tell: Callable[[str], None] = print
) -> Outcome:
    """One case: start, check, warm up and time the competitors in turn.

    rounds: every competitor runs once in each, one after the other, the first one changing from round to round.
    seconds: about how long a competitor's part of a round takes.
    """
    outcome = Outcome(case)
    cpu = idlest_processor()
    with ExitStack() as stack:
        workers: dict[str, Process] = {}
        for name, why in installed(names).items():
            why = why or COMPETITORS[name].cannot(case)
            if not why:
                worker = stack.enter_context(Process(name, cpu))
                tell(f"  {name}: checking, warming up")
                why = prepare(worker, case, seconds, outcome)
                workers[name] = worker
            if why:
                outcome.left_out[name] = why
                tell(f"  {name}: left out: {why}")
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
    return outcome


def prepare(worker: Process, case: Case, seconds: float, outcome: Outcome) -> str:
    """Check one competitor and get it ready. Why it may not be timed; empty if it may, with its steps in `outcome`."""
    try:
        curve = np.array(worker.ask("check", case=case.name, steps=CHECK_STEPS)["curve"])
        why = disagreement(case, curve)
        if not why:
            outcome.timings[worker.name] = Timing(worker.ask("load", case=case.name, seconds=seconds)["steps"])
        return why
    except WorkerFailed as failure:
        return str(failure)
