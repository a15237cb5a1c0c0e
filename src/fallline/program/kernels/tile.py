"""The inner pieces of a matrix product as LLVM vector code: a tile of sums held in registers, and a square transposed.

A tile of `rows` x `vectors` sums stays in registers while k runs; its last vector is masked, so any number of columns
works. Written as vector code because compiled plain loops leave the tile in memory, and run three times slower.
Source of the scheme: Goto & van de Geijn 2008, Anatomy of high-performance matrix multiplication.
"""

from functools import cache
from typing import Any

import llvmlite.ir as ir

from fallline.program.kernels.language import declared, intrinsic, types
from fallline.program.kernels.memory import SCALAR, WORD, splat
from fallline.program.kernels.registers import LANES, REGISTER, WIDE

LINE = 64  # bytes of a cache line
# AVX has masked loads that look at the sign of each lane, and no registers for masks: a mask takes one of the sixteen.
# So there the last vector of a tile is masked only where it has to be.
BY_SIGN = REGISTER == 32
ROWS = (6, 4, 2, 1)
HALF = 3  # rows
GO_ON, ADD = 1, 2  # how a tile treats the values it overwrites
VECTORS = tuple(v for v in (4, 2, 1) if v <= WIDE)


def suffix(dtype: str) -> str:
    """How LLVM names the vector type in its intrinsics."""
    return f"v{LANES[dtype]}f{8 * SCALAR[dtype][2]}"


def first(builder: Any, count: Any, dtype: str) -> Any:
    """A mask with its first `count` lanes set: of the kind that this processor's masked loads take."""
    lanes = LANES[dtype]
    word = ir.VectorType(ir.IntType(8 * SCALAR[dtype][2]), lanes)
    places = ir.Constant(word, list(range(lanes)))
    mask = builder.icmp_signed("<", places, splat(builder, builder.trunc(count, word.element), word))
    return builder.sext(mask, word) if BY_SIGN else mask


def _load_first(builder: Any, dtype: str, pointer: Any, mask: Any) -> Any:
    """The lanes that a mask from `first` sets, the others 0; the others' memory is not touched."""
    item, vector = SCALAR[dtype][2], ir.VectorType(SCALAR[dtype][0], LANES[dtype])
    if BY_SIGN:
        # LLVM makes this of its own masked load too, but turns the mask round again at each.
        name = f"llvm.x86.avx.maskload.{'ps' if item == 4 else 'pd'}.256"
        args = [builder.bitcast(pointer, ir.IntType(8).as_pointer()), mask]
    else:
        name = f"llvm.masked.load.{suffix(dtype)}.p0"
        align, zero = ir.Constant(ir.IntType(32), item), ir.Constant(vector, [0.0] * vector.count)
        args = [pointer, align, mask, zero]
    kind = ir.FunctionType(vector, [arg.type for arg in args])
    return builder.call(declared(builder.module, kind, name), args)


def _store_first(builder: Any, dtype: str, values: list[Any], places: list[Any], count: Any, mask: Any) -> None:
    """Store the first `count` lanes of each value, as `mask` from `first` says too; fewer than all where BY_SIGN."""
    scalar, _, item = SCALAR[dtype]
    if not BY_SIGN:
        name, align = f"llvm.masked.store.{suffix(dtype)}.p0", ir.Constant(ir.IntType(32), item)
        for value, place in zip(values, places, strict=True):
            args = [value, place, align, mask]
            kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
            builder.call(declared(builder.module, kind, name), args)
        return
    # AMD's masked stores take a dozen cycles each. Instead: a half if it is full, then a quarter ...
    size = LANES[dtype] // 2
    places = [builder.ptrtoint(place, WORD) for place in places]
    while size:
        full = builder.icmp_signed("!=", builder.and_(count, ir.Constant(WORD, size)), ir.Constant(WORD, 0))
        before, rest = builder.block, []
        with builder.if_then(full):
            for value, place in zip(values, places, strict=True):
                low = _lanes(builder, value, range(size))
                target = builder.inttoptr(place, ir.VectorType(scalar, size).as_pointer())
                builder.store(low, target, align=item)
                high = [*range(size, value.type.count), *range(size)]
                rest.append((_lanes(builder, value, high), builder.add(place, ir.Constant(WORD, size * item))))
            inside = builder.block
        moved = []
        for value, place, (later, behind) in zip(values, places, rest, strict=True):
            for old, new in ((value, later), (place, behind)):
                either = builder.phi(old.type)
                either.add_incoming(old, before)
                either.add_incoming(new, inside)
                moved.append(either)
        values, places = moved[::2], moved[1::2]
        size //= 2


def _opaque(builder: Any, value: Any) -> Any:
    """The same word, of which the compiler knows no more than its value."""
    return builder.asm(ir.FunctionType(WORD, [WORD]), "", "=r,0", [value], False)


