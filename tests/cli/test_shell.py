"""The command line as a whole: help, exit codes, and that no mistake ends in a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fallline.cli import shell as shell_module
from fallline.cli.commands import COMMANDS
from fallline.cli.exits import MEANINGS
from fallline.errors import FalllineError

Shell = Callable[..., Any]  # see conftest


def test_help_names_every_command_and_every_exit_code(shell: Shell) -> None:
    done = shell("--help")
    assert (done.code, done.err) == (0, "")
    for command in COMMANDS.values():
        assert command.name in done.out and command.doc in done.out
    for code, meaning in MEANINGS.items():
        assert f"{code}  {meaning}" in done.out
    assert shell("").out == done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(shell: Shell, name: str) -> None:
    done = shell(f"{name} --help")
    assert done.code == 0
    assert "xamples:" in done.out or "examples:" in done.out
    assert f"fallline {name}" in done.out


def test_help_names_what_can_be_chosen_and_its_ranges(shell: Shell) -> None:
    from fallline.nn import ACTIVATIONS, LOSSES
    from fallline.optim import OPTIMIZERS, SCHEDULES

    out = " ".join(shell("train --help").out.split())
    for name in [*LOSSES, *OPTIMIZERS, *SCHEDULES, *(set(ACTIVATIONS) - {"softmax"})]:
        assert name in out
    assert "passes over the training rows; with preset plain as long as the validation loss falls (>= 1)" in out


def test_the_version_is_reported(shell: Shell) -> None:
    import fallline

    assert shell("--version").out == f"fallline {fallline.__version__}\n"


# Command line -> exit code and what the message has to say. Files are made by `bad_files`.
BAD_LINES: dict[str, tuple[int, tuple[str, ...]]] = {
    "trian digits": (2, ("trian", "did you mean 'train'", "fallline --help")),
    "train": (2, ("DATA", "fallline train --help")),
    "train digits more": (2, ("more",)),
    "train digits --hiden 3": (2, ("--hiden", "--hidden")),
    "train digts": (2, ("no data set and no file 'digts'", "did you mean 'digits'")),
    "train nowhere.csv --target y": (1, ("no file 'nowhere.csv'",)),
    "train good.cvs --target y": (1, ("no file 'good.cvs'; did you mean 'good.csv'",)),
    "train good.csv": (2, ("which column of good.csv", "--target", "'a', 'b', 'y'")),
    "train good.csv --target z": (1, ("no column 'z'", "columns: 'a', 'b', 'y'")),
    "train digits --target y": (2, ("its own target, 'digit'",)),
    "train good.csv --target y --task clasification": (2, ("did you mean 'classification'",)),
    "train empty.csv --target y": (1, ("empty.csv is empty",)),
    "train header.csv --target y": (1, ("no rows",)),
    "train one.csv --target y": (1, ("the one class 'a'",)),
    "train short.csv --target y": (1, ("line 3: 2 fields where the header names 3 columns",)),
    "train binary.csv --target y": (1, ("the one class 'é'",)),
    "train . --target y": (1, ("empty.csv is empty",)),
    "train iris --hidden 0": (2, ("--hidden takes widths", "'0'")),
    "train iris --hidden 8,x": (2, ("--hidden takes widths", "'8,x'")),
    "train iris --batch-size 0": (2, ("--batch-size is a number of rows",)),
    "train iris --batch-size half": (2, ("--batch-size", "auto or full, got 'half'")),
    "train iris --epochs 0": (2, ("--epochs has to be a whole number >= 1, got 0",)),
    "train iris --epochs many": (2, ("--epochs has to be a whole number >= 1, got 'many'",)),
    "train iris --learning-rate -1 --epochs 0": (2, ("--learning-rate has to be a number > 0", "and --epochs")),
    "train iris --learning-rate nan": (2, ("--learning-rate",)),
    "train iris --validation 1": (2, ("--validation has to be a number >= 0 and < 1",)),
    "train iris --test 1.5": (2, ("--test has to be",)),
    "train iris --threads 0": (2, ("--threads has to be a whole number >= 1",)),
    "train iris --threads 1000": (2, ("--threads is a whole number from 1 to", "on this machine, got 1000")),
    "race iris --seed 0,1 --threads 1000": (2, ("--threads is a whole number from 1 to", "got 1000")),
    "train iris --seed -1": (2, ("--seed has to be",)),
    "train iris --dtype float16": (2, ("--dtype has to be 'float32' | 'float64'",)),
    "train iris --activation rellu": (2, ("--activation", "did you mean 'relu'")),
    "train iris --optimizer adma": (2, ("--optimizer", "did you mean 'adam'")),
    "train iris --schedule cosin": (2, ("--schedule", "did you mean 'cosine'")),
    "train iris --loss hubber": (2, ("--loss", "did you mean 'huber'")),
    "train iris --loss hinge": (2, ("learns two classes", "3 classes", "cross_entropy")),
    "train iris --loss huber": (2, ("learns a quantity", "3 classes")),
    "train diabetes --loss cross_entropy": (2, ("learns classes", "is a quantity")),
    "train diabetes --loss huber --label-smoothing 0.1": (2, ("goes with --loss cross_entropy",)),
    "train iris --resume": (2, ("--resume needs the folder",)),
    "train iris --out good.csv": (1, ("good.csv is a file",)),
    "train iris --resume --overwrite --out x": (1, ("exclude each other",)),
    "train iris --lr 1": (2, ("there is no option --lr; did you mean --learning-rate?",)),
    "train iris --epoch 1": (2, ("did you mean --epochs?",)),
    "train iris --verbose": (2, ("no option --verbose\n  try: fallline train --help",)),
    "train iris --seed=x": (2, ("--seed has to be a whole number >= 0", "got 'x'")),
    "fit iris": (2, ("no command 'fit'; did you mean 'train'?", "commands: look, train, ")),
    "version": (2, ("no command 'version'\n",)),
    "predict good.csv good.csv": (1, ("good.csv is a file, not the folder of a run\n",)),
    "predict": (2, ("RUN",)),
    "predict nowhere good.csv": (1, ("there is no run 'nowhere'",)),
    "explain nowhere": (1, ("there is no run 'nowhere'",)),
    "bench --rounds 0": (2, ("--rounds",)),
}


@pytest.fixture
def bad_files(tmp_path: Path) -> None:
    files = {
        "good": "a,b,y\n" + "1,2,0\n3,4,1\n" * 9,
        "empty": "",
        "header": "a,b,y\n",
        "text": "a,b,y\n1,2,0\n1,two,1\n",
        "once": "a,y\n1,a\n2,b\n3,a\n4,b\n5,c\n",
        "one": "a,y\n1,a\n2,a\n",
        "short": "a,b,y\n1,2,0\n1,2\n",
        "binary": "a,b,y\n1,2,é\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_bytes(text.encode("latin-1"))


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_mistake_is_reported_in_a_few_lines_and_leaves_nothing_behind(
    shell: Shell, bad_files: None, tmp_path: Path, line: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = shell(line)
    code, parts = BAD_LINES[line]
    message = done.err.lower()
    assert done.code == code, done.err
    assert done.out == ""
    assert all(part.lower() in message for part in parts), done.err
    assert "traceback" not in message and len(done.err.splitlines()) <= 8
    assert sorted(tmp_path.rglob("*")) == before


def test_debug_shows_where_an_error_comes_from(shell: Shell) -> None:
    with pytest.raises(FalllineError, match="no file"):
        shell("train nowhere.csv --target y --debug")


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (MemoryError(), 1, "out of memory"),
        (OSError(28, "No space left on device", "runs/x"), 1, "runs/x: No space left on device"),
        (PermissionError(13, "Permission denied", "runs"), 1, "runs: Permission denied"),
        (ZeroDivisionError("oh"), 1, "ZeroDivisionError: oh\n  this should not happen; with --debug"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_anything_else_that_goes_wrong_is_reported_too(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, part: str
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr(shell_module, "dispatch", fail)
    done = shell("train iris")
    assert (done.code, done.out) == (code, "")
    assert part in done.err


def test_ctrl_c_while_the_words_are_read_is_no_success(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fallline.cli.flags.check", interrupted)
    done = shell("train iris")
    assert (done.code, done.err) == (130, "error: interrupted\n")
