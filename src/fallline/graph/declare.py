"""The decorators that declare ops: `@elementwise`, `@reduction`, `@primitive`, and `@composite` for functions of ops.

They give an op its kind and, with it, its shape rule and how its arguments become nodes. They know no single op.
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.errors import ArgumentTypeError, ShapeError, TraceError
from fallline.graph.node import DType, Node, as_node, constant, numbers_of
from fallline.graph.op import NAMED, TABLE, GradRule, InferRule, Kind, Lead, Op, Shape, register, stands_for
from fallline.graph.where import here

Lift = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Domain:
    """Where tests draw an elementwise op's arguments: an open interval, and points to stay away from (kinks)."""

    low: float
    high: float
    away_from: tuple[float, ...] = ()


REAL = Domain(-3.0, 3.0)
SMOOTH_OFF_ZERO = Domain(-3.0, 3.0, away_from=(0.0,))
POSITIVE = Domain(0.2, 4.0)


def in_range(axis: int, ndim: int, what: str = "axis") -> int:
    """The axis counted from 0, or an error that shows the given one."""
    try:
        axis = operator.index(axis)
    except TypeError:
        raise ArgumentTypeError(f"{what} has to be a whole number, got {axis!r:.60}\n  at {here()}") from None
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{what} {axis} does not exist in an array with {ndim} axes\n  at {here()}")
    return axis % ndim


