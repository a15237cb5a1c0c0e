"""Verdict `batch_noise`: told where larger batches and shorter steps both lower the loss, and nowhere else."""

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.diagnosis.batch_noise import noise_scale
from fallline.diagnosis.case import Case
from fallline.insight.opened import opened

from .told import told

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 20))
Y = X @ RNG.normal(size=20) + RNG.normal(size=2000)
# The least loss that a line has on these rows.
FLOOR = float(np.mean((Y - np.column_stack([X, np.ones(2000)]) @ np.linalg.lstsq(
    np.column_stack([X, np.ones(2000)]), Y, rcond=None)[0]) ** 2))  # fmt: skip


def line(batch: int, rate: float | None = 0.02, **settings: object) -> fl.Run:
    chosen = {"optimizer": fl.optim.GradientDescent(rate), **settings}
    return fl.fit(nn.Dense(1), (X, Y), loss="squared_error", epochs=20, batch_size=batch, **chosen)


def test_a_loss_that_noise_keeps_high_is_told_and_what_it_would_be_without() -> None:
    found = told(line(1))
    numbers = {one.name: one.value for one in found["batch_noise"].evidence}
    before, larger = numbers["200 steps as before"], numbers["200 steps batches of 16"]
    # Of steps on one row of D = 21 numbers around the minimum: loss = floor (1 + r D / (2 - r (D + 2))), r the rate.
    assert before == pytest.approx(FLOOR * (1 + 0.02 * 21 / (2 - 0.02 * 23)), rel=0.4)
    assert larger == pytest.approx(FLOOR, rel=0.05)
    assert found["batch_noise"].warns and any("batch_size=16" in one for one in found["batch_noise"].tries)


def test_noise_that_costs_nothing_is_not_told() -> None:
    assert "batch_noise" not in told(line(64))
    assert "batch_noise" not in told(line(1, optimizer=fl.optim.GradientDescent(fl.optim.Cosine(0.02))))
    bouncing = fl.fit(nn.Dense(1), (X, Y), loss="squared_error", epochs=20, batch_size=2000,
                      optimizer=fl.optim.GradientDescent(0.7))  # fmt: skip
    assert "batch_noise" not in told(bouncing)
    exact = fl.fit(nn.Dense(1), (X, X[:, 0]), loss="squared_error", epochs=30, batch_size=1,
                   optimizer=fl.optim.GradientDescent(0.02))  # fmt: skip
    assert "batch_noise" not in told(exact)


def test_the_noise_scale_is_that_of_the_rows_gradients() -> None:
    run = fl.fit(nn.Dense(1), (X, Y), loss="squared_error", epochs=1, batch_size=32, seed=1,
                 optimizer=fl.optim.GradientDescent(1e-9))  # fmt: skip
    found = opened(run)
    theta = run.model.params
    off = (X @ theta["weight"] + theta["bias"])[:, 0] - Y
    rows = 2 * off[:, None] * np.column_stack([X, np.ones(2000)])
    mean = rows.mean(axis=0)
    by_rows = np.square(rows - mean).sum() / (len(rows) - 1) / (mean @ mean)
    assert noise_scale(Case(found, found.parts[0]), 32) == pytest.approx(by_rows, rel=0.2)


def test_trials_leave_the_run_as_it_was_and_are_the_same_each_time() -> None:
    run = line(1)
    before = run.model.theta.copy()
    assert told(run)["batch_noise"] == told(run)["batch_noise"]
    assert np.array_equal(run.model.theta, before)
