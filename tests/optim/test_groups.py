"""Groups: each parameter is moved by its own group's optimizer and by no other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import optim
from fallline.config import from_config, to_config
from fallline.errors import ArgumentError, ArgumentTypeError, ShapeError
from fallline.nn.theta import Layout
from fallline.optim import Adam, Cosine, GradientDescent, Groups, Momentum, Muon, Optimizer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(53, 3))
Y = np.tanh(X @ np.ones(3))
NETWORK = fl.nn.mlp((5, 4), 1, "tanh")
MODEL = fl.nn.Model.init(NETWORK, 3, seed=1)
SETTINGS: dict[str, Any] = {"loss": "squared_error", "epochs": 4, "batch_size": 10}
MIXED = Groups({"*.weight": Muon(0.02, weight_decay=0.1), "0.*": Momentum(Cosine(0.05)), "*": Adam(1e-2)})


@pytest.mark.parametrize("cls", optim.OPTIMIZERS.values(), ids=list(optim.OPTIMIZERS))
def test_one_group_of_all_is_its_optimizer_to_the_last_bit(cls: type[Optimizer]) -> None:
    made = cls(Cosine(0.01), clip_norm=0.5, weight_decay=0.01)
    one = fl.fit(MODEL, (X, Y), optimizer=made, **SETTINGS)
    grouped = fl.fit(MODEL, (X, Y), optimizer=Groups({"*": made}), **SETTINGS)
    assert grouped.model.theta.tobytes() == one.model.theta.tobytes()
    assert grouped.history["learning_rate"].tolist() == one.history["learning_rate"].tolist()


def steps_of(optimizer: Optimizer, params: Any, grads: list[Any]) -> Any:
    state = optimizer.init(params)
    for g in grads:
        params, state = optimizer.update(g, state, params)
    return params


def test_each_group_moves_as_if_it_were_alone() -> None:
    params = {"a": {"weight": RNG.normal(size=(3, 4)), "bias": np.zeros(4)}, "b": {"weight": RNG.normal(size=(4, 2))}}
    grads = [fl.grad(lambda p: sum(np.sum(w**3) for w in (p["a"]["weight"], p["a"]["bias"], p["b"]["weight"])))(
        {"a": {"weight": RNG.normal(size=(3, 4)), "bias": RNG.normal(size=4)}, "b": {"weight": RNG.normal(size=(4, 2))}}
    ) for _ in range(6)]  # fmt: skip
    first, second = Muon(0.1, clip_norm=0.3), Adam(Cosine(0.1, steps=6), clip_value=0.2, weight_decay=0.1)
    together = steps_of(Groups({"a.w*": first, "*": second}), params, grads)
    only = steps_of(first, {"weight": params["a"]["weight"]}, [{"weight": g["a"]["weight"]} for g in grads])
    rest = lambda tree: {"a": {"bias": tree["a"]["bias"]}, "b": tree["b"]}
    others = steps_of(second, rest(params), [rest(g) for g in grads])
    np.testing.assert_array_equal(together["a"]["weight"], only["weight"])
    np.testing.assert_array_equal(together["a"]["bias"], others["a"]["bias"])
    np.testing.assert_array_equal(together["b"]["weight"], others["b"]["weight"])


def test_clipping_of_groups_is_of_the_whole_gradient() -> None:
    params, g = {"a": np.zeros(1), "b": np.zeros(1)}, {"a": np.array([3.0]), "b": np.array([4.0])}
    # |g| = 5, clipped to 1: (0.6, 0.8). Then each group steps at its own rate.
    made = Groups({"a": GradientDescent(1.0), "b": GradientDescent(10.0)}, clip_norm=1.0)
    after, _ = made.update(g, made.init(params), params)
    np.testing.assert_allclose([after["a"][0], after["b"][0]], [-0.6, -8.0], rtol=1e-15)


def test_groups_may_hold_groups() -> None:
    nested = Groups({"*.bias": GradientDescent(0.1), "*": Groups({"0.*": Muon(0.02), "*": Adam(1e-2)})})
    flat = Groups({"*.bias": GradientDescent(0.1), "0.*": Muon(0.02), "*": Adam(1e-2)})
    one, other = (fl.fit(MODEL, (X, Y), optimizer=made, **SETTINGS).model.theta for made in (nested, flat))
    assert one.tobytes() == other.tobytes()


def test_bits_are_the_same_over_threads_and_after_resume(tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, (X, Y), optimizer=MIXED, threads=1, **SETTINGS)
    assert (
        whole.model.theta.tobytes()
        == fl.fit(NETWORK, (X, Y), optimizer=MIXED, threads=2, **SETTINGS).model.theta.tobytes()
    )
    for event in (stream := fl.train(NETWORK, (X, Y), optimizer=MIXED, out=tmp_path, checkpoints=1, **SETTINGS)):
        if isinstance(event, fl.events.CheckpointSaved):
            break
    stream.close()
    again = fl.fit(NETWORK, (X, Y), optimizer=MIXED, out=tmp_path, checkpoints=1, resume=True, **SETTINGS)
    assert again.started is not None and again.started.first_step > 0
    assert again.model.theta.tobytes() == whole.model.theta.tobytes()


def test_it_comes_back_from_json_and_says_what_it_is() -> None:
    made = Groups({"*.weight": Muon(Cosine(0.02)), "*": Adam(1e-2)}, clip_norm=1.0)
    assert from_config(to_config(made), Optimizer) == made
    assert (
        repr(Groups({"*.weight": Muon(0.1), "*": Adam()}))
        == "Groups({'*.weight': Muon(learning_rate=0.1), '*': Adam()})"
    )
    assert hash(made) == hash(Groups([("*.weight", Muon(Cosine(0.02))), ("*", Adam(1e-2))], clip_norm=1.0))


def test_schedules_of_groups_learn_the_length_of_the_training() -> None:
    resolved = MIXED.resolve(40)
    assert isinstance(resolved, Groups)
    assert dict(resolved.groups)["0.*"] == Momentum(Cosine(0.05, steps=40))
    assert MIXED.has_end and not Groups({"*": Adam()}).has_end
    with pytest.raises(ArgumentError, match=r"group '\*': the learning rate is -0\.5 at step 9"):
        Groups({"*": Adam(lambda step: 0.4 - 0.1 * step)}).resolve(10)


PARAMS = {"0": {"weight": np.ones((2, 3)), "bias": np.ones(3)}, "1": {"weight": np.ones((3, 1)), "bias": np.ones(1)}}


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ({"*.weight": Adam()}, r"no pattern fits the parameter '0\.bias' and 1 more; patterns: '\*\.weight'"),
        ({"0.*": Adam(), "1.w*": Adam()}, r"no pattern fits the parameter '1\.bias'; patterns"),
        (
            {"*.wieght": Adam(), "*": Adam()},
            r"pattern '\*\.wieght' fits no trainable parameter\n  known: 0\.bias, 0\.weight",
        ),
        ({"*": Adam(), "*.bias": Adam()}, r"all that '\*\.bias' fits belongs to '\*', which stands before it"),
    ],
)
def test_a_parameter_or_a_pattern_that_is_left_out_is_named(groups: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        Groups(groups).init(PARAMS)


def test_a_last_pattern_for_the_rest_may_find_nothing_left() -> None:
    made = Groups({"*.weight": Muon(), "*.bias": Adam(), "*": Adam()})
    assert set(made.init(PARAMS)) == {"step", "0.m", "1.m", "1.v"}


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        ({}, ArgumentError, "needs one pattern"),
        (3, ArgumentTypeError, "takes a dict of pattern -> optimizer, got 3"),
        ({"*": "adam"}, ArgumentTypeError, r"got '\*': 'adam'"),
        ({3: Adam()}, ArgumentTypeError, "got 3: Adam"),
        ([("*", Adam()), ("*", Adam())], ArgumentError, r"the pattern '\*' twice"),
    ],
)
def test_what_is_no_dict_of_optimizers_is_refused(given: Any, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        Groups(given)


@dataclass(frozen=True)
class Short(Optimizer):
    def rule(self, theta: Any, g: Any, state: Any, step: Any, learning_rate: Any) -> Any:
        return theta[:1], state


def test_errors_in_a_rule_name_its_group_and_advice_its_rates() -> None:
    with pytest.raises(ShapeError, match=r"group .\*.weight.: Short.*: rule returns theta of shape \(1,\)"):
        fl.fit(MODEL, (X, Y), optimizer=Groups({"*.weight": Short(), "*": Adam()}), **SETTINGS)
    wild = Groups({"*": GradientDescent(1e6)})
    run = fl.fit(fl.nn.Dense(1), (X, Y), optimizer=wild, loss="squared_error", epochs=30)
    assert run.diverged is not None and "try: smaller learning rates of the groups, or clip" in run.diverged.advice


def test_a_race_over_rates_is_refused_as_each_group_has_its_own() -> None:
    with pytest.raises(ArgumentError, match="a learning rate each"):
        fl.race(NETWORK, (X, Y), variants=[{"learning_rate": 0.1}], optimizer=MIXED, **SETTINGS)


def test_slots_carry_their_factors_into_their_group() -> None:
    params = {"a": np.ones(2), "b": np.ones(2)}
    layout = Layout.of(params).marked("b", rate=3.0)
    g = {"a": np.array([1.0, 2.0]), "b": np.array([1.0, 2.0])}
    for made in (GradientDescent(0.1), Groups({"*": GradientDescent(0.1)})):
        after, _ = made.update(g, made.init(params, layout), params, layout)
        np.testing.assert_allclose(after["a"], [0.9, 0.8], rtol=1e-15)
        np.testing.assert_allclose(after["b"], [0.7, 0.4], rtol=1e-15)
