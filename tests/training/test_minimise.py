"""Training by a minimiser: L-BFGS against SciPy and scikit-learn, with the events, files and ends of any training."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import fallline as fl
from fallline.errors import ArgumentError
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings
from fallline.optim import LBFGS, Minimiser
from fallline.training.minimise import MinimiserStepper
from fallline.training.steppers import stepper_for

NETWORK = fl.nn.mlp((6,), 3, "tanh")
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "optimizer": LBFGS(), "epochs": 30, "dtype": "float64"}
PLANNED = {name: value for name, value in SETTINGS.items() if name != "epochs"}


def test_every_step_is_an_epoch_that_begins_where_the_one_before_ended(numbers: Any) -> None:
    network = fl.nn.mlp((5,), 1, "tanh")
    settings = {"loss": "squared_error", "optimizer": "lbfgs", "dtype": "float64", "validation": numbers}
    run = fl.fit(network, numbers, epochs=8, **settings)
    assert run.started is not None
    assert (run.started.batch_size, run.started.steps_per_epoch, run.started.optimizer) == (47, 1, "lbfgs")
    history = run.history
    assert history["step"].tolist() == [*range(1, 9)]
    # The loss is that before the step, as for any optimizer; validation on the same rows tells that after it.
    np.testing.assert_allclose(history["loss"][1:], history["validation_loss"][:-1], rtol=1e-12)
    assert (np.diff(history["loss"]) < 0).all()


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_a_convex_problem_ends_converged_where_scipy_ends(labelled: Any, weight_decay: float) -> None:
    x, y = labelled
    optimizer = LBFGS(tolerance=1e-7, weight_decay=weight_decay)
    data = (x[:, :2], y)
    run = fl.fit(fl.nn.Dense(3), data, loss="cross_entropy", optimizer=optimizer, epochs=500, dtype="float64")
    assert run.stop_reason == ("converged" if weight_decay else run.stop_reason)
    one_hot = np.eye(3)[y]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        b, w = theta[:3], theta[3:].reshape(2, 3)
        z = data[0] @ w + b
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        d = (p - one_hot) / len(y)
        value = -np.mean(np.sum(one_hot * np.log(p), axis=1)) + weight_decay / 2 * np.sum(w * w)
        return value, np.concatenate([d.sum(axis=0), (data[0].T @ d + weight_decay * w).ravel()])

    options = {"gtol": 1e-7, "ftol": 0, "maxiter": 1000}
    theirs = scipy.optimize.minimize(loss, np.zeros(9), jac=True, method="L-BFGS-B", options=options)
    layout, theta = run.model.layout, run.model.theta
    assert [path for path, _ in layout.items()] == ["bias", "weight"] or layout.size == 9
    assert loss(theta)[0] <= theirs.fun + 1e-9
    if weight_decay:
        np.testing.assert_allclose(np.sort(theta), np.sort(theirs.x), atol=1e-4)


def test_the_same_bits_come_of_a_run_that_was_stopped_and_resumed_at_any_step(labelled: Any, tmp_path: Path) -> None:
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    for step in (1, 4, 17):
        folder = tmp_path / str(step)
        fl.fit(NETWORK, labelled, out=folder, **{**SETTINGS, "epochs": step})
        run = fl.fit(NETWORK, labelled, resume=folder, **SETTINGS)
        assert run.model.theta.tobytes() == whole.model.theta.tobytes()
        assert run.history["loss"].tolist() == whole.history["loss"].tolist()


def test_ctrl_c_inside_a_line_search_gives_the_step_up_and_loses_nothing(
    labelled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    evaluate, seen = MinimiserStepper._evaluate, []

    def and_interrupt(self: MinimiserStepper, theta: Any) -> Any:
        seen.append(self.step)
        if len(seen) == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return evaluate(self, theta)

    monkeypatch.setattr(MinimiserStepper, "_evaluate", and_interrupt)
    run = fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    assert run.stop_reason == "interrupted"
    assert run.ended is not None
    assert run.ended.step == seen[8]
    more = fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS)
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


def test_a_run_that_has_converged_is_over_when_it_is_resumed(numbers: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"loss": "squared_error", "optimizer": "lbfgs", "dtype": "float64", "out": tmp_path}
    run = fl.fit(fl.nn.Dense(1), numbers, **settings)
    assert run.stop_reason == "converged"
    assert np.abs(fl.value_and_grad(lambda w: np.mean((numbers[0] @ w - numbers[1]) ** 2))(np.zeros(4))[0]) > 0
    again = fl.fit(fl.nn.Dense(1), numbers, resume=True, **settings)
    assert again.stop_reason == "converged"
    assert again.model.theta.tobytes() == run.model.theta.tobytes()
    assert fl.load_run(tmp_path).stop_reason == "converged"
    # Least squares by another method.
    x = np.column_stack([numbers[0], np.ones(47)])
    best = np.linalg.lstsq(x, numbers[1], rcond=None)[0]
    np.testing.assert_allclose(run.model.predict(numbers[0]).ravel(), x @ best, atol=1e-4)


@pytest.mark.parametrize("settings", [{"validation": 0.3}, {"dtype": "float32"}, {"gradient_checkpointing": True}])
def test_threads_change_no_bit(labelled: Any, settings: dict[str, Any]) -> None:
    one, two = (fl.fit(NETWORK, labelled, threads=n, **{**SETTINGS, **settings}) for n in (1, 2))
    assert one.model.theta.tobytes() == two.model.theta.tobytes()


def test_early_stopping_watches_every_step_and_restores_the_best(numbers: Any) -> None:
    x, y = numbers
    network = fl.nn.mlp((40,), 1, "tanh")
    run = fl.fit(network, (x[:20], y[:20]), loss="squared_error", optimizer="lbfgs", epochs=400,
                 validation=(x[20:], y[20:]), early_stopping=5)  # fmt: skip
    assert run.stop_reason == "early_stopping"
    assert run.best_epoch == len(run.epochs) - 6
    best = run.history["validation_loss"].min()
    assert run.ended is not None
    assert run.ended.best_loss == best
    np.testing.assert_allclose(np.mean((run.model.predict(x[20:]).ravel() - y[20:]) ** 2), best, rtol=1e-5)


def test_a_race_of_minimisers_and_rules_comes_to_the_same_bits_as_each_alone(labelled: Any) -> None:
    variants = [{"name": "lbfgs", "optimizer": "lbfgs"}, {"name": "again", "optimizer": "lbfgs"},
                {"name": "adam", "optimizer": "adam"}]  # fmt: skip
    race = fl.race(NETWORK, labelled, variants=variants, loss="cross_entropy", epochs=12, threads=2)
    for variant in variants:
        alone = fl.fit(NETWORK, labelled, loss="cross_entropy", epochs=12, optimizer=variant["optimizer"])
        assert race.runs[variant["name"]].model.theta.tobytes() == alone.model.theta.tobytes()


def test_a_loss_that_is_not_finite_at_the_start_is_reported_and_theta_stays(numbers: Any) -> None:
    x, y = numbers
    run = fl.fit(fl.nn.Dense(1), (x, y * 1e200), **{**SETTINGS, "loss": "squared_error"})
    assert run.stop_reason == "diverged"
    assert np.isfinite(run.model.theta).all()


def test_plans_and_profiles_are_those_of_an_evaluation(labelled: Any) -> None:
    plan = fl.plan(NETWORK, labelled, loss="cross_entropy", optimizer=LBFGS(memory=7))
    run = fl.fit(NETWORK, labelled, **SETTINGS)
    assert plan.batch_size == plan.rows == 53
    assert plan.bytes["moments"] >= 2 * 7 * plan.bytes["parameters"]
    profile = run.profile(seconds=0.02)
    assert "optimizer" not in {share.name for share in profile.layers}
    assert {"loss", "0 Dense(6)"} <= {share.name for share in profile.layers}


def test_going_on_with_the_same_data_is_one_run_and_with_others_it_moves_again(numbers: Any) -> None:
    x, y = numbers
    network = fl.nn.mlp((6,), 1, "tanh")
    settings = {"loss": "squared_error", "optimizer": "lbfgs", "dtype": "float64"}
    whole = fl.fit(network, numbers, epochs=24, **settings)
    part = fl.fit(network, numbers, epochs=9, **settings)
    more = fl.fit(None, numbers, init=part, epochs=15, dtype="float64")
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()
    ended = fl.fit(network, numbers, epochs=5000, **{**settings, "dtype": "float32", "optimizer": LBFGS(tolerance=0)})
    assert ended.stop_reason == "stalled"
    other = fl.fit(None, (x, y + 1), init=ended, epochs=3)
    assert other.stop_reason == "finished"
    assert other.history["loss"][-1] < other.history["loss"][0]


@dataclass(frozen=True)
class Halving(Minimiser):
    """Gradient descent whose step is halved until the value falls: what somebody may write for themselves."""

    def start(self, theta: Any, layout: Any) -> dict[str, Any]:
        return {"halvings": np.zeros((), np.int64)}

    def step(self, here: Any, state: Any, evaluate: Any) -> Any:
        length, there, count = self.learning_rate, None, 0
        while there is None or there.value >= here.value:
            there = evaluate(here.theta - length * here.gradient)
            length, count = length / 2, count + 1
        return there, {"halvings": state["halvings"] + count - 1}


def test_a_minimiser_of_one_s_own_is_trained_with_and_resumed(labelled: Any, tmp_path: Path) -> None:
    settings = {**SETTINGS, "optimizer": Halving(learning_rate=8.0)}
    whole = fl.fit(NETWORK, labelled, **settings)
    assert (np.diff(whole.history["loss"]) < 0).all()
    fl.fit(NETWORK, labelled, out=tmp_path, **{**settings, "epochs": 11})
    more = fl.fit(NETWORK, labelled, resume=tmp_path, **settings)
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


@dataclass(frozen=True)
class Wrong(Minimiser):
    """A step with one fault."""

    how: str = "place"

    def step(self, here: Any, state: Any, evaluate: Any) -> Any:
        if self.how == "length":
            evaluate(here.theta[1:])
        return evaluate(np.full_like(here.theta, 1e300) if self.how == "place" else here.theta), {"names": 1}


@pytest.mark.parametrize(("how", "told"), [("length", "of shape"), ("state", "returns the state"), ("place", "state")])
def test_a_step_that_is_wrong_is_reported(labelled: Any, how: str, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        fl.fit(NETWORK, labelled, **{**SETTINGS, "optimizer": Wrong(how=how)})


def test_scikit_learn_s_network_by_the_same_method_comes_no_lower(numbers: Any) -> None:
    neural = pytest.importorskip("sklearn.neural_network")
    ours, theirs = [], []
    for seed in range(2):
        made = neural.MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", alpha=0,
                                   max_iter=60, tol=0, max_fun=10**6, random_state=seed)  # fmt: skip
        with pytest.warns(match="lbfgs failed to converge"):
            made.fit(*numbers)
        theirs.append(np.mean((made.predict(numbers[0]) - numbers[1]) ** 2))
        run = fl.fit(fl.nn.mlp((8,), 1, "tanh"), numbers, loss="squared_error", optimizer=LBFGS(tolerance=0), epochs=60,
                     dtype="float64", seed=seed)  # fmt: skip
        ours.append(np.mean((run.model.predict(numbers[0]).ravel() - numbers[1]) ** 2))
    assert np.median(ours) < 2 * np.median(theirs)
    assert np.median(theirs) < 2 * np.median(ours)


def test_slots_that_are_frozen_or_kept_are_left_to_their_layers(labelled: Any, tmp_path: Path) -> None:
    network = fl.nn.Sequential(fl.nn.Frozen(fl.nn.Dense(5)), fl.nn.Tanh(), fl.nn.BatchNorm(), fl.nn.Dense(3))
    settings = {**SETTINGS, "validation": 0.2}
    whole = fl.fit(network, labelled, **settings)
    start = fl.fit(network, labelled, **{**settings, "epochs": 1}).model
    assert (np.diff(whole.history["loss"]) < 0).all()
    for path, slot in whole.model.layout.items():
        same = np.array_equal(slot.of(whole.model.theta), slot.of(start.theta))
        assert same == (slot.kind == "frozen"), path
    fl.fit(network, labelled, out=tmp_path, **{**settings, "epochs": 13})
    more = fl.fit(network, labelled, resume=tmp_path, **settings)
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


class Elsewhere:
    """Rows that are read when they are asked for, as those of an array in a file."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows, self.shape, self.dtype = rows, rows.shape, rows.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: Any) -> np.ndarray:
        return self._rows[which]


