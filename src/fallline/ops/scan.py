"""The loop: a graph that runs once for each row of some arrays, and hands values on from turn to turn.

Its gradient is a loop too, which goes over the rows in reverse order: the derivative of one turn is taken once,
whatever the number of turns. The carries that a turn starts from, and its matrix products, are kept for it; the rest of
the turn is computed again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.errors import ShapeError
from fallline.graph.body import Body, Segment, substituted
from fallline.graph.declare import cast_to, primitive
from fallline.graph.node import Graph, Node, as_node, new_input, reachable
from fallline.graph.op import Array, Kind
from fallline.graph.where import here
from fallline.ops.reduce import broadcast_to
from fallline.ops.view import cut, reshape

Derive = Callable[..., list[Node]]  # passes/backprop.py: outputs, what with respect to, seeds


def _infer(*inputs, body, dtype):
    graph, rows = body.graph, len(body.graph.inputs) - body.rows
    wanted = [node.shape if i < rows else (body.turns, *node.shape) for i, node in enumerate(graph.inputs)]
    given = [(node.shape, node.dtype) for node in inputs]
    if given != [(shape, node.dtype) for shape, node in zip(wanted, graph.inputs, strict=True)]:
        raise ShapeError(f"loop: the body takes arrays of shapes {wanted}, got {[s for s, _ in given]}\n  at {here()}")
    segments = body.segments(dtype)
    return (segments[-1].stop if segments else 0,), np.dtype(dtype)


def _rule(g, y, *inputs, body, dtype, derive):
    """The gradient of every input, by one loop over the rows in reverse order."""
    return gradient(g, inputs, body, dtype, derive)


def _examples(rng):
    """One loop forwards that stacks and carries, one backwards that sums, over a matrix of the turns."""

    def leaf(*shape):
        return new_input(shape, np.float64)

    calls = []
    for reverse in (False, True):
        w, h, x = leaf(3, 3), leaf(2, 3), leaf(2, 3)
        after = np.tanh(h @ w + x)
        graph = Graph((w, h, x), (after, after * x, w * np.sum(after)))
        body = Body(graph, 1, 1, 4, reverse, (0,), (0,), 1)
        arrays = [0.5 * rng.standard_normal(s) for s in ((3, 3), (2, 3), (4, 2, 3))]
        calls.append((arrays, {"body": body, "dtype": np.dtype(np.float64)}))
    return calls


@primitive(Kind.LOOP, infer=_infer, grad=_rule, domain=_examples)
def loop(*arrays, body, dtype):
    """The body run for each row; every output of this dtype, laid one after the other into one vector."""
    c, k = body.constants, body.constants + body.carries
    constants, carries, rows = arrays[:c], list(arrays[c:k]), arrays[k:]
    segments = body.segments(dtype)
    result = np.zeros(segments[-1].stop if segments else 0, dtype)
    places = {(s.role, s.number): result[s.start : s.stop].reshape(s.shape) for s in segments}
    outputs = list(_roles(body))
    after = 1 - body.before()
    tracks = [(held, number) for (role, number), held in places.items() if role == "track"]
    for held, number in tracks:
        held[body.turns if body.reverse else 0] = carries[number]
    for t in body.turn_order():
        made = body.steps.run([*constants, *carries, *(row[t, ...] for row in rows)])
        carries = made[: body.carries]
        for held, number in tracks:
            held[t + after] = carries[number]
        for at, value in zip(outputs, made[body.carries :], strict=True):
            if at in places and at[0] == "stacked":
                places[at][t] = value
            elif at in places:
                places[at][...] += value
    for (role, number), held in places.items():
        if role == "last":
            held[...] = carries[number]
    return result


def _roles(body: Body):
    """Role and number of the outputs of a turn after the carries."""
    yield from (("stacked", i) for i in range(body.stacked))
    yield from (("summed", i) for i in range(body.summed))


def outputs_of(body: Body, inputs: Sequence[Any]) -> dict[tuple[str, int], Any]:
    """A loop's outputs by role and number: nodes where an input is one, else arrays."""
    found: dict[tuple[str, int], Any] = {}
    for dtype in body.dtypes():
        segments = body.segments(dtype)
        if max(segments[-1].stop * dtype.itemsize, body.turns) > np.iinfo(np.int64).max:
            raise ShapeError(f"loop: the results of {body.turns} turns do not fit into any memory\n  at {here()}")
        vector = loop(*inputs, body=body, dtype=dtype)
        for s in segments:
            found[s.role, s.number] = segment_of(vector, s)
    return found


