"""Fixtures of the tests of the command line: an empty folder to stand in, small files, and a function that runs a
line."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fallline.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


# No flag: a word for `shell` that leaves the comparison in.
COMPARE = "(compare)"

Shell = Callable[..., Outcome]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs a command line in this process, in an empty folder: shell("train iris --epochs 2")."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(line: str, *more: str) -> Outcome:
        capsys.readouterr()
        words = [*line.split(), *more]
        # The simpler models take longer than the trainings here; tests of them take --compare away again.
        if words[:1] in (["train"], ["race"]) and COMPARE not in words:
            words.append("--no-compare")
        code = main([word for word in words if word != COMPARE])
        seen = capsys.readouterr()
        return Outcome(code, seen.out, seen.err)

    return run


FLOWERS = ("rose", "lily", "iris")


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Three classes that are easy to tell apart: the class moves both columns; 60 rows."""
    draw = random.Random(0)
    lines = ["length,width,kind"]
    for i in range(60):
        k = i % 3
        lines.append(f"{4 * k + draw.gauss(0, 0.3):.3f},{draw.gauss(0, 0.3) - 3 * k:.3f},{FLOWERS[k]}")
    path = tmp_path / "flowers.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A quantity, price = 100 + 20 size, with 50 rows."""
    path = tmp_path / "line.csv"
    path.write_text("size,price\n" + "".join(f"{i / 10},{100 + 2 * i}\n" for i in range(50)))
    return path
