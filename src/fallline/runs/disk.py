"""Safe writing: files that are whole or absent, and a folder that one process writes at a time.

Knows nothing of the contents.
"""

import errno
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fallline.errors import ArgumentError, ExistingFileError, FalllineError, SavingError

# Our own temporary files, and those that safetensors makes next to them.
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part|\.tmp\w{6}")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file next to `path`, and put it in place once it is on the disk.

    A reader, or a process that starts after a crash, finds the old file or the new one, never a part of it.
    A link stays one; a path that is no file, such as /dev/null, is refused with ExistingFileError, as it would be
    replaced.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        raise ExistingFileError(f"{path} is no file, and must not be replaced by one")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        write(part)
        with open(part, "rb+") as file:
            sync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def saving_errors(path: Path) -> Iterator[None]:
    """A context in which errors of the disk become SavingError with the path that was given."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FalllineError):
            raise
        folder = path.parent
        hint = "" if folder.exists() else f"\n  try: os.makedirs({str(folder)!r}, exist_ok=True) before it"
        raise SavingError(f"{path} cannot be written: {error.strerror or error}{hint}") from error


def sync(descriptor: int) -> None:
    """Wait until written data are on the disk, where the system reports it.

    On macOS fsync hands it to the drive, which may keep it in a cache; another call empties that, on most file systems.
    """
    if _FULL_SYNC is not None:
        with suppress(OSError):
            fcntl.fcntl(descriptor, _FULL_SYNC)
            return
    os.fsync(descriptor)


def remove_parts(folder: Path) -> None:
    """Remove the temporary files of writes that a dying process has cut off; only for a folder nobody else writes."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if _PART.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; systems that cannot open a folder do it by themselves."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """A JSON file, atomically; NaN and infinity are refused, for they are not JSON."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        # A byte far behind the text, so that others can still read who holds the lock.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    _FULL_SYNC: int | None = None

else:
    import fcntl

    _FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems know no locks at all; a run there is better than none.
            return error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
        return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process, or raise ArgumentError naming the process that holds it.

    The system drops the lock when its process ends, however it ends, so a lock file that was left behind is no
    obstacle: it matters whether it is locked, not whether it exists.
    """
    path = folder / "lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _try_lock(descriptor):
            with open(descriptor, encoding="utf-8") as file:
                holder = file.read(200).strip() or "another process"
            raise ArgumentError(
                f"{folder} is being written by {holder}\n  try: another folder, or wait until that run has ended"
            )
        # Its last holder may have removed the file between our opening and our locking it.
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        os.close(descriptor)
    try:
        os.truncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"process {os.getpid()}\n".encode())
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)
