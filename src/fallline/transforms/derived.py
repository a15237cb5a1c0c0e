"""Gradients of a trace: the chain rule is applied once to each form of trace, and its steps are remembered.

A function is traced anew at every call, so nothing it does now is missed. The nodes of a gradient rule follow from ops,
attributes, shapes and dtypes alone, never from numbers: constants of the trace are inputs of the remembered graph.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from fallline.graph.node import CONSTANT, INPUT, Graph, Node, new_input
from fallline.graph.op import Array
from fallline.graph.steps import Steps, steps_of
from fallline.passes.backprop import backprop
from fallline.passes.loops import fewer_loops
from fallline.passes.simplify import simplify
from fallline.program.call import owned

_KEPT = 128  # forms of traces; the one unused for longest makes room


_remembered: OrderedDict[Any, Steps] = OrderedDict()


def value_and_gradient(graph: Graph, values: Sequence[Array]) -> list[Array]:
    """The one number a graph computes, and its gradient in every input, whose numbers are `values`."""
    nodes, wrt = graph.nodes(), graph.inputs
    constants = [node for node in nodes if node.op is CONSTANT]
    try:
        key = form_of(nodes, wrt)
        steps = _remembered.get(key)
    except TypeError:  # an attribute that cannot be hashed
        key = steps = None
    if steps is None:
        steps = _derived(nodes, wrt, constants)
        if key is not None:
            _remembered[key] = steps
            while len(_remembered) > _KEPT:
                _remembered.popitem(last=False)
    elif key is not None:
        with contextlib.suppress(KeyError):  # another thread made room meanwhile
            _remembered.move_to_end(key)
    given = [*values, *[node.attrs["value"] for node in constants]]
    return owned(steps.run(given), [*given, *[value for _, value in steps.known]])


def form_of(nodes: Sequence[Node], wrt: Sequence[Node]) -> Any:
    """All that the gradient of the last node depends on, but for numbers."""
    number = {node: i for i, node in enumerate(wrt)}
    form: list[Any] = [len(wrt)]
    for node in wrt:
        form += node.shape, node.dtype
    for node in nodes:
        op = node.op
        if op is INPUT:
            continue
        number[node] = len(number)
        # In one row: an op begins a node, names its attributes, and whole numbers its inputs.
        if op is CONSTANT:
            form += op, node.shape, node.dtype
            continue
        form += op, node.dtype
        form += [number[input_] for input_ in node.inputs]
        for name, attr in node.attrs.items():
            form += name, exact(attr)
    return tuple(form)


def exact(attr: Any) -> Any:
    """An attribute as part of a form; 0.0 and -0.0 are equal, and NaN is not."""
    return (float, attr.hex()) if isinstance(attr, float) else attr


def _derived(nodes: Sequence[Node], wrt: Sequence[Node], constants: Sequence[Node]) -> Steps:
    """The steps of value and gradient; the constants of the trace are inputs behind those of `wrt`."""
    new = {node: node for node in wrt} | {node: new_input(node.shape, node.dtype) for node in constants}
    for node in nodes:
        if node not in new:
            inputs = tuple([new[input_] for input_ in node.inputs])
            new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
    value = new[nodes[-1]]
    inputs = (*wrt, *(new[node] for node in constants))
    return steps_of(simplify(fewer_loops(simplify(Graph(inputs, (value, *backprop([value], wrt)))))))
