"""A variable that a loss or a layer reads keeps its first value in a training; its change is reported."""

from __future__ import annotations

import types
import warnings
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn

X = np.random.default_rng(0).normal(size=(12, 2))
DATA = X, X[:, 0]
BETA: Any = 0.5
UNREAD = 0
TABLE = {"beta": 0.5, "other": 0}
SPACE = types.SimpleNamespace(beta=0.5, other=0)
ARRAY = np.array([0.5])
NUMBERS = [0.5]


def helper() -> float:
    return float(BETA)


class Owner:
    def __init__(self) -> None:
        self.beta, self.epoch = 0.5, 0

    def loss(self, o: Any, y: Any) -> Any:
        return self.beta * np.mean(np.square(o - y))

    def count(self) -> None:
        self.epoch += 1


OWNER = Owner()


def change_global(value: float) -> None:
    global BETA
    BETA = value


LOSSES: dict[str, tuple[Any, Any, str]] = {
    "a global": (lambda o, y: BETA * np.mean(np.square(o - y)), change_global, "BETA"),
    "a global of a helper": (lambda o, y: helper() * np.mean(np.square(o - y)), change_global, "BETA"),
    "a dict": (lambda o, y: TABLE["beta"] * np.mean(np.square(o - y)), lambda v: TABLE.update(beta=v), "TABLE"),
    "a namespace": (lambda o, y: SPACE.beta * np.mean(o - y), lambda v: setattr(SPACE, "beta", v), "SPACE.beta"),
    "an object": (OWNER.loss, lambda v: setattr(OWNER, "beta", v), "self.beta"),
    "an array": (lambda o, y: np.mean(ARRAY * np.square(o - y)), lambda v: ARRAY.fill(v), "ARRAY"),
    "a list": (lambda o, y: NUMBERS[0] * np.mean(o - y), lambda v: NUMBERS.__setitem__(0, v), "NUMBERS"),
}


def epochs(loss: Any, between: Any, network: Any = None) -> None:
    for event in fl.train(network or nn.Dense(1), DATA, loss=loss, epochs=3):
        if isinstance(event, fl.events.EpochEnded):
            between(event.epoch)


@pytest.mark.parametrize("name", LOSSES)
def test_a_variable_that_changed_between_epochs_is_reported_once(name: str) -> None:
    loss, change, told = LOSSES[name]
    change(0.5)
    with pytest.warns(UserWarning, match="was .*0.5.* when the training began and is .*0.[67]") as caught:
        epochs(loss, lambda epoch: change(0.6 + epoch / 10))
    assert len(caught) == 1 and str(caught[0].message).startswith(told)
    change(0.5)


def test_closures_and_layers_are_reported_too() -> None:
    beta = 0.5

    def change(epoch: int) -> None:
        nonlocal beta
        beta = 0.6 + epoch

    with pytest.warns(UserWarning, match="beta was 0.5"):
        epochs(lambda o, y: beta * np.mean(o - y), change)
    with pytest.warns(UserWarning, match="beta was 2.6"):
        epochs("squared_error", change, nn.Sequential(lambda x: beta * x, nn.Dense(1)))


def test_variables_that_nothing_reads_may_change() -> None:
    global UNREAD
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss, change, _ in LOSSES.values():
            change(0.5)
            epochs(loss, lambda epoch: (TABLE.update(other=epoch), setattr(SPACE, "other", epoch), OWNER.count()))
        UNREAD += 1
        epochs("squared_error", lambda epoch: change_global(epoch))
    change_global(0.5)
