"""The competitors' processes: started for a number of threads, kept to its processors, asked over pipes.

Knows neither the libraries nor the cases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

PACKAGES = Path(__file__).resolve().parents[2]  # the folder that this package is imported from
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
JAX_ALONE = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}


class WorkerFailed(RuntimeError):
    """A competitor's process answered with an error, or ended."""


def environment(threads: int) -> dict[str, str]:
    """The environment in which a process's libraries use so many threads; JAX takes one for each processor it sees."""
    pools = {name: str(threads) for name in POOLS}
    return {**os.environ, **pools, **(JAX_ALONE if threads == 1 else {})}


def usable() -> list[int]:
    """The processors this process may use; empty where unknown."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def clocks() -> dict[int, tuple[float, float]]:
    """For each processor its seconds (idle, at work) so far; empty where unknown."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines()]
        tick = 1 / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return {}
    found = {}
    for name, *numbers in lines:
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, idle, waiting, *others = (int(number) * tick for number in numbers[:8])
            found[int(name[3:])] = idle + waiting, user + nice + system + sum(others)
    return found


def idlest(count: int, seconds: float = 0.1) -> list[int]:
    """So many of the processors we may use, those with the most idle time just now; empty for all of them."""
    mine, before = usable(), clocks()
    if count >= len(mine) or not before:
        return []
    time.sleep(seconds)
    after = clocks()
    rested = {cpu: after[cpu][0] - before[cpu][0] for cpu in mine}
    return sorted(sorted(mine, key=lambda cpu: (rested[cpu], cpu))[-count:])


class Process:
    """A competitor's process: `ask` sends a command and waits for its answer.

    python: the interpreter to run it in, which may be another environment's: it finds this package by its path.
    """

    def __init__(self, name: str, threads: int = 1, cpus: Sequence[int] = (), python: str = sys.executable) -> None:
        self.name, self.threads = name, threads
        # Not a pipe: one that nobody empties would stop the worker.
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [python, "-m", "fallline.bench.worker", name, str(threads), *map(str, cpus)],
            env=environment(threads) | ({} if python == sys.executable else {"PYTHONPATH": str(PACKAGES)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            encoding="utf-8",
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()
        self.said.close()

    @property
    def seconds(self) -> float:
        """Processor seconds so far; 0 where unknown."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return 0.0

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """One command's answer. Errors: WorkerFailed, with the worker's message."""
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


class Field:
    """All processes that race on a number of threads: started when first asked for, kept from case to case.

    cpus: the processors they are kept to; empty for all.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.cpus = idlest(threads)
        self._running: dict[tuple[str, int], Process] = {}

    def __enter__(self) -> Field:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._running.values():
            process.__exit__(kind, error, at)

    def process(self, name: str, threads: int, python: str = sys.executable) -> Process:
        """The process of a competitor on so many threads; another one where it has ended."""
        running = self._running.get((name, threads))
        if running is None or running.process.poll() is not None:
            if running is not None:
                running.__exit__(None, None, None)
            cpus = self.cpus if threads == self.threads else idlest(threads)
            running = self._running[name, threads] = Process(name, threads, cpus, python)
        return running

    def elsewhere(self) -> float | None:
        """Seconds that these processors have worked for anybody but the race so far; None where unknown."""
        counted = clocks()
        if not counted:
            return None
        worked = sum(counted[cpu][1] for cpu in self.cpus or usable())
        return worked - time.process_time() - sum(process.seconds for process in self._running.values())
