"""Measures of predictions agree with scikit-learn's; a class that was not trained on counts as wrong."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from benchmarks.quality.scoring import scores


@pytest.mark.parametrize("k", [2, 4])
def test_measures_are_those_of_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(k)
    classes = np.array(["a", "b", "c", "d"][:k])
    y, p = rng.choice(classes, 200), rng.dirichlet(np.ones(k), 200)
    found = scores(y, p, classes)
    assert found["error"] == pytest.approx(1 - accuracy_score(y, classes[p.argmax(axis=1)]))
    assert found["log_loss"] == pytest.approx(log_loss(y, p))
    oracle = roc_auc_score(y, p[:, 1]) if k == 2 else roc_auc_score(y, p, multi_class="ovr")
    assert found["auc"] == pytest.approx(oracle)


def test_a_class_that_was_not_trained_on_is_an_error() -> None:
    found = scores(np.array(["a", "b", "c"]), np.array([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]), np.array(["a", "b"]))
    # One of three is wrong; -log of 1/2, 3/4 and 2^-52.
    assert found["error"] == pytest.approx(1 / 3)
    assert found["log_loss"] == pytest.approx((np.log(2) + np.log(4 / 3) + 52 * np.log(2)) / 3)


def test_rmse_is_in_the_units_of_the_target() -> None:
    assert scores(np.array([1.0, 3.0]), np.array([4.0, 3.0]), None)["rmse"] == pytest.approx(np.sqrt(4.5))
