"""Where a run stands: one finding, and the right one, on places that are known."""

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.diagnosis.finding import Finding
from fallline.runs.events import TrainingEnded

from .descents import CODES, CURVED, X, Y, bare, constant, descent

STANDS = {"converged", "saddle", "plateau", "descending", "level", "stuck", "stopped_early", "interrupted",
          "unfinished", "diverged"}  # fmt: skip


def standing(run: Any, data: Any = None) -> Finding:
    found = [one for one in fl.diagnose(run, data).findings if one.name in STANDS]
    assert len(found) == 1
    return found[0]


def value(found: Finding, name: str) -> Any:
    return next(one.value for one in found.evidence if one.name == name)


@pytest.mark.parametrize("batch", [32, "full"])
def test_a_two_layer_linear_network_at_zero_stands_on_a_strict_saddle(batch: Any) -> None:
    found = standing(descent(constant(bare(4, 1), 0.0), batch_size=batch))
    assert found.name == "saddle" and found.warns
    # Of the loss mean (x A b - y)^2 at A = b = 0 the Hessian couples a row of A with b: its eigenvalues are
    # +- |2 mean x y| and 0, however wide the layer is.
    by_hand = float(np.linalg.norm(2 * (X * Y[:, None]).mean(0)))
    assert value(found, "lowest eigenvalue") == pytest.approx(-by_hand, rel=1e-6)
    assert value(found, "gradient norm") == 0
    assert any("fallline escape RUN" in one for one in found.tries)


@pytest.mark.parametrize("optimizer", [fl.optim.LBFGS(), fl.optim.Adam(0.01)])
def test_equal_units_stay_equal_and_end_on_a_saddle(optimizer: Any) -> None:
    network = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(1))
    run = descent(constant(network, 0.3, "float64"), CURVED, optimizer=optimizer, epochs=500, batch_size="full")
    first = run.model.params[0]["weight"]
    assert np.allclose(first, first[:, :1], atol=1e-9)
    found = standing(run)
    assert found.name == "saddle"
    assert value(found, "lowest eigenvalue") < 0 < value(found, "fall along the eigenvector")


def test_three_linear_layers_at_zero_are_a_plateau_to_second_order() -> None:
    found = standing(descent(constant(bare(4, 4, 1), 0.0)))
    assert found.name == "plateau" and any("above the second" in one for one in found.unchecked)


def test_a_network_of_dead_units_is_a_plateau() -> None:
    model = nn.Model.init(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(1)), 3)
    model.params[0]["bias"][...] = -50
    found = standing(descent(model, Y + 1, optimizer=fl.optim.Adam(0.01), epochs=60))
    assert found.name == "plateau"
    assert value(found, "loss of the best constant answer") == pytest.approx(Y.var(), rel=1e-4)


@pytest.mark.parametrize("network", [nn.Dense(1), nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(1))])
def test_a_minimiser_ends_at_a_minimum(network: Any) -> None:
    noise = 0.1 * np.random.default_rng(1).normal(size=len(Y))
    found = standing(descent(network, CURVED + noise, optimizer="lbfgs", epochs=2000, dtype="float64"))
    assert found.name == "converged" and not found.warns
    assert value(found, "lowest eigenvalue") > -1e-2 * value(found, "highest eigenvalue")


def test_weight_decay_in_the_gradient_is_part_of_what_descends() -> None:
    decay = fl.optim.GradientDescent(0.1, weight_decay=0.5)
    run = descent(nn.Dense(1), optimizer=decay, epochs=200, batch_size="full", dtype="float64")
    # Ridge regression: the gradient of the loss alone is not zero at its minimum.
    loss, gradient = fl.value_and_grad(run.model.objective)(run.model.theta, X, Y[:, None])
    assert np.linalg.norm(gradient) > 0.1
    found = standing(run)
    assert found.name == "converged" and value(found, "gradient norm") < 1e-6
    weight = run.model.params["weight"][:, 0]
    assert value(found, "training loss") == pytest.approx(float(loss) + 0.25 * float(weight @ weight), rel=1e-9)


def test_a_loss_that_falls_is_told_as_falling() -> None:
    found = standing(descent(nn.Sequential(nn.Dense(16), nn.Tanh(), nn.Dense(1)), CURVED, rate=0.01, epochs=10))
    assert found.name == "descending" and not found.warns
    assert "init=run" in found.tries[0]


def test_noise_of_batches_keeps_steps_moving() -> None:
    noisy = Y + np.random.default_rng(2).normal(size=len(Y))
    found = standing(descent(nn.Dense(1), noisy, rate=0.05, epochs=60, batch_size=8))
    assert found.name in ("level", "converged") and not found.warns


