"""NumPy's functions that repeat, surround, pick out or mask parts of an array: tile, pad, diag, triu, select, *_like.

All are composites; functions that only need a shape or dtype make no node.
"""

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import cast_to, composite, in_range, is_whole
from fallline.graph.node import Node, as_node
from fallline.graph.protocol import refuse
from fallline.graph.where import here
from fallline.ops import arithmetic
from fallline.ops.gather_scatter import gather
from fallline.ops.reduce import total
from fallline.ops.shapes import as_shape, broadcasted, ravel, reshaped, transposed
from fallline.ops.view import cut, place, slice_


@composite(numpy=(np.tile,))
def tile(A, reps):
    """The array laid out again and again along its axes."""
    reps = as_shape(reps)
    if any(r < 0 for r in reps):
        raise ShapeError(f"tile: {reps} times; no number of times is negative\n  at {here()}")
    n = max(A.ndim, len(reps))
    reps, shape = (1,) * (n - len(reps)) + reps, (1,) * (n - A.ndim) + A.shape
    apart = reshaped(A, tuple(size for n in shape for size in (1, n)))
    spread = broadcasted(apart, tuple(size for pair in zip(reps, shape, strict=True) for size in pair))
    return reshaped(spread, tuple(r * n for r, n in zip(reps, shape, strict=True)))


@composite(numpy=(np.repeat,))
def repeat(a, repeats, axis=None):
    """Each element, or each slice along an axis, this many times in a row."""
    if isinstance(repeats, Node):
        refuse("np.repeat by a traced number, whose result has no known shape", "a whole number or a plain array")
    if is_whole(axis, a.ndim):
        a, axis = ravel(a), 0
    axis = in_range(axis, a.ndim)
    before, n, after = a.shape[:axis], a.shape[axis], a.shape[axis + 1 :]
    counts = np.asarray(repeats)
    if np.any(counts < 0):
        raise ShapeError(f"repeat: {repeats!r:.40} times; no number of times is negative\n  at {here()}")
    if counts.size == 1:
        r = int(counts.reshape(()))
        apart = broadcasted(reshaped(a, (*before, n, 1, *after)), (*before, n, r, *after))
        return reshaped(apart, (*before, n * r, *after))
    if counts.shape != (n,):
        raise ShapeError(f"repeat: {counts.size} counts for {n} elements along axis {axis}\n  at {here()}")
    return gather(a, np.repeat(np.arange(n), counts), axis=axis)


@composite(numpy=(np.pad,))
def pad(array, pad_width, mode="constant", *, constant_values=0):
    """The array with a border; modes constant, edge, reflect, symmetric and wrap."""
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(i, pad_width.get(i - array.ndim, 0)) for i in range(array.ndim)]
        pad_width = [w if isinstance(w, tuple) else (w, w) for w in pad_width]
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    if not all(isinstance(n, int) and n >= 0 for pair in widths for n in pair):
        raise ShapeError(f"pad: widths are whole numbers >= 0, got {pad_width!r:.60}\n  at {here()}")
    if mode == "constant":
        return _pad_constant(array, widths, constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        refuse(f"np.pad(..., mode={mode!r}) on a traced value", "constant, edge, reflect, symmetric or wrap")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if not array.shape[axis]:
                raise ShapeError(f"pad: axis {axis} of {list(array.shape)} has nothing to repeat\n  at {here()}\n"
                                 "  try: mode='constant'")  # fmt: skip
            array = gather(array, np.pad(np.arange(array.shape[axis]), (before, after), mode), axis=axis)
    return array


def _pad_constant(array, widths, value):
    shape = tuple(a + n + b for (a, b), n in zip(widths, array.shape, strict=True))
    starts, stops = tuple(a for a, _ in widths), tuple(a + n for (a, _), n in zip(widths, array.shape, strict=True))
    y = place(array, shape=shape, starts=starts, stops=stops, steps=(1,) * array.ndim)
    if not isinstance(value, Node) and not np.any(value):
        return y
    if np.ndim(value):
        refuse("np.pad of a traced value with different constants", "one number, or np.concatenate")
    inside = np.zeros(shape, bool)
    inside[tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))] = True
    return arithmetic.where(inside, y, cast_to(value, array.dtype))


@composite(numpy=(np.diagonal,))
def diagonal(a, offset=0, axis1=0, axis2=1):
    """The elements whose positions on two axes differ by `offset`, along a new last axis."""
    axis1, axis2 = in_range(axis1, a.ndim), in_range(axis2, a.ndim)
    rest = [i for i in range(a.ndim) if i not in (axis1, axis2)]
    x = transposed(a, (*rest, axis1, axis2))
    *batch, m, n = x.shape
    start, count = _diagonal_at(m, n, offset)
    x = reshaped(x, (*batch, m * n))
    if count == 0:
        return cut(x, x.ndim - 1, 0, 0)
    last = x.ndim - 1
    return slice_(x, starts=(0,) * last + (start,), stops=(*batch, start + (count - 1) * (n + 1) + 1),
                  steps=(1,) * last + (n + 1,))  # fmt: skip


