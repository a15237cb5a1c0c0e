"""`fallline explain` and `fallline lesson`: the right row, the right network, the library's own text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fallline as fl
from fallline import lessons
from fallline.data.sets import load

Shell = Callable[..., Any]  # see conftest


def test_a_row_is_explained_as_the_library_explains_it(shell: Shell) -> None:
    shell("train iris --hidden 4 --epochs 2 --out flowers")
    done = shell("explain flowers --row 77 --weight 0.weight[1,2]")
    run, data = fl.load_run("flowers"), load("iris")
    expected = fl.explain(run, data.x[77], data.classes[data.y[77]], weight="0.weight[1,2]").text(width=100)
    assert done.code == 0
    assert done.out.endswith(expected + "\n")
    assert "'species' is 'versicolor'" in done.out


def test_rows_come_from_the_file_of_the_run_or_from_another(shell: Shell, flowers: Path) -> None:
    shell("train flowers.csv --target kind --hidden 4 --epochs 40 --out kinds")
    assert "'kind' is 'lily'" in shell("explain kinds --row 1").out
    Path("new.csv").write_text("kind,width,length\niris,-6,8\n")
    done = shell("explain kinds --row 0 --data new.csv")
    assert "'kind' is 'iris'" in done.out and "prediction    'iris'" in done.out


def test_a_quantity_is_explained_in_its_own_units(shell: Shell, line: Path) -> None:
    shell("train line.csv --target price --hidden none --epochs 300 --learning-rate 0.05 --out slope")
    done = shell("explain slope --row 10")
    assert "'price' is 120" in done.out
    assert "in its standard deviations" in done.out


def test_columns_of_several_kinds_have_their_places_among_the_inputs_told(shell: Shell) -> None:
    rows = "".join(f"{i % 7},{['red', 'green', 'blue'][i % 3]},{i % 2}\n" for i in range(60))
    Path("mixed.csv").write_text("size,colour,kind\n" + rows)
    for preset in ("fast", "best"):
        shell(f"train mixed.csv --target kind --preset {preset} --hidden 4 --epochs 1 --out {preset}")
        told = " ".join(shell(f"explain {preset} --row 1").out.split())
        assert "columns scaled or coded: size [0], colour [1] to [3]" in told and "standardised" not in told


def test_a_column_is_followed_by_its_name_and_all_forms_are_written(shell: Shell, flowers: Path) -> None:
    shell("train flowers.csv --target kind --hidden 4 --epochs 2 --out kinds")
    done = shell("explain kinds --row 1 --to length --paths 2 --html row.html --latex row.tex --svg row.svg")
    assert done.code == 0 and "One input: x[" in done.out and "(length) = " in done.out
    assert "The step: all parameters move" in done.out and "that of the run" in done.out
    assert "written       row.html: a page" in done.out
    page, tex, svg = (Path(f"row.{end}").read_text() for end in ("html", "tex", "svg"))
    assert page.startswith("<!DOCTYPE html>") and tex.startswith("\\documentclass") and svg.startswith("<svg")
    assert all("target: 'kind' is 'lily'" in text.replace("&#x27;", "'") for text in (page, tex))
    assert "length" in svg
    listed = shell("explain kinds --row 1 --to length --paths all").out
    assert listed.count(" > loss") == int(listed.split("Paths: ")[1].split()[0])


def test_one_network_of_several_is_explained_and_named(shell: Shell) -> None:
    rows = "".join(f"{i % 7},{['red', 'green', 'blue'][i % 3]},{i % 2}\n" for i in range(60))
    Path("mixed.csv").write_text("size,colour,kind\n" + rows)
    shell("train mixed.csv --target kind --preset best --hidden 4 --epochs 1 --out several")
    done = shell("explain several --row 1 --to colour --member 2")
    assert done.code == 0 and "network       2 of 5, which are averaged; alone it says" in done.out
    assert "(colour = " in done.out and "that of the run" in " ".join(done.out.split())
    run = fl.load_run("several")
    x, y = {"size": [1], "colour": ["green"]}, 1
    found = fl.explain(fl.nn.members(run.model)[1], x, [y], to="colour")
    assert f"d loss / d {found.chain[0].name.removeprefix('d loss / d ')}" in done.out


@pytest.mark.parametrize(
    ("flags", "part", "code"),
    [
        ("--row 60", "its rows are 0 to 59", 2),
        ("--row -1", "--row has to be a whole number >= 0", 2),
        ("--row 0.5", "--row", 2),
        ("--weight 0.wieght", "did you mean '0.weight'", 1),
        ("--to lenght", "did you mean 'length'", 1),
        ("--to length --weight 0.weight", "both are given", 1),
        ("--paths some", "--paths is a whole number or all, got 'some'", 2),
        ("--member 2", "there is no network 2: this run has one", 2),
        ("--svg nowhere/net.svg", "there is no folder nowhere", 2),
        ("--data nowhere.csv", "no file 'nowhere.csv'", 1),
        ("--data iris", "the data set 'iris' has other columns", 2),
        ("--data odd.csv", "'tulip', which is not one of 3 classes", 1),
    ],
)
def test_what_cannot_be_explained_is_reported(shell: Shell, flowers: Path, flags: str, part: str, code: int) -> None:
    Path("odd.csv").write_text("length,width,kind\n1,2,tulip\n")
    shell("train flowers.csv --target kind --preset plain --hidden 4 --epochs 1 --out kinds")
    done = shell(f"explain kinds {flags}")
    assert (done.code, done.out) == (code, "")
    assert part in done.err


def test_lessons_are_listed_in_one_line_each(shell: Shell) -> None:
    done = shell("lesson")
    assert done.code == 0
    listed = [line.split()[0] for line in done.out.splitlines() if line][: len(lessons.LESSONS)]
    assert listed == list(lessons.LESSONS)
    assert max(map(len, done.out.splitlines())) <= 100


def test_a_lesson_reports_what_the_library_tells(shell: Shell) -> None:
    done = shell("lesson chain-rule")
    assert (done.code, done.out) == (0, lessons.tell("chain-rule", width=100) + "\n")


def test_the_numbers_of_a_lesson_are_its_flags(shell: Shell) -> None:
    done = shell("lesson descent --steps 2 --learning-rate 0.3")
    expected = lessons.tell("descent", width=100, steps=2, learning_rate=0.3)
    assert (done.code, done.out) == (0, expected + "\n")
    before = shell("lesson --steps 2 descent --learning-rate 0.3")
    assert before.out == done.out


def test_the_help_of_a_lesson_lists_its_numbers_and_its_questions(shell: Shell) -> None:
    told = shell("lesson descent --help").out
    for option in lessons.find("descent").options:
        assert f"--{option.replace('_', '-')} " in told
    assert lessons.command("descent", learning_rate=0.5) in told
    assert "learning-rate NUMBER" not in shell("lesson --help").out


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("lesson descent --lerning-rate 1", "did you mean --learning-rate?\n  try: fallline lesson descent --help"),
        ("lesson descent --steps 0", "--steps has to be a whole number >= 1 and <= 1000, got 0"),
        ("lesson descent --steps many", "--steps has to be a whole number >= 1 and <= 1000, got 'many'"),
        ("lesson chain-rule --steps 3", "there is no option --steps"),
        ("lesson --steps 3", "there is no option --steps"),
    ],
)
def test_a_number_that_a_lesson_does_not_take_is_reported(shell: Shell, line: str, part: str) -> None:
    done = shell(line)
    assert (done.code, done.out) == (2, "")
    assert part in done.err


@pytest.mark.parametrize(("typed", "seen"), [(["", "", ""], 4), (["q"], 1), ([], 1)])
def test_at_a_terminal_a_lesson_waits_after_each_screen(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: list[str], seen: int
) -> None:
    answers = iter(typed)

    def answer(prompt: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("fallline.cli.screen.is_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    told = shell("lesson chain-rule").out
    screens = lessons.screens("chain-rule", width=100)
    assert [text in told for text in screens] == [k < seen for k in range(len(screens))]
    assert all(text in shell("lesson chain-rule --all").out for text in screens)


def test_an_unknown_lesson_is_reported_with_the_nearest(shell: Shell) -> None:
    done = shell("lesson stepsize")
    assert (done.code, "did you mean 'step-size'" in done.err) == (2, True)
