"""vmap: a function of one row becomes a function of many rows, computed all at once instead of in a loop."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import arrays, tree
from fallline.arguments import takes
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError, nearest
from fallline.graph.calls import repeated
from fallline.graph.draws import Watch
from fallline.graph.node import INPUT, Graph, Node, as_node, constant, new_input, reachable
from fallline.graph.trace import in_progress, input_like, trace
from fallline.graph.where import defined_at, here
from fallline.ops.reduce import broadcast_to
from fallline.passes.batch import batch, moved
from fallline.program import call
from fallline.transforms.compiled import is_traced, named_arguments
from fallline.transforms.recording import Function, check_fit, check_function, misspelt, native, plain
from fallline.tree import Tree

_DRAWS = (
    "vmap calls a function once for all rows, and it drew a number, which would be the same in every row",
    "fallline.ops.normal(shape, key), uniform or integers, where the key is an argument with rows, such as "
    "np.arange(N); or numbers drawn before, as an argument",
)

# The axis that counts the rows, or None where there are none; of many arrays, one for all of them or a tree of such.
Axes = Any


@takes()
def vmap(function: Function, in_axes: Axes = 0, out_axes: Axes = 0) -> Function:
    """A function of N rows at once that gives for each row what `function` gives for one.

        vmap(f)(x)[i] = f(x[i])

    function: written with NumPy, for the arrays of one row. It is called once, with values of a row's shape.
    in_axes: which axis of an argument counts the rows: 0 by default, any other, -1 for the last; None for an argument
        that is the same for every row, which may be anything; arrays among those are traced too. One for all
        arguments, or a tuple with one for each; where an argument is nested, a dict, list or tuple of the same form
        may stand for its parts. Arguments given by name count their rows along axis 0.
    out_axes: the axis of rows of each result; None for results that are the same for every row. Nested as
        in_axes may be.
    Results agree with a loop over rows up to rounding, since a product of matrices may add its terms in another order.
    It may be nested, differentiated, compiled, and applied to a derivative:
    vmap(grad(loss), in_axes=(None, 0, 0))(params, x, y) are the gradients of the loss of each row. Numbers drawn by
    fallline.ops follow from their key: rows draw different ones where the key has rows too. Those of a layer's context
    are others in each row.
    Errors: ShapeError for arguments with different numbers of rows, or without such an axis; ArgumentError for axes of
    another form than the arguments, and where no argument has rows; TraceError for operations that cannot be traced,
    and for a function that draws numbers of its own, which would be the same in every row.
    Source: Bradbury et al. 2018, JAX: jax.vmap, without the names of axes.

    >>> vmap(np.dot)(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [0.0, 2.0]]))
    array([3., 8.])
    """
    check_function(function, "vmap")
    check_axes(in_axes, "in_axes")
    check_axes(out_axes, "out_axes")
    if not (in_axes is None or _is_axis(in_axes) or isinstance(in_axes, tuple | list)):
        raise ArgumentTypeError(
            f"vmap: in_axes is one axis for all arguments, or a tuple with one for each, got {in_axes!r:.60}\n"
            f"  at {here()}\n  try: in_axes=({in_axes!r:.60},)"
        )

    @functools.wraps(function)
    def evaluate(*args: Any, **kwargs: Any) -> Tree:
        given = arguments(function, in_axes, args, kwargs)
        nested = in_progress()
        rows: dict[Node, Node] = {}  # a node for one row, and where all of them lie
        inputs: list[tuple[Node, Any]] = []  # inputs that are not of a trace outside, and their numbers
        leaves = list(given.leaves)
        for i, leaf in enumerate(leaves):
            if i not in given.axes and not is_traced(leaf):
                continue
            whole = leaves[i] = as_node(leaf) if nested else input_like(native(leaf), given.paths[i])
            inputs += [] if nested else [(whole, native(leaf))]
            axis = given.axes.get(i)
            if axis is not None:
                row = leaves[i] = new_input((*whole.shape[:axis], *whole.shape[axis + 1 :]), whole.dtype)
                rows[row] = moved(whole, axis, 0)

        def on_row(*_: Node) -> Any:
            positional, named = tree.unflatten((args, kwargs), leaves)
            return function(*positional, **named)

        on_row.__wrapped__ = function  # type: ignore[attr-defined]  # all that messages need of functools.wraps
        number = new_input((), np.int64, "row")
        sources = [*rows, *(node for node, _ in inputs), number]
        rows[number] = constant(np.arange(given.count))
        watch = Watch(function, *_DRAWS, each_call=True)
        try:
            with misspelt("vmap", (args, kwargs)), repeated(number):
                graph, outputs = trace(on_row, sources)
                watch.check(graph, lambda: trace(on_row, sources)[0])
        except TypeError as error:
            check_fit(error, function, args, kwargs, "vmap")
            raise
        results = placed(batch(graph.outputs, rows, given.count), outputs, out_axes, given.count, function)
        if nested and any(node.op is INPUT for node in reachable(results)):
            return tree.unflatten(outputs, results)
        whole_graph = Graph(tuple(node for node, _ in inputs), tuple(results))
        return tree.unflatten(outputs, plain(call.once(whole_graph, [array for _, array in inputs])))

    return evaluate


def _is_axis(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_axes(axes: Axes, name: str) -> None:
    """Raise unless all that a tree of axes holds are whole numbers and None."""
    for path, axis in tree.items(axes):
        if not _is_axis(axis):
            what = f"{name}{path and ' at ' + path}"
            raise ArgumentTypeError(f"vmap: {what} has to be a whole number or None, got {axis!r:.60}\n  at {here()}")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a call. leaves: everything in it, with a path for each. axes: by the number of a leaf with rows,
    the axis that counts them. count: how many rows there are."""

    leaves: Sequence[Any]
    paths: Sequence[str]
    axes: dict[int, int]
    count: int


