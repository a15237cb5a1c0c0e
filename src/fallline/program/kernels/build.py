"""From source text to object code: our own translation writes LLVM code, and LLVM compiles it.

Numba compiles the kernels that the translation does not know. Needed only where the cache (store.py) lacks a kernel.
"""

import ast
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fallline.program.kernels.backend import emitted_all, target_machine
from fallline.program.kernels.language import Kernel
from fallline.program.kernels.parse import NotTranslated
from fallline.program.kernels.registers import target

ENTRY = "kernel"


@dataclass(frozen=True, slots=True)
class Built:
    """A kernel that was compiled.

    codes: object code in pieces, one with the symbol `kernel`. imports: names they take from elsewhere. kernel: as
    Numba loaded it, where it did. lasts: whether another process may use the code too; it may not where it holds
    addresses of this one.
    """

    codes: tuple[bytes, ...]
    imports: tuple[str, ...] = ()
    kernel: Any = None
    lasts: bool = True


def build(sources: Sequence[str]) -> list[Built]:
    """Compile the `kernel` of each source text, as many at once as there are processors.

    Errors: ProgramError for an op that needs the interpreter while it runs.
    """
    kernels = [described(source) for source in sources]
    texts: list[str] = []
    ranges = []
    for kernel, source in zip(kernels, sources, strict=True):
        first = len(texts)
        with contextlib.suppress(NotTranslated):
            texts += texts_of(kernel, source)
        ranges.append(range(first, len(texts)))
    codes = emitted_all(texts, target())
    made = []
    for kernel, pieces in zip(kernels, ranges, strict=True):
        whole = tuple(code for i in pieces if (code := codes[i]) is not None)
        made.append(Built(whole) if pieces and len(whole) == len(pieces) else by_numba(kernel))
    return made


def described(source: str) -> Kernel:
    """The kernel that a source text defines."""
    namespace: dict[str, Any] = {"__name__": "fallline_kernel"}
    exec(compile(source, "<kernel>", "exec"), namespace)
    kernel: Kernel = namespace[ENTRY]
    return kernel


def texts_of(kernel: Kernel, source: str) -> list[str]:
    """A kernel as LLVM modules. Errors: NotTranslated."""
    from fallline.program.kernels.translate import translated

    trees = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == ENTRY]
    return [str(module) for module in translated(kernel, trees[-1], ENTRY)]


def by_numba(kernel: Kernel) -> Built:
    """The same by Numba."""
    from fallline.program.kernels.with_numba import compiled

    module, imports, made, lasts = compiled(kernel, ENTRY)
    return Built((target_machine().emit_object(module),), tuple(imports), made, lasts)
