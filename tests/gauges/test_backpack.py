"""Gauges that BackPACK computes too agree with it: norms, moments and variances of the gradients of single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn

torch = pytest.importorskip("torch")
backpack = pytest.importorskip("backpack")

NAMES = ["gradient_variance", "row_gradient_norms", "gradient_norm", "noise_scale", "signal_to_noise"]


def theirs(model: nn.Model, x: Any, y: Any, activation: Any, loss: Any) -> dict[str, dict[str, Any]]:
    """BatchGrad, BatchL2Grad, SumGradSquared and Variance of the same network, by path."""
    from backpack import extensions

    params = model.params
    layers = []
    for place in (0, 2):
        weight = np.asarray(params[place]["weight"])
        layer = torch.nn.Linear(*weight.shape).double()
        with torch.no_grad():
            layer.weight[...] = torch.from_numpy(weight.T.copy())
            layer.bias[...] = torch.from_numpy(np.array(params[place]["bias"]))
        layers.append(layer)
    network = backpack.extend(torch.nn.Sequential(layers[0], activation, layers[1]))
    value = backpack.extend(loss)(network(torch.from_numpy(x)), torch.from_numpy(y))
    wanted = extensions.BatchGrad(), extensions.BatchL2Grad(), extensions.SumGradSquared(), extensions.Variance()
    with backpack.backpack(*wanted):
        value.backward()
    found = {}
    for place, layer in zip((0, 2), layers, strict=True):
        for name in ("weight", "bias"):
            own = getattr(layer, name)
            kinds = ("grad", "grad_batch", "batch_l2", "sum_grad_squared", "variance")
            found[f"{place}.{name}"] = {kind: getattr(own, kind).detach().numpy() for kind in kinds}
    return found


CASES = {
    "tanh": (nn.Tanh(), torch.nn.Tanh(), "cross_entropy", 3),
    "relu": (nn.ReLU(), torch.nn.ReLU(), "cross_entropy", 3),
    "sigmoid, squared error": (nn.Sigmoid(), torch.nn.Sigmoid(), "squared_error", 2),
}


@pytest.mark.filterwarnings("ignore")  # of torch's own hooks
@pytest.mark.parametrize("name", CASES)
def test_shared_gauges_agree_with_backpack(labelled: Any, name: str) -> None:
    mine, other, loss, outputs = CASES[name]
    x, y = labelled
    target = y if loss == "cross_entropy" else np.stack([x[:, 0] * x[:, 1], np.sin(x[:, 2])], axis=1)
    of_torch = torch.nn.CrossEntropyLoss() if loss == "cross_entropy" else torch.nn.MSELoss()
    model = nn.Model.init(nn.Sequential(nn.Dense(7), mine, nn.Dense(outputs)), 3, loss=loss, dtype="float64", seed=3)
    run = fl.fit(model, (x, target), epochs=1, batch_size=None, shuffle=False,
                 gauges=fl.gauges.Gauges(NAMES, every=1))  # fmt: skip
    values = {gauge: {path: column[0] for path, column in run.gauges[gauge].items()} for gauge in NAMES}
    found, n = theirs(model, x, target, other, of_torch), len(x)
    squares = 0.0
    for path, own in found.items():
        np.testing.assert_allclose(values["gradient_norm"][path], np.linalg.norm(own["grad"]), rtol=1e-5)
        # Their gradients of rows are those of the mean, so N times smaller.
        squares = squares + n**2 * own["batch_l2"]
        variance = n * own["sum_grad_squared"] - own["grad"] ** 2
        np.testing.assert_allclose(n**2 * own["variance"], variance, rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(values["gradient_variance"][path], variance.sum(), rtol=1e-5)
        ratio = own["grad"] ** 2 / (variance * n / (n - 1))
        np.testing.assert_allclose(values["signal_to_noise"][path], ratio[variance > 1e-14].mean(), rtol=1e-5)
    ends = np.quantile(np.sqrt(squares), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(values["row_gradient_norms"][""], ends, rtol=1e-5)
    mean = sum(np.sum(own["grad"] ** 2) for own in found.values())
    np.testing.assert_allclose(values["noise_scale"]["trace"], (np.sum(squares) - n * mean) / (n - 1), rtol=1e-5)
