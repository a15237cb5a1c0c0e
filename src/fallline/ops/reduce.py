"""Ops that fold axes: sum, max, min, positions; repetition, which is the sum's adjoint; and scans along one axis."""

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import cast_to, composite, fold_axes, primitive, reduction
from fallline.graph.node import as_node
from fallline.graph.op import Kind, of_rows
from fallline.graph.where import here
from fallline.ops.view import cut, examples, join, reshape, slice_


def _broadcast_infer(x, *, shape):
    try:
        fits = np.broadcast_shapes(x.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"broadcast_to: {list(x.shape)} cannot be repeated to {list(shape)}\n  at {here()}")
    return shape, x.dtype


@primitive(Kind.VIEW, infer=_broadcast_infer, grad=lambda g, y, x, *, shape: (sum_to(g, x.shape),),
           domain=examples((((3,),), {"shape": (2, 3)}), (((2, 1),), {"shape": (4, 2, 3)})),
           batch={"shape": of_rows}, same=lambda x, *, shape: x.shape == shape,
           merge=lambda x, inner, outer: outer, repeats=True)  # fmt: skip
def broadcast_to(x, *, shape):
    """The array repeated along new axes and axes of length one."""
    return np.broadcast_to(x, shape)


def spread(g, x, axes):
    """A folded value repeated for every element it came from."""
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return broadcast_to(reshape(g, shape=kept), shape=x.shape)


_FOLDS = examples(
    (((2, 3),), {"axes": (0, 1)}), (((2, 3),), {"axes": (0,)}), (((2, 3, 2),), {"axes": (0, 2), "keepdims": True})
)


@reduction(
    grad=lambda g, y, x, *, axes, keepdims=False: (spread(g, x, axes),),
    domain=_FOLDS,
    adds=True,
    empty=0,
    of_one="added",
    of_two="add",
)
def sum_(x, *, axes, keepdims=False):
    """Sum over axes."""
    return np.add.reduce(x, axis=axes, keepdims=keepdims)  # as np.sum does, with less around it


def _extreme_rule(g, y, x, *, axes, keepdims=False):
    # Equal extremes share the gradient.
    hit = cast_to(x == spread(y, x, axes), x.dtype)
    return (spread(g, x, axes) * hit / spread(sum_(hit, axes=axes), x, axes),)


@reduction(grad=_extreme_rule, domain=_FOLDS, of_one="itself", of_two="maximum")
def max_(x, *, axes, keepdims=False):
    """Greatest element over axes; ties share the gradient equally."""
    return np.maximum.reduce(x, axis=axes, keepdims=keepdims)


@reduction(grad=_extreme_rule, domain=_FOLDS, of_one="itself", of_two="minimum")
def min_(x, *, axes, keepdims=False):
    """Smallest element over axes; ties share the gradient equally."""
    return np.minimum.reduce(x, axis=axes, keepdims=keepdims)


_FOLD_ONE = examples(
    (((2, 3),), {"axes": (1,)}), (((4,),), {"axes": (0,)}), (((2, 3),), {"axes": (0,), "keepdims": True})
)


@reduction(grad=None, result="index", domain=_FOLD_ONE)
def argmax(x, *, axes, keepdims=False):
    """Position of the first greatest element along one axis."""
    return np.argmax(x, axis=axes[0], keepdims=keepdims)


@reduction(grad=None, result="index", domain=_FOLD_ONE)
def argmin(x, *, axes, keepdims=False):
    """Position of the first smallest element along one axis."""
    return np.argmin(x, axis=axes[0], keepdims=keepdims)


def _reverse(x, axis):
    ends = [(0, n, 1) if i != axis else (n - 1, -1, -1) for i, n in enumerate(x.shape)]
    starts, stops, steps = (tuple(part) for part in zip(*ends, strict=True))
    return slice_(x, starts=starts, stops=stops, steps=steps) if x.shape[axis] else x


@primitive(
    Kind.SCAN,
    infer=lambda x, *, axis: (x.shape, x.dtype),
    grad=lambda g, y, x, *, axis: (_reverse(cumsum(_reverse(g, axis), axis=axis), axis),),
    domain=examples((((2, 3),), {"axis": 1}), (((4,),), {"axis": 0})),
)
def cumsum(x, *, axis):
    """Running sum along an axis."""
    return np.cumsum(x, axis=axis)


def _cumprod_rule(g, y, x, *, axis):
    """The product before an element times the rest after it, r[k] = g[k] + x[k + 1] r[k + 1]: no division, so right at
    zeros too. The sums r come by doubling, from the end: after `by` elements more, a of them times r, plus b."""
    n = x.shape[axis]
    if n < 2:
        return (g,)
    one = broadcast_to(cast_to(1, x.dtype), shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))
    a, b, by = join(cut(x, axis, 1, n), one, axis=axis), g, 1
    while by < n:
        kept = n - by
        b = join(cut(b, axis, 0, kept) + cut(a, axis, 0, kept) * cut(b, axis, by, n), cut(b, axis, kept, n), axis=axis)
        a = join(cut(a, axis, 0, kept) * cut(a, axis, by, n), cut(a, axis, kept, n), axis=axis)
        by *= 2
    return (join(one, cut(y, axis, 0, n - 1), axis=axis) * b,)


@primitive(
    Kind.SCAN,
    infer=lambda x, *, axis: (x.shape, x.dtype),
    grad=_cumprod_rule,
    domain=examples((((2, 3),), {"axis": 1}), (((4,),), {"axis": 0}), (((5, 2),), {"axis": 0})),
)
def cumprod(x, *, axis):
    """Running product along an axis, one element after the other."""
    return np.cumprod(x, axis=axis)


@primitive(Kind.SCAN, infer=lambda x, *, axis: (x.shape, np.dtype(np.int64)), grad=None,
           domain=examples((((2, 5),), {"axis": 1}), (((4, 2),), {"axis": 0})), scratch=True)  # fmt: skip
def argsort(x, *, axis):
    """Positions that put the elements along an axis in rising order; equals keep theirs."""
    return np.argsort(x, axis=axis, kind="stable")


_WIDE = {"i": np.dtype(np.int64), "b": np.dtype(np.int64), "u": np.dtype(np.uint64)}


def countable(x, dtype=None):
    """The elements to sum or multiply, in the requested dtype; NumPy takes booleans and small integers as int64,
    unsigned ones as uint64."""
    x = x if dtype is None else cast_to(x, np.dtype(dtype))
    wide = _WIDE.get(x.dtype.kind)
    return x if wide is None else cast_to(x, wide)


@composite(numpy=(np.sum,))
def total(a, axis=None, dtype=None, keepdims=False):
    """Sum over axes; None means all."""
    a = countable(as_node(a), dtype)
    result = sum_(a, axes=fold_axes(axis, len(a.shape)), keepdims=bool(keepdims))
    return result if dtype is None else cast_to(result, np.dtype(dtype))


def sum_to(g, shape):
    """Sum over the axes along which a value of this shape was repeated to the shape of g."""
    if g.shape == shape:
        return g
    extra = len(g.shape) - len(shape)
    stretched = tuple(i + extra for i, n in enumerate(shape) if n == 1 and g.shape[i + extra] != 1)
    axes = tuple(i for i in (*range(extra), *stretched) if g.shape[i] != 1)
    folded = sum_(g, axes=axes) if axes else g
    return folded if folded.shape == shape else reshape(folded, shape=shape)
