"""A loss that stops being finite is reported with its step and a hint; the last good parameters stay."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.feeds.order import Order

SLOPE = fl.nn.Sequential(fl.nn.Dense(1, bias=False, initializer="zeros"))


def test_a_parabola_by_hand() -> None:
    # loss = (w - 1)^2 from w = 0 with step 11: w - 1 = -1, then times 1 - 22 = -21 each step, so the loss is 441^k;
    # 441^116 = 10^306.7 is finite and 441^117 is not, so step 117 cannot be made.
    run = fl.fit(
        SLOPE, ([[1.0]], [1.0]), loss="squared_error", optimizer=fl.optim.GradientDescent(11.0), epochs=500,
        dtype="float64",
    )  # fmt: skip
    assert run.stop_reason == "diverged"
    assert run.diverged is not None
    assert (run.diverged.step, run.diverged.learning_rate) == (117, 11.0)
    assert run.diverged.last_loss == pytest.approx(441.0**116, rel=1e-9)
    assert "learning_rate=1.1" in run.diverged.advice
    # The parameters are those whose loss was the last finite one.
    assert run.model.theta[0] - 1 == pytest.approx(-(21.0**116), rel=1e-9)
    assert "WARNING" in run.summary()
    assert "step 117" in run.summary()


def loop_until_not_finite(x: Any, y: Any, theta: Any, rate: float, size: int, seed: int) -> tuple[int, Any, float]:
    """Descent on a linear model with squared error, in plain NumPy: the step that fails, the theta before."""
    order, step, before, last = Order(np.arange(len(x)), seed, shuffle=size < len(x)), 0, theta, math.nan
    for epoch in range(10_000):
        place = order.place(epoch)
        for begin in range(0, len(x), size):
            rows = order.buffer[place + begin : place + min(begin + size, len(x))]
            with np.errstate(all="ignore"):
                r = x[rows] @ theta - y[rows]
                loss = float(np.mean(r**2))
                if not math.isfinite(loss):
                    return step, before, last
                before, last = theta, loss
                theta = theta - rate * 2 * x[rows].T @ r / len(rows)
            step += 1
    raise AssertionError("it converges")


@pytest.mark.parametrize("size", [7, 10, 47])
@pytest.mark.parametrize("calls", [[1], [2, 5], [1000]])
@pytest.mark.parametrize("copy", [False, True])
def test_the_last_good_parameters_are_kept_however_the_run_is_cut(
    numbers: Any, cut: Any, size: int, calls: list[int], copy: bool
) -> None:
    x, y = numbers
    cut(calls, copy)
    run = fl.fit(
        SLOPE, (x, y), loss="squared_error", optimizer=fl.optim.GradientDescent(5.0), epochs=1000, batch_size=size,
        dtype="float64", seed=3,
    )  # fmt: skip
    step, theta, last = loop_until_not_finite(x, y, np.zeros(4), 5.0, size, seed=3)
    assert run.diverged is not None
    assert run.diverged.step == step
    assert run.diverged.epoch == step // -(-47 // size)
    assert run.diverged.last_loss == pytest.approx(last, rel=1e-6)
    np.testing.assert_allclose(run.model.theta, theta, rtol=1e-6)
    assert len(run.epochs) == run.diverged.epoch
    assert np.isfinite(run.model.theta).all()


def test_a_first_loss_that_is_not_finite_leaves_the_first_parameters() -> None:
    model = fl.nn.Model.init(SLOPE, 1, dtype="float64").with_theta(np.array([1e200]))
    run = fl.fit(model, ([[1.0], [2.0]], [0.0, 1.0]), epochs=3)
    assert run.diverged is not None
    assert (run.diverged.step, math.isnan(run.diverged.last_loss), run.epochs) == (0, True, ())
    assert run.model.theta.tolist() == [1e200]
    assert "scale of x" in run.diverged.advice


def test_a_last_update_that_no_loss_has_met_is_not_trusted() -> None:
    # One step from w = 0: g = -2e5, so w = 1e305 * 2e5, which is not finite, and no loss is left to tell.
    run = fl.fit(
        SLOPE, ([[1.0]], [1e5]), loss="squared_error", optimizer=fl.optim.GradientDescent(1e305), epochs=1,
        dtype="float64",
    )  # fmt: skip
    assert run.stop_reason == "diverged"
    assert run.model.theta.tolist() == [0.0]
    assert run.diverged is not None
    assert (run.diverged.step, run.diverged.last_loss) == (1, 1e10)


def test_early_stopping_gives_back_its_best_epoch_after_a_divergence(numbers: Any) -> None:
    steps = fl.optim.GradientDescent(lambda step: np.where(step < 30, 0.01, 1e6))
    settings: dict[str, Any] = {
        "loss": "squared_error", "optimizer": steps, "epochs": 100, "batch_size": 8, "dtype": "float64",
        "early_stopping": 20, "validation": 0.3, "seed": 1,
    }  # fmt: skip
    run = fl.fit(SLOPE, numbers, **settings)
    assert run.stop_reason == "diverged"
    assert run.ended is not None
    assert run.ended.restored_best
    best = run.best_epoch
    assert best is not None
    calm = fl.fit(SLOPE, numbers, **{**settings, "epochs": best + 1, "early_stopping": None})
    assert run.model.theta.tobytes() == calm.model.theta.tobytes()


def test_a_diverged_run_on_disk_is_valid_json_and_resumes_from_before(numbers: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "loss": "squared_error", "optimizer": fl.optim.GradientDescent(5.0), "epochs": 1000, "batch_size": 8,
        "out": tmp_path, "checkpoints": 1,
    }  # fmt: skip
    run = fl.fit(SLOPE, numbers, **settings)
    for line in (tmp_path / "events.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    back = fl.load_run(tmp_path)
    assert back.model.theta.tobytes() == run.model.theta.tobytes()
    assert back.diverged == run.diverged
    again = fl.fit(SLOPE, numbers, resume=True, **settings)
    assert again.diverged == run.diverged
    assert again.model.theta.tobytes() == run.model.theta.tobytes()


def test_clipping_is_advised_only_where_it_is_off(numbers: Any) -> None:
    def advice(**options: Any) -> str:
        optimizer = fl.optim.GradientDescent(1e4, **options)
        run = fl.fit(SLOPE, numbers, loss="squared_error", optimizer=optimizer, epochs=1000, batch_size=8)
        return run.diverged.advice if run.diverged is not None else ""

    assert "clip_norm" in advice()
    assert "clip_norm" not in advice(clip_norm=1e30)


@pytest.mark.parametrize("name", list(fl.optim.OPTIMIZERS))
def test_a_rate_beyond_float32_diverges_without_a_warning(numbers: Any, name: str) -> None:
    optimizer = fl.optim.get(name, learning_rate=1e40)
    run = fl.fit(SLOPE, numbers, loss="squared_error", optimizer=optimizer, epochs=2, dtype="float32")
    assert run.stop_reason == "diverged"
    assert np.isfinite(run.model.theta).all()
