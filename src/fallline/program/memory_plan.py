"""A program without memory: which values share a place when, how large everything is, and how lanes share the work.

So bytes and time are known before anything is made. Places count bytes from the start of one arena; buffers outside
of it get a place behind its end. Knows no addresses (machine.py) and no kernels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from fallline.program import lanes
from fallline.program.instructions import CALL, Buffer, Instruction, Lowered, Place
from fallline.program.plan import Plan, plan, rounded, share_in_place
from fallline.program.strides import Ref


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """instructions, buffers: as they will run. home: buffers that lie in another's memory -> that other one.

    plan: when and where in the arena temporaries and outputs live. outside: outputs that will lie in arrays of their
    own. places: where each buffer begins. size: the arena's bytes, constants and status included. schedule: how lanes
    share the instructions out; None for one lane. commit: the first instruction that changes the caller's arrays;
    before it a step can be given up.
    """

    instructions: tuple[Instruction, ...]
    buffers: tuple[Buffer, ...]
    outputs: tuple[Ref, ...]
    watch_end: int
    commit: int
    home: dict[int, int]
    plan: Plan
    outside: frozenset[int]
    places: tuple[int, ...]
    size: int
    schedule: lanes.Schedule | None

    @property
    def lanes(self) -> int:
        return 1 if self.schedule is None else len(self.schedule.lanes)

    @property
    def nanoseconds(self) -> float:
        """About how long a step takes."""
        if self.schedule is not None:
            return self.schedule.nanoseconds
        return sum(instruction.work + CALL for instruction in self.instructions)

    def covered(self, buffers: Iterable[int]) -> int:
        """Bytes of the arena that these buffers lie in at some time, each byte counted once."""
        total = end = 0
        spans = sorted((self.places[b], rounded(self.buffers[b].nbytes)) for b in buffers if b in self.plan.offsets)
        for start, nbytes in spans:
            total += max(0, start + nbytes - max(start, end))
            end = max(end, start + nbytes)
        return total


def memory_plan(lowered: Lowered, *, keep: bool = False, threads: int = 1, hand_out: bool = False) -> MemoryPlan:
    """The plan of a lowered graph as a program; the arguments are those of `Program`."""
    pinned = {ref.buffer for ref in lowered.outputs}
    # Marked before anything is shared: outputs that are read after the run keep memory of their own.
    buffers = tuple(
        Buffer(Place.OUTPUT, b.size, b.itemsize) if i in pinned and b.place is Place.TEMPORARY else b
        for i, b in enumerate(lowered.buffers)
    )
    home = {} if keep else share_in_place(lowered.instructions, buffers)
    cut = [instruction.moved(home).slices(lanes.PATIENCE) for instruction in lowered.instructions]
    instructions = tuple(chain.from_iterable(cut))
    watch_end = sum(map(len, cut[: lowered.watch_end or len(cut)]))
    outside = frozenset(i for i in pinned if hand_out and buffers[i].place is Place.OUTPUT)

    def shared(most: int) -> MemoryPlan:
        """For at most so many lanes, each with scratch memory of its own."""
        held = with_scratch(instructions, buffers, most)
        planned = plan(instructions, held, keep, outside)
        places, size = placed(held, planned, outside)

        def span(ref: Ref) -> tuple[int, int]:
            low, high = ref.extent()
            return places[ref.buffer] + low * ref.dtype.itemsize, places[ref.buffer] + high * ref.dtype.itemsize

        schedule = lanes.best(instructions, most, watch_end, span)
        return MemoryPlan(
            instructions, held, lowered.outputs, watch_end, commit(instructions, held), home, planned, outside, places,
            size, schedule,
        )  # fmt: skip

    made = shared(threads)
    # Lanes that are not worth waking need no memory.
    return made if made.lanes == threads else shared(made.lanes)


def commit(instructions: Iterable[lanes.Row], buffers: Sequence[Buffer]) -> int:
    """The place of the first instruction that writes into an array of the caller; behind the last if none does."""
    count = 0
    for instruction in map(lanes.done_by, instructions):
        if instruction is not None and any(buffers[ref.buffer].place is Place.INPUT for ref in instruction.written):
            break
        count += 1
    return count


def with_scratch(instructions: Iterable[Instruction], buffers: tuple[Buffer, ...], threads: int) -> tuple[Buffer, ...]:
    """The buffers, scratch memory large enough for every lane to have its own."""
    scratch = {ins.operands[ins.scratch].buffer for ins in instructions if ins.scratch is not None and ins.split}
    return tuple(replace(b, size=b.size * threads) if i in scratch else b for i, b in enumerate(buffers))


def placed(buffers: tuple[Buffer, ...], planned: Plan, outside: frozenset[int]) -> tuple[tuple[int, ...], int]:
    """Where each buffer begins, and the arena's size: planned values, then constants and status, then the rest."""
    places = [planned.offsets.get(number, 0) for number in range(len(buffers))]
    behind = [i for i, b in enumerate(buffers) if b.place in (Place.CONSTANT, Place.STATUS)]
    elsewhere = [i for i, b in enumerate(buffers) if b.place is Place.INPUT or i in outside]
    size = end = planned.size
    for number in [*behind, *elsewhere]:
        places[number] = end
        end += rounded(buffers[number].nbytes)
        if number in behind:
            size = end
    return tuple(places), size
