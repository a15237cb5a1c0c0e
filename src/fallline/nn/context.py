"""The context of a layer's `apply`: whether the network is training, random numbers, kept parameters and notes.

A container hands the context on to the layers inside it. Knows no single layer.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import NAME, Form, record, shown, takes
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.graph.calls import call_numbers
from fallline.graph.inside import Inside
from fallline.graph.node import Node
from fallline.graph.where import Where, defined_at, here
from fallline.nn.theta import FROZEN, KEPT, Layout, exactly
from fallline.ops.random import Noise
from fallline.ops.view import alias, stop_gradient
from fallline.ranges import short
from fallline.tree import Tree


def _is_size(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def _is_key(value: Any) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return getattr(getattr(value, "dtype", None), "kind", "") in ("i", "u") and getattr(value, "shape", None) == ()


_SIZES = Form("a shape, a tuple of whole numbers", lambda given: isinstance(given, tuple) and all(map(_is_size, given)))
_KEY = Form("a whole number", _is_key)
_WHOLE = Form("a whole number", lambda given: isinstance(given, int | np.integer))
_FACTOR = Form(
    "a factor >= 0",
    lambda given: isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < np.inf,
    optional=True,
)
_LAYER = Form("a layer", lambda given: callable(getattr(given, "apply", None)) and not isinstance(given, type))
_TREE = Form("a tree of arrays", lambda given: all(hasattr(leaf, "dtype") for leaf in tree.leaves(given)))
_ARRAY = Form("an array", lambda given: hasattr(given, "dtype") and hasattr(given, "shape"))


def _precision(dtype: Any) -> Any:
    try:
        found = np.dtype(dtype)
    except Exception:  # NumPy raises errors of several kinds
        found = np.dtype(object)
    if found not in (np.float32, np.float64):
        raise ArgumentError(f'dtype is "float32" or "float64", got {shown(dtype)}')
    return found


@dataclass(slots=True)
class _Records:
    """The calls that the contexts of one pass through a network have seen, by the identity of the parameter."""

    mode_was_read: bool = False
    calls: int = field(default_factory=lambda: len(call_numbers()))
    kept: dict[int, tuple[Any, Any, Where]] = field(default_factory=dict)
    frozen: dict[int, tuple[Any, Where]] = field(default_factory=dict)
    factors: dict[int, tuple[Any, Mapping[str, float], Where]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    answers: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    watch: Callable[[str, Any, Any], Any] | None = None

    def one_of_many(self) -> bool:
        """Whether what is computed now has a value for each row of a vmap, or each turn of a scan, inside the pass."""
        return len(call_numbers()) > self.calls


@record
class Context:
    """The third argument of a layer's `apply`: how the network is used in this pass.

    training: whether this pass is one of a training step; False while predicting and evaluating.
    key: a whole number, or a traced one, from which all random numbers of a training pass follow; layers that draw some
        need it. dtype: of them, the network's precision. progress: the share of the training that is done, 0..1.
    path: of the layer in its network, such as "2", or "" for the whole network.

    Layers read `training`, draw by `uniform`, `normal` and `integers`, and call `keep`, `note` and `answer`. Training
    and `Model` make contexts; for a training loop of one's own, make one per step and read `kept` after the pass:

    Example: y = model.network.apply(params, x, nn.Context(training=True, key=step))
    """

    __slots__ = ("_noise", "_progress", "_records", "_training", "dtype", "path")

    def __init__(self, training: bool = False, key: Any = None, dtype: Any = None, progress: Any = None) -> None:
        is_flag = isinstance(training, bool | np.bool_)
        wrong = [] if is_flag else [f"training has to be True or False, got {shown(training)}"]
        wrong += [f"key {problem}" for problem in (None if key is None else _KEY.problem(key),) if problem]
        if wrong:
            raise ArgumentTypeError("Context: " + "\n  and ".join(wrong))
        self._training, self.path, self._records = bool(training), "", _Records()
        self._progress = progress
        self.dtype = None if dtype is None else _precision(dtype)
        self._noise = Noise(key, self.dtype or np.dtype(np.float32)) if training and key is not None else None

    def __repr__(self) -> str:
        return f"Context(training={self._training}{f', path={self.path!r}' if self.path else ''})"

    @property
    def training(self) -> bool:
        """Whether the network is training in this pass."""
        self._records.mode_was_read = True
        return self._training

    @property
    def progress(self) -> Any:
        """The share of the training that is done before this step, 0..1, float64: for what changes over a training.

        Errors: ArgumentError outside training, so a layer asks `context.training` first; and where nobody knows how
        many steps there will be.
        """
        if self._progress is None:
            why = "the number of steps of this training is not known" if self._training else "this pass predicts"
            raise ArgumentError(
                f"context.progress: {why}\n  at {here()}\n"
                "  try: if context.training: around it; nn.Context(training=True, key=step, progress=step / steps)"
            )
        return np.minimum(self._progress, 1.0)

    @takes(shape=_SIZES)
    def uniform(self, shape: Any) -> Any:
        """Random numbers spread evenly over 0..1, one for each place of an array of this shape.

        Every call, step and place has others, and so has every turn of scan and row of vmap; they follow from the seed
        of the training alone. Numbers drawn before a loop are the same in all its turns.
        Errors: ArgumentError outside training, so a layer asks `context.training` first, and without a key.
        """
        return self._draw("uniform")(shape)

    @takes(shape=_SIZES)
    def normal(self, shape: Any) -> Any:
        """Random numbers of the standard normal law, otherwise as `uniform`."""
        return self._draw("normal").normal(shape)

    @takes(shape=_SIZES, low=_WHOLE, high=_WHOLE)
    def integers(self, shape: Any, low: int, high: int) -> Any:
        """Random whole numbers in low..high - 1, otherwise as `uniform`."""
        return self._draw("integers").integers(shape, low, high)

    def _draw(self, name: str) -> Noise:
        if self._training and self._noise is None:
            raise ArgumentError(
                f"context.{name}: random numbers follow from a key, another one in every step, and this context has "
                f"none\n  at {here()}\n  try: nn.Context(training=True, key=np.int64(step))"
            )
        if self._noise is None:
            raise ArgumentError(
                f"context.{name}: random numbers are drawn while training, and this pass predicts\n  at {here()}\n"
                "  try: if context.training: around it"
            )
        return self._noise

    @takes()
    def keep(self, leaf: Any, new: Any) -> None:
        """Let a parameter have a new value after this training step, written by its layer instead of the optimizer.

        leaf: one of the arrays in `params`, itself and not something computed from it. new: its next value, of the
        same shape; cast to the parameter's dtype. The current value stays in use during this pass.
        Errors: ArgumentError outside training, for a value that is no parameter, for one that is kept twice in a pass,
            and where the new value is one of many, of a row of fl.vmap or a turn of fl.scan. ShapeError for another
            shape.
        """
        if not self._training:
            raise ArgumentError(
                "context.keep: parameters are written while training, and this pass predicts\n"
                f"  at {here()}\n  try: if context.training: around it"
            )
        if self._records.one_of_many():
            raise ArgumentError(
                "context.keep: the new value is one of many, as it is made inside a function given to fl.vmap or "
                f"fl.scan\n  at {here()}\n"
                "  try: context.keep outside of it, with what it returns; or all rows at once, x.reshape(-1, D)"
            )
        if not hasattr(leaf, "dtype"):
            raise ArgumentTypeError(f"context.keep takes a parameter, an array in params, got {shown(leaf)}")
        if not hasattr(new, "dtype") and not isinstance(new, int | float):
            raise ArgumentTypeError(f"context.keep: the new value is an array, got {shown(new)}")
        if tuple(np.shape(new)) != tuple(leaf.shape):
            raise ShapeError(f"context.keep: the parameter has shape {tuple(leaf.shape)}, the new value "
                             f"{tuple(np.shape(new))}\n  at {here()}")  # fmt: skip
        if id(leaf) in self._records.kept:
            raise ArgumentError(f"context.keep: a parameter is kept twice in one pass\n  at {here()}")
        new = new if hasattr(new, "astype") else np.asarray(new)
        value = new if new.dtype == leaf.dtype else new.astype(leaf.dtype)
        self._records.kept[id(leaf)] = leaf, value, here()

    @takes(name=NAME, value=_ARRAY)
    def note(self, name: str, value: Any) -> None:
        """Give a value inside a layer a name, under which gauges and taps find it; it changes nothing else.

        name: within the layer; the path of the layer comes before it, "2.saturation". A name that is there already
        gets a number, "2.saturation.1". value: an array or a traced value. Inside a function given to fl.vmap or
        fl.scan there is no single one, so none is noted.
        """
        if self._records.one_of_many():
            return
        full = f"{self.path}.{name}" if self.path else str(name)
        taken, count = full, 0
        while full in self._records.notes:
            count += 1
            full = f"{taken}.{count}"
        self._records.notes[full] = value

    @takes(output=_ARRAY, members=_ARRAY)
    def answer(self, output: Any, members: Any) -> None:
        """Say that an output is the average of several members' outputs. Where it is the output of the whole network,
        a training step minimises the mean of their losses.

        output: (N, *shape), what `apply` returns. members: (k, N, *shape).
        """
        self._records.answers[id(output)] = output, members

    def answers(self, output: Any) -> Any:
        """The outputs of the members, (k, N, *shape), whose average an output is; None for any other output."""
        found = self._records.answers.get(id(output))
        return None if found is None else found[1]

    @takes(layer=_LAYER)
    def apply(self, layer: Any, params: Tree, x: Any) -> Any:
        """The output of a layer inside this one: `layer.apply(params, x, context)`, or `(params, x)` where it takes no
        context. Errors inside name the layer."""
        return applied(layer, params, x, self)

    @takes()
    def within(self, place: Any) -> "Context":
        """The context for a layer inside a container, at this place of it: "0" for the first."""
        return self._child(f"{self.path}.{place}" if self.path else str(place), self._training)

    def predicting(self) -> "Context":
        """The context for a layer that computes as while predicting, whatever its network does: a frozen one."""
        return self._child(self.path, False)

    def watched(self, watch: Callable[[str, Any, Any], Any]) -> "Context":
        """This context, with a function that sees the output of every layer in the pass, nested ones too.

        watch: (path, layer, output) -> the value that goes on in the output's place. It does not see what is inside a
        function given to fl.vmap or fl.scan.
        """
        self._records.watch = watch
        return self

    @property
    def is_watched(self) -> bool:
        """Whether the pass is one of `watched`, which asks for derivatives of frozen parameters too."""
        return self._records.watch is not None

    def _child(self, path: str, training: bool) -> "Context":
        new = object.__new__(Context)
        new._training, new.path, new._records = training, path, self._records
        new._noise = self._noise if training else None
        new.dtype, new._progress = self.dtype, self._progress if training else None
        return new

    @takes(params=_TREE)
    def freeze(self, params: Tree) -> None:
        """Mark parameters as frozen: no training step changes them.

        Errors: ArgumentError, where a model is made, for traced values that are computed from parameters.
        """
        where = here()
        for leaf in map(_same_value, tree.leaves(params)):
            self._records.frozen[id(leaf)] = leaf, where

    @takes(params=_TREE, rate=_FACTOR, decay=_FACTOR)
    def treat(self, params: Tree, *, rate: float | None = None, decay: float | None = None) -> None:
        """Give parameters a factor of the learning rate, and one of weight decay; None leaves it as it is.

        params: an entry of `params`, or a tree of them, themselves and not something computed from them. The factors
        become those of the model's layout (`Slot.rate`, `Slot.decay`), where `Model.marked` may change them again.
        Errors: ArgumentError, where a model is made, for traced values that are computed from parameters.
        """
        where, given = here(), {"rate": rate, "decay": decay}
        factors = {name: float(value) for name, value in given.items() if value is not None}
        for leaf in map(_same_value, tree.leaves(params)):
            self._records.factors[id(leaf)] = leaf, factors, where

    @property
    def mode_was_read(self) -> bool:
        """Whether a layer has asked for `training`: if none has, the network computes the same in both modes."""
        return self._records.mode_was_read

    @property
    def notes(self) -> Mapping[str, Any]:
        """The values that layers have named in this pass; without those of a row of fl.vmap or a turn of fl.scan."""
        return dict(self._records.notes)

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The outputs of the layers in this pass, by their path; of layers on one path, that of the last to end.

        Without those of a row of fl.vmap or a turn of fl.scan.
        """
        found = self._records.outputs
        return {path: y for path, y in found.items() if path or len(found) == 1}

    @property
    def layers(self) -> Mapping[str, tuple[Any, Any]]:
        """The layers that gave these outputs, and their inputs, by the same paths."""
        found = self._records.layers
        return {path: found[path] for path in self.outputs}

    @takes(params=_TREE)
    def kept(self, params: Tree) -> dict[str, Any]:
        """The new values that layers have written in this pass, by the path of the parameter in this tree.

        Errors: ArgumentError for a kept value that is none of these parameters.
        """
        found, left = {}, dict(self._records.kept)
        for path, leaf in tree.items(params):
            if id(leaf) in left:
                found[path] = left.pop(id(leaf))[1]
        for _, _, where in left.values():
            raise ArgumentError(
                f"context.keep was called with an array that is no parameter of the network\n  at {where}\n"
                '  try: the entry of params itself, context.keep(params["mean"], new)'
            )
        return found

    def marked(self, layout: Layout, params: Tree) -> Layout:
        """The layout with the factors that layers have declared in this pass, and the kinds: kept, and frozen, which
        counts more."""
        for path in self.kept(params):
            layout = layout.marked(exactly(path), kind=KEPT)
        factors = dict(self._records.factors)
        for path, leaf in tree.items(params):
            if (found := factors.pop(id(leaf), None)) is not None:
                layout = layout.marked(exactly(path), rate=found[1].get("rate"), decay=found[1].get("decay"))
        for leaf, _, where in factors.values():
            if isinstance(leaf, Node):
                raise ArgumentError(
                    "context.treat got values computed from parameters, or a row of them inside fl.vmap, so the "
                    f"parameters themselves would have no such factors\n  at {where}\n"
                    '  try: context.treat(params["bias"], rate=0.1), with the entries of params themselves'
                )
        frozen = dict(self._records.frozen)
        for path in [path for path, leaf in tree.items(params) if frozen.pop(id(leaf), None)]:
            layout = layout.marked(exactly(path), kind=FROZEN)
        for leaf, where in frozen.values():
            if isinstance(leaf, Node):
                raise ArgumentError(
                    "a frozen layer got values computed from parameters, or a row of them inside fl.vmap, so the "
                    f"parameters themselves would not be frozen\n  at {where}\n"
                    "  try: context.freeze(params), with the entries of params, and the layer itself in there"
                )
        return layout


