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
