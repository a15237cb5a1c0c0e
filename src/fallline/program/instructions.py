"""What a lowered graph is made of: buffers, and instructions over windows into them. Knows no kernel by itself."""

import enum
from dataclasses import dataclass, replace

from fallline.program.layout import Ref


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
class Instruction:
    """One kernel call: the first `outputs` operands are written, the others read; `words` follow them in the row.

    aligned: every operand is read at the element that is being written, so an input may be the output's memory.
    """

    name: str
    source: str
    operands: tuple[Ref, ...]
    outputs: int
    words: tuple[int, ...]
    aligned: bool = False
    where: str = ""

    @property
    def written(self) -> tuple[Ref, ...]:
        return self.operands[: self.outputs]

    @property
    def read(self) -> tuple[Ref, ...]:
        return self.operands[self.outputs :]

    def moved(self, buffers: dict[int, int]) -> "Instruction":
        """The same with some buffers replaced by others."""
        operands = tuple(replace(ref, buffer=buffers.get(ref.buffer, ref.buffer)) for ref in self.operands)
        return replace(self, operands=operands)


STATUS = 0  # the number of the status buffer in every program
STATUS_WORDS = 8
