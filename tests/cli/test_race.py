"""`fallline race`: each variant agrees with `fallline train` and its flags; the table, the winner, the ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

import fallline as fl
from fallline.cli.exits import DIVERGED, FAILED, INTERRUPTED, OK, USAGE
from fallline.training.stepper import BatchStepper

Shell = Callable[..., Any]  # see conftest


def fact(out: str, name: str) -> str:
    """The second column of a line."""
    return next(line for line in out.splitlines() if line.startswith(name + " ")).removeprefix(name).strip()


def rows(out: str) -> list[list[str]]:
    """The lines of the table, each cut at its gaps."""
    table = out.split("─\n", 1)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]


def test_the_winner_alone_is_the_same_network(shell: Shell) -> None:
    done = shell("race iris --hidden 4;8,4 --learning-rate 0.001,0.02 --seed 1,2 --epochs 20 --out runs/eight")
    assert done.code == OK
    assert len(rows(done.out)) == 8
    alone = fact(done.out, "alone").removeprefix("fallline ")
    assert shell(f"{alone} --out runs/alone").code == OK
    won = fact(done.out, "saved").split(", and the others")[0]
    winner, single = fl.load_run(won), fl.load_run("runs/alone")
    assert winner.model.theta.tobytes() == single.model.theta.tobytes()
    again = shell(f"{alone} --out runs/alone --overwrite")
    assert fact(again.out, "test") == fact(done.out, "test")


def test_every_combination_is_a_variant_and_they_are_sorted(shell: Shell) -> None:
    done = shell("race wine --optimizer adam,momentum --learning-rate 0.01,0.1,0.01 --batch-size 8,full --epochs 10")
    found = rows(done.out)
    assert len(found) == 8
    assert [int(row[0]) for row in found] == list(range(1, 9))
    losses = [float(row[-3]) for row in found]
    assert losses == sorted(losses)
    assert "race          8 variants" in done.out
    assert not os.path.exists("runs")


def test_output_that_nobody_watches_is_a_few_plain_lines(shell: Shell) -> None:
    done = shell("race iris --epochs 2 --seed " + ",".join(map(str, range(37))))
    lines = [line for line in done.out.splitlines() if "/37 ended" in line]
    assert 2 <= len(lines) <= 10
    assert lines[-1].startswith("37/37 ended   seed ")
    assert "\x1b" not in done.out and "\r" not in done.out


def test_one_that_diverges_stands_last_and_all_that_do_are_no_winner(shell: Shell) -> None:
    done = shell("race diabetes --learning-rate 1e30,0.001 --epochs 3")
    assert done.code == OK
    assert [row[-1] for row in rows(done.out)] == ["done", "diverged"]
    assert fact(done.out, "best") == "learning rate 0.001"
    done = shell("race diabetes --learning-rate 1e30,1e31 --epochs 3")
    assert done.code == DIVERGED
    assert "best          none: every variant diverged or failed" in done.out


def test_a_race_goes_on_where_it_was(shell: Shell) -> None:
    line = "race iris --seed 0,1 --hidden 4 --out runs/two --epochs "
    assert shell(line + "3").code == OK
    refused = shell(line + "6")
    assert refused.code == FAILED
    assert "--overwrite to replace it, --resume to go on" in refused.err
    assert shell(line + "6 --resume").code == OK
    assert shell("train iris --seed 1 --hidden 4 --out runs/one --epochs 6").code == OK
    whole, resumed = fl.load_run("runs/one"), fl.load_run("runs/two/seed-1")
    assert whole.model.theta.tobytes() == resumed.model.theta.tobytes()


def test_ctrl_c_shows_how_all_stand(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    run, sent = BatchStepper._run, []

    def and_then(self: BatchStepper, limit: int) -> int:
        if self.epoch > 20 and not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)
        return run(self, limit)

    monkeypatch.setattr(BatchStepper, "_run", and_then)
    done = shell("race iris --seed 0,1,2 --epochs 100000 --threads 1")
    assert done.code == INTERRUPTED
    assert [row[-1] for row in rows(done.out)] == ["interrupted"] * 3
    assert "interrupted" in fact(done.out, "ended")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("race iris --learning-rate 0.1,abc", ["--learning-rate takes numbers such as 0.001,0.01, got '0.1,abc'"]),
        ("race iris --seed 1.5", ["--seed takes whole numbers such as 0,1,2, got '1.5'"]),
        ("race iris --optimizer ,", ["--optimizer takes a name or several, got ','"]),
        (
            "race iris --optimizer adma,momentum --learning-rate 0.1,-1",
            ["did you mean 'adam'?", "--learning-rate has to be a number > 0, got -1.0"],
        ),
        ("race iris --hidden 8;0", ["--hidden takes widths such as 64 or 128,64, or none, got '0'"]),
        ("race iris --threads 0", ["--threads has to be a whole number >= 1"]),
        ("race iris --resume", ["--resume needs the folder of the run: --out FOLDER"]),
        ("race iris --seed " + ",".join(map(str, range(1001))), ["1,001 variants, and 1,000 is the most"]),
        ("race irsi", ["did you mean 'iris'?"]),
    ],
)
def test_a_mistake_is_reported_in_a_few_lines(shell: Shell, line: str, told: list[str]) -> None:
    done = shell(line)
    assert done.code == USAGE
    for text in told:
        assert text in done.err
    assert done.err.count("adma") <= 1
    assert done.out == ""


def test_a_terminal_sees_results_that_change(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline.cli import screen
    from fallline.experiments import contest as race

    monkeypatch.setattr(screen, "is_terminal", lambda: True)
    monkeypatch.setattr(race, "_FIRST_STANDINGS", 1e-3)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = shell("race iris --seed 0,1,2 --epochs 20000")
    assert done.code == OK
    assert "running" in done.out
    assert "/3 ended" not in done.out
    assert [row[-1] for row in rows(done.out.rsplit("\x1b[2K", 1)[-1])] == ["done"] * 3
