"""The protocol of layers, and the plain ones: Dense, Flatten, and any NumPy function. Knows no losses and no training.

A layer is a frozen record with two verbs: `init` draws its parameters for an input shape, `apply` computes. Shapes
here leave the batch axis out; arrays have it first.
"""

import itertools
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np

from fallline import ranges, tree
from fallline.arguments import record, shown
from fallline.arrays import plain
from fallline.errors import ArgumentError, ArgumentTypeError, FalllineError, NotCalled, ShapeError
from fallline.graph.inside import Inside
from fallline.graph.op import Array, Shape
from fallline.graph.trace import trace
from fallline.graph.where import defined_at
from fallline.nn import initial
from fallline.nn import layer_table as table
from fallline.nn.context import Context
from fallline.nn.forms import forms_of, is_shape, sizes, traced
from fallline.ops.view import reshape
from fallline.ranges import option, required, short
from fallline.tree import Tree

Generator = np.random.Generator
# Rows between which a settled unit begins at 0.
_BETWEEN = 5


@runtime_checkable
class Layer(Protocol):
    """A part of a network. `x` and `params` may be arrays or traced values: `apply` is plain NumPy."""

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        """Parameters (a tree of arrays, {} if none) for an input of this shape, and the shape that comes out."""
        ...

    # (params, x, context), or (params, x) for a layer that needs nothing of the context; types cannot say "or".
    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's output for a batch: x is (N, *shape). The context says whether the network is training."""
        ...


def is_layer(given: Any) -> TypeGuard[Layer]:
    """`isinstance(given, Layer)`, which takes 5 us, in a tenth of the time."""
    return getattr(given, "init", None) is not None and getattr(given, "apply", None) is not None


def rows_to_probe(*shapes: Shape) -> int:
    """Rows to trace a layer with: a number that no other axis has, so that it is known again in errors as N.

    One row would hide a lost batch axis in broadcasting.
    """
    sizes = {n for shape in shapes for n in shape}
    return next(n for n in itertools.count(3) if n not in sizes)


def started(layer: Layer, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
    """The result of `layer.init`, checked: a layer may be a user's, whose `init` may return anything.

    Errors: ArgumentTypeError for a value that is not (params, shape), and for parameters that are not real numbers.
    """
    if hasattr(layer, "apply_noisily"):
        raise ArgumentTypeError(
            f"{short(layer)} has an apply_noisily, which nothing calls: the context of apply says whether it trains\n"
            "  try: apply(self, params, x, context), with context.training and context.uniform(x.shape)"
        )
    with Inside(lambda: f"init of {short(layer)}", ours_pass=True, of=layer.init):
        made = layer.init(rng, shape, dtype)
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], tuple)):
        raise ArgumentTypeError(
            f"{short(layer)}: init returns {shown(made)}, not (params, shape)\n"
            "  try: def init(self, rng, shape, dtype): return {}, shape, for a layer without parameters"
        )
    for name, leaf in tree.items(made[0]):
        plain(leaf, f"{short(layer)}: its parameter {name!r}")
        if not (hasattr(leaf, "dtype") and leaf.dtype.kind in "fiub"):
            seen = getattr(leaf, "dtype", None) or type(leaf).__name__
            raise ArgumentTypeError(f"{short(layer)}: its parameter {name!r} is no array of real numbers but {seen}")
    return made


def spread_evenly(z: Any) -> Any:
    """The factor of each unit's weights, (units,), with which its outputs z, (N, units), have deviation 1."""
    deviation = z.std(axis=0)
    return np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 1.0)


def between_rows(z: Any, rng: Generator) -> Any:
    """For each unit its output at a random point between a few rows, (units,). z: (N, units)."""
    units = z.shape[1]
    rows, share = rng.integers(0, len(z), (_BETWEEN, units)), rng.dirichlet(np.ones(_BETWEEN), units).T
    return np.sum(share * z[rows, np.arange(units)], axis=0)


