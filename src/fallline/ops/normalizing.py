"""Sums of exponentials that do not overflow: logsumexp, softmax, log_softmax, with SciPy's arguments.

Written with NumPy's functions, so they take plain arrays as well as traced values.
"""

import numpy as np

from fallline.graph.declare import cast_to, common_dtype, composite
from fallline.graph.node import Node
from fallline.ops.view import stop_gradient


def _floating(x):
    """Whole numbers as float64: the greatest of unsigned ones cannot be taken from them."""
    if isinstance(x, Node):
        return cast_to(x, common_dtype((x,), floating=True))
    array = np.asarray(x)
    return array.astype(np.float64) if array.dtype.kind in "iub" else array


def _top(x, axis):
    """The greatest element, or 0 where it is infinite; it drops out of the result, and so out of the derivative."""
    top = stop_gradient(np.max(x, axis=axis, keepdims=True))
    return np.where(np.abs(top) < np.inf, top, np.zeros_like(top))


@composite(named=("logsumexp",))
def logsumexp(a, axis=None, b=None, keepdims=False):
    """log(sum(b exp(a))) over axes, without overflow; over no elements it is -inf."""
    a = _floating(a)
    top = _top(a, axis) if np.size(a) else np.zeros_like(np.sum(a, axis=axis, keepdims=True))
    terms = np.exp(a - top)
    result = np.log(np.sum(terms if b is None else terms * b, axis=axis, keepdims=True)) + top
    return result if keepdims else np.squeeze(result, axis=tuple(range(result.ndim)) if axis is None else axis)


@composite(named=("softmax",))
def softmax(x, axis=None):
    """exp(x) / sum(exp(x)) over axes (all, as in SciPy, if none is named): positive shares that sum to 1."""
    x = _floating(x)
    terms = np.exp(x - _top(x, axis))
    return terms / np.sum(terms, axis=axis, keepdims=True)


@composite(named=("log_softmax",))
def log_softmax(x, axis=None):
    """Logarithm of softmax, exact where softmax itself would round to 0."""
    x = _floating(x)
    shifted = x - _top(x, axis)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
