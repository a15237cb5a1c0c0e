"""Quantiles that cover."""

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.insight.intervals import Quantiles, checked_levels, covering

LEVELS = (0.1, 0.5, 0.9)


def drawn(rows, seed):
    """y = 3 x_0 + noise that grows with |x_1|, with its true quantiles 0.1 and 0.9."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (rows, 2))
    spread = 0.2 + np.abs(x[:, 1])
    return x, 3 * x[:, 0] + spread * rng.normal(size=rows), 1.2816 * spread


def constant():
    """A model that predicts 0 for each of three quantiles."""
    model = nn.Model.init(nn.Dense(3), 2, dtype="float64", loss=nn.Pinball(LEVELS))
    return model.with_theta(np.zeros(model.layout.size))


def test_a_shift_is_an_order_statistic_of_the_held_out_rows():
    y = np.arange(1.0, 20.0)  # 19 rows: (n + 1) p is 2, 10 and 18
    found = covering(constant(), LEVELS, np.zeros((19, 2)), y)
    np.testing.assert_array_equal(found.predict(np.zeros((1, 2))), [[2.0, 10.0, 18.0]])
    np.testing.assert_allclose(found.predict(np.zeros((1, 2)), [0.5, 0.3]), [[10.0, 6.0]])  # half-way between 2 and 10


def test_the_promise_holds_for_a_model_that_knows_nothing():
    inside = []
    for seed in range(200):
        y = np.random.default_rng(seed).normal(size=40)
        found = covering(constant(), LEVELS, np.zeros((30, 2)), y[:30])
        low, _, high = found.predict(np.zeros((1, 2)))[0]
        inside.append(np.mean((y[30:] >= low) & (y[30:] <= high)))
    assert 0.8 <= np.mean(inside) < 0.87


def test_intervals_are_wide_where_the_noise_is():
    x, y, _ = drawn(600, 0)
    held = np.arange(600) < 150
    run = fl.fit(
        nn.mlp((16,), 3, "tanh"),
        (x, y),
        loss=nn.Pinball(LEVELS),
        validation=held,
        epochs=100,
        optimizer=fl.optim.Adam(0.05),
    )
    found = covering(run.model, LEVELS, x[held], y[held])
    x, y, half = drawn(2000, 1)
    low, middle, high = found.predict(x).T
    assert np.all(low <= middle) and np.all(middle <= high)
    assert 0.76 < np.mean((y >= low) & (y <= high)) < 0.86
    assert np.corrcoef(high - low, 2 * half)[0, 1] > 0.8


def test_quantiles_outside_of_those_that_were_learnt_are_refused():
    found = Quantiles(constant(), LEVELS, np.zeros(3), 1)
    with pytest.raises(ValueError, match=r"0.1 to 0.9 were learnt\n  try: quantiles=\(0.05, 0.1, 0.5, 0.9\)"):
        found.predict(np.zeros((1, 2)), 0.05)
    for wrong in (0.0, [0.5, 1.0], [], "half", [[0.1]]):
        with pytest.raises(ValueError, match=r"quantiles are numbers|could not convert"):
            checked_levels(wrong)
    assert checked_levels([0.9, 0.1, 0.9]) == (0.1, 0.9)
