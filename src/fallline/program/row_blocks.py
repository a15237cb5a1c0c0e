"""A program over rows: the same instructions on one block of rows after another, read and written where they lie.

Knows no threads, and not which rows there are altogether.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.node import Graph
from fallline.graph.op import Array
from fallline.program import emit
from fallline.program.instructions import STATUS
from fallline.program.lower import lower, prepared
from fallline.program.machine import OUT_OF_RANGE, Program
from fallline.program.state import donate

# A single block of no more bytes is copied in and out: asking an array for its address takes longer.
TINY = 4096
# Nanoseconds of work until other threads and Ctrl-C get their turn.
TURN = 2_000_000.0


def ready() -> bool:
    """Whether this process has the machine loaded; the first program of a process takes a tenth of a second or more."""
    store = sys.modules.get("fallline.program.kernels.store")  # not imported for the question: it brings LLVM along
    return store is not None and bool(store.loaded())


class RowProgram:
    """A program that makes `rows` rows of y from `rows` rows of one array or more. For one thread at a time.

    graph: its inputs are a place for y, arrays that are held, and a block of each of the others; its outputs the block
    of y, and a number that is watched: a block where it is not finite ends a run.
    held: the arrays after y, C-contiguous; read where they lie at every run.
    """

    def __init__(self, graph: Graph, held: Sequence[Array]) -> None:
        from fallline.program.kernels import store
        from fallline.program.kernels.wrap import ROW_RUNNER

        into, sources = graph.inputs[0], graph.inputs[1 + len(held) :]
        # As in a loop, the first output is written over the first input: here, where the caller's y lies.
        lowered = donate(lower(prepared(graph, steady=True), steady=True), 1)
        watch = emit.watch(lowered.outputs[1])
        lowered = replace(lowered, instructions=(*lowered.instructions, watch), watch_end=0)
        self._ends = y, *xs = [np.zeros(node.shape, node.dtype) for node in (into, *sources)]
        self._program = program = Program(lowered, [y, *held, *xs], writable=1)
        self._runner = store.function(ROW_RUNNER)
        self.rows, self.dtypes, self._row = len(xs[0]), [x.dtype for x in xs], y.shape[1:]
        # Nanoseconds of a block, about; and blocks that may follow one another before somebody looks.
        self.work = sum(instruction.work + 5.0 for instruction in program.instructions)
        self.turn = max(1, int(TURN / self.work))
        moves = [
            (place, which, offset, end.nbytes)
            for which, end in enumerate(self._ends)
            for place, offset in program.fixups.get(program.inputs[which and which + len(held)], ())
        ]
        self._moves = np.array(moves, np.int64).reshape(-1, 4)
        table, self._length = program.entries[0]
        self._own = [end.ctypes.data for end in self._ends]
        self._tiny = sum(end.nbytes for end in self._ends) <= TINY
        fixed = table, 0, program.addresses[STATUS], program.rows.ctypes.data, self._moves.ctypes.data, len(moves)
        self._arguments = np.array([*fixed, 0, *self._own], np.int64)
        self._at = self._arguments.ctypes.data
        self._placed: Sequence[int] = self._own

    def result(self, n: int) -> Array:
        """Room for n rows of y."""
        return np.empty((n, *self._row), self._ends[0].dtype)

    def run(self, y: Array, xs: Sequence[Array], start: int, blocks: int, watch: bool = True) -> bool:
        """Fill rows start .. start + blocks * rows of y from the same rows of the arrays in xs.

        False if the watched number of a block was not finite; the blocks after that one have not been computed.
        Errors: ProgramError for arrays that do not hold such rows, and OutOfRangeError where a position computed from
        them is outside the array it is read from.
        """
        ends, x = self._ends, xs[0]
        own_y, own_x = ends[0], ends[1]
        same = x.shape == own_x.shape and y.shape == own_y.shape and x.dtype == own_x.dtype and y.dtype == own_y.dtype
        if self._tiny and same and blocks == 1 and start == 0 and (len(xs) == 1 or all(map(_is_like, xs, ends[1:]))):
            own_x[...] = x
            for i in range(1, len(xs)):
                ends[i + 1][...] = xs[i]
            done = self._call(self._own, 1, watch)
            y[...] = own_y
            return done
        stop = start + blocks * self.rows
        places = []
        for array, end in zip((y, *xs), ends, strict=True):
            flags = array.flags
            fits = array.dtype == end.dtype and array.shape[1:] == end.shape[1:] and 0 <= start <= stop <= len(array)
            if not (fits and flags.c_contiguous and flags.aligned and (flags.writeable or end is not ends[0])):
                raise ProgramError(
                    f"rows {start}..{stop} of {end.dtype} and shape {end.shape[1:]} do not lie in one piece in an "
                    f"array of {array.dtype}{list(array.shape)}"
                )
            places.append(array.ctypes.data + start * (end.nbytes // self.rows))
        return self._call(places, blocks, watch)

    def _call(self, places: Sequence[int], blocks: int, watch: bool) -> bool:
        """Run the blocks from these addresses on."""
        given = self._arguments
        # The watch is the last row.
        given[1], given[6] = self._length if watch else self._length - 1, blocks
        if places is not self._placed:
            given[7:] = self._placed = places
        done = self._runner(self._at)
        if done < blocks and self._program.status[0] == OUT_OF_RANGE:
            raise self._program.out_of_range()
        return done == blocks


def _is_like(array: Array, end: Array) -> bool:
    return array.shape == end.shape and array.dtype == end.dtype
