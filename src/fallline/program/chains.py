"""Open chains of elementwise nodes, one per shape, while a graph is being lowered.

A chain grows until something else needs one of its values; then it is closed and becomes one kernel call.
"""

from dataclasses import dataclass, field

from fallline.graph.node import Node
from fallline.graph.op import Kind, Shape
from fallline.program.kernels.elementwise import Step, named

# Beyond these a chain's values no longer fit the registers, and compiling it takes noticeably longer.
MOST_OPS = 40
MOST_INPUTS = 16


@dataclass
class OpenChain:
    """Nodes of one shape in running order, and the values they take from outside."""

    shape: Shape
    group: int = 0
    members: dict[Node, int] = field(default_factory=dict)
    inputs: dict[Node, int] = field(default_factory=dict)

    def has_room(self, node: Node) -> bool:
        new = sum(1 for x in set(node.inputs) if x not in self.members and x not in self.inputs)
        return len(self.members) < MOST_OPS and len(self.inputs) + new <= MOST_INPUTS

    def add(self, node: Node) -> None:
        for x in node.inputs:
            if x not in self.members:
                self.inputs.setdefault(x, len(self.inputs))
        self.members[node] = len(self.members)

    def name_of(self, x: Node) -> str:
        return f"t{self.members[x]}" if x in self.members else f"x{self.inputs[x]}"

    def steps(self) -> tuple[Step, ...]:
        made = []
        for node in self.members:
            args = tuple(self.name_of(x) for x in node.inputs)
            if node.op.kind is Kind.CAST:
                made.append(Step(node.op.name, named(node.dtype), args, named(node.inputs[0].dtype)))
            else:
                made.append(Step(node.op.name, named(node.inputs[-1].dtype), args))
        return tuple(made)
