"""One competitor in a process of its own: answers commands, a line of JSON each, until its input ends.

A process each keeps the libraries' thread pools and BLASes apart. The competitors' output goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = dict[str, Any]

# A turn of this many steps comes first: enough to measure a step's time, if they are not too long.
FIRST_STEPS, SLOWEST = 256, 2e10  # steps; floating-point operations a second
# No turn has fewer, however long they are: memory that is touched for the first time and work that is done once for
# every training would be taken for the steps' time.
LEAST_STEPS = 16
# Short turns hold a first call's dust, which must not be taken for the steps' time.
GROWTH = 64


def keep_to(cpus: list[int]) -> None:
    """Keep this process to some processors: some libraries start threads whatever their settings say."""
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def settle(most: float = 1.0) -> None:
    """Wait until this process's threads have gone to sleep: pools go on in circles after their work, OpenBLAS's for a
    tenth of a second, and whoever comes next would have a core less."""
    end = time.perf_counter() + most
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.02)  # the time of other threads counts in steps of some milliseconds
        if time.process_time() - before < 0.002 and not runnable():
            return


def runnable() -> bool:
    """Whether another thread of this process runs, or waits for a processor, as on a busy machine; False where the
    system does not say."""
    own = str(threading.get_native_id())
    for folder in Path("/proc/self/task").glob("*"):
        try:
            state = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:  # the thread has ended
            continue
        if folder.name != own and state == "R":
            return True
    return False


class Worker:
    """The state between commands: the competitor of the case that was loaded last."""

    def __init__(self, name: str, threads: int) -> None:
        from fallline.bench.peers import COMPETITORS

        self.entry, self.threads = COMPETITORS[name], threads

    def check(self, case: str, steps: int) -> Answer:
        """The loss curve over a few short epochs from the first parameters."""
        from fallline.bench.cases import named, problem, short

        competitor = self.entry.build(problem(short(named(case))), self.threads)
        competitor.start(steps)
        return {"curve": competitor.run().tolist()}

    def load(self, case: str, seconds: float) -> Answer:
        """Get ready for timing: how many steps, whole epochs when many, come to about `seconds`, and one's seconds."""
        from fallline.bench.cases import named, problem

        chosen = named(case)
        self.competitor = self.entry.build(problem(chosen), self.threads)
        steps = chosen.whole(max(LEAST_STEPS, min(FIRST_STEPS, int(seconds * SLOWEST / chosen.flops))))
        while True:
            self.time(steps)  # the first turn of a length may compile
            took = self.time(steps)["seconds"]
            if took >= seconds / 2:
                return {"steps": steps, "step": took / steps}
            steps = chosen.whole(int(steps * min(GROWTH, max(2.0, seconds / took))))

    def time(self, steps: int) -> Answer:
        """Seconds, and processor seconds, of so many steps from the first parameters; getting there is not counted."""
        self.competitor.start(steps)
        settle()
        cpu, start = time.process_time(), time.perf_counter()
        curve = self.competitor.run()
        end, cpu_end = time.perf_counter(), time.process_time()
        settle()
        return {"seconds": end - start, "cpu": cpu_end - cpu, "loss": float(curve[-1])}


def serve(name: str, threads: int, cpus: list[int]) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    keep_to(cpus)
    worker = Worker(name, threads)
    verbs: dict[str, Callable[..., Answer]] = {"check": worker.check, "load": worker.load, "time": worker.time}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = verbs[command.pop("do")](**command)
        except Exception as error:  # reported to the runner, which leaves this competitor out and says why
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), [int(cpu) for cpu in sys.argv[3:]])
