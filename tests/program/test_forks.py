"""A forked child computes, whatever threads of its parent were in the middle of at that moment."""

import multiprocessing
import os
import select
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fallline as fl
from fallline.feeds.order import Order
from fallline.program import forks
from fallline.program.kernels import store

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # of Python's, about threads and forks
]
ALLOWED = 60.0  # seconds for a child that computes for some milliseconds


def in_a_child(work):
    """The result of work in a forked child, as text; fails where that does not end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(work()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], ALLOWED)
        if not ready:
            os.kill(child, 9)
        os.waitpid(child, 0)
        assert ready, "the child hangs"
        return os.read(reading, 1000).decode()
    finally:
        os.close(reading)


class Busy:
    """A thread that calls a function again and again for the time of a block."""

    def __init__(self, call):
        self.call, self.over, self.began = call, False, threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.over:
            self.call()
            self.began.set()

    def __enter__(self):
        self.thread.start()
        assert self.began.wait(ALLOWED)

    def __exit__(self, *error):
        self.over = True
        self.thread.join()


X = np.linspace(-1, 1, 300 * 300).reshape(300, 300)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_calls_the_compiled_function_that_another_thread_was_in(threads):
    function = fl.compile(lambda x: np.sum(np.tanh(x @ x)), threads=threads)
    expected = float(function(X))
    with Busy(lambda: function(X)):
        for _ in range(6):
            assert in_a_child(lambda: float(function(X))) == repr(expected)


def test_a_child_trains_and_predicts_while_another_thread_does():
    x, y = X[:, :5], np.arange(300) % 3

    def fit(threads):
        run = fl.fit(fl.nn.mlp((64, 64), 3), (x, y), loss="cross_entropy", epochs=3, batch_size=100, threads=threads)
        return run.model.theta.tobytes(), run.model.predict(x, threads=threads).tobytes()

    expected = hash(fit(1))
    with Busy(lambda: fit(2)):
        for threads in (1, 2, 2):
            assert in_a_child(lambda threads=threads: hash(fit(threads))) == repr(expected)


def test_every_lock_that_somebody_held_is_open_in_the_child():
    function = fl.compile(lambda x: x + 1)
    function(X)
    order = Order(np.arange(5), 0)
    held = [owner for owner in list(forks._makers) if owner is not order]
    assert sys.modules[store.__name__] in held

    def are_open():
        return all(getattr(owner, forks._makers[owner][0]).acquire(timeout=5) for owner in [*held, order])

    locks = [getattr(owner, forks._makers[owner][0]) for owner in [*held, order]]
    taken, over = threading.Event(), threading.Event()

    def hold():
        for lock in locks:
            lock.acquire()
        taken.set()
        over.wait(ALLOWED)
        for lock in locks:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(ALLOWED)
    try:
        assert in_a_child(are_open) == "True"
    finally:
        over.set()
        thread.join()


def test_no_lock_of_the_package_is_made_without_a_word_to_children():
    package = Path(fl.__file__).parent
    makers = [path for path in package.rglob("*.py") if "Lock()" in path.read_text(encoding="utf-8")]
    assert [path.name for path in makers] == ["forks.py"]


def test_a_pool_of_forked_workers_computes_while_a_thread_of_the_parent_does():
    context = multiprocessing.get_context("fork")
    with Busy(lambda: CALLED(X)), ProcessPoolExecutor(2, mp_context=context) as pool:
        found = [pool.submit(called, i).result(ALLOWED) for i in range(4)]
    assert found == [called(i) for i in range(4)]


CALLED = fl.compile(lambda x: np.sum(x @ x), threads=1)


def called(number):
    return float(CALLED(X + number))


COMPILING = """
import faulthandler, os, sys, threading, time, warnings
import numpy as np
import fallline as fl
warnings.simplefilter("ignore")
def compile_some(seed):
    for i in range(1):
        c = float(seed + i)
        fl.compile(lambda x: np.tanh(x * 1.5) * np.exp(-x) + np.sqrt(x * x + c * x ** (3 + i)))(np.ones(7))
compile_some(100)  # what is imported for it, too
thread = threading.Thread(target=compile_some, args=(1,))
thread.start()
children = []
for i in range(2):
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(40, exit=True)
        compile_some(10 * i + 20)
        os._exit(7)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
thread.join()
print(codes)
"""


def test_a_child_compiles_kernels_while_another_thread_of_its_parent_did(tmp_path):
    environment = {**os.environ, "FALLLINE_CACHE": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", COMPILING], env=environment, capture_output=True, text=True,
                          timeout=4 * ALLOWED)  # fmt: skip
    assert done.stdout == "[7, 7]\n", done.stderr
