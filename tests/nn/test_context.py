"""The context of apply: modes, random numbers, kept parameters and notes; an error for a container that forgets it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError, CodeTypeError, FalllineError, ShapeError
from fallline.nn.context import NEEDED, NONE, OPTIONAL, takes_context

X = np.random.default_rng(0).standard_normal((12, 3))
Y = X[:, 0]


@dataclass(frozen=True)
class Own:
    """A layer of the user's: what it does is a function of params, x and context."""

    does: Any

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"count": np.zeros((), dtype), "seen": np.zeros(2, dtype)}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        return self.does(params, x, context)


def trained(does: Any, **settings: Any) -> fl.Run:
    return fl.fit(
        [nn.Dense(3), Own(does), nn.Dense(1)], (X, Y), loss="squared_error", epochs=2, batch_size=5, **settings
    )


def counting(params: Any, x: Any, context: Any) -> Any:
    if context.training:
        context.keep(params["count"], params["count"] + 1)
    return x


def test_a_kept_parameter_is_written_by_its_layer_alone() -> None:
    for optimizer in (fl.optim.AdamW(0.1, weight_decay=0.5), fl.optim.Momentum(0.1, clip_norm=1e-3)):
        model = trained(counting, optimizer=optimizer).model
        assert dict(fl.nn.Model.init([nn.Dense(3), Own(counting)], 3).layout.items())["1.count"].kind == "kept"
        assert model.params[1]["count"] == 6  # two epochs of three batches
        assert not model.params[1]["seen"].any()  # trainable; no gradient reaches it


def test_a_context_that_predicts_neither_draws_nor_keeps() -> None:
    for verb in ("uniform", "normal"):
        with pytest.raises(ArgumentError, match=rf"layer 1: Own\(.*\): context.{verb}: .* this pass predicts"):
            trained(lambda p, x, context, verb=verb: x + getattr(context, verb)(x.shape))
    with pytest.raises(ArgumentError, match=r"layer 1: Own\(.*\): context.integers"):
        trained(lambda p, x, context: x + context.integers(x.shape, 0, 2))
    with pytest.raises(ArgumentError, match=r"(?s)layer 1: Own\(.*context.keep: .*try: if context.training: around it"):
        trained(lambda p, x, context: context.keep(p["count"], p["count"]) or x)
    trained(lambda p, x, context: x + context.uniform(x.shape) if context.training else x)  # the hint


def test_a_context_without_a_key_trains_layers_that_draw_nothing() -> None:
    context = nn.Context(training=True)
    layer = nn.BatchNorm()
    params, _ = layer.init(np.random.default_rng(0), (3,), np.float64)
    assert context.within(0).training and not context.predicting().training
    assert layer.apply(params, X, context.within(0)).shape == X.shape
    with pytest.raises(
        ArgumentError, match=r"context.uniform: .* from a key.* none\n  at .*\n  try: nn.Context\(training"
    ):
        context.within(0).uniform((3,))
    assert nn.Context(training=True, key=np.int64(3)).uniform((3,)).shape == (3,)  # the hint


def keeps(leaf: Any, new: Any) -> Any:
    def does(params: Any, x: Any, context: Any) -> Any:
        if context.training:
            context.keep(leaf(params), new(params))
        return x

    return does


@pytest.mark.parametrize(("does", "error", "says"), [
    (keeps(lambda p: p["seen"] * 1, lambda p: p["seen"]), ArgumentError, "no parameter of the network"),
    (keeps(lambda p: p["seen"], lambda p: np.zeros(3)), ShapeError, r"shape \(2,\), the new value \(3,\)"),
    (keeps(lambda p: 3, lambda p: np.zeros(())), ArgumentTypeError, "takes a parameter"),
    (lambda p, x, c: [keeps(lambda p: p["seen"], lambda p: p["seen"])(p, x, c) for _ in "ab"][1], ArgumentError,
     "kept twice"),
])  # fmt: skip
def test_what_cannot_be_kept_is_reported(does: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        trained(does)


def test_modes_of_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"returns \(N, 2\) while training, \(N, 3\) otherwise"):
        nn.Model.init(Own(lambda p, x, context: x[:, :2] if context.training else x), 3)


def test_notes_are_named_by_the_path_of_their_layer() -> None:
    def does(params: Any, x: Any, context: Any) -> Any:
        context.note("mean", np.mean(x))
        context.note("mean", np.mean(x * 2))
        return x

    network = nn.Sequential(nn.Tanh(), Own(does), nn.Residual(nn.Tanh(), Own(does)))
    params, _ = network.init(np.random.default_rng(0), (3,), np.float64)
    context = nn.Context()
    network.apply(params, X, context)
    assert list(context.notes) == ["1.mean", "1.mean.1", "2.1.mean", "2.1.mean.1"]
    np.testing.assert_allclose(context.notes["1.mean"], np.mean(np.tanh(X)))
    assert repr(context.within(1)) == "Context(training=False, path='1')"


