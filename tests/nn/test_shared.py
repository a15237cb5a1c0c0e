"""Members that share weights are as many networks of their own, in what they predict and in the loss they minimise."""

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ShapeError
from fallline.nn.model import Model
from fallline.program import reference
from fallline.steps.step import training_step

RNG = np.random.default_rng(0)
K, N, D = 3, 6, 4


def network(loss: str, tangent: bool = False, settled: bool = False) -> nn.Sequential:
    link, units = {"cross_entropy": ("softmax", 3), "binary_cross_entropy": ("sigmoid", 1)}.get(loss, ("identity", 1))
    first = nn.SharedDense(5, K, tangent=tangent, settled=settled)
    return nn.Sequential(first, nn.Tanh(), nn.SharedDense(4, K, settled=settled), nn.Heads(units, link=link))


def data(loss: str) -> tuple[Any, Any]:
    x = RNG.standard_normal((N, D))
    y = {"cross_entropy": np.arange(N) % 3, "binary_cross_entropy": np.arange(N) % 2}.get(loss)
    return x, RNG.standard_normal(N) if y is None else y


def separate(model: Model) -> list[Model]:
    """The members, each as a network of plain Dense layers with the factors in its weights."""
    found = []
    for i in range(K):
        layers, params = [], []
        for layer, its in zip(model.network.layers, model.params):  # type: ignore[attr-defined]
            if isinstance(layer, nn.SharedDense):
                size = its["weight"].shape[0] ** -0.5 if layer.tangent else 1.0
                weight = its["inputs"][i][:, None] * its["weight"] * size * its["outputs"][i]
                layers.append(nn.Dense(layer.units))
                params.append({"weight": weight, "bias": its["bias"][i]})
            elif isinstance(layer, nn.Heads):
                layers.append(nn.Dense(layer.units))
                params.append({"weight": its["weight"][i], "bias": its["bias"][i]})
            else:
                layers.append(layer)
                params.append({})
        one = Model.init(nn.Sequential(*layers), D, loss=model.loss, dtype="float64")
        found.append(one.with_params(tuple(params)))
    return found


def drawn(loss: str, **choices: bool) -> Model:
    model = Model.init(network(loss, **choices), D, loss=loss, dtype="float64")
    return model.with_theta(model.theta + RNG.uniform(-0.5, 0.5, model.theta.shape))


@pytest.mark.parametrize("tangent", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_the_prediction_is_the_mean_of_those_of_separate_networks(loss: str, tangent: bool) -> None:
    model, x = drawn(loss, tangent=tangent), data(loss)[0]
    ask = "predict" if loss == "squared_error" else "predict_proba"
    mean = np.mean([getattr(one, ask)(x) for one in separate(model)], axis=0)
    np.testing.assert_allclose(getattr(model, ask)(x), mean, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_a_step_minimises_the_mean_of_the_losses_of_separate_networks(loss: str, weighted: bool) -> None:
    model = drawn(loss)
    x, y = data(loss)
    targets, weight = model.prepare(y).y, RNG.uniform(0.5, 2, N)
    inputs = {"x": x, "y": targets, "order": np.arange(N), **({"weight": weight} if weighted else {})}
    state = {"theta": model.theta, "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0),
             **({"weight_sum": np.array(0.0)} if weighted else {})}  # fmt: skip
    graph = training_step(model, fl.optim.GradientDescent(0.1), state, inputs, N, whole=True)
    found = float(reference.run(graph, [*state.values(), *inputs.values()])[-1])
    each = [one.evaluate((x, y, weight) if weighted else (x, y))["loss"] for one in separate(model)]
    assert found == pytest.approx(np.mean(each), rel=1e-12)
    # The loss of the average is another number, and lower.
    assert model.evaluate((x, y))["loss"] < np.mean([one.evaluate((x, y))["loss"] for one in separate(model)])


def test_members_begin_with_signs_of_their_own_and_with_the_same_factors_after_that() -> None:
    first, _, second, _ = Model.init(network("squared_error"), 50).params
    assert set(np.unique(first["inputs"])) == {-1.0, 1.0} and not np.array_equal(*first["inputs"][:2])
    assert np.all(second["inputs"] == 1) and np.all(first["outputs"] == 1)


def test_a_settled_layer_spreads_the_outputs_of_all_its_members() -> None:
    layer, x = nn.SharedDense(5, K, settled=True, tangent=True), RNG.standard_normal((300, D)) * [1, 10, 0.1, 3]
    params = layer.settle(layer.init(RNG, (D,), np.float64)[0], x, RNG)
    z = layer.apply({**params, "bias": np.zeros((K, 5))}, x)
    np.testing.assert_allclose(z.reshape(-1, 5).std(axis=0), 1, rtol=1e-9)
    assert len(np.unique(params["bias"])) == params["bias"].size


def test_shapes_without_members_or_with_others_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"takes rows of several members, \(N, k, D\), and meets an input of shape"):
        Model.init(nn.Sequential(nn.Dense(3), nn.Heads(2)), D)
    with pytest.raises(ShapeError, match=r"or of 4 members, \(N, 4, D\), and meets an input of shape \(N, 3, 5\)"):
        Model.init(nn.Sequential(nn.SharedDense(5, 3), nn.SharedDense(5, 4)), D)


def test_members_in_the_middle_of_a_network_are_averaged_and_trained_by_its_loss() -> None:
    net = nn.Sequential(nn.SharedDense(4, K), nn.ReLU(), nn.Heads(4), nn.Tanh(), nn.Dense(1))
    x, y = data("squared_error")
    run = fl.fit(
        net, (x, y), loss="squared_error", epochs=1, batch_size=N, optimizer=fl.optim.GradientDescent(1e-6), seed=1
    )
    assert run.history["loss"][0] == pytest.approx(run.model.evaluate((x, y))["loss"], rel=1e-3)
