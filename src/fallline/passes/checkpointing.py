"""Time for memory: what the way to the loss made and only the way back reads again is made a second time, just before
it is read, from a few values that are kept.

Source: Chen et al. 2016, Training deep nets with sublinear memory cost, arXiv:1604.06174, section 4; here the values
to keep are those with which an estimate of the memory is least. Knows no layers and no single op.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from fallline.graph.node import INPUT, Graph, Node, reachable
from fallline.graph.op import Kind
from fallline.graph.verify import is_pass

# What has to be gained, as a share of the memory without it; and how many ways of cutting are tried.
LEAST_GAIN, TRIALS = 0.1, 64


@dataclass(frozen=True, slots=True)
class Recomputed:
    """graph: the same results. origin: new nodes, and the node whose value each has. stretch: of the nodes that do
    something a second time, which stretch of the way to the loss they belong to, from 1."""

    graph: Graph
    origin: dict[Node, Node] = field(default_factory=dict)
    stretch: dict[Node, int] = field(default_factory=dict)


@is_pass
def keep_less(graph: Graph, loss: Node, count: int) -> Recomputed | None:
    """A step's graph that keeps fewer values; None where it would gain little.

    loss: one of its outputs, to which the way leads. count: how many of its inputs are state.
    """
    way = Way(reachable([loss]), graph, count)
    cuts = way.best_cuts()
    return way.repeated(graph, cuts) if cuts else None


def owner(node: Node) -> Node:
    """The node whose memory a view shows."""
    while node.op.kind is Kind.VIEW:
        node = node.inputs[0]
    return node


class Way:
    """The nodes that lead to the loss, in running order, and who reads them on the way and later."""

    def __init__(self, nodes: Sequence[Node], graph: Graph, count: int) -> None:
        self.nodes = nodes
        self.place = {node: i for i, node in enumerate(nodes)}
        self.later = [node for node in graph.nodes() if node not in self.place]
        self.until = {x: i for i, node in enumerate(nodes) for x in node.inputs}  # the last reader on the way
        self.read_later = {x for node in self.later for x in node.inputs if x in self.place}
        self.held = {owner(node) for node in self.read_later if owner(node).inputs}
        # What follows from parameters and from data: what a cut has to keep one of.
        params = {node for node in graph.inputs[:count] if node.dtype.kind == "f"}
        self.active = self._following(params) & self._following({n for n in nodes if n.op is INPUT} - params)

    def _following(self, sources: set[Node]) -> set[Node]:
        found = set(sources)
        for node in self.nodes:
            if any(x in found for x in node.inputs):
                found.add(node)
        return found - sources

    def candidates(self) -> list[int]:
        """Places after which the rest of the way needs a single active value, which is held anyway."""
        found: dict[Node, int] = {}
        live: set[Node] = set()
        for i, node in enumerate(self.nodes):
            live = {x for x in live if self.until[x] > i}
            if node in self.active and self.until.get(node, i) > i:
                live.add(node)
            one = next(iter(live), node)
            if len(live) == 1 and owner(one) in self.held:
                found.setdefault(one, i)
        return list(found.values())

    def stays(self, node: Node, cuts: Sequence[int]) -> bool:
        """Is it kept until the way back: a source, of the last stretch, or read in a later stretch than its own?"""
        stretch = bisect_left(cuts, self.place[node])
        return not node.inputs or stretch == len(cuts) or bisect_left(cuts, self.until[node]) > stretch

    def most_bytes(self, cuts: Sequence[int]) -> int:
        """About how much is held at once: what stays, and the rest of one stretch."""
        kept, rest = 0, [0] * (len(cuts) + 1)
        for node in self.held:
            nbytes = node.size * node.dtype.itemsize
            stretch = bisect_left(cuts, self.place[node])
            if stretch < len(cuts) and self.stays(node, cuts):
                kept += nbytes
            else:
                rest[stretch] += nbytes
        return kept + max(rest)

    def best_cuts(self) -> list[int]:
        """The cuts with which the least is held; none where that is not much less than all."""
        candidates, whole = self.candidates(), self.most_bytes([])
        found = min((self._cuts(candidates, whole / n) for n in range(2, TRIALS)), key=self.most_bytes)
        return found if self.most_bytes(found) < (1 - LEAST_GAIN) * whole else []

    def _cuts(self, candidates: Sequence[int], limit: float) -> list[int]:
        """Cuts between stretches that hold no more than a limit, where candidates are dense enough."""
        held = sorted((self.place[node], node.size * node.dtype.itemsize) for node in self.held)
        places, sums = [at for at, _ in held], [0, *accumulate(nbytes for _, nbytes in held)]

        def held_until(place: int) -> int:
            return sums[bisect_right(places, place)]

        cuts: list[int] = []
        start = 0
        for before, place in pairwise(candidates):
            if held_until(place) - start > limit:
                cuts.append(before)
                start = held_until(before)
        return cuts

    def repeated(self, graph: Graph, cuts: Sequence[int]) -> Recomputed:
        """The graph in which every stretch but the last is done again where what does not stay is first read later."""
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
                    stretch = bisect_left(cuts, self.place[x])
                    for one in self.nodes:
                        if one in needed and bisect_left(cuts, self.place[one]) == stretch:
                            renew(one)
                            made.stretch[new[one]] = stretch + 1
            if node.inputs:
                renew(node)
        outputs = tuple(new.get(node, node) if node not in self.place else node for node in graph.outputs)
        return Recomputed(Graph(graph.inputs, outputs), made.origin, made.stretch)
