"""One competitor in a process of its own, one thread: answers commands, a line of JSON each, until its input ends.

A process each keeps the libraries' thread pools and BLASes apart. What competitors print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]

# Longer runs than this are not needed for a steady clock; shorter ones would time the first call's dust.
GROWTH = 8


def one_thread(cpu: int | None) -> None:
    """Keep this process to one processor: some libraries start threads whatever their settings say."""
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


class Worker:
    """The state between commands: the competitor of the case that was loaded last."""

    def __init__(self, name: str) -> None:
        from fallline.bench.cases import CASES
        from fallline.bench.peers import COMPETITORS

        self.entry = COMPETITORS[name]
        self.cases = {case.name: case for case in CASES}

    def check(self, case: str, steps: int) -> Answer:
        """The loss curve over a few short epochs from the first parameters."""
        from fallline.bench.cases import problem, short

        competitor = self.entry.build(problem(short(self.cases[case])))
        competitor.start(steps)
        return {"curve": competitor.run().tolist()}

    def load(self, case: str, seconds: float) -> Answer:
        """Get ready for timing: find how many steps, whole epochs when many, come to about `seconds`."""
        from fallline.bench.cases import problem

        chosen = self.cases[case]
        self.competitor = self.entry.build(problem(chosen))
        steps = min(32, chosen.steps_per_epoch)
        while True:
            self.time(steps)  # the first run of a length may compile
            took = self.time(steps)["seconds"]
            if took >= seconds / 2:
                return {"steps": steps}
            steps = int(steps * min(GROWTH, max(2.0, seconds / took)))
            epochs = -(-steps // chosen.steps_per_epoch)
            steps = steps if steps < chosen.steps_per_epoch else epochs * chosen.steps_per_epoch

    def time(self, steps: int) -> Answer:
        """Seconds, and processor seconds, of so many steps from the first parameters; getting there is not counted."""
        self.competitor.start(steps)
        cpu, start = time.process_time(), time.perf_counter()
        curve = self.competitor.run()
        end, cpu_end = time.perf_counter(), time.process_time()
        return {"seconds": end - start, "cpu": cpu_end - cpu, "loss": float(curve[-1])}


def serve(name: str, cpu: int | None) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    one_thread(cpu)
    worker = Worker(name)
    verbs: dict[str, Callable[..., Answer]] = {"check": worker.check, "load": worker.load, "time": worker.time}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = verbs[command.pop("do")](**command)
        except Exception as error:  # told to the runner, which leaves this competitor out and says why
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else None)
