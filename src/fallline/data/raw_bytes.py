"""The bytes of a path: regular files, compressed ones, and pipes, whose bytes are kept so that they can be read again.

Devices are refused, and a file that changes while it is read is an error. Knows nothing of columns.
"""

import os
import select
import stat
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from fallline.errors import DataError, FalllineError, MissingFileError, nearest

# Bytes of a pipe, whose length is unknown: one without an end is cut here.
MOST_PIPED = 2**28
# Seconds to wait until somebody writes into a pipe.
PIPE_SECONDS = 60.0
# Bytes of a pipe that are read at once.
PIECE = 2**20

# First bytes of compressed files, and the name of their compression.
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
}


@dataclass(frozen=True, eq=False)
class Bytes:
    """Something on disk that can be read any number of times. name: in messages. file: where the bytes lie, for a pipe
    an open file. compression: a name of COMPRESSED, or None.
    """

    name: str
    file: Path | IO[bytes]
    compression: str | None

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """A file object that gives the bytes, decompressed. Errors: DataError where that fails, or where the file has
        changed in between.
        """
        try:
            with _raw(self.file) as raw:
                before = _state(raw)
                with decompressed(raw, self.compression, self.name) as stream:
                    yield stream
                if _state(raw) != before or (isinstance(self.file, Path) and _changed(self.file, before)):
                    raise DataError(f"{self.name} changed while it was read\n  try: again, when nobody writes into it")
        except FalllineError:
            raise
        except (OSError, EOFError, ValueError) as error:  # the errors of decompression are among them
            kind = f" as {self.compression}" if self.compression else ""
            raise DataError(f"{self.name} cannot be read{kind}: {getattr(error, 'strerror', None) or error}") from None


def bytes_of(path: Path) -> Bytes:
    """The bytes at a path, found out to be readable. Errors: MissingFileError, DataError."""
    name = str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise DataError(f"{path} is a device, not a file of rows")
        if stat.S_ISDIR(mode):
            raise DataError(f"{path} is a folder, not a file of rows")
        file: Path | IO[bytes] = piped(path) if stat.S_ISFIFO(mode) else path
        with _raw(file) as raw:
            start = raw.read(8)
    except FalllineError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"no file {name!r}{nearest(path.name, neighbours(path))}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found = (kind for first, kind in COMPRESSED.items() if start.startswith(first))
    source = Bytes(name, file, next(found, None))
    if not isinstance(file, Path):
        weakref.finalize(source, file.close)
    return source


@contextmanager
def _raw(file: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """The bytes as they are on disk, from the first."""
    if isinstance(file, Path):
        with file.open("rb", buffering=0) as raw:
            yield raw
    else:
        file.seek(0)
        yield file


def _state(file: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _changed(path: Path, before: tuple[int, int]) -> bool:
    """Whether another file, or none, has come to its place."""
    try:
        found = path.stat()
    except OSError:
        return True
    return (found.st_size, found.st_mtime_ns) != before


@contextmanager
def decompressed(raw: IO[bytes], compression: str | None, name: str) -> Iterator[Any]:
    """The content of a compressed file as a file object."""
    if compression is None:
        yield raw
    elif compression == "xz":
        import lzma

        try:
            with lzma.LZMAFile(raw) as stream:
                yield stream
        except lzma.LZMAError as error:
            raise ValueError(error) from None
    elif compression != "zip":
        import pyarrow

        # Arrow's own reads members one after another, and calls a stream that is cut short an error.
        yield pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), compression)
    else:
        import zipfile
        import zlib

        try:
            with zipfile.ZipFile(raw) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                if any(member.filename == "[Content_Types].xml" for member in members):
                    raise DataError(f"{name} is a workbook of a spreadsheet program\n  try: saving the sheet as CSV")
                if len(members) != 1:
                    listing = ", ".join(repr(member.filename) for member in members[:5])
                    raise DataError(f"{name} is an archive of {len(members)} files: {listing}\n  try: unpacking it")
                with zipfile.Path(archive, members[0].filename).open("rb") as stream:
                    yield stream
        except (zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(error) from None


def piped(path: Path) -> IO[bytes]:
    """The bytes of a pipe that somebody has begun to write into, in a temporary file without a name."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not select.select([file], [], [], PIPE_SECONDS)[0]:
            raise DataError(f"{path} is a pipe into which nobody has written for {PIPE_SECONDS:g} s")
        os.set_blocking(file, True)
        kept = tempfile.TemporaryFile("w+b", prefix="fallline-")  # noqa: SIM115
        left = MOST_PIPED
        while piece := os.read(file, PIECE):
            left -= len(piece)
            if left < 0:
                kept.close()
                raise DataError(f"{path}: more than {MOST_PIPED:,} bytes came through this pipe\n  try: a file")
            kept.write(piece)
        kept.flush()
        return kept
    finally:
        os.close(file)


def neighbours(path: Path) -> list[str]:
    """Names of the files in a path's folder, for a suggestion."""
    try:
        return [item.name for item in islice(path.parent.iterdir(), 1000) if item.is_file()]
    except OSError:
        return []
