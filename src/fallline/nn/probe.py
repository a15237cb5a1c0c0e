"""A network traced without data: the kinds that its layers give their parameters, and the shape of its output."""

from typing import Any

from fallline import tree
from fallline.errors import ShapeError
from fallline.graph.node import Node, new_input
from fallline.graph.op import Shape
from fallline.graph.trace import trace
from fallline.nn.context import Context, applied
from fallline.nn.forms import sizes, traced
from fallline.nn.layer import Layer, rows_to_probe, with_batch
from fallline.nn.theta import Layout
from fallline.tree import Tree


def declared(network: Layer, layout: Layout, forms: Tree, dtype: Any) -> tuple[Layout, Shape]:
    """The layout with the kinds that the layers declare, kept or frozen, and the shape of a row of the output.

    The network is traced as it predicts, and as it trains too if a layer asks for the mode.
    Errors: ShapeError where the two modes return other shapes; those of the layers.
    """
    layout, out, mode_was_read = _traced(network, layout, forms, dtype, False)
    if mode_was_read:
        layout, while_training, _ = _traced(network, layout, forms, dtype, True)
        if while_training != out:
            raise ShapeError(
                f"{network!r:.80} returns {with_batch(while_training)} while training, {with_batch(out)} otherwise"
            )
    return layout, out


def _traced(network: Layer, layout: Layout, forms: Tree, dtype: Any, training: bool) -> tuple[Layout, Shape, bool]:
    seen: list[tuple[Layout, bool]] = []

    def function(key: Node, *nodes: Node) -> list[Any]:
        x, leaves = tree.unflatten(forms, list(nodes[:k])), nodes[k:]
        params, context = tree.unflatten(layout.slots, list(leaves)), Context(training, key, dtype, 0.5)
        y = applied(network, params, x, context)
        seen.append((context.marked(layout, params), context.mode_was_read))
        return [y, *context.kept(params).values()]

    slots = layout.leaves
    _, rows = traced(forms, rows_to_probe(*sizes(forms), *(slot.shape for slot in slots)))
    k = len(rows)
    leaves = [new_input(slot.shape, dtype) for slot in slots]
    _, (y, *_) = trace(function, [new_input((), "int64", "key"), *rows, *leaves], kept=True)
    return seen[0][0], tuple(y.shape[1:]), seen[0][1]
