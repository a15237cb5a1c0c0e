"""Node and Graph: the form of a computation. A node is one op applied to nodes; it answers to NumPy (protocol.py).

Knows the Op record, but no single op beyond the two sources, inputs and constants.
"""

import itertools
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from fallline.arguments import is_users, shown
from fallline.arrays import as_array, real
from fallline.errors import ArgumentTypeError, FalllineError, GraphError, TooLargeError, TraceError
from fallline.graph.op import Array, Kind, Op, Shape, register
from fallline.graph.protocol import NumpyProtocol, misused
from fallline.graph.show import text
from fallline.graph.where import Where, here

DType = np.dtype[Any]
_next_serial = itertools.count().__next__


@dataclass(frozen=True, slots=True, eq=False, repr=False, init=False)
class Node(NumpyProtocol):
    """One value of a computation: `op` applied to `inputs`. Behaves like a NumPy array without its numbers."""

    op: Op
    inputs: tuple["Node", ...]
    attrs: dict[str, Any]
    shape: Shape
    dtype: DType
    where: Where
    serial: int = field(init=False)  # creation order, which is a valid order to run in

    def __init__(
        self, op: Op, inputs: tuple["Node", ...], attrs: dict[str, Any], shape: Shape, dtype: DType, where: Where
    ) -> None:
        # Half of the time that the generated one takes, and making nodes is most of what tracing costs.
        _set_op(self, op)
        _set_inputs(self, inputs)
        _set_attrs(self, attrs)
        _set_shape(self, shape)
        _set_dtype(self, dtype)
        _set_where(self, where)
        _set_serial(self, _next_serial())

    # NumPy's operators build nodes, `==` too, so identity has to serve as the hash.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<traced {self.op.name} {self.dtype}{list(self.shape)} from {self.where}>"


# The slots' own setters: assignment is refused, since a node is frozen.
_set_op, _set_inputs, _set_attrs, _set_shape, _set_dtype, _set_where, _set_serial = [
    vars(Node)[each.name].__set__ for each in fields(Node)
]


def _source_has_no_rule(*inputs: Any, **attrs: Any) -> Any:
    raise GraphError("a source has no inputs to compute from")


INPUT = register(Op("input", Kind.SOURCE, "A value given when the graph runs.", _source_has_no_rule,
                    _source_has_no_rule, None))  # fmt: skip
CONSTANT = register(Op("constant", Kind.SOURCE, "A value known when the graph is made.",
                       lambda *, value: value, _source_has_no_rule, None))  # fmt: skip


def check_dtype(dtype: DType, what: str = "traced computations") -> None:
    """Raise unless numbers of this dtype can be traced."""
    if dtype.kind in "iub" or (dtype.kind == "f" and dtype.itemsize in (4, 8)):
        return
    instead = {
        "f": "x.astype(np.float32) or x.astype(np.float64)",
        "c": "the real and imaginary parts as two real arrays",
        "O": "np.array(values, dtype=float): this array holds Python objects, perhaps rows of unequal length",
    }.get(dtype.kind, "numbers; text has to be turned into numbers before it gets here")
    seen = f"{what} use float32, float64, whole numbers and booleans, not {dtype}"
    raise TraceError(f"{seen}\n  at {here()}\n  try: {instead}")


def new_input(shape: Sequence[int], dtype: Any, name: str = "") -> Node:
    """A source whose value is given when the graph runs."""
    dtype = np.dtype(dtype)
    check_dtype(dtype)
    # In this machine's byte order, and the one object that NumPy has for it: rules compare with `is` first.
    return Node(INPUT, (), {"name": name}, tuple([int(n) for n in shape]), np.dtype(dtype.type), here())


def numbers_of(value: Any) -> Array:
    """The array of a value, unless that would lose a mask, a unit or the like."""
    if isinstance(value, int | float | np.generic):
        return np.asarray(value)
    try:
        return as_array(value, "a value among traced ones", f"\n  at {here()}")
    except ArgumentTypeError as error:
        raise TraceError(str(error)) from None


def constant(value: Any, dtype: Any = None) -> Node:
    """A source with a known value. The array is not copied: whoever builds a program from the graph does that."""
    if type(value) in (int, float) and dtype is not None and dtype.kind == "f":
        array = np.asarray(value, dtype)
        return Node(CONSTANT, (), {"value": array}, (), array.dtype, here())
    if type(value) is int and dtype is not None and not has(dtype, value):
        raise TooLargeError(
            f"{shown(value)} is no number of {dtype}, the dtype of the other array\n  at {here()}\n"
            "  try: array.astype(float), or a wider dtype of whole numbers"
        )
    array = value if type(value) is np.ndarray else numbers_of(value)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    check_dtype(array.dtype if dtype is None or array.dtype.kind not in "fiub" else np.dtype(dtype))
    array = array if dtype is None else array.astype(dtype, copy=False)
    return Node(CONSTANT, (), {"value": array}, array.shape, array.dtype, here())


