"""Curvature of runs: the loss that descent followed, and borders at which real trainings settle."""

from dataclasses import replace

import numpy as np
import pytest

import fallline as fl
from fallline import nn, optim
from fallline.errors import ArgumentError
from fallline.nn.ensemble import averaged

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 5))
Y = np.stack([np.sin(X[:, 0] * X[:, 1]), np.tanh(2 * X[:, 2])], axis=1)


def run_of(optimizer, epochs=20, **settings):
    settings = {"loss": "squared_error", "batch_size": None, "early_stopping": False, "dtype": "float64"} | settings
    return fl.fit(nn.mlp((16,), 2, "tanh"), (X, Y), optimizer=optimizer, epochs=epochs, **settings)


def test_the_surface_of_a_run_has_the_gradient_that_descent_followed() -> None:
    run = run_of(optim.GradientDescent(0.1, weight_decay=0.3), loss=nn.Objective("squared_error", penalty=nn.L2(0.1)))
    moved = run_of(
        optim.GradientDescent(0.1, weight_decay=0.3), epochs=21,
        loss=nn.Objective("squared_error", penalty=nn.L2(0.1)),
    )  # fmt: skip
    _, gradient = fl.surface_of(run).value_and_gradient()
    np.testing.assert_allclose(run.model.theta - 0.1 * gradient, moved.model.theta, rtol=1e-9, atol=1e-12)


def test_in_training_mode_it_is_the_gradient_through_the_statistics_of_the_batch() -> None:
    network = nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.Tanh(), nn.Dense(2))
    settings = {"loss": "squared_error", "batch_size": None, "early_stopping": False, "dtype": "float64"}
    descent = optim.GradientDescent(0.1)
    short, longer = (fl.fit(network, (X, Y), optimizer=descent, epochs=n, **settings) for n in (5, 6))
    here = fl.surface_of(short, training=True)
    _, gradient = here.value_and_gradient()
    layout = short.model.layout
    expected = layout.pack(short.model.theta) - 0.1 * gradient
    np.testing.assert_allclose(layout.pack(longer.model.theta), expected, rtol=1e-9, atol=1e-12)
    predicting = fl.surface_of(short)
    assert "compute otherwise while training" in predicting.meaning and here.meaning == ""
    border = fl.stable_step(short)
    assert border.curvature.value == pytest.approx(fl.curvature.lambda_max(here).value, rel=0.01)


def test_dropout_draws_the_same_numbers_at_every_product() -> None:
    network = nn.Sequential(nn.Dense(8), nn.Dropout(0.5), nn.Tanh(), nn.Dense(2))
    run = fl.fit(network, (X, Y), loss="squared_error", epochs=2, batch_size=50)
    here = fl.surface_of(run, training=True)
    vector = np.ones(here.size)
    assert len(here.blocks) == 4
    np.testing.assert_array_equal(here.product()(vector), here.product()(vector))
    assert here.value_and_gradient()[0] != fl.surface_of(run).value_and_gradient()[0]


def test_members_that_are_averaged_are_followed_by_the_mean_of_their_losses() -> None:
    network = nn.Sequential(nn.SharedDense(6, 3), nn.Tanh(), nn.Heads(2))
    model = nn.Model.init(network, 5, loss="squared_error", dtype="float64")
    fit = lambda epochs: fl.fit(model, (X, Y), epochs=epochs, batch_size=None, optimizer=optim.GradientDescent(0.1))
    short, longer = fit(3), fit(4)
    _, gradient = fl.surface_of(short).value_and_gradient()
    np.testing.assert_allclose(longer.model.theta, short.model.theta - 0.1 * gradient, rtol=1e-9, atol=1e-12)


def test_full_batch_descent_settles_at_the_edge_of_stability() -> None:
    # Cohen et al. 2021: lambda_max rises until it is 2 / learning_rate, and stays there.
    found = fl.stable_step(run_of(optim.GradientDescent(0.7), epochs=3000))
    assert found.ratio == pytest.approx(1.0, abs=0.05) and found.note == ""


def test_full_batch_adam_settles_at_its_own_edge() -> None:
    # Cohen et al. 2022: the preconditioned lambda_max stays near 38 / learning_rate.
    found = fl.stable_step(run_of(optim.Adam(0.02), epochs=1500))
    assert 0.7 < found.ratio < 1.3
    assert found.curvature.value == pytest.approx(38 / 0.02, rel=0.3)


def test_a_step_far_below_the_border_is_told_so_and_batches_are_mentioned() -> None:
    found = fl.stable_step(run_of(optim.Momentum(1e-3), batch_size=32))
    assert found.ratio < 0.1 and "steps were made on 32 of 200 rows" in str(found)


def test_the_rate_in_use_is_that_of_the_last_epoch() -> None:
    run = run_of(optim.GradientDescent(optim.Cosine(0.1)))
    found = fl.stable_step(run)
    assert found.learning_rate == run.history["learning_rate"][-1]


def test_a_run_from_a_folder_has_its_border_from_its_checkpoint(tmp_path) -> None:
    run = run_of(optim.Adam(0.01), out=tmp_path / "run")
    again = fl.stable_step(tmp_path / "run", (X, Y))
    assert again.border == pytest.approx(fl.stable_step(run).border, rel=1e-6)


def test_a_run_without_moments_says_that_they_are_missing(tmp_path) -> None:
    run = run_of(optim.Adam(0.01), out=tmp_path / "run", checkpoints=None)
    assert fl.stable_step(run).border is not None
    assert "were not given" in str(fl.stable_step(fl.load_run(tmp_path / "run"), (X, Y)))


def test_minimisers_have_no_border_and_end_at_a_minimum() -> None:
    run = run_of(optim.LBFGS(), epochs=400)
    assert "length of every step" in str(fl.stable_step(run))
    assert fl.curvature.verdict_on(fl.surface_of(run), dense=500).kind in ("minimum", "flat", "not stationary")


def test_questions_without_an_answer_are_refused() -> None:
    run = run_of(optim.Adam(0.01))
    both = replace(run, model=averaged([run.model, run_of(optim.Adam(0.01), seed=1).model]))
    with pytest.raises(ArgumentError, match=r"average of 2 networks.*\n  try: the run of one of them"):
        fl.surface_of(both)
    with pytest.raises(ArgumentError, match="average of 2 networks, which went 2 ways"):
        fl.trajectory(both)
    with pytest.raises(ArgumentError, match="has no validation rows"):
        fl.surface_of(run, on="validation")
