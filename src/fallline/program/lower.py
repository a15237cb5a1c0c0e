"""A graph becomes instructions: views cost nothing, elementwise chains become one kernel call, joins are written
in place by whoever makes their parts, and new state is written over old state where no one reads that any more.

Asks for the kind of an op, never for its name. Knows nothing of addresses (machine.py) or offsets (plan.py).
"""

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.body import Body
from fallline.graph.node import CONSTANT, INPUT, Graph, Node
from fallline.graph.op import Array, Kind
from fallline.graph.where import NOWHERE, Where
from fallline.passes.add_row import rows_into_products
from fallline.passes.columns import by_columns
from fallline.passes.loops import fewer_loops
from fallline.passes.outer_products import outer_products_summed
from fallline.passes.outer_rows import outer_products_by_element
from fallline.passes.simplify import simplify
from fallline.passes.turns import turned_products
from fallline.program import emit, products, repeat
from fallline.program.chains import OpenChain
from fallline.program.instructions import STATUS_WORDS, Buffer, Instruction, Lowered, Place
from fallline.program.kernels.elementwise import DTYPES, named
from fallline.program.state import donate
from fallline.program.strides import Ref, Shape, as_strided_view, collapse, row_major


class Lowering:
    """The state of one lowering."""

    def __init__(
        self, graph: Graph, watch: Node | None, groups: Mapping[Node, int], stored: Container[Node], steady: bool
    ) -> None:
        self.graph, self.watch, self.groups, self.stored, self.steady = graph, watch, groups, stored, steady
        self.buffers: list[Buffer] = [Buffer(Place.STATUS, STATUS_WORDS, 8)]
        self.constants: list[Array] = []
        self.instructions: list[Instruction] = []
        self.refs: dict[Node, Ref] = {}
        self.targets: dict[Node, Ref] = {}
        self.chains: dict[tuple[Shape, int], OpenChain] = {}
        self.chain_of: dict[Node, OpenChain] = {}
        self.watch_end = 0
        for number, node in enumerate(graph.inputs):
            self.refs[node] = self.new(node.shape, node.dtype, Place.INPUT, number)

    # Memory

    def new(self, shape: Shape, dtype: Any, place: Place = Place.TEMPORARY, number: int = 0) -> Ref:
        """A fresh contiguous buffer."""
        dtype = np.dtype(dtype)
        if named(dtype) not in DTYPES:
            raise ProgramError(f"the machine computes with {', '.join(sorted(DTYPES))}, not {dtype}; cast the input")
        size = math.prod(shape)
        self.buffers.append(Buffer(place, size, dtype.itemsize, number))
        return Ref(len(self.buffers) - 1, 0, tuple(shape), row_major(shape), dtype)

    def constant(self, value: Array) -> Ref:
        ref = self.new(value.shape, value.dtype, Place.CONSTANT, len(self.constants))
        self.constants.append(np.array(value, order="C"))
        return ref

    def target(self, node: Node) -> Ref:
        """Where this node's value shall be written."""
        return self.targets.get(node) or self.new(node.shape, node.dtype)

    def ref(self, node: Node) -> Ref:
        """Where a node's value lies; closes the chain that still holds it."""
        if node in self.chain_of:
            self.close(self.chain_of[node])
        return self.refs[node]

    def packed(self, ref: Ref, where: Where = NOWHERE) -> Ref:
        """The value in row-major order without gaps, copied if it is not."""
        if ref.contiguous:
            return ref.viewed(ref.shape, row_major(ref.shape))
        out = self.new(ref.shape, ref.dtype)
        self.put(emit.copy(out, ref, where))
        return out

    def put(self, instruction: Instruction) -> None:
        if all(ref.size for ref in instruction.written):
            self.instructions.append(instruction)

    # Elementwise chains

    def chained(self, node: Node) -> None:
        """Add an elementwise node to the open chain of its shape and group."""
        key = node.shape, self.groups.get(node, 0)
        chain = self.chains.get(key)
        for x in node.inputs:
            if x in self.chain_of and self.chain_of[x] is not chain:
                self.ref(x)
        chain = self.chains.get(key)
        if chain is not None and not chain.has_room(node):
            self.close(chain)
            chain = None
        if chain is None:
            chain = self.chains[key] = OpenChain(*key)
        chain.add(node)
        self.chain_of[node] = chain

    def close(self, chain: OpenChain) -> None:
        """Turn a chain into a kernel call that writes every member somebody outside needs."""
        del self.chains[chain.shape, chain.group]
        for node in chain.members:
            del self.chain_of[node]
        needed = [node for node in chain.members if self.escapes(node, chain)]
        outputs = [self.target(node) for node in needed]
        inputs = [self.refs[x].broadcast(chain.shape) for x in chain.inputs]
        where = next(reversed(chain.members)).where
        if emit.chain_loops(chain.shape, [*outputs, *inputs]) is None:
            inputs = [x if not any(x.strides) else self.packed(x, where) for x in inputs]
        for node, ref in zip(needed, outputs, strict=True):
            self.refs[node] = ref
        if needed:
            results = [chain.name_of(node) for node in needed]
            self.put(emit.chain(chain.steps(), results, outputs, inputs, where))

    def escapes(self, node: Node, chain: OpenChain) -> bool:
        wanted = node in self.kept or node in self.stored
        return wanted or any(user not in chain.members for user in self.users.get(node, ()))

    # Other kinds

    def view(self, node: Node) -> None:
        ref = self.ref(node.inputs[0])

        def shown(array: Array) -> Array:
            result: Array = node.op.facts.get("without_copy", node.op.meaning)(array, **node.attrs)
            return result

        seen = as_strided_view(ref, shown) or as_strided_view(self.packed(ref, node.where), shown)
        assert seen is not None
        self.refs[node] = replace(seen, shape=node.shape)

    def fold_loops(self, x: Ref, axes: tuple[int, ...]) -> tuple[Ref, tuple[Shape, Shape], bool]:
        """x, copied if it must be, its loops (n0, n1, folded) with strides, and whether folds go across rows."""
        last = len(x.shape) - 1
        kept = [a for a in range(last + 1) if a not in axes]
        # Where rows do not count, axes say how a sum is taken: lengths of 1 would let others come to lie differently.
        columns = self.steady and last in kept and [*axes] == [*range(axes[0], axes[-1] + 1)] if axes else False
        x = self.packed(x) if self.steady else x
        turned = x.permuted([*kept, *axes])
        ref = self.packed(turned) if self.steady and not columns else turned
        loops = self.loops_of(ref, len(kept))
        if loops is None or not (columns or emit.lies_right(loops)):
            ref = self.packed(turned)
            loops = self.loops_of(ref, len(kept))
        assert loops is not None  # a packed operand takes one loop for the kept axes, one for the folded
        return ref, loops, columns or emit.across(loops)

    def loops_of(self, x: Ref, kept: int) -> tuple[Shape, Shape] | None:
        """Sizes and strides of the loops (n0, n1, folded) over so many kept axes and the rest; None for more."""
        shape = x.shape[:kept]
        sizes, (strides, _) = collapse(shape, [x.strides[:kept], row_major(shape)])
        folded, (step,) = collapse(x.shape[kept:], [x.strides[kept:]])
        if len(sizes) > 2 or len(folded) > 1:
            return None
        steps = *emit.pad(strides, 2, 0), *emit.pad(step, 1, 0)
        return (*emit.pad(sizes, 2, 1), *emit.pad(folded, 1, 1)), steps

    def reduction(self, node: Node) -> None:
        x, loops, across = self.fold_loops(self.ref(node.inputs[0]), node.attrs["axes"])
        out = self.target(node)
        self.put(emit.fold(node.op.name, out, x, loops, across, node.where))
        self.refs[node] = out

    def scan(self, node: Node) -> None:
        x, axis, where = self.packed(self.ref(node.inputs[0])), node.attrs["axis"], node.where
        n = x.shape[axis]
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        out = self.target(node)
        scratch = self.new((2 * n,), np.int64) if node.op.facts.get("scratch") else None
        loops = (outer, inner, n), (n * inner, 1, inner)
        self.put(emit.scan(node.op.name, out, x, loops, where, scratch))
        self.refs[node] = out

    def contraction(self, node: Node) -> None:
        where = node.where
        operands = []
        for ref in (self.ref(x) for x in node.inputs[-2:]):
            batch, (strides,) = collapse(ref.shape[:-2], [ref.strides[:-2]])
            fits = len(batch) <= 1 and products.straight(ref)
            ref = ref if fits else self.packed(ref, where)
            batch, (strides,) = collapse(ref.shape[:-2], [ref.strides[:-2]])
            operands.append((ref, strides[0] if strides else 0))
        out = self.target(node)
        (a, as_), (b, bs) = operands
        count = math.prod(node.shape[:-2])
        accumulate, row = len(node.inputs) > 2, None
        if accumulate:
            start = self.ref(node.inputs[0]).broadcast(node.shape)
            if node.inputs[0].op.facts.get("repeats") and a.shape[-1] and products.repeats_a_row(start):
                accumulate, row = False, start
            else:  # the copy falls away where the start already lies in the result's place
                self.put(emit.copy(out, start, where))
        words = (count, node.shape[-2] * node.shape[-1], as_, bs)
        if a.shape[-1] == 0:
            if not accumulate:
                self.put(emit.fill(out, where))
        elif node.dtype.kind == "f":
            self.product(out, a, b, words, where, accumulate, row)
        else:
            self.put(products.whole_product(out, a, b, words, where))
        self.refs[node] = out

    def product(
        self, out: Ref, a: Ref, b: Ref, words: products.Batch, where: Where, accumulate: bool, row: Ref | None
    ) -> None:
        """A product of floats; where it has one row or one column, it becomes the form that is quicker to read."""
        (m, _), n = a.shape[-2:], b.shape[-1]
        count, cs, as_, bs = words
        turned = (out.turned(), b.turned(), a.turned(), (count, cs, bs, as_))
        if not self.steady:
            # Sums of terms that lie side by side. In rows of few, the sums would depend on how many rows there are.
            for c, x, y, these in ((out, a, b, words), turned):
                if products.is_dots(x, y):
                    self.put(
                        products.dots(
                            c, x, y, these, where, accumulate, row if row is None or c is out else row.turned()
                        )
                    )
                    return
        if n == 1 and m > 1 and row is None and a.strides[-2] == 1:  # the rows of a turned lie in one piece
            out, a, b, words = turned
        panel, packed = None, None
        panels, strips = products.panel_sizes(a, b)
        if strips and products.packs_ahead(a, b, count):
            packed, strips = self.new((products.strips_size(a),), out.dtype), 0
            self.put(products.pack(packed, a, where))
        size = panels + strips + products.sums_size(a, b, accumulate)
        if size:
            panel = self.new((size,), out.dtype)
        self.put(products.product(out, a, b, panel, words, where, accumulate, row, packed))

    def positions(self, node: Node, axis: int, shape: Shape) -> tuple[Ref, Ref, tuple[int, int, int, int]]:
        """Packed operands of a gather or scatter, and the sizes around the axis of the array of this shape."""
        x, index = (self.packed(self.ref(i), node.where) for i in node.inputs)
        outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        return x, index, (outer, shape[axis], inner, index.size)

    def gather(self, node: Node) -> None:
        x, index, sizes = self.positions(node, node.attrs["axis"], node.inputs[0].shape)
        out = self.target(node)
        self.put(emit.gather(out, x, index, sizes, node.where))
        self.refs[node] = out

    def scatter(self, node: Node) -> None:
        g, index, sizes = self.positions(node, node.attrs["axis"], node.shape)
        out = self.target(node)
        self.put(emit.scatter_add(out, g, index, sizes, node.where))
        self.refs[node] = out

    def join(self, node: Node) -> None:
        parts = [self.ref(x) for x in node.inputs]
        out, where = self.target(node), node.where
        windows = self.windows(node, out)
        if len(windows) == 1 and windows[0].size != out.size:
            self.put(emit.fill(out, where))
        for part, window in zip(parts, windows, strict=True):
            if (part.buffer, part.offset) != (window.buffer, window.offset) or not part.size:
                self.put(emit.copy(window, part, where))
        self.refs[node] = out

    def loop(self, node: Node) -> None:
        body: Body = node.attrs["body"]
        if node in self.refs:  # made together with the outputs of another dtype
            return
        turn, where = repeat.turn_of(body), node.where
        given = [self.packed(self.ref(x), where) for x in node.inputs]
        outputs: dict[tuple[str, int], Ref] = {}
        vectors = []
        for dtype in body.dtypes():
            its = self.loops[repeat.identity(node)].get(dtype)
            segments = body.segments(dtype)
            out = self.target(its) if its is not None else self.new((segments[-1].stop,), dtype)
            if its is not None:
                self.refs[its] = out
            vectors.append(out)
            outputs |= {(s.role, s.number): out.viewed(s.shape, row_major(s.shape), s.start) for s in segments}
        c, k, n = body.constants, body.constants + body.carries, body.turns
        sums = [outputs["summed", i] for i in range(body.summed)]
        for ref in sums:
            self.put(emit.fill(ref, where))
        over = [outputs.get(("last", i)) or self.new(given[c + i].shape, given[c + i].dtype) for i in turn.in_place]
        tracks = [outputs["track", i] for i in turn.tracked]
        first = [repeat.row(ref, n if body.reverse else 0) for ref in tracks]
        for ref, i in zip([*over, *first], [*turn.in_place, *turn.tracked], strict=True):
            self.put(emit.copy(ref, given[c + i], where))
        donated = len(sums) + len(over)
        inner = donate(lower(prepared(turn.graph, self.steady), steady=self.steady), donated)
        constants = [self.constant(value) for value in inner.constants]
        windows = repeat.Windows(n, body.reverse)
        into = [*map(windows.still, [*sums, *over]), *map(windows.before, tracks), *map(windows.still, given[:c]),
                *map(windows.moving, given[k:])]  # fmt: skip
        made = [*map(windows.after, tracks), *(windows.moving(outputs["stacked", i]) for i in range(body.stacked))]
        self.buffers.append(Buffer(Place.TEMPORARY, 0, 1))
        room = len(self.buffers) - 1
        turns, nbytes = repeat.turns_of(inner, donated, n, into, made, [ref.buffer for ref in constants], room)
        self.buffers[room] = Buffer(Place.TEMPORARY, nbytes, 1)
        written = [*vectors, *over, Ref(room, 0, (nbytes,), (1,), np.dtype(np.uint8))]
        if n and turns.instructions:
            read = [*given[:c], *given[k:], *constants, emit.STATUS_REF]
            self.put(repeat.repeat(turns, [ref for ref in written if ref.size], read, where))
        for i, ref in zip(turn.tracked, tracks, strict=True):
            if ("last", i) in outputs:
                self.put(emit.copy(outputs["last", i], repeat.row(ref, 0 if body.reverse else n), where))

    def windows(self, node: Node, out: Ref) -> list[Ref]:
        """Where in a join's result each part lies."""
        return [out.window(slices) for slices in node.op.facts["windows"](*node.inputs, **node.attrs)]

    # The whole

    def aim(self, nodes: tuple[Node, ...]) -> None:
        """Let the makers of a join's parts write straight into the join."""
        for node in reversed(nodes):
            if "side_by_side" not in node.op.facts:
                continue
            out = self.targets.setdefault(node, self.new(node.shape, node.dtype))
            for part, window in zip(node.inputs, self.windows(node, out), strict=True):
                while part.op.kind is Kind.VIEW and "without_copy" in part.op.facts:
                    part = part.inputs[0]
                    seen = as_strided_view(window, partial(np.reshape, shape=part.shape, copy=False))
                    if seen is None:
                        break
                    window = seen
                made_here = part.op.kind not in (Kind.SOURCE, Kind.VIEW)
                # Elementwise chains write by any strides; others have their result in one piece.
                placed = window.contiguous or part.op.kind in (Kind.ELEMENTWISE, Kind.CAST)
                if placed and made_here and part not in self.targets and part.shape == window.shape:
                    self.targets[part] = window

    def run(self) -> Lowered:
        nodes = self.graph.nodes()
        self.users: dict[Node, list[Node]] = {}
        for node in nodes:
            for x in node.inputs:
                self.users.setdefault(x, []).append(node)
        self.kept = {*self.graph.outputs, *([self.watch] if self.watch is not None else [])}
        self.loops: dict[Any, dict[Any, Node]] = {}  # nodes of one loop, by their dtypes
        for node in nodes:
            if node.op.kind is Kind.LOOP:
                self.loops.setdefault(repeat.identity(node), {})[node.dtype] = node
        self.aim(nodes)
        # Nodes that only become new state come last, so that they may overwrite the old.
        last = [n for n in nodes if n in self.kept and n not in self.users and n is not self.watch and n.inputs]
        moved = set(last)
        order = [*(n for n in nodes if n not in moved), *last]
        # A group's chain is closed after its last node, not when somebody asks: its inputs' memory is wanted.
        ends = {(node.shape, self.groups[node]): node for node in order if node in self.groups}
        for node in order:
            self.one(node)
            key = node.shape, self.groups.get(node, 0)
            if ends.get(key) is node and key in self.chains:
                self.close(self.chains[key])
        for chain in list(self.chains.values()):
            self.close(chain)
        outputs = tuple(self.ref(node) for node in self.graph.outputs)
        return Lowered(tuple(self.instructions), tuple(self.buffers), tuple(self.constants), outputs,
                       self.watch_end, self.refs)  # fmt: skip

    def one(self, node: Node) -> None:
        kind = node.op.kind
        if node.op is INPUT:
            if node not in self.refs:
                raise ProgramError(f"{node!r} is not an input of this graph: a value was kept from another call")
        elif node.op is CONSTANT:
            self.refs[node] = self.constant(node.attrs["value"])
        elif kind in (Kind.ELEMENTWISE, Kind.CAST):
            self.chained(node)
        else:
            BY_KIND[kind](self, node)
        if node is self.watch:
            self.put(emit.watch(self.ref(node), node.where))
            self.watch_end = len(self.instructions)


