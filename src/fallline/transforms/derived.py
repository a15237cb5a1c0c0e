"""Gradients of a trace: the chain rule is applied once to each form of trace, and its steps are remembered.

A function is traced anew at every call, so nothing it does now is missed. What a gradient rule makes follows from ops,
attributes, shapes and dtypes alone, never from numbers: constants of the trace are inputs of what is remembered.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.graph.node import CONSTANT, INPUT, Graph, Node, new_input, reachable
from fallline.graph.op import Array
from fallline.passes.backprop import backprop
from fallline.passes.simplify import simplify
from fallline.program.call import owned

_KEPT = 128  # forms of traces; the one unused for longest makes room


@dataclass(frozen=True, slots=True)
class Step:
    """One node: its meaning over numbered values. over: numbers of values nobody reads after it."""

    meaning: Callable[..., Any]
    inputs: tuple[int, ...]
    attrs: dict[str, Any]
    dtype: np.dtype[Any]
    output: int
    over: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """What a graph computes, node by node, from its inputs' values, which are numbered first."""

    count: int  # of values
    known: tuple[tuple[int, Array], ...]  # constants
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def run(self, values: Sequence[Array]) -> list[Array]:
        """The outputs for these inputs, as the reference computes them; arrays of their own."""
        every: list[Any] = [*values, *[None] * (self.count - len(values))]
        for number, value in self.known:
            every[number] = value
        with np.errstate(all="ignore"):
            for step in self.steps:
                value = step.meaning(*[every[i] for i in step.inputs], **step.attrs)
                if type(value) is not np.ndarray:
                    value = np.asarray(value)
                every[step.output] = value if value.dtype is step.dtype else value.astype(step.dtype, copy=False)
                for i in step.over:
                    every[i] = None
        return owned([every[i] for i in self.outputs], [*values, *(value for _, value in self.known)])


def steps_of(graph: Graph) -> Steps:
    """A graph ready to be run many times."""
    nodes = graph.nodes()
    number = {node: i for i, node in enumerate(graph.inputs)}
    for node in nodes:
        number.setdefault(node, len(number))
    known, steps = [], []
    last = {input_: node for node in nodes for input_ in node.inputs}
    kept = {*graph.inputs, *graph.outputs}
    for node in nodes:
        if node.op is CONSTANT:
            known.append((number[node], node.attrs["value"]))
        elif node.op is not INPUT:
            over = {number[x] for x in node.inputs if last[x] is node and x not in kept and x.op is not CONSTANT}
            inputs = tuple([number[x] for x in node.inputs])
            steps.append(Step(node.op.meaning, inputs, node.attrs, node.dtype, number[node], tuple(sorted(over))))
    return Steps(len(number), tuple(known), tuple(steps), tuple(number[node] for node in graph.outputs))


_remembered: OrderedDict[Any, Steps] = OrderedDict()


def value_and_gradient(value: Node, wrt: Sequence[Node], values: Sequence[Array]) -> list[Array]:
    """A traced number, and its gradient in every node of `wrt`, whose numbers are `values`."""
    nodes = reachable([value])
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
    return steps.run([*values, *[node.attrs["value"] for node in constants]])


def form_of(nodes: Sequence[Node], wrt: Sequence[Node]) -> Any:
    """All that the gradient of the last node depends on, but for numbers."""
    number = {node: i for i, node in enumerate(wrt)}
    form: list[Any] = [len(wrt), *[(node.shape, node.dtype) for node in wrt]]
    for node in nodes:
        if node.op is not INPUT:
            number[node] = len(number)
            if node.op is CONSTANT:
                form.append((node.shape, node.dtype))
            else:
                attrs = tuple([(name, exact(attr)) for name, attr in node.attrs.items()]) if node.attrs else ()
                form.append((node.op, attrs, node.dtype, *[number[input_] for input_ in node.inputs]))
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
    return steps_of(simplify(Graph(inputs, (value, *backprop([value], wrt)))))
