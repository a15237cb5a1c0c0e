"""compile: a function traced once for each form of its arguments and then run as a program; graph_of: its graph."""

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import FUNCTION, takes
from fallline.errors import ArgumentTypeError
from fallline.graph.node import Graph, Node
from fallline.graph.op import Array
from fallline.graph.trace import in_progress, input_like, trace
from fallline.graph.where import here
from fallline.program import call, lanes
from fallline.transforms.recording import Function, check_fit, check_function, misspelt, native, plain
from fallline.tree import Tree

# Programs kept for one function; the one unused for longest makes room. A number that changes at every call and was
# not given as an array would otherwise fill the memory.
_KEPT = 64


def is_traced(leaf: Any) -> bool:
    """Whether an argument's leaf is an input of the graph; anything else is part of the program."""
    return isinstance(leaf, np.ndarray | np.generic)


def form_of(leaf: Any) -> Any:
    """The part of one leaf of the arguments that a program depends on."""
    if is_traced(leaf):
        return leaf.shape, leaf.dtype if leaf.dtype.isnative else leaf.dtype.newbyteorder("=")
    if isinstance(leaf, float):
        return float, leaf.hex()  # 0.0 and -0.0 are equal, and NaN is not
    return type(leaf), leaf


def form_of_arrays(args: tuple[Any, ...]) -> list[Any] | None:
    """The same for arguments that all are arrays of this machine's byte order; None for others."""
    form: list[Any] = []
    for arg in args:
        if type(arg) is not np.ndarray or not (dtype := arg.dtype).isnative:
            return None
        form += arg.shape, dtype
    return form


def filled(outputs: Tree, results: list[Array]) -> Tree:
    """The function's result: the values in the form of its outputs."""
    return plain(results)[0] if type(outputs) is Node else tree.unflatten(outputs, plain(results))


def refuse_arguments(given: Tree) -> None:
    """Raise for arguments a program cannot be chosen by: keys that cannot be sorted, values that cannot be hashed."""
    for path, leaf in tree.items(given):
        try:
            hash(form_of(leaf))
        except (TypeError, ValueError):
            raise ArgumentTypeError(
                f"compile: argument {path} is neither an array nor hashable: {type(leaf).__name__}\n  at {here()}"
            ) from None


def named_arguments(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """A path for every leaf of the arguments, starting with the parameter's name where its signature is known."""
    names: list[str] = []
    try:
        for name, parameter in inspect.signature(function).parameters.items():
            left = len(args) - len(names)
            several = parameter.kind is inspect.Parameter.VAR_POSITIONAL and left > 1
            names += [f"{name}.{i}" for i in range(left)] if several else [name]
    except (TypeError, ValueError):  # it has no signature
        pass
    names = names[: len(args)]
    names += [str(i) for i in range(len(names), len(args))]
    parts = [*zip(names, args, strict=True), *((key, kwargs[key]) for key in sorted(kwargs))]
    return [f"{name}.{path}" if path else name for name, part in parts for path, _ in tree.items(part)]


def traced(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], kept: bool = False) -> tuple[Graph, Tree]:
    """The graph of a function over all arrays in its arguments, and the tree of its outputs."""
    paths, leaves = named_arguments(function, args, kwargs), tree.leaves((args, kwargs))
    inputs = [input_like(native(leaf), path) for path, leaf in zip(paths, leaves, strict=True) if is_traced(leaf)]

    @functools.wraps(function)
    def on_nodes(*nodes: Node) -> Any:
        rest = iter(nodes)
        given = [next(rest) if is_traced(leaf) else leaf for leaf in leaves]
        positional, named = tree.unflatten((args, kwargs), given)
        return function(*positional, **named)

    try:
        with misspelt("compile", (args, kwargs)):
            return trace(on_nodes, inputs, kept=kept)
    except TypeError as error:
        check_fit(error, function, args, kwargs, "compile")
        raise


@takes()
def compile(function: Function, *, threads: int | None = None) -> Function:
    """The same function, traced once for each form of its arguments and run as a program after that.

    function: written with NumPy; it may itself be a gradient, such as compile(value_and_grad(loss)).
    The arrays among the arguments, in nested dicts, lists and tuples, are the program's inputs. Everything else is part
    of the program: another Python number, string or flag is another program, so a number that changes from call to
    call is better an array or NumPy scalar. Values that the function closes over are read at the first call.
    threads: lanes to use at most, where there is work for them; None means the cores this process may use. Results do
    not depend on it.
    Errors: TraceError for code that cannot be traced; ArgumentTypeError for arguments that are neither arrays nor
    hashable; ArgumentError for a senseless number of threads.

    >>> double = compile(lambda x: x + x)
    >>> double(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    check_function(function, "compile")
    most = lanes.checked(threads)
    programs: OrderedDict[Any, tuple[Callable[[list[Array]], list[Array]], Tree]] = OrderedDict()
    last: tuple[list[Any], Callable[[list[Array]], list[Array]], Tree] | None = None

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Tree:
        nonlocal last
        if in_progress():
            return function(*args, **kwargs)
        # Most often the arguments are arrays of the form of the call before, whose program is the latest used.
        bare = None if kwargs else form_of_arrays(args)
        if bare is not None and last is not None and bare == last[0]:
            return filled(last[2], last[1](list(args)))
        given = (args, kwargs)
        leaves: list[Any] = []
        arrays: list[Array] = []
        form: list[Any] = []
        try:
            tree.flatten(given, leaves, form)
            for leaf in leaves:
                if type(leaf) is np.ndarray and (dtype := leaf.dtype).isnative:  # most often
                    form += leaf.shape, dtype
                    arrays.append(leaf)
                else:
                    form += form_of(leaf)
                    if is_traced(leaf):
                        arrays.append(native(leaf))
            key = tuple(form)
            known = key in programs
        except (TypeError, ValueError):
            refuse_arguments(given)
            raise
        if not known:
            graph, outputs = traced(function, args, kwargs, kept=True)
            programs[key] = call.build(graph, most), outputs
            if len(programs) > _KEPT:
                programs.popitem(last=False)
        programs.move_to_end(key)
        program, outputs = programs[key]
        last = None if bare is None else (bare, program, outputs)
        return filled(outputs, program(arrays))

    return run


@takes(function=FUNCTION)
def graph_of(function: Function, *args: Any, **kwargs: Any) -> Graph:
    """The graph of `function` at these arguments: str() of it is readable text, one line a node.

    The arrays among the arguments are its inputs, named by their place in the arguments.
    Errors: TraceError for code that cannot be traced.

    >>> print(graph_of(np.tanh, np.zeros(3)))  # doctest: +SKIP
    """
    return traced(function, args, kwargs)[0]