def _prefetch(builder: Any, address: Any) -> None:
    """Ask for the cache line at an address, wherever that is, into the second-level cache."""
    word = ir.IntType(32)
    read, soon, data = ir.Constant(word, 0), ir.Constant(word, 2), ir.Constant(word, 1)
    args = [builder.inttoptr(address, ir.IntType(8).as_pointer()), read, soon, data]
    kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
    builder.call(declared(builder.module, kind, "llvm.prefetch.p0"), args)


def _lanes(builder: Any, value: Any, numbers: Any) -> Any:
    """Some lanes of a vector as another one."""
    numbers = list(numbers)
    picked = ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), picked)


@cache
def tile(dtype: str, rows: int, vectors: int, whole: bool, form: str = "any", packs: bool = False) -> Any:
    """tile(c, ldc, more, row, a, ai, ap, b, ldb, k, last): c[i, j] = sum_p a[i ai + p ap] b[p ldb + j].

    For one tile: i < rows, j over `vectors` registers, of which the last has `last` columns: all, if it is whole.
    more: GO_ON, the sums go on from the values in c; ADD, they are added to it at the end; else neither. row[j] is
    added last where row is an address and not 0.
    Addresses in bytes, strides in elements, k > 0.
    form: a known layout of a: "rows" lie in one piece, ap is 1; "columns" do, ai is 1. Then most addresses are parts of
    instructions and need none of their own, which counts where two threads share a core.
    packs: for a whole tile; instead of `last` an address to which the columns of b are copied meanwhile, one row of
    the tile behind another. Storing waits for nothing, so that costs less than a copy beforehand.
    """
    llvm_scalar, _, item = SCALAR[dtype]
    lanes = LANES[dtype]
    vector = ir.VectorType(llvm_scalar, lanes)

    @intrinsic
    def compute(context: Any, c: Any, ldc: Any, more: Any, row: Any, a: Any, ai: Any, ap: Any, b: Any, ldb: Any, k: Any,
                last: Any) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            c, ldc, more, row, a, ai, ap, b, ldb, k, last = args
            panel = last
            zero, one, none = ir.Constant(vector, [0.0] * lanes), ir.Constant(WORD, 1), ir.Constant(WORD, 0)
            mask = None if whole else first(builder, last, dtype)
            name = f"llvm.fmuladd.{suffix(dtype)}"
            kind = ir.FunctionType(vector, [vector] * 3)
            multiply_add = declared(builder.module, kind, name)

            def size(elements: Any) -> Any:
                return builder.mul(elements, ir.Constant(WORD, item))

            def at(base: Any, step: Any, i: int, v: int = 0) -> Any:
                place = builder.add(base, builder.mul(step, ir.Constant(WORD, i))) if i else base
                place = builder.add(place, ir.Constant(WORD, v * lanes * item)) if v else place
                return builder.inttoptr(place, vector.as_pointer())

            def read(pointer: Any, v: int) -> Any:
                if mask is not None and v == vectors - 1:
                    return _load_first(builder, dtype, pointer, mask)
                return builder.load(pointer, align=item)

            def either(value: Any, inside: Any, other: Any, outside: Any) -> Any:
                phi = builder.phi(vector)
                phi.add_incoming(value, inside)
                phi.add_incoming(other, outside)
                return phi

            ai = one if form == "columns" else ai
            ap = one if form == "rows" else ap
            ldc, ai, ap, ldb = (size(stride) for stride in (ldc, ai, ap, ldb))
            before = builder.block
            with builder.if_then(builder.icmp_signed("==", more, ir.Constant(WORD, GO_ON))):
                held = [read(at(c, ldc, i, v), v) for i in range(rows) for v in range(vectors)]
                inside = builder.block
            begun = [either(value, inside, zero, before) for value in held]

            def term(pa: Any, lower: Any, pb: Any, to: Any, sums: list[Any]) -> list[Any]:
                """The sums with one term more."""
                columns = [read(at(pb, ldb, 0, v), v) for v in range(vectors)]
                if packs:
                    for v, column in enumerate(columns):
                        builder.store(column, at(to, none, 0, v), align=item)
                    # The next tile's columns of this row: by then they have come near.
                    for v in range(1, vectors + 1):
                        if v * REGISTER % LINE == 0:
                            _prefetch(builder, builder.add(pb, ir.Constant(WORD, (vectors + v) * REGISTER - 1)))
                totals = []
                for i in range(rows):
                    base, step = pa if i < HALF else lower, [none, ai, twice][i % HALF]
                    place = builder.inttoptr(builder.add(base, step), llvm_scalar.as_pointer())
                    scalar = builder.load(place, align=item)
                    factor = splat(builder, scalar, vector)
                    for v in range(vectors):
                        totals.append(builder.call(multiply_add, [factor, columns[v], sums[i * vectors + v]]))
                return totals

            def turns(count: Any, terms: int, state: list[Any]) -> list[Any]:
                """So many turns of a loop, each of so many terms.

                state: addresses in a, in its lower half, in b and in the panel; sums.
                """
                entered = builder.block
                loop, done = builder.append_basic_block("k"), builder.append_basic_block("k.end")
                builder.cbranch(builder.icmp_signed(">", count, none), loop, done)
                builder.position_at_end(loop)
                left, *now = [builder.phi(value.type) for value in (count, *state)]
                pa, lower, pb, to, *sums = now
                for _ in range(terms):
                    sums = term(pa, lower, pb, to, sums)
                    pa, lower, pb = builder.add(pa, ap), builder.add(lower, ap), builder.add(pb, ldb)
                    to = builder.add(to, ir.Constant(WORD, vectors * REGISTER))
                after = [builder.sub(left, one), pa, lower, pb, to, *sums]
                for phi, before, value in zip((left, *now), (count, *state), after, strict=True):
                    phi.add_incoming(before, entered)
                    phi.add_incoming(value, loop)
                builder.cbranch(builder.icmp_signed(">", after[0], none), loop, done)
                builder.position_at_end(done)
                ended = [builder.phi(value.type) for value in state]
                for phi, before, value in zip(ended, state, after[1:], strict=True):
                    phi.add_incoming(before, entered)
                    phi.add_incoming(value, loop)
                return ended

            # Left to itself, the compiler computes each address from the one before it: a third of the instructions.
            twice, lower = (builder.mul(ai, ir.Constant(WORD, n)) for n in (2, HALF))
            if form != "columns":
                twice, lower = (_opaque(builder, value) for value in (twice, lower))
            state = [a, builder.add(a, lower), b, panel, *begun]
            if form != "any":
                state = turns(builder.ashr(k, one), 2, state)
                k = builder.and_(k, one)
            totals = turns(k, 1, state)[4:]
            done = builder.block
            with builder.if_then(builder.icmp_signed("==", more, ir.Constant(WORD, ADD))):
                held = [read(at(c, ldc, i, v), v) for i in range(rows) for v in range(vectors)]
                plus = [builder.fadd(there, total) for there, total in zip(held, totals, strict=True)]
                inside = builder.block
            totals = [either(value, inside, other, done) for value, other in zip(plus, totals, strict=True)]
            done = builder.block
            with builder.if_then(builder.icmp_signed("!=", row, none)):
                added = [read(at(row, none, 0, v), v) for v in range(vectors)]
                plus = [builder.fadd(total, added[i % vectors]) for i, total in enumerate(totals)]
                inside = builder.block
            totals = [either(value, inside, other, done) for value, other in zip(plus, totals, strict=True)]
            places = [at(c, ldc, i, v) for i in range(rows) for v in range(vectors)]
            ends = [] if whole else range(vectors - 1, rows * vectors, vectors)
            for i in set(range(rows * vectors)).difference(ends):
                builder.store(totals[i], places[i], align=item)
            if not whole:
                _store_first(builder, dtype, [totals[i] for i in ends], [places[i] for i in ends], last, mask)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 11), codegen

    return compute


