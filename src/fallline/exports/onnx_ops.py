"""The form of each op in ONNX, one entry an op. A network with an op that has none is refused by the op's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.exports.onnx_writer import Writer
from fallline.graph.node import Node

INT = np.dtype(np.int64)
# Dtypes for which runtimes have all arithmetic; others are computed in int64, which wraps around as they do.
COMPUTED = ("float32", "float64", "int32", "int64")
LN2, LN10 = float(np.log(2)), float(np.log(10))
FIRST, LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Call:
    """A node to be written. inputs: names of their values. twin: the same node for another number of rows."""

    node: Node
    twin: Node
    inputs: list[str]

    def sizes(self, w: Writer, name: str) -> Any:
        """An attribute that is a shape, as a vector."""
        return w.sizes(self.node.attrs[name], self.twin.attrs[name])

    def shape(self, w: Writer) -> Any:
        """The shape of the result, as a vector."""
        return w.sizes(self.node.shape, self.twin.shape)


Form = Callable[[Writer, Call], str]


@dataclass(frozen=True, slots=True)
class Entry:
    """How one op is written.

    single: runtimes have it for float32 alone, so float64 is rounded for it. typed: inputs of the dtype of the one at
    the place `like` are brought to a dtype that runtimes compute in.
    """

    form: Form
    single: bool = False
    typed: bool = True
    like: int = 0


def of(function: Callable[..., str], **facts: Any) -> Entry:
    """An entry whose form needs its inputs alone."""
    return Entry(lambda w, call: function(w, *call.inputs), **facts)


def plain(op: str, **facts: Any) -> Entry:
    """An entry of one node of ONNX with the same inputs."""
    return of(lambda w, *inputs: w.add(op, inputs), **facts)


def code_of(dtype: Any) -> int:
    """The number that stands for a dtype in ONNX."""
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def cast(w: Writer, x: str, dtype: Any) -> str:
    return w.Cast(x, to=code_of(dtype))


def where(w: Writer, condition: str, a: Any, b: Any) -> str:
    return w.Where(condition, a, b)


def is_nan(w: Writer, x: str) -> str:
    return w.Not(w.Equal(x, x))


def expm1(w: Writer, x: str) -> str:
    # (e^x - 1) = tanh(x / 2) (e^x + 1), exact near 0.
    return w.Mul(w.Tanh(w.Mul(x, 0.5)), w.Add(w.Exp(x), 1.0))


def log1p(w: Writer, x: str) -> str:
    # The rounding of 1 + x is undone by a quotient (Kahan).
    u = w.Add(x, 1.0)
    d = w.Sub(u, 1.0)
    whole, none = w.Equal(x, d), w.Equal(d, 0.0)
    quotient = where(w, whole, 1.0, w.Div(x, where(w, none, 1.0, d)))
    return where(w, none, x, w.Mul(w.Log(u), quotient))


def logaddexp(w: Writer, a: str, b: str) -> str:
    gap = where(w, w.Equal(a, b), 0.0, w.Sub(a, b))
    return w.Add(w.Max(a, b), log1p(w, w.Exp(w.Neg(w.Abs(gap)))))


def hypot(w: Writer, a: str, b: str) -> str:
    a, b = w.Abs(a), w.Abs(b)
    long, short = w.Max(a, b), w.Min(a, b)
    plain_case = w.And(w.Greater(long, 0.0), w.Less(long, float("inf")))
    ratio = w.Div(short, where(w, plain_case, long, 1.0))
    return where(w, plain_case, w.Mul(long, w.Sqrt(w.Add(w.Mul(ratio, ratio), 1.0))), long)


def arctan2(w: Writer, y: str, x: str) -> str:
    # The angle of the point with |x| and |y| exchanged where |y| is longer, so that no quotient overflows.
    along, across = w.Abs(x), w.Abs(y)
    steep = w.Greater(across, along)
    long, short = w.Max(along, across), w.Min(along, across)
    angle = w.Atan(w.Div(short, where(w, w.Equal(long, 0.0), 1.0, long)))
    angle = where(w, steep, w.Sub(np.pi / 2, angle), angle)
    angle = where(w, w.Less(x, 0.0), w.Sub(np.pi, angle), angle)
    return where(w, w.Less(y, 0.0), w.Neg(angle), angle)


def logistic_loss(w: Writer, z: str, t: str) -> str:
    first = where(w, w.Greater(z, 0.0), w.Mul(z, w.Sub(1.0, t)), w.Neg(w.Mul(z, t)))
    return w.Add(first, log1p(w, w.Exp(w.Neg(w.Abs(z)))))


def floor(w: Writer, x: str) -> str:
    return w.Floor(x) if w.dtype.kind == "f" else w.Identity(x)


def remainder(w: Writer, a: str, b: str) -> str:
    if w.dtype.kind != "f":
        return w.Mod(a, b)
    rest = w.Mod(a, b, fmod=1)
    turned = w.And(w.Not(w.Equal(rest, 0.0)), w.Xor(w.Less(rest, 0.0), w.Less(b, 0.0)))
    return where(w, turned, w.Add(rest, b), rest)


def floor_divide(w: Writer, a: str, b: str) -> str:
    if w.dtype.kind == "f":
        # Of the remainder, so that rounding does not lift a quotient to the next whole number.
        return w.Round(w.Div(w.Sub(a, remainder(w, a, b)), b))
    quotient = w.Div(a, b)
    rest = w.Sub(a, w.Mul(quotient, b))
    below = w.And(w.Not(w.Equal(rest, 0)), w.Xor(w.Less(rest, 0), w.Less(b, 0)))
    return where(w, below, w.Sub(quotient, 1), quotient)


def reshape(w: Writer, call: Call) -> str:
    sizes, others = call.node.attrs["shape"], call.twin.attrs["shape"]
    open_ = [i for i, (n, m) in enumerate(zip(sizes, others, strict=True)) if n != m]
    if 0 in sizes:
        return w.Reshape(call.inputs[0], call.sizes(w, "shape"), allowzero=1)
    if len(open_) == 1:
        return w.Reshape(call.inputs[0], np.array([-1 if i in open_ else n for i, n in enumerate(sizes)]))
    return w.Reshape(call.inputs[0], call.sizes(w, "shape"))


def expand(w: Writer, call: Call) -> str:
    x, y = (call.node.inputs[0], call.twin.inputs[0]), (call.node, call.twin)
    lead = len(y[0].shape) - len(x[0].shape)
    # A size that the value has already is written as 1, which keeps it.
    sizes = [
        tuple(1 if i >= lead and its.shape[i - lead] == n else n for i, n in enumerate(one.shape))
        for its, one in zip(x, y, strict=True)
    ]
    return w.Expand(call.inputs[0], w.sizes(*sizes))


def slice_(w: Writer, call: Call) -> str:
    shape, attrs, others = call.node.inputs[0].shape, call.node.attrs, call.twin.attrs
    bounds = [*zip(*(attrs[name] for name in ("starts", "stops", "steps")), strict=True)]
    axes = [i for i, (n, bound) in enumerate(zip(shape, bounds, strict=True)) if bound != (0, n, 1)]
    if not axes:
        return w.Identity(call.inputs[0])
    starts = w.sizes([attrs["starts"][i] for i in axes], [others["starts"][i] for i in axes])
    # Python's "before the first" is -1 in our attributes, which ONNX would count from the end.
    stops = [[FIRST if of["stops"][i] < 0 else of["stops"][i] for i in axes] for of in (attrs, others)]
    return w.Slice(call.inputs[0], starts, w.sizes(*stops), np.array(axes), np.array([attrs["steps"][i] for i in axes]))


def place(w: Writer, call: Call) -> str:
    """Zeros around the value, and between its elements where the step is not 1."""
    (x,), node, twin = call.inputs, call.node, call.twin
    before, after, others = [], [], []
    bounds = zip(node.inputs[0].shape, node.attrs["starts"], node.attrs["steps"], strict=True)
    for axis, (n, start, step) in enumerate(bounds):
        extent = (n - 1) * abs(step) + 1 if n else 0
        low = start if step > 0 else start - extent + 1
        if abs(step) > 1 and n:
            x = spaced(w, x, len(node.shape), axis, abs(step), extent)
        if step < 0:
            x = w.Slice(x, np.array([-1]), np.array([FIRST]), np.array([axis]), np.array([-1]))
        before.append(low if n else 0)
        after.append(node.shape[axis] - before[-1] - extent)
        size = twin.inputs[0].shape[axis]
        others.append(twin.shape[axis] - (twin.attrs["starts"][axis] if size else 0) - size if size != n else after[-1])
    pads = w.sizes([*before, *after], [*before, *others])
    return w.Pad(x, pads, w.constant(np.zeros((), w.dtype)))


def spaced(w: Writer, x: str, axes: int, axis: int, step: int, extent: int) -> str:
    """The elements along an axis with zeros between them."""
    x = w.Unsqueeze(x, np.array([axis + 1]))
    pads = np.zeros(2 * (axes + 1), np.int64)
    pads[axes + 1 + axis + 1] = step - 1
    x = w.Pad(x, pads, w.constant(np.zeros((), w.dtype)))
    shape = [0] * axes
    shape[axis] = -1
    # Two axes become one: the sizes after them move up by one place, so they are read from the value.
    sizes = w.Shape(x)
    kept = [w.Slice(sizes, np.array([i + (i > axis)]), np.array([i + (i > axis) + 1])) for i in range(axes)]
    kept[axis] = w.value(np.array([-1]))
    x = w.Reshape(x, w.Concat(*kept, axis=0) if axes > 1 else kept[0])
    return w.Slice(x, np.array([0]), np.array([extent]), np.array([axis]))


def fold(op: str) -> Form:
    """A reduction whose axes are an attribute, as they are at this opset."""

    def form(w: Writer, call: Call) -> str:
        keep = int(call.node.attrs.get("keepdims", False))
        return w.add(op, call.inputs, axes=[*call.node.attrs["axes"]], keepdims=keep)

    return form


def total(w: Writer, call: Call) -> str:
    keep = int(call.node.attrs.get("keepdims", False))
    axes = np.array(call.node.attrs["axes"], np.int64)
    return w.ReduceSum(call.inputs[0], axes, keepdims=keep) if axes.size else w.Identity(call.inputs[0])


def extreme(op: str) -> Form:
    """The greatest or smallest element, and NaN where one is: runtimes disagree on that."""

    def form(w: Writer, call: Call) -> str:
        if not call.node.attrs["axes"]:
            return w.Identity(call.inputs[0])
        found = fold(op)(w, call)
        if w.dtype.kind != "f":
            return found
        lost = w.Cast(is_nan(w, call.inputs[0]), to=code_of(w.dtype))
        keep = int(call.node.attrs.get("keepdims", False))
        lost = w.ReduceMax(lost, axes=[*call.node.attrs["axes"]], keepdims=keep)
        return where(w, w.Greater(lost, 0.0), float("nan"), found)

    return form


def place_of(op: str) -> Form:
    def form(w: Writer, call: Call) -> str:
        keep = int(call.node.attrs.get("keepdims", False))
        return w.add(op, call.inputs, axis=call.node.attrs["axes"][0], keepdims=keep)

    return form


def cumprod(w: Writer, call: Call) -> str:
    """By doubling: after a step, each element is the product of twice as many before it."""
    (x,), axis, by = call.inputs, call.node.attrs["axis"], 1
    n = call.node.shape[axis]
    while by < n:
        sizes = [list(one.shape) for one in (call.node, call.twin)]
        for one in sizes:
            one[axis] = by
        ones = w.Expand(w.constant(np.ones((1,) * len(sizes[0]), w.dtype)), w.sizes(*sizes))
        before = w.Slice(x, np.array([0]), np.array([n - by]), np.array([axis]))
        x, by = w.Mul(x, w.Concat(ones, before, axis=axis)), 2 * by
    return x


def argsort(w: Writer, call: Call) -> str:
    axis = call.node.attrs["axis"]
    count = w.sizes([call.node.shape[axis]], [call.twin.shape[axis]])
    wishes = [w.local("sorted"), w.local("order")]
    return w.several("TopK", [call.inputs[0], count], wishes, axis=axis, largest=0, sorted=1)[1]


def scatter_add(w: Writer, call: Call) -> str:
    g, index = call.inputs
    axis, count = call.node.attrs["axis"], len(call.node.inputs[1].shape)
    axes = len(call.node.shape)
    # The picked axis in front, then back to its place.
    there = [axis, *(i for i in range(axes) if i != axis)]
    sizes = [[one.shape[i] for i in there] for one in (call.node, call.twin)]
    zeros = w.Expand(w.constant(np.zeros((1,) * axes, w.dtype)), w.sizes(*sizes))
    source = [*range(axis, axis + count), *(i for i in range(axes - 1 + count) if not axis <= i < axis + count)]
    found = w.ScatterND(zeros, w.Unsqueeze(index, np.array([count])), w.Transpose(g, perm=source), reduction="add")
    return w.Transpose(found, perm=[int(i) for i in np.argsort(there)])


FORMS: Mapping[str, Entry] = {
    "add": plain("Add"),
    "subtract": plain("Sub"),
    "multiply": plain("Mul"),
    "divide": plain("Div"),
    "negative": plain("Neg"),
    "square": of(lambda w, x: w.Mul(x, x)),
    "sqrt": plain("Sqrt"),
    "root": plain("Sqrt"),
    "absolute": plain("Abs"),
    "sign": plain("Sign"),
    "floor": of(floor),
    "rint": plain("Round"),
    "relu": of(lambda w, x: w.Max(x, 0.0 if w.dtype.kind == "f" else 0)),
    "maximum": plain("Max"),
    "minimum": plain("Min"),
    "less": plain("Less"),
    "less_equal": plain("LessOrEqual"),
    "equal": plain("Equal"),
    "not_equal": of(lambda w, a, b: w.Not(w.Equal(a, b))),
    "logical_and": plain("And", typed=False),
    "logical_or": plain("Or", typed=False),
    "logical_not": plain("Not", typed=False),
    "where": plain("Where", like=1),
    "cast": Entry(lambda w, call: cast(w, call.inputs[0], call.node.dtype), typed=False),
    "alias": of(lambda w, x: x, typed=False),
    "stop_gradient": of(lambda w, x: x, typed=False),
    "reshape": Entry(reshape, typed=False),
    "transpose": Entry(lambda w, call: w.Transpose(call.inputs[0], perm=[*call.node.attrs["axes"]]), typed=False),
    "slice": Entry(slice_, typed=False),
    "place": Entry(place),
    "join": Entry(lambda w, call: w.Concat(*call.inputs, axis=call.node.attrs["axis"]), typed=False),
    "broadcast_to": Entry(expand, typed=False),
    "sum": Entry(total),
    "max": Entry(extreme("ReduceMax")),
    "min": Entry(extreme("ReduceMin")),
    "argmax": Entry(place_of("ArgMax")),
    "argmin": Entry(place_of("ArgMin")),
    "cumsum": Entry(lambda w, call: w.CumSum(call.inputs[0], np.array(call.node.attrs["axis"]))),
    "cumprod": Entry(cumprod),
    "argsort": Entry(argsort),
    "contract": plain("MatMul"),
    "contract_onto": of(lambda w, start, a, b: w.Add(start, w.MatMul(a, b))),
    "floor_divide": of(floor_divide),
    "remainder": of(remainder),
    "gather": Entry(lambda w, call: w.Gather(*call.inputs, axis=call.node.attrs["axis"]), typed=False),
    "scatter_add": Entry(scatter_add),
    "power": plain("Pow"),
    "exp": plain("Exp"),
    "exp2": of(lambda w, x: w.Pow(2.0, x)),
    "log": plain("Log"),
    "log2": of(lambda w, x: w.Div(w.Log(x), LN2)),
    "log10": of(lambda w, x: w.Div(w.Log(x), LN10)),
    "expm1": of(expm1),
    "log1p": of(log1p),
    "sin": plain("Sin"),
    "cos": plain("Cos"),
    "tan": of(lambda w, x: w.Div(w.Sin(x), w.Cos(x))),
    "tanh": plain("Tanh"),
    "sinh": plain("Sinh", single=True),
    "cosh": plain("Cosh", single=True),
    "arcsin": plain("Asin", single=True),
    "arccos": plain("Acos", single=True),
    "arctan": plain("Atan", single=True),
    "hypot": of(hypot),
    "arctan2": of(arctan2, single=True),
    "logaddexp": of(logaddexp),
    "erf": plain("Erf", single=True),
    "sigmoid": plain("Sigmoid"),
    "logistic_loss": of(logistic_loss),
}
