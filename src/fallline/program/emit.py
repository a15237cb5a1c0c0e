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
from fallline.program import costs
from fallline.program.instructions import STATUS, STATUS_WORDS, Instruction, Split
from fallline.program.kernels import wrap
from fallline.program.kernels.elementwise import Chain, Step
from fallline.program.kernels.elementwise import source_of as chain_source
from fallline.program.layout import Ref, Shape, collapse, row_major

STATUS_REF = Ref(STATUS, 0, (STATUS_WORDS,), (1,), np.dtype(np.int64))
COPY_LOOPS = 6  # as many as kernels/move.py has
# What a product packs at once: rows of b and bytes of it, and rows of a (kernels/product.py); columns are rounded up to
# the widest tile of any processor.
PANEL_DEPTH, PANEL_BYTES, PANEL_ROWS = 384, 1 << 17, 512
TILE_ROWS, TILE_COLUMNS = 6, 64
FEW_ROWS = 32  # as in kernels/product.py
# A product that is nothing but tiles: so few terms, so few elements of b (kernels/product.py).
SMALL_DEPTH, NEAR = 256, 6144
SLACK = 64  # elements: packing may write a register past the end
PACKED = -2  # as in kernels/product.py
# Packing pays from these sizes on. A plain b: rows that share the block, elements, so that its own rows are far apart.
# a: columns that share the strips, elements.
PACK_B, PACK_A = (64, 1 << 15), (192, 1 << 16)
INLINE_LOOPS = 3  # loops of a chain kernel
# The inner loop of a chain is the longest one where it would be shorter than this, and all elements are in the cache.
SHORT_LOOP, IN_CACHE = 8, 4096


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
    return sizes, strides


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
        tuple((str(ref.dtype), p) for ref, p in zip(inputs, patterns[len(outputs) :], strict=True)),
        steps,
        tuple((r, str(ref.dtype), p) for r, ref, p in zip(results, outputs, patterns, strict=False)),
    )
    words = (*sizes, *(s for stride in strides for s in stride), 0)
    name = "+".join(step.op for step in steps)
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
    """What a function does, as far as can be told without running it."""
    code = function.__code__
    inner = [_content(c.cell_contents) for c in function.__closure__ or () if hasattr(c.cell_contents, "__code__")]
    nested = [c.co_code for c in code.co_consts if hasattr(c, "co_code")]
    plain = [c for c in code.co_consts if not hasattr(c, "co_code")]
    return code.co_code, plain, nested, code.co_names, inner


def along(sizes: Shape, axes: tuple[int | None, ...]) -> Split | None:
    """The outermost loop of more than one turn, where loop i runs along axis i (plus what `axes` adds) of operands."""
    for i, n in enumerate(sizes):
        if n > 1:
            return Split(i, n, tuple(None if a is None else a + i for a in axes))
    return None


def copy(out: Ref, x: Ref, where: Where = NOWHERE) -> Instruction:
    """Element by element over any strides."""
    sizes, (so, sx) = collapse(out.shape, [out.strides, x.strides])
    if len(sizes) > COPY_LOOPS:
        raise ProgramError(f"an array with {len(sizes)} axes that do not merge cannot be copied by the machine")
    if not sizes:
        sizes, so, sx = (1,), (1,), (1,)
    sizes, so, sx = pad(sizes, COPY_LOOPS, 1), pad(so, COPY_LOOPS, 0), pad(sx, COPY_LOOPS, 0)
    words = (*sizes, *so, *sx)
    source = wrap.source_of("move", "copy", (str(out.dtype), str(x.dtype)), len(words))
    operands = out.viewed(sizes, so), x.viewed(sizes, sx)
    return Instruction(
        "copy", source, operands, 1, words, True, where, along(sizes, (0, 0)), out.size * costs.current().move
    )


def fill(out: Ref, where: Where = NOWHERE) -> Instruction:
    """Zeros."""
    source = wrap.source_of("move", "fill", (str(out.dtype),), 1)
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


