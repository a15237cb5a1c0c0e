"""`fallline predict`: the file's rows in their order, through the encoder of the training."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.data.dataset_file import rows_for

Shell = Callable[..., Any]  # see conftest


@pytest.fixture
def trained(shell: Shell, flowers: Path) -> Shell:
    assert shell("train flowers.csv --target kind --preset plain --epochs 40 --out kinds").code == 0
    return shell


def read(path: str) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_predictions_are_the_models_for_the_files_rows(trained: Shell) -> None:
    done = trained("predict kinds flowers.csv --out answers.csv --probabilities")
    assert done.code == 0
    assert "60 predictions of 'kind' written to answers.csv" in done.out
    rows, truth = read("answers.csv"), read("flowers.csv")
    assert len(rows) == 60
    assert [row["prediction"] for row in rows] == [row["kind"] for row in truth]
    run = fl.load_run("kinds")
    x = rows_for(run.model.encoder, "flowers.csv")
    assert run.model.predict(x).tolist() == [row["prediction"] for row in rows]
    p = run.model.predict_proba(x)
    for k, name in enumerate(run.model.classes):
        assert np.array_equal(np.array([row[f"probability_{name}"] for row in rows], np.float32), p[:, k])
    assert np.allclose(p.sum(axis=1), 1, atol=1e-6)


def test_columns_go_by_name_and_others_do_not_matter(trained: Shell) -> None:
    Path("new.csv").write_text("note;width;kind;length\nred;-3.1;?;4.2\n;-6;;8\n")
    done = trained("predict kinds new.csv")
    assert (done.code, done.out) == (0, "prediction\nlily\niris\n")


def test_notes_on_how_a_file_was_read_reach_the_screen(shell: Shell) -> None:
    rows = [f"{name};{i % 7}" for i, name in enumerate(["café", "thé"] * 20)]
    Path("drinks.csv").write_bytes("\n".join(["# a shop", "name;size", *rows]).encode("cp1252"))
    look, train = shell("look drinks.csv"), shell("train drinks.csv --target name --epochs 1 --out drinks")
    predict, evaluate = shell("predict drinks drinks.csv"), shell("evaluate drinks drinks.csv")
    for seen in (look.out, train.out, predict.err, evaluate.err):
        assert "lines that begin with '#' are left out" in seen
        assert "read as cp1252: line 3 has 'café'" in seen


def test_quantities_come_in_the_units_of_the_file(shell: Shell, line: Path) -> None:
    shell("train line.csv --target price --hidden none --epochs 300 --learning-rate 0.05 --out slope")
    Path("new.csv").write_text("size\n1\n2\n")
    done = shell("predict slope new.csv")
    assert np.allclose([float(text) for text in done.out.split()[1:]], [120, 140], atol=1)


BAD = {
    "a column that is missing": ("length,widht\n1,2\n", "", ("no column 'width'", "did you mean 'widht'")),
    "two columns that are missing": ("a,b\n1,2\n", "", ("no column 'length'", "no column 'width'")),
    "text in a column": ("length,width\n1,2\n1,wide\n", "", ("line 3, column 'width': 'wide' is not a number",)),
    "an empty file": ("", "", ("is empty",)),
    "a header alone": ("length,width\n", "", ("no rows",)),
    "an answer over its question": ("length,width\n1,2\n", "--out new.csv", ("is the file that is read",)),
    "an answer to nowhere": ("length,width\n1,2\n", "--out nowhere/a.csv", ("there is no folder nowhere",)),
    "an answer over a folder": ("length,width\n1,2\n", "--out kinds", ("kinds is a folder",)),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_answered_is_reported_and_nothing_is_written(trained: Shell, case: str) -> None:
    text, flags, parts = BAD[case]
    Path("new.csv").write_text(text)
    before = sorted(path.name for path in Path().iterdir())
    done = trained(f"predict kinds new.csv {flags}")
    assert done.code in (1, 2)
    assert done.out == ""
    assert all(part in done.err for part in parts), done.err
    assert "Traceback" not in done.err
    assert sorted(path.name for path in Path().iterdir()) == before
    assert Path("new.csv").read_text() == text


def test_predictions_of_a_float64_network_lose_no_digit(shell: Shell, line: Path) -> None:
    shell("train line.csv --target price --hidden none --epochs 3 --dtype float64 --out slope")
    done = shell("predict slope line.csv")
    run = fl.load_run("slope")
    expected = run.model.predict(rows_for(run.model.encoder, "line.csv"))
    assert [float(text) for text in done.out.split()[1:]] == expected.tolist()


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are made otherwise there")
def test_answers_go_through_links_and_into_pipes_and_replace_neither(trained: Shell) -> None:
    Path("elsewhere.csv").write_text("before")
    Path("link.csv").symlink_to("elsewhere.csv")
    assert trained("predict kinds flowers.csv --out link.csv").code == 0
    assert Path("link.csv").is_symlink()
    assert len(read("elsewhere.csv")) == 60
    os.mkfifo("pipe")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(Path("pipe").read_text)
        assert trained("predict kinds flowers.csv --out pipe").code == 0
        assert reading.result(30) == Path("elsewhere.csv").read_text()
    assert Path("pipe").is_fifo()


def test_runs_that_cannot_answer_are_reported(trained: Shell, line: Path) -> None:
    assert "there is no run 'kind'; did you mean 'kinds'?" in trained("predict kind flowers.csv").err
    assert "is a file, not the folder of a run" in trained("predict kinds/model.safetensors flowers.csv").err
    Path("empty").mkdir()
    assert "no run in empty" in trained("predict empty flowers.csv").err
    trained("train line.csv --target price --epochs 1 --out slope")
    refused = trained("predict slope line.csv --probabilities")
    assert (refused.code, "gives no probabilities" in refused.err) == (2, True)
    trained("train breast-cancer --loss hinge --epochs 1 --out hinge")
    assert "loss hinge" in trained("predict hinge flowers.csv --probabilities").err


def test_a_run_made_in_python_knows_no_columns(trained: Shell) -> None:
    fl.fit(fl.nn.Sequential(fl.nn.Dense(1)), (np.zeros((4, 2)), np.arange(4.0)), loss="squared_error", out="plain")
    refused = trained("predict plain flowers.csv")
    assert (refused.code, "knows no columns" in refused.err) == (1, True)


def test_nothing_is_predicted_from_the_file_a_person_can_edit(trained: Shell) -> None:
    answers = trained("predict kinds flowers.csv --probabilities").out
    path = Path("kinds/config.json")
    text = path.read_text()
    for damaged in (text.replace("lily", "rose"), text.replace("0.", "1."), "", "{"):
        path.write_text(damaged)
        assert trained("predict kinds flowers.csv --probabilities").out == answers
    path.unlink()
    assert trained("predict kinds flowers.csv --probabilities").out == answers


def test_a_damaged_model_is_reported(trained: Shell) -> None:
    path = Path("kinds/model.safetensors")
    path.write_bytes(path.read_bytes()[:40])
    for checkpoint in Path("kinds/checkpoints").iterdir():
        checkpoint.unlink()
    refused = trained("predict kinds flowers.csv")
    assert refused.code == 1
    assert "model.safetensors" in refused.err and "Traceback" not in refused.err


def test_a_file_of_another_dialect_than_the_training_s_is_read_as_it_is(shell: Shell, flowers: Path) -> None:
    Path("bars.txt").write_text(flowers.read_text().replace(",", "#"))
    shell("train bars.txt --target kind --delimiter # --hidden 4 --epochs 2 --out kinds")
    told = [shell(f"predict kinds {file}") for file in ("bars.txt", "flowers.csv")]
    assert told[0].code == told[1].code == 0 and told[0].out == told[1].out
