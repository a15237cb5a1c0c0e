"""From object code to an address in this process: LLVM's linker alone, a fraction of a millisecond for a kernel.

Linked code stays for the life of the process. Each kernel is a library of its own, so names that two of them have
in common do not meet.
"""

import itertools
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

_number = itertools.count()
NUMBAS = ("Py", "_Py", "numba_", "NRT_")  # how names begin that Numba gives meaning to


@cache
def _linker() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # JITLink puts the sections of a library side by side, so that they reach one another on every processor.
    return llvm.create_lljit_compiler(use_jit_link=sys.platform != "win32", suppress_errors=True)


def _known(names: Iterable[str]) -> dict[str, int]:
    """Addresses of functions and objects of Python and Numba; those of the C library the linker finds itself."""
    ours = [name for name in names if name.startswith(NUMBAS)]
    if not ours:
        return {}
    # Somebody else's op may report an error. Numba has put these names down with LLVM, some with a meaning of its
    # own: PyExc_ValueError is the exception there, and elsewhere a pointer to it.
    import llvmlite.binding as llvm
    from numba.core.registry import cpu_target

    cpu_target.target_context.refresh()
    return {name: address for name in ours if (address := llvm.address_of_symbol(name)) is not None}


def link(codes: Iterable[bytes], imports: Iterable[str], entry: str) -> int:
    """The address of `entry`. codes: pieces that call one another. imports: names they take from elsewhere.

    Errors: RuntimeError where the code is not this machine's, or a name is not to be found.
    """
    import llvmlite.binding as llvm

    library = llvm.JITLibraryBuilder().add_current_process().export_symbol(entry)
    for code in codes:
        library.add_object_img(code)
    for name, place in _known(imports).items():
        library.import_symbol(name, place)
    tracker = library.link(_linker(), f"fallline_{next(_number)}")
    address = int(tracker[entry])
    # Other threads may still be at work in a kernel when the interpreter goes, so code is never given back.
    tracker.detach()
    return address
