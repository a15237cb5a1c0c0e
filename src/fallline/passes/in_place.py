"""In-place updates: the new state is made part by part, as soon as each part of the gradient is there, so that no
vector as long as theta is written and read again.

Plain gradient descent needs no gradient: where new state is old state minus a rate times joined parts, each part is
subtracted where it lies, and a part that is a matrix product is added by the product itself.

    theta - rate * join(x' d, ...)   becomes   join(theta_1 + x' (-rate d), ...)

Other optimizers take each part of a large gradient while it is in a cache, and its memory is free for the next.

    f(theta, join(g_1, ...))         becomes   join(f(theta_1, g_1), ...)

Asks for kinds and facts, never for names.
"""

from collections.abc import Mapping, Sequence, Set

from fallline.graph.node import CONSTANT, INPUT, Graph, Node, reachable
from fallline.graph.op import Kind
from fallline.graph.verify import is_pass
from fallline.graph.where import made_at
from fallline.ops.contract import contract_onto
from fallline.ops.view import cut, join, reshape


@is_pass
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
    return at_once(changed, {*graph.nodes()}, rates)[0] if rates else graph


def descent(new: Node, old: Node) -> tuple[Node, Node] | None:
    """(rate, joined parts) where new = old - rate * join(...), with the rate a single number."""
    if not new.op.facts.get("difference") or new.inputs[0] is not old or not new.inputs[1].op.facts.get("product"):
        return None
    rate, parts = sorted(new.inputs[1].inputs, key=lambda node: node.size)
    joined = "side_by_side" in parts.op.facts
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


# A gradient of so many elements does not stay in a cache until the optimizer comes; parts are joined until they have
# so many, since every part has an instruction of its own.
LARGE, PART = 1 << 19, 1 << 16


@is_pass
def update_by_parts(graph: Graph, count: int) -> tuple[Graph, dict[Node, int]]:
    """The same graph with its first `count` outputs made part by part of a large gradient, where all that is done with
    it is elementwise; and for each node of such a part the part's number, from 1 on. Any other graph as it is.
    """
    nodes = graph.nodes()
    for joined in nodes:
        if "side_by_side" in joined.op.facts and len(joined.shape) == 1 and joined.size >= LARGE:
            work = elementwise_from(joined, nodes, {*graph.outputs[count:]})
            parts = grouped(joined.inputs)
            if work and len(parts) > 1:
                return _by_parts(graph, joined, work, parts)
    return graph, {}


def elementwise_from(joined: Node, nodes: Sequence[Node], others: Set[Node]) -> list[Node]:
    """The nodes computed from a vector, and all that they need, in order, if each is elementwise and of its length;
    else nothing.

    others: outputs that are needed whole.
    """
    found: set[Node] = set()
    for node in nodes:
        if any(x is joined or x in found for x in node.inputs):
            found.add(node)
    wanted = list(found)
    while wanted:
        node = wanted.pop()
        if node.op.kind not in (Kind.ELEMENTWISE, Kind.CAST) or node.shape != joined.shape or node in others:
            return []
        for x in node.inputs:
            source = x is joined or x.size == 1 or (x.op in (INPUT, CONSTANT) and x.shape == joined.shape)
            if x not in found and not source:
                found.add(x)
                wanted.append(x)
    return [] if joined in others else [node for node in nodes if node in found]


def grouped(parts: Sequence[Node]) -> list[list[Node]]:
    """Parts that follow one another, together at least so large; the last ones belong to those before."""
    groups: list[list[Node]] = [[]]
    for part in parts:
        if sum(p.size for p in groups[-1]) >= PART:
            groups.append([])
        groups[-1].append(part)
    if len(groups) > 1 and sum(p.size for p in groups[-1]) < PART:
        groups[-2:] = [groups[-2] + groups[-1]]
    return groups


def _by_parts(
    graph: Graph, joined: Node, work: Sequence[Node], parts: Sequence[Sequence[Node]]
) -> tuple[Graph, dict[Node, int]]:
    made: list[dict[Node, Node]] = []
    start = 0
    for group in parts:
        with made_at(joined.where):
            part = group[0] if len(group) == 1 else join(*group, axis=0)
        stop = start + part.size
        here = {joined: part}
        for node in work:
            with made_at(node.where):
                inputs = [here[x] if x in here else x if x.size == 1 else cut(x, 0, start, stop) for x in node.inputs]
                here[node] = Node(node.op, tuple(inputs), node.attrs, part.shape, node.dtype, node.where)
        made.append(here)
        start = stop
    outputs = []
    for output in graph.outputs:
        with made_at(output.where):
            outputs.append(join(*(here[output] for here in made), axis=0) if output in made[0] else output)
    numbers = {here[node]: i for i, here in enumerate(made, 1) for node in work}
    single = [x for node in work for x in node.inputs if x.size == 1]
    # A part that shows a product is there when the product is. Other views stay where they are: a request
    # for their source ends its chain, and the ends of chains decide about the last bit.
    shown = {part for group in parts for part in group if product_of(part) is not None}
    changed, new = at_once(Graph(graph.inputs, tuple(outputs)), {*graph.nodes()} - shown, single)
    return changed, {new[node]: number for node, number in numbers.items() if node in new}


def at_once(graph: Graph, known: set[Node], rates: Sequence[Node]) -> tuple[Graph, Mapping[Node, Node]]:
    """The same graph, its nodes that were not known before put where all they need is there, not at the end; and the
    new nodes of the old ones.

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
    return Graph(graph.inputs, tuple(new[output] for output in graph.outputs)), new