@table.layer(
    lambda: [
        (Dense(3), (4,)),
        (Dense(2, bias=False, initializer="he_normal"), (5,)),
        (Dense(3, tangent=True, bias_rate=0.1), (4,)),
    ]
)
@dataclass(frozen=True)
class Dense(NotCalled):
    """A fully connected layer: every output sees every input.

        y = x W + b                    x: (N, D), W: (D, units), b: (units,)
        y = x W / sqrt(D) + b          tangent

    units: outputs, >= 1; the inputs are counted when the network meets its data.
    bias: whether b is there; it starts at zero.
    tangent: the neural-tangent parametrisation: weights of variance 1 whatever D, so that one learning rate suits
        layers of all widths. bias_rate: >= 0, factor of the learning rate for b.
    settled: training begins with a look at training rows: each column of W is divided so that its outputs have
        deviation 1 on them, and b starts so that each unit is 0 at a random point between five of them.
    initializer: of W: a name of INITIALIZERS, a record such as Normal(0.01), or a function
        (rng, shape, fan_in, fan_out) -> array. None takes what suits the activation that follows: He for the ReLU
        family, LeCun for SELU, Glorot otherwise and where nothing follows; Normal(1.0) where tangent.
    Errors: ArgumentError for units out of range or an unknown name; ShapeError for inputs that are not rows.
    Example: Sequential(Dense(64), ReLU(), Dense(10))
    Source: tangent: Jacot, Gabriel, Hongler 2018, Neural tangent kernel, arXiv:1806.07572, section 2. settled:
    Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, section 3.2.
    """

    units: int = required("outputs", at_least=1, at_most=10**9, whole=True)
    _: KW_ONLY
    bias: bool = option(True, "whether b is there", flag=True)
    initializer: Any = None
    tangent: bool = option(False, "the neural-tangent parametrisation", flag=True)
    bias_rate: float = option(1.0, "factor of the learning rate for b", at_least=0)
    settled: bool = option(False, "training begins with a look at rows", flag=True)

    def __post_init__(self) -> None:
        ranges.check(self)
        if self.initializer is not None:
            initial.get(self.initializer)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        if not is_shape(shape):
            raise ShapeError(
                f"{short(self)} takes rows of features, (N, D), and meets several inputs, {with_batch(shape)}\n"
                "  try: a layer before it that joins them: lambda x: np.concatenate([x['a'], x['b']], axis=1)"
            )
        if len(shape) != 1:
            raise ShapeError(
                f"{short(self)} takes rows of features, (N, D), and meets an input of shape {with_batch(shape)}\n"
                f"  try: {'nn.Flatten() before it' if shape else 'x.reshape(-1, 1), for one feature'}"
            )
        (d,), k = shape, int(self.units)
        params = {"weight": drawn_weight(self, rng, d, "glorot_uniform").astype(dtype)}
        if self.bias:
            params["bias"] = np.zeros(k, dtype)
        return params, (k,)

    def settle(self, params: Tree, x: Any, rng: Generator) -> Tree:
        """The parameters to start from, from those that were drawn and the layer's inputs on some training rows."""
        if not self.settled:
            return params
        weight, bias = np.asarray(params["weight"], np.float64), params.get("bias")
        size = weight.shape[0] ** -0.5 if self.tangent else 1.0
        z = size * (np.asarray(x, np.float64) @ weight)
        factor = spread_evenly(z)
        found = {"weight": (weight * factor).astype(params["weight"].dtype)}
        if bias is None:
            return found
        point = between_rows(z * factor, rng)
        return {**found, "bias": (-point).astype(bias.dtype)}

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        weight = params["weight"]
        # NumPy would make float64 of int64 and float32: whole numbers are taken in the precision of the weights.
        y = (x if x.dtype.kind == "f" else x.astype(weight.dtype)) @ weight
        if self.tangent:
            y = y * weight.shape[0] ** -0.5
        if not self.bias:
            return y
        if self.bias_rate != 1 and context is not None:
            context.treat(params["bias"], rate=self.bias_rate)
        return y + params["bias"]


def drawn_weight(layer: Any, rng: Generator, d: int, usual: str) -> Array:
    """The first weights of a layer with units, initializer and tangent, (d, units) float64, or as they are drawn.

    usual: the initialiser of a layer that names none, in the standard parametrisation. Weights are drawn in float64 and
    rounded by the caller, so that both precisions start from the same numbers.
    Errors: ShapeError, ArgumentTypeError for what an initialiser returns.
    """
    draw = initial.get(layer.initializer or (initial.Normal(1.0) if layer.tangent else usual))
    form = (d, int(layer.units))
    with Inside(lambda: f"the initialiser of {short(layer)}", ours_pass=True):
        drawn = draw(rng, form, *form)
    plain(drawn, f"{short(layer)}: what its initialiser returns")
    weight = np.asarray(drawn)
    if weight.shape != form:
        raise ShapeError(f"{short(layer)}: its initialiser returns shape {weight.shape}, not {form}")
    if weight.dtype.kind not in "fiub":
        raise ArgumentTypeError(f"{short(layer)}: its initialiser returns {weight.dtype}, not real numbers")
    return weight


