"""Layers and Sequential: outputs, first parameters, and errors for shapes that do not fit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError, TraceError
from fallline.graph.node import new_input
from fallline.nn.layer import Layer, is_layer
from fallline.ranges import short

ROWS = np.random.default_rng(0).normal(size=(5, 3))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_dense_worked_by_hand() -> None:
    # [1 2] [[1 0], [3 -1]] + [10 20] = [1 + 6 + 10, 0 - 2 + 20]
    params = {"weight": np.array([[1.0, 0], [3, -1]]), "bias": np.array([10.0, 20])}
    np.testing.assert_array_equal(nn.Dense(2).apply(params, np.array([[1.0, 2]])), [[17, 18]])
    np.testing.assert_array_equal(nn.Dense(2, bias=False).apply(params, np.array([[1.0, 2]])), [[7, -2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_draws_a_weight_and_a_zero_bias(dtype: type) -> None:
    params, shape = nn.Dense(4).init(rng(), (3,), dtype)
    assert shape == (4,)
    assert {name: (p.shape, p.dtype) for name, p in params.items()} == {
        "weight": ((3, 4), dtype), "bias": ((4,), dtype)}  # fmt: skip
    assert not params["bias"].any() and params["weight"].all()
    assert set(nn.Dense(4, bias=False).init(rng(), (3,), dtype)[0]) == {"weight"}


def test_both_precisions_start_from_the_same_numbers() -> None:
    single, _ = nn.Dense(4).init(rng(), (3,), np.float32)
    double, _ = nn.Dense(4).init(rng(), (3,), np.float64)
    np.testing.assert_array_equal(single["weight"], double["weight"].astype(np.float32))


@pytest.mark.parametrize(("after", "suits"), [
    (nn.ReLU(), "he_uniform"), (nn.SELU(), "lecun_normal"), (nn.Tanh(), "glorot_uniform"),
    (nn.Dense(2), "glorot_uniform"),
])  # fmt: skip
def test_dense_starts_in_the_way_that_suits_what_follows(after: Layer, suits: str) -> None:
    told, _ = nn.Sequential(nn.Dense(4, initializer=suits), after).init(rng(), (3,), np.float64)
    left, _ = nn.Sequential(nn.Dense(4), after).init(rng(), (3,), np.float64)
    np.testing.assert_array_equal(left[0]["weight"], told[0]["weight"])
    own, _ = nn.Sequential(nn.Dense(4, initializer="zeros"), after).init(rng(), (3,), np.float64)
    assert not own[0]["weight"].any()


def test_an_initialiser_may_be_a_function() -> None:
    ones = nn.Dense(2, initializer=lambda rng, shape, fan_in, fan_out: np.full(shape, fan_in))
    np.testing.assert_array_equal(ones.init(rng(), (3,), np.float32)[0]["weight"], np.full((3, 2), 3))
    with pytest.raises(ShapeError, match=r"initialiser returns shape \(3,\), not \(3, 2\)"):
        nn.Dense(2, initializer=lambda rng, shape, fan_in, fan_out: np.ones(3)).init(rng(), (3,), np.float32)


def test_flatten_lays_a_sample_out_as_a_row() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(nn.Flatten().apply({}, x), np.arange(24.0).reshape(2, 12))
    assert nn.Flatten().init(rng(), (3, 4), np.float32) == ({}, (12,))
    assert nn.Flatten().apply({}, new_input((2, 3, 4), np.float32)).shape == (2, 12)
    assert nn.Flatten().apply({}, np.zeros((0, 3, 4))).shape == (0, 12)


def test_sequential_is_its_layers_one_after_the_other() -> None:
    network = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(2))
    params, shape = network.init(rng(), (3,), np.float64)
    first, _, last = params
    expected = np.tanh(ROWS @ first["weight"] + first["bias"]) @ last["weight"] + last["bias"]
    np.testing.assert_allclose(network.apply(params, ROWS), expected, rtol=1e-15)
    assert shape == (2,)


def test_nesting_changes_nothing() -> None:
    flat = nn.Sequential(nn.Dense(4), nn.SELU(), nn.Dense(2))
    nested = nn.Sequential(nn.Sequential(nn.Dense(4)), nn.Sequential(nn.Sequential(nn.SELU()), nn.Dense(2)))
    assert nested == flat
    np.testing.assert_array_equal(
        nested.init(rng(), (3,), float)[0][0]["weight"], flat.init(rng(), (3,), float)[0][0]["weight"]
    )


def test_names_and_functions_are_layers_too() -> None:
    assert nn.Sequential("relu").layers == (nn.ReLU(),)
    network = nn.Sequential(np.sin, lambda x: x * np.array([1.0, 2.0, 3.0]))
    params, shape = network.init(rng(), (3,), np.float32)
    x = ROWS.astype(np.float32)
    y = network.apply(params, x)
    assert shape == (3,) and y.dtype == np.float32  # whatever constants are inside
    np.testing.assert_allclose(y, np.sin(x) * [1, 2, 3], rtol=1e-6)
    assert network.apply(params, new_input((5, 3), np.float32)).dtype == np.float32


def test_mlp() -> None:
    assert nn.mlp((8, 4), 3, "tanh") == nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(4), nn.Tanh(), nn.Dense(3))
    assert nn.mlp((), 1) == nn.Sequential(nn.Dense(1))
    assert nn.mlp((2,), 1, nn.LeakyReLU(0.2)).layers[1] == nn.LeakyReLU(0.2)


def told(error: type[Exception], network: nn.Sequential, shape: tuple[int, ...]) -> str:
    with pytest.raises(error) as caught:
        network.init(rng(), shape, np.float32)
    return str(caught.value)


def test_a_shape_that_does_not_fit_is_reported_with_layer_source_and_hint() -> None:
    assert told(ShapeError, nn.Sequential(nn.Tanh(), nn.Dense(10)), (28, 28)) == (
        "layer 1: Dense(10) takes rows of features, (N, D), and meets an input of shape (N, 28, 28)\n"
        "  its input: (N, 28, 28) from layer 0, Tanh()\n"
        "  try: nn.Flatten() before it"
    )
    assert "from the data\n  try: x.reshape(-1, 1)" in told(ShapeError, nn.Sequential(nn.Dense(10)), ())


def test_a_function_that_mixes_or_loses_rows_is_reported_at_the_start() -> None:
    assert "layer 0: Function(" in told(ShapeError, nn.Sequential(lambda x: np.sum(x)), (3,))
    assert "keeps the first axis" in told(ShapeError, nn.Sequential(lambda x: x.T), (2,))
    assert "a branch on a traced value" in told(TraceError, nn.Sequential(lambda x: x if x[0, 0] > 0 else -x), (2,))


@pytest.mark.parametrize(("layers", "says"), [
    ((nn.Dense(3), nn.ReLU), r"layer 1 is the class ReLU\n  try: ReLU\(...\)"),
    ((nn.Dense(3), 5), "layer 1 is 5, which is no layer"),
    (([nn.Dense(3)],), r"layer 0 is a list\n  try: Sequential\(\*layers\)"),
])  # fmt: skip
def test_what_is_no_layer_is_reported_with_its_place(layers: tuple, says: str) -> None:
    with pytest.raises(ArgumentTypeError, match=says):
        nn.Sequential(*layers)


def test_arguments_out_of_range() -> None:
    with pytest.raises(ArgumentError, match=r"layer 0 is Softmax\(\) and not the last one"):
        nn.Sequential(nn.Softmax(), nn.Dense(3))
    with pytest.raises(
        ArgumentError, match=r"Dense: units has to be a whole number >= 1 and .*, got 2.5\n  and bias has to be True"
    ):
        nn.Dense(2.5, bias="yes")
    with pytest.raises(ArgumentError, match="unknown initialiser 'he_norml'; did you mean 'he_normal'"):
        nn.Dense(2, initializer="he_norml")
    with pytest.raises(ArgumentError, match="unknown activation 'rellu'; did you mean 'relu'"):
        nn.Sequential("rellu")


def test_layers_are_frozen_and_read_short() -> None:
    layer = nn.Dense(3)
    with pytest.raises(AttributeError):
        layer.units = 4
    assert (
        repr(nn.Sequential(layer, nn.LeakyReLU(0.2), nn.ELU())) == "Sequential(Dense(3), LeakyReLU(slope=0.2), ELU())"
    )
    assert short(nn.Dense(3, bias=False)) == "Dense(3, bias=False)"


class Own:
    """A user's layer, whose `init` returns what it is told to."""

    def __init__(self, returns: object) -> None:
        self.returns = returns

    def init(self, rng: object, shape: object, dtype: object) -> object:
        return self.returns

    def apply(self, params: object, x: object) -> object:
        return x


