"""Sources of cfuncs around the plain kernel functions of this folder: typed pointers from addresses, then a call.

Imports none of them; the sources it writes do.
"""

from textwrap import dedent, indent


def source_of(module: str, function: str, dtypes: tuple[str, ...], words: int, flags: str = "EXACT") -> str:
    """A kernel that calls `function(*pointers, *words, zero)`; its row holds the addresses, then the words."""
    pointers = [f"p{i}(w[{i}])" for i in range(len(dtypes))]
    integers = [f"w[{len(dtypes) + i}]" for i in range(words)]
    zero = f"np.{dtypes[0] if dtypes[0] != 'bool' else 'uint8'}(0)"
    return "\n".join([
        "import numpy as np",
        "from fallline.program.kernels.language import cfunc",
        f"from fallline.program.kernels.{module} import {function}",
        "from fallline.program.kernels.memory import pointer_to, word_pointer",
        f"from fallline.program.kernels.scalars import {flags}, SIGNATURE",
        "",
        *(f'p{i} = pointer_to("{dtype}")' for i, dtype in enumerate(dtypes)),
        "", "",
        f"@cfunc(SIGNATURE, **{flags})",
        "def kernel(row):",
        "    w = word_pointer(row)",
        f"    {function}({', '.join([*pointers, *integers, zero])})",
        "",
    ])  # fmt: skip


def fold_source(name: str, dtype: str, direction: str) -> str:
    """A kernel that folds an axis; direction: "along" or "across". Its row: addresses of the result and of x, the
    words.
    """
    words = ", ".join(f"w[{i}]" for i in range(8))
    lines = f"fold({words})"
    return _on_words("fold", f"{direction}_folds", lines, made=f'fold = {direction}_folds("{name}", "{dtype}")')


def product_source(dtype: str) -> str:
    """A kernel for a product of this dtype; its row: addresses of c, a, b, the row and the panel, then the words."""
    arguments = ", ".join(f"w[{i}]" for i in range(23))
    # The row where there is one; nothing about batches, and of the panels only whether there are any.
    few = "w[0], w[1], w[2], w[3] * w[18], w[4], " + ", ".join(f"w[{i}]" for i in range(9, 18)) + ", w[19]"
    return _on_words(
        "product",
        f"product_{dtype}, small_{dtype}",
        "if w[23] != 0:",
        f"    small_{dtype}({few})",
        "else:",
        f"    product_{dtype}({arguments})",
    )


def dots_source(dtype: str) -> str:
    """A kernel for products with one column; its row: addresses of c, a, b and the row, then the words of `dots`."""
    words = ", ".join(f"w[{i}]" for i in (0, 1, 2, *range(4, 12)))
    call = f"dots({words.replace('w[2], ', 'w[2], w[3] * w[12], ')})"
    return _on_words("dot", "dots", call, made=f'dots = dots("{dtype}")')


def pack_source(dtype: str) -> str:
    """A kernel that packs the left side of a product as strips; its row: addresses of both, then the words."""
    return _on_words("product", f"pack_{dtype}", f"pack_{dtype}(w[0], w[1], w[2], w[3], w[4], w[5])")


def _on_words(module: str, functions: str, *lines: str, made: str = "") -> str:
    """A kernel of these lines, which call functions of a module that take addresses and words as they are.

    made: what is made of those functions before.
    """
    return "\n".join([
        "from fallline.program.kernels.language import cfunc",
        f"from fallline.program.kernels.{module} import {functions}",
        "from fallline.program.kernels.memory import word_pointer",
        "from fallline.program.kernels.scalars import EXACT, SIGNATURE",
        "",
        made,
        "",
        "@cfunc(SIGNATURE, **EXACT)",
        "def kernel(row):",
        "    w = word_pointer(row)",
        *(f"    {line}" for line in lines),
        "",
    ])  # fmt: skip


