"""Merges loops over the same rows, drops outputs that nobody reads, and computes outside what no turn changes.

A gradient needs more than the results of a loop: the carries that each turn starts from. All are outputs of one
loop. Carries, rows and outputs that do not matter are left out; values that follow from constants alone are computed
once, outside, and a sum of products over the turns, as the gradient of a weight is, is one product over all of them.
"""

from collections.abc import Sequence, Set

from fallline.graph.body import Body, Segment
from fallline.graph.node import Graph, Node, new_input, reachable
from fallline.graph.op import Kind
from fallline.graph.verify import is_pass
from fallline.graph.where import made_at
from fallline.ops.contract import contract
from fallline.ops.scan import nodes_of
from fallline.ops.view import cut, join, reshape, slice_, transpose

# A sum of products is taken over all turns at once where so many times the size of its stacked factors is at most its
# own size.
# Turns of a single row gain a third of an LSTM's time by it, turns of eight rows nothing.
LITTLE = 32


@is_pass
def fewer_loops(graph: Graph) -> Graph:
    """The same results from as few loops as possible, each of as little as possible."""
    nodes = graph.nodes()
    groups: dict[tuple[int, ...], _Group] = {}
    group_of: dict[Node, _Group] = {}
    for node in nodes:
        if node.op.kind is Kind.LOOP:
            body: Body = node.attrs["body"]
            key = (*map(id, node.inputs), *map(id, body.graph.inputs), body.turns, int(body.reverse))
            group_of[node] = groups.setdefault(key, _Group(body))
    if not groups:
        return graph
    whole = {node for node in graph.outputs if node in group_of}  # loops of which somebody reads the whole vector
    for node in nodes:
        for x in node.inputs:
            if x in group_of and (found := segment_read(node)) is not None:
                group_of[x].wants(x, [found])
            elif x in group_of:
                whole.add(x)
    for node in whole:
        group_of[node].wants(node, segments(node))
    new: dict[Node, Node] = {}
    for node in nodes:
        with made_at(node.where):
            if node in group_of:
                group_of[node].make([new[x] for x in node.inputs])
                if node in whole:
                    parts = [flat(group_of[node].value(node, s)) for s in segments(node)]
                    new[node] = parts[0] if len(parts) == 1 else join(*parts, axis=0)
                continue
            source = node.inputs[0] if node.inputs else node
            if source in group_of and (found := segment_read(node)) is not None:
                part, start = flat(group_of[source].value(source, found)), node.attrs["starts"][0] - found.start
                new[node] = cut(part, 0, start, start + node.size)
            else:
                inputs = tuple([new[x] for x in node.inputs])
                new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where) if inputs else node
    return Graph(graph.inputs, tuple([new[output] for output in graph.outputs]))


def segments(node: Node) -> list[Segment]:
    found: list[Segment] = node.attrs["body"].segments(node.dtype)
    return found


def segment_read(node: Node) -> Segment | None:
    """The one output of a loop in which a node's slice of its vector lies; None for any other use."""
    if node.op is not slice_ or node.attrs["steps"] != (1,):
        return None
    low, high = node.attrs["starts"][0], node.attrs["stops"][0]
    return next((s for s in segments(node.inputs[0]) if s.start <= low < high <= s.stop), None)


def flat(x: Node) -> Node:
    result: Node = x if len(x.shape) == 1 else reshape(x, shape=(x.size,))
    return result


