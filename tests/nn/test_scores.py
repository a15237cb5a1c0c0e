"""Model.evaluate: the loss and metrics of a training's validation, scikit-learn's numbers, and slips."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, DataError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1100, 3))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
NAMES = np.array(["low", "middle", "top"])[CODES]
Y = X[:, 0] * X[:, 1]


@pytest.mark.parametrize(
    ("outputs", "loss", "y"),
    [
        (3, "cross_entropy", NAMES),
        (1, "binary_cross_entropy", CODES > 0),
        (1, "squared_error", Y),
        (2, nn.Huber(0.5), np.stack([Y, -Y], axis=1)),
        (1, "poisson", CODES),
    ],
)
def test_it_is_what_validation_tells(outputs: int, loss: Any, y: Any) -> None:
    settings: Any = {"loss": loss, "epochs": 2, "early_stopping": False}
    run = fl.fit(nn.mlp((8,), outputs), (X[:500], y[:500]), validation=(X[500:], y[500:]), **settings)
    found = run.model.evaluate((X[500:], y[500:]))
    told = {name.removeprefix("validation_"): run.history[name][-1] for name in run.history if "validation" in name}
    assert [*found] == [*told]
    for name, value in told.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name


def test_encoders_and_decoders_are_those_of_validation() -> None:
    raw, price = X * 10 + 3, 100 * Y + 50
    coders: Any = {"encoder": nn.standardise(raw), "decoder": nn.Quantity("price", 50.0, 100.0)}
    given: Any = {"loss": "squared_error", "epochs": 1, "early_stopping": False, **coders}
    run = fl.fit(nn.mlp((8,), 1), (raw, price), validation=(raw, price), **given)
    found = run.model.evaluate((raw, price))
    for name, value in found.items():
        assert value == pytest.approx(run.history[f"validation_{name}"][-1], rel=1e-5)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((run.model.predict(raw) - price) ** 2)), rel=1e-5)


def test_the_bounds_of_predictions_are_none_of_the_truth() -> None:
    decoder = nn.Quantity("price", 50.0, 100.0, lowest=0.0, highest=100.0)
    model = fl.fit(nn.mlp((8,), 1), (X, 100 * Y + 50), loss="squared_error", epochs=1, decoder=decoder).model
    far = 100 * Y + 1000
    assert model.predict(X).max() <= 100
    wanted = np.sqrt(np.mean((model.predict(X) - far) ** 2))
    assert model.evaluate((X, far))["rmse"] == pytest.approx(wanted, rel=1e-5)
    assert fl.assess(model, (X, far)).values["rmse"].value == pytest.approx(wanted, rel=1e-5)
    told = fl.compare(model, (X, 100 * Y + 50), (X, far)).network
    assert told.scores["rmse"].value == pytest.approx(wanted, rel=1e-5)


def test_weights_are_those_of_validation() -> None:
    weight = RNG.uniform(size=1100)
    part = [array[600:] for array in (X, NAMES, weight)]
    settings: Any = {"loss": "cross_entropy", "epochs": 1, "early_stopping": False}
    run = fl.fit(nn.mlp((8,), 3), (X[:600], NAMES[:600], weight[:600]), validation=tuple(part), **settings)
    found = run.model.evaluate(part)
    assert found["loss"] == pytest.approx(run.history["validation_loss"][-1], rel=1e-5)
    assert found["loss"] == pytest.approx(
        theirs.log_loss(part[1], run.model.predict_proba(part[0]), sample_weight=part[2]), rel=1e-4
    )
    assert run.model.evaluate({"x": X, "y": NAMES})["accuracy"] == run.model.evaluate((X, NAMES))["accuracy"]


def test_metrics_are_scikit_learns() -> None:
    model = fl.fit(nn.mlp((8,), 3), (X, NAMES), loss="cross_entropy", epochs=1).model
    found = model.evaluate((X, NAMES), metrics={"mcc": theirs.matthews_corrcoef, "F": "f1"})
    assert [*found] == ["loss", "accuracy", "mcc", "F"]
    assert found["accuracy"] == theirs.accuracy_score(NAMES, model.predict(X))
    assert found["mcc"] == theirs.matthews_corrcoef(NAMES, model.predict(X))
    assert found["loss"] == pytest.approx(theirs.log_loss(NAMES, model.predict_proba(X)), rel=1e-5)


def test_a_model_that_no_targets_met_names_its_classes_by_number() -> None:
    model = nn.Model.init(nn.mlp((8,), 3), 3, loss="cross_entropy")
    some = CODES != 1  # labels are not numbered anew where one is missing
    assert model.evaluate((X[some], CODES[some]))["accuracy"] == np.mean(model.predict(X[some]) == CODES[some])
    with pytest.raises(DataError, match="labels such as"):
        model.evaluate((X, NAMES))
    named = model.for_targets(model.prepare(NAMES))
    assert named.evaluate((X, NAMES))["accuracy"] == np.mean(named.predict(X) == NAMES)


def test_a_loss_of_ones_own_and_data_as_attributes() -> None:
    run = fl.fit(nn.mlp((4,), 1), (X, Y), loss=lambda o, y: np.mean((o - y) ** 4), epochs=1)
    found = run.model.evaluate(SimpleNamespace(x=X, y=Y))
    assert found["loss"] == pytest.approx(np.mean((run.model.outputs(X)[:, 0] - Y) ** 4), rel=1e-4)


def test_slips_are_reported() -> None:
    model = nn.Model.init(nn.mlp((4,), 1), 3)
    for call, kind, told in (
        (lambda: model.evaluate(X), DataError, r"a pair \(x, y\)"),
        (lambda: model.evaluate((X, Y, Y)), DataError, "1100 finite numbers >= 0"),
        (lambda: model.evaluate((X, Y, np.ones(3))), DataError, "1100 finite numbers >= 0"),
        (lambda: model.evaluate((X[:5], Y)), ShapeError, "x has 5 rows and y has 1100"),
        (lambda: model.evaluate((X[:, :2], Y)), ShapeError, "this model takes"),
        (lambda: model.evaluate((X, Y), metrics="accuracy"), ArgumentError, "measures classes or two classes"),
        (lambda: model.evaluate((X, Y), metrics="maee"), ArgumentError, "did you mean 'mae'"),
        (lambda: model.evaluate((X, np.where(Y > 1, np.nan, Y))), DataError, "NaN"),
        (lambda: model.evaluate((X[:0], Y[:0])), (DataError, ShapeError), "y is empty|one at least"),
    ):
        with pytest.raises(kind, match=told):
            call()
