"""Checkpoints come back to the bit, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fallline.runs import checkpoint
from fallline.runs.checkpoint import Checkpoint


def example(step: int = 7) -> Checkpoint:
    rng = np.random.default_rng(step)
    arrays = {
        "theta": rng.standard_normal(10).astype(np.float32)[::2],  # not contiguous, on purpose
        "optimizer.m": np.array([np.nan, -0.0, np.inf]),
        "step": np.array(step),
        "empty": np.zeros((0, 3)),
    }
    return Checkpoint(arrays, {"epoch": step // 3, "best": {"loss": None}})


def test_arrays_and_values_come_back_to_the_bit(tmp_path: Path) -> None:
    given = example()
    back = checkpoint.read(checkpoint.write(tmp_path / "c", 7, given))
    assert back is not None
    assert back.values == given.values
    assert back.arrays.keys() == given.arrays.keys()
    for name, array in given.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].shape == array.shape
        assert back.arrays[name].tobytes() == array.tobytes()


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 20, 300):
        checkpoint.write(tmp_path, step, example(step))
    assert [path.name for path in checkpoint.paths_in(tmp_path)] == [
        "step-000000000300.safetensors",
        "step-000000000020.safetensors",
    ]


def test_a_file_cut_short_anywhere_is_reported_and_the_one_before_is_used(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, 1, example(1))
    path = checkpoint.write(tmp_path, 2, example(2))
    whole = path.read_bytes()
    for length in [*range(40), *range(40, len(whole), 17), len(whole) - 1]:
        path.write_bytes(whole[:length])
        found, damaged = checkpoint.newest(tmp_path)
        assert damaged == [path]
        assert found is not None
        assert found.values == example(1).values


def test_a_single_changed_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, 1, example(1))
    whole = path.read_bytes()
    given = example(1)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        back = checkpoint.read(path)
        # A few bytes of the header (blanks, the form's number) say nothing about what is in the file.
        if back is not None:
            assert back.values == given.values
            assert all(back.arrays[name].tobytes() == array.tobytes() for name, array in given.arrays.items())


def test_no_checkpoint_is_found_where_there_is_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "nowhere") == (None, [])
    (tmp_path / "step-1.part").write_text("")
    assert checkpoint.newest(tmp_path) == (None, [])


@pytest.mark.parametrize("text", [b"", b"\xff" * 100, b'{"json": true}'])
def test_a_file_of_something_else_is_no_checkpoint(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "step-000000000001.safetensors"
    path.write_bytes(text)
    assert checkpoint.read(path) is None


def test_whoever_may_read_other_files_may_read_these(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = checkpoint.write(tmp_path / "c", 7, example())
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