@table.layer(lambda: [(Flatten(), (2, 3)), (Flatten(), (4,))])
@dataclass(frozen=True)
class Flatten(NotCalled):
    """Each sample laid out as one row, the last axis fastest: (N, H, W) becomes (N, H W).

    Errors: none; rows of one axis stay as they are.
    Example: Sequential(Flatten(), Dense(10))
    """

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        return {}, (int(np.prod(shape, dtype=np.int64)),)

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        return reshape(x, shape=(x.shape[0], int(np.prod(x.shape[1:], dtype=np.int64))))


@table.layer(lambda: [(Function(np.sin), (4,))], in_files=False)
@record
@dataclass(frozen=True)
class Function(NotCalled):
    """A layer without parameters from a function of a batch written in NumPy: Function(np.sin).

    function: (N, *shape) -> (N, *out); rows must not mix. Values that it closes over are read when a model trains or
        first predicts. A network that holds one cannot be saved as a file.
    Errors: TraceError where the function cannot be traced; ShapeError where it loses the batch axis.
    """

    function: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ArgumentTypeError(f"Function takes a function of a batch, got {self.function!r}")

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        y, n = self._traced(shape, dtype)
        if not y.shape or y.shape[0] != n:
            raise ShapeError(
                f"{short(self)} turns a batch of shape {with_batch(shape)}, tried with N = {n}, into {tuple(y.shape)}\n"
                f"  at {defined_at(self.function)}\n"
                "  try: a function that keeps the first axis, one row of output for each row of input"
            )
        return {}, tuple(y.shape[1:])

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        y, dtype = self.function(x), getattr(x, "dtype", None)
        if dtype is None or dtype.kind != "f":
            return y
        # An array of constants inside the function is float64 unless it says otherwise.
        return y if getattr(y, "dtype", dtype) == dtype else y.astype(dtype)

    def _traced(self, shape: Shape, dtype: Any) -> tuple[Any, int]:
        """The output for a number of rows, and that number. Inputs that are positions only exist as whole numbers."""
        refused: Exception | None = None
        for kind in (dtype, np.dtype(np.int64)):
            forms = forms_of(shape, {}, kind)
            n = rows_to_probe(*sizes(forms))
            x, nodes = traced(forms, n)
            function = self.function if is_shape(shape) else partial(_of_several, self.function, forms)
            try:
                with Inside(lambda: short(self), {"its input": x}, "its input", of=self.function):
                    _, y = trace(function, nodes, kept=True)
                return y, n
            except FalllineError as error:
                refused = refused or error
        assert refused is not None
        raise refused


def _of_several(function: Callable[[Any], Any], forms: Tree, *values: Any) -> Any:
    return function(tree.unflatten(forms, list(values)))


def check_parts(params: Tree, count: int, of: str) -> None:
    """Raise unless params are a list or tuple with an entry for each of so many layers."""
    if not isinstance(params, list | tuple) or len(params) != count:
        seen = f"{len(params)} entries" if hasattr(params, "__len__") else type(params).__name__
        raise ArgumentError(f"params have {seen}, and the {of} has {count} layers\n  try: a tree like model.params")


def with_batch(shape: Any) -> str:
    """A sample's shape as the shape of a batch, in text: (N, 28, 28); of several inputs, {age: (N, 1), ...}."""
    if isinstance(shape, dict):
        return f"{{{', '.join(f'{name}: {with_batch(part)}' for name, part in shape.items())}}}"
    if any(isinstance(part, tuple | dict) for part in shape):
        return f"({', '.join(map(with_batch, shape))})"
    return f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"


def as_layer(given: Any, place: int) -> Layer:
    """The layer itself, or a plain function as one; anything else is refused."""
    if isinstance(given, type):
        raise ArgumentTypeError(f"layer {place} is the class {given.__name__}\n  try: {given.__name__}(...)")
    check_no_model(given, f"layer {place}")
    if is_layer(given):
        return given
    if callable(getattr(given, "function", None)) and hasattr(given, "prepare"):
        raise ArgumentTypeError(f"layer {place} is the loss {short(given)}\n  try: loss={short(given)} in fit or train")
    if callable(given):
        return Function(given)
    raise ArgumentTypeError(
        f"layer {place} is {given!r:.80}, which is no layer: it needs init(rng, shape, dtype) and "
        "apply(params, x, context)"
    )


def check_no_model(given: Any, what: str, instead: str = "") -> None:
    """Raise for a model or a run, which have `init` or a network too, where a layer is asked for."""
    model = getattr(given, "model", given)
    if hasattr(model, "theta") and is_layer(getattr(model, "network", None)):
        source = "run.model.network" if model is not given else "model.network"
        raise ArgumentTypeError(
            f"{what} is a {type(given).__name__}, which holds parameters of its own; a layer draws them when it "
            f"meets its data\n  try: {instead}{source}, the layers alone; predict_proba(x), for probabilities"
        )
