"""From operands to instructions: each function gives the kernel and the row of words for one kind of work.

The words are computed from the operands' own layouts, so a verified operand cannot disagree with its sizes. Operands
are put down in the shape of the kernel's loops, and where a loop may be cut into independent parts, `split` says so.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.op import TABLE
from fallline.graph.where import NOWHERE, Where
from fallline.program import cost_model as costs
from fallline.program.instructions import STATUS, STATUS_WORDS, Instruction, Split
from fallline.program.kernels import wrap
from fallline.program.kernels.elementwise import CLOSE, SHARED, TILE, Chain, Step, named
from fallline.program.kernels.elementwise import source_of as chain_source
from fallline.program.strides import Ref, Shape, collapse, row_major

STATUS_REF = Ref(STATUS, 0, (STATUS_WORDS,), (1,), np.dtype(np.int64))
COPY_LOOPS = 6  # as many as kernels/move.py has
COLUMNS = 64  # of a fold across rows, or more, are folded at once
INLINE_LOOPS = 3  # loops of a chain kernel
# The inner loop of a chain is the longest one where it would be shorter than this, and all elements are in the cache.
SHORT_LOOP, IN_CACHE = 8, 4096
# Rows and columns, and elements, that are worth going through in tiles.
FEWEST, FAR = 16, 1 << 16
# The cache lines of so many columns do not stay near until the next row; those of fewer do, and need no tiles.
LONG = 4096


def pad(values: Shape, length: int, filler: int) -> Shape:
    return (filler,) * (length - len(values)) + values


def chain_loops(shape: Shape, operands: list[Ref]) -> tuple[Shape, list[Shape]] | None:
    """The loops of a chain over these operands, all of this shape; None where it takes more than a kernel has."""
    sizes, strides = collapse(shape, [ref.strides for ref in operands])
    if len(sizes) > INLINE_LOOPS:
        return None
    sizes, strides = pad(sizes, INLINE_LOOPS, 1), [pad(s, INLINE_LOOPS, 0) for s in strides]
    longest = max(sizes)
    if sizes[-1] < SHORT_LOOP and longest > sizes[-1] and math.prod(sizes) <= IN_CACHE:
        # Any order visits the same elements, and a short loop inside a long one is mostly begun and ended.
        at = sizes.index(longest)
        order = [i for i in range(INLINE_LOOPS) if i != at] + [at]
        sizes, strides = tuple(sizes[i] for i in order), [tuple(s[i] for i in order) for s in strides]
    elif sizes[1] > 1 and any(s[0] == 1 and s[1] != 1 and s[2] not in (0, 1) for s in strides):
        # Elements that lie side by side along the first loop go to the tiles of the last two.
        sizes, strides = (sizes[1], sizes[0], sizes[2]), [(s[1], s[0], s[2]) for s in strides]
    return sizes, strides


def tile_of(sizes: Shape, strides: list[Shape], items: list[int]) -> tuple[int, int] | None:
    """The tiles to go in, where an operand's elements lie across the inner loop, so that each element is on
    another cache line; items: bytes of an element of each operand."""
    turned = [s[2] * item for s, item in zip(strides, items, strict=True) if s[1] == 1 and s[2] not in (0, 1)]
    if not turned or min(sizes[1:]) < FEWEST or sizes[1] * sizes[2] <= FAR:
        return None
    if any(apart % SHARED == 0 for apart in turned):
        return TILE[0], CLOSE
    return TILE if sizes[2] >= LONG else None


def chain(
    steps: tuple[Step, ...], results: list[str], outputs: list[Ref], inputs: list[Ref], where: Where
) -> Instruction:
    """A chain of elementwise ops; inputs are broadcast to the outputs' shape."""
    loops = chain_loops(outputs[0].shape, [*outputs, *inputs])
    if loops is None:
        raise ProgramError("a chain's operands need more loops than a kernel has; copy them first")
    sizes, strides = loops
    n = sizes[-1]
    patterns = ["c" if n == 1 or s[-1] == 1 else "b" if s[-1] == 0 else "s" for s in strides]
    described = Chain(
        tuple((named(ref.dtype), p) for ref, p in zip(inputs, patterns[len(outputs) :], strict=True)),
        steps,
        tuple((r, named(ref.dtype), p) for r, ref, p in zip(results, outputs, patterns, strict=False)),
        tile_of(sizes, strides, [ref.dtype.itemsize for ref in (*outputs, *inputs)]),
    )
    words = (*sizes, *(s for stride in strides for s in stride), 0)
    name = "+".join(step.op for step in steps) or "copy"
    operands = tuple(ref.viewed(sizes, s) for ref, s in zip([*outputs, *inputs], strides, strict=True))
    split = along(sizes, (0,) * len(operands))
    work = (
        operands[0].size
        * (costs.current().chain_byte + costs.current().chain_op * len(steps))
        * outputs[0].dtype.itemsize
    )
    source = chain_source(described) + foreign(step.op for step in steps)
    return Instruction(name, source, operands, len(outputs), words, True, where, split, work)


