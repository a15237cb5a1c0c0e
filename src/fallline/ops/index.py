"""Indexing as NumPy does it: slices, whole numbers, integer arrays, constant masks, take; on slice and gather."""

import math
import operator

import numpy as np

from fallline.errors import OutOfRangeError, ShapeError
from fallline.graph.declare import cast_to, composite, in_range, is_whole
from fallline.graph.node import Node, as_node, numbers_of
from fallline.graph.protocol import refuse
from fallline.graph.where import here
from fallline.ops.arithmetic import maximum, minimum, where
from fallline.ops.division import remainder
from fallline.ops.gather_scatter import gather
from fallline.ops.shapes import moveaxis, ravel, reshaped, transposed
from fallline.ops.view import reshape, slice_


def outside(position, n, axis):
    raise OutOfRangeError(f"index {position} is out of bounds for axis {axis} with size {n}\n  at {here()}")


def _is_basic(part):
    return isinstance(part, int | np.integer) and not isinstance(part, bool | np.bool_)


def _is_laid(part):
    """Whether this part of an index leaves an axis of its own in place: a slice or a new axis."""
    return part is None or isinstance(part, slice)


def _clean(part):
    """One part of an index as None, Ellipsis, a slice, a whole number, a node or an array."""
    if part is Ellipsis or _is_laid(part) or _is_basic(part):
        return part
    if isinstance(part, Node):
        if part.dtype == bool:
            refuse("indexing with a traced mask, whose result has no known shape",
                   "np.where(mask, x, 0), or x * mask; a mask that is a plain array works")  # fmt: skip
        return part
    array = numbers_of(part)
    if array.dtype == bool and array.ndim == 0:
        refuse(f"indexing with {part!r}", "a mask with the shape of the array, or np.where")
    return array.astype(np.int64) if array.size == 0 and array.dtype != bool else array


def _axes_taken(part):
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1


def _parts(x, index):
    """The index as a list with one entry an axis, and None for new axes: slices, ints, integer arrays or nodes."""
    given = [_clean(part) for part in (index if isinstance(index, tuple) else (index,))]
    free = x.ndim - sum(map(_axes_taken, given))
    if free < 0:
        raise OutOfRangeError(f"too many indices for {list(x.shape)}: {x.ndim - free} axes are indexed\n  at {here()}")
    dots = [i for i, part in enumerate(given) if part is Ellipsis]
    if len(dots) > 1:
        raise OutOfRangeError(f"an index can have only one '...'\n  at {here()}")
    at = dots[0] if dots else len(given)
    given[at : at + 1] = [slice(None)] * free
    parts, axis = [], 0
    for part in given:
        if isinstance(part, np.ndarray) and part.dtype == bool:
            expected = x.shape[axis : axis + part.ndim]
            if part.shape != expected:
                raise OutOfRangeError(f"mask of shape {list(part.shape)} over axes of {list(expected)}\n  at {here()}")
            parts.extend(np.nonzero(part))
        else:
            parts.append(part)
        axis += _axes_taken(part)
    return parts


def _plain_item(x, index):
    """x[index] where the index is whole numbers and slices, as it most often is; None where it is not."""
    given = index if type(index) is tuple else (index,)
    if len(given) > len(x.shape) or not all(type(part) is int or type(part) is slice for part in given):
        return None
    given = [*given, *[slice(None)] * (len(x.shape) - len(given))]
    bounds = [_bounds(part, n, axis) for axis, (part, n) in enumerate(zip(given, x.shape, strict=True))]
    y = _sliced(x, bounds)
    shape = tuple([n for n, part in zip(y.shape, given, strict=True) if type(part) is slice])
    return y if shape == y.shape else reshape(y, shape=shape)


def _sliced(x, bounds):
    """A slice with these (start, stop, step) along the axes, or x itself where that is all of it."""
    if bounds == [(0, n, 1) for n in x.shape]:
        return x
    starts, stops, steps = zip(*bounds, strict=True)
    return slice_(x, starts=starts, stops=stops, steps=steps)


@composite(named=("getitem",))
def getitem(x, index):
    """x[index] as NumPy means it."""
    if not x.ndim and isinstance(index, np.bool_ | np.ndarray) and index.shape == () and index.dtype == bool:
        return getitem(x, None)[: int(index)]  # all of it, once or not at all
    item = _plain_item(x, index)
    if item is not None:
        return item
    parts = _parts(x, index)
    # First the parts that cost nothing: slices and whole numbers as one slice op. Arrays keep their whole axis for now.
    bounds, axis = [], 0
    for part in parts:
        if part is None:
            continue
        bounds.append(_bounds(part, x.shape[axis], axis))
        axis += 1
    y = _sliced(x, bounds)
    if any(not _is_laid(part) and not _is_basic(part) for part in parts):
        return _pick(y, parts)
    sizes = iter(y.shape)
    lengths = [1 if part is None else next(sizes) for part in parts]
    shape = tuple([n for n, part in zip(lengths, parts, strict=True) if _is_laid(part)])
    return y if shape == y.shape else reshape(y, shape=shape)


