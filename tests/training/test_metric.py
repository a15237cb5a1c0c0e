"""What validation measures: beside scikit-learn's scores, for every kind of targets, through training itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.training.metric import errors

RNG = np.random.default_rng(0)
N, HELD = 60, 25
X = RNG.normal(size=(N, 3))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
ONE_HOT = np.eye(3)[CODES]
LABELS = (X + RNG.normal(size=X.shape) > 0.3).astype(float)
SHARES = RNG.uniform(size=(N, 3))


def scores(loss: Any, y: Any, outputs: int) -> tuple[dict[str, float], Any, Any]:
    """The last epoch's metrics, and truth and prediction of the validation rows."""
    held = np.arange(N - HELD, N)
    run = fl.fit(nn.mlp((8,), outputs), (X, y), loss=loss, epochs=3, batch_size=10, validation=held)
    return dict(run.epochs[-1].metrics), np.asarray(y)[held], run.model.predict(X[held])


def test_one_hot_targets_are_right_where_the_largest_output_is() -> None:
    from sklearn.metrics import accuracy_score

    for loss in ("binary_cross_entropy", "cross_entropy"):
        found, y, y_hat = scores(loss, ONE_HOT, 3)
        codes = y_hat if y_hat.ndim == 1 else y_hat.argmax(axis=1)
        assert found == {"validation_accuracy": pytest.approx(accuracy_score(y.argmax(axis=1), codes))}


def test_several_labels_are_right_where_all_of_them_are_and_entries_by_themselves() -> None:
    from sklearn.metrics import accuracy_score, hamming_loss

    found, y, y_hat = scores("binary_cross_entropy", LABELS, 3)
    assert found == {
        "validation_exact_match": pytest.approx(accuracy_score(y, y_hat > 0.5)),
        "validation_entry_accuracy": pytest.approx(1 - hamming_loss(y, y_hat > 0.5)),
    }


@pytest.mark.parametrize(("loss", "y", "outputs"), [
    ("binary_cross_entropy", SHARES, 3), ("binary_cross_entropy", SHARES[:, 0], 1), ("squared_error", SHARES, 3),
    ("squared_error", ONE_HOT, 3), ("huber", X[:, 0], 1), ("absolute_error", LABELS, 3), ("poisson", CODES, 1),
], ids=str)  # fmt: skip
def test_numbers_to_come_near_to_have_the_errors_of_a_regression(loss: str, y: Any, outputs: int) -> None:
    from sklearn.metrics import r2_score, root_mean_squared_error

    found, truth, y_hat = scores(loss, y, outputs)
    rmse = np.sqrt(np.mean((truth - y_hat) ** 2))
    assert root_mean_squared_error(truth.ravel(), y_hat.ravel()) == pytest.approx(rmse)
    wanted = {"validation_r2": r2_score(truth, y_hat), "validation_rmse": rmse}
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge"])
def test_two_classes_are_right_on_their_side(loss: str) -> None:
    for labels in ((0, 1), (-1, 1), ("no", "yes")):
        found, y, y_hat = scores(loss, np.array(labels)[(X[:, 0] > 0).astype(int)], 1)
        assert found == {"validation_accuracy": pytest.approx(np.mean(y == y_hat))}


@pytest.mark.parametrize("y", [[1.0, 2, 4], [3.0, 3, 3], [0.1] * 10, [5.0], [[1.0, 7], [2, 7]], [[1.0, 2]]], ids=str)
@pytest.mark.parametrize("off", [0.0, 0.25])
def test_r2_is_that_of_scikit_learn(y: Any, off: float) -> None:
    from sklearn.metrics import r2_score

    truth = np.array(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that R^2 of one row is not defined
        wanted = r2_score(truth, truth + off)
    table = truth.reshape(len(truth), -1)
    found, rmse = errors(np.sum((table + off - table) ** 2, axis=0), table)
    assert found == pytest.approx(wanted, nan_ok=True) and rmse == pytest.approx(off)


def test_that_one_row_has_no_r2_is_said() -> None:
    run = fl.fit(nn.mlp((), 1), (X, X[:, 0]), loss="squared_error", epochs=1, validation=(X[:1], X[:1, 0]))
    assert np.isnan(run.history["validation_r2"][0]) and "R^2 of one validation row is not defined" in run.summary()
