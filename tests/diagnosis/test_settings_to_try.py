"""Commands to try: they make the run's own training again, but for the one setting that they change."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fallline as fl
from fallline.cli import main
from fallline.diagnosis.case import Case
from fallline.diagnosis.settings_to_try import as_typed, setting
from fallline.insight.opened import opened

TABLE = "id;a;b;when;kind\n" + "".join(
    f"{i};{i % 7},5;{'xyz'[i % 3]};{i % 28 + 1}/3/2024;{('yes', 'no')[i % 7 > 3]}\n" for i in range(60)
)
LINES = [
    "iris --epochs 2 --hidden 8 --activation tanh --optimizer gradient_descent --batch-size full --learning-rate 0.1",
    "diabetes --epochs 2 --hidden none --seed 3 --test 0.3 --validation 0 --clip-norm 1.5 --dtype float64",
    "flats.csv --target kind --preset fast --epochs 2 --validation 0.2 --drop id --as 'a=number,when=d/m/y'"
    " --delimiter ';' --decimal , --metrics f1,log_loss --watch f1 --hidden 8,4 --label-smoothing 0.05",
    "flats.csv --target kind --task classification --epochs 2 --features a,b --group b --preset plain --skip 0",
]


def made(line: str, folder: str) -> Any:
    assert main([*shlex.split(f"train {line}"), "--no-compare", "--out", folder]) == 0
    return json.loads(Path(folder, "config.json").read_text())["extra"]


@pytest.mark.parametrize("line", LINES)
def test_the_command_with_another_seed_trains_the_same_otherwise(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flats.csv").write_text(TABLE)
    asked = made(line, "runs/a b")
    found = opened("runs/a b")
    command = as_typed(Case(found, found.parts[0]), "seed", 7)
    assert command.startswith(f"fallline train {line.split()[0]} "), command
    again = made(command.removeprefix("fallline train "), "runs/again")
    asked["training"]["choices"]["seed"] = 7
    assert again == asked


def test_a_run_whose_flags_were_not_kept_is_told_the_flag_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(LINES[0], "runs/old")
    config = json.loads(json.dumps(fl.load_run("runs/old").config))
    del config["extra"]["training"]  # which the first versions did not write
    found = opened(replace(fl.load_run("runs/old"), config=config))
    case = Case(found, found.parts[0])
    assert setting(case, "epochs", 40) == "the command that made this run, with --epochs 40"