@pytest.mark.parametrize("rate", [3.0, 6.0])
def test_steps_that_bounce_across_a_valley_are_stuck(rate: float) -> None:
    x = np.column_stack([X[:, 0], 0.3 * X[:, 1]])
    data = (x, np.abs(x[:, 0] - 1))
    network = nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(1))
    run = fl.fit(network, data, loss="squared_error", optimizer=fl.optim.GradientDescent(rate / 4), epochs=100,
                 batch_size="full", seed=1)  # fmt: skip
    names = [one.name for one in fl.diagnose(run).findings]
    assert run.history["loss"][-1] > 0.5 * run.history["loss"][0], names
    assert {"stuck", "step_too_long", "diverged"} & set(names)


def test_stopping_early_is_told_as_asked() -> None:
    run = fl.fit(nn.mlp((32,), 2), (X, CODES), loss="cross_entropy", validation=0.3, epochs=400,
                 early_stopping=fl.EarlyStopping(patience=5), optimizer=fl.optim.Adam(0.03))  # fmt: skip
    assert run.stop_reason == "early_stopping"
    found = standing(run)
    assert found.name == "stopped_early" and not found.warns
    assert value(found, "best validation loss") == min(run.history["validation_loss"])


def test_interrupted_and_killed_runs_say_so() -> None:
    training = fl.train(nn.Dense(1), (X, Y), loss="squared_error", epochs=50)
    events = iter(training)
    while len(training.run.epochs) < 4:
        next(events)
    assert standing(training.run).name == "unfinished"
    training.stop()
    assert isinstance([*events][-1], TrainingEnded)
    found = standing(training.run)
    assert found.name == "interrupted" and " of 50 epochs" in found.says


def test_a_schedule_that_ends_at_zero_is_no_landscape() -> None:
    optimizer = fl.optim.GradientDescent(fl.optim.Cosine(0.05))
    found = standing(descent(nn.Sequential(nn.Dense(16), nn.Tanh(), nn.Dense(1)), CURVED, optimizer=optimizer))
    assert found.name in ("level", "converged") and "rate was brought down" in found.says


def test_every_form_of_network_has_one_standing() -> None:
    layers: list[list[Any]] = [
        [nn.Dense(8), nn.BatchNorm(), nn.ReLU(), nn.Dense(2)],
        [nn.Dense(8), nn.ReLU(), nn.Dropout(0.3), nn.Dense(2)],
    ]
    for some in layers:
        run = fl.fit(nn.Sequential(*some), (X, CODES), loss="cross_entropy", epochs=15, optimizer=fl.optim.Adam(0.01))
        assert not standing(run).warns
    model = nn.Model.init(nn.Sequential(*layers[0]), 3, loss="cross_entropy").marked("0.*", kind="frozen")
    assert not standing(fl.fit(model, (X, CODES), epochs=15)).warns
    weighted = fl.fit(nn.Dense(1), (X, Y, np.arange(200.0)), loss="huber", epochs=15)
    assert not standing(weighted).warns
    groups = fl.optim.Groups({"*.weight": fl.optim.AdamW(0.01, weight_decay=0.1), "*": fl.optim.Momentum(0.01)})
    assert not standing(fl.fit(nn.mlp((8,), 1), (X, Y), loss="squared_error", optimizer=groups, epochs=15)).warns


@pytest.mark.parametrize("epochs", [2, 3])
def test_few_epochs_of_a_falling_loss_are_not_called_rest(epochs: int) -> None:
    network = nn.Sequential(nn.Dense(16), nn.Tanh(), nn.Dense(1))
    assert standing(descent(network, CURVED, rate=0.05, epochs=epochs)).name == "descending"


def test_one_epoch_shows_no_trend() -> None:
    assert "shows no trend" in standing(descent(nn.Dense(1), CURVED, rate=0.01, epochs=1)).says


def test_a_loss_above_its_first_is_said_to_be_so_without_rows() -> None:
    def batches() -> Any:
        for start in range(0, 200, 20):
            yield X[start : start + 20].astype(np.float32), CODES[start : start + 20]

    run = fl.fit(nn.mlp((8,), 2), batches, loss="cross_entropy", epochs=5, optimizer=fl.optim.Adam(30.0))
    found = standing(run)
    assert run.history["loss"][-1] >= run.history["loss"][0] and found.name == "level", found
    assert "no lower than in the first" in found.says and found.unchecked
