"""A loop's turns as instructions that run again and again over moving windows: one for each row, whatever their number.

Carries that somebody wants to see all of lie in an array of one more than there are turns: a turn reads one and writes
the next. Others are written over in place, as are sums. Knows no kernel, and no graph beyond the body of a loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fallline.graph.body import Body
from fallline.graph.node import Graph, Node, new_input
from fallline.graph.op import Kind
from fallline.graph.where import Where
from fallline.ops.contract import contract_onto
from fallline.program import emit
from fallline.program.instructions import CALL, STATUS, Buffer, Instruction, Lowered, Place, Turns, Window
from fallline.program.kernels.wrap import REPEATER
from fallline.program.plan import plan, share_in_place
from fallline.program.strides import Ref, row_major


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn's graph for the machine. Its inputs are sums, carries that are written over, carries that are tracked,
    constants, rows; its outputs the first three anew, and values to stack. in_place, tracked: numbers of carries."""

    graph: Graph
    in_place: tuple[int, ...]
    tracked: tuple[int, ...]


def turn_of(body: Body) -> Turn:
    """The turn of a loop with sums as values that are carried."""
    graph, c, k = body.graph, body.constants, body.carries
    tracked = tuple(i for i in range(k) if i in body.track)
    in_place = tuple(i for i in range(k) if i not in body.track)
    ends = graph.outputs[k + body.stacked :]
    sums = [new_input(node.shape, node.dtype) for node in ends]
    added = [add(total, node) for total, node in zip(sums, ends, strict=True)]
    order = (*in_place, *tracked)
    inputs = (*sums, *(graph.inputs[c + i] for i in order), *graph.inputs[:c], *graph.inputs[c + k :])
    outputs = (*added, *(graph.outputs[i] for i in order), *graph.outputs[k : k + body.stacked])
    return Turn(Graph(inputs, outputs), in_place, tracked)


def add(total: Node, term: Node) -> Node:
    """total + term; a product is added by the product itself."""
    if term.op.kind is Kind.CONTRACTION and len(term.inputs) == 2 and term.dtype.kind == "f":
        result: Node = contract_onto(total, *term.inputs)
    else:
        result = total + term
    return result


def identity(node: Node) -> tuple[Body, tuple[int, ...]]:
    """Equal for the nodes of one loop, which differ in the dtype of their outputs only."""
    return node.attrs["body"], tuple(map(id, node.inputs))


def row(ref: Ref, number: int) -> Ref:
    """One row of an array in one piece."""
    shape = ref.shape[1:]
    return ref.viewed(shape, row_major(shape), number * ref.strides[0])


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the buffers of a turn lie in arrays in one piece around the loop: in the first turn, and from there on."""

    turns: int
    reverse: bool

    def still(self, ref: Ref) -> Window:
        """All of an array in every turn."""
        return Window(ref.buffer, ref.offset, 0)

    def _rows(self, ref: Ref, first: int, last: int) -> Window:
        step = ref.strides[0] if ref.size else 0  # rows may be empty
        low, step = (last, -step) if self.reverse else (first, step)
        return Window(ref.buffer, ref.offset + low * abs(step), step)

    def moving(self, ref: Ref) -> Window:
        """One row after the other."""
        return self._rows(ref, 0, self.turns - 1)

    def before(self, ref: Ref) -> Window:
        """The rows of a track that turns start from."""
        return self._rows(ref, 0, self.turns)

    def after(self, ref: Ref) -> Window:
        """The rows of a track that turns lead to."""
        return self._rows(ref, 1, self.turns - 1)


def turns_of(
    lowered: Lowered,
    donated: int,
    count: int,
    inputs: Sequence[Window],
    outputs: Sequence[Window],
    constants: Sequence[int],
    room: int,
) -> tuple[Turns, int]:
    """The turns of a lowered graph, and the bytes of room they need.

    donated: how many outputs end up in as many inputs. inputs: windows around the loop for each of the graph's;
    outputs: for each that is not donated. constants, room: the numbers of the buffers around for each constant of
    the lowered graph, and for values of a turn alone.
    """
    instructions, buffers = list(lowered.instructions), list(lowered.buffers)
    windows = {STATUS: Window(STATUS, 0, 0)}
    for number, buffer in enumerate(buffers):
        if buffer.place is Place.INPUT:
            windows[number] = inputs[buffer.number]
        elif buffer.place is Place.CONSTANT:
            windows[number] = Window(constants[buffer.number], 0, 0)
    for ref, window in zip(lowered.outputs[donated:], outputs, strict=True):
        buffer = buffers[ref.buffer]
        whole = ref.contiguous and ref.offset == 0 and ref.size == buffer.size
        if whole and buffer.place is Place.TEMPORARY and ref.buffer not in windows:
            windows[ref.buffer] = window
        elif ref.size:
            buffers.append(Buffer(Place.INPUT, ref.size, ref.dtype.itemsize))
            windows[len(buffers) - 1] = window
            instructions.append(emit.copy(Ref(len(buffers) - 1, 0, ref.shape, row_major(ref.shape), ref.dtype), ref))
    for number in windows:
        if buffers[number].place is Place.TEMPORARY:
            buffers[number] = replace(buffers[number], place=Place.INPUT)
    home = share_in_place(instructions, buffers)
    moved = tuple(instruction.moved(home) for instruction in instructions)
    planned = plan(moved, buffers)
    return Turns(count, moved, tuple(buffers), windows, planned.offsets, room), planned.size


def repeat(turns: Turns, written: Sequence[Ref], read: Sequence[Ref], where: Where) -> Instruction:
    """The instruction that runs them. written, read: all that they touch."""
    work = turns.count * sum(one.work + CALL for one in turns.instructions)
    return Instruction("loop", REPEATER, (*written, *read), len(written), (), False, where, None, work, turns=turns)
