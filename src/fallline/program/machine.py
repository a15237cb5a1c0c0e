"""Gives a lowered graph memory, verifies every operand's extent, and runs it.

Nothing reaches the kernels unchecked: each window must lie inside its buffer, and what a program points to is kept
alive by the program. Knows nothing of graphs beyond what lower.py made of them.
"""

import threading
from collections.abc import Sequence

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.op import Array
from fallline.program.instructions import STATUS, STATUS_WORDS, Buffer, Instruction, Place
from fallline.program.layout import Ref
from fallline.program.lower import Lowered
from fallline.program.plan import ALIGNMENT, Plan, plan, rounded, share_in_place

WORD = 8
NOT_FINITE, OUT_OF_RANGE = 1, 2


def verify(instructions: Sequence[Instruction], buffers: Sequence[Buffer]) -> None:
    """Raise unless every operand of every instruction lies inside its buffer, and nothing read-only is written."""
    for number, instruction in enumerate(instructions):
        for ref in instruction.operands:
            if not 0 <= ref.buffer < len(buffers):
                raise ProgramError(f"instruction {number} ({instruction.name}): there is no buffer {ref.buffer}")
            buffer = buffers[ref.buffer]
            low, high = ref.extent()
            if low < 0 or high > buffer.size or ref.dtype.itemsize != buffer.itemsize:
                raise ProgramError(
                    f"instruction {number} ({instruction.name}, {instruction.where}): touches elements {low}..{high} "
                    f"of {ref.dtype} in a buffer of {buffer.size} elements of {buffer.itemsize} bytes"
                )
        for ref in instruction.written:
            if buffers[ref.buffer].place is Place.CONSTANT:
                raise ProgramError(f"instruction {number} ({instruction.name}) writes into a constant")


def aligned_bytes(nbytes: int) -> Array:
    """Zeroed bytes that start at a multiple of the alignment."""
    raw = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


