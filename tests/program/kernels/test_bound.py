"""The cache of kernels stays below its bound: oldest first, in all versions, with other processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fallline
from fallline.program.kernels import bound

SOURCE = str(Path(fallline.__file__).parents[1])


def kernel(root, version, name, size, age):
    """A file of so many bytes that was last used so many hours ago."""
    folder = root / version
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(b"x" * size)
    then = time.time() - age * bound.HOUR
    os.utime(path, (then, then))
    os.utime(folder, (then, then))
    return path


def left(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


OLD, NEW = "0" * 16, "1" * 16


def test_what_was_not_used_for_longest_goes_first_whatever_version_made_it(tmp_path):
    for age in range(6):
        kernel(tmp_path, (OLD, NEW)[age % 2], f"{age}.kernel", 100, age)
    bound.prune(tmp_path, 350, tmp_path / NEW)
    assert left(tmp_path) == [f"{OLD}/0.kernel", f"{OLD}/2.kernel", f"{NEW}/1.kernel"]


def test_below_the_bound_nothing_goes_and_of_nothing_nothing_stays(tmp_path):
    kernel(tmp_path, OLD, "a.kernel", 100, 5)
    bound.prune(tmp_path, 100, tmp_path / NEW)
    assert left(tmp_path) == [f"{OLD}/a.kernel"]
    bound.prune(tmp_path, 0, tmp_path / NEW)
    assert left(tmp_path) == []


def test_empty_folders_of_old_versions_go_and_the_one_in_use_stays(tmp_path):
    for version in (OLD, NEW):
        kernel(tmp_path, version, "a.kernel", 10, 5).unlink()
        then = time.time() - 5 * bound.HOUR
        os.utime(tmp_path / version, (then, then))
    bound.prune(tmp_path, 100, tmp_path / NEW)
    assert [path.name for path in tmp_path.iterdir()] == [NEW]


def test_files_in_the_making_stay_and_those_of_killed_processes_go(tmp_path):
    kernel(tmp_path, NEW, "young.tmp", 10, 0.1)
    kernel(tmp_path, NEW, "old.tmp", 10, 2)
    bound.prune(tmp_path, 100, tmp_path / NEW)
    assert left(tmp_path) == [f"{NEW}/young.tmp"]


def test_only_folders_of_versions_are_touched_and_links_are_not_followed(tmp_path):
    root, other = tmp_path / "fallline", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    kernel(root, "runs", "theta.kernel", 100, 900)
    kernel(other, OLD, "a.kernel", 100, 900)
    (root / NEW).symlink_to(other / OLD)
    bound.prune(root, 0, root / OLD)
    assert left(tmp_path) == [f"other/{OLD}/a.kernel", "fallline/runs/theta.kernel"][::-1]


def test_what_cannot_be_deleted_or_read_stays(tmp_path, monkeypatch):
    kernel(tmp_path, OLD, "a.kernel", 100, 5)

    def refused(*what, **more):
        raise PermissionError("read-only")

    for owner, verb in ((bound.Path, "unlink"), (bound.os, "scandir")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, verb, refused)
            bound.prune(tmp_path, 0, tmp_path / NEW)
    assert left(tmp_path) == [f"{OLD}/a.kernel"]
    bound.prune(tmp_path / "nowhere", 0, tmp_path / NEW)


@pytest.mark.parametrize(
    ("given", "bytes_"),
    [("", 256e6), ("0", 0), ("1.5", 1.5e6), ("-3", 256e6), ("inf", 256e6), ("nan", 256e6), ("x", 256e6)],
)
def test_the_setting_is_in_megabytes(monkeypatch, given, bytes_):
    monkeypatch.setenv(bound.SETTING, given)
    assert bound.most_bytes() == bytes_


PROBE = """
import sys
sys.path.insert(0, {source!r})
import numpy as np
import fallline as fl
x = np.linspace(0, 1, 50)
for k in range(4):
    f = [np.tanh, np.exp, np.square, np.sin][(k + int(sys.argv[1])) % 4]
    assert np.allclose(fl.compile(lambda x: f(x) * x)(x), f(x) * x)
"""


def test_processes_that_delete_one_anothers_kernels_go_on(tmp_path):
    environment = {**os.environ, "FALLLINE_CACHE": str(tmp_path), bound.SETTING: "0.004"}
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", PROBE.format(source=SOURCE), str(i)], env=environment)
        for i in range(3)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.kernel")) < 30_000
