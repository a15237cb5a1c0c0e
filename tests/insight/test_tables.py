"""Explanations of a model of a table: permutation importance, attributions and row losses, each against an oracle."""

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.data.dataset import Dataset
from fallline.insight.attribution import attributions
from fallline.insight.importance import permutation_importance
from fallline.insight.row_losses import out_of_fold, row_losses
from fallline.recipe import Choices, recipe_of
from fallline.table import as_table

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
FRAME = {
    "a": X[:, 0],
    "size": [["S", "M", "L"][i % 3] for i in range(50)],
    "b": X[:, 1],
    "town": list("abcdefghij") * 5,
}
COLUMNS = nn.Columns(
    (
        nn.Number("a", 0.1, 1.3),
        nn.Category("size", ("L", "M", "S")),
        nn.Standardised("b", -0.2, 0.7),
        nn.Category("town", tuple("abcdefghij")),
    )
)
LABELS = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]


def trained(y, columns=COLUMNS, x=None, **settings):
    network = nn.mlp((8,), 1 if y.dtype.kind == "f" else len(np.unique(y)), settings.pop("activation", "tanh"))
    return fl.fit(network, (x or FRAME, y), encoder=columns, epochs=30, optimizer=fl.optim.Adam(0.02), **settings).model


def linear(dtype="float64"):
    """y = 3 + 2 (x w + c) with w = (1, -2, 0)."""
    columns = nn.Columns(tuple(nn.Standardised(name, 0.5, 2.0) for name in "pqr"))
    model = nn.Model.init(nn.Sequential(nn.Dense(1)), 3, dtype=dtype).between(columns, nn.Quantity("y", 3.0, 2.0))
    return model.with_params(({"weight": np.array([[1.0], [-2.0], [0.0]]), "bias": np.array([0.25])},))


def test_importance_of_a_linear_model_is_the_one_by_hand():
    model, y = linear(), X @ [1.0, 1.0, 1.0]
    found = permutation_importance(model, X, y, repeats=3, seed=5)
    rng = np.random.default_rng(5)
    orders = [rng.permutation(50) for _ in range(3)]
    w = np.array([1.0, -2.0, 0.0])  # 2 (x - 0.5) / 2 w: the slopes in the unit of the target
    rest = y - (3 + 2 * (0.25 + (X - 0.5) / 2 @ w))
    for j in range(3):
        rises = [np.mean((rest - w[j] * (X[order, j] - X[:, j])) ** 2) - np.mean(rest**2) for order in orders]
        np.testing.assert_allclose(found.rises[j], rises, rtol=1e-9, atol=1e-12)
    assert found.loss == pytest.approx(np.mean(rest**2)) and found.mean[2] == 0


def test_importance_names_the_columns_of_the_table():
    model = trained(LABELS, loss="cross_entropy")
    found = permutation_importance(model, FRAME, LABELS, seed=1)
    assert found.names == ("a", "size", "b", "town") and found.names[np.argmax(found.mean)] == "a"
    proba = model.predict_proba(FRAME)[np.arange(50), (LABELS == "yes").astype(int)]
    assert found.loss == pytest.approx(-np.log(proba).mean(), rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_attributions_of_a_linear_model_are_its_terms(dtype):
    found = attributions(linear(dtype), X)
    np.testing.assert_allclose(found.values, (X - 0.5) / 2 * [2.0, -4.0, 0.0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.base, 3.5)


def test_attributions_add_up_to_the_prediction():
    y = np.sin(X[:, 0]) * 10 + 5
    model = trained(y, loss="squared_error", decoder=nn.Quantity("y", y.mean(), y.std()))
    found = attributions(model, FRAME)
    np.testing.assert_allclose(found.output, model.predict(FRAME), rtol=1e-5)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.output, rtol=1e-3)
    assert found.values.shape == (50, 4)


@pytest.mark.parametrize(
    ("y", "loss"),
    [(LABELS, "cross_entropy"), (LABELS, "binary_cross_entropy"), (np.arange(50) % 3, "cross_entropy")],
)
def test_attributions_of_a_class_add_up_to_its_log_odds(y, loss):
    network = nn.mlp((8,), 1 if loss == "binary_cross_entropy" else len(np.unique(y)), "tanh")
    model = fl.fit(network, (FRAME, y), encoder=COLUMNS, epochs=5, loss=loss).model
    for label in (None, model.labels[1]):
        found = attributions(model, FRAME, label=label)
        p = model.predict_proba(FRAME).astype(np.float64)
        picked = p.max(axis=1) if label is None else p[:, 1]
        np.testing.assert_allclose(found.output, np.log(picked / (1 - picked)), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.output, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="none of the classes"):
        attributions(model, FRAME, label="maybe")


def test_row_losses_are_those_of_the_loss():
    model = trained(LABELS, loss=nn.CrossEntropy(label_smoothing=0.1))
    p = model.predict_proba(FRAME)[np.arange(50), (LABELS == "yes").astype(int)]
    np.testing.assert_allclose(row_losses(model, FRAME, LABELS), -np.log(p), rtol=1e-4, atol=1e-6)
    y = X[:, 0] * 100
    model = trained(y, loss="squared_error", decoder=nn.Quantity("y", 1.0, 50.0))
    np.testing.assert_allclose(row_losses(model, FRAME, y), (y - model.predict(FRAME)) ** 2, rtol=1e-3, atol=1e-3)


def test_flipped_labels_have_the_highest_losses_out_of_fold():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    flipped = rng.choice(np.flatnonzero(np.abs(x.sum(axis=1)) > 0.7), 10, replace=False)
    y[flipped] ^= 1
    data = Dataset("x", as_table(x), y, ("0", "1"), "y", "classification", ("no", "yes"))
    choices = Choices(preset="plain", hidden=(8,), epochs=30, learning_rate=0.02)
    losses = out_of_fold(data, lambda rows: recipe_of(data, choices, rows), folds=4)
    assert len({*np.argsort(-losses)[:10]} & {*flipped}) >= 9
