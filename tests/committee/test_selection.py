"""Greedy selection begins with the best model and never makes the average worse; losses are scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, root_mean_squared_error

from fallline.committee.selection import is_better, loss_of, selected


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_the_average_is_no_worse_than_the_best_model(seed: int, models: int, most: int, classes: bool) -> None:
    rng = np.random.default_rng(seed)
    if classes:
        y = rng.integers(0, 3, 20)
        predictions = [rng.dirichlet(np.ones(3), 20) for _ in range(models)]
    else:
        y = rng.normal(size=20)
        predictions = [y + rng.normal(size=20) for _ in range(models)]
    chosen = selected(predictions, y, most)
    losses = [loss_of(one, y) for one in predictions]
    assert 1 <= len(chosen) == len({*chosen}) <= most
    assert losses[chosen[0]] == min(losses)
    assert loss_of(np.mean([predictions[place] for place in chosen], axis=0), y) <= min(losses) + 1e-12


def test_losses_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 4, 50), rng.dirichlet(np.ones(4), 50)
    assert loss_of(p, y) == pytest.approx(log_loss(y, p))
    z = rng.normal(size=50)
    assert loss_of(z, z + 0.5) == pytest.approx(root_mean_squared_error(z, z + 0.5))


def test_two_models_that_err_in_opposite_ways_are_averaged_and_a_third_is_left_out() -> None:
    y = np.zeros(4)
    # Errors +1 and -1 cancel; 3 would make the average 1.
    assert selected([y + 3, y + 1, y - 1.1], y, most=3) == [1, 2]


def test_better_is_better_by_more_than_the_standard_error_of_the_difference() -> None:
    y, ones = np.zeros(100), np.ones(100)
    # Squared errors of 2.002 and 0 in turn beside 1: the mean gain is -0.001; of 1.8 and 0: 0.1, its error 0.09.
    turns = np.arange(100) % 2
    assert not is_better(np.sqrt(2.002 * turns), ones, y)
    assert is_better(np.sqrt(1.8 * turns), ones, y) and not is_better(np.sqrt(1.9 * turns), ones, y)
    assert is_better(0.99 * ones, ones, y) and not is_better(ones, ones, y)