def has(dtype: DType, value: int) -> bool:
    """Whether a dtype of whole numbers has this one; others take any."""
    return dtype.kind not in "iu" or bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)


def as_node(value: Any) -> Node:
    return value if isinstance(value, Node) else constant(value)


def make(op: Op, inputs: tuple[Node, ...], attrs: dict[str, Any]) -> Node:
    """A node of this op; its shape and dtype follow from the op's rule."""
    shape, dtype = op.infer(*inputs, **attrs)
    return Node(op, inputs, attrs, shape, dtype, here())


def of_floats(op: Op, args: tuple[Any, ...]) -> Node | None:
    """A node for floats of one dtype and shape with plain numbers, the most frequent case; None for all others."""
    dtype: Any = None
    shape: Shape = ()
    for arg in args:
        kind = type(arg)
        if kind is Node or kind is np.ndarray:
            if dtype is None:
                dtype, shape = arg.dtype, arg.shape
            elif arg.dtype is not dtype:
                return None
            elif arg.shape != shape:
                if shape and arg.shape:
                    return None
                shape = shape or arg.shape
        elif kind is not float and kind is not int:
            return None
    if dtype is not _FLOAT64 and dtype is not _FLOAT32:
        return None
    where = here()
    inputs = []
    for arg in args:
        if type(arg) is not Node:
            value = np.asarray(arg, dtype)
            arg = Node(CONSTANT, (), {"value": value}, value.shape, dtype, where)
        inputs.append(arg)
    return Node(op, tuple(inputs), {}, shape, _BOOL if op.floats == "bool" else dtype, where)


_FLOAT32, _FLOAT64, _BOOL = np.dtype(np.float32), np.dtype(np.float64), np.dtype(bool)


def apply(op: Op, /, *args: Any, **attrs: Any) -> Any:
    """The call of an op: a node where an argument is one, else the value."""
    try:
        for arg in args:
            if type(arg) is Node:
                break
        else:
            if is_users(sys._getframe(1)):
                args = tuple(real(arg, f"fallline.ops.{op.name}: an argument") for arg in args)
            return op.meaning(*args, **attrs)
        least, most = op.arrays
        if not least <= len(args) <= most:
            raise TypeError(f"it takes {most} arrays, got {len(args)}")
        if op.floats and not attrs:
            node = of_floats(op, args)
            if node is not None:
                return node
        inputs = op.lift(*args) if op.lift is not None else tuple([as_node(arg) for arg in args])
        return make(op, inputs, attrs)
    except (FalllineError, Warning, FloatingPointError):
        raise
    except Exception as error:
        if not is_users(sys._getframe(1)):
            raise  # whoever of ours called it knows what the user asked for
        raise misused(op, f"fallline.ops.{op.name}", args, attrs, error) from error


Op.__call__ = apply


@dataclass(frozen=True, slots=True)
class Graph:
    """A computation: inputs, outputs, and the nodes between."""

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    known: tuple[Node, ...] | None = field(default=None, repr=False, compare=False)  # its nodes, if found already

    def nodes(self) -> tuple[Node, ...]:
        """Every node the outputs need, in creation order, inputs among them."""
        return reachable(self.outputs) if self.known is None else self.known

    def __str__(self) -> str:
        return text(self)


_in_order = operator.attrgetter("serial")


def reachable(outputs: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes these outputs are computed from, themselves included, in an order they can run in."""
    seen: set[Node] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(node.inputs)
    return tuple(sorted(seen, key=_in_order))


def evaluate(graph: Graph, values: Sequence[Array], run: Callable[[Node, list[Array]], Array]) -> list[Array]:
    """Walk a graph in order; `run` computes one node from its inputs' values, dropped after their last use."""
    if len(values) != len(graph.inputs):
        raise GraphError(f"the graph takes {len(graph.inputs)} inputs, got {len(values)}")
    nodes = graph.nodes()
    last_use: dict[Node, Node] = {input_: node for node in nodes for input_ in node.inputs}
    known: dict[Node, Array] = dict(zip(graph.inputs, values, strict=True))
    kept = set(graph.outputs)
    for node in nodes:
        if node in known:
            continue
        if node.op is INPUT:
            raise GraphError(f"{node!r} is not an input of this graph: a traced value was kept from another call")
        known[node] = run(node, [known[input_] for input_ in node.inputs])
        for input_ in set(node.inputs):
            if last_use[input_] is node and input_ not in kept:
                known.pop(input_, None)
    return [known[output] for output in graph.outputs]
