"""Plain gradient descent without a gradient: where new state is old state minus a rate times joined parts, each part is
subtracted where it lies, and a part that is a matrix product is added by the product itself.

    theta - rate * join(x' d, ...)   becomes   join(theta_1 + x' (-rate d), ...)

Saves writing and reading a vector as long as theta. Asks for kinds and facts, never for names.
"""

from collections.abc import Sequence

from fallline.graph.node import Graph, Node, reachable
from fallline.graph.op import Kind
from fallline.graph.where import made_at
from fallline.ops.contract import contract_onto
from fallline.ops.view import cut, join, reshape


def subtract_in_place(graph: Graph, count: int) -> Graph:
    """The same graph with its first `count` outputs, the new state of as many inputs, rewritten where that can be."""
    outputs, rates = list(graph.outputs), []
    for i in range(count):
        step = descent(outputs[i], graph.inputs[i])
        if step is not None:
            with made_at(outputs[i].where):
                outputs[i] = moved(graph.inputs[i], *step)
            rates.append(step[0])
    changed = Graph(graph.inputs, tuple(outputs))
    return at_once(changed, {*graph.nodes()}, rates) if rates else graph


def descent(new: Node, old: Node) -> tuple[Node, Node] | None:
    """(rate, joined parts) where new = old - rate * join(...), with the rate a single number."""
    if not new.op.facts.get("difference") or new.inputs[0] is not old or not new.inputs[1].op.facts.get("product"):
        return None
    rate, parts = sorted(new.inputs[1].inputs, key=lambda node: node.size)
    joined = parts.op.kind is Kind.JOIN and "axis" in parts.attrs
    fits = len(parts.shape) == 1 and parts.shape == old.shape and rate.shape == ()
    return (rate, parts) if joined and fits and any(product_of(p) is not None for p in parts.inputs) else None


def product_of(part: Node) -> Node | None:
    """The matrix product of which a part is the flat form, if it is one."""
    if part.op.kind is not Kind.VIEW or part.inputs[0].op.kind is not Kind.CONTRACTION:
        return None
    inner = part.inputs[0]
    plain = "without_copy" in part.op.facts and len(inner.inputs) == 2 and len(inner.shape) == 2
    return inner if plain else None


def moved(old: Node, rate: Node, parts: Node) -> Node:
    """old - rate * parts, part by part."""
    done, start = [], 0
    for part in parts.inputs:
        here = cut(old, 0, start, start + part.size)
        start += part.size
        product = product_of(part)
        if product is None:
            done.append(here - rate * part)
            continue
        a, b = product.inputs
        # The rate goes to the smaller factor.
        with made_at(product.where):
            a, b = (a, b * -rate) if b.size <= a.size else (a * -rate, b)
            done.append(reshape(contract_onto(reshape(here, shape=product.shape), a, b), shape=part.shape))
    result: Node = join(*done, axis=0)
    return result


def at_once(graph: Graph, known: set[Node], rates: Sequence[Node]) -> Graph:
    """The same graph, its nodes that were not known before put where all they need is there, not at the end.

    So a product is added as soon as its factors are there, while they are in cache, and nothing is kept for it.
    """
    first = {node for node in reachable(rates) if node.op.kind is not Kind.CONTRACTION}
    hoisted = first if first.issuperset(reachable(rates)) else set()
    nodes = graph.nodes()
    users: dict[Node, list[Node]] = {}
    missing = {node: len(set(node.inputs)) for node in nodes if node not in known}
    for node in missing:
        for x in set(node.inputs):
            users.setdefault(x, []).append(node)
    new: dict[Node, Node] = {}

    def put(node: Node) -> None:
        inputs = tuple(new[x] for x in node.inputs)
        new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where) if inputs else node
        for user in users.get(node, ()):
            missing[user] -= 1
            if not missing[user]:
                put(user)

    for node in [*graph.inputs, *sorted(hoisted, key=lambda node: node.serial), *nodes]:
        if node not in new:
            put(node)
    return Graph(graph.inputs, tuple(new[output] for output in graph.outputs))
