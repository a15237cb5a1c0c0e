"""Two runs compared: settings and results that differ, and the step, tensor and element where they part."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline.insight.opened import opened
from fallline.training.replay import Replay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = X[:, 0] - X[:, 1]


def fit(x=X, y=Y, network=None, **more):
    given = {"loss": "squared_error", "epochs": 3, "batch_size": 4, "threads": 1, **more}
    given.setdefault("optimizer", fl.optim.GradientDescent(0.05))
    return fl.fit(network or fl.nn.mlp((4,), 1), (x, y), **given)


def test_equal_runs_part_nowhere():
    found = fl.difference(fit(), fit())
    assert (found.settings, found.compared, found.parting, found.kept, found.missing) == ((), 9, None, "", ())
    assert "the first 9 steps are the same bits; no step was found" in str(found)


def test_by_hand():
    # Rows in their own order, 4 a batch: row 9 is in batch 2 of epoch 0, so two steps are alike.
    x = X.copy()
    x[9, 1] += 1
    found = fl.difference(fit(shuffle=False), fit(x, shuffle=False))
    assert [one.name for one in found.settings] == ["data.x (checksum)"]
    part = found.parting
    assert found.compared == 2 and part is not None
    assert (part.step, part.epoch, part.what, part.path, part.element) == (2, 0, "data", "x", (9, 1))
    assert part.values == (float(np.float32(X[9, 1])), float(np.float32(x[9, 1]))) and part.elements == (1, 12)
    # theta <- theta - rate * gradient: the first step has the same gradient, and twice the rate.
    found = fl.difference(fit(), fit(optimizer=fl.optim.GradientDescent(0.1)))
    part, first = found.parting, opened(fit()).parts[0].job.model.theta
    assert part is not None and (part.step, part.what, part.path) == (0, "update", "0.bias")
    assert part.values[1] - first[part.element[0]] == pytest.approx(2 * (part.values[0] - first[part.element[0]]))


CASES = {
    "initial parameters": ({}, {"seed": 1}, 0, "0.bias"),
    "network": ({}, {"network": fl.nn.mlp((5,), 1)}, 0, "0.bias"),
    "batch": ({}, {"shuffle": False}, 0, "rows"),
    "gradient": ({}, {"loss": "absolute_error"}, 0, "0.bias"),
    "update": ({"optimizer": fl.optim.Adam(0.01)}, {"optimizer": fl.optim.Adam(0.01, beta2=0.9)}, 0, "v"),
}


@pytest.mark.parametrize("what", CASES)
def test_what_differs_first_is_told(what):
    first, second, step, path = CASES[what]
    # Bias parameters are zeros at first, so the networks of another seed differ in their weights.
    found = fl.difference(fit(**first), fit(**second)).parting
    assert found is not None and (found.step, found.what) == (step, what)
    assert found.path == {"initial parameters": "0.weight", "update": found.path}.get(what, path)


def test_batches_of_other_sizes_and_minimisers():
    found = fl.difference(fit(), fit(batch_size=6)).parting
    assert found is not None and (found.what, found.values) == ("batch", (4, 6))
    lbfgs = {"optimizer": fl.optim.LBFGS(), "batch_size": None, "epochs": 6}
    assert fl.difference(fit(**lbfgs), fit(**lbfgs)).parting is None
    found = fl.difference(fit(**lbfgs), fit(y=Y + 1e-3 * (np.arange(12) == 5), **lbfgs)).parting
    assert found is not None and (found.step, found.what, found.path, found.element[0]) == (0, "data", "y", 5)
    found = fl.difference(fit(**lbfgs), fit(loss="absolute_error", **lbfgs)).parting
    assert found is not None and found.what == "gradient"


def test_rates_that_fall_at_other_steps_part_there():
    falling = [fl.optim.GradientDescent(fl.optim.Step(0.05, every=steps)) for steps in (5, 7)]
    found = fl.difference(*(fit(optimizer=one) for one in falling)).parting
    assert found is not None and (found.step, found.epoch, found.what) == (5, 1, "update")


@settings(max_examples=8, deadline=None)
@given(row=st.integers(0, 11), shuffle=st.booleans(), seed=st.integers(0, 3))
def test_the_step_is_that_of_a_comparison_step_by_step(row, shuffle, seed):
    y = Y.copy()
    y[row] += 0.5
    runs = [fit(y=one, shuffle=shuffle, seed=seed, batch_size=2) for one in (Y, y)]
    a, b = (Replay(opened(run).parts[0].job) for run in runs)
    step = 0
    while a.make(1) and b.make(1) and np.array_equal(a.theta, b.theta):
        step += 1
    found = fl.difference(*runs)
    assert (found.compared, found.parting.step, found.parting.element) == (step, step, (row, 0))


def test_replayed_steps_are_those_of_the_run():
    run = fit()
    again = Replay(opened(run).parts[0].job)
    numbers, rows = again.batch()
    loss, g = again.gradient()
    x, y = rows["x"], rows["y"]
    model = again.job.model
    want = fl.grad(lambda theta: np.mean((model.apply(theta, x) - y) ** 2))(model.theta)
    np.testing.assert_allclose(g, want, rtol=1e-4, atol=1e-6)
    assert again.make(9) == 9 and np.array_equal(again.theta, run.model.theta) and len(numbers) == 4
    assert loss == pytest.approx(float(np.mean((model.apply(model.theta, x) - y) ** 2)), rel=1e-5)


def test_runs_that_diverge_alike_are_compared_to_their_ends():
    far = {"optimizer": fl.optim.GradientDescent(1e20), "epochs": 4}
    found = fl.difference(fit(**far), fit(**far))
    assert found.parting is None and found.kept == ""
    assert ("ended", "diverged", "diverged") in [(one.name, one.first, one.second) for one in found.results]


def test_without_data_settings_and_results_are_compared_all_the_same():
    bare = pickle.loads(pickle.dumps(fit(optimizer=fl.optim.GradientDescent(0.1))))
    found = fl.difference(fit(), bare)
    assert found.compared == 0 and found.parting is None and found.kept
    assert [one.name for one in found.settings] == ["optimizer.learning_rate"]
    assert any("data=(x, y)" in sentence for sentence in found.missing)
    text = str(found)
    assert "no step was compared" in text and "not compared: second: " in text
    assert fl.difference(fit(), bare, data=(X, Y)).parting.what == "update"


def test_steps_can_be_limited_and_a_shorter_run_is_told():
    found = fl.difference(fit(), fit(epochs=5), steps=4)
    assert found.compared == 4 and len(found.missing) == 2
    assert [one.name for one in found.settings] == ["epochs"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_text_fits_and_json_holds_it(width):
    found = fl.difference(fit(), fit(seed=3, optimizer="adam", validation=0.25, dtype="float64"))
    for ascii_only in (False, True):
        text = found.text(width=width, ascii_only=ascii_only)
        assert max(map(len, text.splitlines())) <= width
        assert text.isascii() or not ascii_only
    assert json.loads(json.dumps(found.to_dict()))["parting"]["what"] == "initial parameters"
