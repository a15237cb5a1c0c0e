"""Expressions of a kernel as LLVM code, and the variables they read: the half of translate.py that makes values."""

import ast
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import llvmlite.ir as ir

from fallline.program.kernels import llvm_arithmetic as arithmetic
from fallline.program.kernels.language import ExternalFunction, Function, Intrinsic, Type, declared
from fallline.program.kernels.llvm_arithmetic import CASTS, LLVM, Value, cast, literal, llvm_type, truth, type_name
from fallline.program.kernels.parse import NotTranslated, definition


class Wider(Exception):
    """A variable turned out to hold larger whole numbers than was known."""


class _Context:
    """The context that intrinsics are given, of which they need one thing."""

    @staticmethod
    def get_dummy_value() -> None:
        return None


CONTEXT = _Context()


@dataclass(eq=False)
class Frame:
    """A function in the making: the values of its names, and where `return`, `break` and `continue` go."""

    names: dict[str, Any]
    place: Any  # the key of its variables' types
    flags: tuple[str, ...]
    depth: int
    rounds: bool = False  # a product that is returned is rounded
    variables: dict[str, Value] = field(default_factory=dict)  # pointers
    returns: Any = None  # the block after it
    result: Value | tuple[Value, ...] | None = None  # a pointer, or one for each element of a tuple
    loops: list[tuple[Any, Any]] = field(default_factory=list)