def _same_value(leaf: Any) -> Any:
    """The traced value that this one is under another name."""
    while isinstance(leaf, Node) and leaf.op in (alias, stop_gradient):
        leaf = leaf.inputs[0]
    return leaf


def applied(layer: Any, params: Tree, x: Any, context: Context | None = None, what: str = "") -> Any:
    """The output of a layer, with or without a context as its `apply` takes it; errors name the layer and its shapes.

    what: its place in words, "layer 0".
    Errors: ArgumentError where a layer needs a context and there is none; those of the layer.
    """

    def named() -> str:
        return f"{what}{what and ': '}{short(layer)}" if not hasattr(layer, "layers") else what

    with Inside(named, {"its parameters": params, "its input": x}, "its input", of=layer.apply):
        form = takes_context(layer)
        if form == NEEDED and context is None:
            raise ArgumentError(
                "apply takes a context, and the container around it hands none on\n"
                f"  at {here()}\n  try: inner.apply(params, x, context), in an apply(self, params, x, context)"
            )
        y = layer.apply(params, x) if form == NONE else layer.apply(params, x, context)
        if not hasattr(y, "shape"):
            seen, at = "None" if y is None else type(y).__name__, defined_at(layer.apply)
            raise ArgumentTypeError(f"apply returns {seen}, not an array\n  at {at}\n  try: return y, (N, ...)")
        if context is None:
            return y
        y = _in_precision(y, x, context.dtype)
        records = context._records
        if not records.one_of_many():
            if records.watch is not None:
                y = records.watch(context.path, layer, y)
            records.outputs[context.path] = y
            records.layers[context.path] = layer, x
        return y


