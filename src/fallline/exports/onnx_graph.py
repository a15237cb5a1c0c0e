"""A traced graph as nodes of ONNX, for any number of rows: two traces, for two numbers of rows, are compared, and a
size in which they differ is computed when the graph runs. Values that do not depend on the rows are computed here.

Knows no model, and no single op beyond the sources and the loop.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.exports.onnx_ops import COMPUTED, FORMS, INT, Call, Entry, cast, code_of
from fallline.exports.onnx_writer import ROWS, Writer
from fallline.graph.node import CONSTANT, Graph, Node
from fallline.graph.op import Array, Kind
from fallline.program import reference


@dataclass(slots=True)
class Translation:
    """Nodes of two traces, and what has become of them.

    names: of values written. known: values that do not depend on the rows, computed. called: their names, where they
    have one of their own. layer_of: the path of the layer a node is in.
    """

    w: Writer
    layer_of: Callable[[Node], str]
    names: dict[Node, str] = field(default_factory=dict)
    known: dict[Node, Array] = field(default_factory=dict)
    called: dict[Node, str] = field(default_factory=dict)

    def name(self, node: Node) -> str:
        """The name of a node's value; one that is known becomes a constant here."""
        if node not in self.names:
            self.names[node] = self.w.value(self.known[node], self.called.get(node, ""))
        return self.names[node]

    def all_of(self, graph: Graph, twin: Graph) -> None:
        """Write every node of a graph. Errors: ArgumentError for an op without a form, and for graphs that differ."""
        for node, other in pairs(graph, twin):
            if node in self.names or node in self.known:
                continue
            if not self.computed(node, other):
                self.w.layer = self.layer_of(node)
                self.names[node] = self.constant(node, other) if node.op is CONSTANT else self.written(node, other)

    def computed(self, node: Node, twin: Node) -> bool:
        """Whether a value follows from known ones, whatever the rows are; it is then known."""
        if node.op is CONSTANT:
            value, other = node.attrs["value"], twin.attrs["value"]
            if value.shape != other.shape or not np.array_equal(value, other, equal_nan=value.dtype.kind == "f"):
                return False
            self.known[node] = value
            return True
        if not node.inputs or node.shape != twin.shape or not all(x in self.known for x in node.inputs):
            return False
        self.known[node] = reference.compute(node, [self.known[x] for x in node.inputs])
        (first, *_) = node.inputs
        if first in self.called and self.known[node] is self.known[first]:
            self.called[node] = self.called[first]
        return True

    def constant(self, node: Node, twin: Node) -> str:
        """A constant with one value for each row: one value repeated, or numbers that rise evenly, as np.arange makes.

        Errors: ArgumentError for any other.
        """
        value, other = node.attrs["value"], twin.attrs["value"]
        axes = [i for i, (n, m) in enumerate(zip(value.shape, other.shape)) if n != m]
        if value.ndim == other.ndim and axes and all(value.shape[i] == ROWS[0] for i in axes):
            (axis, *more) = axes
            first = np.take(other, [0], axis=axis)
            step = np.take(other, [1], axis=axis) - first
            steps = np.arange(ROWS[1]).reshape([-1 if i == axis else 1 for i in range(other.ndim)])
            small = tuple(slice(n) for n in value.shape)
            if not more and np.array_equal(first + step * steps, other) and np.array_equal(other[small], value):
                return self.rising(first, step, axis, other.ndim)
            one = other[tuple(slice(1) if i in axes else slice(None) for i in range(other.ndim))]
            if np.array_equal(np.broadcast_to(one, other.shape), other) and np.array_equal(other[small], value):
                return self.w.Expand(self.w.value(one), self.w.sizes(value.shape, other.shape))
        raise ArgumentError(f"a constant of the network changes with the number of rows, {self.place(node)}")

    def rising(self, first: Array, step: Array, axis: int, axes: int) -> str:
        w = self.w
        if not step.any():
            sizes = [[n if i == axis else 1 for i in range(axes)] for n in ROWS]
            return w.Expand(w.value(first), w.sizes(*sizes))
        count = w.Range(np.array(0), w.Squeeze(w.rows(), np.array([0])), np.array(1))
        count = w.Unsqueeze(count, np.array([i for i in range(axes) if i != axis])) if axes > 1 else count
        return w.Add(w.value(first), w.Mul(w.value(step), cast(w, count, first.dtype)))

    def written(self, node: Node, twin: Node) -> str:
        """The nodes of ONNX for one of ours; the name of its value. Errors: ArgumentError for an op without a form."""
        if node.op.kind is Kind.LOOP:
            return self.loop(node, twin)
        entry = FORMS.get(node.op.name)
        if entry is None:
            raise ArgumentError(f"the op {node.op.name} has no form in ONNX, {self.place(node)}")
        if node.op.name == "slice" and node.inputs[0].op.kind is Kind.LOOP:
            found = self.segment(node, twin)
            if found:
                return found
        return self.by(entry, node, Call(node, twin, [self.name(x) for x in node.inputs]))

    def by(self, entry: Entry, node: Node, call: Call) -> str:
        """By an entry of the table, in a dtype that runtimes compute in."""
        w = self.w
        own = node.inputs[entry.like].dtype
        w.dtype = own
        if not entry.typed:
            return entry.form(w, call)
        if own.name == "uint64":
            raise ArgumentError(f"{node.op.name} of uint64 has no form in ONNX, {self.place(node)}\n  try: int64")
        w.dtype = np.dtype(np.float32) if entry.single and own.kind == "f" else own if own.name in COMPUTED else INT
        inputs = [
            cast(w, name, w.dtype) if x.dtype == own and own != w.dtype else name
            for x, name in zip(node.inputs, call.inputs, strict=True)
        ]
        computed = w.dtype
        name = entry.form(w, Call(node, call.twin, inputs))
        return cast(w, name, node.dtype) if own != computed and node.dtype == own else name

    def place(self, node: Node) -> str:
        """Where a node comes from, in words."""
        layer = self.layer_of(node)
        return f"in {f'layer {layer}' if layer else 'the network'}\n  at {node.where}"

    def loop(self, node: Node, twin: Node) -> str:
        """A loop as a Scan; all its outputs are laid one after the other, as they are in the node's value."""
        parts = [self.flat(each) for _, each in self.outputs(node, twin)]
        return parts[0] if len(parts) == 1 else self.w.Concat(*parts, axis=0)

    def flat(self, name: str) -> str:
        return self.w.Reshape(name, np.array([-1]))

    def segment(self, node: Node, twin: Node) -> str:
        """A slice of a loop's value that is one of its outputs, without the others; "" for any other slice."""
        loop, other = node.inputs[0], twin.inputs[0]
        bounds = node.attrs["starts"][0], node.attrs["stops"][0]
        for place, name in self.outputs(loop, other):
            if place == bounds and node.attrs["steps"] == (1,):
                return self.flat(name)
        return ""

    def outputs(self, node: Node, twin: Node) -> Iterator[tuple[tuple[int, int], str]]:
        """The outputs of a loop, as (start, stop) in its value and the name of the array."""
        body, other = node.attrs["body"], twin.attrs["body"]
        if body.turns != other.turns:
            raise ArgumentError(f"a loop over the rows has no form in ONNX, {self.place(node)}")
        names = self.scan(node, twin)
        for segment in body.segments(node.dtype):
            yield (segment.start, segment.stop), names[segment.role, segment.number]

    def scan(self, node: Node, twin: Node) -> Mapping[tuple[str, int], str]:
        """The outputs of a loop by role and number."""
        from onnx import helper

        body, other = node.attrs["body"], twin.attrs["body"]
        graph, w = body.graph, self.w
        inner = w.inner()
        inside = Translation(inner, lambda _, layer=w.layer: layer)  # type: ignore[misc]
        c, k = body.constants, body.constants + body.carries
        given = [self.name(x) for x in node.inputs]
        inside.names.update(zip(graph.inputs[:c], given[:c]))
        arrays = [(one, inner.name(w.local("turn"))) for one in graph.inputs[c:]]
        inside.names.update(arrays)
        inside.all_of(graph, other.graph)
        results = [inner.Identity(inside.name(one)) for one in graph.outputs]
        tracked = [inner.Identity(results[i]) for i in range(body.carries)]
        scanned = [*results[body.carries :], *tracked]

        def info(name: str, one: Node) -> Any:
            return helper.make_tensor_value_info(name, code_of(one.dtype), None)

        outputs = [*zip(results, graph.outputs, strict=True), *zip(tracked, graph.outputs[: body.carries])]
        proto = helper.make_graph(
            inner.nodes, w.local("turn"), [info(n, one) for one, n in arrays], [info(n, one) for n, one in outputs]
        )
        back, rows = int(body.reverse), len(graph.inputs) - k
        names = w.several(
            "Scan", given[c:], [w.local("scan")] * len(outputs), body=proto, num_scan_inputs=rows,
            scan_input_directions=[back] * rows, scan_output_directions=[back] * len(scanned),
        )  # fmt: skip
        carries, stacked = names[: body.carries], names[body.carries : body.carries + body.stacked]
        summed = names[body.carries + body.stacked : body.carries + body.stacked + body.summed]
        tracks = names[len(names) - body.carries :]
        found = {("last", i): name for i, name in enumerate(carries)}
        found |= {("stacked", i): name for i, name in enumerate(stacked)}
        wanted = {(one.role, one.number) for dtype in body.dtypes() for one in body.segments(dtype)}
        for i, name in enumerate(summed):
            if ("summed", i) in wanted:
                found["summed", i] = w.ReduceSum(name, np.array([0]), keepdims=0)
        for i, name in enumerate(tracks):
            if ("track", i) in wanted:
                start = w.Unsqueeze(given[c + i], np.array([0]))
                found["track", i] = w.Concat(*((name, start) if body.reverse else (start, name)), axis=0)
        return found


