"""Ctrl-C as a question asked between machine calls, instead of an exception anywhere. Knows nothing of training."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While entered, the first Ctrl-C only sets `asked`; a second one raises KeyboardInterrupt as usual.

    Does nothing outside the main thread, where signals do not arrive, and where somebody else handles Ctrl-C.
    """

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        """then: told at the first Ctrl-C, at once."""
        self.asked = False
        self._then = then
        self._depth = 0
        self._ours = False

    def __enter__(self) -> "Interrupts":
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self._ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if self._ours:
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._ours = False

    def _note(self, number: int, frame: FrameType | None) -> Any:
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True
        self._then()
