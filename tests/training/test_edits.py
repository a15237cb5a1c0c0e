"""The law of edits: whatever byte of whatever file of a run folder is changed, a prediction stays as it was or is
refused; and a resumed run comes to the same bits or is refused.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import FalllineError

X = np.random.default_rng(0).normal([10.0, -3.0], [4.0, 0.5], (40, 2))
LABELS = np.array(["hill", "vale"])[(X[:, 0] + 4 * X[:, 1] > -2).astype(int)]
SETTINGS: dict[str, Any] = {
    "loss": "cross_entropy",
    "epochs": 4,
    "batch_size": 8,
    "checkpoints": 2,
    "encoder": fl.nn.standardise(X, ("length", "width")),
    "decoder": fl.nn.Labels("kind", ("vale", "hill")),
}
EDITS = 12  # of each file


def trained(out: Path, **more: Any) -> fl.Run:
    return fl.fit(fl.nn.mlp((4,), 2), (X, LABELS), out=out, **{**SETTINGS, **more})


def edited(path: Path, draw: random.Random) -> Iterator[tuple[int, bytes]]:
    """Copies of a file with one byte changed: a digit for a digit in text, so that it stays readable, or any bit."""
    whole = path.read_bytes()
    digits = [place for place, byte in enumerate(whole) if byte in b"0123456789"]
    for turn in range(EDITS):
        made = bytearray(whole)
        place = draw.choice(digits) if turn % 2 else draw.randrange(len(whole))
        made[place] = (
            draw.choice([b for b in b"0123456789" if b != made[place]])
            if turn % 2
            else made[place] ^ (1 << draw.randrange(8))
        )
        yield place, bytes(made)


def said(folder: Path) -> tuple[Any, ...]:
    run = fl.load_run(folder)
    return run.model.predict(X).tolist(), run.model.predict_proba(X).tobytes(), json.dumps(run.config, sort_keys=True)


@pytest.mark.parametrize("kind", ["finished", "cut off", "ensemble"])
def test_an_edited_file_changes_no_prediction_in_silence(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    trained(folder, **({"ensemble": 2, "checkpoints": None} if kind == "ensemble" else {}))
    if kind == "cut off":
        (folder / "model.safetensors").unlink()
    truth, draw, refused = said(folder), random.Random(0), 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for place, text in edited(path, draw):
            path.write_bytes(text)
            try:
                assert said(folder) == truth, (path.name, place)
            except FalllineError:
                refused += 1
            path.write_bytes(whole)
    assert refused


@pytest.mark.parametrize("end", ["diverged", "without checkpoints"])
@pytest.mark.parametrize("lost", ["a byte", "the file"])
def test_a_checkpoint_stands_for_no_model_that_came_after_it(tmp_path: Path, end: str, lost: str) -> None:
    rate, checkpoints = (3.0, "auto") if end == "diverged" else (0.01, None)

    def gone_on(epochs: int, resume: bool = True, checkpoints: Any = checkpoints) -> fl.Run:
        network, optimizer = fl.nn.Sequential(fl.nn.Dense(1)), fl.optim.GradientDescent(rate)
        more = {"epochs": epochs, "resume": resume, "checkpoints": checkpoints, "batch_size": 40, "seed": 0}
        return fl.fit(network, (X, X[:, 0]), loss="squared_error", optimizer=optimizer, out=tmp_path, **more)

    gone_on(2, resume=False, checkpoints="auto")
    truth, path = gone_on(100).model.theta.tolist(), tmp_path / "model.safetensors"
    assert fl.load_model(tmp_path).theta.tolist() == truth
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    if lost == "the file":
        path.unlink()
    with pytest.raises(FalllineError, match="try: resuming"):
        fl.load_model(tmp_path)
    gone_on(100)  # as advised
    assert fl.load_model(tmp_path).theta.tolist() == truth


def test_a_run_is_resumed_to_the_same_bits_or_not_at_all(tmp_path: Path) -> None:
    folder, copy = tmp_path / "run", tmp_path / "copy"
    theta = trained(tmp_path / "whole", epochs=6).model.theta.tobytes()
    trained(folder)
    draw, refused = random.Random(1), 0
    for path in [folder / "config.json", folder / "events.jsonl", *sorted((folder / "checkpoints").iterdir())]:
        for place, text in [*edited(path, draw)][:6]:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            (copy / path.relative_to(folder)).write_bytes(text)
            try:
                assert trained(copy, epochs=6, resume=True).model.theta.tobytes() == theta, (path.name, place)
            except FalllineError:
                refused += 1
            shutil.rmtree(copy)
    assert refused
