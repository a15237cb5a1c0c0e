"""Compiled kernels by content: source text -> object code in a private cache folder -> an address.

The folder's name holds a hash of every source a kernel is made from, and of the versions and the processor that decide
the code made of it, so a kernel found there is never out of date.
"""

import atexit
import ctypes
import errno
import getpass
import hashlib
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fallline.program.forks import renewed
from fallline.program.kernels import bound
from fallline.program.kernels.build import ENTRY, Built, build, by_numba, described
from fallline.program.kernels.link import link

_addresses: dict[str, int] = {}
_kept: list[Any] = []  # kernels compiled here: code may be Numba's copy, or point to what an op holds
_lock = renewed(sys.modules[__name__], "_lock", threading.RLock)
_written = 2**62  # bytes since kernels were counted
PATIENCE = 2.0  # seconds
SLOW = "fallline: compiling kernels that this machine has not had yet; they are kept for next time"
# Settings of Numba that change its code.
SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX", "DEBUGINFO", "BOUNDSCHECK")


def _private(folder: Path) -> bool:
    """Is this a folder that only we can write to? Its files are executed."""
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


def _version_of_numba() -> str:
    """Without importing it, which takes longer than everything else that a cached kernel needs."""
    spec = importlib.util.find_spec("numba")
    assert spec is not None and spec.origin is not None
    stated = Path(spec.origin).with_name("_version.py")
    if stated.exists():
        return stated.read_text(encoding="utf-8")
    from importlib.metadata import version

    return version("numba")


@cache
def folder() -> Path:
    """The cache folder of this version: $FALLLINE_CACHE, else the user's cache folder, else a temporary one."""
    import llvmlite
    import numpy as np

    from fallline.program.kernels.registers import target

    package = Path(__file__).resolve().parents[2]
    sources = sorted([*(package / "program" / "kernels").glob("*.py"), *(package / "ops").glob("*.py")])
    settings = (os.environ.get(f"NUMBA_{name}", "") for name in SETTINGS)
    versions = sys.version, _version_of_numba(), llvmlite.__version__, np.__version__, *target(), *settings
    digest = hashlib.sha256()
    for part in (*versions, *(source.read_text(encoding="utf-8") for source in sources)):
        digest.update(part.encode())
    name = digest.hexdigest()[:16]
    roots = [os.environ.get("FALLLINE_CACHE"), os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")]
    for root in roots:
        if root and os.path.isabs(root) and _private(Path(root) / "fallline" / name):
            return Path(root) / "fallline" / name
    # Without a home the next process still finds the kernels of this one.
    ours = Path(tempfile.gettempdir()) / f"fallline-{os.getuid() if os.name == 'posix' else getpass.getuser()}"
    if _private(ours) and _private(ours / name):
        return ours / name
    last = tempfile.mkdtemp(prefix="fallline-")
    atexit.register(shutil.rmtree, last, ignore_errors=True)
    return Path(last)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, so that processes may write the same kernel at once."""
    global _written
    temporary = None
    try:
        if not _private(path.parent):  # another process, or a user who needed the room, may have deleted it
            raise PermissionError(errno.EPERM, "no folder that only we can write to")
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
        _written += len(content)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        warnings.warn("compiled code cannot be kept, so the next process compiles it again: "
                      f"{path.parent}: {error.strerror}", stacklevel=2)  # fmt: skip


def _packed(name: str, codes: Sequence[bytes], imports: tuple[str, ...]) -> bytes:
    """The content of a kernel's file: a digest of its name and the rest, lines of names and lengths, object code."""
    lengths = " ".join(str(len(code)) for code in codes)
    content = f"{' '.join(imports)}\n{lengths}\n".encode() + b"".join(codes)
    return _digest(name, content) + content


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()


def _load(path: Path) -> int | None:
    """The address of the code in a file; None where there is none, or the file was changed."""
    try:
        digest, content = (whole := path.read_bytes())[:32], whole[32:]
    except OSError:
        return None
    # The linker trusts its input: a file cut short by a crash or a full disk must not come to it, nor a kernel
    # that takes other arguments.
    if _digest(path.stem, content) != digest:
        return None
    names, lengths, code = content.split(b"\n", 2)
    codes = []
    for length in map(int, lengths.split()):
        codes.append(code[:length])
        code = code[length:]
    try:
        address = link(codes, names.decode().split(), ENTRY)
    except RuntimeError:
        return None
    bound.used(path)
    return address


def _compile(path: Path, source: str, built: Built) -> int:
    """The address of a kernel that was compiled now, and is kept for later processes."""
    _kept.append(built.kernel)
    try:
        address = link(built.codes, built.imports, ENTRY)
    except RuntimeError:
        # Where LLVM's linker cannot do it, Numba's can: slower to start, since it cannot be kept.
        _kept.append(kernel := built.kernel or by_numba(described(source)).kernel)
        return int(kernel.address)
    if built.lasts:
        _write(path, _packed(path.stem, built.codes, built.imports))
    return address


def _name(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:20]


def prepare(sources: Iterable[str]) -> None:
    """Load these kernels, and compile those that are not kept yet: together, which takes less time than one by one."""
    wanted = {name: source for source in sources if (name := _name(source)) not in _addresses}
    if not wanted:
        return
    with _lock:
        missing = {}
        for name, source in wanted.items():
            if name not in _addresses:
                path = folder() / f"{name}.kernel"
                if (found := _load(path)) is not None:
                    _addresses[name] = found
                else:
                    missing[path] = source
        if missing:
            with slow_compilation_message():
                every = build(list(missing.values()))
            for (path, source), built in zip(missing.items(), every, strict=True):
                _addresses[path.stem] = _compile(path, source, built)
            _keep_bounded()


def _keep_bounded() -> None:
    """Delete old kernels if there are too many: at the first that this process compiled, and now and then later."""
    global _written
    most = bound.most_bytes()
    if _written > most // 16 and bound.VERSION.fullmatch(folder().name):  # never in a folder for temporary files
        bound.prune(folder().parent, most, folder())
        _written = 0


def address(source: str) -> int:
    """Where the compiled `kernel` of this source text lies, for the life of this process."""
    name = _name(source)
    if name not in _addresses:
        prepare([source])
    return _addresses[name]


@contextmanager
def slow_compilation_message() -> Iterator[None]:
    """Tell a terminal that kernels are being compiled, if it takes long."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield
        return
    timer = threading.Timer(PATIENCE, lambda: print(SLOW, file=sys.stderr))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def function(source: str) -> Callable[..., int]:
    """The same to be called: every argument is a word, and so is the result. Other threads run meanwhile."""
    arguments = source.partition(f"def {ENTRY}(")[2].partition(")")[0].count(",") + 1
    called: Callable[..., int] = _words(arguments)(address(source))
    return called


@cache
def _words(arguments: int) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * arguments)


def loaded() -> bool:
    """Whether this process has compiled kernels at hand, so that a next program starts in milliseconds."""
    return bool(_addresses)


def clear() -> None:
    """Delete the cache folder of this version."""
    shutil.rmtree(folder(), ignore_errors=True)
    folder.cache_clear()
