"""Keeps the cache of compiled kernels below a size: the least recently used go first, whatever version made them.

Other processes may read, write and delete in the same folders at the same time; files that cannot be deleted stay.
"""

import contextlib
import os
import re
import time
from pathlib import Path

MEGABYTES = 256
SETTING = "FALLLINE_CACHE_MB"
VERSION = re.compile(r"[0-9a-f]{16}")  # a version's folder
HOUR, DAY = 3600.0, 86400.0


def most_bytes() -> int:
    """The size of the cache at most: $FALLLINE_CACHE_MB megabytes, a number >= 0; anything else is the default."""
    try:
        megabytes = float(os.environ.get(SETTING, ""))
    except ValueError:
        megabytes = MEGABYTES
    return int((megabytes if 0 <= megabytes < 1e9 else MEGABYTES) * 1e6)


def used(path: Path) -> None:
    """Note that a kernel is in use; to the day, so that reading seldom becomes writing."""
    with contextlib.suppress(OSError):
        now = time.time()
        if now - path.stat().st_mtime > DAY:
            os.utime(path, (now, now))


def prune(root: Path, most: int, mine: Path) -> None:
    """Delete kernels of all versions, oldest first, until at most so many bytes are left; and folders left empty.

    root: where the folders of all versions lie. mine: the folder in use, which stays.
    """
    now = time.time()
    kernels: list[tuple[float, int, Path]] = []
    folders = [
        entry for entry in _entries(root) if VERSION.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
    ]
    for folder in folders:
        for entry in _entries(folder):
            with contextlib.suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                if not entry.name.endswith(".tmp"):
                    kernels.append((info.st_mtime, info.st_size, Path(entry.path)))
                elif now - info.st_mtime > HOUR:
                    os.unlink(entry.path)  # of a process that was killed
    left = sum(size for _, size, _ in kernels)
    for _, size, path in sorted(kernels):
        if left <= most:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            left -= size
    for folder in folders:
        # A new one may be about to be filled.
        with contextlib.suppress(OSError):
            if Path(folder.path) != mine and now - os.stat(folder.path).st_mtime > HOUR:
                os.rmdir(folder.path)


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return list(entries)
    return []
