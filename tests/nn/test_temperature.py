"""Calibration by one temperature."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import fallline as fl
from fallline import nn
from fallline.nn.temperature import best_temperature

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(400, 3))
P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
Y = (RNG.random((400, 1)) > P.cumsum(axis=1)).sum(axis=1)


def cross_entropy(t, weight=None):
    z = 4 * Z / t
    rows = np.log(np.exp(z).sum(axis=1)) - z[np.arange(400), Y]
    return np.average(rows, weights=weight)


@pytest.mark.parametrize("weight", [None, RNG.random(400)])
def test_the_temperature_is_that_of_the_least_cross_entropy(weight):
    found = best_temperature(4 * Z, Y, weight)
    expected = minimize_scalar(
        lambda t: 400 * cross_entropy(t, weight) + np.log(t) ** 2 / 2, bounds=(0.1, 20), method="bounded"
    ).x
    assert found == pytest.approx(expected, rel=1e-4)
    assert 3 < found < 5  # labels were drawn from softmax(Z), and the logits are 4 Z


def test_a_few_rows_that_are_all_predicted_right_make_no_model_certain():
    few = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert 0.5 < best_temperature(few, np.array([0, 1])) < 1
    assert best_temperature(few, np.array([0, 1]), np.full(2, 1e-30)) == best_temperature(few, np.array([0, 1]))
    many = np.tile(few, (1000, 1))
    assert best_temperature(many, np.tile([0, 1], 1000)) < 0.5


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_a_calibrated_model_keeps_its_labels_and_file(loss, tmp_path):
    y = np.array(["no", "yes"])[(Z[:, 0] + RNG.normal(size=400) > 0).astype(int)]
    network = nn.mlp((32,), 2 if loss == "cross_entropy" else 1)
    model = fl.fit(network, (Z[:100], y[:100]), loss=loss, epochs=150, optimizer=fl.optim.Adam(0.02)).model
    held = (Z[100:250], y[100:250])
    better = nn.calibrated(model, *held)
    np.testing.assert_array_equal(better.predict(Z), model.predict(Z))
    assert better.evaluate(held)["loss"] < model.evaluate(held)["loss"]
    assert better.evaluate((Z[250:], y[250:]))["loss"] < model.evaluate((Z[250:], y[250:]))["loss"]
    path = fl.save_model(better, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        fl.load_model(path or tmp_path / "model.safetensors").predict_proba(Z), better.predict_proba(Z)
    )


def test_a_model_without_probabilities_is_refused():
    model = nn.Model.init(nn.Dense(1), 3)
    with pytest.raises(ValueError, match="no probabilities to calibrate"):
        nn.calibrated(model, Z, Y)