def foreign(names: Iterable[str]) -> str:
    """A comment with a digest of every op that is declared outside this package.

    Kernels are kept by their source, which names an op; the cache folder's name covers the package's own files only,
    so an op in a script would keep its first meaning for ever.
    """
    lines = []
    for name in sorted(set(names)):
        functions = [f for f in (TABLE[name].meaning, TABLE[name].scalar) if f is not None]
        if any(not str(f.__module__).startswith("fallline.") for f in functions):
            digest = hashlib.sha256(repr([_content(f) for f in functions]).encode()).hexdigest()[:16]
            lines.append(f"# {name}: {digest}\n")
    return "".join(lines)


def _content(function: Callable[..., Any]) -> Any:
    """The form of a function, as far as it is known without running it."""
    code = function.__code__
    inner = [_content(c.cell_contents) for c in function.__closure__ or () if hasattr(c.cell_contents, "__code__")]
    nested = [c.co_code for c in code.co_consts if hasattr(c, "co_code")]
    plain = [c for c in code.co_consts if not hasattr(c, "co_code")]
    return code.co_code, plain, nested, code.co_names, inner


def along(sizes: Shape, axes: tuple[int | None, ...]) -> Split | None:
    """The outermost loop of more than one turn, where loop i runs along axis i (plus the offsets in `axes`) of
    operands.
    """
    for i, n in enumerate(sizes):
        if n > 1:
            return Split(i, n, tuple(None if a is None else a + i for a in axes))
    return None


def copy(out: Ref, x: Ref, where: Where = NOWHERE) -> Instruction:
    """Element by element over any strides; a large transposed operand in tiles, as a chain of no ops."""
    loops = chain_loops(out.shape, [out, x]) if out.dtype == x.dtype else None
    if loops is not None and tile_of(*loops, [out.dtype.itemsize, x.dtype.itemsize]) is not None:
        return chain((), ["x0"], [out], [x], where)
    sizes, (so, sx) = collapse(out.shape, [out.strides, x.strides])
    if len(sizes) > COPY_LOOPS:
        raise ProgramError(f"an array with {len(sizes)} axes that do not merge cannot be copied by the machine")
    if not sizes:
        sizes, so, sx = (1,), (1,), (1,)
    sizes, so, sx = pad(sizes, COPY_LOOPS, 1), pad(so, COPY_LOOPS, 0), pad(sx, COPY_LOOPS, 0)
    words = (*sizes, *so, *sx)
    source = wrap.source_of("move", "copy", (named(out.dtype), named(x.dtype)), len(words))
    operands = out.viewed(sizes, so), x.viewed(sizes, sx)
    return Instruction(
        "copy", source, operands, 1, words, True, where, along(sizes, (0, 0)), out.size * costs.current().move
    )


def fill(out: Ref, where: Where = NOWHERE) -> Instruction:
    """Zeros."""
    source = wrap.source_of("move", "fill", (named(out.dtype),), 1)
    operands = (out.viewed((out.size,), (1,)),)
    return Instruction(
        "fill",
        source,
        operands,
        1,
        (out.size,),
        False,
        where,
        along((out.size,), (0,)),
        out.size * costs.current().move,
    )


