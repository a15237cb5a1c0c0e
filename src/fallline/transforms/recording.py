"""A function traced at the arguments to differentiate: the start of every derivative. Takes no derivative itself.

While another function is being traced, a recording adds to its graph instead: the derivative is then taken at aliases
of the arguments, so that a value closed over and an argument that happen to be the same node are not mixed up.
"""

import inspect
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import arrays, ops, tree
from fallline.arguments import misfit
from fallline.errors import ArgumentError, ArgumentTypeError, FalllineError, ShapeError, TraceError
from fallline.graph.inside import Inside
from fallline.graph.node import INPUT, Graph, Node, as_node, reachable
from fallline.graph.op import Array
from fallline.graph.trace import in_progress, input_like, trace
from fallline.graph.where import defined_at, here
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
    graph: Graph

    def finish(self, form: Tree, results: Sequence[Node], more: Sequence[tuple[Node, Array]] = ()) -> Tree:
        """The results in this form: numbers, or nodes where they depend on a function that is still being traced.

        more: further inputs and their numbers, which a recording that is not nested may have been given.
        """
        if self.nested and any(node.op is INPUT for node in reachable(results)):
            return tree.unflatten(form, list(results))
        inputs = [] if self.nested else [*self.wrt, *(node for node, _ in more)]
        values = [*self.values, *(array for _, array in more)]
        return tree.unflatten(form, plain(call.once(Graph(tuple(inputs), tuple(results)), values)))

    def further(self, leaves: Sequence[Any]) -> tuple[list[Node], list[tuple[Node, Array]]]:
        """Directions or seeds as nodes, and the facts about them that `finish` needs."""
        if self.nested:
            return [as_node(leaf) for leaf in leaves], []
        pairs = [(input_like(leaf), leaf) for leaf in leaves]
        return [node for node, _ in pairs], pairs


def check_function(function: Any, name: str) -> None:
    """Raise unless it can be called; the value of a function is easily given in its place."""
    if not callable(function):
        raise ArgumentTypeError(
            f"{name}: takes a function, got {type(function).__name__}\n  at {here()}\n"
            f"  try: fallline.{name}(f)(x), not fallline.{name}(f(x))"
        )


def plain(results: Sequence[Array]) -> list[Any]:
    """Results as NumPy hands them out: scalars instead of arrays without axes."""
    return [result if result.ndim else result[()] for result in results]


def native(value: Any) -> Array:
    """The value as an array in this machine's byte order."""
    array = value if type(value) is np.ndarray else arrays.as_array(value, "an argument")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def positions(argnums: ArgNums, count: int, name: str) -> tuple[int, ...]:
    """The argument positions, counted from 0."""
    if type(argnums) is int and 0 <= argnums < count:
        return (argnums,)
    try:
        given = [operator.index(i) for i in (argnums if isinstance(argnums, tuple | list) else (argnums,))]
    except TypeError:
        raise ArgumentTypeError(f"{name}: argnums is an int or a tuple of ints, got {argnums!r}") from None
    for i in given:
        if not -count <= i < count:
            seen = f"{count} positional argument{'s' * (count != 1)}"
            raise ArgumentError(f"{name}: argnums={argnums}, but the function got {seen}\n  at {here()}")
    found = tuple(i % count for i in given)
    if len(set(found)) != len(found) or not found:
        raise ArgumentError(f"{name}: argnums={argnums} has to name at least one argument, and none twice")
    return found


# Hints about a parameter of another dtype, by NumPy's kind of it.
_INSTEAD = {
    **dict.fromkeys("iub", "3.0 instead of 3, or x.astype(float)"),
    "f": "x.astype(np.float32) or x.astype(np.float64)",
    "c": "the real and the imaginary part as two real arrays",
    "O": "dicts, lists and tuples of float arrays; rows of unequal length as a list of arrays",
}


_DIFFERENTIABLE = (np.dtype(np.float64), np.dtype(np.float32))


def check_params(params: Tree, paths: Sequence[str], name: str) -> None:
    """Raise unless every leaf is a float32 or float64 array."""
    for path, leaf in zip(paths, tree.leaves(params), strict=True):
        if isinstance(leaf, Node) and not in_progress():
            raise TraceError(f"{name}: {path} is a traced value kept from another call: {leaf!r}\n  at {here()}")
        dtype = leaf.dtype if isinstance(leaf, Node) else dtype_of(leaf, path, name)
        if dtype.newbyteorder("=") not in (np.float32, np.float64):
            instead = _INSTEAD.get(dtype.kind, "numbers; argnums= says which arguments are parameters")
            raise ArgumentTypeError(
                f"{name}: derivatives need float32 or float64 parameters, {path} is {dtype} ({leaf!r:.60})\n"
                f"  at {here()}\n  try: {instead}"
            )


def dtype_of(leaf: Any, path: str, name: str) -> np.dtype[Any]:
    return arrays.as_array(leaf, f"{name}: {path}", f"\n  at {here()}").dtype


