"""A graph as text (one line a node), as a drawing for Graphviz, and as JSON.

Stands below node.py, so that a graph can print itself; hence nodes are typed as Any here.
"""

import itertools
import json
from typing import Any

import numpy as np

from fallline.graph.op import Kind

_SHOWN = 8  # elements of a constant that are written out


def form(node: Any) -> str:
    """dtype[shape], such as float32[32, 64]."""
    return f"{node.dtype}{list(node.shape)}"


def written(value: Any) -> str:
    """An attribute or a constant, short."""
    if isinstance(value, np.ndarray):
        if value.size > _SHOWN:
            return f"<{value.size} numbers>"
        return np.array2string(value, separator=", ").replace("\n", "")
    return str(value)


def is_constant(node: Any) -> bool:
    return node.op.kind is Kind.SOURCE and "value" in node.attrs


def names(graph: Any) -> dict[Any, str]:
    """%0, %1, ... in running order, the inputs first; a constant number is its own name."""
    outputs, count = set(graph.outputs), itertools.count()
    return {
        node: str(node.attrs["value"].item())
        if is_constant(node) and node.shape == () and node not in outputs
        else f"%{next(count)}"
        for node in in_order(graph)
    }


def in_order(graph: Any) -> list[Any]:
    """All nodes: the inputs in their order, then the others as they run."""
    inputs = set(graph.inputs)
    return [*graph.inputs, *(node for node in graph.nodes() if node not in inputs)]


def call_text(node: Any, named: dict[Any, str]) -> str:
    """The op with its arguments and attributes as a call."""
    if node.op.kind is Kind.SOURCE:
        shown = node.attrs.get("name", node.attrs.get("value", ""))
        return f"{node.op.name} {written(shown)}".strip()
    attrs = [f"{key}={written(value)}" for key, value in node.attrs.items()]
    return f"{node.op.name}({', '.join([*(named[input_] for input_ in node.inputs), *attrs])})"


def text(graph: Any) -> str:
    """One line a node: its name, its op, dtype and shape, and the user's line that made it."""
    named = names(graph)
    rows = [
        (f"{name} = {call_text(node, named)}", form(node), f"# {node.where}")
        for node, name in named.items()
        if name.startswith("%")
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    lines = [f"{what:<{widths[0]}}  {shape:<{widths[1]}}  {where}" for what, shape, where in rows]
    return "\n".join([*lines, f"return {', '.join(named[output] for output in graph.outputs)}", *bodies(named)])


def bodies(named: dict[Any, str]) -> list[str]:
    """The graph of a turn of each loop, as lines; loops of one body have it once."""
    of: dict[Any, list[str]] = {}
    for node, name in named.items():
        if node.op.kind is Kind.LOOP:
            of.setdefault(node.attrs["body"], []).append(name)
    found = []
    for body, its in of.items():
        found += [f"a turn of {', '.join(its)}:", *(f"  {line}" for line in text(body.graph).splitlines())]
    return found


def dot(graph: Any) -> str:
    """The graph in Graphviz's language: values flow along the arrows."""
    named, outputs = names(graph), set(graph.outputs)
    ids = {node: f"n{i}" for i, node in enumerate(named)}
    lines = ["digraph {", "  rankdir=TB; node [shape=box, fontname=monospace];"]
    for node, name in named.items():
        label = f"{name if is_constant(node) else call_text(node, named)}\n{form(node)}\n{node.where}"
        style = ", style=bold" if node in outputs else ", style=dashed" if node.op.kind is Kind.SOURCE else ""
        lines.append(f"  {ids[node]} [label={json.dumps(label)}{style}];")
        lines += [f"  {ids[input_]} -> {ids[node]};" for input_ in node.inputs]
    return "\n".join([*lines, "}"])


def plain(value: Any) -> Any:
    """An attribute as JSON knows it; a large array as its dtype and shape."""
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= _SHOWN else {"dtype": str(value.dtype), "shape": list(value.shape)}
    if hasattr(value, "graph"):  # the body of a loop
        return {"turns": value.turns, "reverse": value.reverse, "graph": as_plain(value.graph)}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def as_json(graph: Any) -> str:
    """The graph as a JSON object: nodes in running order, inputs and outputs by position among them."""
    return json.dumps(as_plain(graph), indent=1)


def as_plain(graph: Any) -> dict[str, Any]:
    """The same as dicts and lists."""
    nodes = in_order(graph)
    place = {node: i for i, node in enumerate(nodes)}
    return {
        "inputs": [place[node] for node in graph.inputs],
        "outputs": [place[node] for node in graph.outputs],
        "nodes": [
            {
                "op": node.op.name,
                "inputs": [place[input_] for input_ in node.inputs],
                "attrs": {key: plain(value) for key, value in node.attrs.items()},
                "dtype": str(node.dtype),
                "shape": list(node.shape),
                "file": node.where.file,
                "line": node.where.line,
            }
            for node in nodes
        ],
    }
