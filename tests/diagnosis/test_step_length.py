"""Steps far too short and too long, told by trials; and healthy runs, of which nothing is said."""

from typing import Any

import numpy as np
import pytest
from sklearn import datasets

import fallline as fl
from fallline import nn

ABOUT_DESCENT = {"saddle", "stuck", "plateau", "step_too_short", "step_too_long", "diverged"}
GOOD: dict[str, float] = {"gradient_descent": 0.1, "momentum": 0.01, "adam": 1e-3, "rmsprop": 1e-3}
SETS: dict[str, tuple[Any, str, int]] = {
    "digits": (datasets.load_digits, "cross_entropy", 10),
    "iris": (datasets.load_iris, "cross_entropy", 3),
    "diabetes": (datasets.load_diabetes, "squared_error", 1),
}


def run_on(name: str, optimizer: Any, epochs: int = 30, hidden: tuple[int, ...] = (32,), **settings: Any) -> fl.Run:
    load, loss, outputs = SETS[name]
    x, y = load(return_X_y=True)
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    y = y if outputs > 1 else (y - y.mean()) / y.std()
    return fl.fit(nn.mlp(hidden, outputs), (x, y), loss=loss, optimizer=optimizer, epochs=epochs, seed=1, **settings)


def warned(run: fl.Run) -> set[str]:
    return {one.name for one in fl.diagnose(run).warnings} & ABOUT_DESCENT


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("optimizer", GOOD)
def test_a_rate_a_thousand_times_too_short_is_told(name: str, optimizer: str) -> None:
    # Gradient descent on small tables bears 100 times the usual rate of momentum's sum, so its own is taken shorter.
    factor = 1e-4 if optimizer in ("gradient_descent", "momentum") else 1e-3
    run = run_on(name, fl.optim.OPTIMIZERS[optimizer](factor * GOOD[optimizer]))
    found = fl.diagnose(run)["step_too_short"]
    seen = {one.name: one.value for one in found.evidence}
    assert found.warns and seen["reach of a step"] < 0.1
    assert float(found.tries[0].removeprefix("learning_rate=")) >= 9 * factor * GOOD[optimizer]
    assert "descending" in fl.diagnose(run)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("digits", fl.optim.Adam(1.0)),
        ("digits", fl.optim.RMSProp(1.0)),
        ("digits", fl.optim.GradientDescent(10.0)),
        ("iris", fl.optim.GradientDescent(10.0)),
        ("iris", fl.optim.RMSProp(1.0)),
        ("diabetes", fl.optim.GradientDescent(1.0)),
        ("diabetes", fl.optim.RMSProp(0.1)),
        ("diabetes", fl.optim.Adam(1.0)),
    ],
)
def test_steps_that_are_far_too_long_are_told(name: str, optimizer: Any) -> None:
    found = warned(run_on(name, optimizer))
    assert found & {"stuck", "step_too_long", "diverged"} and "step_too_short" not in found


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("optimizer", [*GOOD, "adamw", "nesterov", "lbfgs"])
def test_healthy_runs_are_not_warned_of(name: str, optimizer: str) -> None:
    assert not warned(run_on(name, optimizer, epochs=20))
    assert not warned(run_on(name, optimizer, epochs=60, batch_size="full", hidden=(16, 16)))


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_few_epochs_are_no_fault_of_the_steps(epochs: int) -> None:
    assert not warned(run_on("digits", "adam", epochs=epochs))
    assert not warned(run_on("iris", "adam", epochs=epochs))


def test_annealed_and_early_stopped_runs_are_not_warned_of() -> None:
    assert not warned(run_on("digits", fl.optim.Adam(fl.optim.Cosine(0.01))))
    assert not warned(run_on("diabetes", fl.optim.Momentum(fl.optim.Cosine(0.02))))
    assert not warned(run_on("diabetes", "adam", epochs=200, validation=0.2, early_stopping=5))
    noise = np.random.default_rng(0)
    run = fl.fit(nn.Dense(1), (noise.normal(size=(300, 4)), noise.normal(size=300)), loss="squared_error", epochs=40)
    assert not warned(run)
