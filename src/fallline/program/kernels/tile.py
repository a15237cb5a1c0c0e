"""The inner pieces of a matrix product as LLVM vector code: a tile of sums held in registers, and a square transposed.

A tile of `rows` x `vectors` sums stays in registers while k runs; its last vector is masked, so any number of columns
works. Written as vector code because compiled plain loops leave the tile in memory, and run three times slower.
Source of the scheme: Goto & van de Geijn 2008, Anatomy of high-performance matrix multiplication.
"""

from functools import cache
from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WORD = ir.IntType(64)
SCALAR = {"float32": (ir.FloatType(), types.float32, 4), "float64": (ir.DoubleType(), types.float64, 8)}


def _registers() -> tuple[int, int]:
    """Bytes in a vector register of this processor, and how many of them stand side by side in a tile."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 4  # 6 x 4 sums, 4 columns and a factor: 29 of 32 registers
    return (32, 2) if features.get("avx2") else (16, 4)  # 6 x 2 of 16 registers; 6 x 4 of 32 (Arm)


REGISTER, WIDE = _registers()
LANES = {"float32": REGISTER // 4, "float64": REGISTER // 8}
ROWS = (6, 4, 2, 1)
VECTORS = tuple(v for v in (4, 2, 1) if v <= WIDE)


def suffix(dtype: str) -> str:
    """How LLVM names the vector type in its intrinsics."""
    return f"v{LANES[dtype]}f{8 * SCALAR[dtype][2]}"


def _masked(builder: Any, what: str, vector: Any, dtype: str, args: list[Any]) -> Any:
    """llvm.masked.load or .store; elements behind the mask are not touched."""
    lanes = LANES[dtype]
    name = f"llvm.masked.{what}.{suffix(dtype)}.p0"
    mask = ir.VectorType(ir.IntType(1), lanes)
    pointer, i32 = vector.as_pointer(), ir.IntType(32)
    kind = (
        ir.FunctionType(vector, [pointer, i32, mask, vector])
        if what == "load"
        else ir.FunctionType(ir.VoidType(), [vector, pointer, i32, mask])
    )
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


@cache
def tile(dtype: str, rows: int, vectors: int) -> Any:
    """tile(c, ldc, a, ai, ap, b, ldb, k, last, more): c[i, j] = sum_p a[i ai + p ap] b[p ldb + j] for one tile.

    Addresses in bytes, strides in elements; `last` is the number of columns in the last vector; with `more` the sums
    start from what c holds.
    """
    llvm_scalar, _, item = SCALAR[dtype]
    lanes = LANES[dtype]
    vector = ir.VectorType(llvm_scalar, lanes)

    @intrinsic
    def compute(context: Any, c: Any, ldc: Any, a: Any, ai: Any, ap: Any, b: Any, ldb: Any, k: Any, last: Any,
                more: Any) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            c, ldc, a, ai, ap, b, ldb, k, last, more = args
            zero = ir.Constant(vector, [0.0] * lanes)
            places = ir.Constant(ir.VectorType(WORD, lanes), list(range(lanes)))
            mask = builder.icmp_signed("<", places, splat(builder, last, ir.VectorType(WORD, lanes)))
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(rows)]
            align = ir.Constant(ir.IntType(32), item)
            multiply_add = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.{suffix(dtype)}"
            )

            def at(base: Any, element: Any) -> Any:
                address = builder.add(base, builder.mul(element, ir.Constant(WORD, item)))
                return builder.inttoptr(address, vector.as_pointer())

            def column(v: int) -> Any:
                return ir.Constant(WORD, v * lanes)

            def held(i: int, v: int) -> Any:
                return at(c, builder.add(builder.mul(ldc, ir.Constant(WORD, i)), column(v)))

            def read(pointer: Any, v: int) -> Any:
                if v == vectors - 1:
                    return _masked(builder, "load", vector, dtype, [pointer, align, mask, zero])
                return builder.load(pointer, align=item)

            with builder.if_then(builder.icmp_signed("!=", more, ir.Constant(WORD, 0))):
                for i in range(rows):
                    for v in range(vectors):
                        builder.store(read(held(i, v), v), sums[i][v])
            with cgutils.for_range(builder, k, intp=WORD) as loop:
                p = loop.index
                start = builder.mul(p, ldb)
                columns = [read(at(b, builder.add(start, column(v))), v) for v in range(vectors)]
                for i in range(rows):
                    element = builder.add(builder.mul(p, ap), builder.mul(ai, ir.Constant(WORD, i)))
                    scalar = builder.load(builder.bitcast(at(a, element), llvm_scalar.as_pointer()), align=item)
                    factor = splat(builder, scalar, vector)
                    for v in range(vectors):
                        total = builder.load(sums[i][v])
                        builder.store(builder.call(multiply_add, [factor, columns[v], total]), sums[i][v])
            for i in range(rows):
                for v in range(vectors):
                    total = builder.load(sums[i][v])
                    if v == vectors - 1:
                        _masked(builder, "store", vector, dtype, [total, held(i, v), align, mask])
                    else:
                        builder.store(total, held(i, v), align=item)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 10), codegen

    return compute


def splat(builder: Any, scalar: Any, vector: Any) -> Any:
    """The scalar in every lane."""
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
    lanes = ir.VectorType(ir.IntType(32), vector.count)
    return builder.shuffle_vector(first, empty, ir.Constant(lanes, [0] * vector.count))


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
