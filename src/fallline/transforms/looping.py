"""scan: a function run once for each row of some arrays, handing values on; one node of a graph, however many rows."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import takes
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.graph.body import Body
from fallline.graph.calls import repeated
from fallline.graph.draws import Watch
from fallline.graph.node import CONSTANT, INPUT, Graph, Node, new_input
from fallline.graph.trace import in_progress, trace
from fallline.graph.where import defined_at, here
from fallline.ops.scan import outputs_of
from fallline.program import call
from fallline.transforms.recording import Function, check_function, native, plain
from fallline.tree import Tree

_PLAIN = (bool, int, float)
# The error for a function that draws from a generator, and a replacement (graph/draws.py).
_DRAWS = (
    "scan: a function that is traced once for all turns drew a number, which would be the same in every turn",
    "an array drawn before, with a first axis as long as xs, as one of xs; or fallline.ops.normal(shape, key), uniform "
    "or integers, with a row's key",
)


@takes()
def scan(
    f: Function, init: Tree, xs: Tree = None, length: int | None = None, reverse: bool = False
) -> tuple[Tree, Tree]:
    """Run `f` once for each row of `xs`, handing a carry on from turn to turn: (last carry, stacked results).

        carry_0 = init;  carry_(t+1), y_t = f(carry_t, x_t);  returns (carry_T, stack of all y_t)

    f: takes a carry and a row, and returns the next carry, of the same form, shapes and dtypes, and a result in any
        form or None. It is traced once, so the graph, and the time to make it, do not grow with the number of rows.
        Values that it closes over are the same in every turn, and get their gradients if traced. Random numbers of a
        layer's context are others in every turn; numbers of a key are the same in every turn unless the key is a row's;
        those that it draws from a generator are refused.
    init: nested dicts, lists and tuples of arrays. A plain Python number takes the dtype that the first turn gives it.
    xs: nested arrays with a first axis of the same length T, whose rows f gets one after the other; None for none.
    length: T, needed where there are no xs. reverse: from the last row to the first; results keep the order of rows.
    Returns the last carry in the form of init, and the results with a new first axis of length T.
    Errors: ArgumentTypeError and ShapeError where the carry changes its form, dtype or shape, or xs have no rows in
        common; ArgumentError for a senseless length; TraceError where numbers are drawn in a turn.
    Source: the scan of JAX (jax.lax.scan), whose arguments these are.

    >>> scan(lambda total, x: (total + x, total), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 1., 3.]))
    """
    check_function(f, "scan")
    turns = turns_of(xs, length)
    rows = [x if isinstance(x, Node) else native(x) for x in tree.leaves(xs)]
    each = [
        new_input(x.shape[1:], x.dtype, named("row", path)) for (path, _), x in zip(tree.items(xs), rows, strict=True)
    ]
    begun = begin(f, init, xs, each)
    parts = zip(tree.items(init), begun, strict=True)
    carries = [new_input(x.shape, x.dtype, named("carry", path)) for (path, _), x in parts]
    number = new_input((), np.int64, "turn")
    graph, after, results = turn(f, init, xs, [*carries, *each], number)
    check_carry(f, init, begun, after)
    if any(node is number for node in graph.nodes()):  # random numbers follow from it
        graph, rows = replace(graph, inputs=(*graph.inputs, number)), [*rows, np.arange(turns)]
    constants, graph = closed(graph)
    values: list[Any] = [*constants.values()]
    if values and not in_progress():
        values = call.once(Graph((), tuple(values)), [])
    graph = Graph((*constants, *graph.inputs), graph.outputs)
    count = len(carries)
    body = Body(graph, len(values), count, turns, bool(reverse), tuple(range(count)), (), len(graph.outputs) - count)
    made = outputs_of(body, [*values, *begun, *rows])
    found = [*(made["last", i] for i in range(count)), *(made["stacked", i] for i in range(body.stacked))]
    given: tuple[Tree, Tree] = tree.unflatten(
        (init, results), [x if isinstance(x, Node) else plain([x])[0] for x in found]
    )
    return given


def named(what: str, path: str) -> str:
    return f"{what}.{path}" if path else what


def turns_of(xs: Tree, length: int | None) -> int:
    """How many rows there are."""
    if length is not None and (not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 0):
        raise ArgumentError(f"scan: length is a whole number >= 0, got {length!r:.60}\n  at {here()}")
    sizes = {}
    for path, leaf in tree.items(xs):
        shape = leaf.shape if isinstance(leaf, Node) else native(leaf).shape
        name = named("xs", path)
        if not shape:
            raise ShapeError(
                f"scan: {name} is a single number, which has no rows to go over\n  at {here()}\n"
                "  try: xs=np.arange(n), or length=n where the turns take no rows"
            )
        sizes[name] = shape[0]
    if length is not None:
        sizes["length"] = int(length)
    if len(set(sizes.values())) > 1:
        seen = ", ".join(f"{name} has {n}" if name != "length" else f"length is {n}" for name, n in sizes.items())
        raise ShapeError(f"scan: numbers of rows differ: {seen}\n  at {here()}")
    if not sizes:
        raise ArgumentError(f"scan: without xs nothing says how many turns there are\n  at {here()}\n  try: length=n")
    return next(iter(sizes.values()))


def turn(f: Function, init: Tree, xs: Tree, inputs: Sequence[Any], number: Node) -> tuple[Graph, Tree, Tree]:
    """One turn traced: its graph, and the trees of the carry and of the results that it returns. Inputs that are no
    nodes stay plain numbers. number: that of the turn, no input of the graph yet."""

    returned: list[Tree] = []

    @functools.wraps(f)
    def step(*nodes: Node) -> list[Any]:
        rest = iter(nodes)
        leaves = [next(rest) if isinstance(x, Node) else x for x in inputs]
        made = f(*tree.unflatten((init, xs), leaves))
        if not isinstance(made, tuple) or len(made) != 2:
            raise ArgumentTypeError(
                f"scan: the function has to return two things, the next carry and a result, got {type(made).__name__}"
                f"\n  function: {defined_at(f)}\n  at {here()}\n  try: return carry, None"
            )
        returned.append(made)
        return tree.leaves(made)

    nodes = [*(x for x in inputs if isinstance(x, Node)), number]
    watch = Watch(f, *_DRAWS, each_call=True)
    watch.is_open = False  # what is no generator is left to the trace around this one
    with repeated(number):
        graph, leaves = trace(step, nodes)
        watch.check(graph, lambda: trace(step, nodes)[0])
    after, results = tree.unflatten(returned[-1], leaves)
    return replace(graph, inputs=graph.inputs[:-1]), after, results


def begin(f: Function, init: Tree, xs: Tree, each: Sequence[Node]) -> list[Any]:
    """The carry to begin with, as arrays and nodes. A plain number takes the dtype it would have after a turn of
    NumPy's, which adapts it to the other arrays."""
    leaves = tree.leaves(init)
    begun = [x if isinstance(x, Node) else native(x) for x in leaves]
    weak = [type(x) in _PLAIN for x in leaves]
    if any(weak):
        inputs = [
            x if is_weak else new_input(y.shape, y.dtype) for x, y, is_weak in zip(leaves, begun, weak, strict=True)
        ]
        after = tree.leaves(turn(f, init, xs, [*inputs, *each], new_input((), np.int64))[1])
        if len(after) == len(begun):
            begun = [
                x.astype(y.dtype) if is_weak and not is_number(y) else x
                for x, y, is_weak in zip(begun, after, weak, strict=True)
            ]
    return begun


