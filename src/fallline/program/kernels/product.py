"""Matrix products: tiles over blocks that fit the caches, with blocks of both sides packed where that pays.

c = a @ b for a batch of matrices, added to c or with a row added to it; a over any strides, b with its rows or its
columns in one piece, rows of c in one piece. DEPTH terms are added in their order, then their sum to those before: so
the bits of a sum follow from its terms alone, and its error grows with the root of their number.
"""

from functools import cache
from typing import Any

from fallline.program.kernels.language import njit
from fallline.program.kernels.memory import SCALAR, pointer_to
from fallline.program.kernels.registers import DEPTH, LANES, WIDE
from fallline.program.kernels.scalars import REORDERED, named
from fallline.program.kernels.tile import ADD, BY_SIGN, GO_ON, ROWS, VECTORS, row_copy, tile, transposed_square

# Rows of a that are packed at once.
BLOCK_ROWS = 512
STRIP = ROWS[0]
# In place of where strips lie: a holds strips, all its columns in each, made by `pack`.
PACKED = -2


@cache
def _strips(dtype: str, vectors: int, whole: bool, form: str = "any") -> Any:
    """All rows of c over the columns of one tile. step: bytes of a from one strip of rows to the next."""
    item = SCALAR[dtype][2]
    six, four, two, one = (tile(dtype, rows, vectors, whole, form) for rows in ROWS)

    @njit(error_model="numpy")
    @named(dtype, vectors, whole, form)
    def strips(c, ldc, more, row, a, step, ai, ap, b, ldb, k, last, m):
        i = 0
        while i + 6 <= m:
            six(c, ldc, more, row, a, ai, ap, b, ldb, k, last)
            c += 6 * ldc * item
            a += step
            i += 6
        if i + 4 <= m:
            four(c, ldc, more, row, a, ai, ap, b, ldb, k, last)
            c += 4 * ldc * item
            a += 4 * ai * item
            i += 4
        if i + 2 <= m:
            two(c, ldc, more, row, a, ai, ap, b, ldb, k, last)
            c += 2 * ldc * item
            a += 2 * ai * item
            i += 2
        if i < m:
            one(c, ldc, more, row, a, ai, ap, b, ldb, k, last)

    return strips


def _columns(dtype: str, vectors: int) -> Any:
    """The same, by tiles without a mask where the last register is full and a mask would cost something."""
    lanes = LANES[dtype]
    masked = _strips(dtype, vectors, False)
    if not BY_SIGN:
        return masked
    if vectors == WIDE:
        by_rows, by_columns = (_strips(dtype, vectors, True, form) for form in ("rows", "columns"))
    else:
        by_rows = by_columns = _strips(dtype, vectors, True)

    @njit(error_model="numpy", inline="always")
    def columns(c, ldc, more, row, a, step, ai, ap, b, ldb, k, last, m):
        if last == lanes and ap == 1:
            by_rows(c, ldc, more, row, a, step, ai, ap, b, ldb, k, last, m)
        elif last == lanes and ai == 1:
            by_columns(c, ldc, more, row, a, step, ai, ap, b, ldb, k, last, m)
        else:
            masked(c, ldc, more, row, a, step, ai, ap, b, ldb, k, last, m)

    return columns


