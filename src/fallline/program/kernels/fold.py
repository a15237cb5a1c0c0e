"""Kernels that fold one axis: sum, max, min, argmax, argmin; and scans along one. out[i, j] folds x[i, j, :].

Folds take addresses and are made for a dtype; scans are plain compiled functions over typed pointers (wrap.py).
"""

from functools import cache
from typing import Any

import numpy as np

from fallline.program.kernels.language import njit
from fallline.program.kernels.laws import LAWS
from fallline.program.kernels.memory import SCALAR, pointer_to
from fallline.program.kernels.running import across, along, broadest, total

NEAR, NEARER = 1024, 64  # elements that are looked through again for the place of an extreme


@cache
def across_folds(name: str, dtype: str) -> Any:
    """fold(out, x, n0, n1, s0, s1, r, sr): addresses, sizes, strides in elements. Elements of a fold lie in rows, each
    next to those of other folds: s1 is 1."""
    law, widest = LAWS[name](dtype), broadest(name, dtype)
    sweeps = [_sweep(name, dtype, width) for width in (widest, min(widest, 32), min(widest, 8), min(widest, 4), 1)]
    wide, half, eight, four, single = sweeps
    item, item_out = law.item, law.out

    @njit(error_model="numpy", inline="always")
    def fold(out, x, n0, n1, s0, s1, r, sr):
        for i in range(n0):
            j, to, at = 0, out + i * n1 * item_out, x + i * s0 * item
            if n1 > widest:
                j = wide(to, at, j, n1, r, sr * item)
            if n1 - j >= 32:
                j = half(to, at, j, n1, r, sr * item)
            if n1 - j >= 8:
                j = eight(to, at, j, n1, r, sr * item)
            if n1 - j >= 4:
                j = four(to, at, j, n1, r, sr * item)
            single(to, at, j, n1, r, sr * item)

    return fold


def _sweep(name: str, dtype: str, width: int) -> Any:
    """Columns from j on, twice so many at once, as long as there are so many; where the next column is."""
    law, block = LAWS[name](dtype), across(name, dtype, width)
    item, item_out = law.item, law.out

    @njit(error_model="numpy", inline="always")
    def sweep(out, x, j, n, r, step):
        while n - j >= width:
            # The last ones meet: some columns are folded twice rather than fewer at once.
            apart = min(n - j - width, width)
            block(out + j * item_out, x + j * item, apart, r, step)
            j += width + apart
        return j

    return sweep


@cache
def along_folds(name: str, dtype: str) -> Any:
    """The same where the elements of a fold lie side by side: sr is 1."""
    return _positions(name, dtype) if name.startswith("arg") else _values(name, dtype)


def _values(name: str, dtype: str) -> Any:
    item, pointer = SCALAR[dtype][2], pointer_to(dtype)
    floats = name == "sum" and dtype.startswith("float")
    one, to_dtype = total(dtype) if floats else along(name, dtype), getattr(np, "uint8" if dtype == "bool" else dtype)

    @njit(error_model="numpy", inline="always")
    def fold(out, x, n0, n1, s0, s1, r, sr):
        to = pointer(out)
        for i in range(n0):
            for j in range(n1):
                to[i * n1 + j] = to_dtype(one(x + (i * s0 + j * s1) * item, 0, r))

    return fold


@njit(error_model="numpy", inline="always")
def above(v, best):
    return v > best


@njit(error_model="numpy", inline="always")
def below(v, best):
    return v < best


def _positions(name: str, dtype: str) -> Any:
    """The place of the first element that beats all others of its fold; a NaN beats everything."""
    item, pointer, word = SCALAR[dtype][2], pointer_to(dtype), pointer_to("int64")
    extreme, beats = (along("max", dtype), above) if name == "argmax" else (along("min", dtype), below)

    @njit(error_model="numpy", inline="always")
    def same(v, best):
        return v == best or (v != v and best != best)

    @njit(error_model="numpy", inline="always")
    def fold(out, x, n0, n1, s0, s1, r, sr):
        to, values = word(out), pointer(x)
        for i in range(n0):
            for j in range(n1):
                p = i * s0 + j * s1
                best, at = values[p], 0
                # The extreme of one part after the other, then its first place in the best of them.
                for low in range(0, r, NEAR):
                    v = extreme(x + (p + low) * item, 0, min(NEAR, r - low))
                    if beats(v, best) or (v != v and best == best):
                        best, at = v, low
                while at + NEARER < r and not same(extreme(x + (p + at) * item, 0, NEARER), best):
                    at += NEARER
                while not same(values[p + at], best):
                    at += 1
                to[i * n1 + j] = at

    return fold


@njit(error_model="numpy", inline="always")
def scan_cumsum(out, x, n0, n1, s0, s1, r, sr, zero):
    """Running sums along the axis; out is laid out as (n0, r, n1)."""
    for i in range(n0):
        for j in range(n1):
            total = zero
            for k in range(r):
                p = i * s0 + j * s1 + k * sr
                total = x[p] if k == 0 else total + x[p]  # -0.0 stays -0.0
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
