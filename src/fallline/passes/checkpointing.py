"""Gradient checkpointing: recomputes activations that only the backward pass needs, instead of storing them.

The forward pass is cut into segments. The values at the cuts are stored; the others of a segment are computed a second
time, just before the backward pass reads them.

Source: Chen et al. 2016, Training deep nets with sublinear memory cost, arXiv:1604.06174, section 4; here the cuts
are those with which an estimate of the memory is least. Knows no layers and no single op.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from fallline.graph.node import INPUT, Graph, Node, reachable
from fallline.graph.op import Kind
from fallline.graph.verify import is_pass

# The least gain, as a share of the memory without checkpointing; and the number of choices of cuts that are tried.
LEAST_GAIN, TRIALS = 0.1, 64


@dataclass(frozen=True, slots=True)
class Recomputed:
    """graph: the same results. origin: for each new node the node whose value it has. segment: for each recomputed node
    the number of its segment of the forward pass, from 1."""

    graph: Graph
    origin: dict[Node, Node] = field(default_factory=dict)
    segment: dict[Node, int] = field(default_factory=dict)


@is_pass
def keep_less(graph: Graph, loss: Node, count: int) -> Recomputed | None:
    """A step's graph that stores fewer values; None where it would gain little.

    loss: the output at which the forward pass ends. count: how many of its inputs are state.
    """
    forward = ForwardPass(reachable([loss]), graph, count)
    cuts = forward.best_cuts()
    return forward.recomputed(graph, cuts) if cuts else None


def owner(node: Node) -> Node:
    """The node whose memory a view shows."""
    while node.op.kind is Kind.VIEW:
        node = node.inputs[0]
    return node


class ForwardPass:
    """The nodes that lead to the loss, in running order, and their readers in the forward pass and later."""

    def __init__(self, nodes: Sequence[Node], graph: Graph, count: int) -> None:
        self.nodes = nodes
        self.place = {node: i for i, node in enumerate(nodes)}
        self.later = [node for node in graph.nodes() if node not in self.place]
        self.until = {x: i for i, node in enumerate(nodes) for x in node.inputs}  # the last reader in the pass
        self.read_later = {x for node in self.later for x in node.inputs if x in self.place}
        self.stored = {owner(node) for node in self.read_later if owner(node).inputs}
        # Nodes that follow from both parameters and data: a cut stores one of them.
        params = {node for node in graph.inputs[:count] if node.dtype.kind == "f"}
        self.active = self._following(params) & self._following({n for n in nodes if n.op is INPUT} - params)

    def _following(self, sources: set[Node]) -> set[Node]:
        found = set(sources)
        for node in self.nodes:
            if any(x in found for x in node.inputs):
                found.add(node)
        return found - sources

    def candidates(self) -> list[int]:
        """Places after which the rest of the pass needs a single active value, which is stored anyway."""
        found: dict[Node, int] = {}
        live: set[Node] = set()
        for i, node in enumerate(self.nodes):
            live = {x for x in live if self.until[x] > i}
            if node in self.active and self.until.get(node, i) > i:
                live.add(node)
            value = next(iter(live), node)
            if len(live) == 1 and owner(value) in self.stored:
                found.setdefault(value, i)
        return list(found.values())

    def stays(self, node: Node, cuts: Sequence[int]) -> bool:
        """Whether it is stored until the backward pass: sources, nodes of the last segment, and those that a later
        segment reads."""
        segment = bisect_left(cuts, self.place[node])
        return not node.inputs or segment == len(cuts) or bisect_left(cuts, self.until[node]) > segment

    def most_bytes(self, cuts: Sequence[int]) -> int:
        """An estimate of the memory at its peak: the stored values, and the others of one segment."""
        kept, rest = 0, [0] * (len(cuts) + 1)
        for node in self.stored:
            nbytes = node.size * node.dtype.itemsize
            segment = bisect_left(cuts, self.place[node])
            if segment < len(cuts) and self.stays(node, cuts):
                kept += nbytes
            else:
                rest[segment] += nbytes
        return kept + max(rest)

    def best_cuts(self) -> list[int]:
        """The cuts with the least memory; none where that is not much less than without cuts."""
        candidates, whole = self.candidates(), self.most_bytes([])
        found = min((self._cuts(candidates, whole / n) for n in range(2, TRIALS)), key=self.most_bytes)
        return found if self.most_bytes(found) < (1 - LEAST_GAIN) * whole else []

    def _cuts(self, candidates: Sequence[int], limit: float) -> list[int]:
        """Cuts between segments of no more bytes than a limit, where candidates are dense enough."""
        sizes = sorted((self.place[node], node.size * node.dtype.itemsize) for node in self.stored)
        places, sums = [at for at, _ in sizes], [0, *accumulate(nbytes for _, nbytes in sizes)]

        def bytes_until(place: int) -> int:
            return sums[bisect_right(places, place)]

        cuts: list[int] = []
        start = 0
        for before, place in pairwise(candidates):
            if bytes_until(place) - start > limit:
                cuts.append(before)
                start = bytes_until(before)
        return cuts

    def recomputed(self, graph: Graph, cuts: Sequence[int]) -> Recomputed:
        """The graph in which a segment is recomputed just before the first later reader of one of its values."""
        needed: set[Node] = set()
        for node in reversed(self.nodes):
            read = node in self.read_later or node in needed
            if read and not self.stays(node, cuts):
                needed |= {node, *(x for x in node.inputs)}
        needed = {node for node in needed if not self.stays(node, cuts)}
        new: dict[Node, Node] = {}
        made = Recomputed(graph)

        def renew(node: Node) -> None:
            inputs = tuple(new.get(x, x) for x in node.inputs)
            new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
            made.origin[new[node]] = node

        for node in self.later:
            for x in node.inputs:
                if x in needed and x not in new:
                    segment = bisect_left(cuts, self.place[x])
                    for other in self.nodes:
                        if other in needed and bisect_left(cuts, self.place[other]) == segment:
                            renew(other)
                            made.segment[new[other]] = segment + 1
            if node.inputs:
                renew(node)
        outputs = tuple(new.get(node, node) if node not in self.place else node for node in graph.outputs)
        return Recomputed(Graph(graph.inputs, outputs), made.origin, made.segment)
