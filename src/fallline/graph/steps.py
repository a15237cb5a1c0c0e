"""A graph as a list of steps over numbered values: ready to be run many times, node by node, by the ops' meanings."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fallline.graph.node import CONSTANT, INPUT, Graph
from fallline.graph.op import Array


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
        """The outputs for these inputs, as the reference computes them; they may share memory with the inputs."""
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
        return [every[i] for i in self.outputs]


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
