"""jacobian and hessian: all first or second derivatives, row by row or column by column, whichever are fewer."""

import functools
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import takes
from fallline.graph.node import Graph, Node, constant, new_input
from fallline.graph.op import Array
from fallline.graph.trace import input_like
from fallline.ops.reduce import broadcast_to
from fallline.ops.view import cut, reshape
from fallline.passes.backprop import backprop
from fallline.passes.batch import batch, moved
from fallline.program import call
from fallline.transforms.directional import push
from fallline.transforms.gradient import grad
from fallline.transforms.recording import ArgNums, Function, Recording, check_function, real_outputs, record
from fallline.tree import Tree

# Rows or columns from which on preparing a program costs less than running the graph node by node.
_MANY = 256


def unit_vectors(nodes: Sequence[Node]) -> Iterator[list[Array]]:
    """Zeros of these forms with a single one, which runs through every element of every node."""
    for chosen, node in enumerate(nodes):
        for position in range(node.size):
            vectors = [np.zeros(other.shape, other.dtype) for other in nodes]
            vectors[chosen].flat[position] = 1
            yield vectors


def transformed(recording: Recording, outputs: Sequence[Node], vectors: Sequence[Node], backward: bool) -> list[Node]:
    """u^T J of one vector (backward), or J v."""
    return (backprop if backward else push)(outputs, recording.wrt, vectors)


def products(recording: Recording, outputs: list[Node], backward: bool) -> list[list[Array]]:
    """e_i^T J for every output element (backward), or J e_j for every parameter element."""
    wrt = recording.wrt
    directions = [input_like(np.empty(node.shape, node.dtype)) for node in (outputs if backward else wrt)]
    graph = Graph((*wrt, *directions), tuple(transformed(recording, outputs, directions, backward)))
    count = sum(node.size for node in directions)
    run = call.build(graph) if count > _MANY else functools.partial(call.once, graph)
    return [run([*recording.values, *vector]) for vector in unit_vectors(outputs if backward else wrt)]


def at_once(recording: Recording, outputs: list[Node], backward: bool) -> list[list[Node]]:
    """The blocks of `assembled` as nodes: in a trace, all unit vectors are rows of one derivative, which is batched, so
    that the graph does not grow with their number."""
    wrt = recording.wrt
    sources, found = (outputs, wrt) if backward else (wrt, outputs)
    edges = list(accumulate((node.size for node in sources), initial=0))
    rows = {}
    for node, low in zip(sources, edges, strict=False):
        units = np.eye(edges[-1], node.size, -low, node.dtype)
        rows[new_input(node.shape, node.dtype)] = constant(units.reshape(edges[-1], *node.shape))
    lines = [
        line if has_rows else broadcast_to(line, shape=(edges[-1], *line.shape))
        for line, has_rows in batch(transformed(recording, outputs, list(rows), backward), rows, edges[-1])
    ]
    assert len(lines) == len(found)

    def block(i: int, j: int) -> Node:
        mine, theirs = (i, j) if backward else (j, i)
        part = cut(lines[theirs], 0, edges[mine], edges[mine + 1])
        part = part if backward else moved(part, 0, len(part.shape) - 1)
        result: Node = reshape(part, shape=(*outputs[i].shape, *wrt[j].shape))
        return result

    return [[block(i, j) for j in range(len(wrt))] for i in range(len(outputs))]


def assembled(parts: list[list[Any]], outputs: list[Node], wrt: list[Node], backward: bool) -> list[list[Any]]:
    """The Jacobian block of every output leaf (rows) and parameter leaf (columns), of shape output + parameter."""
    edges = np.cumsum([0, *(node.size for node in (outputs if backward else wrt))]).tolist()

    def block(i: int, j: int) -> Any:
        shape = (*outputs[i].shape, *wrt[j].shape)
        mine, theirs = (i, j) if backward else (j, i)
        lines = [part[theirs] for part in parts[edges[mine] : edges[mine + 1]]]
        if not lines:
            return np.zeros(shape, wrt[j].dtype)
        whole = np.reshape(np.stack(lines, axis=0 if backward else -1), shape)
        return whole[()] if isinstance(whole, np.ndarray) else whole

    return [[block(i, j) for j in range(len(wrt))] for i in range(len(outputs))]


@takes()
def jacobian(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the Jacobian of `function`, every derivative of every output element.

    function: returns real numbers in any form. argnums: as in value_and_grad.
    For an array of shape s from a parameter of shape p the result has shape s + p, J[i, j] = d output_i / d p_j. Where
    outputs or parameters are nested, it is a tree of outputs whose leaves are trees of parameters.
    Costs one backward pass for each output element, or one forward derivative for each parameter element, whichever
    are fewer.
    Errors: TraceError for code that cannot be traced; ArgumentTypeError for parameters or results that are no real
        numbers.
    Source: Griewank & Walther 2008, Evaluating derivatives, chapter 3.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    check_function(function, "jacobian")

    @functools.wraps(function)
    def evaluate(*args: Any, **kwargs: Any) -> Tree:
        recording = record(function, argnums, args, kwargs, "jacobian")
        outputs = real_outputs(recording, function, "jacobian")
        backward = sum(node.size for node in outputs) <= sum(node.size for node in recording.wrt)
        blocks: list[list[Any]] = (
            at_once(recording, outputs, backward)
            if recording.nested
            else assembled(products(recording, outputs, backward), outputs, recording.wrt, backward)
        )
        rows = [tree.unflatten(recording.params, row) for row in blocks]
        result = tree.unflatten(recording.outputs, rows)
        return recording.finish(result, tree.leaves(result)) if recording.nested else result

    return evaluate


@takes()
def hessian(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the Hessian of `function`, every second derivative: the Jacobian of its gradient.

    function: returns one real number. argnums: as in value_and_grad.
    For a parameter of shape p the result has shape p + p, H[i, j] = d^2 f / d p_i d p_j; for nested parameters it is a
    tree of trees. Costs one Hessian-vector product for each parameter element.
    Errors: as for jacobian; ShapeError unless one number is returned.
    Source: Christianson 1992, Automatic Hessians by reverse accumulation.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    check_function(function, "hessian")
    return jacobian(grad(function, argnums), argnums)