def is_number(node: Node) -> bool:
    """Whether a carry came out as the plain number that it was."""
    return node.op is CONSTANT


def check_carry(f: Function, init: Tree, begun: Sequence[Any], after: Tree) -> None:
    """Raise unless a turn returns a carry of the form, shapes and dtypes that it got."""
    if tree.structure(init) != tree.structure(after):
        raise ArgumentTypeError(
            f"scan: the carry begins as {tree.structure(init)} and comes back as {tree.structure(after)}\n"
            f"  function: {defined_at(f)}\n  at {here()}\n  try: return (carry, y), the carry in the form of init"
        )
    for (path, node), start in zip(tree.items(after), begun, strict=True):
        name = named("carry", path)
        if node.shape != start.shape:
            raise ShapeError(
                f"scan: {name} begins with shape {list(start.shape)} and comes back with {list(node.shape)}\n"
                f"  made by {node.op.name} at {node.where}\n  at {here()}\n"
                f"  try: beginning with np.zeros({node.shape}), or another init of the shape that it keeps"
            )
        if node.dtype != start.dtype:
            raise ArgumentTypeError(
                f"scan: {name} begins as {start.dtype} and comes back as {node.dtype}\n"
                f"  made by {node.op.name} at {node.where}\n  at {here()}\n"
                f"  try: init.astype(np.{node.dtype}), or .astype(np.{start.dtype}) of the function's result"
            )


def closed(graph: Graph) -> tuple[dict[Node, Node], Graph]:
    """The graph of a turn with all that it takes from outside, and all that is the same in every turn, as inputs: each
    new input with the node outside that is its value. Plain numbers stay inside."""
    nodes = graph.nodes()
    inside = set(graph.inputs)
    for node in nodes:
        if any(x in inside for x in node.inputs):
            inside.add(node)
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    constants: dict[Node, Node] = {}

    def of(x: Node) -> Node:
        if x not in new and x.op is CONSTANT:
            new[x] = x
        elif x not in new:
            new[x] = new_input(x.shape, x.dtype, x.attrs["name"] if x.op is INPUT else "")
            constants[new[x]] = x
        return new[x]

    for node in nodes:
        if node in inside and node not in new:
            inputs = tuple([of(x) for x in node.inputs])
            new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
    return constants, Graph(graph.inputs, tuple([of(x) for x in graph.outputs]))