@pytest.mark.parametrize(("returns", "says"), [
    ({}, r"layer 0: Own\(\): init returns {}, not \(params, shape\)"),
    (({}, 3), "not .params, shape."),
    (({"s": np.ones(3) * 1j}, (3,)), "'s' is no array of real numbers but complex128"),
    (({"s": [1.0, 2.0]}, (3,)), "'s.0' is no array of real numbers but float"),
    (({"s": np.array(["a"])}, (3,)), "'s' is no array of real numbers but <U1"),
])  # fmt: skip
def test_what_a_users_layer_returns_is_looked_at(returns: object, says: str) -> None:
    with pytest.raises(ArgumentTypeError, match=says):
        nn.Sequential(Own(returns), nn.Dense(1)).init(rng(), (3,), np.float32)


@pytest.mark.parametrize(("value", "says"), [(1j, "complex128, not real"), ("a", "<U1, not real")])
def test_an_initialiser_of_a_users_has_to_return_real_numbers(value: object, says: str) -> None:
    layer = nn.Dense(2, initializer=lambda rng, shape, fan_in, fan_out: np.full(shape, value))
    with pytest.raises(ArgumentTypeError, match=says):
        layer.init(rng(), (3,), np.float32)


def test_a_users_layer_need_be_no_dataclass() -> None:
    class Double(Own):
        def init(self, rng: object, shape: object, dtype: object) -> object:
            return {}, shape

        def apply(self, params: object, x: object) -> object:
            return x * 2  # type: ignore[operator]

    with pytest.raises(ArgumentTypeError, match=r"init returns {}, not \(params, shape\)"):
        nn.Model.init(Own({}), 3)
    network = nn.Sequential(nn.Dense(1), Double(None))
    assert repr(network) == "Sequential(Dense(1), Double())"
    assert "Double()" in nn.Model.init(network, 3).summary()
    with pytest.raises(ShapeError, match=r"layer 2: Dense\(1\) .*\n.* layer 1, Double\(\)"):
        nn.Sequential("relu", Double(None), nn.Dense(1)).init(rng(), (2, 2), np.float32)


