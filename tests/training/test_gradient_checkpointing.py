"""gradient_checkpointing=: the same run from less memory, as its plan says; a run may go on with or without."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import ArgumentError
from fallline.nn import layer_table
from fallline.passes import in_place
from fallline.program import lanes

NETWORK = fl.nn.mlp((24,) * 12, 3, "tanh")
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "epochs": 3, "batch_size": 20, "validation": 0.2, "seed": 3}


@pytest.mark.parametrize("optimizer", ["adam", "gradient_descent"])
def test_a_run_that_recomputes_equals_one_that_keeps(labelled: Any, arithmetic: Any, optimizer: str) -> None:
    kept, again = (
        fl.fit(NETWORK, labelled, gradient_checkpointing=choice, optimizer=optimizer, **SETTINGS)
        for choice in (False, True)
    )
    assert kept.model.theta.tobytes() == again.model.theta.tobytes()
    assert arithmetic(kept.history) == arithmetic(again.history)
    assert again.config["gradient_checkpointing"] is True


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_a_run_that_takes_its_gradient_by_parts_equals_one_that_recomputes(
    labelled: Any, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    again = fl.fit(NETWORK, labelled, gradient_checkpointing=True, optimizer=optimizer, **SETTINGS)
    monkeypatch.setattr(in_place, "LARGE", 1)
    monkeypatch.setattr(in_place, "PART", 100)
    for threads in (1, 2):
        parted = fl.fit(NETWORK, labelled, optimizer=optimizer, threads=threads, **SETTINGS)
        assert parted.model.theta.tobytes() == again.model.theta.tobytes()


def test_recomputing_on_several_lanes_gives_the_same_bits(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = fl.fit(NETWORK, labelled, threads=1, **SETTINGS)
    monkeypatch.setattr(lanes, "SMALL", 0.0)
    monkeypatch.setattr(lanes, "best", lambda ins, most, *rest: lanes.schedule(ins, most, *rest) if most > 1 else None)
    several = fl.fit(NETWORK, labelled, threads=3, gradient_checkpointing=True, **SETTINGS)
    assert several.model.theta.tobytes() == alone.model.theta.tobytes()


def test_a_run_goes_on_with_or_without_recomputing(labelled: Any, tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    for epochs, choice in ((1, True), (2, False), (3, True)):
        run = fl.fit(
            NETWORK,
            labelled,
            out=tmp_path,
            resume=True,
            gradient_checkpointing=choice,
            **{**SETTINGS, "epochs": epochs},
        )
    assert run.model.theta.tobytes() == whole.model.theta.tobytes()


def test_a_training_that_recomputes_takes_what_its_plan_announces_which_is_less() -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((1024, 32)).astype(np.float32), np.arange(1024) % 4
    network = fl.nn.mlp((64,) * 20, 4)
    settings: dict[str, Any] = {"loss": "cross_entropy", "batch_size": "full", "threads": 1}
    kept, again = (fl.plan(network, data, gradient_checkpointing=choice, **settings) for choice in (False, True))
    assert again.bytes["activations"] < 0.5 * kept.bytes["activations"]
    assert again.microseconds > kept.microseconds
    for purpose in set(kept.bytes) - {"activations", "scratch"}:
        assert again.bytes[purpose] == kept.bytes[purpose]
    fl.fit(network, data, epochs=1, gradient_checkpointing=True, **settings)
    gc.collect()
    tracemalloc.start()
    try:
        fl.fit(network, data, epochs=2, gradient_checkpointing=True, **settings)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert again.total <= taken <= 1.1 * again.total + 800_000  # graphs of two hundred instructions, and events


def test_recompute_is_true_or_false(labelled: Any) -> None:
    with pytest.raises(ArgumentError, match="gradient_checkpointing has to be True or False"):
        fl.fit(NETWORK, labelled, gradient_checkpointing=3, **SETTINGS)


@pytest.mark.parametrize("name", sorted(fl.nn.LAYERS.keys() - {"Softmax"}))  # which is a last layer alone
def test_every_layer_of_the_table_trains_to_the_same_bits(name: str) -> None:
    for layer, shape in layer_table.examples(name):
        network = fl.nn.Sequential(fl.nn.Tanh(), layer, fl.nn.Tanh(), fl.nn.Flatten(), fl.nn.Dense(1))
        rows = np.random.default_rng(0).normal(size=(13, *shape)), np.ones(13)
        kept, again = (
            fl.fit(network, rows, gradient_checkpointing=choice, loss="squared_error", epochs=2, batch_size=5)
            for choice in (False, True)
        )
        assert kept.model.theta.tobytes() == again.model.theta.tobytes()