def nodes_of(body: Body, inputs: Sequence[Node]) -> dict[tuple[str, int], Node]:
    """The same as nodes, for a loop without inputs too, whose outputs are constants."""
    return {at: as_node(value) for at, value in outputs_of(body, inputs).items()}


def segment_of(vector: Any, s: Segment) -> Any:
    """One output, cut out of the vector of all."""
    part = vector if (s.start, s.stop) == (0, vector.shape[0]) else cut(vector, 0, s.start, s.stop)
    return part if part.shape == s.shape else reshape(part, shape=s.shape)


def gradient(
    g: Node, inputs: Sequence[Node], body: Body, dtype: np.dtype[Any], derive: Derive
) -> tuple[Node | None, ...]:
    """The gradient of a loop's vector in each of its inputs; None for those that are no floats.

    With h' = f(w, h, x) in a turn, and the gradient of h' known, the body's own backpropagation gives that of h, which
    the turn before starts from, that of the row x, which is stacked, and that of the constant w, which is summed.
    """
    graph, c, k = body.graph, body.constants, body.constants + body.carries
    given = {(s.role, s.number): part for s in body.segments(dtype) if (part := part_of(g, s)) is not None}
    floats = [i for i in range(body.carries) if graph.outputs[i].dtype.kind == "f"]

    def like(node: Node) -> Node:
        return new_input(node.shape, node.dtype)

    carried = {i: like(graph.outputs[i]) for i in floats}
    own: dict[tuple[str, int], Node] = {}  # inputs of the new body for what is known of the outputs' gradients
    outputs, seeds = [graph.outputs[i] for i in floats], list(carried.values())
    for (role, number), node in zip(_roles(body), graph.outputs[body.carries :], strict=True):
        if (role, number) in given:
            own[role, number] = like(node)
            outputs.append(node)
            seeds.append(own[role, number])
    real = [i for i, node in enumerate(graph.inputs) if node.dtype.kind == "f"]
    grads = dict(zip(real, derive(outputs, [graph.inputs[i] for i in real], seeds), strict=True))
    new = {}
    for i in floats:
        new[i] = grads[c + i]
        if ("track", i) in given:
            own["track", i] = like(graph.outputs[i])
            new[i] = new[i] + own["track", i]
    rows, constants = [i for i in real if i >= k], [i for i in real if i < c]
    out = (*new.values(), *(grads[i] for i in rows), *(grads[i] for i in constants))
    saved = {node: like(node) for node in worth_saving(graph, out)}
    out = (*substituted(out, saved),)
    used = set(reachable(out))
    # Inputs of the new body, and for each the node outside: constants, then carries, then rows.
    first = [(node, inputs[i]) for i, node in enumerate(graph.inputs[:c]) if node in used]
    first += [(node, given[at]) for at, node in own.items() if at[0] == "summed"]
    turned = [(node, inputs[k + i]) for i, node in enumerate(graph.inputs[k:]) if node in used]
    kept = [i for i in range(body.carries) if graph.inputs[c + i] in used]
    begun, again = kept_of(body, inputs, kept, [*saved])
    turned += [(graph.inputs[c + i], node) for i, node in zip(kept, begun, strict=True)]
    turned += zip(saved.values(), again, strict=True)
    turned += [(node, given[at]) for at, node in own.items() if at[0] == "stacked"]
    low = body.before()
    turned += [(node, cut(given[at], 0, low, low + body.turns)) for at, node in own.items() if at[0] == "track"]
    ends = [start_of(given, body, i) for i in floats]
    nodes = (*(a for a, _ in first), *carried.values(), *(a for a, _ in turned))
    back = Body(Graph(nodes, out), len(first), len(floats), body.turns, not body.reverse, tuple(range(len(floats))),
                (), len(rows))  # fmt: skip
    made = nodes_of(back, [*(b for _, b in first), *ends, *(b for _, b in turned)])
    found: list[Node | None] = [None] * len(inputs)
    for n, i in enumerate(floats):
        found[c + i] = made["last", n]
    for n, i in enumerate(rows):
        found[i] = made["stacked", n]
    for n, i in enumerate(constants):
        found[i] = made["summed", n]
    return tuple(found)


