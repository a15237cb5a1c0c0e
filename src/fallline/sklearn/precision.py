"""The precision in which an estimator computes where the caller leaves it open: float32 where that loses nothing.

Knows no estimator.
"""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from fallline.arrays import Array

# Rows of float64 data up to which training computes in float64 too, as time is no matter there.
FEW_ROWS = 1000
# Rows that the spread of a column is measured on, evenly spaced, where there are more.
MEASURED = 1024
# A column whose numbers spread over less than this share of their size loses too many of its digits in float32.
LEAST_SPREAD = 2.0**-10
# Squares of gradients are products of up to four numbers of the data, and have to stay below 2^128.
LARGEST = 2.0**30
# A step of a lower rate is lost in the rounding of a weight, and its fall in that of the loss.
LEAST_RATE = 1e-5


def precision_of(X: Any, y: Array, weight: Array | None, chosen: str, rate: float, minimises: bool) -> str:
    """The precision of training: "float32" or "float64".

    y: codes of classes, or numbers, (N, M). chosen: "auto" for float32 where X is, or where X is float64 of many rows
    and everything keeps its digits in float32. rate: the first learning rate. A minimiser, which compares losses to
    the last digit, gets float64.
    """
    if chosen != "auto":
        return chosen
    if minimises:
        return "float64"
    if X.dtype == np.float32:
        return "float32"
    if X.shape[0] <= FEW_ROWS or rate < LEAST_RATE:
        return "float64"
    fits = _columns_fit(X.data[:, np.newaxis] if issparse(X) else X) and (y.dtype.kind != "f" or _columns_fit(y))
    return "float32" if fits and (weight is None or 1 / LARGEST < weight.max() < LARGEST) else "float64"


def _columns_fit(columns: Array) -> bool:
    """Whether each column keeps its digits in float32, and its products their range."""
    if not len(columns):
        return True
    low, high = columns.min(axis=0), columns.max(axis=0)
    if not max(-low.min(initial=0), high.max(initial=0)) < LARGEST:
        return False
    # One number far away makes no spread: the middle half of the column counts, unless that is all the same.
    first, third = np.percentile(columns[:: -(-len(columns) // MEASURED)], [25, 75], axis=0)
    first, third = np.where(third > first, [first, third], [low, high])
    return bool(np.all((third - first >= LEAST_SPREAD * np.maximum(np.abs(first), np.abs(third))) | (low == high)))
