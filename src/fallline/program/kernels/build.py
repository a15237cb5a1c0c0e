"""From source text to object code: Numba compiles it, and what it leaves in for the sake of Python is taken out.

The only file that needs Numba at run time, and only where the cache (store.py) does not have a kernel yet.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from fallline.errors import ProgramError

ENTRY = "kernel"


@dataclass(frozen=True, slots=True)
class Built:
    """A kernel that was compiled.

    code: object code with the symbol `kernel`. imports: names it takes from elsewhere. kernel: as Numba loaded it.
    lasts: whether another process may use the code too; it may not where it holds addresses of this one.
    """

    code: bytes
    imports: tuple[str, ...]
    kernel: Any
    lasts: bool


def build(source: str) -> Built:
    """Compile the `kernel` of a source text.

    Errors: ProgramError for an op that needs the interpreter while it runs.
    """
    namespace: dict[str, Any] = {"__name__": "fallline_kernel"}
    with _compiling():
        exec(compile(source, "<kernel>", "exec"), namespace)
        kernel = namespace[ENTRY]
        text = kernel.inspect_llvm()
        if "missing Environment" in text:
            # What Numba says where a function's environment was not set: by it, and not for what is linked here.
            raise ProgramError(
                "compiled code can neither print nor raise an exception with a computed argument\n"
                '  try: an exception with a constant text, such as ValueError("x is negative")'
            )
        module = _closed(text, kernel.native_name)
        missing = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
        missing += [v.name for v in module.global_variables if v.is_declaration]
        # Large arrays and C functions of a user's op are addresses. As Numba's own cache does, nothing is kept then.
        lasts = not kernel._library.has_dynamic_globals
        return Built(_target_machine().emit_object(module), tuple(missing), kernel, lasts)


def _target_machine() -> Any:
    import llvmlite.binding as llvm

    from fallline.program.kernels.registers import target

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = target()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="jitdefault", jit=True
    )


def _closed(text: str, entry: str) -> Any:
    """The module with nothing but the entry to be seen from outside.

    Every function of Numba's returns whether an exception came up, and its callers can raise it again, which takes
    Numba's own helpers. Once nobody else may call such a function, LLVM sees that none ever comes up, and drops that.
    """
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    module.get_function(entry).name = ENTRY
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != ENTRY:
            value.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    for _ in range(2):
        passes.add_global_dead_code_eliminate_pass()
        passes.add_ipsccp_pass()
        passes.add_simplify_cfg_pass()
        passes.add_dead_arg_elimination_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, llvm.create_pass_builder(_target_machine(), llvm.create_pipeline_tuning_options()))
    return module


@contextmanager
def _compiling() -> Iterator[None]:
    """Let Numba compile, also where NUMBA_DISABLE_JIT says that a program's own functions are to stay Python."""
    from numba.core import config

    before = config.DISABLE_JIT
    config.DISABLE_JIT = 0
    try:
        with _heard():
            yield
    finally:
        config.DISABLE_JIT = before


@contextmanager
def _heard() -> Iterator[None]:
    """Raise at the end what Ctrl-C has raised meanwhile, if it got lost.

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
