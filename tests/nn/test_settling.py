"""First parameters that have seen rows: unit deviation, zeros between the rows, and nothing where a model is given."""

from __future__ import annotations

from typing import Any

import numpy as np

import fallline as fl
from fallline import nn
from fallline.nn.context import Context, applied
from fallline.nn.settling import settled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 3)) * [1.0, 100.0, 0.01] + [0, 50, 7]
Y = RNG.normal(size=500)


def network(settles: bool = True) -> nn.Sequential:
    def dense(units: int, **choices: Any) -> nn.Dense:
        return nn.Dense(units, tangent=True, settled=settles, **choices)

    return nn.Sequential(nn.Scale(), dense(20), nn.Tanh(), nn.Dropout(0.5), dense(8, bias=False), dense(1))


def test_every_settled_layer_begins_with_outputs_of_deviation_one_that_are_zero_within_the_rows() -> None:
    model = settled(nn.Model.init(network(), 3, dtype="float64"), X, np.random.default_rng(1))
    x: Any = X
    for layer, params in zip(model.network.layers, model.params):  # type: ignore[attr-defined]
        x = applied(layer, params, x, Context())
        if isinstance(layer, nn.Dense):
            np.testing.assert_allclose(x.std(axis=0), 1, rtol=1e-9)
            if layer.bias:
                assert (x.min(axis=0) < 0).all() and (x.max(axis=0) > 0).all()
    constant = settled(nn.Model.init(network(), 3), np.ones((4, 3)), np.random.default_rng(1))
    assert np.isfinite(constant.theta).all()


def test_a_training_settles_what_it_draws_and_leaves_a_given_model_as_it_is() -> None:
    settings: dict[str, Any] = {"loss": "squared_error", "epochs": 1, "optimizer": fl.optim.GradientDescent(1e-12)}
    drawn = fl.fit(network(), (X, Y), **settings).model
    plain = fl.fit(network(False), (X, Y), **settings).model
    z = (X.astype(np.float32) @ drawn.params[1]["weight"]) / 3**0.5
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-3)
    ratio = drawn.params[1]["weight"] / plain.params[1]["weight"]
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-4)  # one factor for each column
    again = fl.fit(drawn, (X[::-1], Y), **settings).model
    np.testing.assert_allclose(again.theta, drawn.theta, atol=1e-6)
    assert np.array_equal(fl.fit(network(), (X, Y), **settings).model.theta, drawn.theta)
    streamed = fl.fit(network(), lambda: iter([(X, Y)]), **settings).model
    np.testing.assert_allclose((X.astype(np.float32) @ streamed.params[1]["weight"]).std(axis=0), 3**0.5, rtol=1e-3)
