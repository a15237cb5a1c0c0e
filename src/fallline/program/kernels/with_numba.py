"""Kernels that our own translation does not know, compiled by Numba: ops of users may use all that Numba knows.

Code that Numba emits for the sake of Python is taken out. The only file that needs Numba at run time.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import CellType, FrameType, FunctionType
from typing import Any

from fallline.errors import ProgramError
from fallline.program.kernels.language import ExternalFunction, Function, Intrinsic, Kernel, Signature, Type


def compiled(kernel: Kernel, entry: str) -> tuple[Any, list[str], Any, bool]:
    """The optimised module of a kernel, the names it takes from elsewhere, the kernel as Numba loaded it, and whether
    another process may use its code too; it may not where it holds addresses of this one.

    Errors: ProgramError for an op that needs the interpreter while it runs.
    """
    with _compiling():
        import numba

        signature = _numbas(kernel.signature)
        made = numba.cfunc(signature, **_settings(kernel.options))(_with_numbas(kernel.plain))
        text = made.inspect_llvm()
        if "missing Environment" in text:
            # Numba's message where a function's environment was not set, which linked code here does not need.
            raise ProgramError(
                "compiled code can neither print nor raise an exception with a computed argument\n"
                '  try: an exception with a constant text, such as ValueError("x is negative")'
            )
        module = _closed(text, made.native_name, entry)
        missing = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
        missing += [v.name for v in module.global_variables if v.is_declaration]
        # Large arrays and C functions of a user's op are addresses. As Numba's own cache does, nothing is kept then.
        return module, missing, made, not made._library.has_dynamic_globals


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if name != "nopython"}
    return {**given, "fastmath": set(options.get("fastmath") or ())}


@cache
def _numbas(thing: Any) -> Any:
    """The counterpart in Numba of a part of our language; anything else as it is."""
    import numba
    from numba import types
    from numba.extending import intrinsic

    if isinstance(thing, Type):
        return types.CPointer(getattr(types, thing.pointee)) if thing.pointee else getattr(types, thing.name)
    if isinstance(thing, Signature):
        return _numbas(thing.result)(*map(_numbas, thing.arguments))
    if isinstance(thing, ExternalFunction):
        return types.ExternalFunction(thing.name, _numbas(thing.signature))
    if isinstance(thing, Function) and thing.options.get("forceinline"):
        return _merged(thing.plain)
    if isinstance(thing, Function):
        return numba.njit(_with_numbas(thing.plain), **_settings(thing.options))
    if isinstance(thing, Intrinsic):
        return intrinsic(_described(thing))
    return _with_numbas(thing) if isinstance(thing, FunctionType) else thing


def _described(thing: Intrinsic) -> Any:
    """The intrinsic's describing function with Numba's signature; Numba wants its own arguments' names."""
    count = thing.describe.__code__.co_argcount - 1
    names = ", ".join(f"a{i}" for i in range(count))
    namespace: dict[str, Any] = {}

    def described(context: Any, *given: Any) -> Any:
        signature, write = thing.describe(context, *given)
        return _numbas(signature), write

    exec(f"def {thing.describe.__name__}(context, {names}): return described(context, {names})",
         {"described": described}, namespace)  # fmt: skip
    return namespace[thing.describe.__name__]


def _with_numbas(function: Any) -> Any:
    """The function, with the parts of our language that it names as Numba's."""
    known = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    names = {name: _numbas(value) for name, value in known.items() if isinstance(value, OURS)}
    names |= {name: _merged(value) for name, value in known.items() if isinstance(value, FunctionType)}
    cells = tuple(_cell(cell) for cell in function.__closure__ or ())
    made = FunctionType(
        function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__, cells
    )
    made.__qualname__ = function.__qualname__
    return made


OURS = Function | Intrinsic | ExternalFunction
SHORT = 100  # bytes of bytecode


def _cell(cell: CellType) -> CellType:
    held = cell.cell_contents
    if isinstance(held, FunctionType):
        return CellType(_merged(held))
    return CellType(_numbas(held)) if isinstance(held, OURS) else cell


@cache
def _merged(function: FunctionType) -> Any:
    """A plain function as compiled code may call it, merged into its caller."""
    import numba

    # Short ones merge before compilation, which halves the time a chain takes to compile; long ones compile faster on
    # their own, but a call that is left standing would keep a loop from becoming vector code.
    merge = "always" if len(function.__code__.co_code) < SHORT else "never"
    options = {"fastmath": {"contract", "nsz"}, "error_model": "numpy"}
    return numba.njit(_with_numbas(function), inline=merge, forceinline=merge == "never", **options)


def _closed(text: str, entry: str, name: str) -> Any:
    """The module with nothing but the entry to be seen from outside.

    Every function of Numba's returns whether an exception came up, and its callers can raise it again, which takes
    Numba's own helpers. Once nobody else may call such a function, LLVM sees that none ever comes up, and drops that.
    """
    import llvmlite.binding as llvm

    from fallline.program.kernels.backend import target_machine

    module = llvm.parse_assembly(text)
    module.get_function(entry).name = name
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != name:
            value.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    for _ in range(2):
        passes.add_global_dead_code_eliminate_pass()
        passes.add_ipsccp_pass()
        passes.add_simplify_cfg_pass()
        passes.add_dead_arg_elimination_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, llvm.create_pass_builder(target_machine(), llvm.create_pipeline_tuning_options()))
    return module


@contextmanager
def _compiling() -> Iterator[None]:
    """Let Numba compile, also where NUMBA_DISABLE_JIT says that a program's own functions are to stay Python."""
    from numba.core import config

    before = config.DISABLE_JIT
    config.DISABLE_JIT = 0
    try:
        with _interruptible():
            yield
    finally:
        config.DISABLE_JIT = before


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end, if Ctrl-C came meanwhile and got lost.

    LLVM calls back into Python, and an exception that comes up in a callback is printed and forgotten.
    """
    ours = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not ours:
        yield
        return
    times = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal times
        times += 1
        ours(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, ours)
    if times:
        raise KeyboardInterrupt
