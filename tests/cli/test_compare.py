"""`fallline compare`: the library's own text, in a shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fallline as fl

Shell = Callable[..., Any]  # see conftest


def test_two_runs_are_compared_as_the_library_compares_them(shell: Shell) -> None:
    shell("train iris --hidden 4 --epochs 2 --out a")
    shell("train iris --hidden 4 --epochs 2 --learning-rate 0.02 --out b")
    done = shell("compare a b")
    assert done.code == 0 and done.out == fl.difference("a", "b").text(width=100) + "\n"
    assert "they part in step 0 (epoch 0): the same gradient is followed by another update" in done.out
    found = json.loads(shell("compare a b --json").out)
    assert found["parting"]["what"] == "update" and found["names"] == ["a", "b"]
    assert "no step was compared" in shell("compare a b --steps 0").out


def test_data_that_are_gone_are_told_and_the_rest_is_compared(shell: Shell, line: Path) -> None:
    shell("train line.csv --target price --hidden 2 --epochs 2 --out a")
    shell("train line.csv --target price --hidden 2 --epochs 2 --seed 1 --out b")
    assert "they part before the first step" in shell("compare a b").out
    line.unlink()
    done = shell("compare a b")
    assert done.code == 0 and "not compared: a: its rows could not be read again" in done.out
    assert "seed" in done.out


def test_wrong_folders_are_one_line(shell: Shell) -> None:
    done = shell("compare nowhere nowhere")
    assert done.code == 2 or "no run" in done.err
    assert shell("compare nowhere").code == 2
