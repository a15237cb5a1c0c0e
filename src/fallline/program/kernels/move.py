"""Kernels that move elements: strided copy, zero fill, gather and scatter by positions, with every position checked."""

from fallline.program.kernels.language import njit

# Loops of a strided copy; sizes and strides are passed for this many, outer ones padded with 1.
LOOPS = 6
OUT_OF_RANGE = 2


@njit(error_model="numpy", inline="always")
def copy(out, x, d0, d1, d2, d3, d4, n, o0, o1, o2, o3, o4, o5, x0, x1, x2, x3, x4, x5, zero):
    for a in range(d0):
        for b in range(d1):
            for c in range(d2):
                for d in range(d3):
                    for e in range(d4):
                        p = a * o0 + b * o1 + c * o2 + d * o3 + e * o4
                        q = a * x0 + b * x1 + c * x2 + d * x3 + e * x4
                        if o5 == 1 and x5 == 1:
                            for k in range(n):
                                out[p + k] = x[q + k]
                        else:
                            for k in range(n):
                                out[p + k * o5] = x[q + k * x5]


@njit(error_model="numpy", inline="always")
def fill(out, n, zero):
    for k in range(n):
        out[k] = zero


@njit(error_model="numpy", inline="always")
def place(index, k, size, status):
    """Position k, counted from the front; -1, and the reason in the status, where it is outside."""
    at = index[k] + size if index[k] < 0 else index[k]
    if at < 0 or at >= size:
        status[0] = OUT_OF_RANGE
        status[1] = index[k]
        return -1
    return at


@njit(error_model="numpy", inline="always")
def gather(out, x, index, status, outer, size, inner, count, zero):
    for o in range(outer):
        for k in range(count):
            at = place(index, k, size, status)
            if at < 0:
                return
            p, q = (o * count + k) * inner, (o * size + at) * inner
            out[p] = x[q]  # no loop, where an element is all there is
            for j in range(1, inner):
                out[p + j] = x[q + j]


@njit(error_model="numpy", inline="always")
def scatter_add(out, g, index, status, outer, size, inner, count, zero):
    for k in range(outer * size * inner):
        out[k] = zero
    for o in range(outer):
        for k in range(count):
            at = place(index, k, size, status)
            if at < 0:
                return
            p, q = (o * size + at) * inner, (o * count + k) * inner
            for j in range(inner):
                out[p + j] += g[q + j]


@njit(error_model="numpy", inline="always")
def record(ring, count, row, rows, n, zero):
    """A row of n elements into the next place of a ring of so many rows."""
    at = (count[0] % rows) * n
    count[0] += 1
    for j in range(n):
        ring[at + j] = row[j]
