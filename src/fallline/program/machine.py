"""Gives a lowered graph memory, verifies every operand's extent, and runs it.

Nothing reaches the kernels unchecked: each window must lie inside its buffer, and the arrays that a program points
to are kept alive by the program. Knows nothing of graphs: lower.py has made instructions of them.
"""

import copy
import sys
import time
from collections.abc import Sequence

import numpy as np

from fallline.errors import OutOfRangeError, ProgramError
from fallline.graph.op import Array
from fallline.program import lanes
from fallline.program.argument_rows import WORD, Rows
from fallline.program.forks import renewed
from fallline.program.governor import Governor
from fallline.program.instructions import CALL, STATUS, STATUS_WORDS, Buffer, Instruction, Lowered, Place, Turns
from fallline.program.memory_plan import commit, memory_plan
from fallline.program.plan import ALIGNMENT
from fallline.program.strides import Ref

NOT_FINITE, OUT_OF_RANGE = 1, 2
NEVER_REQUESTED = STATUS_WORDS - 1  # a word of the status that stays 0


def _holds(program: "Program", ref: Ref, position: int) -> bool:
    """Whether a buffer of whole numbers holds this one."""
    if ref.buffer == STATUS or ref.dtype != np.int64:
        return False
    return bool((program.value(ref) == position).any())


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
        if instruction.turns is not None:
            verify_turns(number, instruction.turns, buffers)


def verify_turns(number: int, turns: Turns, buffers: Sequence[Buffer]) -> None:
    """The same for the turns of a loop: each operand inside its own buffer, and those inside the ones around the loop,
    from the first turn to the last."""
    verify(turns.instructions, turns.buffers)
    written = {ref.buffer for one in turns.instructions for ref in one.written}
    used = {ref.buffer for one in turns.instructions for ref in one.operands}
    for inner in used:
        buffer = turns.buffers[inner]
        if inner not in turns.windows:
            if not 0 <= turns.places[inner] <= buffers[turns.room].nbytes - buffer.nbytes:
                raise ProgramError(f"instruction {number} (loop): a turn has no room for its buffer {inner}")
            continue
        window = turns.windows[inner]
        around, moved = buffers[window.buffer], (turns.count - 1) * window.step
        low, high = window.offset + min(0, moved), window.offset + max(0, moved) + buffer.size
        if low < 0 or high > around.size or around.itemsize != buffer.itemsize:
            raise ProgramError(
                f"instruction {number} (loop): {turns.count} turns touch elements {low}..{high} of {buffer.itemsize} "
                f"bytes in a buffer of {around.size} elements of {around.itemsize} bytes"
            )
        if inner in written and around.place is Place.CONSTANT:
            raise ProgramError(f"instruction {number} (loop) writes into a constant")


def aligned_bytes(nbytes: int) -> Array:
    """Zeroed bytes that start at a multiple of the alignment."""
    raw = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


def entries(tables: Sequence[Array]) -> list[tuple[int, int]]:
    """The arguments of a runner: the address of each table's first row, and how many rows there are."""
    return [(int(table.ctypes.data), len(table)) for table in tables]


