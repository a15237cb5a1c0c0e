"""Sources of cfuncs around the plain kernel functions of this folder: typed pointers from addresses, then a call.

Imports no Numba itself; the sources it writes do.
"""


def source_of(module: str, function: str, dtypes: tuple[str, ...], words: int, flags: str = "EXACT") -> str:
    """A kernel that calls `function(*pointers, *words, zero)`; its row holds the addresses, then the words."""
    pointers = [f"p{i}(w[{i}])" for i in range(len(dtypes))]
    integers = [f"w[{len(dtypes) + i}]" for i in range(words)]
    zero = f"np.{dtypes[0] if dtypes[0] != 'bool' else 'uint8'}(0)"
    return "\n".join([
        "import numpy as np",
        "from numba import cfunc",
        f"from fallline.program.kernels.{module} import {function}",
        "from fallline.program.kernels.memory import pointer_to, word_pointer",
        f"from fallline.program.kernels.scalars import {flags}, SIGNATURE",
        "",
        *(f'p{i} = pointer_to("{dtype}")' for i, dtype in enumerate(dtypes)),
        "", "",
        f"@cfunc(SIGNATURE, cache=True, **{flags})",
        "def kernel(row):",
        "    w = word_pointer(row)",
        f"    {function}({', '.join([*pointers, *integers, zero])})",
        "",
    ])  # fmt: skip


def product_source(dtype: str) -> str:
    """A kernel for a product of this dtype; its row: addresses of c, a, b, the row and the panel, then the words."""
    arguments = ", ".join(f"w[{i}]" for i in range(21))
    # The row where there is one; nothing about batches, and of the panels only whether there are any.
    few = "w[0], w[1], w[2], w[3] * w[18], w[4], " + ", ".join(f"w[{i}]" for i in range(9, 18)) + ", w[19]"
    return "\n".join([
        "from numba import cfunc",
        "from fallline.program.kernels.memory import word_pointer",
        f"from fallline.program.kernels.product import product_{dtype}, small_{dtype}",
        "from fallline.program.kernels.scalars import EXACT, SIGNATURE",
        "", "",
        "@cfunc(SIGNATURE, cache=True, **EXACT)",
        "def kernel(row):",
        "    w = word_pointer(row)",
        "    if w[21] != 0:",
        f"        small_{dtype}({few})",
        "    else:",
        f"        product_{dtype}({arguments})",
        "",
    ])  # fmt: skip


# The compiled heart of the machine. One row of the table is (address of a kernel, address of its argument row); a
# kernel stops the machine by writing the status. Like every kernel it lives in the cache folder, so that an edit of
# what it calls is never missed.
RUNNER = """
from numba import njit, types
from fallline.program.kernels.memory import call_kernel, word_pointer


@njit([types.int64(types.int64[:, ::1], types.int64, types.int64, types.int64)], cache=True, nogil=True)
def kernel(table, watch_end, status, steps):
    words = word_pointer(status)
    for step in range(steps):
        for i in range(watch_end):
            call_kernel(table[i, 0], table[i, 1])
        if words[0] != 0:
            return step
        for i in range(watch_end, table.shape[0]):
            call_kernel(table[i, 0], table[i, 1])
        if words[0] != 0:
            return step
    return steps
"""

# The same for steps so long that they are given up when they are asked to, at any row before `commit`, the first that
# changes what outlives the step. `asked` is the address of a word that somebody else may set at any time.
LONG_RUNNER = """
from numba import njit, types
from fallline.program.kernels.memory import call_kernel, load_atomic, word_pointer


@njit([types.int64(types.int64[:, ::1], types.int64, types.int64, types.int64, types.int64, types.int64)], cache=True,
      nogil=True)
def kernel(table, watch_end, status, steps, commit, asked):
    words = word_pointer(status)
    for step in range(steps):
        for i in range(table.shape[0]):
            if (i <= commit and load_atomic(asked) != 0) or (i == watch_end and words[0] != 0):
                return step
            call_kernel(table[i, 0], table[i, 1])
        if words[0] != 0:
            return step
    return steps
"""

