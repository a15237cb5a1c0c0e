"""Gradients of a trace: the chain rule is applied once to each form of trace, and its steps are remembered.

A function is traced anew at every call, so nothing it does now is missed. The nodes of a gradient rule follow from ops,
attributes, shapes and dtypes alone, never from numbers: constants of the trace are inputs of the remembered graph.
"""

import contextlib
import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fallline.graph.node import CONSTANT, INPUT, Graph, Node, new_input
from fallline.graph.op import Array
from fallline.passes.backprop import backprop
from fallline.passes.simplify import simplify
from fallline.program.call import owned

_KEPT = 128  # forms of traces; the one unused for longest makes room


class Step(NamedTuple):
    """One node: its meaning over numbered values. over: numbers of values nobody reads after it."""

    meaning: Callable[..., Any]  # attributes are bound to it
    inputs: tuple[int, ...]
    dtype: np.dtype[Any]
    output: int
    over: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """A graph's computation, node by node, from its inputs' values, which are numbered first."""

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
            for meaning, inputs, dtype, output, over in self.steps:
                if len(inputs) == 2:
                    value = meaning(every[inputs[0]], every[inputs[1]])
                elif len(inputs) == 1:
                    value = meaning(every[inputs[0]])
                else:
                    value = meaning(*[every[i] for i in inputs])
                if type(value) is not np.ndarray:
                    value = np.asarray(value)
                every[output] = value if value.dtype is dtype else value.astype(dtype, copy=False)
                for i in over:
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
            meaning = functools.partial(node.op.meaning, **node.attrs) if node.attrs else node.op.meaning
            steps.append(Step(meaning, inputs, node.dtype, number[node], tuple(sorted(over))))
    return Steps(len(number), tuple(known), tuple(steps), tuple(number[node] for node in graph.outputs))


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
    return steps.run([*values, *[node.attrs["value"] for node in constants]])


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
    return steps_of(simplify(Graph(inputs, (value, *backprop([value], wrt)))))
