"""When gauges are looked at: fixed steps follow from the seed alone, time bounds the cost, no bit of a run changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.gauges import Gauges
from fallline.runs.events import Gauged
from fallline.training import sampler as samplers
from fallline.training.sampler import Sampler

NETWORK = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(4), nn.ReLU(), nn.Dense(3))
EVERY = Gauges("all", every=3)


def fit(data: Any, network: Any = NETWORK, **settings: Any) -> fl.Run:
    return fl.fit(network, data, **{"loss": "cross_entropy", "epochs": 4, "batch_size": 8, **settings})


def gauged(run: fl.Run) -> list[Gauged]:
    return [event for event in run.events if isinstance(event, Gauged)]


def same(one: fl.Run, other: fl.Run) -> bool:
    """Whether two runs have the same gauges at the same steps, to the last bit."""
    if one.gauges.steps.tolist() != other.gauges.steps.tolist() or list(one.gauges) != list(other.gauges):
        return False
    pairs = ((one.gauges[name][path], other.gauges[name][path]) for name in one.gauges for path in one.gauges[name])
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


NETWORKS = {
    "plain": NETWORK,
    "dropout": nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dropout(0.3), nn.Dense(3)),
    "batchnorm": nn.Sequential(nn.Dense(6), nn.BatchNorm(), nn.ReLU(), nn.Dense(3)),
    "frozen": nn.Sequential(nn.Frozen(nn.Dense(6)), nn.ReLU(), nn.Dense(3)),
    "tabm": nn.Sequential(nn.SharedDense(6, 3), nn.ReLU(), nn.Heads(3, link="softmax")),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("gauges", [EVERY, Gauges("all"), Gauges("all", share=0.9)], ids=["every", "usual", "often"])
def test_gauges_change_no_bit_of_a_training(labelled: Any, name: str, gauges: Any) -> None:
    settings = {"validation": 0.2, "gradient_checkpointing": name == "plain", "network": NETWORKS[name]}
    plain, watched = fit(labelled, **settings), fit(labelled, gauges=gauges, **settings)
    assert watched.model.theta.tobytes() == plain.model.theta.tobytes()
    assert watched.history["loss"].tolist() == plain.history["loss"].tolist()
    assert gauged(watched) and not gauged(plain)


def test_fixed_steps_are_those_however_a_run_is_cut(labelled: Any) -> None:
    # 7 batches of 8, the last of 5, in 4 epochs: 28 steps, and the place after the last.
    run = fit(labelled, gauges=EVERY)
    assert run.gauges.steps.tolist() == [*range(0, 28, 3)]
    assert [event.rows for event in gauged(run)] == [5 if step % 7 == 6 else 8 for step in range(0, 28, 3)]
    assert [event.interval for event in gauged(run)] == [0, *[3] * 9]
    assert same(run, fit(labelled, gauges=EVERY))
    assert same(run, fit(labelled, gauges=EVERY, threads=2))
    assert not same(run, fit(labelled, gauges=EVERY, seed=1))


def test_gauges_at_a_step_do_not_depend_on_how_often_they_are_looked_at(labelled: Any) -> None:
    often, seldom = fit(labelled, gauges=Gauges("all", every=1)), fit(labelled, gauges=Gauges("all", every=4))
    at = np.isin(often.gauges.steps, seldom.gauges.steps)
    for name in seldom.gauges:
        for path, values in seldom.gauges[name].items():
            np.testing.assert_array_equal(often.gauges[name][path][at], values)


def test_a_resumed_run_has_the_gauges_of_one_that_never_stopped(labelled: Any, tmp_path: Path) -> None:
    # Two epochs of 7 steps end at step 14, whose sample is taken once more when the run goes on.
    gauges = Gauges("all", every=7)
    whole = fit(labelled, gauges=gauges)
    fit(labelled, gauges=gauges, out=tmp_path, epochs=2)
    run = fit(labelled, gauges=gauges, resume=tmp_path)
    assert run.gauges.steps.tolist() == [0, 7, 14, 21, 28]
    assert same(whole, run)
    assert same(whole, fl.load_run(tmp_path))


def test_the_state_before_a_step_is_looked_at_on_the_rows_of_that_step(labelled: Any) -> None:
    # The loss that a batch has before its step is what training itself reports for it.
    measured = fit(labelled, measure={"g": fl.measure.norm("gradient")}, dtype="float64", epochs=2)
    run = fit(labelled, gauges=Gauges("gradient_norm", every=1), dtype="float64", epochs=2)
    for path, values in run.gauges["gradient_norm"].items():
        np.testing.assert_allclose(values[:14], measured.measured["g"][path], rtol=1e-9)


def batches() -> Iterator[Any]:
    rng = np.random.default_rng(5)
    for _ in range(6):
        x = rng.standard_normal((8, 3))
        yield x, np.argmax(x, axis=1)


def test_streams_of_batches_are_watched(tmp_path: Path) -> None:
    rows = [np.concatenate(part) for part in zip(*batches(), strict=True)]
    names = ["gradient_norm", "norm_test", "alpha", "update_ratio"]
    stream = fit(batches, gauges=Gauges(names, every=4))
    memory = fit(tuple(rows), gauges=Gauges(names, every=4), shuffle=False)
    assert stream.gauges.steps.tolist() == memory.gauges.steps.tolist()[:6] == [0, 4, 8, 12, 16, 20]
    for name in names:
        for path, values in stream.gauges[name].items():
            np.testing.assert_allclose(values, memory.gauges[name][path][:6], rtol=1e-5)
    every = fit(batches, gauges=Gauges("all", every=4))
    assert "dead_units" in every.gauges and every.model.theta.tobytes() == stream.model.theta.tobytes()


def test_rows_of_a_memory_map_are_watched(labelled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fallline import stored
    from fallline.feeds import window

    x, y = labelled
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    whole = fit((x.astype(np.float32), y), gauges=EVERY)
    monkeypatch.setattr(stored, "WHOLE_BYTES", 1)
    monkeypatch.setattr(window, "HALF_BYTES", 16 * (3 * 4 + 8))  # two batches in each half of the window
    run = fit((mapped, y), gauges=EVERY)
    assert run.model.theta.tobytes() == whole.model.theta.tobytes()
    for name in ("class_loss", "alpha"):
        for path, values in run.gauges[name].items():
            np.testing.assert_array_equal(values, whole.gauges[name][path][: len(values)])


class Clock:
    """A stepper and its samples whose times are made up: a step takes 10 ms, a sample what `cost` says."""

    def __init__(self, cost: float) -> None:
        self.now, self.cost = 0.0, cost

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("cost", "share"), [(0.001, 0.05), (0.02, 0.05), (0.3, 0.05), (0.02, 0.5)])
def test_samples_stay_below_their_share_of_the_time(
    labelled: Any, monkeypatch: pytest.MonkeyPatch, cost: float, share: float
) -> None:
    training = fl.train(NETWORK, labelled, loss="cross_entropy", epochs=1, batch_size=8, gauges=Gauges(share=share))
    sampler, clock = training._sampler, Clock(cost)
    assert isinstance(sampler, Sampler)
    stepper = sampler._stepper
    monkeypatch.setattr(samplers.time, "perf_counter", clock)

    def taken(rows: int) -> Any:
        clock.now += cost
        return samplers.Sample({}, {})

    monkeypatch.setattr(sampler, "_taken", taken)
    sampler._estimate = cost
    samples = 0
    for step in range(4000):
        stepper.state["step"][...] = step
        if sampler.is_due():
            assert sampler.sample() is not None
            samples += 1
            assert sampler.spent <= share * stepper.seconds + 1e-9
        stepper.seconds += 0.01
    assert sampler.spent <= share * 40
    assert samples >= min(0.5 * share * 40 / cost, 200)  # nor is the allowance left unused
    assert samples <= 600
    training.close()


def test_the_shortest_training_has_one_sample_at_its_end(labelled: Any) -> None:
    run = fit(labelled, gauges=True, epochs=1)
    assert run.gauges.steps.tolist() == [7]
    assert gauged(run)[0].seconds > 0 and gauged(run)[0].share > 0 and gauged(run)[0].interval == 0


def test_a_sample_that_takes_long_is_compiled_from_the_next_one_on(
    labelled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers, "COMPILE_SECONDS", -1.0)
    training = fl.train(NETWORK, labelled, loss="cross_entropy", epochs=1, batch_size=8, gauges=Gauges("all"))
    sampler = training._sampler
    assert sampler is not None
    first, second = sampler.sample(), sampler.sample()
    assert first is not None and second is not None and sampler._programs[8].is_compiled
    for name, by_path in first.values.items():
        for path, value in by_path.items():
            if "histogram" not in name:  # an element on a border may be on either side of it
                np.testing.assert_allclose(second.values[name][path], value, rtol=2e-3, atol=1e-5, err_msg=name)
    training.close()


def test_a_diverging_run_is_looked_at_where_it_ended(numbers: Any) -> None:
    x, y = numbers
    run = fl.fit(nn.mlp((8,), 1), (100 * x, 100 * y), loss="squared_error", epochs=5, batch_size=8,
                 optimizer=fl.optim.GradientDescent(1.0), gauges=True)  # fmt: skip
    assert run.stop_reason == "diverged" and len(gauged(run)) == 1
    assert np.isfinite(run.gauges["gradient_norm"]["0.weight"]).all()


def test_one_row_and_equal_rows_are_no_error(numbers: Any) -> None:
    x, y = numbers
    for data in ((x[:1], y[:1]), (0 * x, 0 * y)):
        run = fl.fit(nn.mlp((8,), 1), data, loss="squared_error", epochs=3, gauges=Gauges("all", every=1))
        assert run.stop_reason == "finished" and run.gauges.steps.tolist() == [*range(run.ended.step + 1)]  # type: ignore[union-attr]
        assert all(event.notes == () or "class_loss" in event.notes[0] for event in gauged(run))


def test_a_minimiser_is_watched_but_for_the_step_that_it_makes_itself(labelled: Any) -> None:
    plain = fit(labelled, optimizer="lbfgs", batch_size="auto", epochs=6)
    run = fit(labelled, optimizer="lbfgs", batch_size="auto", epochs=6, gauges=Gauges("usual", every=2))
    assert run.model.theta.tobytes() == plain.model.theta.tobytes()
    assert {"gradient_norm", "noise_scale", "dead_units"} <= set(run.gauges) and "alpha" not in run.gauges
    assert [note.partition(":")[0] for note in gauged(run)[0].notes] == [
        "no update_ratio",
        "no loss_change",
        "no alpha",
    ]


def test_every_variant_of_a_race_has_its_gauges(labelled: Any) -> None:
    race = fl.race(NETWORK, labelled, [{"name": "slow", "learning_rate": 1e-4}, {"name": "fast"}], loss="cross_entropy",
                   epochs=3, batch_size=8, gauges=Gauges("usual", every=5))  # fmt: skip
    alone = fit(labelled, epochs=3, gauges=Gauges("usual", every=5))
    assert same(race.runs["fast"], alone) and not same(race.runs["slow"], alone)
