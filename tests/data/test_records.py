"""Paths that are no files of lines raise with a message: devices, folders, pipes and lines without an end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fallline.data import records
from fallline.errors import DataError

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")


def read(path: Path) -> int:
    with records.open_records(path) as found:
        return sum(len(block.rows) for block in found.blocks)


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="this system has no such devices")
@pytest.mark.parametrize("device", ["zero", "random", "null", "tty"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(DataError, match=f"^/dev/{device} is a device, not a CSV file$"):
        read(Path("/dev", device))


def test_a_link_to_a_device_is_one_too(tmp_path: Path) -> None:
    if not Path("/dev/zero").is_char_device():
        pytest.skip("this system has no such devices")
    (tmp_path / "data.csv").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"data\.csv is a device"):
        read(tmp_path / "data.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read(tmp_path)


def test_a_line_without_an_end_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST_LINE", 1000)
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n" + b"\0" * 5000)
    with pytest.raises(DataError, match=r"a\.csv, line 3: longer than 1,000 characters"):
        read(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(b"a,b\n1,\xff\n" + b"\0" * 5000)
    with pytest.raises(DataError, match="line 2: byte 0xff is not UTF-8"):
        read(tmp_path / "b.csv")


@contextmanager
def pipe(path: Path, text: bytes, again: int = 1) -> Iterator[Path]:
    """A pipe that somebody writes into, until nobody reads it any more."""

    def write() -> None:
        with open(path, "wb") as file:
            try:
                for _ in range(again):
                    file.write(text)
                file.flush()
            except BrokenPipeError:
                file.raw.close()

    os.mkfifo(path)
    writer = threading.Thread(target=write)
    writer.start()
    yield path
    writer.join()


@needs_pipes
def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    with pipe(tmp_path / "p.csv", b"a,b\n1,2\n3,4\n") as path:
        assert read(path) == 2


@needs_pipes
def test_a_pipe_without_an_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_PIPED", 10_000)
    with (
        pipe(tmp_path / "p.csv", b"1,2\n", 10**6) as path,
        pytest.raises(DataError, match="more than 10,000 characters"),
    ):
        read(path)
    with pipe(tmp_path / "q.csv", b"1,\xff\n") as path, pytest.raises(DataError, match=r"q\.csv is not UTF-8 text"):
        read(path)


@needs_pipes
def test_a_pipe_into_which_nobody_writes_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PIPE_SECONDS", 0.05)
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(DataError, match="is a pipe into which nobody has written for"):
        read(tmp_path / "p.csv")
