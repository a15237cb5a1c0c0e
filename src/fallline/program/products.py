"""From the operands of a matrix product to instructions: packing, cutting among lanes, and the words.

As in emit.py, words are computed from the operands' own layouts.
"""

from fallline.graph.where import Where
from fallline.program import cost_model as costs
from fallline.program.instructions import Instruction, Split
from fallline.program.kernels import wrap
from fallline.program.kernels.elementwise import named
from fallline.program.strides import Ref

Batch = tuple[int, int, int, int]  # matrices, and each operand's stride from one to the next
# Sizes that a product packs at once: rows of b and bytes of it, and rows of a (kernels/product.py); columns are rounded
# up to the widest tile of any processor.
PANEL_DEPTH, PANEL_BYTES, PANEL_ROWS = 384, 1 << 17, 512
TILE_ROWS, TILE_COLUMNS = 6, 64
# Few rows read so little of b at a time that it comes from far away again for each tile, unless a block of so many
# elements is done with before the next.
FEW_ROWS, NEAR = 32, 6144
SMALL_DEPTH = 256  # so few terms, and so few elements of b, make a product that is nothing but tiles
SLACK = 64  # elements: packing may write a register past the end
PACKED = -2  # as in kernels/product.py
# Packing pays from these sizes on. A plain b: rows that share the block, elements, so that its own rows are far apart.
# a: columns that share the strips, elements.
PACK_B, PACK_A = (64, 1 << 15), (192, 1 << 16)


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
    """Elements of scratch memory for the panels of b and the strips of a; 0 for operands that are not packed."""
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    depth, rows = min(k, PANEL_DEPTH), min(m, PANEL_ROWS)
    return depth * panel_columns(b) if packs_b(b, m) else 0, depth * (rows + 5) + SLACK if packs_a(a, n) else 0


def near_rows(a: Ref, b: Ref) -> int:
    """Rows of b, as many as terms of a, that a product is done with before the next."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    # The rows of one tile read it only once; one or two do best by going along with its rows.
    if 2 < m <= TILE_ROWS or m > FEW_ROWS or packs_b(b, m):
        return PANEL_DEPTH
    # Blocks of the same size, since their last may be as short as it likes.
    depth = min(k, PANEL_DEPTH)
    blocks = -(-depth // min(max(32, NEAR // max(n, 1)), depth))
    return -(-depth // blocks)


def sums_size(a: Ref, b: Ref, accumulate: bool) -> int:
    """Elements of scratch memory for sums that go on while c holds others already."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    return m * n if near_rows(a, b) < min(k, PANEL_DEPTH) and (accumulate or k > PANEL_DEPTH) else 0


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
    return Instruction("pack", wrap.pack_source(named(a.dtype)), operands, 1, words, False, where, split, work)


def panel_columns(b: Ref) -> int:
    """Columns of b that are packed at once: whole tiles, no more than fit a part of the second-level cache."""
    k, n = b.shape[-2:]
    most = max(1, PANEL_BYTES // (min(k, PANEL_DEPTH) * b.dtype.itemsize * TILE_COLUMNS))
    return min(most, -(-n // TILE_COLUMNS)) * TILE_COLUMNS


def whole_product(out: Ref, a: Ref, b: Ref, batch: Batch, where: Where) -> Instruction:
    """out = a @ b of whole numbers; words as for `product`."""
    (m, k), n, (count, cs, as_, bs) = a.shape[-2:], b.shape[-1], batch
    operands = (
        out.viewed((count, m, n), (cs, n, 1)), a.viewed((count, m, k), (as_, *a.strides[-2:])),
        b.viewed((count, k, n), (bs, *b.strides[-2:])),
    )  # fmt: skip
    sizes = (*batch, m, n, k, *a.strides[-2:], *b.strides[-2:])
    source = wrap.source_of("product", "plain", (named(out.dtype),) * 3, len(sizes), "REORDERED")
    return Instruction("product", source, operands, 1, sizes, False, where)


def is_dots(a: Ref, b: Ref) -> bool:
    """Is this a product of rows with one column, the terms of both side by side?"""
    return b.shape[-1] == 1 and a.shape[-1] > 1 and a.strides[-1] == 1 and b.strides[-2] == 1


def dots(out: Ref, a: Ref, b: Ref, batch: Batch, where: Where, accumulate: bool, row: Ref | None) -> Instruction:
    """out = a @ b for one column b, or out + a @ b, or a @ b + row; out has its elements in one piece."""
    (m, k), (count, cs, as_, bs) = a.shape[-2:], batch
    c2 = out.viewed((count, m), (cs, 1))
    a3, b3 = a.viewed((count, m, k), (as_, *a.strides[-2:])), b.viewed((count, k, 1), (bs, 1, 1))
    # Unused, this place in the row still needs an address.
    step = 0 if row is None else row.strides[-2]
    row2 = c2 if row is None else row.viewed((count, m), (0, step))
    words = (count, as_, bs, m, k, a.strides[-2], int(accumulate), step, int(row is not None))
    work = count * m * k * out.dtype.itemsize * costs.current().product
    split = None
    if count > 1:
        split = Split(0, count, (0, 0, 0, 0))
    elif m > 1:
        split = Split(3, m, (1, 1, None, 1))
    source = wrap.dots_source(named(out.dtype))
    return Instruction("product", source, (c2, a3, b3, row2), 1, words, False, where, split, work)


def product(
    out: Ref,
    a: Ref,
    b: Ref,
    panel: Ref | None,
    batch: Batch,
    where: Where,
    accumulate: bool = False,
    row: Ref | None = None,
    packed: Ref | None = None,
) -> Instruction:
    """out = a @ b, or out + a @ b, or a @ b + row.

    batch: number of matrices and the stride of each operand from one to the next.
    panel: scratch memory of as many elements as `panel_sizes` and `sums_size` say, None for none.
    row: repeated to out's shape. packed: a as `pack` has left it, which needs no scratch memory for strips then.
    """
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    name = named(out.dtype)
    count, cs, as_, bs = batch
    # One product's own batch axes are already merged into one, by `batch`.
    c3 = out.viewed((count, m, n), (cs, n, 1))
    a3 = a.viewed((count, m, k), (as_, *a.strides[-2:]))
    b3 = b.viewed((count, k, n), (bs, *b.strides[-2:]))
    # Unused, these places in the row still need an address.
    row3 = b3 if row is None else row.viewed((count, m, n), (0, 0, 1))
    panels, strips = panel_sizes(a, b) if panel is not None else (0, 0)
    b_columns = b.strides[-1] if n > 1 else 1
    near = near_rows(a, b)
    small = count == 1 and strips == 0 and k <= SMALL_DEPTH and k * n <= NEAR
    # A stride of which there is one turn may be any, and kernels do best with rows or columns of a in one piece.
    a_strides = (1 if m == 1 else a.strides[-2], 1 if k == 1 else a.strides[-1])
    strips_at, sums_at = panels if strips else -1, panels + strips
    if packed is not None:  # from a row to the next, in whole strips, and from a term to the next
        a_strides, strips_at, sums_at = (k, TILE_ROWS), PACKED, panels
        a3 = packed.viewed((1, -(-m // TILE_ROWS), TILE_ROWS * k), (0, TILE_ROWS * k, 1))
    words = (
        *batch, m, n, k, *a_strides, b.strides[-2], b_columns, n, int(accumulate), int(row is not None),
        panel_columns(b) if panels else 0, strips_at, near, sums_at, int(small),
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