# The same step over successive blocks of rows, which lie where two addresses and the step say. A line of `moves` is:
# a place among the program's words, which of the two addresses it follows, bytes to add to it, and bytes for each step.
ROW_RUNNER = """
from numba import njit, types
from fallline.program.kernels.memory import call_kernel, word_pointer


@njit([types.int64(types.int64[:, ::1], types.int64, types.int64, types.int64[:, ::1], types.int64, types.int64,
                   types.int64)], cache=True, nogil=True)
def kernel(table, status, words, moves, into, source, steps):
    stop, row = word_pointer(status), word_pointer(words)
    stop[0] = 0
    for step in range(steps):
        for i in range(moves.shape[0]):
            start = into if moves[i, 1] == 0 else source
            row[moves[i, 0]] = start + moves[i, 2] + step * moves[i, 3]
        for i in range(table.shape[0]):
            call_kernel(table[i, 0], table[i, 1])
        if stop[0] != 0:
            return step
    return steps
"""

# The same for one of several lanes. Rows with a 0 for a kernel are meetings: the last to arrive looks whether to stop
# and lets all go on with one decision. A row with a number is an offer: all lanes come to it, the first one takes it.
# `shared` holds words 64 bytes apart: arrivals, (meetings held * 2 + stop), and how often lanes came to each offer.
# A meeting with a 1 in its row comes before the step changes what outlives it, so the step may be given up there if it
# is asked to: `asked` is the address of a word that somebody else may set at any time.
# A waiting lane spins, since the others are only nanoseconds behind, but gives its core away if it waits for long:
# on a busy machine they may not be running at all.
LANE_RUNNER = """
from numba import njit, types
from fallline.program.kernels.memory import add_atomic, call_kernel, load_atomic, store_atomic, word_pointer

give_way = types.ExternalFunction("sched_yield", types.int32())


@njit([types.int64(types.int64[:, ::1], types.int64, types.int64, types.int64, types.int64, types.int64)], cache=True,
      nogil=True)
def kernel(table, status, shared, lanes, steps, asked):
    words = word_pointer(status)
    meeting = 0
    for step in range(steps):
        for i in range(table.shape[0]):
            if table[i, 0] != 0:
                if table[i, 2] == 0 or add_atomic(shared + 64 * (1 + table[i, 2]), 1) == lanes * step:
                    call_kernel(table[i, 0], table[i, 1])
                continue
            meeting += 1
            if add_atomic(shared, 1) == lanes * meeting - 1:
                stop = words[0] != 0 or (table[i, 1] != 0 and load_atomic(asked) != 0)
                store_atomic(shared + 64, 2 * meeting + (1 if stop else 0))
            waited = 0
            seen = load_atomic(shared + 64)
            while seen < 2 * meeting:
                waited += 1
                if waited > 4000:
                    give_way()
                seen = load_atomic(shared + 64)
            if seen & 1:
                return step
    return steps
"""

# One step with a look at the clock before and after every row: `times` gets nanoseconds, a line a step. `clock` says
# which clock of the system; `now` is where it puts seconds and nanoseconds.
CLOCKED_RUNNER = """
from numba import njit, types
from fallline.program.kernels.memory import call_kernel, word_pointer

read_clock = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))


@njit([types.int64(types.int64[:, ::1], types.int64, types.int64[:, ::1], types.int32, types.int64)], cache=True,
      nogil=True)
def kernel(table, status, times, clock, now):
    words, time = word_pointer(status), word_pointer(now)
    for step in range(times.shape[0]):
        for i in range(table.shape[0]):
            read_clock(clock, now)
            before = time[0] * 1000000000 + time[1]
            call_kernel(table[i, 0], table[i, 1])
            read_clock(clock, now)
            times[step, i] = time[0] * 1000000000 + time[1] - before
        if words[0] != 0:
            return step
    return times.shape[0]
"""
