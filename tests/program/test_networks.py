"""Machine = reference for every loss, optimizer and schedule: whole training steps, both precisions, odd sizes."""

import numpy as np
import pytest

from fallline import nn, optim
from fallline.program.step_loop import build
from fallline.steps.step import training_step

PRECISIONS = ("float32", "float64")
ROWS, FEATURES = 11, 3


def targets(loss, rng, outputs):
    """Targets a loss accepts."""
    if loss.task in ("binary", "classification"):
        return np.arange(ROWS) % (2 if loss.task == "binary" else outputs)
    return rng.poisson(2.0, (ROWS, outputs)).astype(float)


def train(engine, layers, loss, optimizer, dtype, steps=4, batch=4):
    """theta and the optimizer's state after a few mini-batch steps, and the sum of losses."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, FEATURES)).astype(dtype)
    model = nn.Model.init(nn.Sequential(*layers), (FEATURES,), seed=1, dtype=dtype, loss=loss)
    outputs = model.outputs(x).shape[-1]
    prepared = loss.prepare(targets(loss, rng, outputs), np.dtype(dtype), outputs)
    data = {"x": x, "y": prepared.y, "order": rng.permutation(ROWS)}
    moments = optimizer.started(model.theta, model.layout)
    state = {"theta": np.array(model.theta),
             **{"optimizer." + name: np.array(a) for name, a in sorted(moments.items())},
             "step": np.array(0), "cursor": np.array(0), "loss_sum": np.array(0.0)}  # fmt: skip
    graph = training_step(model, optimizer, state, data, batch)
    loop = build(graph, list(state.values()), list(data.values()), watch=len(state), engine=engine)
    for _ in range(2):
        state["cursor"][...] = 0
        assert loop.run(steps // 2) == steps // 2
    return state


def assert_same(layers, loss, optimizer, dtype):
    machine = train("machine", layers, loss, optimizer, dtype)
    slow = train("reference", layers, loss, optimizer, dtype)
    tolerance = 3e-5 if dtype == "float32" else 1e-10
    for name in machine:
        np.testing.assert_allclose(machine[name], slow[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", sorted(nn.LOSSES))
def test_every_loss(name, dtype):
    loss = nn.LOSSES[name]
    outputs = 3 if loss.task == "classification" else 1
    assert_same([nn.Dense(7), nn.Tanh(), nn.Dense(outputs)], loss, optim.GradientDescent(0.05), dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", sorted(optim.OPTIMIZERS))
def test_every_optimizer(name, dtype):
    optimizer = optim.OPTIMIZERS[name]
    optimizer = optimizer(0.01) if isinstance(optimizer, type) else optimizer
    assert_same([nn.Dense(7), nn.Tanh(), nn.Dense(3)], nn.CrossEntropy(), optimizer, dtype)


@pytest.mark.parametrize("name", sorted(optim.SCHEDULES))
def test_every_schedule(name):
    made = optim.get("adam", learning_rate=0.01, schedule=name, steps=4)
    assert_same([nn.Dense(3)], nn.CrossEntropy(), made, "float64")


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_groups(dtype):
    weights = optim.Muon(optim.Cosine(0.02, steps=4), weight_decay=0.1, clip_value=0.1)
    made = optim.Groups({"*.weight": weights, "0.*": optim.Nesterov(0.01), "*": optim.Adam(0.01)}, clip_norm=0.1)
    assert_same([nn.Dense(7), nn.Tanh(), nn.Dense(3)], nn.CrossEntropy(), made, dtype)


def test_clipping_and_decay():
    layers = [nn.Dense(7), nn.Tanh(), nn.Dense(3)]
    for optimizer in (optim.Adam(0.01, clip_norm=0.1), optim.Momentum(0.01, clip_value=0.05, weight_decay=0.1)):
        assert_same(layers, nn.CrossEntropy(), optimizer, "float64")