def _runner(arguments: str, body: str, imports: str = "call_kernel, word_pointer", outside: str = "") -> str:
    """A function that the machine calls: every argument is a word, a number or an address, and so is its result."""
    count = arguments.count(",") + 1
    return (
        "from fallline.program.kernels.language import cfunc, types\n"
        f"from fallline.program.kernels.memory import {imports}\n"
        "from fallline.program.kernels.scalars import EXACT\n\n"
        f"{outside}\n\n"
        f"@cfunc(types.int64({', '.join(['types.int64'] * count)}), **EXACT)\n"
        f"def kernel({arguments}):\n{indent(dedent(body).strip(), '    ')}\n"
    )


READ_CLOCK = 'read_clock = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))\n'

# The compiled heart of the machine. A table has a line of three words for each row: the address of a kernel, that of
# its argument row, and a number that lanes use. A kernel stops the machine by writing the status. Like every kernel
# these live in the cache folder, so that an edit of a function they call is never missed.
RUNNER = _runner(
    "table, rows, watch_end, status, steps",
    """
    line, words = word_pointer(table), word_pointer(status)
    for step in range(steps):
        for i in range(watch_end):
            call_kernel(line[3 * i], line[3 * i + 1])
        if words[0] != 0:
            return step
        for i in range(watch_end, rows):
            call_kernel(line[3 * i], line[3 * i + 1])
        if words[0] != 0:
            return step
    return steps
    """,
)

# The same for steps so long that they are given up when they are asked to, at any row before `commit`, the first that
# changes what outlives the step. `stop_requested` is the address of a word that somebody else may set at any time.
LONG_RUNNER = _runner(
    "table, rows, watch_end, status, steps, commit, stop_requested",
    """
    line, words = word_pointer(table), word_pointer(status)
    for step in range(steps):
        for i in range(rows):
            if (i <= commit and load_atomic(stop_requested) != 0) or (i == watch_end and words[0] != 0):
                return step
            call_kernel(line[3 * i], line[3 * i + 1])
        if words[0] != 0:
            return step
    return steps
    """,
    "call_kernel, load_atomic, word_pointer",
)

# The same step over successive blocks of rows, which lie where a few addresses and the step say: that of the results,
# then those of what is read. A line of `moves` is: a place among the program's words, which of the addresses it
# follows, bytes to add to it, and bytes for each step.
# All it takes lies in one place, since each argument of a call from Python takes a tenth of a microsecond.
ROW_RUNNER = _runner(
    "arguments",
    """
    given = word_pointer(arguments)
    line, rows, stop, row = word_pointer(given[0]), given[1], word_pointer(given[2]), word_pointer(given[3])
    move, count, steps = word_pointer(given[4]), given[5], given[6]
    stop[0] = 0
    for step in range(steps):
        for i in range(count):
            row[move[4 * i]] = given[7 + move[4 * i + 1]] + move[4 * i + 2] + step * move[4 * i + 3]
        for i in range(rows):
            call_kernel(line[3 * i], line[3 * i + 1])
        if stop[0] != 0:
            return step
    return steps
    """,
)