@cache
def row_copy(dtype: str, vectors: int) -> Any:
    """row_copy(to, source): so many registers' width of elements, from address to address."""
    llvm_scalar, _, item = SCALAR[dtype]
    lanes = LANES[dtype]
    vector = ir.VectorType(llvm_scalar, lanes)

    @intrinsic
    def copy(context: Any, to: Any, source: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def at(base: Any, v: int) -> Any:
                return builder.inttoptr(builder.add(base, ir.Constant(WORD, v * lanes * item)), vector.as_pointer())

            to, source = args
            values = [builder.load(at(source, v), align=item) for v in range(vectors)]
            for v, value in enumerate(values):
                builder.store(value, at(to, v), align=item)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp), codegen

    return copy


@cache
def transposed_square(dtype: str) -> Any:
    """transposed_square(out, ldo, x, ldx): a square of one register's width, out[j, i] = x[i, j].

    Rows are exchanged in halves, quarters, eighths ...: log2 stages of two-register shuffles.
    """
    llvm_scalar, _, item = SCALAR[dtype]
    lanes = LANES[dtype]
    vector = ir.VectorType(llvm_scalar, lanes)

    @intrinsic
    def transpose(context: Any, out: Any, ldo: Any, x: Any, ldx: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            out, ldo, x, ldx = args

            def row(base: Any, stride: Any, i: int) -> Any:
                offset = builder.mul(stride, ir.Constant(WORD, i * item))
                return builder.inttoptr(builder.add(base, offset), vector.as_pointer())

            def pick(a: Any, b: Any, places: list[int]) -> Any:
                return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), lanes), places))

            rows = [builder.load(row(x, ldx, i), align=item) for i in range(lanes)]
            apart = lanes // 2
            while apart:
                for i in (i for i in range(lanes) if not i & apart):
                    a, b = rows[i], rows[i + apart]
                    # Lanes of b are numbered from `lanes` on.
                    rows[i] = pick(a, b, [j if not j & apart else lanes + j - apart for j in range(lanes)])
                    rows[i + apart] = pick(a, b, [j + apart if not j & apart else lanes + j for j in range(lanes)])
                apart //= 2
            for i in range(lanes):
                builder.store(rows[i], row(out, ldo, i), align=item)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 4), codegen

    return transpose
