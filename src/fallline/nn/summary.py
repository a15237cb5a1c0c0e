"""A network as a text table: layers, the shapes that leave them, parameters. Knows no loss and no data."""

from typing import Any

from fallline import tree
from fallline.graph.node import Node, new_input
from fallline.graph.op import Shape
from fallline.graph.trace import trace
from fallline.nn.context import Context, applied
from fallline.nn.forms import sizes, traced
from fallline.nn.layer import Layer, rows_to_probe, with_batch
from fallline.nn.sequential import Sequential
from fallline.nn.theta import KINDS, Layout
from fallline.ranges import short
from fallline.source import named
from fallline.tree import Tree


def steps(network: Layer, params: Tree, forms: Tree, dtype: Any) -> list[tuple[Layer, Tree, Shape]]:
    """(layer, its part of the parameters, shape that leaves it) in order; found by tracing, so nothing is computed."""
    parts = list(zip(network.layers, params, strict=True)) if isinstance(network, Sequential) else [(network, params)]
    found: list[tuple[Layer, Tree, Shape]] = []

    def through(*nodes: Node) -> Any:
        found.clear()
        leaves, x = nodes[len(rows) :], tree.unflatten(forms, list(nodes[: len(rows)]))
        rest, context = iter(leaves), Context(dtype=dtype)
        for place, (layer, part) in enumerate(parts):
            is_whole = not isinstance(network, Sequential)
            its_context, what = (context, "") if is_whole else (context.within(place), f"layer {place}")
            x = applied(layer, tree.map(lambda _: next(rest), part), x, its_context, what)
            found.append((layer, part, tuple(x.shape[1:])))
        return x

    inputs = [new_input(leaf.shape, dtype) for _, part in parts for leaf in tree.leaves(part)]
    _, rows = traced(forms, rows_to_probe(*sizes(forms), *(leaf.shape for leaf in inputs)))
    trace(through, [*rows, *inputs], kept=True)
    return found


def summary(network: Layer, layout: Layout, forms: Tree, dtype: Any) -> str:
    """The table, with totals in its last line."""
    rows = [("", "layer", "output", "parameters")]
    for name, form in named(forms, "input").items():
        rows.append(("", name, with_batch(form.shape) + (f" {form.dtype}" if form.dtype != dtype else ""), ""))
    for place, (layer, part, out) in enumerate(steps(network, layout.slots, forms, dtype)):
        count = sum(slot.size for slot in tree.leaves(part))
        rows.append((str(place), short(layer), with_batch(out), f"{count:,}" if count else ""))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"{a:>{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows]
    nbytes = layout.size * dtype.itemsize
    unit, size = next((u, s) for u, s in (("MB", 1e6), ("kB", 1e3), ("bytes", 1)) if nbytes >= s or s == 1)
    others = [f"{layout.count(kind):,} {kind}" for kind in KINDS[1:] if layout.count(kind)]
    of_them = f", of which {' and '.join(others)}" if others else ""
    lines.append(f"{layout.size:,} parameters{of_them}, {nbytes / size:.3g} {unit} as {dtype}")
    return "\n".join(lines)