@dataclass(frozen=True)
class Derived:
    """A layer whose output is some derivative of a network inside it."""

    network: Any
    of: Any

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.network.init(rng, shape, dtype)

    def apply(self, params: Any, x: Any) -> Any:
        return self.of(lambda x: self.network.apply(params, x))(x)


DERIVATIVES = {
    "grad": lambda u: fl.grad(lambda x: np.sum(u(x))),
    "jvp": lambda u: lambda x: fl.jvp(u)(x, np.ones_like(x))[1],
    "jvp of jvp": lambda u: lambda x: fl.jvp(lambda x: fl.jvp(u)(x, np.ones_like(x))[1])(x, np.ones_like(x))[1],
    "hvp": lambda u: lambda x: fl.hvp(lambda x: np.sum(u(x)))(x, np.ones_like(x)),
    "compile": lambda u: fl.compile(u),
    "compile of grad": lambda u: fl.compile(fl.grad(lambda x: np.sum(u(x)))),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_inside_a_layer_are_trained_through(name: str) -> None:
    x = np.linspace(-1, 1, 12)[:, None]
    network = nn.Sequential(Derived(nn.mlp((4,), 1, "tanh"), DERIVATIVES[name]), nn.Identity())
    run = fl.fit(network, (x, x), loss="squared_error", epochs=2, batch_size=5, dtype="float64", validation=0.25)
    # The same network on plain arrays: each derivative is then taken by itself.
    model = run.model
    np.testing.assert_allclose(model.outputs(x), model.apply(model.theta, x), rtol=1e-9, atol=1e-12)
    assert "Derived" in model.summary()
    plain = fl.grad(lambda theta: np.mean((model.apply(theta, x) - x) ** 2))(model.theta)
    by_hand = [
        (np.mean((model.apply(model.theta + h, x) - x) ** 2) - np.mean((model.apply(model.theta - h, x) - x) ** 2))
        / 2e-5
        for h in 1e-5 * np.eye(model.theta.size)
    ]
    np.testing.assert_allclose(plain, by_hand, rtol=1e-5, atol=1e-7)


def test_a_layer_is_known_as_its_protocol_knows_it() -> None:
    class Half:
        apply = init = None

    others = [None, 1, "relu", ROWS, {}, Half(), Half, nn.SquaredError(), nn.Model.init(nn.Dense(1), 3), np.tanh]
    for one in [nn.Dense(2), nn.mlp((3,), 1), nn.ReLU(), nn.Frozen(nn.Dense(1)), nn.Dense, *others]:
        assert is_layer(one) == isinstance(one, Layer), one
