"""grad, vjp, jvp, hvp, jacobian, hessian, compile: functions of arrays in, functions of arrays out.

Each call traces the user's function, transforms the graph and runs it. Called while another function is being traced
they add to its graph instead: the derivative is then taken at aliases of the arguments, so that a value closed over
and an argument that happen to be the same node are not mixed up.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ops, tree
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError, TraceError
from fallline.graph.node import INPUT, Graph, Node, as_node, constant, reachable
from fallline.graph.op import Array
from fallline.graph.trace import in_progress, input_like, trace
from fallline.graph.where import defined_at, here
from fallline.passes.backprop import backprop
from fallline.program import call
from fallline.tree import Tree

Function = Callable[..., Any]
ArgNums = int | tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A function traced at its differentiable arguments."""

    params: Tree  # the arguments as they were given
    wrt: list[Node]  # a node per leaf of params
    values: list[Array]  # their numbers; none in a nested recording, whose nodes belong to the graph outside
    outputs: Tree  # of nodes
    nested: bool

    def source(self, value: Any) -> tuple[Node, list[Array]]:
        """A further value, as a node and the numbers to run it with."""
        if self.nested:
            return as_node(value), []
        array = native(value)
        return input_like(array), [array]

    def finish(self, form: Tree, results: Sequence[Node], more: Sequence[tuple[Node, list[Array]]] = ()) -> Tree:
        """The results in this form: numbers, or nodes where they depend on a function that is still being traced."""
        if self.nested and any(node.op is INPUT for node in reachable(results)):
            return tree.unflatten(form, list(results))
        inputs = [] if self.nested else [*self.wrt, *(node for node, _ in more)]
        values = [*self.values, *(array for _, arrays in more for array in arrays)]
        return tree.unflatten(form, plain(call.once(Graph(tuple(inputs), tuple(results)), values)))


def plain(results: Sequence[Array]) -> list[Any]:
    """Results as NumPy hands them out: scalars instead of arrays without axes."""
    return [result[()] for result in results]


def native(value: Any) -> Array:
    """The value as an array in this machine's byte order."""
    array = np.asarray(value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def positions(argnums: ArgNums, count: int, name: str) -> tuple[int, ...]:
    """The argument positions, counted from 0."""
    try:
        given = [operator.index(i) for i in (argnums if isinstance(argnums, tuple | list) else (argnums,))]
    except TypeError:
        raise ArgumentTypeError(f"{name}: argnums is an int or a tuple of ints, got {argnums!r}") from None
    for i in given:
        if not -count <= i < count:
            raise ArgumentError(f"{name}: argnums={argnums} but the function got {count} positional arguments\n  at {here()}")
    found = tuple(i % count for i in given)
    if len(set(found)) != len(found) or not found:
        raise ArgumentError(f"{name}: argnums={argnums} has to name each argument once, and at least one")
    return found


def check_params(params: Tree, paths: list[str], name: str) -> None:
    """Raise unless every leaf is a float32 or float64 array."""
    for path, leaf in zip(paths, tree.leaves(params), strict=True):
        if isinstance(leaf, Node):
            if not in_progress():
                raise TraceError(f"{name}: {path} is a traced value kept from another call: {leaf!r}\n  at {here()}")
            dtype = leaf.dtype
        else:
            dtype = np.asarray(leaf).dtype
        if dtype.newbyteorder("=") in (np.float32, np.float64):
            continue
        instead = {
            "i": "writing 3.0 for 3, or x.astype(float)", "u": "x.astype(float)", "b": "x.astype(float)",
            "f": "x.astype(np.float32)", "c": "two real arrays, for the real and the imaginary part",
            "O": "nested dicts, lists and tuples of float arrays; rows of unequal length as a list of arrays",
        }.get(dtype.kind, "argnums=, to differentiate with respect to other arguments")  # fmt: skip
        raise ArgumentTypeError(
            f"{name}: derivatives need float32 or float64 parameters, {path} is {dtype} ({leaf!r:.60})\n"
            f"  at {here()}\n  try: {instead}; argnums= says which arguments are parameters"
        )


def record(function: Function, argnums: ArgNums, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Recording:
    """Trace a function at the arguments that argnums names; the others stay what they are."""
    at = positions(argnums, len(args), name)
    chosen = tuple(args[i] for i in at)
    paths = [f"argument {i}{'.' if path else ''}{path}" for i, part in zip(at, chosen) for path, _ in tree.items(part)]
    check_params(chosen, paths, name)
    nested = in_progress()
    leaves = tree.leaves(chosen)
    values = [] if nested else [native(leaf) for leaf in leaves]
    wrt = [ops.view.alias(as_node(leaf)) for leaf in leaves] if nested else [input_like(value) for value in values]

    @functools.wraps(function)
    def on_nodes(*nodes: Node) -> Any:
        given = dict(zip(at, tree.unflatten(chosen, list(nodes)), strict=True))
        return function(*(given.get(i, arg) for i, arg in enumerate(args)), **kwargs)

    _, outputs = trace(on_nodes, wrt)
    return Recording(chosen if isinstance(argnums, tuple | list) else chosen[0], wrt, values, outputs, nested)


def scalar_output(recording: Recording, function: Function, name: str) -> Node:
    """The one number a function returned, or an error that says what it returned."""
    outputs = tree.leaves(recording.outputs)
    what = None
    if not isinstance(recording.outputs, Node):
        what = f"{tree.structure(recording.outputs)}"
    elif outputs[0].shape != ():
        what = f"an array of shape {outputs[0].shape}"
    elif outputs[0].dtype.kind != "f":
        what = f"a number of dtype {outputs[0].dtype}, which has no derivative"
    if what is not None:
        raise ShapeError(
            f"{name}: the function has to return one real number, it returned {what}\n"
            f"  function: {defined_at(function)}\n  at {here()}\n"
            "  try: np.sum or np.mean of the result; fallline.jacobian differentiates arrays"
        )
    node: Node = outputs[0]
    return node


def value_and_grad(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the value of `function` and its gradient.

    function: returns one real number, written with NumPy.
    argnums: which positional arguments to differentiate, an int or a tuple; their leaves are float32 or float64 arrays.
    The gradient has the form of the argument: a nested dict, list or tuple gives the same of gradients; a tuple of
    argnums gives a tuple.

    >>> value_and_grad(lambda x: x * x)(3.0)
    (np.float64(9.0), np.float64(6.0))
    """

    @functools.wraps(function)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Tree]:
        recording = record(function, argnums, args, kwargs, "value_and_grad")
        value = scalar_output(recording, function, "value_and_grad")
        grads = backprop([value], recording.wrt)
        result: tuple[Any, Tree] = recording.finish((0, recording.params), [value, *grads])
        return result

    return evaluate


def grad(function: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the gradient of `function`; arguments as in value_and_grad.

    >>> grad(lambda x: x * x)(3.0)
    np.float64(6.0)
    """

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Tree:
        recording = record(function, argnums, args, kwargs, "grad")
        value = scalar_output(recording, function, "grad")
        return recording.finish(recording.params, backprop([value], recording.wrt))

    return gradient
