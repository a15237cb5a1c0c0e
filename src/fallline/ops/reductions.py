"""NumPy's functions that fold axes, as composites: mean, var, std, prod, max, argmax, any, norm, cumsum, sort."""

import math

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import axes_of, cast_to, composite, fold_axes, in_range, is_whole, reduced
from fallline.graph.node import as_node
from fallline.graph.protocol import refuse
from fallline.graph.where import here
from fallline.ops import reduce
from fallline.ops.arithmetic import absolute, root, square, where
from fallline.ops.index import take_along_axis
from fallline.ops.reduce import countable, total
from fallline.ops.shapes import as_shape, broadcasted, ravel, reshaped, transposed
from fallline.ops.transcendental import power_of
from fallline.ops.view import cast, cut, join, reshape

FLOAT64 = np.dtype(np.float64)


def floating(x):
    """The node with a floating dtype: whole numbers become float64, as NumPy's mean makes them."""
    x = as_node(x)
    return x if x.dtype.kind == "f" else cast(x, dtype=FLOAT64)


@composite(numpy=(np.mean,))
def average(a, axis=None, dtype=None, keepdims=False):
    """Arithmetic mean over axes; None means all."""
    a = floating(a) if dtype is None else cast_to(as_node(a), np.dtype(dtype))
    count = math.prod([a.shape[i] for i in axes_of(axis, len(a.shape))])
    # The exact quotient for every count: a reciprocal would be rounded once more. 0 / 0 is NaN, as in NumPy.
    return total(a, axis, keepdims=keepdims) / cast_to(count, a.dtype)


def _extreme(op, a, axis, keepdims):
    a = as_node(a)
    axes = fold_axes(axis, a.ndim)
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
    if is_whole(axis, a.ndim):
        place = _place(op, ravel(a), 0, False)
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


@composite(numpy=(np.var,))
def variance(a, axis=None, dtype=None, ddof=0, keepdims=False, *, mean=None, correction=None):
    """Mean squared distance from the mean; `ddof` is taken off the count."""
    a = floating(a) if dtype is None else cast_to(as_node(a), np.dtype(dtype))
    middle = average(a, axis, keepdims=True) if mean is None else mean
    count = math.prod(a.shape[i] for i in axes_of(axis, a.ndim)) - (ddof if correction is None else correction)
    return total(square(a - middle), axis, keepdims=keepdims) / cast_to(max(count, 0), a.dtype)


@composite(numpy=(np.std,))
def deviation(a, axis=None, dtype=None, ddof=0, keepdims=False, *, mean=None, correction=None):
    """Square root of the variance; the derivative is 0 where all elements are equal."""
    return root(variance(a, axis, dtype, ddof, keepdims, mean=mean, correction=correction))


@composite(numpy=(np.ptp,))
def spread(a, axis=None, keepdims=False):
    """Greatest less smallest element."""
    return greatest(a, axis, keepdims) - smallest(a, axis, keepdims)


@composite(numpy=(np.prod,))
def product(a, axis=None, dtype=None, keepdims=False):
    """Product over axes. Halves are multiplied until one is left, so derivatives of every order hold at zeros too."""
    a = countable(as_node(a), dtype)
    axes = fold_axes(axis, a.ndim)
    rest = [i for i in range(a.ndim) if i not in axes]
    n = math.prod(a.shape[i] for i in axes)
    x = reshaped(transposed(a, (*rest, *axes)), (*(a.shape[i] for i in rest), n))
    while n > 1:
        half = n // 2
        paired = cut(x, x.ndim - 1, 0, half) * cut(x, x.ndim - 1, half, 2 * half)
        x = paired if n % 2 == 0 else join(paired, cut(x, x.ndim - 1, n - 1, n), axis=x.ndim - 1)
        n = x.shape[-1]
    shape = reduced(a.shape, axes, bool(keepdims))
    result = reshaped(x, shape) if n else broadcasted(cast_to(1, x.dtype), shape)
    return result if dtype is None else cast_to(result, np.dtype(dtype))


@composite(numpy=(np.cumsum,))
def running_sum(a, axis=None, dtype=None):
    """Sum of the elements up to each one."""
    a = countable(as_node(a)) if dtype is None else cast_to(as_node(a), np.dtype(dtype))
    if is_whole(axis, a.ndim):
        a, axis = ravel(a), 0
    return reduce.cumsum(a, axis=in_range(axis, a.ndim))