def fold(
    name: str, out: Ref, x: Ref, loops: tuple[Shape, Shape], where: Where, scratch: Ref | None = None
) -> Instruction:
    """Fold or scan one axis; loops: sizes and strides of x along (n0, n1, axis)."""
    (n0, n1, r), (s0, s1, sr) = loops
    function = name + ("_int" if name == "fold_sum" and x.dtype.kind != "f" else "")
    work = n0 * n1 * r * costs.current().fold
    x = x.viewed((n0, n1, r), (s0, s1, sr))
    words = (n0, n1, s0, s1, r, sr)
    if name.startswith("scan"):
        operands = (out, x) if scratch is None else (out, x, scratch)
        source = wrap.source_of("fold", function, tuple(str(ref.dtype) for ref in operands), 6, "REORDERED")
        scratch_at = None if scratch is None else 2
        return Instruction(name, source, operands, 1, words, False, where, None, 4 * work, scratch_at)
    # The second loop may be cut only where the first does not need its length to find the next row.
    split = Split(0, n0, (0, 0)) if n0 > 1 else Split(1, n1, (1, 1)) if n1 > 1 else None
    source = wrap.source_of("fold", function, (str(out.dtype), str(x.dtype)), 6, "REORDERED")
    operands = (out.viewed((n0, n1), (n1, 1)), x)
    return Instruction(name, source, operands, 1, words, False, where, split, work)


def watch(x: Ref, where: Where = NOWHERE) -> Instruction:
    """Stop unless the value is finite."""
    source = wrap.source_of("fold", "watch", ("int64", str(x.dtype)), 0)
    return Instruction("watch", source, (STATUS_REF, x), 1, (), False, where)


def gather(out: Ref, x: Ref, index: Ref, sizes: tuple[int, int, int, int], where: Where) -> Instruction:
    """Slices by position; sizes: outer, size of the axis, inner, number of positions."""
    outer, size, inner, count = sizes
    source = wrap.source_of("move", "gather", (str(out.dtype), str(x.dtype), "int64", "int64"), 4)
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
    dtypes = (str(out.dtype), str(g.dtype), "int64", "int64")
    operands = (out, g, index, STATUS_REF)
    return Instruction(
        "scatter_add", wrap.source_of("move", "scatter_add", dtypes, 4), operands, 1, sizes, False, where
    )


def straight(ref: Ref) -> bool:
    """Do the last two axes have their rows or their columns in one piece, as a product reads its right side?"""
    (rows, columns), (sr, sc) = ref.shape[-2:], ref.strides[-2:]
    return sc == 1 or sr == 1 or rows == 1 or columns == 1


def repeats_a_row(x: Ref) -> bool:
    """Is this one row in one piece, for all rows of a product?"""
    once = all(s == 0 for n, s in zip(x.shape[:-1], x.strides[:-1], strict=True) if n > 1)
    return once and (x.strides[-1] == 1 or x.shape[-1] == 1)


def packs_b(b: Ref, m: int) -> bool:
    """Is b read through packed panels? Always where its columns lie in one piece; else where that pays."""
    if b.strides[-1] != 1 and b.shape[-1] != 1:
        return True
    return m >= PACK_B[0] and b.shape[-2] * b.shape[-1] > PACK_B[1]


def packs_a(a: Ref, n: int) -> bool:
    """Is a read through packed strips? Where it is large and many columns share them."""
    m, k = a.shape[-2:]
    # Rows of a strip's few columns lie on a page each, of which a processor knows few at a time.
    return 1 in a.strides[-2:] and n >= PACK_A[0] and m * k > PACK_A[1] // (1 if a.strides[-1] == 1 else 2)


def by_columns(m: int, n: int, panels: int, strips: int, tile: int) -> bool:
    """Is a product shared out by columns of b? By rows of a, every lane reads all of b, and packs it where that pays
    (panels), which few rows do not repay. By columns, every lane packs all of a where that pays (strips), which is the
    smaller part where b is wider than a is high. tile: columns that are computed at once."""
    if panels == 0:
        return m <= FEW_ROWS and n >= 4 * tile
    return m <= PANEL_DEPTH and n >= 4 * TILE_COLUMNS and (strips == 0 or n > m)


def panel_sizes(a: Ref, b: Ref) -> tuple[int, int]:
    """Elements of scratch memory for the panels of b and the strips of a; 0 for what is not packed."""
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    depth, rows = min(k, PANEL_DEPTH), min(m, PANEL_ROWS)
    return depth * panel_columns(b) if packs_b(b, m) else 0, depth * (rows + 5) + SLACK if packs_a(a, n) else 0


def packs_ahead(a: Ref, b: Ref, count: int) -> bool:
    """Is a packed by an instruction of its own? Sharing a product out by columns, every lane would pack all of it."""
    panels, strips = panel_sizes(a, b)
    tile = costs.tile_columns(a.dtype)
    return strips > 0 and count == 1 and by_columns(a.shape[-2], b.shape[-1], panels, strips, tile)


