"""NumPy's functions that fold axes, as composites: mean, var, std, prod, max, argmax, any, norm, running sums, sorting."""

import math

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import axes_of, cast_to, composite, in_range
from fallline.graph.node import as_node
from fallline.graph.protocol import refuse
from fallline.graph.where import here
from fallline.ops import reduce
from fallline.ops.index import take_along_axis
from fallline.ops.layout import ravel, transposed
from fallline.ops.reduce import total
from fallline.ops.view import cast, reshape

FLOAT64, INT64 = np.dtype(np.float64), np.dtype(np.int64)


def floating(x):
    """The node with a floating dtype: whole numbers become float64, as NumPy's mean makes them."""
    x = as_node(x)
    return x if x.dtype.kind == "f" else cast(x, dtype=FLOAT64)


@composite(numpy=(np.mean,))
def mean(a, axis=None, dtype=None, keepdims=False):
    """Arithmetic mean over axes; None means all."""
    a = floating(a) if dtype is None else cast_to(as_node(a), np.dtype(dtype))
    count = math.prod(a.shape[i] for i in axes_of(axis, a.ndim))
    # The exact quotient for every count: a reciprocal would be rounded once more. 0 / 0 is NaN, as in NumPy.
    return total(a, axis, keepdims=keepdims) / cast_to(count, a.dtype)


def _extreme(op, a, axis, keepdims):
    a = as_node(a)
    axes = axes_of(axis, a.ndim)
    if any(a.shape[i] == 0 for i in axes):
        raise ShapeError(f"{op.name} over no elements: axis {axis} of {list(a.shape)}\n  at {here()}")
    return op(a, axes=axes, keepdims=bool(keepdims)) if axes else a


@composite(numpy=(np.max, np.amax))
def greatest(a, axis=None, keepdims=False):
    """Greatest element over axes; ties share the gradient."""
    return _extreme(reduce.max_, a, axis, keepdims)


@composite(numpy=(np.min, np.amin))
def smallest(a, axis=None, keepdims=False):
    """Smallest element over axes; ties share the gradient."""
    return _extreme(reduce.min_, a, axis, keepdims)


def _place(op, a, axis, keepdims):
    a = as_node(a)
    if axis is None:
        place = op(ravel(a), axes=(0,))
        return reshape(place, shape=(1,) * a.ndim) if keepdims else place
    axis = in_range(axis, a.ndim)
    if a.shape[axis] == 0:
        raise ShapeError(f"{op.name} over no elements: axis {axis} of {list(a.shape)}\n  at {here()}")
    return op(a, axes=(axis,), keepdims=bool(keepdims))


@composite(numpy=(np.argmax,))
def argmax(a, axis=None, keepdims=False):
    """Position of the first greatest element."""
    return _place(reduce.argmax, a, axis, keepdims)


@composite(numpy=(np.argmin,))
def argmin(a, axis=None, keepdims=False):
    """Position of the first smallest element."""
    return _place(reduce.argmin, a, axis, keepdims)