class Expressions:
    """The part that all functions of a module share; `merged` and `standing` are the other half's."""

    module: Any
    builder: Any  # at the end of the code so far
    entry: Any  # the block where a function's variables are
    widened: dict[Any, str]  # variables that hold larger whole numbers than their first value

    def merged(self, plain: Any, tree: Any, args: list[Value], flags: Any, depth: int, rounds: bool = False) -> Any:
        raise NotImplementedError

    def standing(self, called: Function, tree: Any, kinds: list[str]) -> tuple[Any, str]:
        raise NotImplementedError

    def memory(self, kind: str) -> Value:
        """Memory for a number, the same at every turn of a loop."""
        with self.builder.goto_block(self.entry):
            return Value("*" + kind, self.builder.alloca(llvm_type(kind)))

    def loaded(self, pointer: Value) -> Value:
        return Value(pointer.type[1:], self.builder.load(pointer.code))

    def stored(self, frame: Frame, name: str, into: Value | None, value: Value) -> Value:
        """The memory that now holds a value; made where there is none yet. Whole numbers may turn out wider."""
        key = frame.place, name
        wide = self.widened.get(key, value.type)
        if into is None:
            into = self.memory(wide)
        kind = into.type[1:]
        if value.type != kind:
            if not all(arithmetic.is_whole(one) for one in (value.type, kind)):
                raise NotTranslated(f"{name} is {kind}, then {value.type}")
            both = arithmetic.common_whole(kind, value.type)
            if both != kind:
                self.widened[key] = both
                raise Wider
        self.builder.store(cast(self.builder, value, kind).code, into.code)
        return into

    def set_variable(self, frame: Frame, name: str, value: Any) -> None:
        frame.variables[name] = self.stored(frame, name, frame.variables.get(name), number_of(value))

    def assign(self, frame: Frame, target: Any, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.set_variable(frame, target.id, value)
        elif isinstance(target, ast.Subscript):
            pointer = self.element(frame, target)
            self.builder.store(cast(self.builder, number_of(value), pointer.type[1:]).code, pointer.code)
        else:
            raise NotTranslated("an assignment to other than a name or an element")

    def element(self, frame: Frame, node: Any) -> Value:
        base, index = self.value(frame, node.value), number_of(self.value(frame, node.slice))
        if not isinstance(base, Value) or base.type[0] != "*" or not arithmetic.is_whole(index.type):
            raise NotTranslated("an index into other than a pointer")
        return Value(base.type, self.builder.gep(base.code, [cast(self.builder, index, "int64").code]))

    def value(self, frame: Frame, node: Any) -> Any:
        """A Value, or something that is known now: a function, a type, a module, a number."""
        of: Callable[[Frame, Any], Any] | None = getattr(self, f"of_{type(node).__name__.lower()}", None)
        if of is None:
            raise NotTranslated(f"an expression {type(node).__name__}")
        return of(frame, node)

    def of_constant(self, frame: Frame, node: Any) -> Any:
        return node.value

    def of_tuple(self, frame: Frame, node: Any) -> Any:
        return tuple([self.value(frame, element) for element in node.elts])

    def of_name(self, frame: Frame, node: Any) -> Any:
        if node.id in frame.variables:
            pointer = frame.variables[node.id]
            return self.loaded(pointer)
        if node.id in frame.names:
            return frame.names[node.id]
        builtins = frame.names["__builtins__"]
        known = builtins if isinstance(builtins, dict) else vars(builtins)
        if node.id not in known:
            raise NotTranslated(f"the name {node.id}")
        return known[node.id]

    def of_attribute(self, frame: Frame, node: Any) -> Any:
        owner = self.value(frame, node.value)
        if isinstance(owner, ModuleType) and hasattr(owner, node.attr):
            return getattr(owner, node.attr)
        raise NotTranslated(f"the attribute {node.attr}")

    def of_subscript(self, frame: Frame, node: Any) -> Value:
        return self.loaded(self.element(frame, node))

    def of_binop(self, frame: Frame, node: Any) -> Value:
        return self.binary(frame, node.op, self.value(frame, node.left), self.value(frame, node.right))

    def binary(self, frame: Frame, operator: Any, a: Any, b: Any) -> Value:
        return arithmetic.binary(self.builder, type(operator), number_of(a), number_of(b), frame.flags)

    def of_unaryop(self, frame: Frame, node: Any) -> Any:
        if isinstance(node.op, ast.Not):
            return Value("bool", self.builder.not_(self.truth(frame, node.operand)))
        value = self.value(frame, node.operand)
        if isinstance(node.op, ast.USub):
            if isinstance(value, int | float):
                return -value
            return arithmetic.negated(self.builder, number_of(value), frame.flags)
        raise NotTranslated(f"the operator {type(node.op).__name__}")

    def of_compare(self, frame: Frame, node: Any) -> Value:
        left, both = number_of(self.value(frame, node.left)), None
        for operator, right_node in zip(node.ops, node.comparators, strict=True):
            right = number_of(self.value(frame, right_node))
            one = arithmetic.compared(self.builder, type(operator), left, right, frame.flags)
            both = one if both is None else Value("bool", self.builder.and_(both.code, one.code))
            left = right
        assert both is not None
        return both

    def of_boolop(self, frame: Frame, node: Any) -> Value:
        """Bools only; later operands are not computed where they do not matter."""
        isand = isinstance(node.op, ast.And)
        if all(is_cheap(part) for part in node.values[1:]):
            # Without branches loops become vector code, and branches that cannot be foretold cost more than this.
            codes = [self.of_bool(frame, part) for part in node.values]
            join = self.builder.and_ if isand else self.builder.or_
            return Value("bool", functools.reduce(join, codes))
        slot = self.memory("bool").code
        after = self.builder.append_basic_block("known")
        for i, part in enumerate(node.values):
            code = self.of_bool(frame, part)
            self.builder.store(code, slot)
            if i == len(node.values) - 1:
                self.builder.branch(after)
            else:
                further = self.builder.append_basic_block("further")
                self.builder.cbranch(code, *((further, after) if isand else (after, further)))
                self.builder.position_at_end(further)
        self.builder.position_at_end(after)
        return Value("bool", self.builder.load(slot))

    def of_bool(self, frame: Frame, node: Any) -> Any:
        value = number_of(self.value(frame, node))
        if value.type != "bool":
            raise NotTranslated("and, or between other than bools")
        return value.code

    def truth(self, frame: Frame, node: Any) -> Any:
        """Whether an expression is true, in code."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.truth(frame, node.operand)
            if isinstance(inner, ir.Constant):
                return ir.Constant(LLVM["bool"], 1 - inner.constant)
            return self.builder.not_(inner)
        return truth(self.builder, number_of(self.value(frame, node))).code

    def of_ifexp(self, frame: Frame, node: Any) -> Any:
        test = self.truth(frame, node.test)
        if isinstance(test, ir.Constant):
            return self.value(frame, node.body if test.constant else node.orelse)
        then, otherwise, after = (self.builder.append_basic_block(name) for name in ("then", "else", "after"))
        self.builder.cbranch(test, then, otherwise)
        ends = []
        for block, branch in ((then, node.body), (otherwise, node.orelse)):
            self.builder.position_at_end(block)
            ends.append((self.builder, number_of(self.value(frame, branch)), self.builder.block))
        (_, a, _), (_, b, _) = ends
        name = a.type
        if a.type != b.type:
            if not (arithmetic.is_whole(a.type) and arithmetic.is_whole(b.type)):
                raise NotTranslated(f"{a.type} or else {b.type}")
            name = arithmetic.common_whole(a.type, b.type)
        either = []
        for _, value, block in ends:
            self.builder.position_at_end(block)
            either.append((cast(self.builder, value, name).code, self.builder.block))
            self.builder.branch(after)
        self.builder.position_at_end(after)
        phi = self.builder.phi(llvm_type(name))
        for code, block in either:
            phi.add_incoming(code, block)
        return Value(name, phi)

    def of_call(self, frame: Frame, node: Any) -> Any:
        if node.keywords:
            raise NotTranslated("arguments by name")
        if isinstance(node.func, ast.Attribute) and node.func.attr == "view":
            number, (to,) = number_of(self.value(frame, node.func.value)), node.args
            kind = self.value(frame, to)
            if kind not in CASTS:
                raise NotTranslated("another view")
            return arithmetic.bits(number, CASTS[kind], self.builder)
        called = self.value(frame, node.func)
        args = [self.value(frame, arg) for arg in node.args]
        if isinstance(called, type) and called in CASTS and len(args) == 1:
            return cast(self.builder, number_of(args[0]), CASTS[called])
        numbers = [number_of(arg) for arg in args]
        if isinstance(called, Intrinsic):
            return self.intrinsic(called, numbers)
        if isinstance(called, ExternalFunction):
            return self.external(called, numbers)
        if isinstance(called, FunctionType):
            return self.merged(called, definition(called), numbers, frame.flags, frame.depth + 1)
        if isinstance(called, Function):
            return self.call(frame, called, numbers)
        return arithmetic.function(self.builder, called, numbers, frame.flags)

    def call(self, frame: Frame, called: Function, numbers: list[Value]) -> Any:
        tree = definition(called.plain)  # type: ignore[arg-type]
        if called.is_merged:
            own = called.options.get("inline") != "always"
            flags = flags_of(called.options) if own else frame.flags
            return self.merged(called.plain, tree, numbers, flags, frame.depth + 1, own)
        function, result = self.standing(called, tree, [number.type for number in numbers])
        code = self.builder.call(function, [number.code for number in numbers])
        return None if result == "void" else Value(result, code)

    def intrinsic(self, called: Intrinsic, numbers: list[Value]) -> Any:
        signature, write = _described(called, len(numbers))
        kinds = [type_name(kind) for kind in signature.arguments]
        codes = [cast(self.builder, number, kind).code for number, kind in zip(numbers, kinds, strict=True)]
        code = write(CONTEXT, self.builder, signature, codes)
        return None if signature.result.name == "void" else Value(type_name(signature.result), code)

    def external(self, called: ExternalFunction, numbers: list[Value]) -> Any:
        kinds = [type_name(kind) for kind in called.signature.arguments]
        result = type_name(called.signature.result)
        kind = ir.FunctionType(llvm_type(result), [llvm_type(one) for one in kinds])
        codes = [cast(self.builder, number, to).code for number, to in zip(numbers, kinds, strict=True)]
        code = self.builder.call(declared(self.module, kind, called.name), codes)
        return None if result == "void" else Value(result, code)


def _described(called: Intrinsic, count: int) -> Any:
    return called.describe(CONTEXT, *[Type("any")] * count)


CHEAP = (ast.Name, ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.boolop, ast.unaryop, ast.cmpop, ast.Load)


def is_cheap(node: Any) -> bool:
    """Whether computing an expression in vain costs next to nothing, and cannot go wrong."""
    return all(isinstance(part, CHEAP) for part in ast.walk(node))


def flags_of(options: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(options.get("fastmath") or ()))


def number_of(value: Any) -> Value:
    return value if isinstance(value, Value) else literal(value)


def whole_of(value: Any) -> Value:
    number = number_of(value)
    if not arithmetic.is_whole(number.type):
        raise NotTranslated(f"a range of {number.type}")
    return number
