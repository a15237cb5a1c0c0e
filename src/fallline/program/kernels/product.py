"""Kernels for matrix products: SciPy's BLAS, and own loops where a call of it costs more than the product.

BLAS gets addresses of words in the argument row: a little-endian 64-bit word starts with its 32-bit value.
"""

import llvmlite.binding as llvm
from numba import njit, types
from numba.extending import get_cython_function_address

from fallline.program.kernels.scalars import REORDERED

# A cacheable way to a C function: the symbol is bound anew in every process, before cached code is loaded.
for _name in ("sgemm", "dgemm"):
    llvm.add_symbol(f"fallline_{_name}", get_cython_function_address("scipy.linalg.cython_blas", _name))
_BLAS = types.void(*[types.intp] * 13)
gemm_float32 = types.ExternalFunction("fallline_sgemm", _BLAS)
gemm_float64 = types.ExternalFunction("fallline_dgemm", _BLAS)


@njit(fastmath=REORDERED["fastmath"], error_model="numpy")
def small(c, a, b, batch, cs, as_, bs, m, n, k, ai, ap, bp, bj, zero):
    """c[i, j] = sum_p a[i, p] b[p, j] for `batch` matrices, over any strides; c is contiguous."""
    for t in range(batch):
        c0, a0, b0 = t * cs, t * as_, t * bs
        if bj == 1 and n > 1:
            for i in range(m):
                r = c0 + i * n
                for j in range(n):
                    c[r + j] = zero
                for p in range(k):
                    f, q = a[a0 + i * ai + p * ap], b0 + p * bp
                    for j in range(n):
                        c[r + j] += f * b[q + j]
        elif ap == 1 and bp == 1:
            for i in range(m):
                for j in range(n):
                    total, q, r = zero, a0 + i * ai, b0 + j * bj
                    for p in range(k):
                        total += a[q + p] * b[r + p]
                    c[c0 + i * n + j] = total
        else:
            for i in range(m):
                for j in range(n):
                    total, q, r = zero, a0 + i * ai, b0 + j * bj
                    for p in range(k):
                        total += a[q + p * ap] * b[r + p * bp]
                    c[c0 + i * n + j] = total
