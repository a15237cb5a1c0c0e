"""A network predicts row by row: one in which rows meet is refused, with the layer and the line where they do."""

from dataclasses import fields, is_dataclass

import numpy as np

from fallline import tree
from fallline.errors import ArgumentError
from fallline.graph.mixing import NOBODY, Rows, rows_of
from fallline.graph.node import CONSTANT, Graph, Node, new_input
from fallline.graph.trace import trace
from fallline.nn.context import Context, applied
from fallline.nn.forms import sizes, traced
from fallline.nn.layer import Function, Layer, is_layer
from fallline.ranges import short
from fallline.tree import Tree

ROWS = 3  # any number of them shows which meet


def check_rows_stay_apart(network: Layer, params: Tree, forms: Tree) -> None:
    """Raise if a network's output for a row depends on other rows of the batch.

    params: its parameters. forms: of a row of its inputs.
    Errors: ArgumentError with the layer, the line and what to do instead.
    """
    leaves, k = tree.leaves(params), len(sizes(forms))

    def function(*nodes: Node) -> object:
        its, x = tree.unflatten(params, list(nodes[k:])), tree.unflatten(forms, list(nodes[:k]))
        return applied(network, its, x, Context())

    def of_rows(count: int) -> Graph:
        inputs = [*traced(forms, count)[1], *(new_input(leaf.shape, leaf.dtype) for leaf in leaves)]
        return trace(function, inputs, kept=True)[0]

    graph = of_rows(ROWS)
    sources = graph.inputs[:k]
    try:
        found = rows_of(graph, sources, [*(np.zeros(x.shape, x.dtype) for x in sources), *leaves])
    except IndexError:
        return  # its numbers for rows of zeros are no positions
    moved = first_moved(found, graph.outputs[0])
    if moved is not None:
        refuse(network, moved, "gives a row of the batch the numbers of another")
    if found.mixed is not None:
        refuse(network, found.mixed, f"mixes the rows of a batch ({found.mixed.op.name})")
    counted = first_counted(graph, of_rows(ROWS + 1))
    if counted is not None:
        refuse(network, counted, "computes with the number of rows in a batch")


def is_known(network: Layer) -> bool:
    """Whether all layers in it are Fallline's own, of which tests show that they keep rows apart."""
    if isinstance(network, Function) or not type(network).__module__.startswith("fallline.nn."):
        return False
    if not is_dataclass(network):
        return False
    held = [getattr(network, one.name) for one in fields(network)]
    parts = [part for value in held for part in (value if isinstance(value, tuple) else (value,))]
    return all(is_known(part) for part in parts if is_layer(part))


def first_counted(graph: Graph, larger: Graph) -> Node | None:
    """The first constant that is another in the graph for more rows. Whole numbers may be positions, and loops over
    rows make other graphs; neither is looked at."""
    pairs = list(zip(graph.nodes(), larger.nodes(), strict=False))
    if any(a.op is not b.op for a, b in pairs):
        return None
    constants = [(a, b) for a, b in pairs if a.op is CONSTANT and a.dtype.kind == "f" and a.shape == b.shape]
    return next(
        (a for a, b in constants if not np.array_equal(a.attrs["value"], b.attrs["value"], equal_nan=True)), None
    )


def first_moved(found: Rows, output: Node) -> Node | None:
    """Where rows first leave their places, in the first layer that ends with rows in the places of others."""

    def is_elsewhere(node: Node) -> bool:
        own = np.arange(1, ROWS + 1).reshape((-1,) + (1,) * (len(node.shape) - 1)) if node.shape else NOBODY
        numbers = found.numbers[node]
        return node.shape[:1] == (ROWS,) and bool(np.any((numbers != own) & (numbers != NOBODY)))

    ends = {node.where.part: node for node in found.numbers}
    if found.mixed is not None:
        ends.pop(found.mixed.where.part, None)
    elif output in found.numbers:
        ends[output.where.part] = output
    layer = next((part for part, end in ends.items() if is_elsewhere(end)), None)
    return next((node for node in found.numbers if node.where.part == layer and is_elsewhere(node)), None)


def refuse(network: Layer, node: Node, what: str) -> None:
    layer = f"layer {node.where.part}" if node.where.part else short(network)
    raise ArgumentError(
        f"{layer}: {what}, so a prediction for a row would depend on the other rows\n  at {node.where}\n"
        "  try: an axis other than the first (axis=-1); or numbers of all training rows, taken before: "
        "mean = x.mean(axis=0), and in the layer x - mean"
    )