BY_KIND: dict[Kind, Callable[[Lowering, Node], None]] = {
    Kind.VIEW: Lowering.view, Kind.REDUCTION: Lowering.reduction, Kind.SCAN: Lowering.scan,
    Kind.CONTRACTION: Lowering.contraction, Kind.GATHER: Lowering.gather, Kind.SCATTER: Lowering.scatter,
    Kind.JOIN: Lowering.join, Kind.LOOP: Lowering.loop,
}  # fmt: skip


def prepared(graph: Graph, steady: bool = False) -> Graph:
    """The graph to lower: the same results from the nodes that are quickest to run.

    steady: how sums are taken does not depend on the number of rows, as for `lower`.
    """
    graph = simplify(graph)
    fewer = fewer_loops(graph)
    graph = graph if fewer is graph else simplify(fewer)
    always = outer_products_by_element, turned_products, by_columns
    for rewritten in always if steady else (outer_products_summed, *always):
        changed = rewritten(graph)
        graph = graph if changed is graph else simplify(changed)
    return rows_into_products(graph)


def lower(
    graph: Graph,
    watch: Node | None = None,
    groups: Mapping[Node, int] | None = None,
    stored: Container[Node] = (),
    steady: bool = False,
) -> Lowered:
    """The instructions for a graph.

    groups: nodes of different groups share no chain; 0 where nothing is said. stored: nodes whose values are written
    even where no other instruction reads them. steady: how a sum is taken follows from its own length alone, not from
    how its terms came to lie, which depends on the number of other rows.
    """
    return Lowering(graph, watch, groups or {}, stored, steady).run()
