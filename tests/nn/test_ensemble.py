"""Ensemble: its predictions are the average of its members', whatever the loss; and a file gives it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.nn.ensemble import AVERAGES

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 3))
WIDE = 4 * RNG.normal(size=(500, 3))

TARGETS: dict[str, Any] = {
    "cross_entropy": np.array(["a", "b", "c"])[np.argmax(X, axis=1)],
    "binary_cross_entropy": X[:, 0] > 0,
    "hinge": np.where(X[:, 0] > 0, "yes", "no"),
    "squared_error": X[:, 0] * X[:, 1],
    "poisson": RNG.poisson(2, size=60),
}


def trained(loss: str, dtype: str = "float64") -> list[nn.Model]:
    outputs = 3 if loss == "cross_entropy" else 1
    return [
        fl.fit(nn.mlp(hidden, outputs), (X, TARGETS[loss]), loss=loss, dtype=dtype, seed=seed, epochs=5).model
        for seed, hidden in enumerate([(4,), (6, 3), (4,), ()])
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_probabilities_are_the_mean_of_the_members(loss: str, dtype: str) -> None:
    models = trained(loss, dtype)
    whole, mean = nn.averaged(models), np.mean([model.predict_proba(WIDE) for model in models], axis=0)
    np.testing.assert_allclose(whole.predict_proba(WIDE), mean, atol=4 * np.finfo(dtype).eps)
    sure = np.ptp(np.sort(mean, axis=1)[:, -2:], axis=1) > 1e-5  # no tie
    assert sure.any()
    assert np.array_equal(whole.predict(WIDE)[sure], models[0].classes[mean.argmax(axis=1)][sure])  # type: ignore[index]


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_numbers_are_the_mean_of_the_members(loss: str) -> None:
    models = trained(loss)
    mean = np.mean([model.predict(WIDE) for model in models], axis=0)
    np.testing.assert_allclose(nn.averaged(models).predict(WIDE), mean, rtol=1e-12, atol=1e-12)


def test_distances_without_probabilities_are_averaged_themselves() -> None:
    models = trained("hinge")
    mean = np.mean([model.outputs(WIDE) for model in models], axis=0)
    np.testing.assert_allclose(nn.averaged(models).outputs(WIDE), mean, rtol=1e-12, atol=1e-12)


def test_softmax_average_worked_by_hand() -> None:
    # Two networks that are sure of different classes, 3 : 1 and 1 : 3, leave both at 1/2.
    pair = nn.Ensemble((nn.Dense(2), nn.Dense(2)), link="softmax")
    zero = np.zeros((1, 2))
    params = [{"weight": zero, "bias": np.log([3.0, 1])}, {"weight": zero, "bias": np.log([1.0, 3])}]
    np.testing.assert_allclose(pair.apply(params, np.ones((1, 1))), np.log([[0.5, 0.5]]))


@pytest.mark.parametrize("z", [-800.0, 800.0])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_members_that_are_quite_sure_overflow_nothing(link: str, z: float) -> None:
    outputs = AVERAGES[link](np.array([[[z, 0.0]], [[z, 0.0]]]), 2)
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(outputs[0, 0] - outputs[0, 1], z)


def test_one_member_is_the_model_itself() -> None:
    model = trained("cross_entropy")[1]
    assert np.array_equal(nn.averaged([model]).outputs(WIDE), model.outputs(WIDE))


@pytest.mark.parametrize("loss", TARGETS)
def test_a_file_gives_back_the_ensemble_and_its_members(tmp_path: Path, loss: str) -> None:
    models = trained(loss, "float32")
    fl.save_model(nn.averaged(models), tmp_path / "four.safetensors")
    loaded = fl.load_model(tmp_path / "four.safetensors")
    assert np.array_equal(loaded.predict(WIDE), nn.averaged(models).predict(WIDE))
    for before, after in zip(models, nn.members(loaded), strict=True):
        assert before.theta.tobytes() == after.theta.tobytes()
        assert np.array_equal(before.predict(WIDE), after.predict(WIDE))


def test_a_model_is_its_only_member() -> None:
    model = trained("squared_error")[0]
    assert nn.members(model) == (model,)


def test_an_ensemble_is_a_network_that_can_be_trained_whole() -> None:
    pair = nn.Ensemble([nn.mlp((4,), 3, "tanh"), nn.mlp((4,), 3, "tanh")], link="softmax")  # type: ignore[arg-type]
    settings: dict[str, Any] = {"loss": "cross_entropy", "optimizer": fl.optim.Adam(0.02), "batch_size": 8}
    run = fl.fit(pair, (X, TARGETS["cross_entropy"]), epochs=30, dtype="float64", **settings)
    assert run.history["loss"][-1] < 0.5 * run.history["loss"][0]
    y = run.model.prepare(TARGETS["cross_entropy"]).y
    fl.testing.check_grads(lambda theta: run.model.objective(theta, X, y), (run.model.theta,), order=1)


def test_what_predicts_different_things_is_not_averaged() -> None:
    with pytest.raises(ArgumentError, match=r"(?s)loss: CrossEntropy\(\) in model 0, SquaredError\(\) in model 1"):
        nn.averaged([trained("cross_entropy")[0], trained("squared_error")[0]])
    with pytest.raises(ArgumentError, match="none"):
        nn.averaged([])


def test_what_cannot_be_an_ensemble_is_reported() -> None:
    with pytest.raises(ArgumentError, match="one network or more"):
        nn.Ensemble(())
    with pytest.raises(ArgumentTypeError, match="network 1 of the ensemble is no layer: 'relu'"):
        nn.Ensemble((nn.Dense(1), "relu"))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="softmax"):
        nn.Ensemble((nn.Dense(1),), link="softmux")
    with pytest.raises(ShapeError, match=r"network 1 of the ensemble gives \(N, 3\), network 0 \(N, 2\)"):
        nn.Model.init(nn.Ensemble((nn.Dense(2), nn.Dense(3))), 4)
