"""The matrix product, the one contraction: batched, of equal batch axes. dot and einsum are composites of it."""

import math

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.declare import cast_to, common_dtype, composite, made, primitive
from fallline.graph.node import as_node
from fallline.graph.op import Kind
from fallline.graph.where import here
from fallline.ops.reduce import broadcast_to
from fallline.ops.view import examples, reshape, transpose


def _matmul_infer(a, b):
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matmul: inner sizes differ: {list(a.shape)} @ {list(b.shape)}, {a.shape[-1]} != {b.shape[-2]}"
            f"{made(a, b)}\n  at {here()}"
        )
    return (*a.shape[:-1], b.shape[-1]), a.dtype


def turned(x):
    """The last two axes exchanged."""
    n = len(x.shape)
    return transpose(x, axes=(*range(n - 2), n - 1, n - 2))


@primitive(
    Kind.CONTRACTION,
    infer=_matmul_infer,
    grad=lambda g, y, a, b: (contract(g, turned(b)), contract(turned(a), g)),
    domain=examples((((2, 3), (3, 4)), {}), (((2, 3, 1), (2, 1, 2)), {})),
)
def contract(a, b):
    """Matrix product over the last two axes: y[..., i, j] = sum_k a[..., i, k] b[..., k, j]; other axes are equal."""
    return np.matmul(a, b)


@primitive(
    Kind.CONTRACTION,
    infer=lambda start, a, b: _matmul_infer(a, b),
    grad=lambda g, y, start, a, b: (g, contract(g, turned(b)), contract(turned(a), g)),
    domain=examples((((2, 4), (2, 3), (3, 4)), {})),
)
def contract_onto(start, a, b):
    """start + a @ b, added to the values of start: y[..., i, j] = start[..., i, j] + sum_k a[..., i, k] b[..., k,
    j].
    """
    return start + np.matmul(a, b)


@composite(numpy=(np.matmul,))
def matmul(a, b):
    """NumPy's matrix product: vectors are rows or columns as needed, batch axes broadcast."""
    dtype = common_dtype((a, b))
    a, b = cast_to(as_node(a), dtype), cast_to(as_node(b), dtype)
    if not a.shape or not b.shape:
        raise ShapeError(f"matmul: a 0-d value takes no part in a matrix product, use `*`{made(a, b)}\n  at {here()}")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    a = reshape(a, shape=(1, *a.shape)) if row else a
    b = reshape(b, shape=(*b.shape, 1)) if column else b
    if len(a.shape) > 2 and len(b.shape) == 2 and a.shape[-1] == b.shape[0]:
        # One product of many rows is faster than many products of few.
        y = contract(reshape(a, shape=(math.prod(a.shape[:-1]), a.shape[-1])), b)
        y = reshape(y, shape=(*a.shape[:-1], b.shape[-1]))
    else:
        try:
            alike = a.shape[:-2] == b.shape[:-2]
            batch = a.shape[:-2] if alike else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(f"matmul: batch axes do not broadcast{made(a, b)}\n  at {here()}") from None
        a, b = [x if x.shape[:-2] == batch else broadcast_to(x, shape=(*batch, *x.shape[-2:])) for x in (a, b)]
        y = contract(a, b)
    if row or column:
        y = reshape(y, shape=(*y.shape[:-2], *(() if row else y.shape[-2:-1]), *(() if column else y.shape[-1:])))
    return y
