"""Kernels that fold one axis: sum, max, min, argmax, argmin. out[i, j] folds x[i, j, :] over any strides.

Plain compiled functions over typed pointers; the cfuncs around them are generated per dtype (wrap.py).
"""

import numpy as np

from fallline.program.kernels.language import njit
from fallline.program.kernels.scalars import REORDERED

# A long float32 sum loses digits; parts of this length are summed in float32 and added in float64.
PART = 2048


@njit(fastmath=REORDERED["fastmath"], error_model="numpy", inline="always")
def sum_along(x, start, r, sr, zero):
    wide = 0.0
    low = 0
    while low < r:
        part = zero
        if sr == 1:
            for k in range(start + low, start + min(low + PART, r)):
                part += x[k]
        else:
            for k in range(low, min(low + PART, r)):
                part += x[start + k * sr]
        wide += part
        low += PART
    return wide


@njit(fastmath=REORDERED["fastmath"], error_model="numpy", inline="always")
def fold_sum(out, x, n0, n1, s0, s1, r, sr, zero):
    for i in range(n0):
        if s1 == 1 and sr != 1 and n1 > 1:
            # The folded axis runs across rows: whole rows are added, which vectorises.
            o = i * n1
            for j in range(n1):
                out[o + j] = zero
            for k in range(r):
                p = i * s0 + k * sr
                for j in range(n1):
                    out[o + j] += x[p + j]
        else:
            for j in range(n1):
                out[i * n1 + j] = zero + sum_along(x, i * s0 + j * s1, r, sr, zero)


@njit(error_model="numpy", inline="always")
def fold_sum_int(out, x, n0, n1, s0, s1, r, sr, zero):
    for i in range(n0):
        for j in range(n1):
            total = zero
            for k in range(r):
                total += x[i * s0 + j * s1 + k * sr]
            out[i * n1 + j] = total


@njit(error_model="numpy", inline="always")
def above(v, best):
    return v > best


@njit(error_model="numpy", inline="always")
def below(v, best):
    return v < best


def _extreme(beats):
    """out[i, j] = the element that beats all others of its fold; a NaN beats everything."""

    @njit(error_model="numpy", inline="always")
    def fold(out, x, n0, n1, s0, s1, r, sr, zero):
        if r == 0:
            return
        for i in range(n0):
            for j in range(n1):
                p = i * s0 + j * s1
                best = x[p]
                for k in range(1, r):
                    v = x[p + k * sr]
                    best = v if (beats(v, best) or v != v) else best
                out[i * n1 + j] = best

    return fold


def _position(beats):
    """out[i, j] = the place of the first element that beats all others of its fold; a NaN beats everything."""

    @njit(error_model="numpy", inline="always")
    def fold(out, x, n0, n1, s0, s1, r, sr, zero):
        if r == 0:
            return
        for i in range(n0):
            for j in range(n1):
                p, at = i * s0 + j * s1, 0
                best = x[p]
                for k in range(1, r):
                    v = x[p + k * sr]
                    if beats(v, best) or (v != v and best == best):
                        best, at = v, k
                out[i * n1 + j] = at

    return fold


fold_max, fold_min = _extreme(above), _extreme(below)
fold_argmax, fold_argmin = _position(above), _position(below)


@njit(error_model="numpy", inline="always")
def scan_cumsum(out, x, n0, n1, s0, s1, r, sr, zero):
    """Running sums along the axis; out is laid out as (n0, r, n1)."""
    for i in range(n0):
        for j in range(n1):
            total = zero
            for k in range(r):
                total += x[i * s0 + j * s1 + k * sr]
                out[(i * r + k) * n1 + j] = total


@njit(error_model="numpy", inline="always")
def scan_cumprod(out, x, n0, n1, s0, s1, r, sr, zero):
    """Running products along the axis; out is laid out as (n0, r, n1)."""
    for i in range(n0):
        for j in range(n1):
            for k in range(r):
                p, at = i * s0 + j * s1 + k * sr, (i * r + k) * n1 + j
                out[at] = x[p] if k == 0 else out[at - n1] * x[p]


@njit(error_model="numpy", inline="always")
def scan_argsort(out, x, scratch, n0, n1, s0, s1, r, sr, zero):
    """Stable merge sort of positions along the axis, NaN last; out is (n0, r, n1), scratch holds 2 r words."""
    for i in range(n0):
        for j in range(n1):
            p = i * s0 + j * s1
            for k in range(r):
                scratch[k] = k
            source, target, width = 0, r, 1
            while width < r:
                low = 0
                while low < r:
                    middle = low + width if low + width < r else r
                    high = low + 2 * width if low + 2 * width < r else r
                    a, b = low, middle
                    for k in range(low, high):
                        left = a < middle
                        if left and b < high:
                            u, v = x[p + scratch[source + a] * sr], x[p + scratch[source + b] * sr]
                            left = not (v < u or (u != u and v == v))
                        if left:
                            scratch[target + k] = scratch[source + a]
                            a += 1
                        else:
                            scratch[target + k] = scratch[source + b]
                            b += 1
                    low = high
                source, target, width = target, source, 2 * width
            for k in range(r):
                out[(i * r + k) * n1 + j] = scratch[source + k]


@njit(error_model="numpy", inline="always")
def watch(status, x, zero):
    """Stop the machine when the watched value is not finite."""
    if not np.isfinite(x[0]):
        status[0] = 1
