"""Objective and penalties: values and gradients against NumPy, weights of rows, files, and losses that stay without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn, optim
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError

RNG = np.random.default_rng(0)
X, Y, WEIGHT = RNG.normal(size=(40, 3)), RNG.normal(size=40), RNG.uniform(0.5, 2, 40)


def one_step(loss: Any, data: tuple[Any, ...] = (X, Y), rate: float = 0.1) -> tuple[nn.Model, fl.Run]:
    """A linear model, and the run of one step of gradient descent on all rows."""
    model = nn.Model.init(nn.Sequential(nn.Dense(1)), 3, loss=loss, seed=1, dtype="float64")
    settings = {"optimizer": optim.GradientDescent(rate), "epochs": 1, "batch_size": "full", "dtype": "float64"}
    return model, fl.fit(model, data, **settings)


def squared(w: np.ndarray, b: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray, float]:
    """The weighted mean of squared errors and its gradient, in NumPy."""
    r = X @ w[:, 0] + b - Y
    return np.average(r**2, weights=weight), 2 * X.T @ (weight * r) / weight.sum(), 2 * weight @ r / weight.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("kind", [nn.L1, nn.L2])
def test_a_step_follows_the_gradient_of_the_loss_that_is_reported(kind: Any, per_row: bool, weighted: bool) -> None:
    weight = WEIGHT if weighted else np.ones(40)
    objective = nn.Objective("squared_error", factor=0.5, penalty=kind(0.3, per_row=per_row))
    model, run = one_step(objective, (X, Y, WEIGHT) if weighted else (X, Y))
    w, b = (model.params[0][name] for name in ("weight", "bias"))
    value, d_w, d_b = squared(w, b, weight)
    strength = 0.3 / (weight.sum() if per_row else 1)
    term, slope = (np.abs(w).sum(), np.sign(w)) if kind is nn.L1 else (0.5 * (w**2).sum(), w)
    assert run.history["loss"][0] == pytest.approx(0.5 * value + strength * term, rel=1e-12)
    np.testing.assert_allclose(run.model.params[0]["weight"], w - 0.1 * (0.5 * d_w[:, None] + strength * slope))
    np.testing.assert_allclose(run.model.params[0]["bias"], b - 0.1 * 0.5 * d_b)


def test_a_penalty_and_the_same_weight_decay_lead_to_the_same_parameters() -> None:
    data, settings = (X, Y), {"epochs": 5, "dtype": "float64"}
    penalised = nn.Objective("squared_error", penalty=nn.L2(0.2))
    mine = fl.fit(nn.mlp((4,), 1), data, loss=penalised, optimizer=optim.Momentum(0.05), **settings)
    decayed = optim.Momentum(0.05, weight_decay=0.2)
    theirs = fl.fit(nn.mlp((4,), 1), data, loss="squared_error", optimizer=decayed, **settings)
    np.testing.assert_allclose(mine.model.theta, theirs.model.theta, rtol=1e-10)
    assert mine.history["loss"][0] > theirs.history["loss"][0]


def test_validation_and_evaluation_leave_the_penalty_out() -> None:
    run = fl.fit(
        nn.mlp((4,), 1), (X, Y), loss=nn.Objective("squared_error", penalty=nn.L2(10.0)), validation=(X, Y), epochs=1
    )
    found = run.model.evaluate((X, Y))["loss"]
    assert found == pytest.approx(np.mean((run.model.predict(X) - Y) ** 2), rel=1e-5)
    assert run.history["validation_loss"][0] == pytest.approx(found, rel=1e-5)


def test_a_minimiser_minimises_the_penalty_too() -> None:
    # ridge regression in closed form, the constant not penalised
    objective = nn.Objective("squared_error", factor=0.5, penalty=nn.L2(8.0, per_row=True))
    run = fl.fit(nn.Dense(1), (X, Y), loss=objective, optimizer=optim.LBFGS(tolerance=1e-9), dtype="float64")
    x, y = X - X.mean(0), Y - Y.mean()
    best = np.linalg.solve(x.T @ x + 8 * np.eye(3), x.T @ y)
    np.testing.assert_allclose(run.model.params["weight"][:, 0], best, rtol=1e-6)


def test_frozen_weights_and_factors_of_decay_are_heard() -> None:
    objective = nn.Objective("squared_error", penalty=nn.L2(1.0))
    model = nn.Model.init(nn.Sequential(nn.Dense(2), nn.Dense(1)), 3, loss=objective, dtype="float64")
    frozen = model.marked("0.weight", kind="frozen").marked("1.weight", decay=0.5)
    losses = [fl.fit(one, (X, Y), epochs=1, batch_size="full").history["loss"][0] for one in (model, frozen)]
    first, second = (model.params[place]["weight"] for place in (0, 1))
    assert losses[0] - losses[1] == pytest.approx(0.5 * (first**2).sum() + 0.25 * (second**2).sum(), rel=1e-6)


def test_a_function_of_the_parameters_is_a_penalty() -> None:
    objective = nn.Objective("squared_error", penalty=lambda params: 0.3 * np.sum(np.abs(params[0]["weight"])))
    assert np.array_equal(
        one_step(objective)[1].model.theta,
        one_step(nn.Objective("squared_error", penalty=nn.L1(0.3)))[1].model.theta,
    )


def test_predictions_and_labels_are_those_of_the_loss_within(tmp_path: Path) -> None:
    labels = np.array(["low", "high"])[(Y > 0).astype(int)]
    run = fl.fit(
        nn.mlp((4,), 2), (X, labels), loss=nn.Objective("cross_entropy", factor=3.0, penalty=nn.L2()), epochs=2
    )
    assert set(run.model.predict(X)) <= {"low", "high"} and run.model.predict_proba(X).shape == (40, 2)
    fl.save_model(run.model, tmp_path / "model.safetensors")
    again = fl.load_model(tmp_path / "model.safetensors")
    assert again.loss == run.model.loss
    assert np.array_equal(again.predict_proba(X), run.model.predict_proba(X))


def test_a_penalty_that_was_a_function_is_asked_for_again(tmp_path: Path) -> None:
    def small(params: Any) -> Any:
        return np.sum(np.square(params["weight"]))

    run = fl.fit(nn.Dense(1), (X, Y), loss=nn.Objective("squared_error", penalty=small), epochs=1)
    fl.save_model(run.model, tmp_path / "model.safetensors")
    again = fl.load_model(tmp_path / "model.safetensors")
    assert np.array_equal(again.predict(X), run.model.predict(X))
    with pytest.raises(ArgumentError, match="the penalty 'small' was a function of the program"):
        fl.fit(again, (X, Y), epochs=1)
    fl.fit(again, (X, Y), loss=nn.Objective("squared_error", penalty=small), epochs=1)


def test_senseless_objectives() -> None:
    with pytest.raises(ArgumentTypeError, match="a penalty is nn"):
        nn.Objective("squared_error", penalty=0.1)
    with pytest.raises(ArgumentError, match="factor has to be a number > 0"):
        nn.Objective("squared_error", factor=0)
    with pytest.raises(ArgumentError, match="did you mean 'squared_error'"):
        nn.Objective("squard_error")
    with pytest.raises(ShapeError, match="a penalty is one number, and this one has shape"):
        one_step(nn.Objective("squared_error", penalty=lambda params: params[0]["weight"]))


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_the_constant_with_the_lowest_pinball_loss_is_the_quantile(q: float) -> None:
    y = np.sort(RNG.normal(size=101))[:, None]
    losses = [nn.Pinball(q)(np.full_like(y, value), y) for value in y[:, 0]]
    assert y[np.argmin(losses), 0] == pytest.approx(np.quantile(y, q))


def test_several_quantiles_come_near_to_one_target() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2000, 1))
    y = x[:, 0] + rng.normal(size=2000) * 0.3
    run = fl.fit(
        nn.mlp((16,), 3), (x, y), loss=nn.Pinball((0.1, 0.5, 0.9)), optimizer=optim.Adam(optim.Cosine(0.01)), epochs=40
    )
    below = (y[:, None] < run.model.predict(x)).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.04)


def test_senseless_quantiles() -> None:
    for wrong in (0.0, 1.0, (), (0.5, 2), "half"):
        with pytest.raises(ArgumentError, match="quantiles are numbers > 0 and < 1"):
            nn.Pinball(wrong)  # type: ignore[arg-type]
    with pytest.raises(
        ArgumentError, match=r"Pinball has 2 quantiles, and the network gives 1 outputs\n  try: nn.Dense\(2\)"
    ):
        fl.fit(nn.Dense(1), (X, Y), loss=nn.Pinball((0.1, 0.9)))
    with pytest.raises(DataError, match="y has 2 numbers a row"):
        fl.fit(nn.Dense(3), (X, np.ones((40, 2))), loss=nn.Pinball((0.1, 0.5, 0.9)))
