"""Trainings with known ends, for the tests of verdicts about descent."""

from typing import Any

import numpy as np

import fallline as fl
from fallline import nn
from fallline.graph.op import Array

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
X -= X.mean(0)
Y = X @ np.array([1.0, -2.0, 0.5])
CURVED = np.tanh(X @ np.array([2.0, -1.0, 0.5])) - 1.5 * np.tanh(X @ np.array([-1.0, 2.0, 1.0]))
CODES = (Y + 0.3 * X[:, 0] ** 2 > 0).astype(np.int64)


def bare(*units: int) -> nn.Sequential:
    """A linear network of several layers, without biases."""
    return nn.Sequential(*(nn.Dense(one, bias=False) for one in units))


def constant(network: Any, value: float, dtype: str = "float32") -> nn.Model:
    """A model whose parameters all are one number."""
    model = nn.Model.init(network, 3, dtype=dtype)
    return model.with_theta(np.full_like(model.theta, value))


def descent(model: Any, y: Array = Y, rate: float = 0.1, epochs: int = 20, **settings: Any) -> fl.Run:
    """A training by gradient descent."""
    given = {"optimizer": fl.optim.GradientDescent(rate), "epochs": epochs, **settings}
    if not isinstance(model, nn.Model):
        given.setdefault("loss", "squared_error")
    return fl.fit(model, (X, y), **given)
