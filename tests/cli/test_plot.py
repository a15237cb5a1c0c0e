"""`fallline plot`: the list, files, characters, races, and errors in the words of the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")


def test_pictures_are_listed_drawn_and_printed(shell: Any, flowers: Path, tmp_path: Path) -> None:
    shell(f"train {flowers} --target kind --epochs 4 --out runs/a")
    listed = shell("plot runs/a")
    assert listed.code == 0
    assert "confusion" in listed.out
    assert re.search(r"^predictions +not here: it predicts classes$", listed.out, re.MULTILINE)
    assert re.search(r"^gradient_against_parameter +not here: ", listed.out, re.MULTILINE)
    drawn = shell("plot runs/a loss")
    assert drawn.code == 0, drawn.err
    assert (tmp_path / "a-loss.png").read_bytes().startswith(b"\x89PNG")
    assert shell("plot runs/a confusion --style screen --out b.svg").code == 0
    assert (tmp_path / "b.svg").is_file()
    text = shell("plot runs/a confusion --text")
    assert "rose" in text.out and "true class" in text.out


def test_a_wrong_line_is_told_in_its_own_words(shell: Any, line: Path) -> None:
    shell(f"train {line} --target price --epochs 2 --out runs/a")
    told = shell("plot runs/a confusion")
    assert told.code == 2
    assert "it predicts numbers" in told.err
    assert "try: fallline plot runs/a predictions" in told.err
    assert "try: fallline train ... --gauges gradient_histogram" in shell("plot runs/a gradient_sizes").err
    assert "did you mean 'loss'" in shell("plot runs/a los").err
    assert "try: --out a.pdf" in shell("plot runs/a loss --out a.gif").err
    assert "one of the two" in shell("plot runs/a loss --text --out a.png").err
    assert "there is no run 'runs/b'" in shell("plot runs/b loss").err
    assert shell("plot runs/a predictions --text").code == 0


def test_a_race_is_drawn_from_its_folder(shell: Any, flowers: Path, tmp_path: Path) -> None:
    shell(f"race {flowers} --target kind --learning-rate 0.001,0.01 --epochs 3 --out runs/rates")
    assert "standings" in shell("plot runs/rates").out
    assert "1  learning-rate-0.01" in shell("plot runs/rates standings --text").out
    assert shell("plot runs/rates rates").code == 0
    assert (tmp_path / "rates-rates.png").is_file()
