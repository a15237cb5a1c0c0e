"""Files that are whole or absent; folders that one process writes at a time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fallline.errors import ArgumentError, ExistingFileError
from fallline.runs import disk
from fallline.runs.disk import locked, write_atomically, write_json

SRC = Path(__file__).parents[2] / "src"


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, lambda part: part.write_text("old"))

    def dies(part: Path) -> None:
        part.write_text("ne")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(path, dies)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_gets_the_permissions_of_any_other(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are made otherwise there")
def test_a_link_stays_a_link_and_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for text in ("new", "newer"):
        write_atomically(tmp_path / "link", lambda part, text=text: part.write_text(text))
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "file").read_text() == text
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExistingFileError, match="is no file"):
        write_atomically(tmp_path / "pipe", lambda part: part.write_text("x"))
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "pipe"]


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert os.listdir(tmp_path) == []


def test_a_held_folder_is_refused_with_the_holder_s_number(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(ArgumentError, match=f"process {os.getpid()}"), locked(tmp_path):
        pass
    with locked(tmp_path):  # and is free again
        pass
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_locks_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def unknown(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locked(tmp_path):
        (tmp_path / "a").touch()
    assert os.listdir(tmp_path) == ["a"]


def test_a_lock_file_left_behind_by_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom fallline.runs.disk import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ArgumentError, match=f"process {other.pid}"), locked(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"process {os.getpid()}\n"
    assert not (tmp_path / "lock").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the call is of macOS")
@pytest.mark.parametrize("knows", [True, False])
def test_where_fsync_stops_short_of_the_disk_the_call_that_does_not_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    called: list[str | int] = []

    def full(descriptor: int, command: int) -> None:
        called.append(command)
        if not knows:  # as on a network file system
            raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(disk, "_FULL_SYNC", 51)
    monkeypatch.setattr(disk.fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda descriptor: called.append("fsync"))
    write_atomically(tmp_path / "a.txt", lambda part: part.write_text("a", encoding="utf-8"))
    assert called == ([51, 51] if knows else [51, "fsync", 51, "fsync"])


def test_files_of_the_package_are_synced_in_one_place() -> None:
    found = [path.name for path in SRC.rglob("*.py") if "os.fsync(" in path.read_text(encoding="utf-8")]
    assert found == ["disk.py"]
