"""The names that generated kernels import: ops on one number, compile flags, the signature of every kernel."""

from functools import cache
from typing import Any

import numpy as np

import fallline.ops  # noqa: F401  (fills the table)
from fallline.graph.op import TABLE
from fallline.program.kernels.elementwise import DTYPES
from fallline.program.kernels.language import Function, types

SIGNATURE = types.void(types.intp)
# Nothing is assumed about NaN, infinity and the sign of zero, and the order of sums stays as written. Products and sums
# fuse (contract) inside an op's own polynomials only: fused across ops, the bits of a value would depend on which other
# ops happen to stand in the same chain, and so on how many rows there are.
EXACT: dict[str, Any] = {"fastmath": set(), "error_model": "numpy", "nopython": True}
# Folds and products may sum in any order, so that they run as vector code.
REORDERED: dict[str, Any] = {"fastmath": {"contract", "nsz", "reassoc"}, "error_model": "numpy", "nopython": True}

_TYPES = {name: np.dtype(name).type for name in DTYPES}


def named(*words: Any) -> Any:
    """A decorator that puts the arguments a function was generated from into its name.

    Compiled code that is left standing as a call of its own is found by that name, and its types. Kernels that were
    compiled in different processes, and are loaded into one, would take one another's functions of the same name.
    """

    def rename(function: Any) -> Any:
        function.__qualname__ += "_" + "_".join(map(str, words))
        return function

    return rename


@cache
def scalar(name: str, dtype: str) -> Function:
    """The op on one number of this dtype, compiled into whoever calls it."""
    op = TABLE[name]
    function = op.scalar(_TYPES[dtype]) if op.scalar is not None else None
    fuse = {"contract"} if function is not None else set()
    return Function(function or op.meaning, {**EXACT, "fastmath": EXACT["fastmath"] | fuse, "forceinline": True})
