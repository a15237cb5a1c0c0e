"""The arguments of kernels in memory: for each instruction a row of operand addresses and words, one row after another.

The row of a loop holds a table of the kernels of a turn, their rows, and a list of moves: which words point somewhere
else in the next turn, and how many bytes further.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fallline.program.instructions import Buffer, Instruction, Place, Turns

WORD = 8
HEAD = 5  # words of a loop: its table, its moves, lines of both, turns
Moves = list[tuple[int, int]]  # places among the words, and bytes that they go on by every turn


@dataclass(frozen=True, slots=True)
class Where:
    """A buffer of a turn in memory: the buffer of the program, bytes from its start, and what moves it."""

    buffer: int
    offset: int = 0
    moved: tuple[tuple[Moves, int], ...] = ()


@dataclass(slots=True)
class Rows:
    """buffers, addresses: of the program; outside: buffers in arrays of their own. words: all rows. fixups: for buffers
    that may come to lie elsewhere, which words point into them, and how far from the start. own: places among the words
    that point into the program's memory. within: those that count bytes from the start of the words."""

    buffers: Sequence[Buffer]
    addresses: Sequence[int]
    outside: frozenset[int]
    words: list[int] = field(default_factory=list)
    fixups: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    own: list[int] = field(default_factory=list)
    within: list[int] = field(default_factory=list)
    places: list[Where] = field(init=False)

    def __post_init__(self) -> None:
        self.places = [Where(number) for number in range(len(self.buffers))]

    def put(self, instruction: Instruction) -> int:
        """Write the row of an instruction; returns the word it begins with."""
        return self._put(instruction, self.places)

    def _put(self, instruction: Instruction, places: Sequence[Where]) -> int:
        if instruction.turns is not None:
            return self._loop(instruction.turns, places)
        begin = len(self.words)
        for ref in instruction.operands:
            place, at = places[ref.buffer], len(self.words)
            offset = place.offset + ref.offset * ref.dtype.itemsize
            self.words.append(self.addresses[place.buffer] + offset)
            if self.buffers[place.buffer].place is Place.INPUT or place.buffer in self.outside:
                self.fixups.setdefault(place.buffer, []).append((at, offset))
            else:
                self.own.append(at)
            for moves, step in place.moved:
                moves.append((at, step))
        self.words += instruction.words
        return begin

    def _loop(self, turns: Turns, places: Sequence[Where]) -> int:
        from fallline.program.kernels import store

        begin, count = len(self.words), len(turns.instructions)
        self.words += [0] * (HEAD + 2 * count)
        moves: Moves = []
        inner = [self._inner(turns, number, places, moves) for number in range(len(turns.buffers))]
        for i, instruction in enumerate(turns.instructions):
            line = begin + HEAD + 2 * i
            self.words[line] = store.address(instruction.source)
            self._point(line + 1, self._put(instruction, inner))
        listed = len(self.words)
        for at, step in moves:
            self._point(len(self.words), at, new=True)
            self.words.append(step)
        self._point(begin, begin + HEAD)
        self._point(begin + 1, listed)
        self.words[begin + 2 : begin + HEAD] = [count, len(moves), turns.count]
        return begin

    def _inner(self, turns: Turns, number: int, places: Sequence[Where], moves: Moves) -> Where:
        """Where a buffer of a turn lies."""
        window = turns.windows.get(number)
        if window is None:
            room = places[turns.room]
            return Where(room.buffer, room.offset + turns.places.get(number, 0), room.moved)
        around, item = places[window.buffer], turns.buffers[number].itemsize
        moved = ((moves, window.step * item),) if window.step else ()
        return Where(around.buffer, around.offset + window.offset * item, (*around.moved, *moved))

    def _point(self, at: int, to: int, new: bool = False) -> None:
        """Let a word point to another."""
        if new:
            self.words.append(0)
        self.words[at] = to * WORD
        self.within.append(at)
