"""Trees of parameters as one vector and back, for optimizers in a loop of one's own. Knows no optimizer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline import arrays, tree
from fallline.arguments import shown
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.graph.node import Node
from fallline.nn.theta import KEPT, KINDS, Layout, layout_of
from fallline.ops.view import join, reshape

_WITH_LAYOUT = {
    "init": "optimizer.init(params, model.layout)",
    "update": "optimizer.update(grads, state, params, model.layout)",
    "minimise": "fl.fit(model, data, optimizer=...), which knows them",
}


def as_vector(params: Any, layout: Layout | None, verb: str) -> tuple[Layout, Any]:
    """The layout of a tree and its numbers as one vector; a vector that belongs to the layout stays as it is.

    Errors: ArgumentTypeError for leaves that are no real floating-point arrays; ArgumentError for another form.
    """
    if layout is not None and _is_vector(params, layout):
        return layout, _array(params, verb, "params")
    if layout is None and (its := layout_of(tree.leaves(params))) is not None and its.count() < its.size:
        kinds = " and ".join(f"{its.count(kind):,} {kind}" for kind in KINDS[1:] if its.count(kind))
        raise ArgumentError(
            f"{verb}: params are of a model with {kinds} parameters, which an optimizer must not move, and no layout "
            f"tells which\n  try: {_WITH_LAYOUT[verb]}"
        )
    leaves = {path: _array(leaf, verb, f"params{path and ' at ' + path}") for path, leaf in tree.items(params)}
    if not leaves:
        raise ArgumentError(f"{verb}: params hold no arrays, got {shown(params)}")
    if layout is None:
        layout = Layout.of(tree.unflatten(params, list(leaves.values())))
    elif [(path, slot.shape) for path, slot in layout.items()] != [(p, tuple(a.shape)) for p, a in leaves.items()]:
        raise ArgumentError(
            f"{verb}: the layout is of other parameters than these: {[path for path, _ in layout.items()]} and "
            f"{list(leaves)}\n  try: params of the model whose layout it is: model.params"
        )
    return layout, _one(list(leaves.values()))


def like(params: Any, grads: Any, layout: Layout, theta: Any) -> Any:
    """The gradient as one vector that lies as theta does, after comparing its form with that of params."""
    forms = tree.structure(params), tree.structure(grads)
    if forms[0] != forms[1]:
        raise ArgumentError(
            f"update: grads has another form than params: {forms[1]:.200} and {forms[0]:.200}\n"
            "  try: grads = fl.grad(loss)(params, ...)"
        )
    for (path, one), other in zip(tree.items(params), tree.leaves(grads), strict=True):
        if np.shape(one) != np.shape(other):
            at = f" at {path}" if path else ""
            raise ShapeError(f"update: grads has shape {np.shape(other)}{at}, and params {np.shape(one)}")
    leaves = [_array(leaf, "update", f"grads{path and ' at ' + path}") for path, leaf in tree.items(grads)]
    g = leaves[0] if _is_vector(grads, layout) else _one(leaves)
    return g if g.dtype == theta.dtype else g.astype(theta.dtype)


def checked_kept(kept: Any, layout: Layout | None) -> Mapping[str, Any]:
    """New values of the parameters that layers write, by path.

    Errors: ArgumentError for values of others, and for none at all where a layout has such parameters; ShapeError.
    """
    slots = {} if layout is None else {path: slot for path, slot in layout.items() if slot.kind == KEPT}
    if kept is None and slots:
        raise ArgumentError(
            f"update: layers write {', '.join(slots):.200}, and their new values are not given\n"
            "  try: kept = context.kept(params), of the nn.Context(training=True, ...) of the pass, and "
            "update(grads, state, params, layout, kept); or kept={}, which leaves them as they are"
        )
    if not isinstance(kept, Mapping | None):
        raise ArgumentTypeError(f"update: kept is a dict of arrays by path, as context.kept(params) gives it, got "
                                f"{shown(kept)}")  # fmt: skip
    for path, value in (kept or {}).items():
        if path not in slots:
            raise ArgumentError(
                f"update: kept has {path!r}, and the layout has no such parameter that a layer writes\n"
                "  try: optimizer.update(grads, state, params, model.layout, kept)"
            )
        if np.shape(value) != slots[path].shape:
            raise ShapeError(f"update: kept has shape {np.shape(value)} at {path}, and params {slots[path].shape}")
    return kept or {}


def as_tree(params: Any, layout: Layout, theta: Any) -> Any:
    """A vector as a tree like params, each array in the precision that it had."""
    if _is_vector(params, layout):
        return theta if theta.dtype == params.dtype else theta.astype(params.dtype)
    parts = [slot.of(theta) for _, slot in layout.items()]
    before = [arrays.as_array(leaf, "params") if not isinstance(leaf, Node) else leaf for leaf in tree.leaves(params)]
    parts = [part if part.dtype == old.dtype else part.astype(old.dtype) for part, old in zip(parts, before)]
    return tree.unflatten(params, parts)


def _is_vector(params: Any, layout: Layout) -> bool:
    return hasattr(params, "dtype") and params.shape == (layout.size,)


def _array(leaf: Any, verb: str, what: str) -> Any:
    if isinstance(leaf, Node):
        found: Any = leaf
    else:
        found = arrays.as_array(leaf, f"{verb}: {what}")
    if found.dtype not in (np.float32, np.float64):
        raise ArgumentTypeError(f"{verb}: {what} is {found.dtype}, and parameters are float32 or float64 arrays\n"
                                "  try: .astype(float)")  # fmt: skip
    return found


def _one(leaves: list[Any]) -> Any:
    flat = [reshape(leaf, shape=(leaf.size,)) for leaf in leaves]
    return flat[0] if len(flat) == 1 else join(*flat, axis=0)
