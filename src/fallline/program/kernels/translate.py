"""A kernel written in Python as LLVM code: statement by statement, with the types that Numba would give.

Variables lie in memory, which LLVM's first pass turns into registers. Code that is not known here is NotTranslated, and
left to Numba; translated code means the same there.
"""

import ast
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir

from fallline.program.kernels.expressions import Expressions, Frame, Wider, flags_of, number_of, whole_of
from fallline.program.kernels.language import Function, Kernel, declared
from fallline.program.kernels.llvm_arithmetic import LLVM, Value, cast, llvm_type, type_name
from fallline.program.kernels.parse import NotTranslated, globals_of

DEEPEST = 40  # calls merged into one another


class Translation(Expressions):
    """One kernel in the making: its module, and the functions in it that stand on their own."""

    def __init__(self, module: Any, widened: dict[Any, str], depth: int = 0) -> None:
        self.module, self.widened, self.depth = module, widened, depth
        self.modules = [module]
        self.made: dict[Any, tuple[Any, str]] = {}  # functions that stand on their own, and types of results

    def function(self, plain: Any, tree: Any, name: str, kinds: list[str], result: str, flags: Any) -> Any:
        """The function of the module, of arguments of these types."""
        made = ir.Function(self.module, ir.FunctionType(LLVM[result], [llvm_type(kind) for kind in kinds]), name)
        made.attributes.add("nounwind")
        self.entry, body = made.append_basic_block("entry"), made.append_basic_block("body")
        self.builder = ir.IRBuilder(body)
        args = [Value(kind, code) for kind, code in zip(kinds, made.args, strict=True)]
        value = self.merged(plain, tree, args, flags, 0)
        self.result = "void" if value is None else number_of(value).type
        if result == "void":
            self.builder.ret_void()
        else:
            self.builder.ret(cast(self.builder, number_of(value), result).code)
        self.builder.position_at_end(self.entry)
        self.builder.branch(body)
        return made

    def merged(self, plain: Any, tree: Any, args: list[Value], flags: Any, depth: int, rounds: bool = False) -> Any:
        """A function's body right here; returns its result. rounds: it does not fuse with the caller's arithmetic."""
        if depth > DEEPEST or tree.args.kwonlyargs or tree.args.vararg or tree.args.kwarg or tree.args.posonlyargs:
            raise NotTranslated(f"a call of {plain.__qualname__}")
        names = [argument.arg for argument in tree.args.args]
        if len(names) != len(args):
            raise NotTranslated(f"{len(args)} arguments for {plain.__qualname__}")
        place = plain.__code__, tuple(arg.type for arg in args)
        frame = Frame(globals_of(plain), place, flags, depth, rounds)
        frame.returns = self.builder.append_basic_block("return")
        for name, arg in zip(names, args, strict=True):
            self.set_variable(frame, name, arg)
        if isinstance(tree, ast.Lambda):
            self.do_return(frame, ast.Return(tree.body))
        else:
            self.block(frame, tree.body)
        if not self.builder.block.is_terminated:
            self.builder.branch(frame.returns)
        self.builder.position_at_end(frame.returns)
        if isinstance(frame.result, tuple):
            return tuple(self.loaded(one) for one in frame.result)
        return None if frame.result is None else self.loaded(frame.result)

    def standing(self, called: Function, tree: Any, kinds: list[str]) -> tuple[Any, str]:
        """The function that a call goes to, in a module of its own, which can be compiled at the same time."""
        key = called, tuple(kinds)
        if key not in self.made:
            if self.depth > 0:
                raise NotTranslated("a function on its own that calls another one")
            name, result = f"{called.plain.__name__}_{len(self.made)}", "void"
            while True:
                other = Translation(ir.Module(name=name), self.widened, self.depth + 1)
                made = other.function(called.plain, tree, name, kinds, result, flags_of(called.options))
                if other.result == result:
                    break
                result = other.result
            self.made[key] = declared(self.module, made.ftype, name), result
            self.modules.append(other.module)
        return self.made[key]

    # Statements.

    def block(self, frame: Frame, statements: list[Any]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            do: Callable[[Frame, Any], None] | None = getattr(self, f"do_{type(statement).__name__.lower()}", None)
            if do is None:
                raise NotTranslated(f"a statement {type(statement).__name__}")
            do(frame, statement)

    def do_pass(self, frame: Frame, node: Any) -> None:
        pass

    def do_expr(self, frame: Frame, node: Any) -> None:
        if not isinstance(node.value, ast.Constant):
            self.value(frame, node.value)

    def do_assign(self, frame: Frame, node: Any) -> None:
        value = self.value(frame, node.value)
        for target in node.targets:
            if not isinstance(target, ast.Tuple):
                self.assign(frame, target, value)
                continue
            if not isinstance(value, tuple) or len(value) != len(target.elts):
                raise NotTranslated("an assignment of another number of values")
            for part, one in zip(target.elts, value, strict=True):
                self.assign(frame, part, one)

    def do_augassign(self, frame: Frame, node: Any) -> None:
        if isinstance(node.target, ast.Subscript):
            pointer = self.element(frame, node.target)
            before = Value(pointer.type[1:], self.builder.load(pointer.code))
            after = self.binary(frame, node.op, before, self.value(frame, node.value))
            self.builder.store(cast(self.builder, after, pointer.type[1:]).code, pointer.code)
            return
        before = self.value(frame, node.target)
        self.assign(frame, node.target, self.binary(frame, node.op, before, self.value(frame, node.value)))

    def do_return(self, frame: Frame, node: Any) -> None:
        value = None if node.value is None else self.value(frame, node.value)
        known = frame.result
        if isinstance(value, tuple):
            before = known if isinstance(known, tuple) else (None,) * len(value)
            if known is not None and (known is not before or len(before) != len(value)):
                raise NotTranslated("a function that returns now this, now that")
            pairs = enumerate(zip(before, map(number_of, value), strict=True))
            frame.result = tuple([self.stored(frame, f"return {i}", into, one) for i, (into, one) in pairs])
        elif value is not None:
            if isinstance(known, tuple):
                raise NotTranslated("a function that returns now this, now that")
            number = number_of(value)
            frame.result = self.stored(frame, "return", known, rounded(number) if frame.rounds else number)
        self.builder.branch(frame.returns)

    def do_break(self, frame: Frame, node: Any) -> None:
        self.builder.branch(frame.loops[-1][0])

    def do_continue(self, frame: Frame, node: Any) -> None:
        self.builder.branch(frame.loops[-1][1])

    def do_if(self, frame: Frame, node: Any) -> None:
        test = self.truth(frame, node.test)
        if isinstance(test, ir.Constant):
            self.block(frame, node.body if test.constant else node.orelse)
            return
        then, otherwise, after = (self.builder.append_basic_block(name) for name in ("then", "else", "after"))
        self.builder.cbranch(test, then, otherwise)
        for block, body in ((then, node.body), (otherwise, node.orelse)):
            self.builder.position_at_end(block)
            self.block(frame, body)
            if not self.builder.block.is_terminated:
                self.builder.branch(after)
        self.builder.position_at_end(after)

    def do_while(self, frame: Frame, node: Any) -> None:
        if node.orelse:
            raise NotTranslated("else after a loop")
        head = self.builder.append_basic_block("while")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        test = self.truth(frame, node.test)
        self.loop(frame, node.body, test, head, lambda: None)

    def do_for(self, frame: Frame, node: Any) -> None:
        call = node.iter
        if node.orelse or not isinstance(call, ast.Call) or self.value(frame, call.func) is not range or call.keywords:
            raise NotTranslated("a loop over other than a range")
        numbers = [cast(self.builder, whole_of(self.value(frame, arg)), "int64").code for arg in call.args]
        zero, one = (ir.Constant(LLVM["int64"], n) for n in (0, 1))
        start, stop, step = {1: lambda: (zero, *numbers, one), 2: lambda: (*numbers, one)}.get(
            len(numbers), lambda: tuple(numbers)
        )()
        builder = self.builder
        counter = self.memory("int64").code
        builder.store(start, counter)
        head, turn = builder.append_basic_block("for"), builder.append_basic_block("next")
        builder.branch(head)
        builder.position_at_end(head)
        now = builder.load(counter)
        up, down = builder.icmp_signed("<", now, stop), builder.icmp_signed(">", now, stop)
        if isinstance(step, ir.Constant) and step.constant:
            test = up if step.constant > 0 else down
        else:
            rises, falls = builder.icmp_signed(">", step, zero), builder.icmp_signed("<", step, zero)
            test = builder.or_(builder.and_(rises, up), builder.and_(falls, down))

        def begin() -> None:
            self.assign(frame, node.target, Value("int64", builder.load(counter)))

        self.loop(frame, node.body, test, turn, begin)
        after = builder.block
        builder.position_at_end(turn)
        builder.store(builder.add(builder.load(counter), step, flags=("nsw",)), counter)
        builder.branch(head)
        builder.position_at_end(after)

    def loop(self, frame: Frame, body: list[Any], test: Any, again: Any, begin: Callable[[], None]) -> None:
        """The turns of a loop while a test holds; `again` is the block after each."""
        inside, after = self.builder.append_basic_block("turn"), self.builder.append_basic_block("done")
        self.builder.cbranch(test, inside, after)
        self.builder.position_at_end(inside)
        begin()
        frame.loops.append((after, again))
        self.block(frame, body)
        frame.loops.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(again)
        self.builder.position_at_end(after)


def rounded(value: Value) -> Value:
    """A result as it is: should it be a product, it is rounded before whoever called adds something to it."""
    code = value.code
    while getattr(code, "opname", "") in ("fmul", "fsub", "fneg"):
        code.flags = [flag for flag in code.flags if flag != "contract"]
        code = code.operands[-1] if code.opname != "fmul" else None  # a product that is negated
    return value


def translated(kernel: Kernel, tree: Any, name: str) -> list[Any]:
    """The LLVM modules of a kernel: the first one has a function of this name, and calls those of the others.

    tree: of the kernel's definition. Errors: NotTranslated.
    """
    widened: dict[Any, str] = {}
    kinds = [type_name(kind) for kind in kernel.signature.arguments]
    result = type_name(kernel.signature.result)
    while True:
        translation = Translation(ir.Module(name=name), widened)
        try:
            translation.function(kernel.plain, tree, name, kinds, result, flags_of(kernel.options))
        except Wider:
            continue
        return translation.modules
