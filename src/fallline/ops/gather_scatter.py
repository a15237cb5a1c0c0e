"""Ops that read or add at positions given by an integer array: gather and its adjoint; index.py builds on them."""

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import cast_to, in_range, primitive
from fallline.graph.node import Node, as_node
from fallline.graph.op import Kind
from fallline.graph.where import here


def _positions(x, index):
    return as_node(x), cast_to(whole(as_node(index)), np.dtype(np.int64))


def whole(index):
    """The positions, or an error where they are no whole numbers: a mask is none."""
    if index.dtype.kind not in "iu":
        raise ShapeError(f"positions are whole numbers, got {index.dtype}\n  at {here()}")
    return index


def _examples(rng):
    return [([rng.standard_normal((4, 3)), np.array([0, 2, 2])], {"axis": 0}),
            ([rng.standard_normal((2, 5)), np.array([[4, 1], [-1, 1]])], {"axis": 1})]  # fmt: skip


@primitive(
    Kind.GATHER,
    infer=lambda x, index, *, axis: ((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype),
    grad=lambda g, y, x, index, *, axis: (scatter_add(g, index, axis=axis, size=x.shape[axis]), None),
    domain=_examples,
    lift=_positions,
)
def gather_(x, index, *, axis):
    """Slices of x along an axis, in the order and shape of `index`; negative positions count from the end."""
    return np.take(x, index, axis=axis)


def gather(x, index, *, axis):
    """Slices of x along an axis, in the order and shape of `index`.

        gather(x, index, axis=0)[i, j, ...] = x[index[i, j, ...]]

    x: an array of one axis or more. index: whole numbers; those below 0 count from the end. axis: of x, below 0 too.
    Returns the axis of x replaced by those of index; its gradient is added up at the positions.
    Errors: ShapeError for an axis that x does not have; OutOfRangeError for a position outside.
    """
    x, index = (a if isinstance(a, Node) else np.asarray(a) for a in (x, index))
    return gather_(x, whole(index), axis=in_range(axis, x.ndim))


def _scatter_infer(g, index, *, axis, size):
    rest = g.shape[axis + len(index.shape) :]
    return (*g.shape[:axis], size, *rest), g.dtype


@primitive(
    Kind.SCATTER,
    infer=_scatter_infer,
    grad=lambda g, y, x, index, *, axis, size: (gather(g, index, axis=axis), None),
    domain=lambda rng: [([rng.standard_normal((3, 2)), np.array([0, 2, 2])], {"axis": 0, "size": 4})],
    lift=_positions,
)
def scatter_add(g, index, *, axis, size):
    """Zeros with `size` slices along an axis, to which the slices of g are added at `index`: gather's adjoint."""
    g, index = np.asarray(g), np.asarray(index)
    result = np.zeros((*g.shape[:axis], size, *g.shape[axis + index.ndim :]), g.dtype)
    np.add.at(result, (*(slice(None),) * axis, index), g)
    return result
