"""NumPy's functions that lay out the same elements anew: reshape, transpose, squeeze, flip, stack, split and their kin.

All are composites of the views and joins in view.py; none computes a number.
"""

import math
import operator
from itertools import pairwise

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import broadcast, cast_to, common_dtype, composite, in_range, is_whole
from fallline.graph.node import Node, as_node
from fallline.graph.protocol import refuse
from fallline.graph.where import here
from fallline.ops.reduce import broadcast_to
from fallline.ops.view import cut, join, reshape, slice_, transpose


def as_shape(shape):
    """An int or a sequence of ints as a shape."""
    return tuple(operator.index(n) for n in (shape if isinstance(shape, tuple | list | np.ndarray) else (shape,)))


def row_major(order, name):
    if order not in ("C", "A", "K"):
        refuse(f"{name}(..., order={order!r}) on a traced value", "order='C' after a transpose")


@composite(numpy=(np.reshape,))
def reshaped(a, shape, order="C", copy=None):
    """The elements in row-major order under another shape; one length may be -1, which is worked out."""
    row_major(order, "np.reshape")
    shape = as_shape(shape)
    if shape.count(-1) == 1:
        rest = math.prod([n for n in shape if n != -1])
        if rest and a.size % rest == 0:
            shape = tuple(a.size // rest if n == -1 else n for n in shape)
    if any(n < 0 for n in shape):
        raise ShapeError(f"reshape: the elements of {list(a.shape)} do not fit {list(shape)}\n  at {here()}")
    return a if shape == a.shape else reshape(a, shape=shape)


@composite(numpy=(np.ravel,))
def ravel(a, order="C"):
    """All elements in one row."""
    return reshaped(a, (-1,) if a.size else (0,), order)


@composite(numpy=(np.transpose,))
def transposed(a, axes=None):
    """The axes in another order; None turns it round."""
    n = a.ndim
    order = tuple(reversed(range(n))) if axes is None else tuple(in_range(axis, n) for axis in as_shape(axes))
    if sorted(order) != list(range(n)):
        raise ShapeError(f"transpose: axes {axes} are no order of the {n} axes of {list(a.shape)}\n  at {here()}")
    return a if order == tuple(range(n)) else transpose(a, axes=order)


@composite(numpy=(np.swapaxes,))
def swapaxes(a, axis1, axis2):
    """Two axes exchanged."""
    order = list(range(a.ndim))
    i, j = in_range(axis1, a.ndim), in_range(axis2, a.ndim)
    order[i], order[j] = j, i
    return transposed(a, tuple(order))


@composite(numpy=(np.matrix_transpose, np.linalg.matrix_transpose))
def matrix_transpose(x):
    """The last two axes exchanged."""
    return swapaxes(x, -1, -2)


@composite(numpy=(np.moveaxis,))
def moveaxis(a, source, destination):
    """Axes moved to other places; the others keep their order."""
    sources = [in_range(axis, a.ndim) for axis in as_shape(source)]
    destinations = [in_range(axis, a.ndim) for axis in as_shape(destination)]
    if len(sources) != len(destinations):
        raise ShapeError(f"moveaxis: {len(sources)} axes to {len(destinations)} places\n  at {here()}")
    order = [axis for axis in range(a.ndim) if axis not in sources]
    for place, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(place, axis)
    return transposed(a, tuple(order))


@composite(numpy=(np.expand_dims,))
def expand_dims(a, axis):
    """New axes of length one, at these places of the result."""
    axes = as_shape(axis)
    places = {in_range(place, a.ndim + len(axes)) for place in axes}
    if len(places) != len(axes):
        raise ShapeError(f"expand_dims: repeated axis in {axis}\n  at {here()}")
    rest = iter(a.shape)
    return reshape(a, shape=tuple(1 if i in places else next(rest) for i in range(a.ndim + len(axes))))


@composite(numpy=(np.squeeze,))
def squeeze(a, axis=None):
    """Without axes of length one: all of them, or these."""
    axes = (
        [i for i, n in enumerate(a.shape) if n == 1]
        if is_whole(axis, a.ndim)
        else [in_range(i, a.ndim) for i in as_shape(axis)]
    )
    if any(a.shape[i] != 1 for i in axes):
        raise ShapeError(f"squeeze: axis {axis} of {list(a.shape)} is not of length one\n  at {here()}")
    return reshaped(a, tuple(n for i, n in enumerate(a.shape) if i not in axes))


def _at_least(n):
    def atleast(*arys):
        found = [as_node(a) for a in arys]
        found = [a if a.ndim >= n else reshape(a, shape=(1,) * (n - a.ndim) + a.shape) for a in found]
        return found[0] if len(found) == 1 else tuple(found)

    return atleast


atleast_1d = composite(numpy=(np.atleast_1d,))(_at_least(1))
atleast_2d = composite(numpy=(np.atleast_2d,))(_at_least(2))


@composite(numpy=(np.broadcast_to,))
def broadcasted(array, shape, subok=False):
    """The array repeated along new axes and axes of length one."""
    array, shape = as_node(array), as_shape(shape)
    return array if array.shape == shape else broadcast_to(array, shape=shape)


@composite(numpy=(np.broadcast_arrays,))
def broadcast_arrays(*args, subok=False):
    """The arrays repeated to their common shape."""
    args = tuple(as_node(a) for a in args)
    shape = broadcast("broadcast_arrays", args)
    return tuple(broadcasted(a, shape) for a in args)


@composite(numpy=(np.concatenate,))
def concatenate(arrays, axis=0, dtype=None, casting="same_kind"):
    """The arrays one after the other along an axis; None lays all elements in one row."""
    if isinstance(axis, Node):
        refuse("np.concatenate of a traced value as its axis", "np.concatenate([a, b])")
    parts = some([as_node(a) for a in arrays], "concatenate")
    if axis is None:
        parts, axis = [ravel(part) for part in parts], 0
    dtype = common_dtype(tuple(parts)) if dtype is None else np.dtype(dtype)
    parts = [cast_to(part, dtype) for part in parts]
    if any(not part.ndim for part in parts):
        raise ShapeError(f"concatenate: values without axes have none to lie along\n  at {here()}\n  try: np.stack")
    axis = in_range(axis, parts[0].ndim)
    return parts[0] if len(parts) == 1 else join(*parts, axis=axis)


def some(parts, name):
    """The parts, of which a join needs one at least."""
    if not parts:
        raise ShapeError(f"{name}: there are no arrays to join\n  at {here()}")
    return parts


@composite(numpy=(np.stack,))
def stack(arrays, axis=0, dtype=None, casting="same_kind"):
    """Arrays of one shape side by side along a new axis."""
    parts = some([as_node(a) for a in arrays], "stack")
    if len({part.shape for part in parts}) != 1:
        raise ShapeError(f"stack: shapes {[list(part.shape) for part in parts]} differ\n  at {here()}")
    return concatenate([expand_dims(part, axis) for part in parts], in_range(axis, parts[0].ndim + 1), dtype)


@composite(numpy=(np.vstack,))
def vstack(tup, dtype=None, casting="same_kind"):
    """Rows, or arrays of rows, one under the other."""
    return concatenate([atleast_2d(a) for a in tup], 0, dtype)


@composite(numpy=(np.hstack,))
def hstack(tup, dtype=None, casting="same_kind"):
    """Side by side: along the second axis, or the only one."""
    parts = some([atleast_1d(a) for a in tup], "hstack")
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1, dtype)


