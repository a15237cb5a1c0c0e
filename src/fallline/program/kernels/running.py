"""Sums and extremes by running values held in vectors of a fixed width, written as LLVM vector code.

The order of additions follows from the number of terms alone: vectors are as wide on every processor, and LLVM cuts
them to its registers. So a sum has the same bits whatever those are, and its error grows with the logarithm of its
length.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import llvmlite.ir as ir

from fallline.program.kernels.language import intrinsic, njit, types
from fallline.program.kernels.laws import LAWS, Law, Vectors
from fallline.program.kernels.memory import INDEX, SCALAR, WORD
from fallline.program.kernels.registers import DEPTH, REGISTER
from fallline.program.kernels.scalars import EXACT, named

BYTES = 256  # of running values side by side
SHORT = 8  # so many at first where there are fewer than twice as many terms
PART = 32  # vectors that are added up before their sum goes to the wider total


class _Code:
    """Shorthand for writing vector code of a law; addresses and offsets in bytes."""

    def __init__(self, builder: Any, law: Law) -> None:
        self.builder, self.law = builder, law

    def word(self, value: int) -> Any:
        return ir.Constant(WORD, value)

    def load(self, address: Any, width: int) -> Any:
        pointer = self.builder.inttoptr(address, self.law.vector(width).as_pointer())
        return self.builder.load(pointer, align=self.law.item)

    def room(self, width: int) -> Vectors:
        """Places for a state, which become registers."""
        return [self.place(kind) for kind in self.law.kinds(width)]

    def place(self, kind: Any) -> Any:
        """Memory for a value, the same at every turn of a loop."""
        with self.builder.goto_block(self.builder.function.entry_basic_block):
            return self.builder.alloca(kind)

    def counter(self) -> Any:
        """Memory for a word, which is 0 now."""
        made = self.place(WORD)
        self.builder.store(self.word(0), made)
        return made

    @contextmanager
    def turns(self, count: Any) -> Iterator[Any]:
        """A loop of so many turns; the number of the turn."""
        builder, number = self.builder, self.counter()
        head, inside, done = (builder.append_basic_block(name) for name in ("turns", "turn", "turned"))
        builder.branch(head)
        builder.position_at_end(head)
        now = builder.load(number)
        builder.cbranch(builder.icmp_signed("<", now, count), inside, done)
        builder.position_at_end(inside)
        yield now
        builder.store(builder.add(now, self.word(1), flags=("nsw",)), number)
        builder.branch(head)
        builder.position_at_end(done)

    def put(self, room: Vectors, state: Vectors) -> None:
        for place, value in zip(room, state, strict=True):
            self.builder.store(value, place)

    def get(self, room: Vectors) -> Vectors:
        return [self.builder.load(place) for place in room]

    def halves(self, state: Vectors) -> tuple[Vectors, Vectors]:
        """A state as two of half the width."""
        half = state[0].type.count // 2

        def picked(value: Any, first: int) -> Any:
            lanes = ir.Constant(ir.VectorType(INDEX, half), list(range(first, first + half)))
            return self.builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), lanes)

        return [picked(v, 0) for v in state], [picked(v, half) for v in state]


@cache
def along(fold: str, dtype: str, inputs: int = 1) -> Any:
    """along(a, b, n): the fold of n elements that lie side by side at a, or of their products with those at b.

    Term i goes to lane i mod w of w running values, which are folded in halves; terms that do not fill w lanes come in
    where there are as many halves as lanes that they fill: 32 of them, 16, 8 ...
    """
    law = LAWS[fold](dtype)
    lanes = BYTES // law.item

    @intrinsic
    def compute(context: Any, a: Any, b: Any, n: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            code = _Code(builder, law)
            *addresses, n = (args[0], args[1], args[2]) if inputs == 2 else (args[0], args[2])
            at = code.counter()

            def take(room: Vectors, width: int) -> None:
                place = builder.load(at)
                terms = [code.load(builder.add(address, place), width) for address in addresses]
                code.put(room, law.step(builder, code.get(room), terms))
                builder.store(builder.add(place, code.word(width * law.item)), at)

            def rest(room: Vectors, width: int) -> None:
                """Terms that fill this width, if there are; then half of it, down to one lane."""
                filled = builder.and_(n, code.word(width))
                with builder.if_then(builder.icmp_signed("!=", filled, code.word(0))):
                    take(room, width)

            narrow = code.room(SHORT)
            code.put(narrow, law.start(SHORT))
            with builder.if_then(builder.icmp_signed(">=", n, code.word(2 * SHORT)), likely=True):
                room, width = code.room(lanes), lanes
                code.put(room, law.start(lanes))
                with code.turns(builder.sdiv(n, code.word(lanes))):
                    take(room, lanes)
                while width > SHORT:
                    if width < lanes:
                        rest(room, width)
                    smaller = code.room(width // 2) if width > 2 * SHORT else narrow
                    code.put(smaller, law.merge(builder, *code.halves(code.get(room))))
                    room, width = smaller, width // 2
            room, width = narrow, SHORT
            while True:
                rest(room, width)
                if width == 1:
                    break
                smaller = code.room(width // 2)
                code.put(smaller, law.merge(builder, *code.halves(code.get(room))))
                room, width = smaller, width // 2
            value = law.value(builder, code.get(room))
            return builder.extract_element(value, ir.Constant(INDEX, 0))

        return law.numba(types.intp, types.intp, types.intp), codegen

    return compute


@cache
def total(dtype: str, inputs: int = 1) -> Any:
    """total(a, b, n): the sum of n floats at a, or of their products with those at b, by parts of a fixed length.

    The parts' sums are added in float64; those of float64 together with the rounding error of each addition (Knuth's
    TwoSum).
    """
    part, item = along("sum", dtype, inputs), SCALAR[dtype][2]
    most = PART * BYTES // item

    @njit(fastmath=EXACT["fastmath"])
    @named(dtype, inputs)
    def parts(a, b, n):
        wide, lost = 0.0, 0.0
        for low in range(0, n, most):
            term = float(part(a + low * item, b + low * item, min(most, n - low)))
            added = wide + term
            back = added - wide
            lost += (wide - (added - back)) + (term - back)
            wide = added
        exact = wide + lost
        return exact if exact == exact else wide  # from infinity on, nothing but NaN is rounded off

    @njit(inline="always")
    def added(a, b, n):
        if n <= most:
            return float(part(a, b, n))
        return parts(a, b, n)

    return added


@cache
def across(fold: str, dtype: str, width: int) -> Any:
    """across(out, x, apart, n, step): the folds of columns: n rows of `width` columns at x, `step` bytes from one to
    the next, and as many from column `apart` on at the same time.

    Each column is folded from its first element to its last, sums by parts of DEPTH terms.
    """
    law = LAWS[fold](dtype)

    @intrinsic
    def compute(context: Any, out: Any, x: Any, apart: Any, n: Any, step: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            code = _Code(builder, law)
            out, x, apart, n, step = args
            sides = (code.word(0), apart)
            places = [builder.add(x, builder.mul(side, code.word(law.item))) for side in sides]
            rooms = [code.room(width) for _ in sides]
            at = code.counter()

            def fold_rows(count: Any) -> None:
                for room in rooms:
                    code.put(room, law.start(width))
                with code.turns(count) as turn:
                    below = builder.load(at)
                    for room, place in zip(rooms, places, strict=True):
                        term = code.load(builder.add(place, below), width)
                        code.put(room, law.step(builder, code.get(room), [term], turn))
                    builder.store(builder.add(below, step), at)

            if fold == "sum":
                totals = [code.room(width) for _ in sides]
                for whole in totals:
                    code.put(whole, law.start(width))
                depth = code.word(DEPTH)
                with code.turns(builder.sdiv(builder.add(n, code.word(DEPTH - 1)), depth)) as part:
                    left = builder.sub(n, builder.mul(part, depth))
                    fold_rows(builder.select(builder.icmp_signed("<", left, depth), left, depth))
                    for whole, room in zip(totals, rooms, strict=True):
                        code.put(whole, law.merge(builder, code.get(whole), code.get(room)))
            else:
                fold_rows(n)
                totals = rooms
            for room, side in zip(totals, sides, strict=True):
                value = law.value(builder, code.get(room))
                into = builder.add(out, builder.mul(side, code.word(law.out)))
                builder.store(value, builder.inttoptr(into, value.type.as_pointer()), align=law.out)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 5), codegen

    return compute


def broadest(fold: str, dtype: str) -> int:
    """Columns that `across` folds at once, twice side by side: as many as the registers of this processor hold."""
    law = LAWS[fold](dtype)
    most = 4 * REGISTER // (law.states * max(law.item, law.out))
    return max(4, most)
