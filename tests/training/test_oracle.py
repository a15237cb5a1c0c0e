"""Training agrees with a plain NumPy loop with hand-derived gradients: the same history, the same parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.feeds.order import Order
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings

Array = np.ndarray


class PlainNetwork:
    """x - tanh(x W1 + b1) W2 + b2 with softmax cross-entropy, its gradient written out by hand."""

    def __init__(self, theta: Array, sizes: tuple[int, int, int]) -> None:
        self.theta, (d, h, k) = theta, sizes
        # In theta each layer's arrays lie in the order of their names, bias before weight.
        parts = np.split(theta, np.cumsum([h, d * h, k]))
        self.b1, self.w1, self.b2, self.w2 = parts[0], parts[1].reshape(d, h), parts[2], parts[3].reshape(h, k)

    def loss_and_gradient(self, x: Array, y: Array) -> tuple[float, Array]:
        h = np.tanh(x @ self.w1 + self.b1)
        z = h @ self.w2 + self.b2
        z = z - z.max(axis=1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        n = len(x)
        loss = -np.mean(np.log(p[np.arange(n), y]))
        d_z = (p - np.eye(p.shape[1])[y]) / n
        d_h = d_z @ self.w2.T * (1 - h**2)
        parts = [d_h.sum(0), x.T @ d_h, d_z.sum(0), h.T @ d_z]
        return float(loss), np.concatenate([part.ravel() for part in parts])


def gradient_descent(theta: Array, g: Array, state: dict[str, Any], t: int) -> Array:
    return theta - 0.3 * g


def adam(theta: Array, g: Array, state: dict[str, Any], t: int) -> Array:
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * g**2
    m_hat, v_hat = state["m"] / (1 - 0.9**t), state["v"] / (1 - 0.999**t)
    return theta - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)


@pytest.mark.parametrize("batch_size", [1, 8, 53, 10])
@pytest.mark.parametrize(
    ("optimizer", "by_hand"),
    [(fl.optim.GradientDescent(0.3), gradient_descent), (fl.optim.Adam(0.01), adam)],
    ids=["gradient_descent", "adam"],
)
def test_history_and_theta_equal_a_plain_loop(labelled: Any, optimizer: Any, by_hand: Any, batch_size: int) -> None:
    x, y = labelled
    epochs, n = 4, len(x)
    network = fl.nn.mlp((5,), 3, "tanh")
    start = fl.nn.Model.init(network, 3, loss="cross_entropy", seed=4, dtype="float64")
    run = fl.fit(start, (x, y), optimizer=optimizer, epochs=epochs, batch_size=batch_size, seed=9)

    plain, state, t, losses = PlainNetwork(start.theta.copy(), (3, 5, 3)), {}, 0, []
    order = Order(np.arange(n), 9, shuffle=batch_size < n)
    for epoch in range(epochs):
        place, total = order.place(epoch), 0.0
        rows = order.buffer[place : place + n]
        for begin in range(0, n, batch_size):
            batch = rows[begin : begin + batch_size]
            loss, g = plain.loss_and_gradient(x[batch], y[batch])
            total += loss * len(batch)
            t += 1
            plain.theta[...] = by_hand(plain.theta, g, state, t)
        losses.append(total / n)

    np.testing.assert_allclose(run.history["loss"], losses, rtol=1e-12, atol=0)
    np.testing.assert_allclose(run.model.theta, plain.theta, rtol=1e-12, atol=1e-13)
    assert run.history["step"].tolist() == [(e + 1) * -(-n // batch_size) for e in range(epochs)]


def test_one_step_of_a_one_weight_model_by_hand() -> None:
    # y_hat = w x from w = 0: the loss of rows (1, 2), (2, 4) is (4 + 16) / 2 = 10, d loss / d w = mean 2 x (0 - y)
    # = -(4 + 16) = -10 * 2 / 2 -> -(2*1*2 + 2*2*4) / 2 = -10. Step 0.1: w = 1, loss = (1 + 4) / 2 = 2.5.
    network = fl.nn.Sequential(fl.nn.Dense(1, bias=False, initializer="zeros"))
    run = fl.fit(
        network, ([[1.0], [2.0]], [2.0, 4.0]), loss="squared_error", optimizer=fl.optim.GradientDescent(0.1), epochs=2,
        batch_size=None, dtype="float64",
    )  # fmt: skip
    np.testing.assert_allclose(run.history["loss"], [10.0, 2.5], rtol=1e-15)
    np.testing.assert_allclose(run.model.theta, [1.5], rtol=1e-15)


def test_the_gradient_of_a_permuted_full_batch_is_the_same(numbers: Any) -> None:
    x, y = numbers
    rows = np.random.default_rng(0).permutation(len(x))
    results = [
        fl.fit(fl.nn.mlp((6,), 1, "tanh"), data, loss="squared_error", epochs=20, batch_size="full", dtype="float64")
        for data in [(x, y), (x[rows], y[rows])]
    ]
    np.testing.assert_allclose(results[0].model.theta, results[1].model.theta, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(results[0].history["loss"], results[1].history["loss"], rtol=1e-12)


def test_validation_numbers_equal_those_computed_from_the_predictions(labelled: Any, numbers: Any) -> None:
    rng = np.random.default_rng(0)
    big = rng.standard_normal((1200, 3))  # more than one block of rows, and a rest
    truth = rng.integers(0, 3, 1200)
    run = fl.fit(fl.nn.mlp((5,), 3), labelled, loss="cross_entropy", epochs=2, validation=(big, truth), dtype="float64")
    p = run.model.predict_proba(big)
    np.testing.assert_allclose(run.history["validation_loss"][-1], -np.mean(np.log(p[np.arange(1200), truth])))
    np.testing.assert_allclose(run.history["validation_accuracy"][-1], np.mean(run.model.predict(big) == truth))

    big, truth = rng.standard_normal((700, 4)), rng.standard_normal((700, 2)) * [1.0, 5.0]
    x, y = numbers
    run = fl.fit(
        fl.nn.mlp((5,), 2),
        (x, np.stack([y, 1 - y], 1)),
        loss="huber",
        epochs=2,
        validation=(big, truth),
        dtype="float64",
    )
    from sklearn.metrics import r2_score

    y_hat = run.model.predict(big)
    np.testing.assert_allclose(run.history["validation_r2"][-1], r2_score(truth, y_hat))
    np.testing.assert_allclose(run.history["validation_rmse"][-1], np.sqrt(np.mean((truth - y_hat) ** 2)))


def test_two_classes_by_one_output_are_counted_too() -> None:
    x = np.linspace(-1, 1, 40).reshape(-1, 1)
    y = np.where(x[:, 0] > 0.2, "yes", "no")
    run = fl.fit(
        fl.nn.Sequential(fl.nn.Dense(1)), (x, y), loss="binary_cross_entropy", optimizer=fl.optim.Adam(0.1), epochs=30,
        validation=0.25,
    )  # fmt: skip
    held = prepare(run.model, (x, y), Settings(validation=0.25)).validation
    assert held is not None
    rows = held.index
    assert len(rows) == 10
    expected = np.mean(run.model.predict(x[rows]) == y[rows])
    assert run.history["validation_accuracy"][-1] == pytest.approx(expected)
    assert np.mean(run.model.predict(x) == y) > 0.9


def test_linear_regression_reaches_least_squares() -> None:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression

    x, y = load_diabetes(return_X_y=True)
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    run = fl.fit(
        fl.nn.Sequential(fl.nn.Dense(1)), (x, y), loss="squared_error",
        optimizer=fl.optim.Nesterov(0.05, momentum=0.98), epochs=3000, batch_size="full", dtype="float64",
    )  # fmt: skip
    peer = LinearRegression().fit(x, y)
    np.testing.assert_allclose(run.model.params[0]["weight"][:, 0], peer.coef_, atol=1e-4)
    np.testing.assert_allclose(run.model.params[0]["bias"], peer.intercept_, atol=1e-4)


@pytest.mark.parametrize("strength", [1.0, 0.1])
def test_logistic_regression_reaches_the_peer_s_coefficients(strength: float) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    # The peer minimises sum loss + |w|^2 / (2 C); a mean loss with weight decay 1 / (C N) has the same minimum.
    run = fl.fit(
        fl.nn.Sequential(fl.nn.Dense(1)), (x, y), loss="binary_cross_entropy",
        optimizer=fl.optim.Nesterov(0.5, momentum=0.99, weight_decay=1 / (strength * len(x))), epochs=4000,
        batch_size="full", dtype="float64",
    )  # fmt: skip
    peer = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(run.model.params[0]["weight"][:, 0], peer.coef_[0], atol=1e-4)
    np.testing.assert_allclose(run.model.params[0]["bias"], peer.intercept_, atol=1e-4)