def axes_of(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Reduction axes, counted from 0 and sorted; None means all."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    found = tuple(sorted([in_range(a, ndim) for a in given]))
    if len(set(found)) != len(found):
        raise ShapeError(f"duplicate value in axis {axis}\n  at {here()}")
    return found


def is_whole(axis: Any, ndim: int) -> bool:
    """Whether an axis means the whole array: None does, and to many of NumPy's functions so do 0 and -1 where there are
    no axes."""
    return axis is None or (ndim == 0 and type(axis) is int and axis in (0, -1))


def fold_axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Reduction axes as NumPy's folding ufuncs take them."""
    return axes_of(None if is_whole(axis, ndim) else axis, ndim)


def common_dtype(args: Sequence[Any], floating: bool = False) -> DType:
    """NumPy's result type: plain Python numbers adapt to the arrays they meet."""
    given = [a if type(a) in _PLAIN else a.dtype if type(a) is Node else _dtype_of(a) for a in args]
    known = [a for a in given if type(a) not in _PLAIN]
    # Most often all arrays are of one dtype; NumPy takes longer to find that out.
    if known and known[0] in _FLOATS and known.count(known[0]) == len(known):
        return known[0]
    dtype = np.result_type(*given)
    if dtype.kind not in "fiub":
        raise TraceError(f"only real numbers can be traced, got {dtype}\n  at {here()}")
    return np.dtype(np.float64) if floating and dtype.kind != "f" else dtype


_PLAIN = (bool, int, float)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def _dtype_of(arg: Any) -> DType:
    dtype = getattr(arg, "dtype", None)
    return dtype if isinstance(dtype, np.dtype) else numbers_of(arg).dtype  # a list, or another library's tensor


def cast_to(value: Any, dtype: DType) -> Node:
    """The value as a node of this dtype."""
    if not isinstance(value, Node):
        return constant(value, dtype)
    node: Node = value if value.dtype is dtype or value.dtype == dtype else TABLE["cast"](value, dtype=dtype)
    return node


def made(*nodes: Node) -> str:
    return "".join(f"\n  {list(node.shape)}: {node.op.name} from {node.where}" for node in nodes)


broadcast_shapes = functools.lru_cache(maxsize=4096)(np.broadcast_shapes)


def broadcast(name: str, nodes: tuple[Node, ...]) -> Shape:
    shapes = [node.shape for node in nodes if node.shape]
    if not shapes or all(shape == shapes[0] for shape in shapes):
        return shapes[0] if shapes else ()
    try:
        return broadcast_shapes(*[node.shape for node in nodes])
    except ValueError:
        seen = " and ".join(str(list(node.shape)) for node in nodes)
        raise ShapeError(f"{name}: shapes {seen} do not broadcast together{made(*nodes)}\n  at {here()}") from None


def _described(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip()


_KEEPING: set[Lift] = set()


def keeps_floats(lift: Lift) -> Lift:
    """Declare that this lifting of arguments changes nothing for floats of one dtype and plain numbers."""
    _KEEPING.add(lift)
    return lift


def elementwise(
    *,
    grad: GradRule | None,
    domain: Domain | tuple[Domain, ...] = REAL,
    numpy: tuple[Callable[..., Any], ...] = (),
    named: tuple[str, ...] = (),
    result: str = "same",
    scalar: Callable[..., Any] | None = None,
    lift: Lift | None = None,
    **facts: Any,
) -> Callable[[Callable[..., Any]], Op]:
    """Declare an op on each element: shapes broadcast, input dtypes are made equal.

    result: "same" keeps the common dtype, "float" turns integers to float64 first, "bool" is a comparison's.
    scalar: the same on one number in plain arithmetic, which kernels compile; left out, they compile the meaning.
    lift: other than the promotion to a common dtype; one that takes floats of one dtype as they are is `keeps_floats`.
    """

    def declare(function: Callable[..., Any]) -> Op:
        name = function.__name__.rstrip("_")

        def promote(*args: Any) -> tuple[Any, ...]:
            dtype = common_dtype(args, floating=result == "float")
            return tuple([cast_to(arg, dtype) for arg in args])

        def infer(*inputs: Node, **attrs: Any) -> tuple[Shape, DType]:
            return broadcast(name, inputs), np.dtype(bool) if result == "bool" else inputs[-1].dtype

        doc = _described(function)
        floats = ("bool" if result == "bool" else "same") if lift is None or lift in _KEEPING else ""
        op = Op(name, Kind.ELEMENTWISE, doc, function, infer, grad, domain, scalar, lift or promote, facts, floats)
        return register(op, numpy, named)

    return declare


def primitive(
    kind: Kind,
    *,
    infer: InferRule,
    grad: GradRule | None,
    domain: Any = None,
    numpy: tuple[Callable[..., Any], ...] = (),
    named: tuple[str, ...] = (),
    lift: Lift | None = None,
    batch: Mapping[str, Lead] | None = None,
    **facts: Any,
) -> Callable[[Callable[..., Any]], Op]:
    """Declare an op of any other kind with its own shape rule.

    domain: a function of a random generator that returns example calls, a list of (arguments, attributes).
    batch: what becomes of each attribute when the arrays get an axis of rows in front; a view or a join has to say it,
        with {} where it has no attributes, and other ops for attributes of their own.
    """

    def declare(function: Callable[..., Any]) -> Op:
        name = function.__name__.rstrip("_")
        doc = _described(function)
        op = Op(name, kind, doc, function, infer, grad, domain, None, lift, facts, batch=batch)
        return register(op, numpy, named)

    return declare


def reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape left when these axes are folded."""
    if keepdims:
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def reduction(
    *,
    grad: GradRule | None,
    domain: Any = None,
    result: str = "same",
    **facts: Any,
) -> Callable[[Callable[..., Any]], Op]:
    """Declare an op that folds axes. Attributes: `axes` (counted from 0, sorted) and `keepdims`.

    result: "same", or "index" for positions (int64).
    """

    def declare(function: Callable[..., Any]) -> Op:
        name = function.__name__.rstrip("_")

        def infer(x: Node, *, axes: tuple[int, ...], keepdims: bool = False) -> tuple[Shape, DType]:
            return reduced(x.shape, axes, keepdims), np.dtype(np.int64) if result == "index" else x.dtype

        op = Op(name, Kind.REDUCTION, _described(function), function, infer, grad, domain, None, None, facts)
        return register(op)

    return declare


def composite(
    *, numpy: tuple[Callable[..., Any], ...] = (), named: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a plain function of ops that stands for these NumPy callables on nodes."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        stands_for(function, numpy, named)
        return function

    return declare


__all__ = [
    "NAMED", "POSITIVE", "REAL", "SMOOTH_OFF_ZERO", "Domain", "Kind", "as_node", "axes_of", "cast_to", "common_dtype",
    "composite", "elementwise", "fold_axes", "in_range", "is_whole", "keeps_floats", "primitive", "reduced",
    "reduction",
]  # fmt: skip
