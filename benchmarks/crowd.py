"""A training on several lanes while other processes keep the cores busy, ours and PyTorch's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from statistics import median

from benchmarks.measurement import Found, Measure
from fallline.bench.cases import named
from fallline.bench.field import Process
from fallline.bench.markdown import seconds, times
from fallline.bench.results import OURS

NETWORK = "30-256-256-256-2 batch 256"
STEPS, ROUNDS, CROWDS = 120, 5, (0, 1, 2, 4)
# PyTorch makes a tenth of the steps: on several threads among others one of them can take half a second.
SHARE = 10
# How many times as long as on one lane a training on several may take; and no longer than PyTorch's best.
CEILING = 1.3
PEER = "PyTorch"


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but keep a core busy, for the time of a block."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def beside_others(threads: int, steps: int = STEPS, rounds: int = ROUNDS) -> Found:
    if threads < 2:
        return Found(())
    names = [OURS, *([PEER] if find_spec("torch") else [])]
    rows, short = [], []
    steps = named(NETWORK).whole(steps)
    with ExitStack() as stack:
        field = {(name, n): stack.enter_context(Process(name, n)) for name in names for n in (1, threads)}
        for process in field.values():
            process.ask("load", case=NETWORK, seconds=0.1)
        for count in CROWDS:
            took: dict[tuple[str, int], list[float]] = {key: [] for key in field}
            with busy(count):
                for _ in range(rounds):
                    for (name, n), process in field.items():
                        share = 1 if name == OURS else SHARE
                        took[name, n].append(share * process.ask("time", steps=steps // share)["seconds"])
            found = {key: median(values) for key, values in took.items()}
            one, many = found[OURS, 1], found[OURS, threads]
            peers = [found.get((PEER, n)) for n in (1, threads)]
            met = many <= min([CEILING * one, *(peer for peer in peers if peer is not None)])
            rows.append((
                str(count), seconds(one), seconds(many), times(many / one),
                *("" if peer is None else seconds(peer) for peer in peers), f"{CEILING:g}", "met" if met else "SHORT",
            ))  # fmt: skip
            if not met:
                short.append(f"next to {count} busy processes: {times(many / one)} one lane, floor {CEILING:g}")
    return Found(rows, short)


MEASURES: tuple[Measure, ...] = (
    Measure(
        "Next to busy processes",
        f"{STEPS} steps of {NETWORK} while so many other processes keep cores busy, on one lane and on as many as "
        f"there are cores; PyTorch makes a tenth of them, and its time is ten times theirs. Median of {ROUNDS} rounds, "
        f"in turn. On all lanes it may take {CEILING:g} times as long as on one, and no longer than PyTorch's best.",
        ("busy", "one lane", "all lanes", "of one lane's", "PyTorch, one thread", "all", "ceiling", "verdict"),
        beside_others,
    ),
)