@composite(numpy=(np.column_stack,))
def column_stack(tup):
    """Vectors as columns, side by side."""
    parts = [as_node(a) for a in tup]
    return concatenate([a if a.ndim > 1 else reshape(a, shape=(a.size, 1)) for a in parts], 1)


@composite(numpy=(np.array_split,))
def array_split(ary, indices_or_sections, axis=0):
    """Parts along an axis: this many of nearly equal length, or cut at these places."""
    axis = in_range(axis, ary.ndim)
    n = ary.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        if indices_or_sections < 1:
            raise ShapeError(f"split: into {indices_or_sections} parts; there has to be one at least\n  at {here()}")
        each, extra = divmod(n, int(indices_or_sections))
        lengths = [each + 1] * extra + [each] * (int(indices_or_sections) - extra)
        edges = [0, *np.cumsum(lengths).tolist()]
    else:
        bounds = [slice(0, int(i)).indices(n)[1] for i in indices_or_sections]
        edges = [0, *bounds, n]
    return [cut(ary, axis, a, max(a, b)) for a, b in pairwise(edges)]


@composite(numpy=(np.split,))
def split(ary, indices_or_sections, axis=0):
    """Equal parts along an axis, or parts cut at these places."""
    n = ary.shape[in_range(axis, ary.ndim)]
    if isinstance(indices_or_sections, int | np.integer) and indices_or_sections > 0 and n % indices_or_sections:
        raise ShapeError(f"split: {n} does not divide into {indices_or_sections} equal parts\n  at {here()}")
    return array_split(ary, indices_or_sections, axis)


@composite(numpy=(np.vsplit,))
def vsplit(ary, indices_or_sections):
    """Parts along the first axis."""
    if ary.ndim < 2:
        raise ShapeError(f"vsplit: takes two axes or more, got {list(ary.shape)}\n  at {here()}")
    return split(ary, indices_or_sections, 0)


@composite(numpy=(np.hsplit,))
def hsplit(ary, indices_or_sections):
    """Parts along the second axis, or the only one."""
    return split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@composite(numpy=(np.flip,))
def flip(m, axis=None):
    """The elements in opposite order along these axes."""
    axes = range(m.ndim) if axis is None else [in_range(i, m.ndim) for i in as_shape(axis)]
    turned = [i in axes and n > 0 for i, n in enumerate(m.shape)]
    ends = [(n - 1, -1, -1) if turn else (0, n, 1) for turn, n in zip(turned, m.shape, strict=True)]
    starts, stops, steps = (tuple(part) for part in zip(*ends, strict=True)) if ends else ((), (), ())
    return slice_(m, starts=starts, stops=stops, steps=steps) if any(turned) else m


@composite(numpy=(np.flipud,))
def flipud(m):
    """The rows in opposite order."""
    return flip(m, 0)


@composite(numpy=(np.fliplr,))
def fliplr(m):
    """The columns in opposite order."""
    return flip(m, 1)


@composite(numpy=(np.roll,))
def roll(a, shift, axis=None):
    """The elements moved along axes; those that fall off one end come in at the other."""
    if axis is None:
        return reshaped(roll(ravel(a), shift, 0), a.shape)
    shifts, axes = np.broadcast_arrays(as_shape(shift), as_shape(axis))
    for by, axis in zip(shifts.tolist(), (in_range(i, a.ndim) for i in axes.tolist()), strict=True):
        n = a.shape[axis]
        if n and by % n:
            a = concatenate([cut(a, axis, n - by % n, n), cut(a, axis, 0, n - by % n)], axis)
    return a