@dataclass(frozen=True)
class Container:
    """Holds a network; `hands` says how it is called."""

    inner: Any
    hands: Any

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return self.inner.init(rng, shape, dtype)

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        return self.hands(self.inner, params, x, context)


@dataclass(frozen=True)
class Forgetful:
    """Takes no context, and holds a network."""

    inner: Any

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return self.inner.init(rng, shape, dtype)

    def apply(self, params: Any, x: Any) -> Any:
        return self.inner.apply(params, x)


NEEDY = {
    "dropout": nn.Dropout(0.5),
    "batch norm": nn.BatchNorm(),
    "frozen": nn.Frozen(nn.Dense(3)),
    "own": Own(counting),
    "nested": nn.Sequential(nn.Dense(3), nn.Residual(nn.Dropout(0.5))),
    "ensemble": nn.Ensemble((nn.Sequential(nn.Dense(3), nn.Dropout(0.5)),)),
}


@pytest.mark.parametrize("name", NEEDY)
def test_a_container_that_forgets_the_context_gets_an_error_with_the_layer_which_needs_it(name: str) -> None:
    inner = NEEDY[name]
    needy = {"nested": "Dropout", "ensemble": "Dropout"}.get(name, type(inner).__name__)
    for container in (Forgetful(inner), Container(inner, lambda inner, params, x, context: inner.apply(params, x))):
        with pytest.raises(FalllineError, match=rf"(?s)^layer 1: {type(container).__name__}.*{needy}.*context"):
            fl.fit([nn.Dense(3), container, nn.Dense(1)], (X, Y), loss="squared_error", epochs=1)


@pytest.mark.parametrize("name", NEEDY)
def test_a_container_that_hands_it_on_is_as_its_layers(name: str) -> None:
    inner = NEEDY[name]
    thetas = [
        fl.fit([nn.Dense(3), layer, nn.Dense(1)], (X, Y), loss="squared_error", epochs=2, threads=1).model.theta
        for layer in (
            inner,
            Container(inner, lambda inner, params, x, context: inner.apply(params, x, context)),
            Container(inner, lambda inner, params, x, context: context.apply(inner, params, x)),
        )
    ]
    assert thetas[0].tobytes() == thetas[1].tobytes() == thetas[2].tobytes()


def test_a_layer_may_take_a_context_or_not() -> None:
    class Plain:
        def apply(self, params: Any, x: Any) -> Any:
            return x

    class Scaled:
        def apply(self, params: Any, x: Any, scale: float = 2.0) -> Any:
            return x * scale

    class Optional:
        def apply(self, params: Any, x: Any, context: Any = None) -> Any:
            return x

    class Any_:
        def apply(self, *args: Any) -> Any:
            return args[1]

    layers = (Plain(), Scaled(), Optional(), Any_(), Own(counting), nn.Dense(1), nn.Dropout())
    wants = (NONE, NONE, OPTIONAL, NEEDED, NEEDED, OPTIONAL, NEEDED)
    assert tuple(map(takes_context, layers)) == wants
    for layer in layers[:4]:
        np.testing.assert_array_equal(nn.Context().apply(layer, {}, X), X * (2 if type(layer) is Scaled else 1))


def test_a_loop_of_ones_own_keeps_and_draws() -> None:
    model = nn.Model.init([nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(1)], 3, dtype="float64")

    @fl.compile
    def step(theta: Any, key: Any) -> Any:
        params, context = model.layout.split(theta), nn.Context(training=True, key=key, dtype="float64")
        y = model.network.apply(params, X, context)
        return y, context.kept(params)

    first, kept = step(model.theta, np.int64(0))
    second, _ = step(model.theta, np.int64(1))
    assert not np.array_equal(first, second)
    assert set(kept) == {"0.mean", "0.variance"}
    np.testing.assert_allclose(kept["0.mean"], 0.1 * X.mean(axis=0), rtol=1e-12)


def test_a_context_given_to_a_layer_that_takes_none_is_reported() -> None:
    network = [Container(Forgetful(nn.Dense(3)), lambda inner, params, x, context: inner.apply(params, x, context))]
    with pytest.raises(CodeTypeError, match=r"(?s)layer 0: Container.*Forgetful.apply\(\) takes 3 positional"):
        nn.Model.init(network, 3)


def test_frozen_counts_more_than_kept() -> None:
    def does(params: Any, x: Any, context: Any) -> Any:
        context.freeze(params)
        return counting(params, x, context)

    model = trained(does).model
    assert model.params[1]["count"] == 0 and model.layout.count("frozen") == 3 and not model.layout.count("kept")