@composite(numpy=(np.cumprod,))
def running_product(a, axis=None, dtype=None):
    """Product of the elements up to each one."""
    a = countable(as_node(a)) if dtype is None else cast_to(as_node(a), np.dtype(dtype))
    if is_whole(axis, a.ndim):
        a, axis = ravel(a), 0
    return reduce.cumprod(a, axis=in_range(axis, a.ndim))


def _truths(a):
    return as_node(a) if as_node(a).dtype == bool else as_node(a) != 0


@composite(numpy=(np.count_nonzero,))
def count_nonzero(a, axis=None, *, keepdims=False):
    """How many elements are not zero."""
    return total(_truths(a), axis, keepdims=keepdims)


@composite(numpy=(np.any,))
def any_of(a, axis=None, keepdims=False):
    """Whether some element is true."""
    return count_nonzero(a, axis, keepdims=keepdims) > 0


@composite(numpy=(np.all,))
def all_of(a, axis=None, keepdims=False):
    """Whether every element is true."""
    return count_nonzero(~_truths(a), axis, keepdims=keepdims) == 0


@composite(numpy=(np.argsort,))
def order_of(a, axis=-1, kind=None, order=None, *, stable=None):
    """Positions that put the elements in rising order; equals keep theirs."""
    a = as_node(a)
    if is_whole(axis, a.ndim):
        a, axis = ravel(a), 0
    return reduce.argsort(a, axis=in_range(axis, a.ndim))


@composite(numpy=(np.sort,))
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """The elements in rising order; each one's gradient goes back to where it came from."""
    if axis is None:
        a, axis = ravel(a), 0
    return take_along_axis(a, order_of(a, axis), axis)


@composite(numpy=(np.linalg.norm,))
def norm(x, ord=None, axis=None, keepdims=False):
    """Length of vectors, or Frobenius, row-sum or column-sum norm of matrices; the derivative at 0 is 0."""
    x = floating(x)
    if axis is None and (ord is None or x.ndim == 1):
        return root(total(square(x), None, keepdims=keepdims)) if ord is None else _vector_norm(x, ord, 0, keepdims)
    axes = tuple(range(x.ndim)) if axis is None else tuple(in_range(i, x.ndim) for i in as_shape(axis))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ShapeError(f"norm: a matrix norm is over two axes, got {axes} of {list(x.shape)}\n  at {here()}")
    if ord is None or ord == "fro":
        return root(total(square(x), axes, keepdims=keepdims))
    if ord not in (1, -1, np.inf, -np.inf):
        refuse(f"np.linalg.norm(..., ord={ord!r}) of a traced matrix", "ord='fro', 1, -1, np.inf or -np.inf")
    sums = total(absolute(x), axes[0] if abs(ord) == 1 else axes[1], keepdims=True)
    return _furthest(sums, ord, axes, keepdims)


def _furthest(sizes, ord, axes, keepdims):
    """The greatest of sizes, 0 where there are none, or the smallest, as the sign of ord says."""
    if ord > 0 and any(sizes.shape[i] == 0 for i in axes):
        return total(sizes, axes, keepdims=keepdims)
    return (greatest if ord > 0 else smallest)(sizes, axes, keepdims)


def _vector_norm(x, ord, axis, keepdims):
    if ord is None or ord == 2:
        return root(total(square(x), axis, keepdims=keepdims))
    size = absolute(x)
    if ord in (np.inf, -np.inf):
        return _furthest(size, ord, (axis,), keepdims)
    if ord == 0:
        return cast_to(count_nonzero(x, axis, keepdims=keepdims), x.dtype)
    if ord == 1:
        return total(size, axis, keepdims=keepdims)
    if not isinstance(ord, int | float):
        refuse(f"np.linalg.norm(..., ord={ord!r}) of a traced vector", "a number, np.inf or -np.inf")
    powers = total(power_of(size, ord), axis, keepdims=keepdims)
    flat = powers == 0
    one = cast_to(1, x.dtype)
    return where(flat, cast_to(0, x.dtype), power_of(where(flat, one, powers), 1 / ord))
