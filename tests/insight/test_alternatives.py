"""Other ways to good parameters: on problems whose answers are known, and where they can only be extrapolated."""

import json
import math
import pickle

import numpy as np
import pytest

import fallline as fl
from fallline.curvature.on_rows import on_rows
from fallline.errors import ArgumentError, DataError
from fallline.insight import other_ways
from fallline.insight.other_ways import Problem
from fallline.nn.theta import Layout

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2))
Y = X @ [1.0, -2.0] + 0.5 + 0.1 * RNG.normal(size=30)
LONG = 100.0  # seconds, which nothing here needs


def problem(network, y=Y, loss="squared_error", seconds=LONG):
    model = fl.nn.Model.init(network, 2, loss=loss, dtype="float64", seed=1)
    return Problem(on_rows(model, X, model.prepare(y).y), seconds, 0)


def least_squares():
    design = np.column_stack([X, np.ones(30)])
    theta, *_ = np.linalg.lstsq(design, Y, rcond=None)
    return float(np.mean((design @ theta - Y) ** 2))


def test_all_ways_lead_to_the_least_squares_of_a_linear_model():
    here, best = problem(fl.nn.Dense(1)), least_squares()
    descent = other_ways.descent(here)
    for found in (descent, other_ways.newton(here), other_ways.equations(here), other_ways.differences(here, descent)):
        assert found.measured and found.loss == pytest.approx(best, rel=1e-9), found.method
    equations = other_ways.equations(here)
    assert equations.method == "normal equations" and 10**equations.log10_evaluations == pytest.approx(3)
    assert other_ways.newton(here).log10_evaluations == pytest.approx(math.log10(3)), "one step of three products"
    for found in (other_ways.exhaustive(here, 5), other_ways.random_search(here)):
        assert found.measured and found.loss > best


def test_exhaustive_search_by_hand():
    # Values -2, 0, 2 for each of weight and bias, 9 in all; the targets 2 x - 2 are met by one of them exactly.
    x = np.arange(4.0).reshape(4, 1)
    found = fl.alternatives(fl.nn.Dense(1), (x, 2 * x - 2), loss="squared_error", values=3, seconds=0.05)
    search = found["exhaustive search"]
    assert search.measured and search.loss == 0 and 10**search.log10_evaluations == pytest.approx(9)
    # At theta = 0 the loss is that of the targets alone, (4 + 0 + 4 + 16) / 4 = 6.
    here = on_rows(fl.nn.Model.init(fl.nn.Dense(1), 1, loss="squared_error"), x, 2 * x - 2)
    assert Problem(here, 1, 0).value(np.zeros(2)) == 6


def test_a_minimum_of_a_network_is_one_for_newton_and_descent():
    here = problem(fl.nn.mlp((2,), 1, "tanh"))
    newton = other_ways.newton(here)
    assert newton.measured and newton.loss < here.value(here.theta)
    last = other_ways.equations(here)
    assert last.method == "last layer solved" and "linear in the last layer alone, 3 parameters" in last.how
    # The oracle: least squares on what the first layer gives.
    first = here.surface.model.params[0]
    h = np.tanh(X @ first["weight"] + first["bias"])
    design = np.column_stack([h, np.ones(30)])
    theta, *_ = np.linalg.lstsq(design, Y, rcond=None)
    assert last.loss == pytest.approx(float(np.mean((design @ theta - Y) ** 2)), rel=1e-8)


def test_a_loss_that_is_not_quadratic_is_expanded_and_said_to_be():
    here = problem(fl.nn.Dense(2), (Y > 0.5).astype(int), "cross_entropy")
    found = other_ways.equations(here)
    assert "linear in no layer" in found.how and found.loss < here.value(here.theta)


def test_times_too_short_are_extrapolated_and_marked():
    here = problem(fl.nn.mlp((40, 40), 1), seconds=1e-9)
    descent = other_ways.descent(here)
    assert descent.measured and 10**descent.log10_evaluations == pytest.approx(1)
    p = here.size
    for found, evaluations in (
        (other_ways.differences(here, descent), 2 * p + 1),
        (other_ways.newton(here), p),
        (other_ways.equations(here), 41),
    ):
        assert not found.measured and found.loss is None and found.log10_seconds > -9
        assert 10**found.log10_evaluations == pytest.approx(evaluations)
    search = other_ways.exhaustive(here, 10)
    assert not search.measured and search.log10_evaluations == pytest.approx(p)
    assert search.log10_seconds > 1000


def test_many_values_at_once_are_those_of_one_each():
    for network in (fl.nn.mlp((3,), 1, "tanh"), fl.nn.Sequential(fl.nn.Dense(3), fl.nn.BatchNorm(), fl.nn.Dense(1))):
        here = problem(network)
        thetas = RNG.normal(size=(4, here.size))
        want = [here.surface.evaluated_at(theta)[0] for theta in thetas]
        np.testing.assert_allclose(here.surface.values_at(thetas), want, rtol=1e-12)


def test_the_last_layer_is_last_by_number():
    layers = [fl.nn.Dense(2) for _ in range(12)]
    layout: Layout = fl.nn.Model.init(fl.nn.Sequential(*layers), 2).layout
    places = other_ways.last_layer(layout)
    assert sorted(places) == sorted(
        i for path, slot in layout.items() if path.startswith("11.") for i in range(slot.start, slot.stop)
    )


@pytest.mark.parametrize("width", [40, 80])
def test_of_a_run_the_text_fits_and_json_holds_it(width):
    run = fl.fit(fl.nn.mlp((3,), 1), (X, Y), loss="squared_error", epochs=2)
    found = fl.alternatives(run, seconds=0.01)
    assert found.methods[0].method == "this run"
    assert found["this run"].loss == pytest.approx(float(run.history["loss"][-1]), rel=0.2)
    for ascii_only in (False, True):
        text = found.text(width=width, ascii_only=ascii_only)
        assert max(map(len, text.splitlines())) <= width and (text.isascii() or not ascii_only)
    assert "extrapolated" in found.text(width=100)
    assert json.loads(json.dumps(found.to_dict()))["parameters"] == 13
    assert found.begin == pytest.approx(fl.alternatives(run, seconds=0.01).begin)


def test_without_rows_there_is_nothing_to_measure():
    run = pickle.loads(pickle.dumps(fl.fit(fl.nn.Dense(1), (X, Y), loss="squared_error", epochs=1)))
    with pytest.raises(DataError, match="rows of this run are not there"):
        fl.alternatives(run)
    with pytest.raises(DataError, match="needs data"):
        fl.alternatives(fl.nn.Dense(1))
    with pytest.raises(ArgumentError, match="seconds"):
        fl.alternatives(run, (X, Y), seconds=0)
    assert fl.alternatives(run, (X, Y), seconds=0.01).parameters == 3