def record(function: Function, argnums: ArgNums, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Recording:
    """Trace a function at the arguments that argnums names; the others stay constants."""
    at = positions(argnums, len(args), name)
    chosen = tuple([args[i] for i in at])
    leaves = tree.leaves(chosen)
    if not all(type(leaf) is np.ndarray and leaf.dtype in _DIFFERENTIABLE for leaf in leaves):
        parts = zip(at, chosen, strict=True)
        paths = [f"argument {i}{'.' if path else ''}{path}" for i, part in parts for path, _ in tree.items(part)]
        check_params(chosen, paths, name)
    nested = in_progress()
    values = [] if nested else [native(leaf) for leaf in leaves]
    wrt = [ops.view.alias(as_node(leaf)) for leaf in leaves] if nested else [input_like(value) for value in values]

    def on_nodes(*nodes: Node) -> Any:
        given = list(args)
        for i, part in zip(at, tree.unflatten(chosen, list(nodes)), strict=True):
            given[i] = part
        return function(*given, **kwargs)

    on_nodes.__wrapped__ = function  # type: ignore[attr-defined]  # all that messages need of functools.wraps

    try:
        with misspelt(name, args):
            graph, outputs = trace(on_nodes, wrt)
    except TypeError as error:
        check_fit(error, function, args, kwargs, name)
        raise
    params = chosen[0] if type(argnums) is int or not isinstance(argnums, tuple | list) else chosen
    return Recording(params, wrt, values, outputs, nested, graph)


def misspelt(name: str, args: Any) -> Inside:
    """A context for tracing: the error for a key that the arguments do not have names those they have."""
    return Inside(lambda: name, {"its arguments": args}, ours_pass=True, only=KeyError)


def check_fit(error: TypeError, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> None:
    """Raise where a function failed because it does not take these arguments, with those that it takes."""
    if isinstance(error, FalllineError):
        return
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        called = getattr(function, "__name__", type(function).__name__)
        raise type(fault := misfit(function, f"{name} of {called}", args, kwargs))(f"{fault}\n  at {here()}") from None
    except ValueError:  # it does not tell
        return


def scalar_output(recording: Recording, function: Function, name: str) -> Node:
    """The one number a function returned, or an error that shows its result."""
    output, instead = recording.outputs, "np.sum or np.mean of the result; fallline.jacobian differentiates arrays"
    if not isinstance(output, Node):
        what = f"{type(output).__name__} of {len(tree.leaves(output))} values"
        instead = f"fallline.{name}(lambda *args: f(*args)[0]), where the number comes first; f itself has the others"
    elif output.shape != ():
        what = f"an array of shape {output.shape}"
    elif output.dtype.kind != "f":
        what = f"a number of dtype {output.dtype}, which has no derivative"
        instead = "a float, such as the np.mean of a loss for each row"
    else:
        return output
    raise ShapeError(
        f"{name}: the function has to return one real number, it returned {what}\n"
        f"  function: {defined_at(function)}\n  at {here()}\n"
        f"  try: {instead}"
    )


def real_outputs(recording: Recording, function: Function, name: str) -> list[Node]:
    """The leaves of a function's result, or an error where one has no derivative."""
    for path, output in tree.items(recording.outputs):
        if output.dtype.kind != "f":
            raise ArgumentTypeError(
                f"{name}: the function returned {output.dtype}{path and ' as ' + path}, which has no derivative\n"
                f"  function: {defined_at(function)}\n  at {here()}\n  try: returning only real numbers"
            )
    return tree.leaves(recording.outputs)


def matched(form: Tree, given: Tree, what: str, name: str) -> list[Any]:
    """The leaves of a direction or seed, in the dtypes of the values it belongs to, after comparing their forms."""
    if tree.structure(form) != tree.structure(given):
        raise ArgumentError(
            f"{name}: the {what} has to have the form {tree.structure(form)}, got {tree.structure(given)}\n"
            f"  at {here()}"
        )
    leaves = []
    for path, leaf in tree.items(given):
        if not isinstance(leaf, Node):
            arrays.as_array(leaf, f"{name}: the {what}{path and ' at ' + path}", f"\n  at {here()}")
    for (path, leaf), other in zip(tree.items(form), tree.leaves(given), strict=True):
        if np.shape(leaf) != np.shape(other):
            where = f" at {path}" if path else ""
            seen = f"has shape {np.shape(other)}, not {np.shape(leaf)}"
            raise ShapeError(f"{name}: the {what}{where} {seen}\n  at {here()}")
        dtype = leaf.dtype if isinstance(leaf, Node) else native(leaf).dtype
        if isinstance(other, Node):
            leaves.append(other.astype(dtype))
        elif np.asarray(other).dtype.kind not in "fiub":
            raise ArgumentTypeError(f"{name}: the {what} is {np.asarray(other).dtype}, not numbers\n  at {here()}")
        else:
            leaves.append(native(other).astype(dtype, copy=False))
    return leaves
