"""Ctrl-C and signals that end a process as stop requests, read between machine calls, instead of an exception or an end
anywhere. Knows nothing of training.
"""

import importlib.util
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, TypeVar

import numpy as np

_CTRL_C = int(signal.SIGINT)
# The signals that request a stop, and the handler that each has by default.
_ASKING: dict[int, Any] = {
    _CTRL_C: signal.default_int_handler,
    **{int(getattr(signal, name)): int(signal.SIG_DFL) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)},
}
# The module that `signal` wraps, where there is such a module. Its enums take ten microseconds to find that a handler
# is none of theirs, as long as a small network takes for ten steps, and an epoch can be a hundred.
_plain: Any = importlib.import_module("_signal") if importlib.util.find_spec("_signal") else signal
# Time between two looks whether somebody has asked.
_LOOK_SECONDS = 0.05

T = TypeVar("T")


class Interrupts:
    """While entered, the first Ctrl-C, SIGTERM or SIGHUP only sets `stop_requested`; a second one acts as
    it usually does.

    Does nothing outside the main thread, where signals do not arrive, and leaves a signal alone that somebody else
    handles or ignores.
    signal: the first that came. passes_on: whether SIGTERM or SIGHUP end the process once `is_over` was set and nobody
    has this entered any more, as they would have done without it.
    """

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        """then: called at the first Ctrl-C, at once."""
        # An int64 in an array, so that a program can look at it while it runs.
        self.word = np.zeros(1, np.int64)
        self._then = then
        self._depth = 0
        self._ours: list[int] = []  # signals that come to us
        self.signal: int | None = None
        self.passes_on, self.is_over = True, False

    @property
    def stop_requested(self) -> bool:
        return bool(self.word[0])

    @stop_requested.setter
    def stop_requested(self, value: bool) -> None:
        self.word[0] = value

    def run_interruptibly(self, work: Callable[[], T]) -> T:
        """The result of work that takes long, done in another thread so that Ctrl-C takes effect meanwhile.

        Python delivers signals in the main thread only, and only between two of its own instructions.
        """
        if not self._ours:
            return work()
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            try:
                return working.result()
            except KeyboardInterrupt:  # the second one; the work must not be abandoned before its end
                while not working.done():
                    with suppress(KeyboardInterrupt):
                        wait([working])
                raise

    def unless_asked(self, work: Callable[[], object]) -> bool:
        """Do work that takes long and that nobody needs once training is stopped; whether it was waited for.

        Left to itself after Ctrl-C, it goes on in its thread, since nothing can stop it there.
        """
        if not self._ours:
            work()
            return True
        done: Future[object] = Future()

        def and_tell() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # raised again where it is waited for
                done.set_exception(error)

        threading.Thread(target=and_tell, daemon=True, name="fallline-aside").start()
        while not self.stop_requested and not wait([done], _LOOK_SECONDS).done:
            pass
        if not done.done():
            return False
        done.result()
        return True

    def __enter__(self) -> "Interrupts":
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self._ours = [number for number, usual in _ASKING.items() if _plain.getsignal(number) == usual]
            for number in self._ours:
                _plain.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._ours:
            self._let_go()
            if self.passes_on and self.is_over and self.signal not in (None, _CTRL_C):
                os.kill(os.getpid(), self.signal)

    def _let_go(self) -> None:
        for number in self._ours:
            _plain.signal(number, _ASKING[number])
        self._ours = []

    def _note(self, number: int, frame: FrameType | None) -> Any:
        if self.stop_requested and number == _CTRL_C:
            signal.default_int_handler(number, frame)
        if self.signal is not None:  # the second one
            self._let_go()
            os.kill(os.getpid(), number)
        self.signal, self.stop_requested = number, True
        self._then()


class Interruptible(Iterator[T]):
    """Items of a generator, made while `interrupts` is entered: work is done only while an item is requested."""

    interrupts: Interrupts
    _events: Generator[T, None, None]

    def __next__(self) -> T:
        with self.interrupts:
            try:
                return next(self._events)
            except BaseException:
                self.interrupts.is_over = True
                raise

    def close(self) -> None:
        """Let go of folders, threads and lanes without ending the work; what it has found so far stays."""
        with self.interrupts:
            self._events.close()
            self.interrupts.is_over = True