def _bounds(part, n, axis):
    """(start, stop, step) along one axis, with a stop of -1 before the first element."""
    if type(part) is int and -n <= part < n:
        return part % n, part % n + 1, 1
    if isinstance(part, slice):
        start, stop, step = part.indices(n)
        count = len(range(start, stop, step))
        if count == 0:
            return 0, 0, 1
        return start, start + (count - 1) * step + (1 if step > 0 else -1), step
    if not _is_basic(part):
        return 0, n, 1
    position = operator.index(part)
    if not -n <= position < n:
        outside(position, n, axis)
    return position % n, position % n + 1, 1


def _pick(y, parts):
    """The integer arrays of an index, after its slices: gathered through one position counted over their axes."""
    # NumPy takes whole numbers next to arrays as arrays too; they were sliced to length one above.
    slots = [slot for slot, part in enumerate(parts) if not _is_laid(part)]
    axis_of = np.cumsum([part is not None for part in parts]) - 1
    axes = [int(axis_of[slot]) for slot in slots]
    chosen = [np.int64(0) if _is_basic(parts[slot]) else parts[slot] for slot in slots]
    rest = [i for i in range(y.ndim) if i not in axes]
    sizes = [y.shape[axis] for axis in axes]
    at = axes[0]
    if axes != list(range(at, at + len(axes))):
        y, at = transposed(y, (*axes, *rest)), 0
    position = _linear(chosen, sizes, axes)
    picked = gather(reshaped(y, (*(y.shape[:at]), math.prod(sizes), *y.shape[at + len(axes) :])), position, axis=at)
    # The picked axes stand where the arrays stood, or in front where something stood between them.
    together = slots == list(range(slots[0], slots[-1] + 1))
    n = len(np.shape(position))
    lead = sum(isinstance(part, slice) for part in parts[: slots[0]]) if together else 0
    if n and lead != at:
        picked = moveaxis(picked, tuple(range(at, at + n)), tuple(range(lead, lead + n)))
    if all(part is not None for part in parts):
        return picked
    kept = iter([*picked.shape[:lead], *picked.shape[lead + n :]])
    laid = [1 if part is None else next(kept) for part in parts if _is_laid(part)]
    lead = sum(_is_laid(part) for part in parts[: slots[0]]) if together else 0
    return reshaped(picked, (*laid[:lead], *np.shape(position), *laid[lead:]))


def _linear(chosen, sizes, axes):
    """One position over several axes laid in a row, from a position for each."""
    if len(chosen) == 1 and isinstance(chosen[0], Node):
        return chosen[0]  # gather counts negative positions from the end itself
    try:
        np.broadcast_shapes(*(np.shape(part) for part in chosen))
    except ValueError:
        shapes = " and ".join(str(list(np.shape(part))) for part in chosen)
        raise OutOfRangeError(f"index arrays of shapes {shapes} do not broadcast together\n  at {here()}") from None
    total = 0
    for part, size, axis in zip(chosen, sizes, axes, strict=True):
        total = total * size + whole(part, size, axis)
    return total


def whole(part, size, axis):
    """Positions counted from the front; plain ones are checked against the axis here, traced ones when they run."""
    if isinstance(part, Node):
        if part.dtype.kind not in "iu":
            raise OutOfRangeError(f"positions are whole numbers, got {part.dtype}\n  at {here()}")
        part = cast_to(part, np.dtype(np.int64))
        return where(part < 0, part + size, part)
    array = numbers_of(part)
    if array.dtype.kind not in "iu":
        raise OutOfRangeError(f"positions are whole numbers, got {array.dtype}\n  at {here()}")
    array = array.astype(np.int64)
    wrong = array[(array < -size) | (array >= size)]
    if wrong.size:
        outside(int(wrong.flat[0]), size, axis)
    return np.where(array < 0, array + size, array)


@composite(numpy=(np.take,))
def take(a, indices, axis=None, mode="raise"):
    """Elements, or slices along an axis, at these positions."""
    a = as_node(a)
    if is_whole(axis, a.ndim):
        a, axis = ravel(a), 0
    axis = in_range(axis, a.ndim)
    n = a.shape[axis]
    if mode == "clip":
        indices = minimum(maximum(indices, 0), n - 1)
    elif mode == "wrap":
        indices = remainder(indices, n)
    elif mode != "raise":
        refuse(f"np.take(..., mode={mode!r})", "mode='raise', 'clip' or 'wrap'")
    return gather(a, indices if isinstance(indices, Node) else whole(indices, n, axis), axis=axis)


@composite(numpy=(np.take_along_axis,))
def take_along_axis(arr, indices, axis=-1):
    """Elements picked along an axis by an array of positions of the same number of axes."""
    arr = as_node(arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = in_range(axis, arr.ndim)
    if len(np.shape(indices)) != arr.ndim:
        raise ShapeError(f"take_along_axis: {len(np.shape(indices))} and {arr.ndim} axes differ\n  at {here()}")
    rest = np.ogrid[tuple(slice(n) for n in arr.shape)]
    return getitem(arr, tuple(indices if i == axis else rest[i] for i in range(arr.ndim)))
