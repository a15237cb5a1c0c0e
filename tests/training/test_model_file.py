"""Model files: those of the first form still load, and the scales in their config become part of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import DataError
from fallline.nn import Columns, Labels, Model, Quantity, Standardised, mlp
from fallline.runs.checkpoint import Checkpoint, checksum, save_arrays

COLUMNS = Columns((Standardised("a", 5.0, 2.0), Standardised("b", -1.0, 0.5)))
X = np.random.default_rng(0).normal([5.0, -1.0], [2.0, 0.5], (9, 2))


def first_form(model: Model, extra: dict[str, Any], path: Path) -> None:
    config = {name: value for name, value in model.to_config().items() if name not in ("encoder", "decoder")}
    text = json.dumps({"model": config, "extra": extra})
    arrays = {"theta": model.theta}
    save_arrays(path, arrays, {"fallline": "model 1", "config": text, "checksum": checksum(arrays, text)})


def preprocessing(**target: Any) -> dict[str, Any]:
    columns = {"features": ["a", "b"], "mean": [5.0, -1.0], "scale": [2.0, 0.5], "target": "y"}
    return {"preprocessing": {**columns, "classes": [], "target_mean": 0.0, "target_scale": 1.0, **target}}


def test_a_model_without_columns_loads_as_before(tmp_path: Path) -> None:
    model = Model.init(mlp((4,), 3), 2, loss="cross_entropy")
    first_form(model, {}, tmp_path / "m.safetensors")
    assert np.array_equal(fl.load_model(tmp_path / "m.safetensors").outputs(X), model.outputs(X))


@pytest.mark.parametrize(
    ("loss", "outputs", "target", "decoder"),
    [
        ("cross_entropy", 2, {"classes": ["no", "yes"]}, Labels("y", ("no", "yes"))),
        ("squared_error", 1, {"target_mean": 100.0, "target_scale": 20.0}, Quantity("y", 100.0, 20.0)),
    ],
)
def test_columns_of_the_config_become_the_models_encoder(
    tmp_path: Path, loss: str, outputs: int, target: dict[str, Any], decoder: Any
) -> None:
    model = Model.init(mlp((4,), outputs), 2, loss=loss)
    first_form(model, preprocessing(**target), tmp_path / "m.safetensors")
    back = fl.load_model(tmp_path / "m.safetensors")
    assert (back.encoder, back.decoder) == (COLUMNS, decoder)
    assert back.predict(X).tolist() == model.between(COLUMNS, decoder).predict(X).tolist()


def test_a_run_of_the_first_form_loads_with_its_config(tmp_path: Path) -> None:
    data = X, np.arange(9) % 3
    settings: dict[str, Any] = {"loss": "cross_entropy", "epochs": 2}
    run = fl.fit(mlp((4,), 3), data, out=tmp_path, **settings)
    newest = next((tmp_path / "checkpoints").iterdir())
    from fallline.runs import checkpoint

    kept = checkpoint.read(newest)
    assert kept is not None
    values = {name: value for name, value in kept.values.items() if name not in ("config", "final")}
    checkpoint.write(newest.parent, run.ended.step if run.ended else 0, Checkpoint(kept.arrays, values))
    first_form(run.model, {}, tmp_path / "model.safetensors")
    assert fl.load_run(tmp_path).config == json.loads(json.dumps(run.config))
    (tmp_path / "model.safetensors").unlink()
    # Only a config without a checksum is left: training goes on from it, but nothing is predicted.
    with pytest.raises(DataError, match="try: resuming the run"):
        fl.load_run(tmp_path)
    again = fl.fit(mlp((4,), 3), data, out=tmp_path, resume=True, **{**settings, "epochs": 3})
    assert again.model.theta.tobytes() == fl.fit(mlp((4,), 3), data, **{**settings, "epochs": 3}).model.theta.tobytes()
