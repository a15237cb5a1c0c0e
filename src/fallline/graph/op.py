"""The Op record, the table of all ops, and the kinds. Knows no single op and nothing of NumPy's dispatch.

An op is one statement: its meaning (run by the reference), shape rule, gradient rule, batching, kernel facts and
test domain stand together. Passes and lowering ask for an op's kind and facts, never for its name.
"""

import enum
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fallline.errors import GraphError

Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[Any]]
# A rule takes the nodes (g, y, *inputs, **attrs) and returns one gradient, a node or None, per input.
GradRule = Callable[..., tuple[Any, ...]]
InferRule = Callable[..., tuple[Shape, np.dtype[Any]]]
# The value of an attribute when the arrays get an axis of N rows in front, from its value and N.
Lead = Callable[[Any, int], Any]


class Kind(enum.Enum):
    """The fact that passes and the lowering need about an op."""

    SOURCE = "source"  # inputs and constants
    ELEMENTWISE = "elementwise"  # equal shapes after broadcasting, equal input dtypes, one result per element
    CAST = "cast"  # another dtype, same shape
    VIEW = "view"  # same elements under other strides: no work at all
    REDUCTION = "reduction"  # one or several axes folded
    SCAN = "scan"  # along one axis, same shape out
    CONTRACTION = "contraction"  # batched matrix product
    GATHER = "gather"  # elements picked by an integer array
    SCATTER = "scatter"  # elements added where an integer array says
    JOIN = "join"  # several arrays laid into one
    LOOP = "loop"  # a graph of its own (graph/body.py), run once for each row


def unchanged(value: Any, n: int) -> Any:
    return value


def one_later(axis: Any, n: int) -> Any:
    """An axis, or several, behind the new one; those counted from the end stay what they are."""
    if isinstance(axis, tuple):
        return tuple([one_later(each, n) for each in axis])
    return axis + 1 if axis >= 0 else axis


def of_rows(lengths: Shape, n: int) -> Shape:
    """Lengths of axes with that of the new one."""
    return (n, *lengths)


def first(value: int) -> Lead:
    """One number an axis, with this for the new one."""
    return lambda values, n: (value, *values)


# Changes of the attributes of all ops of a kind. Ops of a kind that is not here, and ops with further attributes,
# say it themselves.
BATCH: Mapping[Kind, Mapping[str, Lead]] = {
    Kind.SOURCE: {"value": unchanged},
    Kind.ELEMENTWISE: {},
    Kind.CAST: {"dtype": unchanged},
    Kind.REDUCTION: {"axes": one_later, "keepdims": unchanged},
    Kind.SCAN: {"axis": one_later},
    Kind.CONTRACTION: {},
    Kind.GATHER: {"axis": one_later},
    Kind.SCATTER: {"axis": one_later, "size": unchanged},
    Kind.LOOP: {"body": unchanged, "dtype": unchanged},  # passes/batch.py makes another body
}


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One primitive operation. Calling it builds a node, or computes at once when no argument is a node."""

    name: str
    kind: Kind
    doc: str
    meaning: Callable[..., Array]
    infer: InferRule
    grad: GradRule | None  # None is written where an op has no gradient; there is no silent zero
    domain: Any = None  # how tests draw arguments for it
    scalar: Callable[..., Any] | None = None  # an element's result as plain arithmetic, where faster than the meaning
    lift: Callable[..., tuple[Any, ...]] | None = None  # how arguments become nodes (dtype promotion)
    facts: dict[str, Any] = field(default_factory=dict)  # e.g. identity=1, commutes=True: for simplify
    floats: str = ""  # of floats of one dtype, taken as they are: "same" or "bool", what comes out; "": ask the rules
    batch: Mapping[str, Lead] | None = None  # its attributes for many rows; None: by its kind

    arrays: tuple[int, float] = field(init=False)  # how many it takes at least and at most
    leads: Mapping[str, Lead] = field(init=False)  # each attribute for many rows

    __call__: ClassVar[Callable[..., Any]]  # set by node.py, which stands on this file

    def __post_init__(self) -> None:
        code, defaults = self.meaning.__code__, self.meaning.__defaults__ or ()
        most = math.inf if code.co_flags & inspect.CO_VARARGS else code.co_argcount
        object.__setattr__(self, "arrays", (code.co_argcount - len(defaults), most))
        attributes = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        object.__setattr__(self, "leads", leads_of(self, attributes))

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def leads_of(op: Op, attributes: Sequence[str]) -> Mapping[str, Lead]:
    """The change of each of an op's attributes when its arrays get an axis of rows, by its kind and its own word.

    Errors: GraphError, with the op's name, where neither says it.
    """
    said = {**BATCH.get(op.kind, {}), **(op.batch or {})}
    missing = [name for name in attributes if name not in said]
    if not missing and (op.batch is not None or op.kind in BATCH):
        return said
    what = f"what becomes of its attribute {missing[0]!r}" if missing else f"that it, a {op.kind.value}, stays the same"
    stated = ", ".join(f"{name!r}: ..." for name in missing)
    raise GraphError(
        f"op {op.name!r} does not say {what} when its arrays get an axis of rows in front\n"
        f"  try: batch={{{stated}}} in its declaration; one_later of an axis, of_rows of a shape, unchanged of the rest"
    )


TABLE: dict[str, Op] = {}
# NumPy's callable (ufunc, or public function) -> its counterpart on nodes: an op or a composite of ops.
NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}
# The same for functions met by name only, because their library must not be imported (scipy.special's ufuncs).
NAMED: dict[str, Callable[..., Any]] = {}


def register(op: Op, numpy: tuple[Callable[..., Any], ...] = (), named: tuple[str, ...] = ()) -> Op:
    """Put an op into the table, under the NumPy callables and the names that mean it."""
    if op.name in TABLE:
        raise GraphError(f"op {op.name!r} is declared twice")
    TABLE[op.name] = op
    stands_for(op, numpy, named)
    return op


def stands_for(
    function: Callable[..., Any], numpy: tuple[Callable[..., Any], ...] = (), named: tuple[str, ...] = ()
) -> None:
    """Let `function` answer for these NumPy callables and names when one of their arguments is a node."""
    for original in numpy:
        if original in NUMPY:
            raise GraphError(f"numpy.{getattr(original, '__name__', original)} is declared twice")
        NUMPY[original] = function
    for name in named:
        if name in NAMED:
            raise GraphError(f"{name!r} is declared twice")
        NAMED[name] = function
