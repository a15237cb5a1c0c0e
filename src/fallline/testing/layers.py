"""The check of a layer: shapes, values, derivatives and separate rows. Knows no single layer."""

from typing import Any

import numpy as np

from fallline import arguments, tree
from fallline.arrays import as_array
from fallline.errors import ArgumentError, LayerError
from fallline.graph.op import Array
from fallline.nn.context import Context, applied
from fallline.nn.forms import is_shape
from fallline.nn.given import as_shape
from fallline.nn.layer import Layer, started, with_batch
from fallline.nn.probe import declared
from fallline.nn.rows_apart import check_rows_stay_apart
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
def check_layer(layer: Any, rows: Any, *, order: int = 2, seed: int = 0) -> None:
    """Raise unless a layer keeps the laws that every layer of a network keeps, both as it trains and as it predicts.

    - `apply` returns the shape that `init` announces, in the precision of its input
    - compiled, it computes the same as NumPy does
    - float32 computes the same as float64, to the digits that it has
    - its derivatives, with respect to parameters and input, agree with difference quotients; but for frozen ones
    - a row's output while predicting follows from that row alone

    layer: with `init` and `apply`. rows: the shape of one row of its input, such as (4,) or 4, for five standard normal
    ones; or rows, (N, ...): an array, or a dict or tuple of them, of whole numbers too. order: the highest order of
    derivative that is checked. seed: of its parameters and of the rows. No kink may lie at one of the numbers.
    Errors: LayerError, an AssertionError; GradientError for a derivative; ArgumentError where rows meet; those of the
        layer.
    Example: fl.testing.check_layer(nn.Dense(3), 4)
    """
    x = _rows(rows, seed)
    outputs = {}
    for training in (False, True):
        for dtype in ("float32", "float64"):
            outputs[dtype] = _computed(layer, x, np.dtype(dtype), training, seed)
        _same(outputs["float32"], outputs["float64"], "float32", f"{_mode(layer, training)}: float32 and float64")
    params, x = _drawn(layer, x, np.dtype("float64"), seed)
    layout = declared(layer, Layout.of(params), _forms(x), np.dtype("float64"))[0]
    leaves, is_fixed = tree.leaves(params), [slot.kind == FROZEN for slot in layout.leaves]
    moved = [leaf for leaf, fixed in zip(leaves, is_fixed, strict=True) if not fixed]
    for training in (False, True):

        def output(x: Tree, moved: list[Any], training: bool = training) -> Any:
            rest = iter(moved)
            every = [leaf if fixed else next(rest) for leaf, fixed in zip(leaves, is_fixed, strict=True)]
            return applied(layer, tree.unflatten(params, every), x, Context(training, seed, "float64", 0.5))

        check_grads(output, (x, moved), order=order, seed=seed)
    check_rows_stay_apart(layer, params, _forms(x))


def _mode(layer: Layer, training: bool) -> str:
    return f"{short(layer)} while {'training' if training else 'predicting'}"


def _rows(given: Any, seed: int) -> Tree:
    """The rows to check with."""
    if is_shape(given) or not isinstance(given, np.ndarray | dict | tuple | list):
        return np.random.default_rng([seed, 1]).standard_normal((ROWS, *as_shape(given)))
    x = tree.map(lambda leaf: as_array(leaf, "rows"), given)
    counts = {leaf.shape[:1] for leaf in tree.leaves(x)}
    if len(counts) != 1 or counts == {()} or any(leaf.dtype.kind not in "fiub" for leaf in tree.leaves(x)):
        raise ArgumentError("rows are a shape, or arrays of real numbers, (N, ...), with one number of rows")
    return x


def _forms(x: Tree) -> Tree:
    return tree.map(lambda leaf: Form(leaf.shape[1:], leaf.dtype), x)


def _drawn(layer: Layer, x: Tree, dtype: Any, seed: int) -> tuple[Tree, Tree]:
    """Parameters as the layer draws them, moved off their start a little; and the rows in this precision."""
    params, _ = started(layer, np.random.default_rng(seed), _shapes(x), dtype)
    rng = np.random.default_rng([seed, 2])
    off = tree.map(lambda leaf: np.asarray(leaf + 0.1 * np.abs(rng.standard_normal(leaf.shape)), dtype), params)
    return off, tree.map(lambda leaf: leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf, x)


def _shapes(x: Tree) -> Tree:
    return tree.map(lambda leaf: leaf.shape[1:], x)


def _computed(layer: Layer, x: Tree, dtype: Any, training: bool, seed: int) -> Array:
    """The output for the rows by NumPy, after comparing it with the announced, the traced and the compiled one."""
    params, x = _drawn(layer, x, dtype, seed)
    _, announced = started(layer, np.random.default_rng(seed), _shapes(x), dtype)
    _, traced = declared(layer, Layout.of(params), _forms(x), dtype)
    n = len(tree.leaves(x)[0])

    def output(params: Tree, x: Tree) -> Any:
        return applied(layer, params, x, Context(training, seed, dtype, 0.5))

    y = np.asarray(output(params, x))
    for how, seen in (("returns", tuple(y.shape)), ("when traced, returns", (n, *traced))):
        if seen != (n, *announced):
            raise LayerError(
                f"{_mode(layer, training)} {how} the shape {seen} for {n} rows, and init announces "
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