def strips_size(a: Ref) -> int:
    """Elements that all of a takes as strips."""
    return (a.shape[-2] + TILE_ROWS - 1) * a.shape[-1]


def pack(out: Ref, a: Ref, where: Where) -> Instruction:
    """All of a as strips of rows, as a product's tiles read them; out has `strips_size` elements."""
    m, k = a.shape[-2:]
    # A strip of fewer rows has its terms as far apart as any, so a row's window reaches as far as a strip.
    operands = out.viewed((m, TILE_ROWS * k), (k, 1)), a.viewed((m, k), a.strides[-2:])
    words = (*a.strides[-2:], m, k)
    work = 2 * m * k * costs.current().move
    split = Split(2, m, (0, 0), TILE_ROWS)
    return Instruction("pack", wrap.pack_source(str(a.dtype)), operands, 1, words, False, where, split, work)


def panel_columns(b: Ref) -> int:
    """Columns of b that are packed at once: whole tiles, no more than fit a part of the second-level cache."""
    k, n = b.shape[-2:]
    most = max(1, PANEL_BYTES // (min(k, PANEL_DEPTH) * b.dtype.itemsize * TILE_COLUMNS))
    return min(most, -(-n // TILE_COLUMNS)) * TILE_COLUMNS


def product(
    out: Ref,
    a: Ref,
    b: Ref,
    panel: Ref | None,
    batch: tuple[int, int, int, int],
    where: Where,
    onto: bool = False,
    row: Ref | None = None,
    packed: Ref | None = None,
) -> Instruction:
    """out = a @ b, or out + a @ b, or a @ b + row.

    batch: number of matrices and the stride of each operand from one to the next.
    panel: scratch memory of as many elements as `panel_sizes` says, None for none. row: repeated to out's shape.
    packed: what `pack` has made of a, which needs no scratch memory for strips then.
    """
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    name = str(out.dtype)
    count, cs, as_, bs = batch
    # One product's own batch axes are already merged into one, by `batch`.
    c3 = out.viewed((count, m, n), (cs, n, 1))
    a3 = a.viewed((count, m, k), (as_, *a.strides[-2:]))
    b3 = b.viewed((count, k, n), (bs, *b.strides[-2:]))
    if out.dtype.kind != "f":
        if onto or row is not None:
            raise ProgramError("a product of whole numbers is added to nothing; add it afterwards")
        sizes = (*batch, m, n, k, *a.strides[-2:], *b.strides[-2:])
        source = wrap.source_of("product", "plain", (name,) * 3, len(sizes), "REORDERED")
        return Instruction("product", source, (c3, a3, b3), 1, sizes, False, where)
    # Unused, these places in the row still need an address.
    row3 = b3 if row is None else row.viewed((count, m, n), (0, 0, 1))
    panels, strips = panel_sizes(a, b) if panel is not None else (0, 0)
    b_columns = b.strides[-1] if n > 1 else 1
    small = count == 1 and strips == 0 and k <= SMALL_DEPTH and k * n <= NEAR
    # A stride of which there is one turn may be any, and kernels do best with rows or columns of a in one piece.
    a_strides = (1 if m == 1 else a.strides[-2], 1 if k == 1 else a.strides[-1])
    strips_at = panels if strips else -1
    if packed is not None:  # from a row to the next, in whole strips, and from a term to the next
        a_strides, strips_at = (k, TILE_ROWS), PACKED
        a3 = packed.viewed((1, -(-m // TILE_ROWS), TILE_ROWS * k), (0, TILE_ROWS * k, 1))
    words = (
        *batch, m, n, k, *a_strides, b.strides[-2], b_columns, n, int(onto), int(row is not None),
        panel_columns(b) if panels else 0, strips_at, int(small),
    )  # fmt: skip
    operands = (c3, a3, b3, row3, panel or b3)
    scratch = None if panel is None else 4
    split = None
    if count > 1:
        split = Split(0, count, (0, 0, 0, None if row is None else 0, None))
    elif by_columns(m, n, panels, strips, tile := costs.tile_columns(out.dtype)):
        split = Split(5, n, (2, None, 2, None if row is None else 2, None), tile)
    elif m > 1:
        grain = TILE_ROWS if m > FEW_ROWS else 2  # a single row costs as much as two
        split = Split(4, m, (1, 1, None, None if row is None else 1, None), grain)
    work = count * m * k * -(-n // 16) * 16 * costs.current().product * out.dtype.itemsize
    return Instruction("product", wrap.product_source(name), operands, 1, words, False, where, split, work, scratch)
