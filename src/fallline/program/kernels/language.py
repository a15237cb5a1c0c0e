"""The language that kernels are written in: a part of Python, with types, flags and pieces of LLVM code of its own.

The words are Numba's (njit, cfunc, intrinsic, types), and mean what they mean there, so that what our own translation
(translate.py) does not know is left to Numba (with_numba.py). Knows neither Numba nor LLVM.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Type:
    """A kind of value; `pointee` is the kind that a pointer points to. Called with the types of arguments, a
    signature.
    """

    name: str
    pointee: str = ""

    def __call__(self, *arguments: "Type") -> "Signature":
        return Signature(self, arguments)


@dataclass(frozen=True, slots=True)
class Signature:
    result: Type
    arguments: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class ExternalFunction:
    """A function of the C library."""

    name: str
    signature: Signature


class types:
    """The types by name."""

    void = Type("void")
    float32, float64 = Type("float32"), Type("float64")
    int64, int32, int16, int8 = Type("int64"), Type("int32"), Type("int16"), Type("int8")
    uint64, uint32, uint16, uint8 = Type("uint64"), Type("uint32"), Type("uint16"), Type("uint8")
    intp = int64
    ExternalFunction = ExternalFunction

    @staticmethod
    def CPointer(to: Type) -> Type:
        return Type("pointer", to.name)


@dataclass(frozen=True, slots=True, eq=False)
class Intrinsic:
    """A piece of LLVM code. `describe(context, *types)` returns its signature, and the function that writes the
    code.
    """

    describe: Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function that kernels call: merged into its caller, with the caller's flags, or standing on its own."""

    plain: Callable[..., Any]
    options: dict[str, Any]

    @property
    def is_merged(self) -> bool:
        return bool(self.options.get("inline") == "always" or self.options.get("forceinline"))


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A function that is called from outside, by its address."""

    plain: Callable[..., Any]
    signature: Signature
    options: dict[str, Any]


intrinsic = Intrinsic


def njit(**options: Any) -> Callable[[Callable[..., Any]], Function]:
    """Let kernels call a function. fastmath: flags of its arithmetic; inline="always": with the caller's flags."""
    return lambda function: Function(function, options)


def cfunc(signature: Signature, **options: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a kernel of a function."""
    return lambda function: Kernel(function, signature, options)


def declared(module: Any, kind: Any, name: str) -> Any:
    """The function of this name in an LLVM module, declared where it is not there yet."""
    import llvmlite.ir as ir

    known = module.globals.get(name)
    return ir.Function(module, kind, name) if known is None else known
