"""Locks that a forked child finds open. A thread that held one in the parent is not there to let go of it."""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

_makers: WeakKeyDictionary[Any, tuple[str, Callable[[], Any]]] = WeakKeyDictionary()


def renewed(owner: Any, name: str, make: Callable[[], Any] = threading.Lock) -> Any:
    """A lock that `owner` keeps under this name, and that a forked child replaces by a new one. One for each owner."""
    _makers[owner] = name, make
    return make()


def _renew() -> None:
    """In a forked child, before anything else runs there."""
    for owner, (name, make) in list(_makers.items()):
        setattr(owner, name, make())
    # Those of the compilers: the child of a process that was compiling may have to compile too.
    for module, holder in (("numba.core.compiler_lock", "global_compiler_lock"), ("llvmlite.binding.ffi", "lib._lock")):
        found = sys.modules.get(module)
        for part in holder.split("."):
            found = getattr(found, part, None)
        if isinstance(getattr(found, "_lock", None), type(threading.RLock())):
            found._lock = threading.RLock()  # type: ignore[union-attr]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

__all__ = ["renewed"]
