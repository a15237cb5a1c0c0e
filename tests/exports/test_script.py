"""Scripts of runs: each trains the same network again, to the last bit, whatever was chosen on the command line."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.cli import main
from fallline.errors import ArgumentError
from fallline.exports.script import script_of
from fallline.nn.model import Model
from fallline.runs.model_file import ModelFile


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """60 rows with a number in another notation, a category, an id, and two targets."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ["id;size;colour;group;kind;price"]
    for i in range(60):
        k, size = i % 2, rng.normal()
        cells = (f"no {i}", f"{size + k:.3f}".replace(".", ","), "red" if rng.random() < 0.3 + 0.4 * k else "blue")
        lines.append(";".join((*cells, f"g{i % 12}", ("yes", "no")[k], f"{100 + 20 * size:.1f}".replace(".", ","))))
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "table.csv --target kind --epochs 2 --drop id,price",
        "table.csv --target price --epochs 2 --drop id --as colour=category --group group --seed 3 --test 0.3",
        "table.csv --target kind --hidden 8,4 --activation tanh --epochs 2 --validation 0.2 --watch f1",
        "table.csv --target kind --epochs 1 --test table.csv --delimiter ; --preset fast",
        "iris --epochs 2 --hidden 5 --test 0",
        "table.csv --target kind --epochs 2 --hidden 8 --preset best --drop id,price",
    ],
)
def test_a_script_trains_the_same_network(table: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert main(["train", *line.split(), "--no-compare", "--out", "run"]) == 0
    assert main(["export", "run", "again.py"]) == 0
    assert "a Python script that trains the network again" in capsys.readouterr().out
    made = runpy.run_path("again.py")["run"]
    kept = fl.load_run("run")
    assert np.array_equal(made.model.theta, kept.model.theta)
    assert made.model.encoder == kept.model.encoder and made.stop_reason == kept.stop_reason
    told = capsys.readouterr().out
    assert told.startswith("finished after epoch ") and ("test loss: " in told) == (
        "--test 0" not in line.split("0.")[0]
    )


def test_a_script_of_a_search_searches_and_promises_no_bits(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "table.csv --target price --hidden 8 --epochs 2 --time 0.5 --no-compare --out run"
    assert main(["train", *line.split()]) == main(["export", "run", "again.py"]) == 0
    text = Path("again.py").read_text()
    assert "run = fit(recipe)" in text and "to the last bit" not in text
    assert "search" in runpy.run_path("again.py")["run"].config


def test_a_run_that_does_not_name_its_data_has_no_script(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    run = fl.fit(nn.Dense(1), (x, x[:, 0]), loss="squared_error", epochs=1)
    for given in (run, run.model):
        with pytest.raises(ArgumentError, match=r"which data and choices[^\0]*try: exporting the run folder"):
            fl.export(given, tmp_path / "again.py")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("source", "data"), "x'); import os; ('"),
        (("source", "wishes"), {"drop=(), a": 1, "target": "b"}),
        (("source", "reading"), {"skip=0); import os; (": 3}),
        (("training", "choices"), {"epochs=3); import os; (": 3}),
        (("training", "choices"), {"epochs": -1}),
        (("training", "choices"), 3),
        (("training", "test"), "0.2); import os; ("),
    ],
)
def test_no_file_puts_code_into_a_script(where: tuple[str, str], value: Any) -> None:
    model = Model.init(nn.Dense(2), 3, loss="cross_entropy")
    extra: dict[str, Any] = {"source": {"data": "a.csv"}, "training": {"choices": {}, "test": 0.2}}
    extra[where[0]][where[1]] = value
    try:
        text = script_of(ModelFile(model, extra, {}), 'runs/"""\nimport os\n"""')
    except ArgumentError:
        return
    compiled = compile(text, "again.py", "exec")
    assert "os" not in compiled.co_names
