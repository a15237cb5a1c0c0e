"""Lanes: the same program on several threads, to the same bits. Instructions are cut into parts that compute their
elements exactly as the whole would, so how many lanes there are never enters the arithmetic.

Lanes wait for one another only where memory says so: before an instruction that touches memory another lane has
written, or writes memory another has touched, since they last met. The ends of long instructions are done by whichever
lane is free first, since one core may be slower than another, or busy with something else. Knows addresses and
instructions, no kernel.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import numpy as np

from fallline.errors import ArgumentError
from fallline.program.cost_model import current
from fallline.program.instructions import CALL, Instruction
from fallline.program.strides import Ref

# Nanoseconds of work from which on it is shared out at all.
SMALL = 150.0
# A run on several lanes has to be this much faster than on one to be worth waking threads for, and a step this long:
# lanes of short steps meet so often that one core busy with something else costs more than there is to gain.
GAIN, SHORT = 0.7, 50_000.0

MOST_LANES = 64
# Nanoseconds of work from which on a part of it is left to whichever lane is free first; which share of it, and in how
# many pieces where lanes are many.
LONG, LEFT, PIECES = 100_000.0, 1 / 8, 8
# Nanoseconds that a long step goes on for without looking whether it is to stop.
PATIENCE = 2e7

# Nanoseconds that a lane waits before it sleeps: more than lanes are apart that all have a core.
AWAKE = 1_000_000
# The decision of a run's last meeting, in its last two bits: to end the run although there are steps left.
LEFT_EARLY = 2
# The word that a waiting lane reads in place of the number of meetings when another will never come: odd, and beyond
# any.
GIVEN_UP = (1 << 62) + 1

Span = tuple[int, int]  # bytes: first, one past the last


@dataclass
class Touched:
    """The memory that one lane has read and written since the lanes last met."""

    read: list[Span] = field(default_factory=list)
    written: list[Span] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Offer:
    """An instruction that the first lane to come to it does; in every lane's table under the same number, from 1 on.

    Only the scratch memory is the lane's own.
    """

    instruction: Instruction
    number: int


Row = Instruction | Offer | None  # None: a meeting of all lanes


@dataclass(frozen=True, slots=True)
class Schedule:
    """For each lane its rows in order; nanoseconds: the estimate."""

    lanes: tuple[tuple[Row, ...], ...]
    nanoseconds: float

    @property
    def offers(self) -> int:
        """How many offers there are; the same ones in every lane."""
        return sum(isinstance(row, Offer) for row in self.lanes[0])


def done_by(row: Row) -> Instruction | None:
    """The instruction of a row, whoever does it."""
    return row.instruction if isinstance(row, Offer) else row


def meets(spans: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(low < high2 and low2 < high for low, high in spans for low2, high2 in others)


def parts(instruction: Instruction, lanes: int) -> tuple[list[Instruction | None], list[tuple[int, int]]]:
    """Each lane's share of an instruction, and turns of its loop that are for whoever is free.

    Small or undividable instructions are the first lane's.
    """
    split = instruction.split
    if split is None or instruction.work < SMALL:
        return [instruction, *[None] * (lanes - 1)], []
    size, once = split.size, lanes * split.grain
    kept = int(size * (1 - LEFT)) // once * once
    left: list[tuple[int, int]] = []
    if instruction.work >= LONG and kept > 0:
        pieces = max(min(lanes, PIECES), -(-(size - kept) * lanes // kept))  # none larger than a lane's own share
        edges = replace(split, size=size - kept).edges(pieces)
        left = [(kept + a, kept + b) for a, b in pairwise(edges) if b > a]
    else:
        kept = size
    own = pairwise(replace(split, size=kept).edges(lanes))
    return [instruction.part(a, b, lane) if b > a else None for lane, (a, b) in enumerate(own)], left


def schedule(instructions: Sequence[Instruction], lanes: int, watch_end: int, span: Callable[[Ref], Span]) -> Schedule:
    """Share instructions out over lanes. They meet after the watched value, at the end of every step, and to ask."""
    tables: list[list[Row]] = [[] for _ in range(lanes)]
    touched, since = _nothing(lanes), [0.0] * lanes
    total, offers = 0.0, 0

    def meet() -> None:
        nonlocal total, touched, since
        for table in tables:
            table.append(None)
        total += max(since) + current().meeting
        touched, since = _nothing(lanes), [0.0] * lanes

    for number, instruction in enumerate(instructions):
        if max(since) > PATIENCE:
            meet()
        own, left = parts(instruction, lanes)
        offered = [[instruction.part(a, b, lane) for a, b in left] for lane in range(lanes)]
        # Turns that any lane may take count as those of one more lane.
        done = [*([] if share is None else [share] for share in own), [part for of_lane in offered for part in of_lane]]
        spans = [
            Touched([span(ref) for one in some for ref in one.operands],
                    [span(ref) for one in some for ref in written_by(one)])
            for some in done
        ]  # fmt: skip
        if any(
            meets(mine.written, theirs.read) or meets(mine.read, theirs.written)
            for lane, mine in enumerate(spans)
            for other, theirs in enumerate(touched)
            if other != lane or lane == lanes
        ):
            meet()
        for mine, new in zip(touched, spans, strict=True):
            mine.read += new.read
            mine.written += new.written
        for lane, share in enumerate(own):
            if share is not None:
                tables[lane].append(share)
                since[lane] += share.work + CALL
            tables[lane] += [Offer(part, offers + i + 1) for i, part in enumerate(offered[lane])]
            since[lane] += sum(part.work + CALL for part in offered[lane]) / lanes
        offers += len(left)
        if number in (watch_end - 1, len(instructions) - 1):
            meet()
    return Schedule(tuple(tuple(table) for table in tables), total)


def _nothing(lanes: int) -> list[Touched]:
    """The memory that each lane, and whoever was free, has touched at a meeting."""
    return [Touched() for _ in range(lanes + 1)]


def written_by(instruction: Instruction) -> list[Ref]:
    """The operands an instruction writes: its outputs, and scratch memory."""
    private = [] if instruction.scratch is None else [instruction.operands[instruction.scratch]]
    return [*instruction.written, *private]


def best(
    instructions: Sequence[Instruction], most: int, watch_end: int, span: Callable[[Ref], Span]
) -> Schedule | None:
    """The quickest schedule for at most so many lanes by the estimates; None where one lane does best."""
    alone = sum(instruction.work + CALL for instruction in instructions)
    if not possible() or most < 2 or alone < SHORT:
        return None
    counts = sorted({most, *(2**i for i in range(1, int(math.log2(most)) + 1))})
    found = min((schedule(instructions, n, watch_end, span) for n in counts), key=lambda s: s.nanoseconds)
    return found if found.nanoseconds < GAIN * alone else None


def possible() -> bool:
    """Whether this system has lanes: one that waits reads the clock, and sleeps, by calls that POSIX systems have."""
    return os.name == "posix"


class Crew:
    """Threads for the lanes after the first, all seen running before they are needed."""

    def __init__(self, extra: int) -> None:
        self.extra, self.process = extra, os.getpid()
        self.pool = ThreadPoolExecutor(extra, thread_name_prefix="fallline-lane")
        # A lane that never starts would let the others wait for ever.
        ready = Barrier(extra + 1)
        waiting = [self.pool.submit(ready.wait, 30) for _ in range(extra)]
        try:
            ready.wait(30)
        except BrokenBarrierError:
            self.pool.shutdown(wait=False)
            raise RuntimeError("the threads for the lanes could not be started") from None
        for one in waiting:
            one.result()

    def run(self, work: Callable[[int], int], lanes: int, give_up: Callable[[], None]) -> int:
        """work(lane) on every lane at once; returns the result of the first lane.

        give_up: set where a lane ends by an exception, so that no other waits for it for ever. The exception is
        raised here once every lane has ended.
        """

        def safely(lane: int) -> int:
            try:
                return work(lane)
            except BaseException:
                give_up()
                raise

        others: list[Future[int]] = []
        try:
            for lane in range(1, lanes):
                others.append(self.pool.submit(safely, lane))
            done = safely(0)
        except BaseException:
            give_up()  # Ctrl-C may come before the first lane has begun
            _until_ended(others)
            raise
        _until_ended(others)
        for other in others:
            other.result()
        return done


def _until_ended(lanes: Sequence["Future[int]"]) -> None:
    """Wait for lanes that are about to end. Ctrl-C waits too: the memory they work on must not be freed before."""
    interrupted: BaseException | None = None
    while True:
        try:
            wait(lanes)
            break
        except KeyboardInterrupt as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


# Crews between two runs: one is kept, since programs of one process mostly run in turn.
_resting: list[Crew] = []


@contextmanager
def crew(extra: int) -> Iterator[Crew]:
    """So many threads for the time of a block: those of the last run if they suffice, else new ones."""
    found = _rested()
    if found is None or found.extra < extra:
        dismiss(found)
        found = Crew(extra)
    try:
        yield found
    finally:
        _resting.append(found)
        while len(_resting) > 1:  # two runs may end at the same moment
            dismiss(_rested())


def _rested() -> Crew | None:
    """The crew that waits for a next run, if there is one; threads do not survive a fork."""
    try:
        found = _resting.pop()  # at once, so that no two runs can get the same
    except IndexError:
        return None
    return found if found.process == os.getpid() else None


def dismiss(one: Crew | None) -> None:
    """End a crew's threads."""
    if one is not None:
        one.pool.shutdown()