class Program:
    """A verified table of kernel calls with its memory.

    arrays: one per input of the graph: C-contiguous, of the input's dtype. They are used in place, not copied.
    """

    def __init__(self, lowered: Lowered, arrays: Sequence[Array], keep: bool = False, writable: int = 0) -> None:
        self.outputs = lowered.outputs
        pinned = {ref.buffer for ref in self.outputs}
        # Marked before anything is shared: what is read after the run must not become somebody else's memory.
        self.buffers = tuple(
            Buffer(Place.OUTPUT, b.size, b.itemsize) if i in pinned and b.place is Place.TEMPORARY else b
            for i, b in enumerate(lowered.buffers)
        )
        home = {} if keep else share_in_place(lowered.instructions, self.buffers)
        self.instructions = [instruction.moved(home) for instruction in lowered.instructions]
        verify(self.instructions, self.buffers)
        self.plan: Plan = plan(self.instructions, self.buffers, keep)
        self.constants = lowered.constants
        self.watch_end = lowered.watch_end
        self._place(arrays, writable)
        self._assemble()

    @property
    def nbytes(self) -> int:
        """Bytes of memory of its own: temporaries, outputs and constants; the caller's arrays are not counted."""
        return int(self.arena.nbytes)

    def _place(self, arrays: Sequence[Array], writable: int) -> None:
        """Give every buffer an address."""
        sizes = [rounded(c.nbytes) for c in self.constants]
        self.arena = aligned_bytes(self.plan.size + sum(sizes) + rounded(STATUS_WORDS * WORD))
        base = self.arena.ctypes.data
        starts = np.cumsum([self.plan.size, *sizes]).tolist()
        for constant, start in zip(self.constants, starts, strict=False):
            self.arena[start : start + constant.nbytes] = np.ascontiguousarray(constant).reshape(-1).view(np.uint8)
        self.status = self.arena[starts[-1] : starts[-1] + STATUS_WORDS * WORD].view(np.int64)
        self.addresses: list[int] = []
        self.arrays = list(arrays)
        for number, buffer in enumerate(self.buffers):
            if buffer.place is Place.INPUT:
                self.addresses.append(self._input_address(buffer, buffer.number < writable))
            elif buffer.place is Place.CONSTANT:
                self.addresses.append(base + starts[buffer.number])
            elif buffer.place is Place.STATUS:
                self.addresses.append(self.status.ctypes.data)
            else:
                self.addresses.append(base + self.plan.offsets.get(number, 0))

    def _input_address(self, buffer: Buffer, writable: bool) -> int:
        array = self.arrays[buffer.number]
        if array.size != buffer.size or array.dtype.itemsize != buffer.itemsize or not array.flags.c_contiguous:
            raise ProgramError(f"input {buffer.number} has to be a C-contiguous array of {buffer.size} elements")
        if writable and not array.flags.writeable:
            raise ProgramError(f"input {buffer.number} is state, and has to be writable")
        return int(array.ctypes.data)

    def _assemble(self) -> None:
        """Write the table: kernel addresses, and rows of operand addresses and words."""
        from fallline.program.kernels import store
        from fallline.program.kernels.wrap import RUNNER

        lengths = [len(ins.operands) + len(ins.words) for ins in self.instructions]
        self.rows = np.zeros(sum(lengths) + 1, np.int64)
        self.table = np.zeros((len(self.instructions), 2), np.int64)
        self.kernels = []  # addresses do not keep code alive
        self.runner = store.load(RUNNER)
        self.fixups: dict[int, list[tuple[int, int]]] = {}
        at = 0
        for i, (instruction, length) in enumerate(zip(self.instructions, lengths, strict=True)):
            kernel = store.load(instruction.source)
            self.kernels.append(kernel)
            self.table[i] = kernel.address, self.rows.ctypes.data + at * WORD
            for j, ref in enumerate(instruction.operands):
                offset = ref.offset * ref.dtype.itemsize
                self.rows[at + j] = self.addresses[ref.buffer] + offset
                if self.buffers[ref.buffer].place is Place.INPUT:
                    self.fixups.setdefault(self.buffers[ref.buffer].number, []).append((at + j, offset))
            self.rows[at + len(instruction.operands) : at + length] = instruction.words
            at += length
        if not self.watch_end:
            self.watch_end = len(self.instructions)
        self.lock = threading.Lock()

    def rebind(self, number: int, array: Array) -> None:
        """Use another array for an input; it has to be like the one before."""
        before = self.arrays[number]
        if array.shape != before.shape or array.dtype != before.dtype or not array.flags.c_contiguous:
            raise ProgramError(
                f"input {number} is {before.dtype}{list(before.shape)}, not {array.dtype}{list(array.shape)}"
            )
        self.arrays[number] = array
        address = int(array.ctypes.data)
        for position, offset in self.fixups.get(number, ()):
            self.rows[position] = address + offset

    def run(self, steps: int = 1) -> int:
        """Do up to `steps` steps; returns how many were done. Fewer means the watched value was not finite."""
        with self.lock:
            self.status[:] = 0
            done = int(self.runner(self.table, self.watch_end, self.addresses[STATUS], steps))
        if self.status[0] == OUT_OF_RANGE:
            raise ProgramError(f"a position of {int(self.status[1])} is outside the array it is read from or added to")
        return done

    def value(self, ref: Ref) -> Array:
        """A window's elements as an array over the program's own memory; copy it before the next run."""
        buffer = self.buffers[ref.buffer]
        memory: Array
        if buffer.place is Place.INPUT:
            memory = self.arrays[buffer.number].reshape(-1).view(ref.dtype)
        else:
            base = self.addresses[ref.buffer] - self.arena.ctypes.data
            memory = self.arena[base : base + buffer.nbytes].view(ref.dtype)
        strides = tuple(s * ref.dtype.itemsize for s in ref.strides)
        return np.lib.stride_tricks.as_strided(memory[ref.offset :] if ref.size else memory, ref.shape, strides)
