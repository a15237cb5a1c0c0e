"""From a plain NumPy function to a graph: call it once on nodes and keep the result.

Traces may be nested (a gradient inside a function that is itself traced); the ones in progress are kept here, so that
a value of an outer one is distinguished from a value that outlived its trace.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import TraceError
from fallline.graph.draws import Watch
from fallline.graph.node import INPUT, Graph, Node, as_node, new_input, reachable
from fallline.graph.where import defined_at, here, raised_at

# The inputs of every trace in progress, outermost first.
_open: ContextVar[tuple[frozenset[Node], ...]] = ContextVar("_open", default=())


def in_progress() -> bool:
    """Whether some function is being traced now."""
    return bool(_open.get())


def input_like(array: Any, name: str = "") -> Node:
    if type(array) is not Node and type(array) is not np.ndarray:
        array = np.asarray(array)
    return new_input(array.shape, array.dtype, name)


def as_output(value: Any, function: Callable[..., Any] | None = None) -> Node:
    """The result of a traced function, as a node."""
    if value is None or isinstance(value, str | bytes):
        raise TraceError(
            f"a traced function has to return numbers, got {'None' if value is None else repr(value):.60}\n"
            f"  function: {here() if function is None else defined_at(function)}\n"
            f"  try: {'a return statement at its end' if value is None else 'returning only arrays and numbers'}"
        )
    return as_node(value)


def _as_outputs(result: Any, function: Callable[..., Any]) -> Any:
    # A None among other results is a part of their form, as in the pair that fl.scan returns; alone it is a mistake.
    parts = None if result is None or type(result) is Node else tree.children(result)
    if parts is None:
        return as_output(result, function)
    return tree.rebuild(result, [part if part is None else _as_outputs(part, function) for _, part in parts])


def check_no_strays(outputs: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes that the outputs are computed from; raise if an input of a trace that is over is among them."""
    known = frozenset[Node]().union(*_open.get())
    nodes = reachable(outputs)
    if all(node in known for node in nodes if node.op is INPUT):
        return nodes
    used = [(value, node) for node in nodes for value in node.inputs]
    for stray, user in (*used, *((output, output) for output in outputs)):
        if stray.op is INPUT and stray not in known:
            raise TraceError(
                f"a traced value was kept from another call: {stray!r}\n  used at {user.where}\n"
                "  try: returning it from the traced function instead of storing it outside"
            )
    return nodes


def trace(function: Callable[..., Any], inputs: Sequence[Node], *, kept: bool = False) -> tuple[Graph, Any]:
    """The graph of `function(*inputs)`, and the tree its outputs have (its leaves are the graph's output nodes).

    kept: the graph stands for every later call, so the function must not draw numbers of its own.
    """
    if not kept:
        return _traced(function, inputs)
    watch = Watch(function)
    graph, outputs = _traced(function, inputs)
    watch.check(graph, lambda: _traced(function, inputs)[0])
    return graph, outputs


def _traced(function: Callable[..., Any], inputs: Sequence[Node]) -> tuple[Graph, Any]:
    token = _open.set((*_open.get(), frozenset(inputs)))
    try:
        outputs = _as_outputs(function(*inputs), function)
        leaves = tuple(tree.leaves(outputs))
        nodes = check_no_strays(leaves)
    except ValueError as error:
        # NumPy wraps our refusal to become a number when a traced value is assigned to an element of an array.
        if isinstance(error.__cause__ or error.__context__, TraceError):
            raise TraceError(
                f"a traced value was stored into a plain array, which a graph cannot record\n  at {raised_at(error)}\n"
                "  try: np.stack or np.concatenate of the parts, or np.where(mask, new, old)"
            ) from None
        raise
    finally:
        _open.reset(token)
    return Graph(tuple(inputs), leaves, nodes), outputs
