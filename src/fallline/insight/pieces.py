"""Pieces: a network cut at the output of every layer, so that each piece has derivatives of its own.

The network is traced twice by the library's own graph. Once with a name for each layer's output, for one run forward
and back; once with an input in the place of each, so that the output of a layer depends directly on the outputs that
the layer reads. The derivatives of these pieces are the edges along which the chain rule runs: no rule is written here
for any kind of layer. Nested layers are cut out too, wherever a container hands its context on; layers inside a
function given to fl.vmap or fl.scan are part of the piece around them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import ShapeError
from fallline.graph.node import Graph, Node, new_input, reachable
from fallline.graph.op import Array
from fallline.graph.trace import input_like, trace
from fallline.nn.context import Context, applied
from fallline.nn.frozen import Frozen
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.ops.view import alias
from fallline.passes.backprop import backprop, depends_on
from fallline.passes.batch import batch
from fallline.program import call
from fallline.source import named
from fallline.transforms.directional import push
from fallline.tree import Tree

# Numbers of a Jacobian that are held at a time.
BLOCK = 1 << 21
LOSS = "loss"
Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Tap:
    """The output of one layer. name: `out` + path of the layer in the network; layer: itself, the innermost one."""

    name: str
    path: str
    layer: Any
    node: Node


@dataclass(frozen=True, eq=False)
class Passes:
    """One run forward and back: the loss, every layer's output and its delta, d loss / d x, the gradient by path.

    at: for each path of a layer the place of its output among the taps, also where that is the output of a layer in it.
    averages: whether the last layer averages members, by the mean of whose losses the network is trained.
    """

    loss: float
    taps: tuple[Tap, ...]
    outputs: tuple[Array, ...]
    deltas: tuple[Array, ...]
    x_deltas: dict[str, Array]
    gradient: dict[str, Array]
    at: dict[str, int]
    averages: bool

    def outermost(self, model: Model) -> list[tuple[Any, Array, Array]]:
        """The layers of a Sequential, or the only one, each with its output and its delta; a frozen one as itself."""
        several = isinstance(model.network, Sequential)
        layers = dict(enumerate(model.network.layers)) if isinstance(model.network, Sequential) else {0: model.network}
        found = []
        for place, layer in layers.items():
            at = self.at[str(place) if several else ""]
            found.append((layer.layer if isinstance(layer, Frozen) else layer, self.outputs[at], self.deltas[at]))
        return found


class _Watch:
    """Sees a network's layers in the order in which they end. stands: the value that goes on for an output."""

    def __init__(self, stands: Any) -> None:
        self.taps: list[Tap] = []
        self.stands = stands
        self.found: list[Node] = []
        self.at: dict[str, int] = {}
        self.averages = False

    def __call__(self, path: str, layer: Any, output: Any) -> Any:
        inside = any(path in ("", tap.path) or tap.path.startswith(f"{path}.") for tap in self.taps)
        same = [place for place, tap in enumerate(self.taps) if output is tap.node]
        self.at[path] = same[-1] if inside and same else len(self.taps)
        if inside and same:
            return output  # a container whose output is that of a layer in it
        name, count = f"out{path}", 1
        while any(tap.name == name for tap in self.taps):
            count += 1
            name = f"out{path}#{count}"
        self.found.append(output)
        node = self.stands(len(self.taps), output)
        self.taps.append(Tap(name, path, layer.layer if isinstance(layer, Frozen) else layer, node))
        return node


def _loss_of(model: Model, watch: _Watch, params: Tree, x: Tree, end: Callable[[Any], Any]) -> Node:
    context = Context(dtype=model.dtype).watched(watch)
    output = applied(model.network, params, x, context)
    made = [raw for tap, raw in zip(watch.taps, watch.found, strict=True) if tap.node is output]
    watch.averages = any(context.answers(raw) is not None for raw in made)
    loss = end(output)
    if np.shape(loss) != () or not isinstance(loss, Node):
        raise ShapeError(f"the loss has to return one number made from the outputs, it returned {loss!r:.80}")
    return loss