# The same for one of several lanes. Rows with a 0 for a kernel are meetings: the last to arrive looks whether to stop
# and lets all go on with one decision. A row with a number is an offer: all lanes come to it, the first one takes it.
# A meeting with a 1 in its row comes before the step changes what outlives it, so the step may be given up there if it
# is asked to: `stop_requested` is the address of a word that somebody else may set at any time.
# `shared` holds words 64 bytes apart: arrivals; (meetings held * 4 + 1 to stop + 2 to leave after this step); how many
# nanoseconds lanes have waited, and spun; and how often lanes came to each offer.
# A waiting lane spins, since the others are only nanoseconds behind; then it gives its core away, for another lane may
# need it, and after `patience` it sleeps, since they may not be running at all. All leave where one lane at a time has
# worked for most of the time since `begun`. `now` is where the clock puts seconds and nanoseconds.
LANE_RUNNER = _runner(
    "table, rows, status, shared, lanes, steps, stop_requested, clock, now, begun, patience",
    """
    line, words, time = word_pointer(table), word_pointer(status), word_pointer(now)
    meeting, seen = 0, 0
    for step in range(steps):
        for i in range(rows):
            kernel, operands, offer = line[3 * i], line[3 * i + 1], line[3 * i + 2]
            if kernel != 0:
                if offer == 0 or add_atomic(shared + 64 * (3 + offer), 1) == lanes * step:
                    call_kernel(kernel, operands)
                continue
            meeting += 1
            if add_atomic(shared, 1) == lanes * meeting - 1:
                stop = words[0] != 0 or (operands != 0 and load_atomic(stop_requested) != 0)
                decision = 4 * meeting + (1 if stop else 0)
                waited = load_atomic(shared + 128)
                if i == rows - 1 and waited > 4000000:
                    read_clock(clock, now)
                    if 4 * waited > (4 * lanes - 5) * (time[0] * 1000000000 + time[1] - begun):
                        decision += 2
                store_atomic(shared + 64, decision)
            turns, since = 0, 0
            seen = load_atomic(shared + 64)
            while seen < 4 * meeting:
                turns += 1
                if turns > 4000 or turns & 255 == 0:
                    read_clock(clock, now)
                    at = time[0] * 1000000000 + time[1]
                    if since == 0:
                        since = at
                    elif at - since > patience:
                        doze(10)
                    elif turns > 4000:
                        give_way()
                seen = load_atomic(shared + 64)
            if since != 0:
                read_clock(clock, now)
                waited = time[0] * 1000000000 + time[1] - since
                add_atomic(shared + 128, waited)
                add_atomic(shared + 192, min(waited, patience))
            if seen & 1:
                return step
        if seen & 2:
            return step + 1
    return steps
    """,
    "add_atomic, call_kernel, load_atomic, store_atomic, word_pointer",
    READ_CLOCK
    + 'give_way = types.ExternalFunction("sched_yield", types.int32())\n'
    + 'doze = types.ExternalFunction("usleep", types.int32(types.uint32))',
)

# The turns of a loop: a kernel, whose row says where a table of kernels is, where a list of moves, how many lines both
# have, and how many turns there are. After each turn every moved address goes on by its step; at the end all go back.
REPEATER = """
from fallline.program.kernels.language import cfunc
from fallline.program.kernels.memory import call_kernel, word_pointer
from fallline.program.kernels.scalars import EXACT, SIGNATURE


@cfunc(SIGNATURE, **EXACT)
def kernel(row):
    w = word_pointer(row)
    line, move = word_pointer(w[0]), word_pointer(w[1])
    rows, moves, turns = w[2], w[3], w[4]
    for turn in range(turns):
        for i in range(rows):
            call_kernel(line[2 * i], line[2 * i + 1])
        for i in range(moves):
            at = word_pointer(move[2 * i])
            at[0] = at[0] + move[2 * i + 1]
    for i in range(moves):
        at = word_pointer(move[2 * i])
        at[0] = at[0] - turns * move[2 * i + 1]
"""

# Steps with a look at the clock before and after every row: `times` gets nanoseconds, a line a step. `clock` says
# which clock of the system; `now` is where it puts seconds and nanoseconds.
CLOCKED_RUNNER = _runner(
    "table, rows, status, times, steps, clock, now",
    """
    line, words, time, took = word_pointer(table), word_pointer(status), word_pointer(now), word_pointer(times)
    for step in range(steps):
        for i in range(rows):
            read_clock(clock, now)
            before = time[0] * 1000000000 + time[1]
            call_kernel(line[3 * i], line[3 * i + 1])
            read_clock(clock, now)
            took[step * rows + i] = time[0] * 1000000000 + time[1] - before
        if words[0] != 0:
            return step
    return steps
    """,
    outside=READ_CLOCK,
)
