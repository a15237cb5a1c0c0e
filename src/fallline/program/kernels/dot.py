"""Products of rows with one column, whose terms lie side by side: each is a sum by running values, as a fold's."""

from functools import cache
from typing import Any

import numpy as np

from fallline.program.kernels.language import njit
from fallline.program.kernels.memory import SCALAR, pointer_to
from fallline.program.kernels.running import total


@cache
def dots(dtype: str) -> Any:
    """dots(c, a, b, row, batch, as_, bs, m, k, ai, accumulate, rs): c[t, i] = sum_p a[t, i, p] b[t, p].

    Addresses, sizes, strides in elements. accumulate: adds to the values in c; row: c[t, i] gets row[i rs] too,
    unless it is 0.
    """
    item, pointer, to_dtype = SCALAR[dtype][2], pointer_to(dtype), getattr(np, dtype)
    summed = total(dtype, 2)

    @njit(inline="always")
    def compute(c, a, b, row, batch, as_, bs, m, k, ai, accumulate, rs):
        to, added = pointer(c), pointer(row)
        for t in range(batch):
            for i in range(m):
                value = to_dtype(summed(a + (t * as_ + i * ai) * item, b + t * bs * item, k))
                at = t * m + i
                if accumulate != 0:
                    value += to[at]
                if row != 0:
                    value += added[i * rs]
                to[at] = value

    return compute