def run(model: Model, x: Tree, end: Callable[[Any], Any]) -> Passes:
    """One run of forward and backward.

    end: the loss, one number, as a function of the network's outputs. Errors: ShapeError where it is none.
    """
    paths, leaves = zip(*tree.items(model.params)) if model.theta.size else ((), ())
    watch = _Watch(lambda place, output: alias(output))
    inputs = tree.leaves(x)
    floats = [one.dtype.kind == "f" for one in inputs]

    def both_passes(*nodes: Node) -> Tree:
        xs, params = [alias(node) for node in nodes[: len(inputs)]], nodes[len(inputs) :]
        loss = _loss_of(model, watch, tree.unflatten(model.params, list(params)), tree.unflatten(x, xs), end)
        continuous = [one for one, is_float in zip(xs, floats) if is_float]
        taps = [tap.node for tap in watch.taps]
        return [loss, *taps, *backprop([loss], [*continuous, *taps, *params])]

    values = [*inputs, *leaves]
    graph, _ = trace(both_passes, [input_like(value) for value in values])
    loss, *rest = call.once(graph, values)
    count = len(watch.taps)
    outputs, rest = rest[:count], rest[count:]
    of_x, deltas, grads = rest[: sum(floats)], rest[sum(floats) : sum(floats) + count], rest[sum(floats) + count :]
    x_names = [name for name, is_float in zip(named(x), floats) if is_float]
    return Passes(
        float(loss), tuple(watch.taps), tuple(outputs), tuple(deltas), dict(zip(x_names, of_x, strict=True)),
        dict(zip(paths, grads, strict=True)), watch.at, watch.averages,
    )  # fmt: skip


class Pieces:
    """The layers as separate functions, each of the outputs that it reads.

    Sources are numbers that a piece may read: "x" (or "x.age" of several inputs), paths of parameters, and names of
    taps. `reads[b]` has the sources that piece b reads directly, in which its output may be differentiated.
    """

    def __init__(self, model: Model, x: Tree, end: Callable[[Any], Any], passes: Passes) -> None:
        names = [tap.name for tap in passes.taps]
        params = dict(tree.items(model.params)) if model.theta.size else {}
        self.values: dict[str, Array] = {**named(x), **params, **dict(zip(names, passes.outputs, strict=True))}
        nodes = {name: new_input(value.shape, value.dtype, name) for name, value in self.values.items()}
        watch = _Watch(lambda place, output: nodes[names[place]])

        def apart(*_: Node) -> Tree:
            its = tree.unflatten(model.params, [nodes[path] for path in params])
            xs = tree.unflatten(x, [nodes[name] for name in named(x)])
            loss = _loss_of(model, watch, its, xs, end)
            return [*watch.found, loss]

        _, ends = trace(apart, [*nodes.values()])
        self.nodes = nodes
        self.ends: dict[str, Node] = dict(zip([*names, LOSS], ends, strict=True))
        self.reads = {name: self._sources(end) for name, end in self.ends.items()}
        self._columns: dict[str, tuple[list[str], Node, Graph]] = {}

    def _sources(self, end: Node) -> list[str]:
        inside = reachable([end])
        floats = {node: name for name, node in self.nodes.items() if node.dtype.kind == "f" and node in {*inside}}
        return [name for node, name in floats.items() if end in depends_on(inside, [node])]

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """For each source the pieces that read it directly."""
        return {name: [end for end, reads in self.reads.items() if name in reads] for name in self.nodes}

    def column(self, source: str, index: Index) -> dict[str, Array]:
        """d piece / d source[index] for each piece that reads the source, in the shape of the piece's output."""
        if source not in self._columns:
            readers = self.readers[source]
            direction = new_input(self.nodes[source].shape, self.nodes[source].dtype, "direction")
            moved = push([self.ends[name] for name in readers], [self.nodes[source]], [direction])
            self._columns[source] = readers, direction, Graph((*self.nodes.values(), direction), tuple(moved))
        readers, direction, graph = self._columns[source]
        one = np.zeros(direction.shape, direction.dtype)
        one[index] = 1
        return dict(zip(readers, call.once(graph, [*self.values.values(), one]), strict=True))

    def rows_of(self, piece: str, sources: Sequence[str], rows: int) -> Iterator[tuple[Array, dict[str, Array]]]:
        """The Jacobians of a piece in some sources, a block of its outputs at a time: places of these outputs within a
        row, (m,), and by source an array (m, rows, numbers in a row).

        rows: how many rows stay apart from one another; 1 takes all numbers for one row.
        """
        end = self.ends[piece]
        width = end.size // rows
        most = max(self.nodes[name].size for name in sources)
        m = max(1, min(width, BLOCK // max(most, 1)))
        seed = new_input(end.shape, end.dtype, "seed")
        pulled = backprop([end], [self.nodes[name] for name in sources], [seed])
        seeds = new_input((m, *end.shape), end.dtype, "seeds")
        lines = batch(pulled, {seed: seeds}, m)
        graph = Graph((*self.nodes.values(), seeds), tuple(line for line, _ in lines))
        for first in range(0, width, m):
            places = np.arange(first, min(first + m, width))
            units = np.zeros((m, rows, width), end.dtype)
            units[np.arange(len(places)), :, places] = 1
            found = call.once(graph, [*self.values.values(), units.reshape(m, *end.shape)])
            blocks = dict[str, Array]()
            for name, line, (_, has_rows) in zip(sources, found, lines, strict=True):
                shape = (rows, self.nodes[name].size // rows)
                blocks[name] = np.broadcast_to(line.reshape(m if has_rows else 1, *shape), (m, *shape))[: len(places)]
            yield places, blocks
