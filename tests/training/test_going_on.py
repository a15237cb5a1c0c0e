"""Going on from a run: the optimizer's state and the counts go on; k epochs and n - k more are n epochs, to the bit."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallline as fl
from fallline import nn
from fallline.errors import FalllineError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(61, 4)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
NETWORK = nn.Sequential(nn.Dense(6), nn.ReLU(), nn.Dropout(0.1), nn.Dense(2))
OPTIMIZERS = ["adam", "momentum", "gradient_descent", fl.optim.Adam(0.01, weight_decay=0.1, clip_norm=1.0)]


def fit(epochs: int, model: Any = NETWORK, data: Any = (X, Y), **given: Any) -> fl.Run:
    return fl.fit(model, data, **{"loss": "cross_entropy", "batch_size": 8, "epochs": epochs, **given})


def same(a: fl.Run, b: fl.Run) -> None:
    """The same parameters, optimizer's arrays and counts, to the bit."""
    assert a.state is not None and b.state is not None
    assert a.model.theta.tobytes() == b.model.theta.tobytes() == b.state.model.theta.tobytes()
    assert {*a.state.arrays} == {*b.state.arrays}
    for name, array in a.state.arrays.items():
        assert array.tobytes() == b.state.arrays[name].tobytes(), name
    assert a.state.epochs == b.state.epochs


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(OPTIMIZERS), st.sampled_from([None, 0.25]),
       st.booleans(), st.sampled_from([8, 61]))  # fmt: skip
def test_k_epochs_and_then_more_are_all_of_them_at_once(
    k: int, more: int, optimizer: Any, validation: Any, weighted: bool, batch_size: int
) -> None:
    data = (X, Y, 1 + X[:, 2] ** 2) if weighted else (X, Y)
    given: Any = {"data": data, "optimizer": optimizer, "validation": validation, "batch_size": batch_size}
    whole = fit(k + more, **given)
    begun = fit(k, **given)
    went_on = fit(more, None, init=begun, **{**given, "optimizer": None})
    same(whole, went_on)
    for name in ("epoch", "step", "loss", *(["validation_loss"] if validation else [])):
        np.testing.assert_array_equal(went_on.history[name], whole.history[name][k:])
    again = fit(more, begun.model, init=begun, **given)  # the model and the optimizer named once more
    same(whole, again)


def test_a_training_goes_on_with_other_rows_and_counts_its_steps() -> None:
    training = fl.train(NETWORK, (X, Y), loss="cross_entropy", batch_size=8, epochs=2)
    events = [*training]
    assert events[-1].step == 16
    for call in range(3):
        part = X[call * 5 : call * 5 + 20], Y[call * 5 : call * 5 + 20]
        before = training.run
        training = training.more(part, epochs=1)
        started, *_, ended = [*training]
        assert (started.first_epoch, started.first_step) == (2 + call, 16 + 3 * call)
        assert ended.step == 16 + 3 * (call + 1) and ended.reason == "finished"
        same(fit(1, None, part, init=before), training.run)


def test_a_schedule_goes_on() -> None:
    chosen = fl.optim.Adam(fl.optim.Exponential(0.01, steps=30))
    whole, begun = fit(4, optimizer=chosen), fit(2, optimizer=chosen)
    went_on = fit(2, None, init=begun)
    same(whole, went_on)
    np.testing.assert_array_equal(went_on.history["learning_rate"], whole.history["learning_rate"][2:])


def test_a_schedule_of_open_length_spans_all_steps_from_then_on() -> None:
    chosen = fl.optim.Adam(fl.optim.Cosine(0.01))
    begun = fit(3, optimizer=chosen)
    went_on, whole = fit(3, None, init=begun), fit(6, optimizer=chosen)
    np.testing.assert_array_equal(went_on.history["learning_rate"], whole.history["learning_rate"][3:])
    assert begun.history["learning_rate"][-1] < went_on.history["learning_rate"][0]  # it had come to its end


def test_what_was_restored_is_not_what_training_goes_on_from() -> None:
    rule = fl.EarlyStopping(patience=50, restore_best=True)
    begun = fit(30, validation=0.4, early_stopping=rule, optimizer=fl.optim.Adam(0.1))
    assert begun.ended is not None and begun.state is not None and begun.best_epoch != 29
    assert begun.model.theta.tobytes() != begun.state.model.theta.tobytes()
    went_on = fit(1, None, init=begun, validation=0.4)
    whole = fit(31, validation=0.4, optimizer=fl.optim.Adam(0.1))
    same(whole, went_on)


def test_a_run_goes_on_from_its_folder_a_pickle_and_a_larger_data_set(tmp_path: Path) -> None:
    whole = fit(5)
    begun = fit(2, out=tmp_path / "run")
    for run in (fl.load_run(tmp_path / "run"), pickle.loads(pickle.dumps(begun))):
        same(whole, fit(3, None, init=run))
    larger = fit(1, None, (np.concatenate([X, X]), np.concatenate([Y, Y])), init=begun)
    assert larger.state is not None and larger.state.step == 16 + 16


def test_a_run_that_goes_on_is_saved_and_resumed_as_any(tmp_path: Path) -> None:
    begun, whole = fit(2), fit(6)
    fit(2, None, init=begun, out=tmp_path / "run")
    went_on = fit(4, None, init=begun, out=tmp_path / "run", resume=True)
    same(whole, went_on)
    assert fl.load_model(tmp_path / "run").theta.tobytes() == whole.model.theta.tobytes()
    with pytest.raises(FalllineError, match="init"):
        fit(4, begun.model, out=tmp_path / "run", resume=True)


def test_a_minimiser_goes_on() -> None:
    network = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(2))
    given: Any = {"optimizer": fl.optim.LBFGS(), "batch_size": "full", "model": network}
    whole, begun = fit(6, **given), fit(3, **given)
    went_on = fit(3, init=begun, **given)
    assert went_on.history["loss"][-1] == pytest.approx(whole.history["loss"][-1], rel=1e-5)
    np.testing.assert_array_equal(went_on.history["step"], whole.history["step"][3:])


@pytest.mark.parametrize(("given", "says"), [
    ({"init": "run"}, "init is a run, got 'run'"),
    ({"init": fit(1), "optimizer": "momentum"}, "which remembers m, v, and"),
    ({"init": fit(1), "model": nn.Dense(2)}, "init has the network"),
    ({"init": fit(1, ensemble=2)}, "keeps no state of its optimizer"),
    ({"init": fit(1, optimizer=fl.optim.GradientDescent(1e30), loss=lambda o, y: np.mean(o**4)), "model": None},
     "init is a run that diverged"),
    ({"init": fit(1), "ensemble": 2}, "ensemble"),
])  # fmt: skip
def test_bad_beginnings_are_reported(given: Any, says: str) -> None:
    with pytest.raises(FalllineError, match=says):
        fit(1, **given)


def test_settings_of_more_are_those_of_train() -> None:
    training = fl.train(NETWORK, (X, Y), loss="cross_entropy", epochs=1)
    with pytest.raises(FalllineError, match="epochs"):
        training.more((X, Y), epoch=1)
