"""From lifetimes to offsets: every temporary gets a stretch of one arena, shared by values that never live together.

Peak bytes are known before anything runs. Knows instructions and buffers, not kernels or graphs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fallline.program.instructions import Buffer, Instruction, Place

ALIGNMENT = 64  # a cache line, and the widest vector register


@dataclass(frozen=True, slots=True)
class Lifetime:
    """First and last instruction that touches a buffer."""

    first: int
    last: int

    def meets(self, other: "Lifetime") -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Plan:
    """offsets: bytes from the arena's start, per buffer in the arena; size: the arena's bytes."""

    offsets: dict[int, int]
    lifetimes: dict[int, Lifetime]
    size: int


def rounded(nbytes: int) -> int:
    return -(-max(nbytes, 1) // ALIGNMENT) * ALIGNMENT


def lifetimes(
    instructions: Sequence[Instruction], buffers: Sequence[Buffer], keep: bool = False
) -> dict[int, Lifetime]:
    """When each buffer of the arena lives. Outputs live to the end; with `keep`, so does everything else."""
    end = len(instructions)
    found: dict[int, Lifetime] = {}
    for i, instruction in enumerate(instructions):
        for ref in instruction.operands:
            if buffers[ref.buffer].place in (Place.TEMPORARY, Place.OUTPUT):
                known = found.get(ref.buffer)
                found[ref.buffer] = Lifetime(i, i) if known is None else Lifetime(known.first, i)
    return {
        number: Lifetime(life.first, end) if keep or buffers[number].place is Place.OUTPUT else life
        for number, life in found.items()
    }


def share_in_place(instructions: Sequence[Instruction], buffers: Sequence[Buffer]) -> dict[int, int]:
    """Outputs of elementwise work that may take the memory of an input that dies there: output buffer -> input's."""
    lives = lifetimes(instructions, buffers)
    home: dict[int, int] = {}

    def find(number: int) -> int:
        while number in home:
            number = home[number]
        return number

    for i, instruction in enumerate(instructions):
        if not instruction.aligned:
            continue
        taken: set[int] = set()
        for out in instruction.written:
            if buffers[out.buffer].place is not Place.TEMPORARY or lives[out.buffer].first != i or not out.contiguous:
                continue
            for x in instruction.read:
                host = find(x.buffer)
                same = x.contiguous and x.shape == out.shape and x.dtype.itemsize == out.dtype.itemsize
                whole = x.offset == out.offset == 0 and buffers[out.buffer].nbytes == buffers[host].nbytes
                dies = host in lives and lives[host].last == i and buffers[host].place is Place.TEMPORARY
                alone = all(
                    find(r.buffer) != host or (r.shape, r.strides, r.offset) == (x.shape, x.strides, x.offset)
                    for r in instruction.read
                )
                if same and whole and dies and alone and host not in taken and host != find(out.buffer):
                    home[out.buffer] = host
                    taken.add(host)
                    lives[host] = Lifetime(lives[host].first, lives[out.buffer].last)
                    break
    return {number: find(number) for number in home}


def plan(
    instructions: Sequence[Instruction],
    buffers: Sequence[Buffer],
    keep: bool = False,
    outside: frozenset[int] = frozenset(),
) -> Plan:
    """Offsets by first fit, largest first: each buffer goes to the lowest place free over its whole life.

    outside: buffers that get no place in the arena, since they lie elsewhere.
    """
    lives = {b: life for b, life in lifetimes(instructions, buffers, keep).items() if b not in outside}
    taken = _Taken(len(lives))
    offsets: dict[int, int] = {}
    for number in sorted(lives, key=lambda b: (-buffers[b].nbytes, b)):
        offsets[number] = taken.place(rounded(buffers[number].nbytes), lives[number])
    return Plan(offsets, lives, taken.size)


class _Taken:
    """Stretches of the arena that are taken for some time, in the order they begin in.

    Kept as arrays: each new one is held against all before, of which an unrolled loop has thousands.
    """

    def __init__(self, most: int) -> None:
        self.count = self.size = 0
        self.rows = np.zeros((4, most), np.int64)  # where they begin and end; first and last instruction

    def place(self, need: int, life: Lifetime) -> int:
        """Take so many bytes for a while; returns the lowest free place."""
        low, high, first, last = self.rows[:, : self.count]
        meet = np.flatnonzero((first <= life.last) & (last >= life.first))
        ends = np.concatenate([_NO_BYTES, np.maximum.accumulate(high[meet])])  # of all before the next that begins
        fits = low[meet] - ends[:-1] >= need
        at = int(fits.argmax()) if fits.any() else len(meet)
        start = int(ends[at])
        into = int(np.searchsorted(low, start, side="right"))
        self.rows[:, into + 1 : self.count + 1] = self.rows[:, into : self.count].copy()
        self.rows[:, into] = start, start + need, life.first, life.last
        self.count += 1
        self.size = max(self.size, start + need)
        return start


_NO_BYTES = np.zeros(1, np.int64)
