"""Rows of X on their way to a training or a prediction: dense ones as they are, sparse ones a window at a time.

Knows no estimator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fallline.arrays import Array
from fallline.source import Form

# Sparse rows that take less memory than this as dense ones are made dense at once.
DENSE_BYTES = 1 << 28
# Rows of float64 data up to which training computes in float64 too, as time is no matter there.
FEW_ROWS = 1000
# A column whose numbers span less than this share of the largest loses too many of its digits in float32.
LEAST_SPAN = 2.0**-10


@dataclass(frozen=True, eq=False)
class SparseRows:
    """The Source of rows of a sparse matrix, and of targets and weights that lie in memory.

    matrix: in CSR form. others: arrays by name. dtype: in which the rows are read.
    """

    matrix: Any
    others: Mapping[str, Array]
    dtype: np.dtype[Any]

    @property
    def rows(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def form(self) -> Mapping[str, Form]:
        forms = {name: Form(array.shape[1:], array.dtype) for name, array in self.others.items()}
        return {"x": Form((self.matrix.shape[1],), self.dtype), **forms}

    def read(self, rows: Array, into: Mapping[str, Array]) -> None:
        for name, array in into.items():
            array[...] = self.matrix[rows].toarray() if name == "x" else self.others[name][rows]


def data_of(X: Any, y: Array, weight: Array | None, dtype: np.dtype[Any]) -> Any:
    """The data of a training."""
    if issparse(X) and X.shape[0] * X.shape[1] * dtype.itemsize > DENSE_BYTES:
        return SparseRows(X.tocsr(), {"y": y, **({} if weight is None else {"weight": weight})}, dtype)
    x = X.toarray() if issparse(X) else X
    return (x, y) if weight is None else (x, y, weight)


def to_predict(X: Any, dtype: np.dtype[Any]) -> Any:
    """The rows to predict for, as a model takes them."""
    if not issparse(X):
        return X
    return X.toarray() if X.shape[0] * X.shape[1] * 8 <= DENSE_BYTES else SparseRows(X.tocsr(), {}, dtype)


def precision_of(X: Any, chosen: str, minimises: bool) -> str:
    """The precision of training: "float32" or "float64".

    chosen: "auto" for float32 where the data are, or where float64 ones are many and keep their digits in float32. A
    minimiser, which compares losses to the last digit, gets float64.
    """
    if chosen != "auto":
        return chosen
    if minimises:
        return "float64"
    if X.dtype == np.float32:
        return "float32"
    return "float64" if X.shape[0] <= FEW_ROWS or not _fits_float32(X) else "float32"


def _fits_float32(X: Any) -> bool:
    """Whether each column keeps its digits in float32."""
    if issparse(X):
        values = np.abs(X.data)
        return not len(values) or bool(values.max() < np.finfo(np.float32).max / 4)
    low, high = X.min(axis=0), X.max(axis=0)
    size = np.maximum(np.abs(low), np.abs(high))
    spans = (high - low >= LEAST_SPAN * size) | (low == high)
    return bool(spans.all() and size.max(initial=0) < np.finfo(np.float32).max / 4)
