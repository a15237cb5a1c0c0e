"""Ops that show the same elements in another form (no work at all on the machine), casts, and joins, their adjoints.

The facts of a join: `windows`, where in the result each array lies, as slices; and `side_by_side` where the arrays lie
one after the other along an axis and fill the result. Elsewhere the result is zero.
"""

import math
from itertools import accumulate, pairwise

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import cast_to, common_dtype, composite, in_range, primitive
from fallline.graph.node import check_dtype
from fallline.graph.op import Kind, first, of_rows, one_later
from fallline.graph.where import here


def examples(*specs):
    """A test domain: example calls on random arrays, from (shapes, attributes) pairs."""
    return lambda rng: [([rng.standard_normal(shape) for shape in shapes], attrs) for shapes, attrs in specs]


def _cast_rule(g, y, x, *, dtype):
    return (cast(g, dtype=x.dtype),) if x.dtype.kind == "f" else (None,)


def _cast_merge(x, inner, outer):
    # The inner dtype must hold every number of x exactly.
    return outer if np.can_cast(x.dtype, inner["dtype"], "safe") else None


@primitive(Kind.CAST, infer=lambda x, *, dtype: (x.shape, np.dtype(dtype)), grad=_cast_rule,
           domain=examples((((2, 3),), {"dtype": np.dtype(np.float64)})),
           same=lambda x, *, dtype: x.dtype == dtype, merge=_cast_merge)  # fmt: skip
def cast(x, *, dtype):
    """The same numbers in another dtype."""
    return np.asarray(x).astype(dtype)


@primitive(Kind.VIEW, infer=lambda x: (x.shape, x.dtype), grad=lambda g, y, x: (g,), domain=examples((((2, 3),), {})),
           batch={}, without_copy=lambda x: x, same=lambda x: True)  # fmt: skip
def alias(x):
    """The same value under a name of its own, so that a derivative can be taken at this place only."""
    return x


@primitive(Kind.VIEW, infer=lambda x: (x.shape, x.dtype), grad=None, domain=examples((((2, 3),), {})),
           batch={}, without_copy=lambda x: x, same=lambda x: True)  # fmt: skip
def stop_gradient(x):
    """The same value, through which no derivative passes."""
    return x


@composite(named=("astype",))
def astype(x, dtype, order="K", casting="unsafe", subok=True, copy=True):
    """The numbers in another dtype, as `.astype` gives them."""
    dtype = np.dtype(dtype).newbyteorder("=")
    check_dtype(dtype)
    return cast_to(x, dtype)


def _reshape_infer(x, *, shape):
    if math.prod(shape) != x.size:
        raise ShapeError(f"reshape: the elements of {list(x.shape)} do not fit {list(shape)}\n  at {here()}")
    return shape, x.dtype


@primitive(Kind.VIEW, infer=_reshape_infer, grad=lambda g, y, x, *, shape: (reshape(g, shape=x.shape),),
           domain=examples((((2, 3),), {"shape": (3, 2)}), (((4,),), {"shape": (2, 1, 2)})),
           batch={"shape": of_rows}, without_copy=lambda x, *, shape: np.reshape(x, shape, copy=False),
           same=lambda x, *, shape: x.shape == shape, merge=lambda x, inner, outer: outer,
           row_major=True)  # fmt: skip
def reshape(x, *, shape):
    """The elements in row-major order under another shape."""
    return x.reshape(shape) if type(x) is np.ndarray else np.reshape(x, shape)


@primitive(
    Kind.VIEW,
    infer=lambda x, *, axes: (tuple(x.shape[a] for a in axes), x.dtype),
    grad=lambda g, y, x, *, axes: (transpose(g, axes=tuple(int(i) for i in np.argsort(axes))),),
    domain=examples((((2, 3),), {"axes": (1, 0)}), (((2, 3, 4),), {"axes": (2, 0, 1)})),
    batch={"axes": lambda axes, n: (0, *one_later(axes, n))},
    same=lambda x, *, axes: axes == tuple(range(len(axes))),
    merge=lambda x, inner, outer: {"axes": tuple(inner["axes"][a] for a in outer["axes"])},
    permutes=True,
)
def transpose(x, *, axes):
    """The axes in another order."""
    return x.transpose(axes) if type(x) is np.ndarray else np.transpose(x, axes)


def _slice_shape(starts, stops, steps):
    return tuple([len(range(a, b, s)) for a, b, s in zip(starts, stops, steps, strict=True)])


def _slices(starts, stops, steps):
    # A negative stop means "run past the first element", which Python's slices write as None.
    return tuple([slice(a, None if b < 0 else b, s) for a, b, s in zip(starts, stops, steps, strict=True)])


