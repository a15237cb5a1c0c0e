"""A model predicts raw rows right whoever trained it, from its one checked file; config.json only describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.cli import main
from fallline.data.dataset import split
from fallline.data.dataset_file import read_dataset
from fallline.recipe import Choices, Recipe, recipe_of

SETTINGS: dict[str, Any] = {"preset": "plain", "epochs": 30, "hidden": (6,), "learning_rate": 0.02}
RNG = np.random.default_rng(0)
X = RNG.normal([1500.0, -0.02, 3.0], [300.0, 0.01, 1.0], (150, 3))
KIND = np.array(["wolf", "ant", "cat"])[np.argsort(np.argsort(X[:, 0] - 20000 * X[:, 1])) * 3 // 150]
PRICE = 5000 + 3 * X[:, 0] - 40_000 * X[:, 1]


@pytest.fixture
def table(tmp_path: Path, request: pytest.FixtureRequest) -> Recipe:
    """A file with a target of classes or a quantity, and the recipe that the command line makes of it."""
    target, values = {"kind": ("kind", KIND), "price": ("price", PRICE)}[request.param]
    lines = [",".join(["year", "slope", "size", target])]
    lines += [f"{a},{b},{c},{y}" for (a, b, c), y in zip(X.tolist(), values.tolist())]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    data = read_dataset(tmp_path / "table.csv", target)
    train, _ = split(data)
    return recipe_of(data, Choices(**SETTINGS), train)


def by_hand(recipe: Recipe, params: Any, x: np.ndarray) -> Any:
    """The prediction in plain arithmetic: from raw columns to labels, or to the unit of the target."""
    rows = np.column_stack([*recipe.data.take(recipe.train).columns.values()])
    h = (x - rows.mean(axis=0)) / rows.std(axis=0)
    h = np.maximum(h @ np.float64(params[0]["weight"]) + params[0]["bias"], 0)
    z = h @ np.float64(params[2]["weight"]) + params[2]["bias"]
    if recipe.data.classes:
        return np.array(recipe.data.classes)[z.argmax(axis=1)]
    y = recipe.data.y[recipe.train]
    return y.mean() + y.std() * z[:, 0]


def command_line(command: str) -> Callable[[Recipe, Path], dict[str, Path]]:
    def train(recipe: Recipe, out: Path) -> dict[str, Path]:
        flags = f"--target {recipe.data.target} --hidden 6 --epochs 30 --learning-rate 0.02 --out {out}".split()
        flags += ["--preset", "plain"]
        seeds = ["--seed", "0,1"] if command == "race" else []
        assert main([command, str(out.parent / "table.csv"), *flags, *seeds, "--no-compare"]) == 0
        return {"0": out} if command == "train" else {seed: out / f"seed-{seed}" for seed in ("0", "1")}

    return train


def python(recipe: Recipe, out: Path) -> dict[str, Path]:
    fl.fit(recipe.network, recipe.rows, out=out, **recipe.settings)
    return {"0": out}


def race(recipe: Recipe, out: Path) -> dict[str, Path]:
    fl.race(recipe.network, recipe.rows, [{"seed": 0}, {"seed": 1}], out=out, **recipe.settings)
    return {seed: out / f"seed-{seed}" for seed in ("0", "1")}


def folds(recipe: Recipe, out: Path) -> dict[str, Path]:
    variants = [{"validation": fold} for fold in fl.folds(recipe.rows, 2)]
    done = fl.race(recipe.network, recipe.rows, variants, out=out, **recipe.settings)
    return {name: run.folder for name, run in done.runs.items() if run.folder is not None}


def ensemble(recipe: Recipe, out: Path) -> dict[str, Path]:
    fl.fit(recipe.network, recipe.rows, ensemble=2, out=out, **recipe.settings)
    return {"0": out}


TRAINERS: Mapping[str, Callable[[Recipe, Path], dict[str, Path]]] = {
    "fallline train": command_line("train"),
    "fallline race": command_line("race"),
    "fl.fit": python,
    "fl.race": race,
    "fl.folds": folds,
    "ensemble": ensemble,
}


@pytest.mark.parametrize("table", ["kind", "price"], indirect=True)
@pytest.mark.parametrize("trainer", TRAINERS)
def test_raw_rows_are_predicted_right_whoever_trained(table: Recipe, trainer: str, tmp_path: Path) -> None:
    made = TRAINERS[trainer](table, tmp_path / "run")
    assert made
    bits = {}
    for name, folder in made.items():
        run = fl.load_run(folder)
        (folder / "config.json").unlink()
        (folder / "events.jsonl").unlink()
        for model in (run.model, fl.load_run(folder).model, fl.load_model(folder / "model.safetensors")):
            bits[name] = model.predict(X)
            members = nn.members(model) if trainer == "ensemble" else [model]
            wanted = [by_hand(table, member.params, X) for member in members]
            if table.data.classes:
                assert trainer == "ensemble" or np.array_equal(bits[name], wanted[0])
                assert np.mean(bits[name] == KIND) > 0.75
            else:
                assert np.allclose(bits[name], np.mean(wanted, axis=0), rtol=1e-4)
                assert np.corrcoef(bits[name], PRICE)[0, 1] > 0.75
            alone = model.predict(X[7:8])
            assert alone[0] == bits[name][7]
    if trainer in ("fallline train", "fl.fit"):  # one recipe, one seed: the same network to the last bit
        other = tmp_path / "other"
        python(table, other)
        assert np.array_equal(fl.load_model(other).predict(X), bits["0"])
