"""Measures of steps: the same numbers as by hand, for every step, and no bit of the training changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.runs.events import Measured

NETWORK = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(4), nn.ReLU(), nn.Dense(3))
EVERYTHING = {
    "g": fl.measure.norm("gradient"),
    "a": fl.measure.mean("activation", ["1", "3"]),
    "dead": fl.measure.zeros("activation", "3"),
    "p": fl.measure.largest("parameter", "*.weight"),
    "u": fl.measure.spread("update", "0.*"),
    "bias": fl.measure.value("gradient", "*.bias"),
}


def fit(data: Any, network: Any = NETWORK, **settings: Any) -> fl.Run:
    return fl.fit(network, data, **{"loss": "cross_entropy", "epochs": 4, "batch_size": 8, **settings})


def measured(run: fl.Run) -> list[Measured]:
    return [event for event in run.events if isinstance(event, Measured)]


def column(run: fl.Run, name: str, path: str) -> np.ndarray:
    return run.measured[name][path]


def test_every_step_s_numbers_are_those_of_a_plain_loop(labelled: Any) -> None:
    # Full batches of a small network, with gradients by fl.grad of the same loss written in NumPy.
    x, y = labelled
    run = fit(labelled, nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(3)), epochs=5, batch_size=None, dtype="float64",
              optimizer=fl.optim.GradientDescent(0.5),
              measure={"g": fl.measure.value("gradient"), "p": fl.measure.value("parameter"),
                       "u": fl.measure.norm("update"), "h": fl.measure.mean("activation", "1")})  # fmt: skip

    def loss(params: Any) -> Any:
        z = np.tanh(x @ params["0.weight"] + params["0.bias"]) @ params["2.weight"] + params["2.bias"]
        return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(len(y)), y])

    paths = [path for path, _ in run.model.layout.items()]
    for step in range(5):
        params = {path: column(run, "p", path)[step] for path in paths}
        value, grads = fl.value_and_grad(loss)(params)
        np.testing.assert_allclose(run.history["loss"][step], value, rtol=1e-12)
        hidden = np.tanh(x @ params["0.weight"] + params["0.bias"])
        np.testing.assert_allclose(column(run, "h", "1")[step], hidden.mean(), rtol=1e-12)
        for path in paths:
            np.testing.assert_allclose(column(run, "g", path)[step], grads[path], rtol=1e-9, atol=1e-15)
            np.testing.assert_allclose(column(run, "u", path)[step], 0.5 * np.linalg.norm(grads[path]), rtol=1e-9)


@pytest.mark.parametrize(("optimizer", "dtype", "every"), [
    ("adam", "float32", "step"), ("adam", "float64", "call"), ("gradient_descent", "float32", "call"),
    ("gradient_descent", "float64", "step"), ("momentum", "float32", "step"),
])  # fmt: skip
def test_what_is_measured_changes_no_bit(labelled: Any, optimizer: str, dtype: str, every: str) -> None:
    settings = {
        "optimizer": optimizer,
        "dtype": dtype,
        "validation": 0.2,
        "gradient_checkpointing": optimizer == "adam",
    }
    plain = fit(labelled, **settings)
    looked_at = fit(labelled, measure=EVERYTHING, measure_every=every, **settings)
    assert looked_at.model.theta.tobytes() == plain.model.theta.tobytes()
    assert looked_at.history["loss"].tolist() == plain.history["loss"].tolist()


def test_no_step_is_left_out_and_none_reported_twice_however_a_run_is_cut(labelled: Any, cut: Any) -> None:
    whole = fit(labelled, measure=EVERYTHING)
    cut([3, 1, 2], copy_every_call=True)
    parts = fit(labelled, measure=EVERYTHING)
    for run in (whole, parts):
        assert [e.step + i for e in measured(run) for i in range(e.steps)] == [*range(4 * 7)]
    for name, paths in measured(whole)[0].values.items():
        for path in paths:
            np.testing.assert_array_equal(column(whole, name, path), column(parts, name, path))


def test_more_steps_than_the_ring_has_rows_are_all_reported(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(labelled, measure=EVERYTHING)
    monkeypatch.setattr("fallline.steps.recorder._ROWS", 3)
    short = fit(labelled, measure=EVERYTHING)
    assert max(event.steps for event in measured(short)) == 3
    np.testing.assert_array_equal(column(whole, "g", "0.weight"), column(short, "g", "0.weight"))


def test_once_a_call_it_is_the_last_step_s(labelled: Any, cut: Any) -> None:
    cut([4])
    every = fit(labelled, measure=EVERYTHING)
    calls = fit(labelled, measure=EVERYTHING, measure_every="call")
    for event in measured(calls):
        assert event.steps == 1
        assert event.values["g"]["4.bias"] == column(every, "g", "4.bias")[event.step]
    assert [event.step for event in measured(calls)][:3] == [3, 5, 6]  # batches of 8, and the rest of 5


def test_threads_change_nothing_that_is_measured(labelled: Any) -> None:
    one, two = (fit(labelled, measure=EVERYTHING, threads=n) for n in (1, 2))
    np.testing.assert_array_equal(column(one, "u", "0.weight"), column(two, "u", "0.weight"))


def test_events_come_back_from_the_file_and_a_resumed_run_reports_each_step_once(labelled: Any, tmp_path: Path) -> None:
    whole = fit(labelled, measure=EVERYTHING)
    fit(labelled, measure=EVERYTHING, out=tmp_path, epochs=2)
    run = fit(labelled, measure=EVERYTHING, resume=tmp_path)
    again = fl.load_run(tmp_path)
    for name in ("g", "bias"):
        for path in measured(whole)[0].values[name]:
            np.testing.assert_array_equal(column(run, name, path), column(whole, name, path))
            np.testing.assert_array_equal(column(again, name, path), column(whole, name, path))


def test_a_run_goes_on_under_other_measures(labelled: Any, tmp_path: Path) -> None:
    fit(labelled, measure=EVERYTHING, out=tmp_path, epochs=2)
    assert fit(labelled, resume=tmp_path).model.theta.tobytes() == fit(labelled).model.theta.tobytes()


class Noting:
    """Half of the input, with a note of its mean."""

    def init(self, rng: Any, shape: Any, dtype: Any) -> Any:
        return {}, shape

    def apply(self, params: Any, x: Any, context: Any) -> Any:
        context.note("mean", np.mean(x))
        return x / 2


def test_notes_and_the_functions_of_one_s_own(labelled: Any) -> None:
    network = nn.Sequential(nn.Dense(3), Noting(), nn.Dense(3))
    mine = fl.measure.Measure("activation", "0", lambda h: np.mean(h))
    run = fit(labelled, network, measure={"note": fl.measure.value("note"), "mine": mine})
    np.testing.assert_allclose(column(run, "note", "1.mean"), column(run, "mine", "0"), rtol=1e-5, atol=1e-7)


def test_a_minimiser_s_steps_are_measured_where_they_begin(labelled: Any) -> None:
    settings = {"optimizer": "lbfgs", "batch_size": "full", "dtype": "float64", "epochs": 6}
    plain = fit(labelled, **settings)
    run = fit(labelled, measure=[fl.measure.norm("gradient"), fl.measure.value("parameter")], **settings)
    assert run.model.theta.tobytes() == plain.model.theta.tobytes()
    assert [event.step for event in measured(run)] == [*range(6)]
    assert all(event.steps == 1 for event in measured(run))
    before = fit(labelled, **{**settings, "epochs": 5}).model
    np.testing.assert_array_equal(
        column(run, "parameter", "2.weight")[5], before.layout.split(before.theta)[2]["weight"]
    )


def test_a_step_that_fails_is_not_reported_and_those_before_are(labelled: Any) -> None:
    x, y = labelled
    run = fl.fit(nn.Dense(1), (x, y * 1.0), loss="squared_error", optimizer=fl.optim.GradientDescent(1e12), epochs=3,
                 batch_size=8, measure=fl.measure.norm("gradient"))  # fmt: skip
    assert run.diverged is not None
    steps = [e.step + i for e in measured(run) for i in range(e.steps)]
    assert steps == [*range(run.diverged.step)]


@pytest.mark.parametrize(("measure", "told"), [
    (fl.measure.norm("gradient", "9.weight"), "no gradient is called '9.weight'"),
    (fl.measure.value("note"), "this network has none"),
    ({"a": "norm"}, "measure takes measures"), ("norm", "measure takes measures"),
    ([fl.measure.norm("update")] * 2, "two measures are called 'update norm'"),
])  # fmt: skip
def test_what_cannot_be_measured_is_reported(labelled: Any, measure: Any, told: str) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=told):
        fit(labelled, measure=measure)


def test_a_run_gathers_what_its_events_reported(labelled: Any) -> None:
    run = fit(labelled, measure=EVERYTHING)
    assert fit(labelled).measured == {}
    assert {*run.measured} == {*EVERYTHING}
    for name, paths in run.measured.items():
        for path, rows in paths.items():
            told = [event.values[name][path] for event in measured(run)]
            np.testing.assert_array_equal(rows, np.concatenate(told))
    whole = fit(labelled, measure=fl.measure.value("activation", "4")).measured["activation"]["4"]
    assert whole.shape == (4 * 6, 8, 3)  # batches of 8; the rest of an epoch, of 5, is another shape


def test_a_source_that_is_none_is_reported_with_the_nearest() -> None:
    with pytest.raises(ArgumentError, match="gradient"):
        fl.measure.norm("gradients")