def arguments(function: Function, in_axes: Axes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments of a call, checked: all that have rows have as many."""
    if isinstance(in_axes, tuple | list):
        if len(in_axes) != len(args):
            raise ArgumentError(
                f"vmap: in_axes is for {len(in_axes)} positional arguments, and {len(args)} were given\n"
                f"  function: {defined_at(function)}\n  at {here()}\n"
                "  try: one entry for each, None for an argument that is the same for every row"
            )
        in_axes = type(args)(in_axes)
    leaves, paths = tree.leaves((args, kwargs)), named_arguments(function, args, kwargs)
    every = [*spread(in_axes, args, "in_axes", "the arguments"), *[0] * len(tree.leaves(kwargs))]
    axes: dict[int, int] = {}
    sizes: dict[int, list[str]] = {}
    for i, (leaf, path, axis) in enumerate(zip(leaves, paths, every, strict=True)):
        if axis is None:
            continue
        shape = leaf.shape if isinstance(leaf, Node) else arrays.as_array(leaf, f"vmap: argument {path}").shape
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"vmap: argument {path} of shape {shape} has no axis {axis} that could count rows\n  at {here()}\n"
                "  try: None in its place in in_axes, for an argument that is the same for every row"
            )
        axes[i] = operator.index(axis) % len(shape)
        sizes.setdefault(shape[axis], []).append(f"axis {axis} of {path}, of shape {shape}")
    if not axes:
        raise ArgumentError(
            f"vmap: no argument has rows, so their number is not known\n  at {here()}\n"
            "  try: in_axes=0, or a tuple with 0 for each argument whose first axis counts the rows"
        )
    if len(sizes) > 1:
        lines = "".join(f"\n  {n} rows: {'; '.join(seen)}" for n, seen in sizes.items())
        raise ShapeError(
            f"vmap: arguments have different numbers of rows{lines}\n  at {here()}\n"
            "  try: None in in_axes for an argument that is the same for every row"
        )
    return Arguments(leaves, paths, axes, next(iter(sizes)))


def spread(axes: Axes, whole: Tree, name: str, of: str, path: str = "") -> list[Any]:
    """An axis, or None, for every leaf of a tree. of: the tree, in words."""
    if axes is None or _is_axis(axes):
        return [axes] * len(tree.leaves(whole))
    parts, own = tree.children(axes), tree.children(whole)
    assert parts is not None  # checked when vmap was called
    names, known = [key for key, _ in parts], [] if own is None else [key for key, _ in own]
    if own is None or names != known or isinstance(axes, dict) != isinstance(whole, dict):
        place = f" at {path}" if path else ""
        odd = next((key for key in names if key not in known), None)
        raise ArgumentError(
            f"vmap: {name}{place} has the form {tree.structure(axes)}, and {of}{place} the form "
            f"{tree.structure(whole)}{nearest(odd, known) if odd is not None and isinstance(whole, dict) else ''}\n"
            f"  at {here()}\n  try: one axis, or None, for all of it"
        )
    found = []
    for (key, part), (_, its) in zip(parts, own, strict=True):
        found += spread(part, its, name, of, f"{path}.{key}" if path else key)
    return found


def placed(
    found: Sequence[tuple[Node, bool]], outputs: Tree, out_axes: Axes, count: int, function: Function
) -> list[Node]:
    """The results with the axis of rows where it is wanted."""
    places = spread(out_axes, outputs, "out_axes", "the result")
    results = []
    for (node, has_rows), axis, (path, _) in zip(found, places, tree.items(outputs), strict=True):
        what = f"the result{path and ' as ' + path}"
        if axis is None:
            if has_rows:
                raise ArgumentError(
                    f"vmap: out_axes is None for {what}, which is not the same for every row\n"
                    f"  function: {defined_at(function)}\n  at {here()}\n  try: out_axes=0"
                )
            results.append(node)
            continue
        whole = node if has_rows else broadcast_to(node, shape=(count, *node.shape))
        last = len(whole.shape)
        if not -last <= axis < last:
            raise ShapeError(
                f"vmap: the rows cannot lie along axis {axis} of {what}, which has {last} with the axis of rows\n"
                f"  function: {defined_at(function)}\n  at {here()}"
            )
        results.append(moved(whole, 0, operator.index(axis) % last))
    return results
