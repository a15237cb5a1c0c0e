"""`fallline export`: a run folder as a file that onnxruntime reads, with the columns of the training's file."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    onnxruntime = pytest.importorskip("onnxruntime")

Shell = Callable[..., Any]  # see conftest


def test_the_exported_file_answers_as_predict_does(shell: Shell, flowers: Path) -> None:
    assert shell("train flowers.csv --target kind --epochs 20 --out kinds").code == 0
    done = shell("export kinds model.onnx")
    assert done.code == 0 and "model.onnx: an ONNX graph with the preprocessing inside" in done.out
    assert shell("predict kinds flowers.csv --probabilities --out answers.csv").code == 0
    with open("flowers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    given = {name: np.array([[float(row[name])] for row in rows]) for name in ("length", "width")}
    label, probabilities = session.run(None, given)
    with open("answers.csv", newline="") as file:
        answers = list(csv.DictReader(file))
    assert label.tolist() == [row["prediction"] for row in answers]
    expected = [[float(row[f"probability_{name}"]) for name in ("iris", "lily", "rose")] for row in answers]
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("export kinds model.onx", 2, "did you mean '.onnx'"),
        ("export kinds model", 2, "has no ending"),
        ("export kinds nowhere/model.onnx", 2, "there is no folder nowhere"),
        ("export kind model.onnx", 1, "there is no run 'kind'; did you mean 'kinds'"),
        ("export flowers.csv model.onnx", 1, "is a file, not the folder of a run"),
        ("export kinds old.onnx", 1, "try: --overwrite to replace it"),
        ("export kinds", 2, "FILE"),
    ],
)
def test_a_mistake_is_one_message(shell: Shell, flowers: Path, line: str, code: int, told: str) -> None:
    Path("kinds").mkdir()
    Path("old.onnx").write_text("mine")
    done = shell(line)
    assert done.code == code and told in done.err
    assert Path("old.onnx").read_text() == "mine"
