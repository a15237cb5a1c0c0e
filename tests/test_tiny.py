"""The whole product in about five seconds: from arrays to a trained model, to disk and back, resumed and explained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import fallline as fl
from fallline.report.whole_page import write


def test_from_arrays_to_a_model_and_back_from_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 2))
    y = np.where(x[:, 0] * x[:, 1] > 0, "same", "different")  # no line tells them apart: hidden units have to

    network = fl.nn.Sequential(fl.nn.Dense(16), fl.nn.Tanh(), fl.nn.Dense(2))
    run = fl.fit(
        network, (x, y), loss="cross_entropy", optimizer=fl.optim.Adam(0.02), epochs=60, batch_size=16, validation=0.2,
        early_stopping=30, out=tmp_path / "run",
    )  # fmt: skip
    assert run.stop_reason in ("finished", "early_stopping")
    assert run.history["loss"][-1] < 0.2 * run.history["loss"][0]
    assert run.history["validation_accuracy"].max() > 0.9

    new = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.7, -0.4], [0.6, -0.6]])
    assert run.model.predict(new).tolist() == ["same", "different", "same", "different"]
    np.testing.assert_allclose(run.model.predict_proba(new).sum(axis=1), 1, rtol=1e-6)

    back = fl.load_run(tmp_path / "run")
    assert back.model.predict_proba(new).tolist() == run.model.predict_proba(new).tolist()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["optimizer"]["learning_rate"] == 0.02

    more = fl.fit(
        network, (x, y), loss="cross_entropy", optimizer=fl.optim.Adam(0.02), epochs=70, batch_size=16, validation=0.2,
        early_stopping=30, resume=tmp_path / "run",
    )  # fmt: skip
    assert len(more.epochs) >= len(run.epochs)


def test_a_trained_model_explains_one_row() -> None:
    x = np.linspace(-1, 1, 20).reshape(-1, 1)
    run = fl.fit(fl.nn.mlp((3,), 1, "tanh"), (x, x[:, 0] ** 2), loss="squared_error", epochs=20)
    text = str(fl.explain(run.model, x[3], float(x[3, 0] ** 2)))
    assert "loss" in text
    assert "delta" in text


def test_the_gradient_that_training_follows_is_the_one_of_the_public_transform() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((8, 3)), rng.standard_normal((8, 1))
    model = fl.nn.Model.init(fl.nn.mlp((5,), 1, "tanh"), 3, dtype="float64")
    step = fl.fit(model, (x, y), optimizer=fl.optim.GradientDescent(1.0), epochs=1, batch_size="full").model
    gradient = fl.grad(lambda theta: model.objective(theta, x, y))(model.theta)
    np.testing.assert_allclose(model.theta - step.theta, gradient, rtol=1e-12, atol=1e-15)


def test_a_step_size_above_the_border_is_an_answer() -> None:
    x = np.linspace(-1, 1, 20).reshape(-1, 1)
    line = fl.nn.Sequential(fl.nn.Dense(1))
    run = fl.fit(line, (x, 3 * x[:, 0]), loss="squared_error", optimizer=fl.optim.GradientDescent(50.0), epochs=400)
    assert run.stop_reason == "diverged"
    assert np.isfinite(run.model.predict(x)).all()


def test_a_run_is_watched_diagnosed_explained_drawn_and_reported(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((120, 3))
    run = fl.fit(
        fl.nn.mlp((6,), 1, "tanh"), (x, x[:, 0] - x[:, 1] * x[:, 2]), loss="squared_error",
        optimizer=fl.optim.Adam(0.02), epochs=30, batch_size=20, validation=0.2, gauges="usual",
        out=tmp_path / "run",
    )  # fmt: skip
    assert {"gradient_norm", "update_ratio"} <= {*run.gauges}
    found = fl.diagnose(run)
    assert len(found.checked) > 10 and not found.unchecked
    assert run.folder is not None and str(run.folder.name) in str(found)
    assert fl.stable_step(run).border > 0
    around = fl.landscape(run, points=5, rows=50)
    assert np.isfinite(around.loss).all()
    for picture in (run.plot.loss, run.plot.network, run.plot.landscape):
        assert max(map(len, picture.text(width=60, ascii_only=True).split("\n"))) <= 60
    page = write(tmp_path / "run").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and all(f'id="{name}"' in page for name in ("verdicts", "curves", "row"))
