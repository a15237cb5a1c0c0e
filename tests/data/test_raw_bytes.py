"""Bytes of a path: compression, pipes, devices, folders, files that change while they are read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from fallline.data import raw_bytes
from fallline.data.files import open_file, read_table
from fallline.errors import DataError

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
TEXT = b"a,b\n" + b"1.5,x\n" * 40_000


def zipped(data: bytes) -> bytes:
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", data)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return bytes(out.getvalue())


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zstd": zstd, "zip": zipped,
}  # fmt: skip


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_compressed_file_is_read_whatever_its_name_and_a_broken_one_is_an_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "data.csv"
    whole = COMPRESS[kind](TEXT)
    path.write_bytes(whole)
    assert read_table(path).rows == 40_000
    path.write_bytes(whole[:-20])
    with pytest.raises(DataError, match=rf"data\.csv cannot be read as {kind}"):
        read_table(path)
    ragged = TEXT + b"1\n" + TEXT[4:]
    path.write_bytes(COMPRESS[kind](ragged))
    with pytest.raises(DataError, match=r"data\.csv, line 40002: 1 field"):
        read_table(path)


def test_members_of_a_compressed_file_follow_one_another(tmp_path: Path) -> None:
    for kind in ("gzip", "bz2", "xz", "zstd"):
        (tmp_path / "data.csv").write_bytes(COMPRESS[kind](TEXT) + COMPRESS[kind](TEXT[4:]))
        assert read_table(tmp_path / "data.csv").rows == 80_000


def test_an_archive_of_several_files_names_them(tmp_path: Path) -> None:
    for names, told in ((("a.csv", "b.csv"), "archive of 2 files: 'a.csv', 'b.csv'"),
                        (("[Content_Types].xml", "x"), "workbook of a spreadsheet")):  # fmt: skip
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            for name in names:
                archive.writestr(name, "a,b\n1,2\n")
        with pytest.raises(DataError, match=told):
            read_table(tmp_path / "data.zip")


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="this system has no such devices")
@pytest.mark.parametrize("device", ["zero", "random", "null", "tty"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(DataError, match=f"^/dev/{device} is a device, not a file of rows$"):
        read_table(Path("/dev", device))


def test_a_link_to_a_device_is_one_too(tmp_path: Path) -> None:
    if not Path("/dev/zero").is_char_device():
        pytest.skip("this system has no such devices")
    (tmp_path / "data.csv").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"data\.csv is a device"):
        read_table(tmp_path / "data.csv")


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
def test_a_pipe_is_read_to_its_end_and_more_than_once(tmp_path: Path) -> None:
    with pipe(tmp_path / "p.csv", b"a,b\n1,2\n3,4\n") as path:
        file = open_file(path)
        assert [sum(piece.rows for piece in file.pieces()) for _ in range(2)] == [2, 2]


@needs_pipes
def test_a_pipe_without_an_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_bytes, "MOST_PIPED", 10_000)
    with (
        pipe(tmp_path / "p.csv", b"1,2\n", 10**6) as path,
        pytest.raises(DataError, match="more than 10,000 bytes"),
    ):
        read_table(path)


@needs_pipes
def test_a_pipe_into_which_nobody_writes_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_bytes, "PIPE_SECONDS", 0.05)
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(DataError, match="is a pipe into which nobody has written for"):
        read_table(tmp_path / "p.csv")


@pytest.mark.parametrize("change", ["longer", "another", "gone"])
def test_a_file_that_changes_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("fallline.data.delimited.PIECE", 50)
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 100)
    file = open_file(path)
    rows = file.pieces()
    next(rows)
    if change == "longer":
        with path.open("ab") as more:
            more.write(b"3,4\n")
    elif change == "another":
        (tmp_path / "new.csv").write_bytes(b"a,b\n5,6\n")
        (tmp_path / "new.csv").replace(path)
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"data\.csv changed while it was read"):
        list(rows)


def test_a_file_is_closed_when_reading_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.data.delimited.PIECE", 50)
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 100)
    before = threading.active_count()
    for pieces in (1, 4):
        rows = open_file(path).pieces()
        for _ in range(pieces):
            next(rows)
        del rows
    assert threading.active_count() == before


def test_a_file_that_is_not_there_is_reported_with_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,y\n1,2\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"dta\.csv'; did you mean 'data.csv'"):
        read_table(tmp_path / "dta.csv")
    with pytest.raises(FileNotFoundError, match="no file"):
        read_table(tmp_path / "nowhere" / "data.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table("nul\0l.csv")
