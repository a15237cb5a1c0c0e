"""The parts of a lowered graph: buffers, and instructions over windows into them. Knows no kernel by itself."""

import enum
import math
from dataclasses import dataclass, replace
from itertools import pairwise

from fallline.graph.node import Node
from fallline.graph.op import Array
from fallline.graph.where import NOWHERE, Where
from fallline.program.strides import Ref

# Nanoseconds of an instruction besides its work.
CALL = 5.0
# Loops are cut into so many at most, so that a plan does not grow with the number of turns.
_MOST_SLICES = 1024


class Place(enum.Enum):
    """Where a buffer's memory comes from."""

    STATUS = "status"  # the machine's own words: why it stopped
    INPUT = "input"  # an array of the caller
    CONSTANT = "constant"  # known when the program is made
    TEMPORARY = "temporary"  # planned into the arena, shared over time
    OUTPUT = "output"  # in the arena too, but kept until the run ends


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stretch of memory of so many elements."""

    place: Place
    size: int
    itemsize: int
    number: int = 0  # which input or constant

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize


@dataclass(frozen=True, slots=True)
class Window:
    """Where a buffer of a loop's turn lies in a buffer around it: from an element on, further by a step every turn."""

    buffer: int
    offset: int
    step: int


@dataclass(frozen=True, slots=True)
class Turns:
    """Instructions that run again and again, over buffers of their own numbering.

    windows: buffers that lie in others around the loop. places: where the others begin, in bytes from the start of
    buffer `room` of those around.
    """

    count: int
    instructions: tuple["Instruction", ...]
    buffers: tuple[Buffer, ...]
    windows: dict[int, Window]
    places: dict[int, int]
    room: int


@dataclass(frozen=True, slots=True)
class Split:
    """How an instruction falls into independent parts: the loop in word `word`, of `size` turns, cut anywhere.

    axes: for each operand the axis of it that this loop runs along; None where every part needs all of the operand.
    grain: cuts between parts lie at multiples of it, where a kernel does that many turns at once.
    """

    word: int
    size: int
    axes: tuple[int | None, ...]
    grain: int = 1

    def edges(self, count: int) -> list[int]:
        """Where `count` parts of about the same size begin and end; some may be empty."""
        blocks = -(-self.size // self.grain)
        return [min(blocks * i // count * self.grain, self.size) for i in range(count + 1)]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One kernel call: the first `outputs` operands are written, the others read; `words` follow them in the row.

    aligned: every operand is read at the element that is being written, so an input may be the output's memory.
    work: about how many nanoseconds it takes on one lane, for choosing how many lanes to use.
    """

    name: str
    source: str
    operands: tuple[Ref, ...]
    outputs: int
    words: tuple[int, ...]
    aligned: bool = False
    where: Where = NOWHERE
    split: Split | None = None
    work: float = 0.0
    scratch: int | None = None  # an operand that is written too, and of no use afterwards
    turns: Turns | None = None  # of a loop; its operands are all that the turns touch outside their own room

    @property
    def written(self) -> tuple[Ref, ...]:
        return self.operands[: self.outputs]

    @property
    def read(self) -> tuple[Ref, ...]:
        return self.operands[self.outputs :]

    def part(self, low: int, high: int, number: int) -> "Instruction":
        """Turns low..high of the loop that `split` names, as an instruction of its own."""
        assert self.split is not None
        operands = []
        for i, (ref, axis) in enumerate(zip(self.operands, self.split.axes, strict=True)):
            if i == self.scratch:  # every part needs its own
                ref = replace(ref, offset=ref.offset + number * ref.size)
            elif axis is not None:
                shape = (*ref.shape[:axis], high - low, *ref.shape[axis + 1 :])
                ref = ref.viewed(shape, ref.strides, low * ref.strides[axis])
            operands.append(ref)
        words = (*self.words[: self.split.word], high - low, *self.words[self.split.word + 1 :])
        share = (high - low) / self.split.size
        split = replace(self.split, size=high - low)
        return replace(self, operands=tuple(operands), words=words, split=split, work=self.work * share)

    def slices(self, most: float) -> tuple["Instruction", ...]:
        """The same work as instructions one after the other, of about `most` nanoseconds each where it can be cut."""
        if self.turns is not None:
            return self._slices_of_turns(self.turns, min(self.turns.count, math.ceil(self.work / most), _MOST_SLICES))
        count = 1 if self.split is None else min(self.split.size, math.ceil(self.work / most))
        if self.split is None or count < 2:
            return (self,)
        return tuple(self.part(low, high, 0) for low, high in pairwise(self.split.edges(count)) if low < high)

    def _slices_of_turns(self, turns: Turns, count: int) -> tuple["Instruction", ...]:
        """The turns of a loop as `count` loops one after the other."""
        if count < 2:
            return (self,)
        parts = []
        for low, high in pairwise([turns.count * i // count for i in range(count + 1)]):
            windows = {i: replace(w, offset=w.offset + low * w.step) for i, w in turns.windows.items()}
            part = replace(turns, count=high - low, windows=windows)
            parts.append(replace(self, turns=part, work=self.work * (high - low) / turns.count))
        return tuple(parts)

    def moved(self, buffers: dict[int, int]) -> "Instruction":
        """The same with some buffers replaced by others."""
        if not any(ref.buffer in buffers for ref in self.operands):
            return self
        operands = tuple(replace(ref, buffer=buffers.get(ref.buffer, ref.buffer)) for ref in self.operands)
        turns = self.turns
        if turns is not None:
            windows = {i: replace(w, buffer=buffers.get(w.buffer, w.buffer)) for i, w in turns.windows.items()}
            turns = replace(turns, windows=windows, room=buffers.get(turns.room, turns.room))
        return replace(self, operands=operands, turns=turns)

    def sources(self) -> list[str]:
        """Of the kernels it takes."""
        inner = self.turns.instructions if self.turns is not None else ()
        return [self.source, *(source for one in inner for source in one.sources())]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program without memory: what to call, on which windows of which buffers."""

    instructions: tuple[Instruction, ...]
    buffers: tuple[Buffer, ...]
    constants: tuple[Array, ...]
    outputs: tuple[Ref, ...]
    watch_end: int  # instructions up to here run before the machine asks whether to stop
    values: dict[Node, Ref]  # where each node lies; complete only when nothing is shared


STATUS = 0  # the number of the status buffer in every program
STATUS_WORDS = 8
