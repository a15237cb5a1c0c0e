"""Optimizers in a loop of one's own: trees in and out, the same numbers as a training's, and errors that help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import optim, tree
from fallline.config import saved
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.optim import Adam, AdamW, GradientDescent, Groups, Muon, Optimizer
from fallline.optim.optimizer import cast_like

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (np.tanh(X @ np.ones((3, 1))) + 1).astype(np.float32)
MODEL = fl.nn.Model.init(fl.nn.mlp((5,), 1, "tanh"), 3)
STEPS = 6
EVERY: list[Optimizer] = [
    *(cls(optim.Cosine(0.01, steps=STEPS), weight_decay=0.1, clip_norm=0.4) for cls in optim.OPTIMIZERS.values()),
    *(cls() for cls in optim.OPTIMIZERS.values()),
    Groups({"*.weight": Muon(0.02), "*": Adam(1e-3)}),
]


def loss(params: Any, x: Any, y: Any) -> Any:
    return MODEL.loss.function(MODEL.network.apply(params, x), y)


@pytest.mark.parametrize("optimizer", EVERY, ids=lambda o: o.name)
def test_a_compiled_loop_of_ones_own_is_a_training(optimizer: Optimizer) -> None:
    @fl.compile
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        return optimizer.update(fl.grad(loss)(params, x, y), state, params)

    params, plain = MODEL.params, MODEL.params
    state = optimizer.init(params)
    state_plain = state
    for _ in range(STEPS):
        params, state = step(params, state, X, Y)
        plain, state_plain = optimizer.update(fl.grad(loss)(plain, X, Y), state_plain, plain)
    run = fl.fit(MODEL, (X, Y), loss="squared_error", optimizer=optimizer, epochs=STEPS, batch_size="full")
    ours = MODEL.layout.join(params, np.float32)
    if optimizer == GradientDescent():
        # Its rate is a number of the compiled function, and is multiplied with the mean's 1/N before it meets a row.
        np.testing.assert_allclose(ours, run.model.theta, rtol=1e-5)
    else:
        assert ours.tobytes() == run.model.theta.tobytes()
    assert int(state["step"]) == STEPS
    np.testing.assert_allclose(MODEL.layout.join(plain, np.float32), run.model.theta, rtol=1e-4, atol=1e-6)


TREES: list[Any] = [
    np.ones(4),
    np.ones((2, 3)),
    3.0,
    {"b": np.ones(2), "a": [np.ones((2, 2)), (np.ones(1), None)]},
    (np.float64(1.0), np.float64(2.0)),
    {"half": np.ones(3, np.float32), "whole": np.ones(2)},
]


@pytest.mark.parametrize("params", TREES, ids=tree.structure)
def test_trees_come_back_in_their_form_and_precision_and_nothing_given_changes(params: Any) -> None:
    before = [np.array(leaf) for leaf in tree.leaves(params)]
    grads = tree.map(lambda leaf: leaf / leaf, params)
    made = GradientDescent(0.1)
    after, state = made.update(grads, made.init(params), params)
    assert tree.structure(after) == tree.structure(params) and int(state["step"]) == 1
    for old, kept, new in zip(before, tree.leaves(params), tree.leaves(after), strict=True):
        assert np.array_equal(old, kept) and new.dtype == old.dtype and new.shape == old.shape
        np.testing.assert_allclose(new, old - 0.1, rtol=1e-6)


def test_a_bare_array_is_a_parameter_by_itself() -> None:
    w, state = np.array([3.0, -2.0]), Adam(0.5).init(np.zeros(2))
    for _ in range(200):
        w, state = Adam(0.5).update(2 * w, state, w)
    assert np.abs(w).max() < 1e-2


def test_frozen_parameters_stay_and_are_not_remembered() -> None:
    layout = MODEL.layout.marked("0.*", kind="frozen")
    made = AdamW(0.1)
    state = made.init(MODEL.params, layout)
    assert state["m"].shape == (6,)
    grads = fl.grad(loss)(MODEL.params, X, Y)
    after, _ = made.update(grads, state, MODEL.params, layout)
    for path in ("weight", "bias"):
        np.testing.assert_array_equal(after[0][path], MODEL.params[0][path])
        assert not np.array_equal(after[2][path], MODEL.params[2][path])
    flat, _ = made.update(MODEL.layout.join(grads, np.float32), made.init(MODEL.theta, layout), MODEL.theta, layout)
    np.testing.assert_array_equal(flat, MODEL.layout.join(after, np.float32))


def test_factors_of_slots_scale_rate_and_decay() -> None:
    params = {"a": np.full(2, 4.0), "b": np.full(2, 4.0)}
    layout = fl.nn.theta.Layout.of(params).marked("a", rate=0.5, decay=1.0).marked("b", decay=0.0)
    made = GradientDescent(0.1, weight_decay=0.5)
    # a: g = 1 + 0.5 * 4 = 3, half of 0.1 * 3; b: g = 1.
    after, _ = made.update({"a": np.ones(2), "b": np.ones(2)}, made.init(params, layout), params, layout)
    np.testing.assert_allclose(after["a"], 3.85)
    np.testing.assert_allclose(after["b"], 3.9)


def test_a_loop_of_ones_own_keeps_what_layers_write_as_a_training_does() -> None:
    network = fl.nn.Sequential(fl.nn.BatchNorm(), fl.nn.Dense(4), fl.nn.Tanh(), fl.nn.Dropout(0.2), fl.nn.Dense(1))
    model, optimizer = fl.nn.Model.init(network, 3), Adam(optim.Cosine(0.05, steps=STEPS))

    @fl.compile
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        def forward(params: Any) -> Any:
            context = fl.nn.Context(training=True, key=fl.ops.random_bits(state["step"], 0))
            return network.apply(params, x, context), context

        grads = fl.grad(lambda params: model.loss.function(forward(params)[0], y))(params)
        return optimizer.update(grads, state, params, model.layout, forward(params)[1].kept(params))

    params = model.params
    state = optimizer.init(params, model.layout)
    for _ in range(STEPS):
        params, state = step(params, state, X, Y)
    run = fl.fit(model, (X, Y), loss="squared_error", optimizer=optimizer, epochs=STEPS, batch_size="full")
    assert model.with_params(params).theta.tobytes() == run.model.theta.tobytes()
    assert not np.array_equal(params[0]["mean"], model.params[0]["mean"])


NORMED = fl.nn.Model.init(fl.nn.Sequential(fl.nn.Dense(4), fl.nn.BatchNorm(), fl.nn.Dense(1)), 3)


@pytest.mark.parametrize("model", [NORMED, NORMED[:2], MODEL.marked("0.*", kind="frozen").with_theta(MODEL.theta + 1)])
@pytest.mark.parametrize("made", [GradientDescent(0.1), AdamW(0.1)], ids=lambda made: made.name)
def test_a_model_s_layout_is_not_forgotten_in_silence(model: Any, made: Optimizer) -> None:
    params, layout = model.params, model.layout
    told = "which an optimizer must not move, and no layout tells which"
    with pytest.raises(ArgumentError, match=told):
        made.init(params)
    state = made.init(params, layout)
    for given in (params, [*params[:1], *(tree.map(np.copy, part) for part in params[1:])]):
        with pytest.raises(ArgumentError, match=told):
            made.update(given, state, given)
    if layout.count("kept"):
        with pytest.raises(ArgumentError, match=r"write 1.mean, 1.variance, and their new values are not given"):
            made.update(params, state, params, layout)
    made.update(params, state, params, layout, {})
    made.update(params, made.init(params, everything := fl.nn.theta.Layout.of(params)), params, everything)


def test_parameters_of_models_that_share_theta_are_told_from_no_others() -> None:
    whole = fl.nn.Model.init(fl.nn.mlp((3,), 1), 2)
    params = whole.params
    assert whole.marked("0.*", kind="frozen").params is not None
    Adam().update(params, Adam().init(params), params)
    Adam().init(tree.map(np.copy, NORMED.params))  # copies are anybody's


@pytest.mark.parametrize(
    ("kept", "kind", "told"),
    [
        ({"1.mean": np.zeros(7)}, ShapeError, r"kept has shape \(7,\) at 1.mean, and params \(4,\)"),
        (NORMED.params, ArgumentTypeError, "kept is a dict of arrays by path"),
        ({"1.gamma": np.zeros(4)}, ArgumentError, "no such parameter that a layer"),
    ],
)
def test_values_that_no_layer_wrote_are_refused(kept: Any, kind: type[Exception], told: str) -> None:
    params = NORMED.params
    with pytest.raises(kind, match=told):
        Adam().update(params, Adam().init(params, NORMED.layout), params, NORMED.layout, kept)


P = {"w": np.ones((2, 3)), "b": np.ones(3)}


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Adam().update(P, P, Adam().init(P)), ArgumentTypeError, "state has to be a dict that `init`"),
        (lambda: Adam().update({"w": P["w"]}, Adam().init(P), P), ArgumentError, "grads has another form than params"),
        (lambda: Adam().update({**P, "b": np.ones(2)}, Adam().init(P), P), ShapeError, r"\(2,\) at b, and params \(3,"),
        (lambda: Adam().update({**P, "b": np.arange(3)}, Adam().init(P), P), ArgumentTypeError, "grads at b is int64"),
        (lambda: Adam().init({"w": np.arange(3)}), ArgumentTypeError, "params at w is int64"),
        (lambda: Adam().init({"w": "text"}), ArgumentTypeError, "params at w is"),
        (lambda: Adam().init({}), ArgumentError, "params hold no arrays"),
        (lambda: Adam().update(P, GradientDescent().init(P), P), ArgumentError, "state is of another optimizer"),
        (lambda: Adam().update(P, Adam().init(P["w"]), P), ArgumentError, r"or of other parameters: .*'m': \(6,\)"),
        (lambda: Adam().init({"w": np.ones(2, np.float16)}), ArgumentTypeError, "params at w is float16"),
        (lambda: Adam().update(P, Adam().init(P), P, kept={"w": 1}), ArgumentError, "no such parameter that a layer"),
        (lambda: Adam().init(P, MODEL.layout), ArgumentError, "the layout is of other parameters"),
        (lambda: Adam(optim.Cosine(0.1)).update(P, Adam().init(P), P), ArgumentError, "does not know how many steps"),
    ],
)
def test_wrong_calls_raise(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


@saved
@dataclass(frozen=True)
class Named(Optimizer):
    """Descent that reads names: biases stay where they are. In the form with the layout, `init` for `start`."""

    def init(self, theta: Any, layout: Any) -> Any:  # type: ignore[override]
        assert [path for path, _ in layout.items()] == ["0.bias", "0.weight", "2.bias", "2.weight"]
        return {"moves": layout.decay_mask(theta.dtype)}

    def rule(self, theta: Any, g: Any, state: Any, step: Any, learning_rate: Any, layout: Any) -> Any:
        return theta - cast_like(learning_rate, theta) * state["moves"] * g, state


@dataclass(frozen=True)
class Old(Optimizer):
    """Descent with momentum in the form without a layout, `init` for `start`."""

    def init(self, theta: Any) -> Any:  # type: ignore[override]
        return {"v": np.zeros_like(theta)}

    def rule(self, theta: Any, g: Any, state: Any, step: Any, learning_rate: Any) -> Any:
        v = 0.9 * state["v"] + g
        return theta - cast_like(learning_rate, theta) * v, {"v": v}


def test_optimizers_of_ones_own_may_read_names_or_leave_the_layout_out() -> None:
    settings: Any = {"loss": "squared_error", "epochs": 3}
    named = fl.fit(MODEL, (X, Y), optimizer=Named(learning_rate=0.1), **settings).model.params
    np.testing.assert_array_equal(named[0]["bias"], MODEL.params[0]["bias"])
    assert not np.array_equal(named[0]["weight"], MODEL.params[0]["weight"])
    old = fl.fit(MODEL, (X, Y), optimizer=Old(learning_rate=0.1), **settings).model.theta
    new = fl.fit(MODEL, (X, Y), optimizer=optim.Momentum(0.1), **settings).model.theta
    np.testing.assert_array_equal(old, new)
    assert set(Old().init({"w": np.ones(3)})) == {"step", "v"}


class Wide(Optimizer):
    """Descent that leaves the rate in float64 and the state as it comes."""

    def start(self, theta: Any, layout: Any) -> Any:
        return {"seen": np.zeros_like(theta)}

    def rule(self, theta: Any, g: Any, state: Any, step: Any, learning_rate: Any) -> Any:
        return theta - np.float64(1.0) * learning_rate * g, {"seen": state["seen"] + g.astype(np.float64)}


def test_what_a_rule_widens_comes_back_in_the_precision_it_had() -> None:
    run = fl.fit(MODEL, (X, Y), optimizer=Wide(learning_rate=0.1), loss="squared_error", epochs=3)
    near = fl.fit(MODEL, (X, Y), optimizer=GradientDescent(0.1), loss="squared_error", epochs=3)
    np.testing.assert_allclose(run.model.theta, near.model.theta, rtol=1e-4, atol=1e-6)
    after, state = Wide().update(MODEL.params, Wide().init(MODEL.params), MODEL.params)
    assert {leaf.dtype for leaf in [*tree.leaves(after), state["seen"]]} == {np.dtype(np.float32)}


def test_an_old_init_that_asks_its_parents_raises_with_a_replacement() -> None:
    with pytest.raises(ArgumentTypeError, match=r"try: start\(self, theta, layout\), and super\(\)\.start"):

        class Older(Adam):
            def init(self, theta: Any) -> Any:  # type: ignore[override]
                return super().init(theta)
