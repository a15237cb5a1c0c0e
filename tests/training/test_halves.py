"""A step that stops between gradient and update: the same training, and two half batches averaged are the whole one."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.feeds.order import Order
from fallline.jobs.job import prepare
from fallline.jobs.settings import Settings
from fallline.training.feed import Resident
from fallline.training.stepper import BatchStepper

NETWORK = nn.Sequential(nn.Dense(7), nn.Tanh(), nn.Dense(3))


def stepper(data: Any, between: Any = None, network: Any = NETWORK, **given: Any) -> BatchStepper:
    settings = {"loss": "cross_entropy", "batch_size": 8, "shuffle": False, "epochs": 2, **given}
    job = prepare(network, data, Settings(**settings))
    feed = Resident(job.train.data, Order(job.train.index, job.seed, job.shuffle))
    return BatchStepper(job.model, job.optimizer, feed, job.batch_size, 1, gradient_checkpointing=
                        job.gradient_checkpointing, between=between)  # fmt: skip


def run(made: BatchStepper, epochs: int = 2) -> BatchStepper:
    for epoch in range(epochs):
        while not made.epoch_is_done:
            assert made.advance() is None
        if epoch < epochs - 1:
            made.next_epoch()
    return made


def seen(found: dict[str, np.ndarray]) -> None:
    assert np.isfinite(found["gradient"]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", [{"optimizer": "adam", "shuffle": True}, {"optimizer": fl.optim.AdamW(0.01)},
                                   {"optimizer": "momentum", "gradient_checkpointing": True}])  # fmt: skip
def test_the_halves_one_after_the_other_are_the_step_to_the_bit(labelled: Any, given: Any, dtype: str) -> None:
    undivided = run(stepper(labelled, dtype=dtype, **given))
    divided = run(stepper(labelled, seen, dtype=dtype, **given))
    for name, array in undivided.state.items():
        np.testing.assert_array_equal(divided.state[name], array, err_msg=name)
    assert divided.loss == undivided.loss


def test_plain_descent_rounds_otherwise_only(labelled: Any) -> None:
    # The undivided step adds each product to theta where it is made, and has no gradient.
    undivided, divided = (run(stepper(labelled, b, optimizer="gradient_descent")) for b in (None, seen))
    np.testing.assert_allclose(divided.theta, undivided.theta, rtol=1e-4, atol=1e-6)


def test_kept_slots_and_noise_are_those_of_the_step(labelled: Any) -> None:
    network = nn.Sequential(nn.Dense(6), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.3), nn.Dense(3))
    undivided, divided = (run(stepper(labelled, b, network)) for b in (None, seen))
    np.testing.assert_allclose(divided.theta, undivided.theta, rtol=1e-5, atol=1e-7)


class AllReduce:
    """The gradients of several steppers, each in a thread, averaged in the order of their numbers."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.meeting = threading.Barrier(count, timeout=60)
        self.found: list[Any] = [None] * count

    def of(self, number: int) -> Any:
        def between(found: dict[str, np.ndarray]) -> None:
            self.found[number] = {name: np.array(array) for name, array in found.items()}
            self.meeting.wait()
            for name, array in found.items():
                array[...] = sum(one[name] for one in self.found) / self.count
            self.meeting.wait()  # nobody puts down the next before all have read this

        return between


@pytest.mark.parametrize("optimizer", ["adam", "gradient_descent"])
def test_the_averaged_gradients_of_two_half_batches_make_the_step_of_the_whole_batch(
    numbers: Any, optimizer: str
) -> None:
    x, y = (a[:40] for a in numbers)
    network = nn.Sequential(nn.Dense(5), nn.Tanh(), nn.Dense(1))
    given = {"loss": "squared_error", "dtype": "float64", "optimizer": optimizer}
    whole = run(stepper((x, y), None, network, **given))
    reduced = AllReduce(2)
    # Rows of each batch of 8: four to the one, four to the other.
    parts = [np.arange(40).reshape(5, 2, 4)[:, half].ravel() for half in range(2)]
    ranks = [stepper((x[rows], y[rows]), reduced.of(number), network, batch_size=4, **given)
             for number, rows in enumerate(parts)]  # fmt: skip
    threads = [threading.Thread(target=run, args=(one,)) for one in ranks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ranks[0].theta.tobytes() == ranks[1].theta.tobytes()
    np.testing.assert_allclose(ranks[0].theta, whole.theta, rtol=1e-10)
    assert ranks[0].loss == pytest.approx(whole.loss, rel=1e-10)


def test_a_gradient_put_in_its_place_is_the_one_that_is_used(labelled: Any) -> None:
    def nothing(found: dict[str, np.ndarray]) -> None:
        found["gradient"][...] = 0

    still = stepper(labelled, nothing)
    start = still.theta.copy()
    np.testing.assert_array_equal(run(still).theta, start)


def test_a_loss_that_is_not_finite_is_met_by_all_and_changes_nothing(numbers: Any) -> None:
    x, y = numbers
    met: list[float] = []

    def between(found: dict[str, np.ndarray]) -> None:
        met.append(float(found["loss"]))

    made = stepper((x, y * 1e200), between, nn.Dense(1), loss="squared_error", dtype="float64")
    start = made.theta.copy()
    setback = made.advance()
    assert setback is not None
    assert setback.step == 0
    assert met and np.isnan(met).all()
    np.testing.assert_array_equal(made.theta, start)


def test_another_process_s_loss_that_is_not_finite_stops_this_one_too(labelled: Any) -> None:
    def told(found: dict[str, np.ndarray]) -> None:
        found["loss"][...] = np.inf

    setback = stepper(labelled, told).advance()
    assert setback is not None
