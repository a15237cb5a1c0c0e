"""Is this graph well formed? Run between passes in tests; a graph that passes can be run, printed and lowered."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fallline.errors import GraphError
from fallline.graph.node import CONSTANT, INPUT, Graph, Node
from fallline.graph.op import TABLE, Kind

P = ParamSpec("P")
R = TypeVar("R")
_between_passes = False


def faults(graph: Graph) -> list[str]:
    """Everything about a graph that is not as it should be, one line each; none if it is well formed."""
    found = [f"{node!r} is listed as an input but is not one" for node in graph.inputs if node.op is not INPUT]
    if len(set(graph.inputs)) != len(graph.inputs):
        found.append("an input is listed twice")
    inputs, serials = set(graph.inputs), set()
    for node in graph.nodes():
        found += faults_of(node, inputs)
        if node.serial in serials:
            found.append(f"{node!r} has the number of another node")
        serials.add(node.serial)
    return found


def faults_of(node: Node, inputs: set[Node]) -> list[str]:
    """The problems of one node."""
    if TABLE.get(node.op.name) is not node.op:
        return [f"{node!r}: its op is not in the table"]
    if node.op is INPUT:
        return [] if node in inputs else [f"{node!r} is used but is no input of the graph"]
    if node.op is CONSTANT:
        value = node.attrs["value"]
        same = value.shape == node.shape and value.dtype == node.dtype and value.dtype.isnative
        return [] if same else [f"{node!r} holds {value.dtype}{list(value.shape)}"]
    found = [f"{node!r} is older than its input {i!r}" for i in node.inputs if i.serial >= node.serial]
    if node.op.kind is Kind.LOOP:
        found += [f"in the body of {node!r}: {fault}" for fault in faults(node.attrs["body"].graph)]
    try:
        shape, dtype = node.op.infer(*node.inputs, **node.attrs)
    except Exception as error:
        return [*found, f"{node!r}: its op refuses these inputs: {error}"]
    if (shape, dtype) != (node.shape, node.dtype):
        found.append(f"{node!r}: its op infers {dtype}{list(shape)}")
    return found


def verify(graph: Graph) -> Graph:
    """The graph itself; GraphError with every fault if it is not well formed."""
    found = faults(graph)
    if found:
        raise GraphError("\n  ".join(["the graph is not well formed:", *found]))
    return graph


def verify_between_passes(on: bool = True) -> None:
    """Whether the result of every pass is verified from now on; for tests."""
    global _between_passes
    _between_passes = on


def is_pass(function: Callable[P, R]) -> Callable[P, R]:
    """Declare a pass: a function that returns a graph, a tuple that starts with one, a record that has one, or None."""

    @wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> R:
        result: Any = function(*args, **kwargs)
        if _between_passes and result is not None:
            verify(result if isinstance(result, Graph) else result[0] if isinstance(result, tuple) else result.graph)
        return result  # type: ignore[no-any-return]

    return made
