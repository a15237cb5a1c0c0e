"""The compiled heart of the machine: a loop over a table of kernel addresses, thousands of steps in one call.

One row of the table is (address of a kernel, address of its argument row). Holds no Python object while it runs.
"""

import numpy as np
from numba import njit, types

from fallline.program.kernels.memory import call_kernel, word_pointer


@njit([types.int64(types.int64[:, ::1], types.int64, types.int64, types.int64)], cache=True, nogil=True)
def run(table: np.ndarray, watch_end: int, status: int, steps: int) -> int:  # type: ignore[type-arg]
    """Do `steps` steps; returns how many were done. A kernel stops the machine by writing the status."""
    words = word_pointer(status)
    for step in range(steps):
        for i in range(watch_end):
            call_kernel(table[i, 0], table[i, 1])
        if words[0] != 0:
            return step
        for i in range(watch_end, table.shape[0]):
            call_kernel(table[i, 0], table[i, 1])
        if words[0] != 0:
            return step
    return steps