@cache
def _pack_b(dtype: str) -> Any:
    """depth x columns of b as panels one tile wide, one after the other; bp or bj is 1."""
    item, lanes = SCALAR[dtype][2], LANES[dtype]
    square, row, pointer = transposed_square(dtype), row_copy(dtype, WIDE), pointer_to(dtype)
    width = WIDE * lanes

    @njit(error_model="numpy")
    @named(dtype)
    def pack_b(panel, b, bp, bj, depth, columns):
        # Registers move the most of it: whole rows, or squares that are transposed while they are copied. Rows of two
        # panels at once, since rows of b that are a power of two apart push one another out of the cache.
        j = 0
        while bj == 1 and j + width <= columns:
            last = min(j + 2 * width, columns // width * width)
            for p in range(depth):
                for jj in range(j, last, width):
                    row(panel + (jj * depth + p * width) * item, b + (p * bp + jj) * item)
            j = last
        while j < columns:
            to, source, wide = panel + j * depth * item, b + j * bj * item, min(width, columns - j)
            deep, broad = 0, 0
            if bj != 1:
                deep, broad = depth // lanes * lanes, wide // lanes * lanes
                for jj in range(0, broad, lanes):
                    for p in range(0, deep, lanes):
                        square(to + (p * width + jj) * item, width, source + (jj * bj + p * bp) * item, bj)
            into, values = pointer(to), pointer(source)
            for p in range(depth):
                for jj in range(broad if p < deep else 0, wide):
                    into[p * width + jj] = values[p * bp + jj * bj]
            j += width

    return pack_b


def _pack_a(dtype: str) -> Any:
    """rows x depth of a as strips of rows: the elements that a tile multiplies with one row of b lie side by side."""
    item, lanes = SCALAR[dtype][2], LANES[dtype]
    square, pointer = transposed_square(dtype), pointer_to(dtype)

    @njit(error_model="numpy")
    @named(dtype)
    def pack_a(strips, a, ai, ap, rows, depth):
        to, source = pointer(strips), pointer(a)
        i = 0
        if ai == 1:
            i = rows // STRIP * STRIP
            for p in range(depth):
                for j in range(0, i, STRIP):
                    for r in range(STRIP):
                        to[j * depth + p * STRIP + r] = source[p * ap + j + r]
        while i < rows:
            p = 0
            if ap == 1 and i + lanes <= rows:
                # Where a square has more rows than a strip, what is too much of each is written over by the next; what
                # comes after the last strip may be another lane's.
                while p + lanes <= (depth if i + STRIP < rows else depth - lanes):
                    square(strips + (i * depth + p * STRIP) * item, STRIP, a + (i * ai + p) * item, ai)
                    p += lanes
            for q in range(depth):
                for r in range(lanes if q < p else 0, min(STRIP, rows - i)):
                    to[i * depth + q * STRIP + r] = source[(i + r) * ai + q * ap]
            i += STRIP

    return pack_a


def _add(dtype: str) -> Any:
    """add(c, sums, row, m, n, ld): sums that lie apart to those in c, then a row where there is one."""
    pointer = pointer_to(dtype)

    @njit(error_model="numpy")
    @named(dtype)
    def add(c, sums, row, m, n, ld):
        to, values, last = pointer(c), pointer(sums), pointer(row)
        for i in range(m):
            for j in range(i * ld, i * ld + n):
                to[j] += values[j]
        for i in range(m if row != 0 else 0):
            for j in range(n):
                to[i * ld + j] += last[j]

    return add


def _product(dtype: str) -> Any:
    item, lanes = SCALAR[dtype][2], LANES[dtype]
    by_width = {vectors: _columns(dtype, vectors) for vectors in VECTORS}
    widest, two, one = by_width[WIDE], by_width[2], by_width[1]
    packing = tile(dtype, STRIP, WIDE, True, packs=True)
    pack_a, pack_b, add = _pack_a(dtype), _pack_b(dtype), _add(dtype)
    width = WIDE * lanes

    @njit(error_model="numpy", inline="always")
    def compute(c, a, b, row, panel, batch, cs, as_, bs, m, n, k, ai, ap, bp, bj, ldc, accumulate, adds_row,
                panel_columns, strips_at, near, sums_at):  # fmt: skip
        for t in range(batch):
            at, bt, ct = a + t * as_ * item, b + t * bs * item, c + t * cs * item
            i = 0
            while i < m:
                rows = m - i
                if strips_at >= 0:
                    rows = min(BLOCK_ROWS, rows)
                p = 0
                while p < k:
                    # Near blocks of b: their sums go on from one to the next, in c until that holds those before.
                    begun = p - p % DEPTH
                    end = min(begun + DEPTH, k)
                    depth = min(near, end - p)
                    ends = p + depth == end
                    more, sums = GO_ON if p > begun else 0, 0
                    if begun > 0 or accumulate != 0:
                        if p == begun and ends:
                            more = ADD
                        else:
                            sums = panel + sums_at * item
                    added = row if adds_row != 0 and p + depth == k and sums == 0 else 0
                    into = ct + i * ldc * item if sums == 0 else sums
                    strips, step, si, sp = at + (i * ai + p * ap) * item, STRIP * ai * item, ai, ap
                    if strips_at == PACKED:
                        si = 1
                    elif strips_at >= 0:
                        pack_a(panel + strips_at * item, strips, ai, ap, rows, depth)
                        strips, step, si, sp = panel + strips_at * item, STRIP * depth * item, 1, STRIP
                    j = 0
                    while j < n:
                        # The elements of b that a tile reads stay in a near cache while it goes over the rows of a.
                        columns, done = n, 0
                        if panel_columns != 0:
                            columns, source = min(panel_columns, n - j), bt + (p * bp + j * bj) * item
                            if bj == 1 and columns >= width and rows >= STRIP:
                                # The tile of the first rows packs for the others.
                                columns, done = width, STRIP
                                to, here = into + j * item, added + j * item if added != 0 else 0
                                packing(to, ldc, more, here, strips, si, sp, source, bp, depth, panel)
                            else:
                                pack_b(panel, source, bp, bj, depth, columns)
                        behind = strips + done // STRIP * step
                        jj = 0
                        while jj < columns:
                            left = columns - jj
                            to = into + (done * ldc + j + jj) * item
                            here = added + (j + jj) * item if added != 0 else 0
                            # A narrower tile at the end still finds rows of a panel one tile wide.
                            source, ldb = panel + (jj // width * width * depth + jj % width) * item, width
                            if panel_columns == 0:
                                source, ldb = bt + (p * bp + jj) * item, bp
                            if left > (WIDE - 1) * lanes:
                                last = min(lanes, left - (WIDE - 1) * lanes)
                                widest(to, ldc, more, here, behind, step, si, sp, source, ldb, depth, last, rows - done)
                                jj += width
                            elif left > lanes:
                                last = min(lanes, left - lanes)
                                two(to, ldc, more, here, behind, step, si, sp, source, ldb, depth, last, rows - done)
                                jj += 2 * lanes
                            else:
                                last = min(lanes, left)
                                one(to, ldc, more, here, behind, step, si, sp, source, ldb, depth, last, rows - done)
                                jj += lanes
                        j += columns
                    if sums != 0 and ends:
                        add(ct + i * ldc * item, sums, row if adds_row != 0 and p + depth == k else 0, rows, n, ldc)
                    p += depth
                i += rows

    return compute


def _small(dtype: str) -> Any:
    """One product of which b is packed as a whole, if at all, and all terms are added at once: only the loop over its
    columns is left, which for the smallest halves the time."""
    pack_b = _pack_b(dtype)
    item, lanes = SCALAR[dtype][2], LANES[dtype]
    columns = {vectors: _columns(dtype, vectors) for vectors in VECTORS}
    widest, two, one = columns[WIDE], columns[2], columns[1]

    @njit(error_model="numpy", inline="always")
    def compute(c, a, b, row, panel, m, n, k, ai, ap, ldb, bj, ldc, accumulate, packs):
        step, next_columns, more = STRIP * ai * item, WIDE * lanes * item, ADD * accumulate
        if packs != 0:
            pack_b(panel, b, ldb, bj, k, n)
            b, ldb, next_columns = panel, WIDE * lanes, next_columns * k
        # Where a mask would cost something, the last tile takes some columns again rather than be narrower.
        again = n if BY_SIGN and accumulate == 0 and packs == 0 else 0
        while n > (WIDE - 1) * lanes:
            if n < WIDE * lanes <= again:
                back = (WIDE * lanes - n) * item
                c, b, n = c - back, b - back, WIDE * lanes
                row -= back if row != 0 else 0
            widest(c, ldc, more, row, a, step, ai, ap, b, ldb, k, min(lanes, n - (WIDE - 1) * lanes), m)
            c += WIDE * lanes * item
            b += next_columns
            row += WIDE * lanes * item if row != 0 else 0
            n -= WIDE * lanes
        while n > lanes:
            two(c, ldc, more, row, a, step, ai, ap, b, ldb, k, min(lanes, n - lanes), m)
            c += 2 * lanes * item
            b += 2 * lanes * item
            row += 2 * lanes * item if row != 0 else 0
            n -= 2 * lanes
        if n > 0:
            if n < lanes <= again:
                back = (lanes - n) * item
                c, b, n = c - back, b - back, lanes
                row -= back if row != 0 else 0
            one(c, ldc, more, row, a, step, ai, ap, b, ldb, k, n, m)

    return compute


product_float32, small_float32 = _product("float32"), _small("float32")
product_float64, small_float64 = _product("float64"), _small("float64")
pack_float32, pack_float64 = _pack_a("float32"), _pack_a("float64")


@njit(fastmath=REORDERED["fastmath"], error_model="numpy")
def plain(c, a, b, batch, cs, as_, bs, m, n, k, ai, ap, bp, bj, zero):
    """The definition, for whole numbers."""
    for t in range(batch):
        for i in range(m):
            for j in range(n):
                total, q, r = zero, t * as_ + i * ai, t * bs + j * bj
                for p in range(k):
                    total += a[q + p * ap] * b[r + p * bp]
                c[t * cs + i * n + j] = total
