"""A model on rows of its own: those of `evaluate`; confusion and errors are scikit-learn's and NumPy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

import fallline as fl
from fallline import nn
from fallline.assessment.assessed import unknown_levels
from fallline.errors import ArgumentError
from fallline.table import as_table

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
WEIGHT = RNG.integers(0, 3, 150).astype(float)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["each once", "by weight"])
def test_values_are_those_of_evaluate(weight: Any) -> None:
    data = (X, CODES) if weight is None else (X, CODES, weight)
    model = fl.fit(nn.mlp((4,), 3), (X, CODES), loss="cross_entropy", epochs=2).model
    found, plain = fl.assess(model, data, metrics=["f1", "log_loss"]), model.evaluate(data, metrics=["f1", "log_loss"])
    assert {name: one.value for name, one in found.values.items()} == pytest.approx(plain)
    assert found.rows == 150 and found.weighted == (weight is not None)
    assert all(0 < one.error < 0.2 for one in found.values.values())
    if weight is None:  # the loss is a mean over rows
        own = [model.loss.function(z[np.newaxis], y[np.newaxis]) for z, y in zip(model.outputs(X), CODES, strict=True)]
        assert found.values["loss"].error == pytest.approx(np.std(own) / math.sqrt(150), rel=0.3)


@pytest.mark.parametrize("labels", [("wolf", "ant", "cat"), (30, 10, 20)], ids=["texts", "numbers"])
def test_confusion_is_scikit_learns_in_the_order_of_sorted_labels(labels: Any) -> None:
    y = np.array(labels)[CODES]
    model = fl.fit(nn.mlp((4,), 3), (X, y), loss="cross_entropy", epochs=2, decoder=nn.Labels("kind", labels)).model
    found = fl.assess(model, (X[:40], y[:40]))
    assert found.classes == tuple(sorted(labels)) and found.confusion is not None
    assert np.array_equal(found.confusion, confusion_matrix(y[:40], model.predict(X[:40]), labels=sorted(labels)))


def test_errors_are_those_of_rows_that_there_are() -> None:
    y = 100 + X[:, 0]
    model = fl.fit(nn.mlp((4,), 1), (X, y), loss="squared_error", epochs=2).model
    found = fl.assess(model, (X, y))
    off = np.sort(np.abs(y - model.predict(X)))
    assert found.errors is not None and found.confusion is None and found.classes == ()
    assert found.errors[1.0] == pytest.approx(off[-1], rel=1e-5) and found.errors[0.5] == pytest.approx(
        off[74], rel=1e-5
    )
    one = fl.assess(model, (X[:1], y[:1]))
    assert math.isnan(one.values["r2"].value) and math.isnan(one.values["rmse"].error) and one.errors is not None


def test_outputs_that_are_not_finite_have_no_values() -> None:
    model = fl.fit(nn.mlp((4,), 3), (X, CODES), loss="cross_entropy", epochs=1).model
    found = fl.assess(model.with_theta(np.full_like(model.theta, np.nan)), (X, CODES))
    assert all(math.isnan(one.value) for one in found.values.values()) and found.confusion is None


def test_several_labels_and_columns_have_values_alone() -> None:
    y = (X > 0).astype(float)
    found = fl.assess(fl.fit(nn.mlp((4,), 3), (X, y), loss="binary_cross_entropy", epochs=1).model, (X, y))
    assert [*found.values] == ["loss", "exact_match", "entry_accuracy"] and found.confusion is found.errors is None


def test_levels_that_were_not_trained_on_are_counted() -> None:
    encoder = nn.Columns((nn.Category("town", ("here", "there")), nn.Category("size", ("1", "2")),
                          nn.Number("age", 0.0, 1.0)))  # fmt: skip
    given = {"town": np.array(["here", "far", None, "far", "away"], object), "size": np.array([1, 2, 1, 1, 2]),
             "age": np.arange(5.0)}  # fmt: skip
    assert unknown_levels(encoder, as_table(given)) == {"town": (3, ("far", "away"))}


def test_a_metric_that_does_not_fit_is_refused() -> None:
    model = fl.fit(nn.mlp((4,), 1), (X, X[:, 0]), loss="squared_error", epochs=1).model
    with pytest.raises(ArgumentError, match="the metric 'f1' measures classes"):
        fl.assess(model, (X, X[:, 0]), metrics="f1")
