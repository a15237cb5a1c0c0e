"""The check of a layer: what it announces, computes, differentiates and keeps apart. Knows no single layer."""

from typing import Any

import numpy as np

from fallline import arguments, tree
from fallline.errors import LayerError
from fallline.graph.op import Array, Shape
from fallline.nn.apart import check_rows_stay_apart
from fallline.nn.context import Context, applied
from fallline.nn.given import as_shape
from fallline.nn.layer import Layer, started, with_batch
from fallline.nn.probe import declared
from fallline.nn.theta import FROZEN, Layout
from fallline.ranges import SEED, short
from fallline.source import Form
from fallline.testing.gradients import ORDER, check_grads
from fallline.transforms import compile as compiled
from fallline.tree import Tree

ROWS = 5
_TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
LAYER = arguments.Form("a layer, with init and apply", lambda given: hasattr(given, "init") and hasattr(given, "apply"))


@arguments.takes(layer=LAYER, order=ORDER, seed=SEED)
def check_layer(layer: Any, input_shape: Shape | int, *, order: int = 2, seed: int = 0) -> None:
    """Raise unless a layer keeps the laws that every layer of a network keeps, both as it trains and as it predicts.

    - `apply` returns the shape that `init` announces, in the precision of its input
    - compiled, it computes the same as NumPy does
    - float32 computes the same as float64, to the digits that it has
    - its derivatives, with respect to parameters and input, agree with difference quotients; but for frozen ones
    - a row's output while predicting follows from that row alone

    layer: with `init` and `apply`. input_shape: of one row of its input. order: the highest order of derivative that is
    checked. seed: of its parameters and of the rows, which are standard normal: a kink at some number is not met.
    Errors: LayerError, an AssertionError; GradientError for a derivative; ArgumentError where rows meet; those of the
        layer.
    Example: fl.testing.check_layer(nn.Dense(3), 4)
    """
    shape = as_shape(input_shape)
    for training in (False, True):
        outputs = [_computed(layer, shape, np.dtype(dtype), training, seed) for dtype in ("float32", "float64")]
        _same(outputs[0], outputs[1], "float32", f"{_mode(layer, training)}: float32 and float64")
    params, x = _drawn(layer, shape, np.dtype("float64"), seed)
    slots = tree.leaves(declared(layer, Layout.of(params), Form(shape, x.dtype), x.dtype)[0].slots)
    moved = [leaf for slot, leaf in zip(slots, tree.leaves(params), strict=True) if slot.kind != FROZEN]
    for training in (False, True):

        def output(x: Any, moved: list[Any], training: bool = training) -> Any:
            rest = iter(moved)
            every = [
                leaf if slot.kind == FROZEN else next(rest)
                for slot, leaf in zip(slots, tree.leaves(params), strict=True)
            ]
            return applied(layer, tree.unflatten(params, every), x, Context(training, seed, x.dtype))

        check_grads(output, (x, moved), order=order, seed=seed)
    check_rows_stay_apart(layer, params, Form(shape, x.dtype))


def _mode(layer: Layer, training: bool) -> str:
    return f"{short(layer)} while {'training' if training else 'predicting'}"


def _drawn(layer: Layer, shape: Shape, dtype: Any, seed: int) -> tuple[Tree, Array]:
    """Parameters as the layer draws them, moved off their start a little, and some rows."""
    params, _ = started(layer, np.random.default_rng(seed), shape, dtype)
    rng = np.random.default_rng([seed, 1])
    off = tree.map(lambda leaf: np.asarray(leaf + 0.1 * np.abs(rng.standard_normal(leaf.shape)), dtype), params)
    return off, rng.standard_normal((ROWS, *shape)).astype(dtype)


def _computed(layer: Layer, shape: Shape, dtype: Any, training: bool, seed: int) -> Array:
    """The output for some rows by NumPy, after comparing it with what is announced, traced and compiled."""
    params, x = _drawn(layer, shape, dtype, seed)
    _, announced = started(layer, np.random.default_rng(seed), shape, dtype)
    _, traced = declared(layer, Layout.of(params), Form(shape, dtype), dtype)

    def output(params: Tree, x: Any) -> Any:
        return applied(layer, params, x, Context(training, seed, dtype))

    y = np.asarray(output(params, x))
    for how, seen in (("returns", tuple(y.shape)), ("when traced, returns", (ROWS, *traced))):
        if seen != (ROWS, *announced):
            raise LayerError(
                f"{_mode(layer, training)} {how} the shape {seen} for {ROWS} rows, and init announces "
                f"{with_batch(tuple(announced))}"
            )
    if y.dtype != dtype:
        raise LayerError(
            f"{_mode(layer, training)} returns {y.dtype} for an input of {dtype}\n"
            f"  try: arrays of x.dtype inside it, such as np.ones(3, x.dtype)"
        )
    _same(y, np.asarray(compiled(output)(params, x)), dtype.name, f"{_mode(layer, training)}: NumPy and its program")
    return y


def _same(one: Array, other: Array, dtype: str, what: str) -> None:
    tolerance = _TOLERANCE[dtype]
    if not np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True):
        error = float(np.max(np.abs(one.astype(np.float64) - other)))
        raise LayerError(f"{what} give other numbers, by up to {error:.3g}")