def pairs(graph: Graph, twin: Graph) -> Iterator[tuple[Node, Node]]:
    """The nodes of two traces of one function, each with its like. Errors: ArgumentError where they are not alike."""
    nodes, others = graph.nodes(), twin.nodes()
    place: dict[Node, int] = {}
    for i, (node, other) in enumerate(zip(nodes, others)):
        place[node] = place[other] = i
        ours, its = ([place[x] for x in one.inputs] for one in (node, other))
        if node.op is not other.op or ours != its or node.dtype != other.dtype:
            break
        yield node, other
    else:
        if len(nodes) == len(others):
            return
    raise ArgumentError(
        "the network computes other things for another number of rows, which a file for any number cannot say\n"
        f"  at {nodes[min(len(place) // 2, len(nodes) - 1)].where}"
    )


def layers(outputs: Mapping[str, Any]) -> Callable[[Node], str]:
    """From a node to the path of the layer in which it was made: the first one whose output is made at it or later.

    outputs: those of the layers by path, as a context has seen them.
    """
    ends = sorted((node.serial, -len(path), path) for path, node in outputs.items() if isinstance(node, Node))

    def layer_of(node: Node) -> str:
        return next((path for serial, _, path in ends if serial >= node.serial), "")

    return layer_of


def dims(sizes: Sequence[int], others: Sequence[int]) -> list[Any]:
    """The shape of an input or output: a number, or the name "N" for the rows."""
    return [n if n == m else "N" for n, m in zip(sizes, others, strict=True)]
