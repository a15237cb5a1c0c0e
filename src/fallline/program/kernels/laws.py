"""How vectors of terms are folded: sums, extremes and their places, as LLVM vector code of any width."""

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir

from fallline.program.kernels.language import declared
from fallline.program.kernels.memory import SCALAR, WORD, splat

Vectors = list[Any]


class Law:
    """How terms of one dtype are folded. A state is one vector or two of the same width.

    out: bytes of a result.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.scalar, self.numba, self.item = SCALAR[dtype]
        self.floats, self.signed = dtype.startswith("float"), not dtype.startswith(("u", "bool"))
        self.states, self.out = 1, self.item

    def vector(self, width: int) -> Any:
        return ir.VectorType(self.scalar, width)

    def kinds(self, width: int) -> Vectors:
        """The types of a state's vectors."""
        return [self.vector(width)] * self.states

    def start(self, width: int) -> Vectors:
        """The state of no terms."""
        raise NotImplementedError

    def step(self, builder: Any, state: Vectors, terms: Vectors, place: Any = None) -> Vectors:
        """The state with a term more in each lane; `place` says the how manieth, where that is known."""
        raise NotImplementedError

    def merge(self, builder: Any, one: Vectors, other: Vectors) -> Vectors:
        """The state of both states' terms."""
        raise NotImplementedError

    def value(self, builder: Any, state: Vectors) -> Any:
        """The fold of a state's terms, in each lane."""
        return state[0]


class Sum(Law):
    """Sums; of the products of two terms where there are two."""

    def start(self, width: int) -> Vectors:
        return [ir.Constant(self.vector(width), [0.0 if self.floats else 0] * width)]

    def step(self, builder: Any, state: Vectors, terms: Vectors, place: Any = None) -> Vectors:
        if len(terms) == 1:
            return self.merge(builder, state, terms)
        kind = state[0].type
        name = f"llvm.fmuladd.v{kind.count}f{8 * self.item}"
        function = declared(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return [builder.call(function, [*terms, state[0]])]

    def merge(self, builder: Any, one: Vectors, other: Vectors) -> Vectors:
        return [(builder.fadd if self.floats else builder.add)(one[0], other[0])]


class Extreme(Law):
    """The greatest or the smallest; of floats a second vector keeps NaN, which beats everything."""

    def __init__(self, dtype: str, beats: str) -> None:
        super().__init__(dtype)
        self.beats = beats
        self.states = 2 if self.floats else 1

    def start(self, width: int) -> Vectors:
        if self.floats:
            worst = float("-inf" if self.beats == ">" else "inf")
            return [ir.Constant(self.vector(width), [first] * width) for first in (worst, 0.0)]
        bits = 8 * self.item
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if self.signed else (0, 2**bits - 1)
        return [ir.Constant(self.vector(width), [low if self.beats == ">" else high] * width)]

    def better(self, builder: Any, one: Any, other: Any) -> Any:
        if self.floats:
            return builder.fcmp_ordered(self.beats, one, other)
        return (builder.icmp_signed if self.signed else builder.icmp_unsigned)(self.beats, one, other)

    def step(self, builder: Any, state: Vectors, terms: Vectors, place: Any = None) -> Vectors:
        (x,) = terms
        best = builder.select(self.better(builder, x, state[0]), x, state[0])
        return [best, self._kept(builder, x, state[1])] if self.floats else [best]

    def merge(self, builder: Any, one: Vectors, other: Vectors) -> Vectors:
        best = builder.select(self.better(builder, other[0], one[0]), other[0], one[0])
        return [best, self._kept(builder, other[1], one[1])] if self.floats else [best]

    def value(self, builder: Any, state: Vectors) -> Any:
        return self._kept(builder, state[1], state[0]) if self.floats else state[0]

    def _kept(self, builder: Any, x: Any, otherwise: Any) -> Any:
        return builder.select(builder.fcmp_unordered("uno", x, x), x, otherwise)


class Position(Extreme):
    """The place of the first of the greatest or the smallest, or of a NaN."""

    def __init__(self, dtype: str, beats: str) -> None:
        super().__init__(dtype, beats)
        self.states, self.out = 2, WORD.width // 8

    def kinds(self, width: int) -> Vectors:
        return [self.vector(width), ir.VectorType(WORD, width)]

    def start(self, width: int) -> Vectors:
        return [super().start(width)[0], ir.Constant(ir.VectorType(WORD, width), [0] * width)]

    def step(self, builder: Any, state: Vectors, terms: Vectors, place: Any = None) -> Vectors:
        (x,), (best, at) = terms, state
        taken = self.better(builder, x, best)
        if self.floats:
            first = builder.and_(builder.fcmp_unordered("uno", x, x), builder.fcmp_ordered("ord", best, best))
            taken = builder.or_(taken, first)
        return [builder.select(taken, x, best), builder.select(taken, splat(builder, place, at.type), at)]

    def value(self, builder: Any, state: Vectors) -> Any:
        return state[1]


LAWS: dict[str, Callable[[str], Law]] = {
    "sum": Sum, "max": lambda dtype: Extreme(dtype, ">"), "min": lambda dtype: Extreme(dtype, "<"),
    "argmax": lambda dtype: Position(dtype, ">"), "argmin": lambda dtype: Position(dtype, "<"),
}  # fmt: skip