def fold(op: str, out: Ref, x: Ref, loops: tuple[Shape, Shape], across: bool, where: Where) -> Instruction:
    """Fold one axis; loops: sizes and strides of x along (n0, n1, axis), which `lies_right`."""
    (n0, n1, r), (s0, s1, sr) = loops
    operands = out.viewed((n0, n1), (n1, 1)), x.viewed((n0, n1, r), (s0, s1, sr))
    words = (n0, n1, s0, s1, r, sr)
    work = n0 * n1 * r * costs.current().fold
    # The second loop may be cut only where the first does not need its length to find the next row.
    split = Split(0, n0, (0, 0)) if n0 > 1 else Split(1, n1, (1, 1), COLUMNS if across else 1) if n1 > 1 else None
    source = wrap.fold_source(op, named(x.dtype), "across" if across else "along")
    return Instruction(f"fold_{op}", source, operands, 1, words, False, where, split, work)


def across(loops: tuple[Shape, Shape]) -> bool:
    """Do the elements of a fold lie in rows, each next to those of other folds?"""
    return loops[0][2] > 1 and loops[1][2] != 1


def lies_right(loops: tuple[Shape, Shape]) -> bool:
    """Can a kernel fold these: elements of a fold side by side, or rows of elements of one fold each?"""
    (n0, n1, r), (_, s1, sr) = loops
    return r <= 1 or sr == 1 or (s1 == 1 and n1 > 1) or (sr == 0 and n0 * n1 == 1)


def scan(op: str, out: Ref, x: Ref, loops: tuple[Shape, Shape], where: Where, scratch: Ref | None) -> Instruction:
    """Scan one axis; loops: sizes and strides of x along (n0, n1, axis)."""
    sizes, (s0, s1, sr) = loops
    operands = (out, x.viewed(sizes, (s0, s1, sr))) + (() if scratch is None else (scratch,))
    words = (*sizes[:2], s0, s1, sizes[2], sr)
    source = wrap.source_of("fold", f"scan_{op}", tuple(named(ref.dtype) for ref in operands), 6)
    work = 4 * math.prod(sizes) * costs.current().fold
    scratch_at = None if scratch is None else 2
    return Instruction(f"scan_{op}", source, operands, 1, words, False, where, None, work, scratch_at)


def watch(x: Ref, where: Where = NOWHERE) -> Instruction:
    """Stop unless the value is finite."""
    source = wrap.source_of("fold", "watch", ("int64", named(x.dtype)), 0)
    return Instruction("watch", source, (STATUS_REF, x), 1, (), False, where)


def gather(out: Ref, x: Ref, index: Ref, sizes: tuple[int, int, int, int], where: Where) -> Instruction:
    """Slices by position; sizes: outer, size of the axis, inner, number of positions."""
    outer, size, inner, count = sizes
    source = wrap.source_of("move", "gather", (named(out.dtype), named(x.dtype), "int64", "int64"), 4)
    operands = (
        out.viewed((outer, count, inner), row_major((outer, count, inner))),
        x.viewed((outer, size, inner), row_major((outer, size, inner))),
        index.viewed((count,), (1,)),
        STATUS_REF,
    )
    # As with folds: positions are shared out only where there is one block of them.
    split = Split(0, outer, (0, 0, None, None)) if outer > 1 else None
    split = Split(3, count, (1, None, 0, None)) if outer == 1 and count > 1 else split
    return Instruction("gather", source, operands, 1, sizes, False, where, split, out.size * costs.current().move)


def scatter_add(out: Ref, g: Ref, index: Ref, sizes: tuple[int, int, int, int], where: Where) -> Instruction:
    """Slices added by position to zeros; sizes as for gather."""
    dtypes = (named(out.dtype), named(g.dtype), "int64", "int64")
    operands = (out, g, index, STATUS_REF)
    return Instruction(
        "scatter_add", wrap.source_of("move", "scatter_add", dtypes, 4), operands, 1, sizes, False, where
    )


def record(ring: Ref, count: Ref, row: Ref, where: Where = NOWHERE) -> Instruction:
    """A row into the next place of a ring, which counts what it was given."""
    source = wrap.source_of("move", "record", (named(ring.dtype), "int64", named(row.dtype)), 2)
    rows, n = ring.shape
    # Its output is read too: it must never be somebody else's memory.
    return Instruction("record", source, (ring, count, row), 2, (rows, n), False, where)
