"""Backpropagation as a graph transform: from an output and its inputs to the gradient, as more nodes.

One walk over the graph in reverse; every node hands the gradient of its output on to its inputs by its op's rule
(the chain rule), and gradients that reach a node along several paths are summed. Gradients that are zero because
another branch was chosen stay zero (ops/mask.py). Knows no single op.
"""

from collections.abc import Sequence

from fallline.errors import GraphError
from fallline.graph.node import Node, constant, reachable
from fallline.graph.op import Kind
from fallline.graph.where import going_back, made_at
from fallline.ops.mask import Share, elementwise_share, mask_of_input, sum_of_shares, zeroed
from fallline.ops.reduce import broadcast_to


def depends_on(nodes: Sequence[Node], sources: Sequence[Node]) -> set[Node]:
    """Of these nodes, in running order, the ones with a differentiable path from a source."""
    found = set(sources)
    for node in nodes:
        if node.dtype.kind == "f" and any(input_ in found for input_ in node.inputs):
            found.add(node)
    return found


def backprop(outputs: Sequence[Node], wrt: Sequence[Node], seeds: Sequence[Node] | None = None) -> list[Node]:
    """The gradient of sum_i <seed_i, output_i> with respect to every node of `wrt`, as nodes.

    outputs: nodes; without seeds they must be scalars, and the gradient of their sum is meant.
    Returns one node per element of wrt, of its shape and dtype; zeros where no output depends on it.
    Source: Griewank & Walther 2008, Evaluating Derivatives, section 3.2 (the adjoint, or reverse, mode).
    """
    grads: dict[Node, list[Share]] = {}  # the gradients that have reached a node so far
    for output, seed in zip(outputs, seeds or [constant(1, output.dtype) for output in outputs], strict=True):
        if seed.shape != output.shape:
            raise GraphError(f"seed of shape {list(seed.shape)} for an output of shape {list(output.shape)}")
        grads.setdefault(output, []).append(Share(seed))
    nodes = reachable(outputs)
    active = depends_on(nodes, wrt)
    kept = set(wrt)
    for node in reversed(nodes):
        if node not in active or node not in grads or not node.inputs:
            continue
        with made_at(going_back(node.where)):
            g = sum_of_shares(grads.pop(node), total)
            if node in kept:  # requested, and also passed on where it is computed from another of `wrt`
                g = zeroed(g)
                grads[node] = [g]
            if any(input_ in active for input_ in node.inputs):
                add_to_inputs(node, g, grads, active)
    return [zeroed(sum_of_shares(grads[node], total)).value if node in grads else zeros_like(node) for node in wrt]


def zeros_like(node: Node) -> Node:
    result: Node = broadcast_to(constant(0, node.dtype), shape=node.shape)
    return result


def total(shares: Sequence[Node]) -> Node:
    """The sum of the shares of a node's gradient."""
    result = shares[0]
    for share in shares[1:]:
        result = result + share
    return result


def add_to_inputs(node: Node, g: Share, grads: dict[Node, list[Share]], active: set[Node]) -> None:
    """Add this node's share of the gradient to each of its inputs."""
    if node.op.grad is None:
        return
    each_alone = node.op.kind in (Kind.ELEMENTWISE, Kind.CAST)
    g = g if each_alone else zeroed(g)
    # The gradient of a loop is a loop over the gradient of its body.
    more = {"derive": backprop} if node.op.kind is Kind.LOOP else {}
    shares = node.op.grad(g.value, node, *node.inputs, **node.attrs, **more)
    if len(shares) != len(node.inputs):
        raise GraphError(f"the gradient rule of {node.op.name} returns {len(shares)} for {len(node.inputs)} inputs")
    for place, (input_, value) in enumerate(zip(node.inputs, shares, strict=True)):
        if value is None or input_ not in active:
            continue
        if each_alone:
            share = elementwise_share(node, place, g, value)
        else:
            share = Share(value, mask_of_input(node, place, g.mask, g.value.dtype))
        if share.value.shape != input_.shape or share.value.dtype != input_.dtype:
            raise GraphError(
                f"the gradient rule of {node.op.name} returns {share.value.dtype}{list(share.value.shape)} "
                f"for an input {input_.dtype}{list(input_.shape)}"
            )
        grads.setdefault(input_, []).append(share)
