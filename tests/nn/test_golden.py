"""Twenty small networks with values and gradients from another engine: our layers and losses have to agree."""

import json
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline import nn

FOLDER = Path(__file__).parents[1] / "oracles"

ACTIVATIONS = {"logistic": nn.Sigmoid(), "sin": np.sin, "leaky_relu_0.01": nn.LeakyReLU(0.01), "elu_1": nn.ELU(),
               "gelu_erf": nn.GELU()}  # fmt: skip
LOSSES = {
    "mse": nn.SquaredError(),
    "mae": nn.AbsoluteError(),
    "huber_1": nn.Huber(1.0),
    "bce_logits": nn.BinaryCrossEntropy(),
    "softmax_ce": nn.CrossEntropy(),
    "poisson_log": nn.Poisson(),
    "half_sse_over_n": lambda output, y: np.sum((output - y) ** 2) / 2 / len(y),
}


def cases() -> list[dict]:
    return json.loads((FOLDER / "grad_golden.json").read_text())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("i", range(20))
def test_value_outputs_and_gradients(i: int, dtype: type) -> None:
    case = cases()[i]
    z = np.load(FOLDER / "grad_golden.npz")
    x, y = z[f"{i}_X"].astype(dtype), z[f"{i}_y"].astype(dtype)
    layers = [nn.Dense(units) for units in case["sizes"][1:]]
    bends = [ACTIVATIONS.get(name) or nn.ACTIVATIONS[name]() for name in case["activations"]]
    network = nn.Sequential(*(part for pair in zip(layers, bends) for part in pair), layers[-1])
    model = nn.Model.init(network, case["sizes"][0], loss=LOSSES[case["loss"]], dtype=dtype)

    dense = [j for j, layer in enumerate(network.layers) if isinstance(layer, nn.Dense)]
    params = [{} for _ in network.layers]
    expected = [{} for _ in network.layers]
    for k, j in enumerate(dense):
        params[j] = {"weight": z[f"{i}_p{2 * k}"], "bias": z[f"{i}_p{2 * k + 1}"]}
        expected[j] = {"weight": z[f"{i}_g{2 * k}"], "bias": z[f"{i}_g{2 * k + 1}"]}
    theta = model.layout.join(tuple(params), dtype)

    def objective(theta, x):
        weights = theta * model.decay_mask
        return model.objective(theta, x, y) + case["l2"] / 2 * np.sum(weights * weights)

    value, (d_theta, d_x) = fl.value_and_grad(objective, argnums=(0, 1))(theta, x)
    exact = dtype is np.float64
    assert value == pytest.approx(case["value"], rel=1e-12 if exact else 1e-5)
    np.testing.assert_allclose(
        model.with_theta(theta).outputs(x), z[f"{i}_out"], rtol=1e-11 if exact else 1e-3, atol=1e-12 if exact else 1e-4
    )
    for path, slot in model.layout.items():
        place, name = path.split(".")
        agree(d_theta[slot.start : slot.stop].reshape(slot.shape), expected[int(place)][name], exact)
    agree(d_x, z[f"{i}_gX"], exact)


def agree(found: np.ndarray, expected: np.ndarray, exact: bool) -> None:
    """The largest difference over the largest entry."""
    assert np.abs(found - expected).max() <= (1e-10 if exact else 1e-4) * np.abs(expected).max()
