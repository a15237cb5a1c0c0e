"""Ctrl-C ends a training in good order: the last state is kept, and a resumed run goes on from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.feeds.order import Order
from fallline.training.interrupt import Interrupts
from fallline.training.stepper import BatchStepper

NETWORK = fl.nn.mlp((4,), 3)
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "epochs": 40, "batch_size": 8}


@pytest.fixture
def interrupted_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let Ctrl-C come while the machine makes the call that passes a step."""

    def at(step: int) -> None:
        run = BatchStepper._run
        sent = []

        def and_then(self: BatchStepper, limit: int) -> int:
            done = run(self, limit)
            if self.step >= step and not sent:
                sent.append(step)
                os.kill(os.getpid(), signal.SIGINT)
            return done

        monkeypatch.setattr(BatchStepper, "_run", and_then)

    return at


@pytest.mark.parametrize("step", [1, 7, 10, 23])
def test_fit_returns_the_run_with_the_last_state(
    labelled: Any, cut: Any, interrupted_at: Any, tmp_path: Path, step: int
) -> None:
    cut([1])
    whole = fl.fit(NETWORK, labelled, **SETTINGS)
    interrupted_at(step)
    run = fl.fit(NETWORK, labelled, out=tmp_path, **SETTINGS)
    assert run.stop_reason == "interrupted"
    assert run.ended is not None
    assert run.ended.step == step
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    more = fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS)
    assert more.stop_reason == "finished"
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


def test_an_interrupted_stream_reports_its_ending(labelled: Any, cut: Any, interrupted_at: Any) -> None:
    cut([1])
    interrupted_at(9)
    events = list(fl.train(NETWORK, labelled, **SETTINGS))
    assert isinstance(events[-1], fl.events.TrainingEnded)
    assert events[-1].reason == "interrupted"


def test_between_events_ctrl_c_is_the_reader_s(labelled: Any) -> None:
    training = fl.train(NETWORK, labelled, **SETTINGS)
    next(training)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    assert list(training)[-1].reason == "finished"  # type: ignore[union-attr]


def test_a_second_ctrl_c_is_not_held_back() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        while not interrupts.stop_requested:
            pass
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_somebody_else_s_handler_is_left_in_place() -> None:
    def mine(number: int, frame: Any) -> None: ...

    signal.signal(signal.SIGINT, mine)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) is mine
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_training_works_outside_the_main_thread(labelled: Any) -> None:
    runs: list[fl.Run] = []
    thread = threading.Thread(target=lambda: runs.append(fl.fit(NETWORK, labelled, **SETTINGS)))
    thread.start()
    thread.join()
    assert runs[0].model.theta.tobytes() == fl.fit(NETWORK, labelled, **SETTINGS).model.theta.tobytes()


def test_a_reader_that_raises_leaves_the_last_state_to_be_read(labelled: Any, tmp_path: Path) -> None:
    training = fl.train(NETWORK, labelled, out=tmp_path, **SETTINGS)
    with pytest.raises(ZeroDivisionError):
        for event in training:
            if isinstance(event, fl.events.EpochEnded) and event.epoch == 3:
                raise ZeroDivisionError
    assert len(training.run.epochs) == 4
    training.close()
    assert np.isfinite(training.run.model.theta).all()
    assert fl.fit(NETWORK, labelled, resume=tmp_path, **SETTINGS).stop_reason == "finished"


def test_a_reader_may_stop_a_training(labelled: Any) -> None:
    training = fl.train(NETWORK, labelled, **SETTINGS)
    for event in training:
        if isinstance(event, fl.events.EpochEnded) and event.epoch == 4:
            training.stop()
    assert training.run.stop_reason == "interrupted"
    assert len(training.run.epochs) == 5


def test_ctrl_c_takes_effect_while_something_long_is_worked_on() -> None:
    def work() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        while not interrupts.stop_requested:  # set by a handler that runs in the main thread alone
            pass
        assert threading.current_thread() is not threading.main_thread()
        return "done"

    with Interrupts() as interrupts:
        assert interrupts.run_interruptibly(work) == "done"
    assert interrupts.run_interruptibly(lambda: threading.current_thread()) is threading.main_thread()


