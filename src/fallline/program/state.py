"""New state over old: makes a lowered step write its first outputs into its first inputs, for the next step to read.

In place where the old value is not read afterwards, else by a copy at the end. Knows instructions, not graphs.
"""

from collections.abc import Sequence
from dataclasses import replace

from fallline.program import emit
from fallline.program.instructions import Buffer, Instruction, Place
from fallline.program.layout import Ref, row_major
from fallline.program.lower import Lowered


def _same_window(a: Ref, b: Ref) -> bool:
    return (a.offset, a.shape, a.strides) == (b.offset, b.shape, b.strides)


def _may_overwrite(instructions: Sequence[Instruction], made: int, old: int, not_before: int) -> bool:
    """May the buffer `made` be the memory of the state `old`? True where every read of the old value comes first."""
    writes = [i for i, ins in enumerate(instructions) if any(ref.buffer == made for ref in ins.written)]
    if not writes or writes[0] < not_before:
        return False
    first = instructions[writes[0]]
    for i, instruction in enumerate(instructions):
        if i < writes[0]:
            continue
        for ref in instruction.operands:
            if ref.buffer != old:
                continue
            beside = [w for w in first.written if w.buffer == made]
            if i > writes[0] or not first.aligned or not all(_same_window(ref, w) for w in beside):
                return False
    return True


def carry(lowered: Lowered, count: int) -> Lowered:
    """The same program with outputs 0..count-1 ending up in inputs 0..count-1.

    The buffers of inputs are numbered from 1 in the order of the inputs (0 is the status).
    """
    buffers: list[Buffer] = list(lowered.buffers)
    before: list[Instruction] = []
    outputs = list(lowered.outputs)

    def fresh(ref: Ref) -> Ref:
        buffers.append(Buffer(Place.TEMPORARY, ref.size, ref.dtype.itemsize))
        return Ref(len(buffers) - 1, 0, ref.shape, row_major(ref.shape), ref.dtype)

    # Old state that is somebody's new state (or a plain output) is saved before anything is overwritten.
    for i, ref in enumerate(outputs):
        if 1 <= ref.buffer <= count and not (i < count and ref.buffer == i + 1 and ref.contiguous):
            saved = fresh(ref)
            before.append(emit.copy(saved, ref))
            outputs[i] = saved
    instructions = [*before, *lowered.instructions]
    watch_end = lowered.watch_end + len(before) if lowered.watch_end else 0
    moved: dict[int, int] = {}
    after: list[Instruction] = []
    for i in range(count):
        ref, own = outputs[i], i + 1
        if ref.buffer == own:
            continue
        buffer = buffers[ref.buffer]
        whole = buffer.place is Place.TEMPORARY and ref.contiguous and ref.offset == 0 and ref.size == buffer.size
        if whole and ref.buffer not in moved and _may_overwrite(instructions, ref.buffer, own, watch_end):
            moved[ref.buffer] = own
        elif ref.size:
            state = Ref(own, 0, ref.shape, row_major(ref.shape), ref.dtype)
            after.append(emit.copy(state, ref))
    done = [instruction.moved(moved) for instruction in [*instructions, *after]]
    kept = tuple(replace(ref, buffer=moved.get(ref.buffer, ref.buffer)) for ref in outputs)
    return replace(lowered, instructions=tuple(done), buffers=tuple(buffers), outputs=kept, watch_end=watch_end)
