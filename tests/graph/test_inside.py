"""Errors out of code of the user's own name the object, the user's line, the shapes with N rows, and the known
names."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import CodeError, CodeKeyError, FalllineError, OutOfRangeError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 8)).astype(np.float32)
Y = X[:, :1]


class Mine(Exception):
    """An exception of the user's own."""


def raise_mine(x):
    raise Mine("on purpose")


# Faults of the layer below, and parts of their errors.
WRONG = {
    "product": (lambda p, x: x @ p["weight"], ShapeError, "inner sizes differ: [N, 8] @ [4, 8], 8 != 4"),
    "sum": (lambda p, x: x + p["three"], ShapeError, "shapes [N, 8] and [3] do not broadcast"),
    "name": (lambda p, x: x * p["wieght"], KeyError, "KeyError: 'wieght'; did you mean 'weight'?"),
    "other name": (lambda p, x: x * p["qqq"], KeyError, "KeyError: 'qqq'\n"),
    "division": (lambda p, x: x * (1 // 0), CodeError, "ZeroDivisionError"),
    "attribute": (lambda p, x: x.nothing, TypeError, "no attribute 'nothing'"),
    "index": (lambda p, x: np.take(x, np.array([9]), axis=1), IndexError, "index 9 is out of bounds for axis 1"),
    "list": (lambda p, x: x * [1.0][3], IndexError, "list index out of range"),
    "unpacking": (lambda p, x: [a for a, b in [(1, 2, 3)]], ValueError, "too many values"),
    "axis": (lambda p, x: np.sum(x, axis=3), ShapeError, "axis 3 does not exist"),
}


@dataclass(frozen=True)
class Layer:
    """A layer with one fault."""

    how: str
    noisy: bool = False

    def init(self, rng, shape, dtype):
        return {"weight": np.ones((4, 8), dtype), "three": np.ones(3, dtype)}, shape

    def apply(self, params, x, context):
        return x if self.noisy and not context.training else WRONG[self.how][0](params, x)


def trained(network: Any, **settings: Any) -> fl.Run:
    return fl.fit(network, (X, Y), **{"loss": "squared_error", "epochs": 1, "batch_size": 5, "threads": 1, **settings})


def message(kind: type[BaseException], call: Any) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, FalllineError)
    assert re.search(r"at test_inside.py:\d+", str(caught.value)), str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("how", WRONG)
def test_a_layer_that_goes_wrong_is_named_with_its_parameters_and_shapes(how):
    _, kind, told = WRONG[how]
    for network, name in (
        ([nn.Dense(8), Layer(how), nn.Dense(1)], "layer 1: Layer("),
        (Layer(how), "Layer("),
        ([nn.Dense(8), nn.Residual(Layer(how)), nn.Dense(1)], "layer 0: Layer("),
        ([nn.Dense(8), Layer(how, noisy=True), nn.Dense(1)], "layer 1: Layer("),
    ):
        text = message(kind, lambda network=network: trained(network, loss=lambda o, y: np.mean(o) + np.mean(y)))
        assert told in text + "\n"
        assert name in text
        assert "its parameters: three (3,), weight (4, 8)" in text
        assert "its input: (N, 8)" in text
        line = WRONG[how][0].__code__.co_firstlineno
        assert f"at test_inside.py:{line}" in text


def test_the_same_error_comes_from_init_and_from_training_and_from_applying():
    layer = Layer("name")
    texts = {
        message(CodeKeyError, lambda: nn.Model.init(layer, 8)),
        message(CodeKeyError, lambda: trained(layer, loss=lambda o, y: np.mean(o))),
    }
    assert len(texts) == 1


def test_an_exception_of_the_users_own_class_passes_with_a_note():
    with pytest.raises(Mine, match="on purpose") as caught:
        trained([raise_mine, nn.Dense(1)])
    assert "Function" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(("loss", "kind", "told"), [
    (lambda o, y: np.mean(o - y @ np.ones((3, 1))), ShapeError, "inner sizes differ: [N, 1] @ [3, 1]"),
    (lambda o, y: np.mean(o) * {}["q"], KeyError, "KeyError: 'q'"),
    (lambda o, y: np.mean(o.nothing), TypeError, "no attribute 'nothing'"),
])  # fmt: skip
def test_a_loss_that_goes_wrong_is_named_with_its_shapes(loss, kind, told):
    text = message(kind, lambda: trained([nn.Dense(1)], loss=loss))
    assert text.startswith("the loss <lambda>: ")
    assert told in text
    assert "its outputs: (N, 1)\n  its targets: (N, 1)" in text


@dataclass(frozen=True, kw_only=True)
class Optimizer(fl.optim.Optimizer):
    """An optimizer with one fault; without a name of its own."""

    how: str = ""

    def start(self, theta):
        return 5 if self.how == "init" else {"velocity": np.zeros_like(theta)}

    def rule(self, theta, g, state, step, learning_rate):
        return {
            "other": lambda: (theta - g, {"velocty": g}),
            "none": lambda: (theta - g, {}),
            "shape": lambda: (theta[:2], state),
            "form": lambda: theta - g,
            "key": lambda: (theta - state["velocty"], state),
        }.get(self.how, lambda: (theta - 0 * g, state))()


@pytest.mark.parametrize(("how", "told"), [
    ("other", "rule returns the state ['velocty'], and start the state ['velocity']; did you mean 'velocity'?"),
    ("none", "rule returns the state [], and start the state ['velocity']"),
    ("shape", "rule returns theta of shape (2,), and it was (9,)"),
    ("form", "not (theta, state)"),
    ("key", "KeyError: 'velocty'; did you mean 'velocity'?"),
    ("init", "start returns 5, not a dict of arrays"),
])  # fmt: skip
def test_an_optimizer_that_goes_wrong_is_named(how, told):
    with pytest.raises(FalllineError) as caught:
        trained([nn.Dense(1)], optimizer=Optimizer(how=how))
    assert told in str(caught.value)
    assert f"Optimizer(how={how!r})" in str(caught.value)


@pytest.mark.parametrize(("network", "loss"), [
    ([nn.Dense(1)], lambda output: 0.0), ([lambda a, x: x, nn.Dense(1)], "squared_error"),
])  # fmt: skip
def test_a_function_that_takes_other_arguments_is_reported_with_the_line_it_is_written_at(network, loss):
    text = message(TypeError, lambda: trained(network, loss=loss))
    written = loss if callable(loss) else network[0]
    assert f"\n  at test_inside.py:{written.__code__.co_firstlineno}\n" in text + "\n"
    assert "0x" not in text  # an address


class Silent(Layer):
    def apply(self, params, x):
        pass


def test_a_layer_that_returns_no_array_is_reported_with_the_line_it_is_written_at():
    text = message(TypeError, lambda: nn.Model.init([Silent("nothing"), nn.Dense(1)], 8))
    assert "apply returns None, not an array" in text
    assert "at test_inside.py:" in text


def test_what_does_not_fit_speaks_of_n_rows_and_of_its_input_once():
    text = message(ShapeError, lambda: trained([lambda x: x.reshape(-1, 5, 2), nn.Flatten(), nn.Dense(1)]))
    assert "the elements of [N, 8] do not fit [-1, 5, 2]" in text
    assert text.count("its input:") == 1


def test_an_optimizer_without_a_name_goes_by_its_class():
    assert trained([nn.Dense(1)], optimizer=Optimizer()).started.optimizer == "Optimizer"


def test_schedules_and_initialisers_that_go_wrong_are_named():
    text = message(KeyError, lambda: fl.optim.Adam(lambda step: {}["rate"]))
    assert text.startswith("a learning rate that is a function of the step: KeyError: 'rate'")
    text = message(TypeError, lambda: trained([nn.Dense(1, initializer=lambda rng, shape, i, o: rng.nothing())]))
    assert "layer 0: the initialiser of Dense(1, " in text


def test_a_misspelt_key_of_an_argument_is_reported_with_those_there_are():
    params = {"weight": X[0], "bias": {"deep": X[1]}}
    for transform in (fl.grad, fl.value_and_grad, fl.compile, fl.hessian):
        text = message(KeyError, lambda transform=transform: transform(lambda p: np.sum(p["wieght"]))(params))
        assert "'wieght'; did you mean 'weight'?" in text
        assert "weight (8,)" in text
        assert "bias.deep (8,)" in text


def picked(x):
    return fl.ops.gather(np.arange(4, dtype=np.float32), (x[:, :1] * 0 + 50).astype(np.int64), axis=0)


def test_a_position_out_of_range_is_one_error_everywhere_with_its_line():
    line = f"at test_inside.py:{picked.__code__.co_firstlineno + 1}"
    model = nn.Model.init([picked, nn.Dense(1)], 8)
    take = lambda x, i: np.sum(np.take(x, i))
    at = f"at test_inside.py:{take.__code__.co_firstlineno}"
    for call, where in (
        (lambda: trained([picked, nn.Dense(1)]), line),
        (lambda: model.predict(X), line),
        (lambda: fl.compile(take)(X[0], np.array([9])), at),
        (lambda: fl.grad(take)(X[0], np.array([9])), at),
        (lambda: fl.compile(fl.grad(take))(X[0], np.array([9])), at),
        (lambda: fl.compile(lambda x, i: take(x, i * 0) + take(x, i))(X[0], np.array([-9])), at),
    ):
        assert where in message(OutOfRangeError, call)