@composite(numpy=(np.linalg.diagonal,))
def matrix_diagonal(x, *, offset=0):
    """The diagonal of the last two axes."""
    return diagonal(x, offset, -2, -1)


@composite(numpy=(np.linalg.trace,))
def matrix_trace(x, *, offset=0, dtype=None):
    """Sum over the diagonal of the last two axes."""
    return total(matrix_diagonal(x, offset=offset), -1, dtype)


def _diagonal_at(m, n, offset):
    """Where a diagonal starts in a matrix laid out in one row, and its length."""
    return (offset, max(min(m, n - offset), 0)) if offset >= 0 else (-offset * n, max(min(m + offset, n), 0))


@composite(numpy=(np.trace,))
def trace(a, offset=0, axis1=0, axis2=1, dtype=None):
    """Sum over a diagonal."""
    return total(diagonal(a, offset, axis1, axis2), -1, dtype)


@composite(numpy=(np.diag,))
def diag(v, k=0):
    """The diagonal of a matrix, or a matrix with this diagonal."""
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ShapeError(f"diag: takes one or two axes, got {list(v.shape)}\n  at {here()}")
    n = v.size + abs(k)
    start, count = _diagonal_at(n, n, k)
    if count == 0:
        return broadcasted(cast_to(0, v.dtype), (n, n))
    row = place(v, shape=(n * n,), starts=(start,), stops=(start + (count - 1) * (n + 1) + 1,), steps=(n + 1,))
    return reshaped(row, (n, n))


def _square(m, name):
    """A matrix, or several; a vector becomes the rows of one."""
    if not m.ndim:
        raise ShapeError(f"{name}: takes one axis or more, got a value without axes\n  at {here()}")
    return m if m.ndim > 1 else broadcasted(m, (m.size, m.size))


@composite(numpy=(np.tril,))
def tril(m, k=0):
    """The matrix with zeros above a diagonal."""
    m = _square(m, "tril")
    return arithmetic.where(np.tri(*m.shape[-2:], k=k, dtype=bool), m, cast_to(0, m.dtype))


@composite(numpy=(np.triu,))
def triu(m, k=0):
    """The matrix with zeros below a diagonal."""
    m = _square(m, "triu")
    return arithmetic.where(np.tri(*m.shape[-2:], k=k - 1, dtype=bool), cast_to(0, m.dtype), m)


@composite(numpy=(np.diff,))
def diff(a, n=1, axis=-1):
    """Differences of neighbours, `n` times."""
    if n < 0:
        raise ShapeError(f"diff: order {n} is negative\n  at {here()}")
    axis = in_range(axis, a.ndim) if n else 0
    for _ in range(n):
        size = a.shape[axis]
        if size:
            after, before = cut(a, axis, 1, max(size, 1)), cut(a, axis, 0, size - 1)
            a = after != before if a.dtype.kind == "b" else after - before
    return a


@composite(numpy=(np.where,))
def where(condition, x=None, y=None):
    """x where the condition holds, else y."""
    if x is None or y is None:
        refuse("np.where(condition) on a traced value, whose result has no known shape", "np.where(condition, x, y)")
    return arithmetic.where(condition, x, y)


@composite(numpy=(np.select,))
def select(condlist, choicelist, default=0):
    """The choice of the first condition that holds, else the default."""
    result = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = arithmetic.where(condition, choice, result)
    return result


def _like(a, value, dtype, shape):
    dtype = as_node(a).dtype if dtype is None else np.dtype(dtype)
    return broadcasted(cast_to(value, dtype), np.shape(a) if shape is None else as_shape(shape))


@composite(numpy=(np.zeros_like, np.empty_like))
def zeros_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """Zeros of the same shape and dtype."""
    return _like(a, 0, dtype, shape)


@composite(numpy=(np.ones_like,))
def ones_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """Ones of the same shape and dtype."""
    return _like(a, 1, dtype, shape)


@composite(numpy=(np.full_like,))
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """One value in the same shape and dtype."""
    return _like(a, fill_value, dtype, shape)


composite(numpy=(np.shape,))(lambda a: tuple(np.shape(as_node(a))) if not isinstance(a, Node) else a.shape)
composite(numpy=(np.ndim,))(lambda a: as_node(a).ndim)
composite(numpy=(np.size,))(lambda a, axis=None: as_node(a).size if axis is None else as_node(a).shape[axis])
composite(numpy=(np.iscomplexobj,))(lambda x: False)
composite(numpy=(np.isrealobj,))(lambda x: True)
composite(numpy=(np.real, np.copy))(lambda a, order="K", subok=False: a)
composite(numpy=(np.result_type,))(lambda *of: np.result_type(*(a.dtype if isinstance(a, Node) else a for a in of)))
