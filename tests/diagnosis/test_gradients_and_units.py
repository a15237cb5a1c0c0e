"""Verdicts on the network: gradients that vanish or explode, units that are dead, silent or saturated."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.config import saved
from fallline.data import sets
from fallline.diagnosis.case import Case
from fallline.diagnosis.gradient_flow import SHATTERED, VANISHED, learning, sensitivity
from fallline.diagnosis.idle_units import idle_in, slopes_of
from fallline.insight.opened import opened

from .told import told

DIGITS = sets.load("digits")
X, Y = np.asarray(DIGITS.x, np.float32) / 8 - 1, np.asarray(DIGITS.y)
TINY = fl.optim.GradientDescent(1e-12)


def stacked(layers: int, activation: Any, width: int = 32, initializer: Any = None) -> nn.Sequential:
    parts = [(nn.Dense(width, initializer=initializer), activation()) for _ in range(layers)]
    return nn.Sequential(*(one for pair in parts for one in pair), nn.Dense(10))


def case_of(network: Any, **settings: Any) -> Case:
    chosen = {"loss": "cross_entropy", "epochs": 1, "optimizer": TINY, **settings}
    found = opened(fl.fit(network, (X, Y), **chosen))
    return Case(found, found.parts[0])


def test_the_gradient_of_many_sigmoids_vanishes_and_the_layer_is_named() -> None:
    run = fl.fit(stacked(8, nn.Sigmoid), (X, Y), loss="cross_entropy", epochs=3, optimizer="gradient_descent")
    finding = told(run)["vanishing_gradient"]
    sizes = [one.value for one in finding.evidence[:9]]
    assert sizes[:8] == sorted(sizes[:8]) and sizes[0] < VANISHED
    begins = max(i for i, size in enumerate(sizes) if size < VANISHED)
    assert f"from layer {2 * begins}, Dense(32) down" in finding.says
    assert finding.evidence[-1].name.endswith("before the first step") and finding.evidence[-1].value < VANISHED


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.SELU])
def test_many_layers_with_the_initialiser_that_suits_are_quiet(activation: Any) -> None:
    run = fl.fit(stacked(8, activation), (X, Y), loss="cross_entropy", epochs=8)
    assert not {"vanishing_gradient", "exploding_gradient", "idle_units"} & {one.name for one in told(run).findings}


def test_the_sensitivity_is_one_for_all_layers_of_a_network_that_only_scales() -> None:
    # One output and no bias: <out_l, delta_l> = o * dloss/do in every layer, and here all of out and delta is that.
    model = nn.Model.init(nn.Sequential(nn.Dense(1, bias=False), nn.ReLU(), nn.Dense(1, bias=False)), 1, seed=0)
    for scale in (1.0, 1e-6, 1e6):
        own = model.with_params(({"weight": np.full((1, 1), scale)}, {}, {"weight": np.full((1, 1), 2.0)}))
        x = np.arange(1.0, 9.0)[:, None]
        found = opened(fl.fit(own, (x, 5 * x[:, 0]), epochs=1, optimizer=fl.optim.GradientDescent(1e-30)))
        first, last = (sensitivity(one) for one in learning(Case(found, found.parts[0]).layers))
        assert first == pytest.approx(last, rel=1e-5)
        # By hand: out = 2 s x, delta = 2 (2 s x - 5 x).
        by_hand = np.sqrt(np.mean(np.square(2 * scale * x * 2 * (2 * scale * x - 5 * x))))
        assert last == pytest.approx(by_hand, rel=1e-3)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_large_first_weights_make_the_gradient_explode(activation: Any) -> None:
    run = fl.fit(
        stacked(8, activation, 64, nn.Normal(1.0)), (X, Y), loss="cross_entropy", epochs=1, optimizer=TINY
    )  # fmt: skip
    finding = told(run)["exploding_gradient"]
    assert "layer 0, Dense(64)" in finding.says and finding.evidence[0].value > SHATTERED


def test_nothing_vanishes_at_a_minimum_where_all_gradients_are_small() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    network = nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(8), nn.Tanh(), nn.Dense(1))
    y = np.tanh(x @ [0.5, -0.2, 0.1])
    run = fl.fit(network, (x, y), loss="squared_error", epochs=200, optimizer="lbfgs", dtype="float64")
    assert run.history["loss"][-1] < 1e-4
    assert not told(run).warnings


def test_a_network_that_finds_nothing_and_answers_near_0_does_not_explode() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 5)), rng.normal(size=2000)
    run = fl.fit(nn.mlp((16, 16), 1), (x, y), loss="squared_error", epochs=3, optimizer=fl.optim.Adam(1e-2))
    assert not {"exploding_gradient", "vanishing_gradient"} & {one.name for one in told(run).findings}


def test_dead_units_are_counted_and_the_first_step_is_told_apart_from_the_last() -> None:
    model = nn.Model.init(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(10)), 64, loss="cross_entropy")
    model.params[0]["bias"][:5] = -100
    finding = told(fl.fit(model, (X, Y), epochs=1, optimizer=TINY))["idle_units"]
    assert "5 of 8 units are dead" in finding.says
    network = nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(32), nn.ReLU(), nn.Dense(10))
    steep = fl.fit(network, (8 * X + 8, Y), loss="cross_entropy", epochs=5, optimizer=fl.optim.GradientDescent(1.0))
    finding = told(steep)["idle_units"]
    assert "became so while training" in finding.says and any("learning rate" in one for one in finding.tries)
    assert "vanishing_gradient" not in told(steep)


def test_saturated_units_are_told_from_rare_ones() -> None:
    wide = nn.Sequential(nn.Dense(64, initializer=nn.Normal(3.0)), nn.Tanh(), nn.Dense(10))
    finding = told(fl.fit(wide, (8 * X, Y), loss="cross_entropy", epochs=1))["idle_units"]
    assert "saturated" in finding.says and "before the first step" in finding.says
    # Each unit is above 0 on 5 % of the rows: few, and none of them idle.
    model = nn.Model.init(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(10)), 64, loss="cross_entropy")
    z = X @ model.params[0]["weight"]
    model.params[0]["bias"][:] = -np.quantile(z, 0.95, axis=0)
    assert "idle_units" not in told(fl.fit(model, (X, Y), epochs=1, optimizer=TINY))


@saved
@dataclass(frozen=True)
class Stair:
    """0 below 0 and 1 above, with a slope nowhere but between 0 and 0.001: an activation of one's own."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {}, shape

    def apply(self, params: Any, x: Any) -> Any:
        return np.minimum(np.maximum(1000 * x, 0), 1)


def test_activations_of_ones_own_are_read_from_their_slopes_and_mixing_layers_are_none() -> None:
    finding = told(fl.fit(nn.Sequential(nn.Dense(8), Stair(), nn.Dense(10)), (X, Y), loss="cross_entropy", epochs=1))
    assert "Stair()" in finding["idle_units"].says
    case = case_of(
        nn.Sequential(
            nn.Dense(64), lambda x: x - np.mean(x, axis=1, keepdims=True), nn.Tanh(), nn.Dropout(0.5), nn.Dense(10)
        )
    )
    tanh = case.layers[2]
    assert [slopes_of(one) is None for one in case.layers] == [True, True, False, True, True]
    np.testing.assert_allclose(slopes_of(tanh), 1 - tanh.output**2, atol=1e-12)
    assert [one.place for one in idle_in(case.layers)] == [2]
    assert replace(tanh, inputs={"x": tanh.inputs}) is not tanh and slopes_of(replace(tanh, inputs={})) is None
