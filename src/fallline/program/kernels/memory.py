"""Reading and writing raw memory from compiled code: typed pointers, words of an argument row, calls by address."""

from typing import Any

import llvmlite.ir as ir

from fallline.program.kernels.elementwise import DTYPES
from fallline.program.kernels.language import intrinsic, types

WORD, BYTE, INDEX = ir.IntType(64), ir.IntType(8), ir.IntType(32)
# A dtype in memory: for LLVM, for Numba, and bytes of an element.
SCALAR: dict[str, tuple[Any, Any, int]] = {
    name: (ir.IntType(8 * size), types.uint8 if name == "bool" else getattr(types, name), size)
    for name, size in DTYPES.items()
} | {"float32": (ir.FloatType(), types.float32, 4), "float64": (ir.DoubleType(), types.float64, 8)}


def splat(builder: Any, scalar: Any, vector: Any) -> Any:
    """The scalar in every lane of a vector of this type."""
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(INDEX, 0))
    lanes = ir.VectorType(INDEX, vector.count)
    return builder.shuffle_vector(first, empty, ir.Constant(lanes, [0] * vector.count))


def pointer_to(dtype: str) -> Any:
    """A function from an address to a pointer of this dtype, which can be indexed."""
    llvm_type, numba_type, _ = SCALAR[dtype]

    @intrinsic
    def pointer(typing_context: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], llvm_type.as_pointer())

        return types.CPointer(numba_type)(types.intp), codegen

    return pointer


word_pointer = pointer_to("int64")


def _scopes(builder: Any, names: list[str]) -> Any:
    """Alias scopes: accesses marked with different ones are promised to be apart."""
    module = builder.module
    domain = module.add_metadata([ir.MetaDataString(module, "fallline")])
    return module.add_metadata([module.add_metadata([ir.MetaDataString(module, name), domain]) for name in names])


def loader(dtype: str, outputs: int) -> Any:
    """load(address, i): an element of an input that no output overlaps, except at the very element being computed."""
    llvm_type, numba_type, _ = SCALAR[dtype]
    others = [f"out{i}" for i in range(outputs)]

    @intrinsic
    def load(typing_context: Any, address: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.gep(builder.inttoptr(args[0], llvm_type.as_pointer()), [args[1]])
            value = builder.load(pointer)
            value.set_metadata("alias.scope", _scopes(builder, ["in"]))
            value.set_metadata("noalias", _scopes(builder, others))
            return value

        return numba_type(types.intp, types.intp), codegen

    return load


def storer(dtype: str, number: int, outputs: int) -> Any:
    """store(address, i, value): an element of output `number`, apart from every other operand."""
    llvm_type, numba_type, _ = SCALAR[dtype]
    others = ["in", *(f"out{i}" for i in range(outputs) if i != number)]

    @intrinsic
    def store(typing_context: Any, address: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.gep(builder.inttoptr(args[0], llvm_type.as_pointer()), [args[1]])
            done = builder.store(args[2], pointer)
            done.set_metadata("alias.scope", _scopes(builder, [f"out{number}"]))
            done.set_metadata("noalias", _scopes(builder, others))
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, numba_type), codegen

    return store


@intrinsic
def call_kernel(typing_context: Any, address: Any, operands: Any) -> Any:
    """Call the kernel at an address with the address of its arguments."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kernel_type = ir.FunctionType(ir.VoidType(), [WORD])
        builder.call(builder.inttoptr(args[0], kernel_type.as_pointer()), [args[1]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def add_atomic(typing_context: Any, address: Any, value: Any) -> Any:
    """Add to a word that other threads use too; returns its value before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(args[0], WORD.as_pointer()), args[1], "seq_cst")

    return types.int64(types.intp, types.int64), codegen


@intrinsic
def load_atomic(typing_context: Any, address: Any) -> Any:
    """Read a word that other threads write."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(args[0], WORD.as_pointer()), "seq_cst", 8)

    return types.int64(types.intp), codegen


@intrinsic
def store_atomic(typing_context: Any, address: Any, value: Any) -> Any:
    """Write a word that other threads read."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], builder.inttoptr(args[0], WORD.as_pointer()), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), codegen
