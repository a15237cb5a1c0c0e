"""How long each instruction of a program takes, how much it computes and moves, and how fast this machine does either.

Everything is measured on one core, at the moment it is asked for. Knows no layers and no training.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.node import Graph, new_input
from fallline.graph.op import Array
from fallline.program.instructions import STATUS, Instruction
from fallline.program.machine import Program
from fallline.program.step_loop import lowered
from fallline.program.strides import Ref

# Between two steps Python looks at its own clock, so a call is a block of steps; and a first block only warms up.
BLOCK = 64
# The product and the sizes of arrays, in bytes, whose rates are the machine's peaks.
SQUARE = 512
SIZES = tuple(1 << i for i in range(14, 28, 2))


def kind_of(instruction: Instruction) -> str:
    """The family that an instruction is of: elementwise, product, fold, scan, gather ..."""
    if instruction.aligned and instruction.name != "copy":
        return "elementwise"
    return instruction.name if instruction.name == "scatter_add" else instruction.name.split("_")[0]


def flops_of(instruction: Instruction) -> int:
    """Operations on numbers: a multiply-add is two, any other, tanh as well as +, is one for each element."""
    kind, operands = kind_of(instruction), instruction.operands
    if instruction.turns is not None:
        return instruction.turns.count * sum(map(flops_of, instruction.turns.instructions))
    if kind == "product":
        return 2 * operands[0].size * operands[2].shape[-2]
    if kind == "elementwise":
        return operands[0].size * (instruction.name.count("+") + 1)
    return operands[1].size if kind in ("fold", "scan") else 0


def bytes_of(instruction: Instruction) -> int:
    """Bytes read and bytes written; of an array that is picked from, as many as are picked."""
    out, total = instruction.operands[0], 0
    scratch = None if instruction.scratch is None else instruction.operands[instruction.scratch]
    for ref in (*instruction.written, *dict.fromkeys(instruction.read)):
        if ref is scratch or ref.buffer == STATUS:
            continue
        elements = min(_distinct(ref), out.size) if kind_of(instruction) == "gather" else _distinct(ref)
        total += elements * ref.dtype.itemsize
    return total


def _distinct(ref: Ref) -> int:
    low, high = ref.extent()  # windows of a row each may overlap
    count = math.prod(n for n, s in zip(ref.shape, ref.strides, strict=True) if s or n == 0)
    return min(count, high - low)


@dataclass(frozen=True, slots=True)
class Timed:
    """One instruction and the seconds that it took, typically."""

    instruction: Instruction
    seconds: float

    @property
    def kind(self) -> str:
        return kind_of(self.instruction)

    @property
    def flops(self) -> int:
        return flops_of(self.instruction)

    @property
    def bytes(self) -> int:
        return bytes_of(self.instruction)


def timed(program: Program, block: int, rewind: Callable[[], None], seconds: float) -> tuple[Timed, ...]:
    """Run a program on one lane with a look at the clock around every instruction.

    block: steps that can be made in a row; rewind: a function that makes as many possible again. seconds: to spend,
        about.
    Errors: ProgramError for a program on several lanes, and where the system has no such clock.
    """
    if len(program.tables) != 1 or not hasattr(time, "CLOCK_MONOTONIC"):
        raise ProgramError("instructions are timed on one lane, by the clock of a POSIX system")
    from fallline.program.kernels import store
    from fallline.program.kernels.wrap import CLOCKED_RUNNER

    runner = store.function(CLOCKED_RUNNER)
    with program.lock:
        blocks: list[Array] = []
        end = time.perf_counter() + seconds
        while len(blocks) < 2 or time.perf_counter() < end:
            rewind()
            blocks.append(_clocked(runner, program, min(block, BLOCK)))
    times = np.concatenate(blocks[1:])
    if not len(times):
        raise ProgramError("the watched value is not finite, so there is no step to time")
    took = np.maximum(_typical(times) - _look(runner), 0.0) * 1e-9
    return tuple(Timed(ins, float(s)) for ins, s in zip(program.instructions, took, strict=True))


def _clocked(runner: Callable[..., int], program: Program, steps: int) -> Array:
    """Nanoseconds of every instruction, a line for each step that was done."""
    (table, rows), status = program.entries[0], program.addresses[STATUS]
    times, now = np.zeros((steps, rows), np.int64), np.zeros(2, np.int64)
    program.status[:] = 0
    done = runner(table, rows, status, times.ctypes.data, steps, time.CLOCK_MONOTONIC, now.ctypes.data)
    return times[:done]


def _typical(times: Array) -> Array:
    """The mean of each column without the times at which the core did something else as well.

    A clock may tick every ten nanoseconds only, so a median would be too coarse.
    """
    usual = times <= 2 * np.median(times, axis=0) + 20
    typical: Array = np.sum(times, axis=0, where=usual) / usual.sum(axis=0)
    return typical


def _look(runner: Callable[..., int]) -> float:
    """Nanoseconds that reading the clock twice adds to the enclosed work."""
    short = _program(lambda x: x + 1, [np.zeros(1)])
    times = _clocked(runner, short, 1000)
    begun = time.perf_counter_ns()
    short.run(10_000)
    return max(0.0, float(_typical(times)[0]) - (time.perf_counter_ns() - begun) / 10_000)


def _program(function: Callable[..., Any], arrays: list[Array], state: int = 0) -> Program:
    """The function of these arrays on one lane; its result is written over the first where that is state."""
    inputs = tuple(new_input(array.shape, array.dtype) for array in arrays)
    return Program(lowered(Graph(inputs, (function(*inputs),)), state), arrays, writable=state)


def _best(program: Program, seconds: float) -> float:
    """The least seconds of a run."""
    least, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or least == float("inf"):
        begun = time.perf_counter()
        program.run(1)
        took = time.perf_counter() - begun
        inner = max(1, int(1e-4 / took))
        begun = time.perf_counter()
        program.run(inner)
        least = min(least, (time.perf_counter() - begun) / inner)
    return least


@dataclass(frozen=True)
class Peak:
    """The peak of one core of this machine with our own kernels.

    products: operations per second in a large matrix product. memory: (bytes touched, bytes per second) of adding one
    array to another, for sizes from the first cache to main memory.
    """

    products: float
    memory: tuple[tuple[int, float], ...]

    def bandwidth(self, nbytes: int) -> float:
        """Bytes per second for work that touches so many bytes."""
        sizes = np.log([size for size, _ in self.memory])
        return float(np.interp(np.log(max(nbytes, 1)), sizes, [rate for _, rate in self.memory]))

    def over(self, other: "Peak") -> "Peak":
        """The better of two measurements: whatever else the machine did then, it took from one of them."""
        rates = zip(self.memory, other.memory, strict=True)
        memory = tuple((size, max(mine, its)) for (size, mine), (_, its) in rates)
        return Peak(max(self.products, other.products), memory)

    def least_seconds(self, flops: int, nbytes: int) -> float:
        """The time below which nobody computes and moves as much on one core."""
        return max(flops / self.products, nbytes / self.bandwidth(nbytes))


def measure_peak(dtype: Any, seconds: float = 0.3) -> Peak:
    """This machine's peak rates, now, in this precision."""
    each = seconds / (1 + len(SIZES))
    square = np.full((SQUARE, SQUARE), 0.5, dtype)
    product = 2 * SQUARE**3 / _best(_program(lambda a, b: a @ b, [square, square.copy()]), each)
    memory = []
    for size in SIZES:
        to, source = (np.zeros(size // (2 * square.itemsize), dtype) for _ in range(2))
        touched = to.nbytes + source.nbytes
        adding = _program(lambda to, source: to + source, [to, source], state=1)
        memory.append((touched, 1.5 * touched / _best(adding, each)))  # one of the two is read and written
    return Peak(product, tuple(memory))