def _in_precision(y: Any, x: Any, dtype: Any) -> Any:
    """The output of a layer in the network's precision, where its input was not floats of that precision already.

    NumPy makes float64 of int64 and float32; the layers that follow would compute in it.
    """
    if dtype is None or getattr(getattr(x, "dtype", None), "kind", "") == "f":
        return y
    return y.astype(dtype) if y.dtype.kind == "f" and y.dtype != dtype else y


NONE, OPTIONAL, NEEDED = "none", "optional", "needed"


def takes_context(layer: Any) -> str:
    """Whether a layer's `apply` takes a context: NONE, (params, x) alone; OPTIONAL, one with a default; NEEDED."""
    apply = layer.apply
    return _form(getattr(apply, "__func__", apply), hasattr(apply, "__func__"))


@functools.lru_cache(maxsize=1024)
def _form(function: Callable[..., Any], is_method: bool) -> str:
    try:
        found = list(inspect.signature(function).parameters.values())[is_method:]
    except (TypeError, ValueError):
        return NONE
    places = [one for one in found if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(places) < 3:
        return NEEDED if any(one.kind is one.VAR_POSITIONAL for one in found) else NONE
    if places[2].default is inspect.Parameter.empty:
        return NEEDED
    return OPTIONAL if places[2].name == "context" else NONE
