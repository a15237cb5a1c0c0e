"""Lanes: the same program on several threads, to the same bits. Instructions are cut into parts that compute their
elements exactly as the whole would, so how many lanes there are never enters the arithmetic.

Lanes wait for one another only where memory says so: before an instruction that touches what another lane has
written, or writes what another has touched, since they last met. Knows addresses and instructions, no kernel.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Barrier, BrokenBarrierError

from fallline.errors import ArgumentError
from fallline.program.instructions import Instruction
from fallline.program.layout import Ref

# Nanoseconds that a meeting of the lanes takes, and what work is shared out at all (both measured; they choose the
# number of lanes and never change a result).
MEETING = 400.0
SMALL = 150.0
# A run on several lanes has to be this much faster than on one to be worth waking threads for, and a step this long:
# lanes of short steps meet so often that one core busy with something else costs more than there is to gain.
GAIN, SHORT = 0.85, 100_000.0

Span = tuple[int, int]  # bytes: first, one past the last


@dataclass
class Touched:
    """What one lane has read and written since the lanes last met."""

    read: list[Span] = field(default_factory=list)
    written: list[Span] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Schedule:
    """For each lane its instructions in order, None standing for a meeting of all; nanoseconds: the estimate."""

    lanes: tuple[tuple[Instruction | None, ...], ...]
    nanoseconds: float


def meets(spans: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(low < high2 and low2 < high for low, high in spans for low2, high2 in others)


def parts(instruction: Instruction, lanes: int) -> list[Instruction | None]:
    """What each lane does of an instruction; small or undividable ones are the first lane's."""
    split = instruction.split
    if split is None or instruction.work < SMALL:
        return [instruction, *[None] * (lanes - 1)]
    edges = [split.size * i // lanes for i in range(lanes + 1)]
    return [instruction.part(a, b, i) if b > a else None for i, (a, b) in enumerate(pairwise(edges))]


def schedule(instructions: Sequence[Instruction], lanes: int, watch_end: int, span: Callable[[Ref], Span]) -> Schedule:
    """Share instructions out over lanes. They meet after the watched value, and at the end of every step."""
    tables: list[list[Instruction | None]] = [[] for _ in range(lanes)]
    touched = [Touched() for _ in range(lanes)]
    since = [0.0] * lanes
    total = 0.0

    def meet() -> None:
        nonlocal total, touched, since
        for table in tables:
            table.append(None)
        touched = [Touched() for _ in range(lanes)]
        total += max(since) + MEETING
        since = [0.0] * lanes

    for number, instruction in enumerate(instructions):
        shares = parts(instruction, lanes)
        spans = [
            Touched() if share is None
            else Touched([span(ref) for ref in share.operands], [span(ref) for ref in written_by(share)])
            for share in shares
        ]  # fmt: skip
        if any(
            meets(mine.written, theirs.read) or meets(mine.read, theirs.written)
            for lane, mine in enumerate(spans)
            for other, theirs in enumerate(touched)
            if other != lane
        ):
            meet()
        for lane, share in enumerate(shares):
            if share is not None:
                tables[lane].append(share)
                touched[lane].read += spans[lane].read
                touched[lane].written += spans[lane].written
                since[lane] += share.work + 5.0
        if number in (watch_end - 1, len(instructions) - 1):
            meet()
    return Schedule(tuple(tuple(table) for table in tables), total)


def written_by(instruction: Instruction) -> list[Ref]:
    """The operands an instruction writes: its outputs, and scratch memory."""
    private = [] if instruction.scratch is None else [instruction.operands[instruction.scratch]]
    return [*instruction.written, *private]


def best(
    instructions: Sequence[Instruction], most: int, watch_end: int, span: Callable[[Ref], Span]
) -> Schedule | None:
    """The quickest schedule for at most so many lanes by the estimates; None where one lane does best."""
    alone = sum(instruction.work + 5.0 for instruction in instructions)
    if most < 2 or alone < SHORT:
        return None
    counts = sorted({most, *(2**i for i in range(1, int(math.log2(most)) + 1))})
    found = min((schedule(instructions, n, watch_end, span) for n in counts), key=lambda s: s.nanoseconds)
    return found if found.nanoseconds < GAIN * alone else None


class Crew:
    """Threads for the lanes after the first, started before they are needed and kept for the next run."""

    def __init__(self, extra: int) -> None:
        self.pool = ThreadPoolExecutor(extra, thread_name_prefix="fallline-lane")
        # A lane that never starts would let the others wait for ever, so all are seen running first.
        ready = Barrier(extra + 1)
        waiting = [self.pool.submit(ready.wait, 30) for _ in range(extra)]
        try:
            ready.wait(30)
        except BrokenBarrierError:
            self.pool.shutdown(wait=False)
            raise RuntimeError("the threads for the lanes could not be started") from None
        for one in waiting:
            one.result()
        self.process = os.getpid()

    def run(self, work: Callable[[int], int], lanes: int) -> int:
        """work(lane) on every lane at once; returns what the first lane did."""
        others = [self.pool.submit(work, lane) for lane in range(1, lanes)]
        try:
            return work(0)
        finally:
            for other in others:
                other.result()


def available() -> int:
    """Cores this process may use: its affinity, a container's limit; one inside a worker process of a pool."""
    import multiprocessing

    # Workers of process pools (multiprocessing, joblib) share the machine with their siblings.
    if multiprocessing.parent_process() is not None or multiprocessing.current_process().name.startswith("Loky"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _container_limit() or cores))


def _container_limit() -> int | None:
    """Whole cores that a Linux container may use, from its control group; None where there is no limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))


MOST_LANES = 64


def checked(threads: int | None) -> int:
    """How many lanes may be used at most; None means the cores this process may use.

    Errors: ArgumentError for less than 1, or more than 64 or four times the machine's cores.
    """
    if threads is None:
        return available()
    limit = min(MOST_LANES, 4 * (os.cpu_count() or 1))
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= limit:
        raise ArgumentError(f"threads is a whole number from 1 to {limit} on this machine, got {threads!r}")
    return threads


__all__ = ["Crew", "Schedule", "available", "best", "checked", "schedule"]