class Program:
    """A verified table of kernel calls with its memory.

    arrays: one per input of the graph: C-contiguous, of the input's dtype. They are used in place, not copied.
    keep: no memory is shared, so that every value can be read afterwards. writable: how many of the arrays, from the
    first on, are state. threads: lanes at most. hand_out: outputs lie in arrays of their own, to be given away.
    """

    def __init__(
        self,
        lowered: Lowered,
        arrays: Sequence[Array],
        *,
        keep: bool = False,
        writable: int = 0,
        threads: int = 1,
        hand_out: bool = False,
    ) -> None:
        made = memory_plan(lowered, keep=keep, threads=threads, hand_out=hand_out)
        verify(made.instructions, made.buffers)
        self.memory, self.instructions, self.buffers, self.plan = made, made.instructions, made.buffers, made.plan
        self.outputs, self.watch_end, self.schedule = made.outputs, made.watch_end, made.schedule
        # Output buffers that lie in arrays of their own.
        self.outside = {number: self._output_array(number) for number in sorted(made.outside)}
        self.given: list[bool] | None = None  # which outputs are such an array's elements and nobody else's
        self.whole: list[tuple[int, tuple[int, ...]] | None] = []  # buffer and shape of those that are all its elements
        self.was_stopped = False  # whether the last run ended early because it was asked to
        self._place(arrays, writable, lowered.constants)
        self._assemble()

    @property
    def nbytes(self) -> int:
        """Bytes of memory of its own: temporaries, outputs and constants; the caller's arrays are not counted."""
        return int(self.arena.nbytes)

    def _place(self, arrays: Sequence[Array], writable: int, constants: Sequence[Array]) -> None:
        """Give every buffer an address, and constants their values."""
        self.arena = aligned_bytes(self.memory.size)
        base = self.arena.ctypes.data
        start = self.memory.places[STATUS]
        self.status = self.arena[start : start + STATUS_WORDS * WORD].view(np.int64)
        self.addresses: list[int] = []
        self.arrays, self.writable = list(arrays), writable
        self.inputs = {b.number: i for i, b in enumerate(self.buffers) if b.place is Place.INPUT}
        for number, buffer in enumerate(self.buffers):
            if buffer.place is Place.INPUT:
                self.addresses.append(self._input_address(buffer, buffer.number < writable))
            elif number in self.outside:
                self.addresses.append(self.outside[number].ctypes.data)
            else:
                self.addresses.append(base + self.memory.places[number])
            if buffer.place is Place.CONSTANT:
                start, constant = self.memory.places[number], constants[buffer.number]
                self.arena[start : start + constant.nbytes] = np.ascontiguousarray(constant).reshape(-1).view(np.uint8)

    def _input_address(self, buffer: Buffer, writable: bool) -> int:
        array = self.arrays[buffer.number]
        if array.size != buffer.size or array.dtype.itemsize != buffer.itemsize or not array.flags.c_contiguous:
            raise ProgramError(f"input {buffer.number} has to be a C-contiguous array of {buffer.size} elements")
        if writable and not array.flags.writeable:
            raise ProgramError(f"input {buffer.number} is state, and has to be writable")
        return int(array.ctypes.data)

    def _assemble(self) -> None:
        """Write the tables, one a lane: kernel addresses, and rows of operand addresses and words."""
        from fallline.program.kernels import store
        from fallline.program.kernels.wrap import LANE_RUNNER, LONG_RUNNER, RUNNER

        # A program with lanes has a table for one lane besides, for when others keep the cores busy.
        alone = (self.instructions,)
        per_lane = (*self.schedule.lanes, *alone) if self.schedule else alone
        every = [ins for lane in per_lane for ins in map(lanes.done_by, lane) if ins is not None]
        if self.schedule:
            verify(every, self.buffers)
        self.is_long = sum(ins.work + CALL for ins in self.instructions) > lanes.PATIENCE
        runners = [LONG_RUNNER if self.is_long else RUNNER, *([LANE_RUNNER] if self.schedule else [])]
        store.prepare([*runners, *(source for instruction in every for source in instruction.sources())])
        self.runner, self.lane_runner = store.function(runners[0]), store.function(runners[-1])
        rows = Rows(self.buffers, self.addresses, frozenset(self.outside))
        tables = []
        asking = self._meetings_before_commit(per_lane[: len(per_lane) - 1])
        for lane in per_lane:
            table = np.zeros((len(lane), 3), np.int64)
            met = 0
            for i, row in enumerate(lane):
                instruction = lanes.done_by(row)
                if instruction is None:
                    met += 1
                    table[i, 1] = met <= asking
                    continue
                offer = row.number if isinstance(row, lanes.Offer) else 0
                table[i] = store.address(instruction.source), rows.put(instruction) * WORD, offer
            tables.append(table)
        self.rows = np.array([*rows.words, 0], np.int64)
        self.fixups, self.own, self.within = rows.fixups, rows.own, rows.within
        self.rows[self.within] += self.rows.ctypes.data
        for table in tables:
            table[table[:, 0] != 0, 1] += self.rows.ctypes.data
        self._enter(tables)
        self.lock = renewed(self, "lock")

    def _enter(self, tables: list[Array]) -> None:
        """Run these tables from now on: one for each lane, and the last for one lane alone."""
        self.tables, self.alone_table = tables[:-1] or tables, tables[-1]
        self.entries, (self.alone_entry,) = entries(self.tables), entries([self.alone_table])
        self.governor = Governor()

    def _meetings_before_commit(self, per_lane: Sequence[Sequence[lanes.Row]]) -> int:
        """How many meetings of the lanes there are before any of them changes an array of the caller."""
        return min((lane[: commit(lane, self.buffers)].count(None) for lane in per_lane), default=0)

    def clone(self, arrays: Sequence[Array]) -> "Program":
        """The same program in memory of its own, over other arrays of the same form.

        Only addresses change, so it costs a hundredth of making a program. Both may run at the same time.
        """
        if len(arrays) != len(self.arrays):
            raise ProgramError(f"the program works on {len(self.arrays)} arrays, got {len(arrays)}")
        other = copy.copy(self)
        other.lock = renewed(other, "lock")
        other.arena = aligned_bytes(self.arena.nbytes)
        other.arena[self.plan.size :] = self.arena[self.plan.size :]  # the constants
        shift = other.arena.ctypes.data - self.arena.ctypes.data
        start = self.addresses[STATUS] - self.arena.ctypes.data
        other.status = other.arena[start : start + STATUS_WORDS * WORD].view(np.int64)
        other.rows = self.rows.copy()
        other.rows[self.own] += shift
        other.rows[self.within] += other.rows.ctypes.data - self.rows.ctypes.data
        other.addresses = [address + shift for address in self.addresses]  # those of inputs are put right below
        tables = [table.copy() for table in (*(self.tables if self.schedule else ()), self.alone_table)]
        for table in tables:
            table[table[:, 0] != 0, 1] += other.rows.ctypes.data - self.rows.ctypes.data
        other._enter(tables)
        other.arrays = list(self.arrays)
        for number, array in enumerate(arrays):
            other.rebind(number, array)
        other.outside = {number: self._output_array(number) for number in self.outside}
        for number, array in other.outside.items():
            other._move(number, array)
        return other

    def rebind(self, number: int, array: Array) -> None:
        """Use another array for an input; it has to be like the one before."""
        before = self.arrays[number]
        if array is before:
            return
        fits = array.shape == before.shape and array.dtype == before.dtype and array.flags.c_contiguous
        if not fits or (number < self.writable and not array.flags.writeable):
            raise ProgramError(
                f"input {number} is {before.dtype}{list(before.shape)}, not {array.dtype}{list(array.shape)}"
            )
        self.arrays[number] = array
        self._move(self.inputs[number], array)

    def _move(self, buffer: int, array: Array) -> None:
        """Let a buffer lie in another array from now on."""
        address = int(array.ctypes.data)
        self.addresses[buffer] = address
        for position, offset in self.fixups.get(buffer, ()):
            self.rows[position] = address + offset

    def _output_array(self, buffer: int) -> Array:
        dtype = next(ref.dtype for ref in self.outputs if ref.buffer == buffer)
        return np.empty(self.buffers[buffer].size, dtype)

    def hand_out(self) -> list[Array]:
        """The outputs as arrays that nobody else will write to."""
        if self.given is None:
            # A window over the whole of a buffer that no other output lies in can be given away as it is.
            holders = [ref.buffer for ref in self.outputs]
            self.given = [
                ref.contiguous and ref.buffer in self.outside and ref.buffer not in holders[:i]
                for i, ref in enumerate(self.outputs)
            ]
            self.whole = [
                (ref.buffer, ref.shape)
                if given and ref.offset == 0 and ref.size == self.buffers[ref.buffer].size
                else None
                for ref, given in zip(self.outputs, self.given, strict=True)
            ]
        return [
            self.outside[whole[0]].reshape(whole[1]) if whole is not None else self._copied(i)
            for i, whole in enumerate(self.whole)
        ]

    def _copied(self, i: int) -> Array:
        """An output that does not fill a buffer of its own."""
        ref = self.outputs[i]
        if self.given is not None and self.given[i]:
            return self.outside[ref.buffer][ref.offset : ref.offset + ref.size].reshape(ref.shape)
        return np.array(self.value(ref))

    def renew(self) -> None:
        """Before a run: outputs that somebody still holds are left to them; others are written again.

        Fresh memory of this size costs as much time as filling it, so it is not taken without need.
        """
        for buffer in self.outside:
            # One reference from the table and one from the call: any more is a holder's.
            if sys.getrefcount(self.outside[buffer]) > 2:
                self.outside[buffer] = self._output_array(buffer)
                self._move(buffer, self.outside[buffer])

    def run(self, steps: int = 1, stop_requested: Array | None = None) -> int:
        """Do up to `steps` steps; returns how many were done. Fewer means the watched value was not finite.

        stop_requested: a word, an int64 in an array: a step that takes long is given up when it becomes other than 0.
        """
        word = (
            self.addresses[STATUS] + NEVER_REQUESTED * WORD
            if stop_requested is None
            else int(stop_requested.ctypes.data)
        )
        with self.lock:
            self.status.fill(0)
            done = self._run_lanes(steps, word) if self.schedule else self._run_alone(steps, word)
            self.was_stopped = done < steps and self.status[0] == 0
        if self.status.item(0) == OUT_OF_RANGE:
            raise self.out_of_range()
        return done

    def out_of_range(self) -> OutOfRangeError:
        """The error for a position outside its array, with the line that asks for it."""
        position = int(self.status[1])
        at = [one for one in self.instructions if any(ref.buffer == STATUS for ref in one.operands)]
        # The rows of a batch are ours, and in range. Later instructions may have written over the positions.
        at = [one for one in at if one.where.part.partition(" ")[0] != "batch" and one.name != "watch"] or at
        here = [one for one in at if any(_holds(self, ref, position) for ref in one.operands)][:1] or at
        places = " or ".join(dict.fromkeys(str(one.where) for one in here))
        return OutOfRangeError(
            f"a position of {position} is outside the array it is read from or added to\n  at {places}"
        )

    def _run_alone(self, steps: int, stop_requested: int) -> int:
        more = (self.memory.commit, stop_requested) if self.is_long else ()
        return self.runner(*self.alone_entry, self.watch_end, self.addresses[STATUS], steps, *more)

    def _run_lanes(self, steps: int, stop_requested: int) -> int:
        """On all lanes or on one, as it pays at the moment: which of them it is never enters the arithmetic."""
        done = 0
        while True:
            shared, most = self.governor.choose(steps - done)
            begun, left = time.perf_counter(), False
            if shared:
                made, useful, left = self.run_shared(most, stop_requested)
                self.governor.shared(made, time.perf_counter() - begun, useful, left)
            else:
                made = self._run_alone(most, stop_requested)
                self.governor.alone(made, time.perf_counter() - begun)
            done += made
            if done == steps or (made < most and not left):
                return done

    def run_shared(self, steps: int, stop_requested: int) -> tuple[int, float, bool]:
        """Up to so many steps on all lanes: how many were made, the processor seconds of all lanes without those they
        spent waiting, and whether they left early because they waited for most of the time."""
        assert self.schedule is not None
        runner, count, offers = self.lane_runner, len(self.tables), self.schedule.offers
        # Words of this run alone: a lane that was given up may still look at those of the run before.
        words = aligned_bytes((4 + offers + count) * ALIGNMENT).view(np.int64)
        shared, now = words.ctypes.data, words.ctypes.data + (4 + offers) * ALIGNMENT
        clock, begun = time.CLOCK_MONOTONIC, time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        busy = [0.0] * count

        def work(lane: int) -> int:
            before = time.thread_time()
            table, status, its = self.entries[lane], self.addresses[STATUS], now + lane * ALIGNMENT
            made = runner(*table, status, shared, count, steps, stop_requested, clock, its, begun, lanes.AWAKE)
            busy[lane] = time.thread_time() - before
            return made

        def give_up() -> None:
            words[ALIGNMENT // WORD] = lanes.GIVEN_UP

        with lanes.crew(count - 1) as crew:
            made = crew.run(work, count, give_up)
        decision, _, spun = (int(words[i * ALIGNMENT // WORD]) for i in (1, 2, 3))
        return made, sum(busy) - spun * 1e-9, decision & 3 == lanes.LEFT_EARLY

    def value(self, ref: Ref) -> Array:
        """A window's elements as an array over the program's own memory; copy it before the next run."""
        buffer = self.buffers[ref.buffer]
        memory: Array
        if buffer.place is Place.INPUT:
            memory = self.arrays[buffer.number].reshape(-1).view(ref.dtype)
        elif ref.buffer in self.outside:
            memory = self.outside[ref.buffer].view(ref.dtype)
        else:
            base = self.addresses[ref.buffer] - self.arena.ctypes.data
            memory = self.arena[base : base + buffer.nbytes].view(ref.dtype)
        if ref.contiguous:
            return memory[ref.offset : ref.offset + ref.size].reshape(ref.shape)
        strides = tuple(s * ref.dtype.itemsize for s in ref.strides)
        return np.lib.stride_tricks.as_strided(memory[ref.offset :] if ref.size else memory, ref.shape, strides)