class _Group:
    """Loops over the same inputs whose turns differ in their outputs at most."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.last: set[int] = set()
        self.track: set[int] = set()
        self.stacked: dict[Node, int] = {}  # the outputs of each turn, and their numbers
        self.summed: dict[Node, int] = {}
        self.made: dict[tuple[str, int], Node] = {}
        self.carried: dict[int, int] = {}  # the new number of every carry that is left

    def wants(self, node: Node, found: Sequence[Segment]) -> None:
        """Note which outputs of one of the loops somebody reads."""
        body = node.attrs["body"]
        for s in found:
            if s.role in ("last", "track"):
                (self.last if s.role == "last" else self.track).add(s.number)
            else:
                numbers = self.stacked if s.role == "stacked" else self.summed
                numbers.setdefault(body.output(s), len(numbers))

    def value(self, node: Node, s: Segment) -> Node:
        """The new node for an output of one of the loops."""
        body = node.attrs["body"]
        if s.role in ("stacked", "summed"):
            numbers = self.stacked if s.role == "stacked" else self.summed
            return self.made[s.role, numbers[body.output(s)]]
        number = self.carried[s.number]
        if s.role == "track" or ("last", number) in self.made:
            return self.made[s.role, number]
        at = 0 if body.reverse else body.turns
        track = self.made["track", number]
        result: Node = reshape(cut(track, 0, at, at + 1), shape=s.shape)
        return result

    def make(self, inputs: Sequence[Node]) -> None:
        """The one loop that replaces all of them, with the wanted outputs."""
        if self.made or not (self.last or self.track or self.stacked or self.summed):
            return
        body, c = self.body, self.body.constants
        inner, after = body.graph.inputs, body.graph.outputs[: body.carries]
        given = dict(zip(inner, inputs, strict=True))
        products = self._at_once(set(inner[c + body.carries :]))
        summed = [node for node in self.summed if node not in products]
        carries = self._needed(inner[c : c + body.carries], after, summed)
        self.carried = {old: new for new, old in enumerate(carries)}
        outputs = [*(after[i] for i in carries), *self.stacked, *summed]
        outputs, shared = outside(outputs, inner[:c], given)
        used = set(reachable(outputs))
        constants = [x for x in (*inner[:c], *shared) if x in used]
        rows = [x for x in inner[c + body.carries :] if x in used]
        given |= shared
        graph = Graph((*constants, *(inner[c + i] for i in carries), *rows), tuple(outputs))
        last = tuple(self.carried[i] for i in sorted(self.last - self.track))
        track = tuple(self.carried[i] for i in sorted(self.track))
        new = Body(graph, len(constants), len(carries), body.turns, body.reverse, last, track, len(self.stacked))
        made = nodes_of(new, [given[x] for x in graph.inputs])
        self.made = {at: value for at, value in made.items() if at[0] != "summed"}
        for i, node in enumerate(summed):
            self.made["summed", self.summed[node]] = made["summed", i]
        for node, factors in products.items():
            a, b = (self.made["stacked", self.stacked[x]] if x in self.stacked else given[x] for x in factors)
            a, b = (reshape(x, shape=(body.turns * x.shape[1], x.shape[2])) for x in (a, b))
            self.made["summed", self.summed[node]] = contract(transpose(a, axes=(1, 0)), b)

    def _at_once(self, rows: Set[Node]) -> dict[Node, tuple[Node, Node]]:
        """Sums of products that are one product over all turns, and (a, b) for each sum of a.T @ b: where little is
        stacked for it, compared with the sum that every turn would read and write."""
        found = {}
        for node in self.summed:
            if node.op.kind is Kind.CONTRACTION and len(node.inputs) == 2 and len(node.shape) == 2:
                a, b = node.inputs
                a = a.inputs[0] if a.op is transpose and len(a.inputs[0].shape) == 2 else transpose(a, axes=(1, 0))
                more = [x for x in (a, b) if x not in rows and x not in self.stacked]
                if node.dtype.kind == "f" and LITTLE * sum(x.size for x in more) <= node.size:
                    found[node] = a, b
                    for x in more:
                        self.stacked.setdefault(x, len(self.stacked))
        return found

    def _needed(self, before: Sequence[Node], after: Sequence[Node], summed: Sequence[Node]) -> list[int]:
        """The carries on which the wanted outputs depend."""
        number = {node: i for i, node in enumerate(before)}
        found: set[int] = set()
        new = self.last | self.track | {number[x] for x in reachable([*self.stacked, *summed]) if x in number}
        while new:
            found |= new
            new = {number[x] for x in reachable([after[i] for i in new]) if x in number} - found
        return sorted(found)


def outside(
    outputs: Sequence[Node], constants: Sequence[Node], given: dict[Node, Node]
) -> tuple[list[Node], dict[Node, Node]]:
    """The outputs of a turn without the nodes that follow from constants alone; and those nodes: new
    constants of the loop, and the nodes outside that are their values.

    Repetitions stay: they cost nothing in a turn, and memory outside. given: the values of the constants.
    """
    nodes = reachable(outputs)
    fixed, wanted = set(constants), set[Node]()
    for node in nodes:
        known = node.inputs and all(x in fixed or "value" in x.attrs for x in node.inputs)
        if known and "repeats" not in node.op.facts and any(x in fixed for x in node.inputs):
            fixed.add(node)
    for node in nodes:
        if node not in fixed:
            wanted |= {x for x in node.inputs if x in fixed and x.inputs}
    wanted |= {x for x in outputs if x in fixed and x.inputs}
    # Views with the layout of their source are as good inside.
    while views := {x for x in wanted if "without_copy" in x.op.facts}:
        wanted = (wanted - views) | {x for view in views for x in view.inputs if x.inputs}
    if not wanted:
        return [*outputs], {}
    beyond: dict[Node, Node] = {}
    shared: dict[Node, Node] = {}
    new: dict[Node, Node] = {}
    for node in reachable([*wanted]):
        if node in given or not node.inputs:
            beyond[node] = given.get(node, node)
        else:
            inputs = tuple([beyond[x] for x in node.inputs])
            beyond[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where)
        if node in wanted:
            new[node] = new_input(node.shape, node.dtype)
            shared[new[node]] = beyond[node]
    for node in nodes:
        if node not in new:
            inputs = tuple([new[x] for x in node.inputs])
            new[node] = Node(node.op, inputs, node.attrs, node.shape, node.dtype, node.where) if inputs else node
    return [new[x] for x in outputs], shared
