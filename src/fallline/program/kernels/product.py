"""Matrix products: tiles over blocks that fit the caches, with blocks of b packed (and turned) where that pays.

c = a @ b for a batch of matrices; a over any strides, b with its rows or its columns in one piece, c contiguous.
The order of every sum follows from the sizes alone, so the bits do too.
"""

from typing import Any

from numba import njit

from fallline.program.kernels.memory import pointer_to
from fallline.program.kernels.scalars import REORDERED
from fallline.program.kernels.tile import LANES, REGISTER, SCALAR, VECTORS, WIDE, tile, transposed_square

# Rows of b in one block: with the columns of a tile they fill a part of the second-level cache.
DEPTH = 512
PANEL_BYTES = DEPTH * WIDE * REGISTER


def _column_block(dtype: str, vectors: int) -> Any:
    """All rows of c over one block of columns."""
    item = SCALAR[dtype][2]
    six, four, two, one = (tile(dtype, rows, vectors) for rows in (6, 4, 2, 1))

    @njit(error_model="numpy", inline="always")
    def block(c, ldc, a, ai, ap, b, ldb, k, last, more, m):
        i = 0
        while i + 6 <= m:
            six(c + i * ldc * item, ldc, a + i * ai * item, ai, ap, b, ldb, k, last, more)
            i += 6
        if i + 4 <= m:
            four(c + i * ldc * item, ldc, a + i * ai * item, ai, ap, b, ldb, k, last, more)
            i += 4
        if i + 2 <= m:
            two(c + i * ldc * item, ldc, a + i * ai * item, ai, ap, b, ldb, k, last, more)
            i += 2
        if i < m:
            one(c + i * ldc * item, ldc, a + i * ai * item, ai, ap, b, ldb, k, last, more)

    return block


def _pack(dtype: str) -> Any:
    """Rows of b, `depth` x `columns`, laid next to each other, `width` apart; bp or bj is 1."""
    item, lanes = SCALAR[dtype][2], LANES[dtype]
    square, pointer = transposed_square(dtype), pointer_to(dtype)

    @njit(error_model="numpy", inline="always")
    def pack(panel, width, b, bp, bj, depth, columns):
        to, source = pointer(panel), pointer(b)
        if bj == 1:
            for p in range(depth):
                for j in range(columns):
                    to[p * width + j] = source[p * bp + j]
            return
        j = 0
        while j < columns:
            p = 0
            if j + lanes <= columns:
                while p + lanes <= depth:
                    square(panel + (p * width + j) * item, width, b + (j * bj + p * bp) * item, bj)
                    p += lanes
            for jj in range(j, min(j + lanes, columns)):
                for pp in range(p, depth):
                    to[pp * width + jj] = source[pp * bp + jj * bj]
            j += lanes

    return pack


def _product(dtype: str) -> Any:
    item, lanes = SCALAR[dtype][2], LANES[dtype]
    blocks = {vectors: _column_block(dtype, vectors) for vectors in VECTORS}
    widest, two, one = blocks[WIDE], blocks[2], blocks[1]
    pack = _pack(dtype)
    width = WIDE * lanes

    @njit(error_model="numpy", inline="always")
    def compute(c, a, b, panel, batch, cs, as_, bs, m, n, k, ai, ap, bp, bj, packed, onto):
        for t in range(batch):
            ct, at, bt = c + t * cs * item, a + t * as_ * item, b + t * bs * item
            p = 0
            while p < k:
                depth = min(DEPTH, k - p)
                more = 1 if p > 0 or onto != 0 else 0
                j = 0
                while j < n:
                    columns = min(width, n - j)
                    here, ldb = bt + (p * bp + j * bj) * item, bp
                    if packed:
                        pack(panel, width, here, bp, bj, depth, columns)
                        here, ldb = panel, width
                    from_a, to, done = at + p * ap * item, ct + j * item, 0
                    while done < columns:
                        left = (columns - done + lanes - 1) // lanes
                        place, source = to + done * item, here + done * item
                        if left >= WIDE:
                            last = columns - done - (WIDE - 1) * lanes
                            widest(place, n, from_a, ai, ap, source, ldb, depth, last, more, m)
                            done += WIDE * lanes
                        elif left >= 2:
                            last = min(lanes, columns - done - lanes)
                            two(place, n, from_a, ai, ap, source, ldb, depth, last, more, m)
                            done += 2 * lanes
                        else:
                            one(place, n, from_a, ai, ap, source, ldb, depth, columns - done, more, m)
                            done += lanes
                    j += width
                p += DEPTH

    return compute


product_float32 = _product("float32")
product_float64 = _product("float64")


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
