"""New state over old: makes a lowered step write its first outputs into its first inputs, for the next step to read.

In place where the old value is not read afterwards, else by a copy at the end. Knows instructions, not graphs.
"""

from collections.abc import Sequence
from dataclasses import replace

from fallline.program import emit
from fallline.program.instructions import Buffer, Instruction, Lowered, Place
from fallline.program.strides import Ref, row_major


def _same_window(a: Ref, b: Ref) -> bool:
    return (a.offset, a.shape, a.strides) == (b.offset, b.shape, b.strides)


def _may_overwrite(instructions: Sequence[Instruction], made: int, old: int, not_before: int) -> bool:
    """May the buffer `made` be the memory of the state `old`? True where every element is read before it is written."""
    written: list[Ref] = []
    for i, instruction in enumerate(instructions):
        now = [ref for ref in instruction.written if ref.buffer == made]
        if now and i < not_before:
            return False
        for ref in instruction.operands:
            if ref.buffer != old:
                continue
            if any(_overlap(ref, before) for before in written):
                return False
            if any(_overlap(ref, out) and not (instruction.aligned and _same_window(ref, out)) for out in now):
                return False
        written += now
    return bool(written)


def _overlap(a: Ref, b: Ref) -> bool:
    (low, high), (low2, high2) = a.extent(), b.extent()
    return low < high2 and low2 < high


def donate(lowered: Lowered, count: int) -> Lowered:
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
    done = [instruction.moved(moved) for instruction in instructions]
    # A copy of old state to where it lies already was only needed while the new state had a place of its own.
    gone = [instruction.name == "copy" and instruction.operands[0] == instruction.operands[1] for instruction in done]
    watch_end -= sum(gone[:watch_end])
    done = [*(ins for ins, is_gone in zip(done, gone, strict=True) if not is_gone), *(a.moved(moved) for a in after)]
    kept = tuple(replace(ref, buffer=moved.get(ref.buffer, ref.buffer)) for ref in outputs)
    return replace(lowered, instructions=tuple(done), buffers=tuple(buffers), outputs=kept, watch_end=watch_end)