def test_what_goes_wrong_in_long_work_is_raised_and_a_second_ctrl_c_waits_for_its_end() -> None:
    ended = []

    def work() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            while not interrupts.stop_requested:
                pass
        ended.append(True)

    with Interrupts() as interrupts, pytest.raises(ZeroDivisionError):
        interrupts.run_interruptibly(lambda: 1 // 0)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        interrupts.run_interruptibly(work)
    assert ended == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_that_takes_long_is_given_up_and_a_resumed_run_goes_on_from_before_it(
    labelled: Any, cut: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int
) -> None:
    cut([1])
    settings = {**SETTINGS, "threads": threads}
    monkeypatch.setattr("fallline.program.lanes.PATIENCE", 50.0)
    monkeypatch.setattr("fallline.training.pace.LONG_SECONDS", 0.0)
    whole = fl.fit(NETWORK, labelled, **settings)
    run = BatchStepper._run

    def at_step_nine(self: BatchStepper, limit: int) -> int:
        if self.step == 9:
            os.kill(os.getpid(), signal.SIGINT)
            while not self._stop_requested[0]:  # type: ignore[index]
                pass
        return run(self, limit)

    with monkeypatch.context() as patch:
        patch.setattr(BatchStepper, "_run", at_step_nine)
        stopped = fl.fit(NETWORK, labelled, out=tmp_path, **settings)
    assert stopped.stop_reason == "interrupted"
    assert stopped.ended is not None
    assert stopped.ended.step == 9
    more = fl.fit(NETWORK, labelled, resume=tmp_path, **settings)
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


def test_work_that_nobody_needs_any_more_is_not_waited_for() -> None:
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        os.kill(os.getpid(), signal.SIGINT)
        may_end.wait(30)
        ended.set()

    with Interrupts() as interrupts:
        assert interrupts.unless_asked(lambda: None)
        with pytest.raises(ZeroDivisionError):
            interrupts.unless_asked(lambda: 1 // 0)
        assert not interrupts.unless_asked(work)
    assert began.is_set()
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(30)


def test_an_order_that_takes_long_is_not_waited_for_and_a_resumed_run_makes_it_again(
    labelled: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "validation": 0.3, "early_stopping": 30}
    monkeypatch.setattr("fallline.feeds.order._MANY", 0)
    monkeypatch.setattr("fallline.feeds.order._ROWS_AT_A_TIME", 1)
    whole = fl.fit(NETWORK, labelled, **settings)
    place, waiting = Order.place, threading.Event()

    def slow(self: Order, epoch: int) -> int:
        if epoch == 6:
            os.kill(os.getpid(), signal.SIGINT)
            waiting.wait(30)
        return place(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(Order, "place", slow)
        stopped = fl.fit(NETWORK, labelled, out=tmp_path, **settings)
        waiting.set()
    assert stopped.stop_reason == "interrupted"
    assert len(stopped.epochs) == 5
    more = fl.fit(NETWORK, labelled, resume=tmp_path, **settings)
    assert more.history["loss"].tolist() == whole.history["loss"].tolist()
    assert more.history["epoch"].tolist() == list(range(40))
    assert more.best_epoch == whole.best_epoch
    assert more.model.theta.tobytes() == whole.model.theta.tobytes()


def test_making_the_first_order_is_not_waited_for_either(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.feeds.order._MANY", 0)
    place, going_on = Order.place, threading.Event()

    def slow(self: Order, epoch: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        going_on.wait(30)
        return place(self, epoch)

    monkeypatch.setattr(Order, "place", slow)
    run = fl.fit(NETWORK, labelled, **SETTINGS)  # nothing was placed while it was set up: that would wait here
    going_on.set()
    assert run.stop_reason == "interrupted"
    assert run.ended is not None and run.ended.step == 0
    assert np.isfinite(run.model.theta).all()


def test_an_order_made_late_is_the_same(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = fl.fit(NETWORK, labelled, **SETTINGS)
    monkeypatch.setattr("fallline.feeds.order._MANY", 0)
    assert fl.fit(NETWORK, labelled, **SETTINGS).model.theta.tobytes() == usual.model.theta.tobytes()


ASKED_TO_END = """
import os, signal, sys
import numpy as np
import fallline as fl
from fallline.training.stepper import BatchStepper
number = getattr(signal, sys.argv[1])
handlers = {"usual": signal.SIG_DFL, "ignored": signal.SIG_IGN, "mine": lambda *_: print("mine")}
signal.signal(number, handlers[sys.argv[2]])
run_on, sent = BatchStepper._run, []
def interrupted(self, limit):
    if self.step >= 11 and not sent:
        sent.append(1)
        os.kill(os.getpid(), number)
    return run_on(self, limit)
BatchStepper._run = interrupted
x, y = np.random.default_rng(0).standard_normal((40, 4)), np.arange(40) % 3
told = {"loss": "cross_entropy", "epochs": 9, "batch_size": 8, "out": "run"}
if sys.argv[3] == "fit":
    run = fl.fit(fl.nn.mlp((4,), 3), (x, y), **told)
elif sys.argv[3] == "train":
    for event in (training := fl.train(fl.nn.mlp((4,), 3), (x, y), **told)):
        pass
    run = training.run
elif sys.argv[3] == "ensemble":
    run = fl.fit(fl.nn.mlp((4,), 3), (x, y), **told, ensemble=2)
else:
    run = fl.race(fl.nn.mlp((4,), 3), (x, y), variants=[{"seed": 0}], **told)
print(run.stop_reason)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="these signals are of POSIX systems")
@pytest.mark.parametrize("name, handled, how, code, said", [
    ("SIGTERM", "usual", "fit", -signal.SIGTERM, ""), ("SIGHUP", "usual", "train", -1, ""),
    ("SIGTERM", "usual", "race", -signal.SIGTERM, ""), ("SIGTERM", "usual", "ensemble", -signal.SIGTERM, ""),
    ("SIGHUP", "ignored", "fit", 0, "finished\n"), ("SIGTERM", "mine", "fit", 0, "mine\nfinished\n"),
])  # fmt: skip
def test_a_process_that_is_asked_to_end_saves_its_training_first(
    tmp_path: Path, name: str, handled: str, how: str, code: int, said: str
) -> None:
    line = [sys.executable, "-c", ASKED_TO_END, name, handled, how]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, said, "")
    folder = next((tmp_path / "run").glob("**/model.safetensors")).parent
    reason = fl.load_run(folder).stop_reason
    assert reason == ("interrupted" if handled == "usual" else "finished")


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="a signal of POSIX systems")
def test_handlers_are_as_before_after_a_training(labelled: Any) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fl.fit(NETWORK, labelled, **SETTINGS)
    training = fl.train(NETWORK, labelled, **SETTINGS)
    for _ in training:
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