def rest() -> None:
    """End the threads that wait for a next run, which starts new ones."""
    while _resting:
        dismiss(_rested())


def available() -> int:
    """Cores this process may use: its affinity, a container's limit; one inside a worker process of a pool."""
    import multiprocessing

    # Workers of process pools (multiprocessing, joblib) share the machine with their siblings.
    if multiprocessing.parent_process() is not None or multiprocessing.current_process().name.startswith("Loky"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, MOST_LANES, *cores_allowed(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))]))


@cache  # a training that starts would wait a millisecond for it
def cores_allowed(membership: Path, root: Path) -> list[int]:
    """Whole cores that each Linux control group around this process lets it use, 1 at least; groups without a limit
    are left out.

    membership: lines of `number:controllers:path`, no controllers in version 2. root: where the groups are mounted.
    Source: Linux, Documentation/admin-guide: cgroup-v2, and cgroup-v1 with scheduler/sched-bwc.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    found: list[int] = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        for base in (root / controllers, root / "cpu") if controllers else (root, root / "unified"):
            # Inside a container the path may be the host's; then the groups are those at the root.
            group = base / path.lstrip("/")
            around = (folder for folder in (group, *group.parents) if folder.is_relative_to(base))
            found += [limit for limit in map(_cores_of, around) if limit is not None]
    return found


def _cores_of(group: Path) -> int | None:
    """The limit of one control group; None where it sets none, or there is no such group."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (group / f"cpu.cfs_{name}_us").read_text(encoding="utf-8").strip() for name in ("quota", "period")
            )
        return None if quota in ("max", "-1") else max(1, int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def checked(threads: int | None) -> int:
    """How many lanes may be used at most; None means the cores this process may use.

    Errors: ArgumentError for less than 1, or more than 64 or four times the machine's cores.
    """
    if threads is None:
        return available()
    if type(threads) is int and threads == 1:
        return 1  # without asking the system, which takes longer than a row's prediction
    whole = isinstance(threads, int | np.integer) and not isinstance(threads, bool)
    limit = min(MOST_LANES, 4 * (os.cpu_count() or 1))
    if not whole or not 1 <= threads <= limit:
        raise ArgumentError(f"threads is a whole number from 1 to {limit} on this machine, or None, got {threads!r}")
    return int(threads)


__all__ = ["Crew", "Schedule", "available", "best", "checked", "crew", "possible", "rest", "schedule"]
