"""Compiled kernels by content: source text -> a file in a private cache folder -> an imported module -> an address.

Numba keeps the machine code beside the file. Its cache does not notice an edit in a function that lives in another
file, so the folder's name holds a hash of every source a kernel is made from, and of the versions.
"""

import atexit
import getpass
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

_loaded: dict[str, ModuleType] = {}  # addresses do not keep code alive; this does
_lock = threading.RLock()


def _private(folder: Path) -> bool:
    """Is this a folder that only we can write to? What lies in it is executed."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        info = folder.stat()
    except OSError:
        return False
    if os.name != "posix":
        return os.access(folder, os.W_OK)
    return (
        info.st_uid == os.getuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and os.access(folder, os.W_OK)
    )


@cache
def folder() -> Path:
    """The cache folder of this version: $FALLLINE_CACHE, else the user's cache folder, else a temporary one."""
    import llvmlite
    import numba
    import numpy as np

    package = Path(__file__).resolve().parents[2]
    sources = sorted([*(package / "program" / "kernels").glob("*.py"), *(package / "ops").glob("*.py")])
    digest = hashlib.sha256()
    for part in (sys.version, numba.__version__, llvmlite.__version__, np.__version__, *map(Path.read_text, sources)):
        digest.update(part.encode())
    name = digest.hexdigest()[:16]
    roots = [os.environ.get("FALLLINE_CACHE"), os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")]
    for root in roots:
        if root and os.path.isabs(root) and _private(Path(root) / "fallline" / name):
            return Path(root) / "fallline" / name
    # Without a home the next process still finds what this one has compiled.
    ours = Path(tempfile.gettempdir()) / f"fallline-{os.getuid() if os.name == 'posix' else getpass.getuser()}"
    if _private(ours) and _private(ours / name):
        return ours / name
    last = tempfile.mkdtemp(prefix="fallline-")
    atexit.register(shutil.rmtree, last, ignore_errors=True)
    return Path(last)


def _write(path: Path, source: str) -> None:
    """Whole or not at all; an equal file is left alone, since a new date would make the compiled code stale."""
    if path.exists() and path.read_text() == source:
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        file.write(source)
    os.replace(temporary, path)


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Numba looks the module up by name when it loads cached code.
    sys.modules[name] = module
    with _compiling():
        spec.loader.exec_module(module)
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


def load(source: str) -> Any:
    """The compiled `kernel` of this source text."""
    name = "fallline_kernel_" + hashlib.sha256(source.encode()).hexdigest()[:20]
    with _lock:
        if name not in _loaded:
            path = folder() / f"{name}.py"
            _write(path, source)
            try:
                _loaded[name] = _import(name, path)
            except Exception:
                # A cache cut short by a crash or a full disk fails in many ways: throw it away and compile anew.
                # What is wrong with the source itself fails again, and is raised then.
                _forget(name)
                _write(path, source)
                _loaded[name] = _import(name, path)
        return _loaded[name].kernel


def loaded() -> bool:
    """Whether this process has compiled kernels at hand, so that a next program starts in milliseconds."""
    return bool(_loaded)


def _forget(name: str) -> None:
    for path in folder().glob(f"{name}*"):
        path.unlink(missing_ok=True)
    for path in (folder() / "__pycache__").glob(f"{name}*"):
        path.unlink(missing_ok=True)


def clear() -> None:
    """Delete the cache folder of this version."""
    shutil.rmtree(folder(), ignore_errors=True)
    folder.cache_clear()
