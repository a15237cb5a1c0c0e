"""Arithmetic of kernels as LLVM code: types of results, casts, operators, and NumPy's functions on one number.

Types follow Numba's rules: whole numbers are computed in 64 bits, a float32 with a whole number is a float64.
"""

import ast
import math
from dataclasses import dataclass
from typing import Any

import llvmlite.ir as ir
import numpy as np

from fallline.program.kernels.language import Type, declared
from fallline.program.kernels.parse import NotTranslated

LLVM = {
    "float32": ir.FloatType(), "float64": ir.DoubleType(), "int64": ir.IntType(64), "uint64": ir.IntType(64),
    "int32": ir.IntType(32), "uint32": ir.IntType(32), "int16": ir.IntType(16), "uint16": ir.IntType(16),
    "int8": ir.IntType(8), "uint8": ir.IntType(8), "bool": ir.IntType(1), "void": ir.VoidType(),
}  # fmt: skip
CASTS: dict[Any, str] = {
    np.float32: "float32", np.float64: "float64", np.int64: "int64", np.int32: "int32", np.int16: "int16",
    np.int8: "int8", np.uint64: "uint64", np.uint32: "uint32", np.uint16: "uint16", np.uint8: "uint8",
    np.bool_: "bool", bool: "bool", float: "float64", int: "int64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """A number in a kernel, or where one lies: a type's name, with a star in front for a pointer to it."""

    type: str
    code: Any


def type_name(type_: Type) -> str:
    return "*" + type_.pointee if type_.pointee else type_.name


def llvm_type(name: str) -> Any:
    return llvm_type(name[1:]).as_pointer() if name[0] == "*" else LLVM[name]


def is_float(name: str) -> bool:
    return name.startswith("float")


def is_whole(name: str) -> bool:
    return "int" in name and name[0] != "*"


def literal(number: Any) -> Value:
    """A number that is known now. Errors: NotTranslated for other values."""
    if isinstance(number, bool | np.bool_):
        return Value("bool", ir.Constant(LLVM["bool"], int(number)))
    if isinstance(number, np.generic):
        name = CASTS.get(type(number))
        if name is None:
            raise NotTranslated(f"a number of {type(number)}")
        return Value(name, ir.Constant(LLVM[name], number.item()))
    if isinstance(number, int) and -(2**63) <= number < 2**64:
        name = "int64" if number < 2**63 else "uint64"
        return Value(name, ir.Constant(LLVM[name], number))
    if isinstance(number, float):
        return Value("float64", ir.Constant(LLVM["float64"], number))
    raise NotTranslated(f"{number!r:.60} in a kernel")


def cast(builder: Any, value: Value, to: str) -> Value:
    """The number as another type."""
    name, code = value.type, value.code
    if name == to:
        return value
    if name[0] == "*" or to[0] == "*" or "void" in (name, to):
        raise NotTranslated(f"{name} as {to}")
    kind, known = LLVM[to], isinstance(code, ir.Constant)
    if to == "bool":
        return truth(builder, value)
    if is_float(name):
        if is_whole(to):
            if to.startswith("u"):
                raise NotTranslated(f"{name} as {to}")
            return Value(to, builder.fptosi(code, kind))
        if known:
            with np.errstate(over="ignore"):
                return Value(to, ir.Constant(kind, float(CASTED[to](code.constant))))
        return Value(to, builder.fpext(code, kind) if to == "float64" else builder.fptrunc(code, kind))
    signed = not name.startswith("u") and name != "bool"
    if is_float(to):
        if known and abs(code.constant) < 2**24:
            return Value(to, ir.Constant(kind, float(code.constant)))
        return Value(to, builder.sitofp(code, kind) if signed else builder.uitofp(code, kind))
    before, after = LLVM[name].width, kind.width
    if known and 0 <= code.constant < 2 ** (after - 1):
        return Value(to, ir.Constant(kind, int(code.constant)))
    if before == after:
        return Value(to, code)
    if before > after:
        return Value(to, builder.trunc(code, kind))
    return Value(to, builder.sext(code, kind) if signed else builder.zext(code, kind))


CASTED: dict[str, Any] = {"float32": np.float32, "float64": np.float64}


def truth(builder: Any, value: Value) -> Value:
    """Whether a number is other than 0."""
    if value.type == "bool":
        return value
    zero = ir.Constant(llvm_type(value.type), 0)
    if is_float(value.type):
        return Value("bool", builder.fcmp_unordered("!=", value.code, zero))
    return Value("bool", builder.icmp_signed("!=", value.code, zero))


def common_whole(a: str, b: str) -> str:
    """The type that whole numbers of two types are computed in."""
    found = {"uint64" if name.startswith("u") else "int64" for name in (a, b)}
    if found == {"int64", "uint64"} and "uint64" in (a, b):
        raise NotTranslated("a signed and an unsigned number of 64 bits")
    return "int64" if "int64" in found else "uint64"


def common(a: str, b: str) -> str:
    """The type that two numbers are computed in."""
    if "*" in a + b or "void" in (a, b):
        raise NotTranslated(f"{a} with {b}")
    if is_float(a) or is_float(b):
        return "float32" if a == b == "float32" else "float64"
    return common_whole(a, b)


FLOAT = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
WHOLE: dict[type, str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
BITS: dict[type, str] = {ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor"}


def binary(builder: Any, operator: type, a: Value, b: Value, flags: Any) -> Value:
    """a operator b."""
    if operator in BITS and a.type == b.type == "bool":
        return Value("bool", getattr(builder, BITS[operator])(a.code, b.code))
    if operator in (ast.LShift, ast.RShift):
        return _shifted(builder, operator, a, b)
    name = "float64" if operator is ast.Div and "float" not in a.type + b.type else common(a.type, b.type)
    x, y = cast(builder, a, name).code, cast(builder, b, name).code
    if is_float(name):
        if operator not in FLOAT:
            raise NotTranslated(f"{operator.__name__} of floats")
        return Value(name, getattr(builder, FLOAT[operator])(x, y, flags=flags))
    if operator in (ast.FloorDiv, ast.Mod):
        return _divided(builder, operator, name, x, y)
    method = {**WHOLE, **BITS}.get(operator)
    if method is None:
        raise NotTranslated(f"{operator.__name__} of whole numbers")
    return Value(name, getattr(builder, method)(x, y))


def _shifted(builder: Any, operator: type, a: Value, b: Value) -> Value:
    if is_float(a.type + b.type) or "*" in a.type + b.type:
        raise NotTranslated(f"a shift of {a.type}")
    name = "uint64" if a.type.startswith("u") else "int64"
    x, y = cast(builder, a, name).code, cast(builder, b, "int64").code
    if operator is ast.LShift:
        return Value(name, builder.shl(x, y))
    return Value(name, builder.lshr(x, y) if name == "uint64" else builder.ashr(x, y))


def _divided(builder: Any, operator: type, name: str, x: Any, y: Any) -> Value:
    """Rounded towards minus infinity, as Python does; 0 where the divisor is."""
    zero, one = ir.Constant(LLVM[name], 0), ir.Constant(LLVM[name], 1)
    known = isinstance(y, ir.Constant) and y.constant > 0
    is_zero = builder.icmp_signed("==", y, zero)
    divisor = y if known else builder.select(is_zero, one, y)
    if name == "uint64":
        result = builder.udiv(x, divisor) if operator is ast.FloorDiv else builder.urem(x, divisor)
    else:
        rest = builder.srem(x, divisor)
        apart = builder.icmp_signed("<", builder.xor(rest, divisor), zero)
        off = builder.and_(builder.icmp_signed("!=", rest, zero), apart)
        if operator is ast.Mod:
            result = builder.select(off, builder.add(rest, divisor), rest)
        else:
            quotient = builder.sdiv(x, divisor)
            result = builder.select(off, builder.sub(quotient, one), quotient)
    return Value(name, result if known else builder.select(is_zero, zero, result))


COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def compared(builder: Any, operator: type, a: Value, b: Value, flags: Any) -> Value:
    """a operator b, a bool."""
    if operator not in COMPARED:
        raise NotTranslated(f"the comparison {operator.__name__}")
    sign = COMPARED[operator]
    if a.type == b.type == "bool" and sign in ("==", "!="):
        return Value("bool", builder.icmp_signed(sign, a.code, b.code))
    name = common(a.type, b.type)
    x, y = cast(builder, a, name).code, cast(builder, b, name).code
    if is_float(name):
        compare = builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered
        return Value("bool", compare(sign, x, y, flags=flags))
    compare = builder.icmp_unsigned if name == "uint64" else builder.icmp_signed
    return Value("bool", compare(sign, x, y))


def negated(builder: Any, value: Value, flags: Any) -> Value:
    if is_float(value.type):
        return Value(value.type, builder.fsub(ir.Constant(LLVM[value.type], -0.0), value.code, flags=flags))
    return binary(builder, ast.Sub, Value("int64", ir.Constant(LLVM["int64"], 0)), value, flags)


def bits(value: Value, to: str, builder: Any) -> Value:
    """The same bits as a number of another type."""
    if LLVM[value.type] == LLVM[to]:
        return Value(to, value.code)
    if value.type == "bool" or to == "bool" or _width(value.type) != _width(to):
        raise NotTranslated(f"{value.type} seen as {to}")
    return Value(to, builder.bitcast(value.code, LLVM[to]))


def _width(name: str) -> int:
    return int(name.lstrip("uintfloa"))


# Functions that LLVM knows by itself, and calls of the C library: their names in double precision.
LLVMS: dict[Any, str] = {
    np.sqrt: "sqrt", math.sqrt: "sqrt", np.floor: "floor", np.ceil: "ceil", np.trunc: "trunc", np.rint: "rint",
    np.abs: "fabs", np.fabs: "fabs", abs: "fabs", math.fabs: "fabs", np.exp: "exp", math.exp: "exp", np.log: "log",
    math.log: "log", np.sin: "sin", math.sin: "sin", np.cos: "cos", math.cos: "cos", np.power: "pow",
    math.copysign: "copysign", np.copysign: "copysign",
}  # fmt: skip
LIBRARYS: dict[Any, str] = {
    np.tan: "tan", math.tan: "tan", np.sinh: "sinh", math.sinh: "sinh", np.cosh: "cosh", math.cosh: "cosh",
    np.tanh: "tanh", math.tanh: "tanh", np.arctan: "atan", math.atan: "atan", np.arctan2: "atan2",
    math.atan2: "atan2", np.expm1: "expm1", math.expm1: "expm1", np.log1p: "log1p", math.log1p: "log1p",
    math.erf: "erf", math.erfc: "erfc", np.arcsin: "asin", np.arccos: "acos", np.log2: "log2", np.log10: "log10",
    np.fmod: "fmod",
}  # fmt: skip


def function(builder: Any, known: Any, args: list[Value], flags: Any) -> Value:
    """A function of Python's, NumPy's or the C library's on numbers."""
    if known in (min, max) and len(args) > 1:
        return _extreme(builder, "<" if known is min else ">", args)
    if known in (np.isnan, np.isfinite, np.isinf, math.isnan) and len(args) == 1 and is_float(args[0].type):
        return _classified(builder, known, args[0])
    if known in (np.logical_and, np.logical_or) and len(args) == 2:
        a, b = (truth(builder, arg).code for arg in args)
        return Value("bool", builder.and_(a, b) if known is np.logical_and else builder.or_(a, b))
    if known is np.logical_not and len(args) == 1:
        return Value("bool", builder.not_(truth(builder, args[0]).code))
    if known is np.divide and len(args) == 2:
        return binary(builder, ast.Div, args[0], args[1], flags)
    if known in (abs, np.abs) and len(args) == 1 and is_whole(args[0].type):
        below = compared(builder, ast.Lt, args[0], literal(0), ())
        other = cast(builder, negated(builder, args[0], ()), args[0].type)
        return Value(args[0].type, builder.select(below.code, other.code, args[0].code))
    if known in LLVMS or known in LIBRARYS:
        return _called(builder, known, args, flags)
    raise NotTranslated(f"the function {getattr(known, '__name__', known)}")


def _called(builder: Any, known: Any, args: list[Value], flags: Any) -> Value:
    name = args[0].type if args else "nothing"
    if not is_float(name) or any(arg.type != name for arg in args):
        raise NotTranslated(f"{known.__name__} of {[arg.type for arg in args]}")
    kind = ir.FunctionType(LLVM[name], [LLVM[name]] * len(args))
    if known in LLVMS:
        symbol = f"llvm.{LLVMS[known]}.f{_width(name)}"
    else:
        symbol = LIBRARYS[known] + ("f" if name == "float32" else "")
    called = declared(builder.module, kind, symbol)
    return Value(name, builder.call(called, [arg.code for arg in args], fastmath=flags))


def _extreme(builder: Any, sign: str, args: list[Value]) -> Value:
    if not all(is_whole(arg.type) for arg in args):
        raise NotTranslated("min or max of other than whole numbers")
    best = args[0]
    for arg in args[1:]:
        name = common_whole(best.type, arg.type)
        x, y = cast(builder, best, name).code, cast(builder, arg, name).code
        compare = builder.icmp_unsigned if name == "uint64" else builder.icmp_signed
        best = Value(name, builder.select(compare(sign, y, x), y, x))
    return best


def _classified(builder: Any, known: Any, value: Value) -> Value:
    if known in (np.isnan, math.isnan):
        return Value("bool", builder.fcmp_unordered("uno", value.code, value.code))
    size = _called(builder, np.abs, [value], ()).code
    infinity = ir.Constant(LLVM[value.type], math.inf)
    sign = "==" if known is np.isinf else "<"
    return Value("bool", builder.fcmp_ordered(sign, size, infinity))