def worth_saving(graph: Graph, outputs: Sequence[Node]) -> list[Node]:
    """Values of a turn that its backward pass reads rather than computing them again: products, since most of the time
    of a turn goes into them; where all that becomes of a product is a sum, that sum."""
    nodes = graph.nodes()
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            users.setdefault(x, []).append(node)
    found: dict[Node, None] = {}
    used = set(reachable(outputs))
    for node in nodes:
        if node.op.kind is Kind.CONTRACTION and node in used:
            while len(its := users.get(node, [])) == 1 and its[0].op.facts.get("sum") and its[0].shape == node.shape:
                node = its[0]
            found[node] = None
    return [node for node in found if node in used]


def kept_of(
    body: Body, inputs: Sequence[Node], carries: Sequence[int], saved: Sequence[Node]
) -> tuple[list[Node], list[Node]]:
    """The carries that each turn starts from and the values saved in it, with a row for each row of the loop."""
    if not carries and not saved:
        return [], []
    graph = Graph(body.graph.inputs, (*body.graph.outputs[: body.carries], *saved))
    made = nodes_of(replace(body, graph=graph, last=(), track=tuple(carries), stacked=len(saved)), inputs)
    low = body.before()
    begun = [cut(made["track", i], 0, low, low + body.turns) for i in carries]
    return begun, [made["stacked", i] for i in range(len(saved))]


def start_of(given: dict[tuple[str, int], Node], body: Body, i: int) -> Node:
    """The gradient of a carry's final value, which the backward loop begins with."""
    node = body.graph.outputs[i]
    parts = [given["last", i]] if ("last", i) in given else []
    if ("track", i) in given:
        at = 0 if body.reverse else body.turns
        parts.append(reshape(cut(given["track", i], 0, at, at + 1), shape=node.shape))
    if not parts:
        parts.append(broadcast_to(cast_to(0, node.dtype), shape=node.shape))
    result: Node = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return result


def part_of(g: Node, s: Segment) -> Node | None:
    """A segment of a gradient; None where it is made of nothing but zeros."""
    part = stretch_of(g, s.start, s.stop)
    return part if part is None or part.shape == s.shape else reshape(part, shape=s.shape)


def stretch_of(g: Node, low: int, high: int) -> Node | None:
    """g[low:high] of a vector, found behind joins and sums; None where it is made of nothing but zeros."""
    if low == high or is_zero(g):
        return None
    if low == 0 and high == g.shape[0] and g.op.kind is not Kind.JOIN:
        return g
    if g.op.facts.get("sum") and all(x.shape == g.shape for x in g.inputs):
        parts = [part for x in g.inputs if (part := stretch_of(x, low, high)) is not None]
        return parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else None
    if g.op.kind is Kind.JOIN:
        for x, (along,) in zip(g.inputs, g.op.facts["windows"](*g.inputs, **g.attrs), strict=True):
            if along.step not in (None, 1):
                break
            start, stop = along.start, along.start + x.shape[0]
            if start <= low and high <= stop:
                return stretch_of(x, low - start, high - start)
            if start < high and low < stop:  # a part of it
                break
        else:  # nothing lies there
            return None
    return g if (low, high) == (0, g.shape[0]) else cut(g, 0, low, high)


def is_zero(node: Node) -> bool:
    """Whether a node is a constant zero, however often repeated. A zero under a name of its own is none: a derivative
    may be taken there."""
    while node.op in (broadcast_to, reshape):
        node = node.inputs[0]
    value: Array | None = node.attrs.get("value") if node.op.kind is Kind.SOURCE else None
    return value is not None and math.prod(value.shape) <= 1 and not np.any(value)


__all__ = ["gradient", "loop", "nodes_of", "outputs_of", "segment_of"]