@dataclass(frozen=True)
class Rowwise:
    """A layer for each of T places, by vmap or scan."""

    layer: Any
    by: str

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        params, out = self.layer.init(rng, shape[1:], dtype)
        return params, (shape[0], *out)

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        if self.by == "vmap":
            return fl.vmap(lambda row: context.apply(self.layer, params, row), in_axes=1, out_axes=1)(x)
        turn = lambda carry, row: (carry, context.apply(self.layer, params, row))
        return np.moveaxis(fl.scan(turn, np.zeros((), x.dtype), np.moveaxis(x, 1, 0))[1], 0, 1)


@pytest.mark.parametrize("by", ["vmap", "scan"])
def test_values_of_one_row_or_turn_are_neither_seen_nor_kept(by: str) -> None:
    x, y = np.random.default_rng(0).normal(size=(12, 4, 3)), np.zeros(12)
    settings: Any = {"loss": "squared_error", "epochs": 1, "threads": 1}

    def network(inner: Any) -> Any:
        return nn.Sequential(Rowwise(inner, by), nn.Flatten(), nn.Dense(1))

    inner = nn.Residual(nn.Sequential(Noted(), nn.Dense(3)))
    activations = fl.measure.norm("activation")
    for event in fl.train(network(inner), (x, y), measure={"a": activations}, **settings):
        if isinstance(event, fl.events.Measured):
            assert list(event.values["a"]) == ["0", "1", "2"]
    with pytest.raises(ArgumentError, match=r"network has none\n  values inside fl.vmap or fl.scan are not seen"):
        fl.fit(network(inner), (x, y), measure={"n": fl.measure.norm("note")}, **settings)
    with pytest.raises(ArgumentError, match="one of many, as it is made inside a function"):
        fl.fit(network(nn.BatchNorm()), (x, y), **settings)


@dataclass(frozen=True)
class Noted:
    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        context.note("mean", np.mean(x))
        return x


class Slow:
    """A bias whose learning rate is a tenth, and a weight that is not pulled to 0."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"bias": np.zeros(shape, dtype), "weight": np.ones((*shape, *shape), dtype)}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        context.treat(params["bias"], rate=0.1)
        context.treat(params["weight"], decay=0.0)
        return x @ params["weight"] + params["bias"]


def test_layers_give_their_parameters_factors_that_hold_in_training_and_may_be_changed_again() -> None:
    model = nn.Model.init(nn.Sequential(Slow()), 2, dtype="float64")
    assert model.layout.marks == {"0.bias": ["trainable", 0.1, 0.0], "0.weight": ["trainable", 1.0, 0.0]}
    x, y = np.ones((4, 2)), np.zeros((4, 2))
    step = fl.optim.GradientDescent(0.01, weight_decay=3.0)
    settings: dict[str, Any] = {"loss": "squared_error", "optimizer": step, "epochs": 1, "dtype": "float64"}
    after = fl.fit(model, (x, y), **settings).model.params[0]
    # every output is 2, so the gradient of each bias is 2 (2 2) / 4 ... = 2, as is that of each weight
    np.testing.assert_allclose(after["bias"], -0.01 * 0.1 * 2)
    np.testing.assert_allclose(after["weight"], 1 - 0.01 * 2)
    again = model.marked("0.bias", rate=1.0)
    np.testing.assert_allclose(fl.fit(again, (x, y), **settings).model.params[0]["bias"], -0.01 * 2)


class Faded:
    """x times the share of the training that is left, with a parameter to train."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {"w": np.ones(shape, dtype)}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        left = 1 - context.progress if context.training else 1.0
        return x * (params["w"] * left)


def test_progress_is_the_share_of_steps_done_and_goes_on_where_training_does() -> None:
    x = np.ones((6, 1))
    settings: dict[str, Any] = {"loss": "absolute_error", "optimizer": fl.optim.GradientDescent(1e-9), "batch_size": 2}
    run = fl.fit(nn.Sequential(Faded()), (x, 0 * x), epochs=2, **settings)
    # the loss of a step is the share that is left: 6/6, 5/6, 4/6, then 3/6, 2/6, 1/6
    np.testing.assert_allclose(run.history["loss"], [5 / 6, 2 / 6], rtol=1e-6)
    again = fl.fit(None, (x, 0 * x), epochs=1, batch_size=2, init=run)
    np.testing.assert_allclose(again.history["loss"], [2 / 9], rtol=1e-6)  # 3/9, 2/9, 1/9 of nine steps

    def batches() -> Any:
        yield x, 0 * x

    with pytest.raises(ArgumentError, match="number of steps of this training is not known"):
        fl.fit(nn.Sequential(Faded()), batches, epochs=2, **settings)