def _slice_merge(x, inner, outer):
    """A slice of a slice as one."""
    starts, stops, steps = [], [], []
    for a, _, s, at, end, by in zip(*(part[k] for part in (inner, outer) for k in ("starts", "stops", "steps"))):
        count = len(range(at, end, by))
        step = s * by
        starts.append(a + at * s if count else 0)
        steps.append(step if count else 1)
        stops.append(starts[-1] + (count - 1) * step + (1 if step > 0 else -1) if count else 0)
    return {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}


@primitive(
    Kind.VIEW,
    infer=lambda x, *, starts, stops, steps: (_slice_shape(starts, stops, steps), x.dtype),
    grad=lambda g, y, x, *, starts, stops, steps: (
        place(g, shape=x.shape, starts=starts, stops=stops, steps=steps),
    ),
    domain=examples(
        (((5, 4),), {"starts": (1, 0), "stops": (4, 4), "steps": (2, 1)}),
        (((4,),), {"starts": (3,), "stops": (-1,), "steps": (-1,)}),
    ),
    batch={"starts": first(0), "stops": of_rows, "steps": first(1)},
    same=lambda x, *, starts, stops, steps: x.shape == stops and not any(starts) and all(s == 1 for s in steps),
    merge=_slice_merge,
)  # fmt: skip
def slice_(x, *, starts, stops, steps):
    """Every `steps`-th element from `starts` up to `stops` along each axis; a stop of -1 is before the first."""
    return x[_slices(starts, stops, steps)]


@primitive(
    Kind.JOIN,
    infer=lambda x, *, shape, starts, stops, steps: (shape, x.dtype),
    grad=lambda g, y, x, *, shape, starts, stops, steps: (slice_(g, starts=starts, stops=stops, steps=steps),),
    domain=examples((((2, 4),), {"shape": (5, 4), "starts": (1, 0), "stops": (4, 4), "steps": (2, 1)})),
    batch={"shape": of_rows, "starts": first(0), "stops": of_rows, "steps": first(1)},
    windows=lambda x, *, shape, starts, stops, steps: (_slices(starts, stops, steps),),
    same=lambda x, *, shape, starts, stops, steps: x.shape == shape and all(s == 1 for s in steps),
)
def place(x, *, shape, starts, stops, steps):
    """Zeros of a shape with x laid where the slice points: the adjoint of `slice`, and zero padding."""
    result = np.zeros(shape, np.asarray(x).dtype)
    result[_slices(starts, stops, steps)] = x
    return result


def _concatenate_infer(*xs, axis):
    axis = in_range(axis, len(xs[0].shape))
    for x in xs[1:]:
        if len(x.shape) != len(xs[0].shape) or any(
            m != n for i, (m, n) in enumerate(zip(x.shape, xs[0].shape, strict=True)) if i != axis
        ):
            shapes = ", ".join(str(list(x.shape)) for x in xs)
            raise ShapeError(f"concatenate: shapes {shapes} differ off axis {axis}\n  at {here()}")
    size = sum(x.shape[axis] for x in xs)
    return (*xs[0].shape[:axis], size, *xs[0].shape[axis + 1 :]), xs[0].dtype


def cut(x, axis, start, stop):
    """x[start:stop] along one axis."""
    starts, stops = [0] * len(x.shape), list(x.shape)
    starts[axis], stops[axis] = start, stop
    return slice_(x, starts=tuple(starts), stops=tuple(stops), steps=(1,) * len(x.shape))


def _edges(xs, axis):
    """Where each of the arrays begins and ends along the axis."""
    return pairwise(accumulate((x.shape[axis] for x in xs), initial=0))


def _concatenate_rule(g, y, *xs, axis):
    return tuple(cut(g, axis, a, b) for a, b in _edges(xs, axis))


def _concatenate_windows(*xs, axis):
    before = (slice(None),) * (axis % len(xs[0].shape))
    return tuple((*before, slice(a, b)) for a, b in _edges(xs, axis))


def _same_dtype(*xs):
    dtype = common_dtype(xs)
    return tuple(cast_to(x, dtype) for x in xs)


@primitive(Kind.JOIN, infer=_concatenate_infer, grad=_concatenate_rule, lift=_same_dtype,
           batch={"axis": one_later}, windows=_concatenate_windows, side_by_side=True,
           domain=examples((((2, 3), (2, 1)), {"axis": 1}), (((2,), (3,), (1,)), {"axis": 0})))  # fmt: skip
def join(*xs, axis):
    """The arrays one after the other along an axis."""
    return np.concatenate([np.asarray(x) for x in xs], axis=axis)


__all__ = ["alias", "cast", "cut", "join", "place", "reshape", "slice_", "stop_gradient", "transpose"]