@pytest.mark.parametrize("validation", [None, 0.2])
def test_rows_that_lie_elsewhere_are_read_once_and_come_to_the_same_bits(
    numbers: Any, monkeypatch: pytest.MonkeyPatch, validation: float | None
) -> None:
    x, y = (array.astype(np.float32) for array in numbers)
    settings = {"loss": "squared_error", "optimizer": "lbfgs", "epochs": 9, "validation": validation}
    inside = fl.fit(fl.nn.Dense(1), (x, y), **settings)
    monkeypatch.setattr("fallline.stored.WHOLE_BYTES", 0)
    outside = fl.fit(fl.nn.Dense(1), (Elsewhere(x), y), **settings)
    assert outside.model.theta.tobytes() == inside.model.theta.tobytes()


def test_the_training_rows_are_gathered_once(labelled: Any) -> None:
    apart = prepare(NETWORK, labelled, Settings(**SETTINGS, validation=0.3))
    stepper = stepper_for(apart)
    assert stepper.feed.is_whole
    stepper.advance()
    alone = stepper_for(prepare(NETWORK, tuple(a[apart.train.index] for a in labelled), Settings(**SETTINGS)))
    alone.advance()
    assert np.array_equal(stepper.theta, alone.theta)
    more = sum(array.nbytes for array in stepper.feed.arrays.values())
    parted, whole = (fl.plan(NETWORK, labelled, **PLANNED, validation=share) for share in (0.3, None))
    assert parted.bytes["data"] == whole.bytes["data"] + more
