"""Sums of exponentials that do not overflow: logsumexp, softmax, log_softmax, with SciPy's arguments.

Written with NumPy's functions, so they take plain arrays as well as traced values.
"""

import math

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


def _top(x, axis, counts=True):
    """The greatest element that counts, or 0 where it is infinite; it drops out of the result, and so out of the
    derivative."""
    top = stop_gradient(np.max(x if counts is True else np.where(counts, x, -np.inf), axis=axis, keepdims=True))
    return np.where(np.abs(top) < np.inf, top, np.zeros_like(top))


@composite(named=("logsumexp",))
def logsumexp(a, axis=None, b=None, keepdims=False):
    """log(sum(b exp(a))) over axes, without overflow; entries of weight 0 do not count, whatever they are.

    Over no elements it is -inf. The derivative in a weight of 0 is exp(a) / sum(b exp(a)), or huge.
    """
    a = _floating(a)
    counts = True if b is None else np.not_equal(b, 0)
    top = _top(a, axis, counts) if np.size(a) else np.zeros_like(np.sum(a, axis=axis, keepdims=True))
    shifted = a - top
    if b is None:
        terms = np.exp(shifted)
    else:
        # exp of values that do not count may not be infinite: 0 times it is to be 0, in the gradient too.
        most = math.log(np.finfo(shifted.dtype).max) - 1
        terms = b * np.exp(np.where(counts, shifted, np.where(shifted < most, shifted, most)))
    result = np.log(np.sum(terms, axis=axis, keepdims=True)) + top
    return result if keepdims else np.squeeze(result, axis=tuple(range(result.ndim)) if axis is None else axis)


@composite(named=("softmax",))
def softmax(x, axis=None):
    """exp(x) / sum(exp(x)) over axes (all, as in SciPy, if none is named): positive shares that sum to 1.

    NaN where the greatest is infinite, as in SciPy.
    """
    x = _floating(x)
    terms = np.exp(x - stop_gradient(np.max(x, axis=axis, keepdims=True)))
    return terms / np.sum(terms, axis=axis, keepdims=True)


@composite(named=("log_softmax",))
def log_softmax(x, axis=None):
    """Logarithm of softmax, exact where softmax itself would round to 0."""
    x = _floating(x)
    shifted = x - _top(x, axis)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
