"""A window over data that are not read whole: the machine reads one half of it while a thread fills the other.

Knows rows by name and number, and nothing of files, iterables, models or steps: a Supply brings the rows in the order
in which steps visit them, and a Window holds those of the next steps in arrays that a program can read.
"""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fallline.errors import Attributes
from fallline.graph.op import Array
from fallline.source import Form

# Bytes that a half holds at most, unless a single batch is larger.
HALF_BYTES = 1 << 25
# Rows of a half at most: row numbers of as many are made for the program.
HALF_ROWS = 1 << 20
# A reading that a caller's code does not end is waited for so long when training ends, and then left to itself.
_PATIENCE_SECONDS = 2.0
# Time between two looks whether training is to stop.
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Filled:
    """rows: put into the arrays. ends: the rows of the whole epoch, where it ends with these; else None."""

    rows: int
    ends: int | None = None


class Supply(Protocol):
    """Rows in the order in which steps visit them.

    forms: of a row, by name. seed: of the numbers that layers draw. rows: of every epoch, None where only its end
        tells.
    rereads: whether rows that were read are the same if they are read again. order_bytes: of row numbers.
    """

    @property
    def seed(self) -> int: ...

    @property
    def rows(self) -> int | None: ...

    @property
    def forms(self) -> Mapping[str, Form]: ...

    @property
    def rereads(self) -> bool: ...

    @property
    def order_bytes(self) -> int: ...

    def fill(self, epoch: int, row: int, into: Mapping[str, Array], stop: Callable[[], bool]) -> Filled:
        """Put the rows of an epoch from `row` on into arrays, as many as they have room for.

        stop: once true, the result is not read. Errors: DataError, ReadingError.
        """
        ...

    def forget(self) -> None:
        """Be where the next `fill` may begin anywhere: the last one was given up."""
        ...

    def close(self) -> None:
        """Let go of files and iterators; another `fill` may open them again."""
        ...


def half_rows(row_bytes: int, batch_size: int, most: int | None = None) -> int:
    """Rows of a half: whole batches within HALF_BYTES, one at least. most: rows of an epoch, if known."""
    batches = max(1, min(HALF_BYTES // max(1, row_bytes * batch_size), HALF_ROWS // batch_size))
    if most is not None:
        batches = min(batches, -(-most // batch_size))
    return batches * batch_size


class _Reading:
    """One half being filled by a thread of its own, which ends with it."""

    def __init__(self, supply: Supply, epoch: int, row: int, into: Mapping[str, Array]) -> None:
        self.place = epoch, row
        self._process = os.getpid()
        self.stopped = False
        self.filled: Filled | None = None
        self.error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._read, args=(supply, epoch, row, into), daemon=True, name="fallline-window"
        )
        self._thread.start()

    def _read(self, supply: Supply, epoch: int, row: int, into: Mapping[str, Array]) -> None:
        try:
            self.filled = supply.fill(epoch, row, into, lambda: self.stopped)
        except BaseException as error:  # raised again where the rows are waited for
            self.error = error
        finally:
            self._over.set()

    def wait(self, stop_requested: Array | None) -> bool:
        """Wait for the end; False if training is to stop before it."""
        while not self._over.wait(_LOOK_SECONDS):
            if stop_requested is not None and stop_requested.any():
                return False
        return True

    def result(self) -> Filled:
        self._thread.join()
        if self.error is not None:
            raise self.error
        assert self.filled is not None
        return self.filled

    @property
    def is_foreign(self) -> bool:
        """Whether its thread is one of the process that forked this one, so that it is not here."""
        return self._process != os.getpid()

    def end(self, seconds: float | None = None) -> bool:
        """Have the thread end; whether it did in time."""
        self.stopped = True
        if not self.is_foreign:
            self._thread.join(seconds)
        return self.is_foreign or not self._thread.is_alive()


class Window(Attributes):
    """The Feed of rows that are not read whole: those of the next steps, in arrays of two halves.

    arrays: by name, 2 * half long. order: their row numbers, 0, 1, 2 ...
    """

    is_whole = takes_long = False

    def __init__(self, supply: Supply, half: int, epochs: int, steps: int | None = None) -> None:
        """half: rows of a half. epochs: nothing is read ahead beyond the last. steps: of the whole training."""
        self.supply, self.half, self.epochs, self.steps = supply, half, epochs, steps
        self.arrays = {name: np.empty((2 * half, *form.shape), form.dtype) for name, form in supply.forms.items()}
        self.order = np.arange(2 * half)
        self.seed, self.rows, self.ready = supply.seed, supply.rows, 0
        self.epoch_rows = self.rows
        self._half = 1  # the one being read; the first reading goes into the other
        self._place = (-1, 0)
        self._filled = Filled(0)
        self._next: _Reading | None = None

    @property
    def rereads(self) -> bool:
        return self.supply.rereads

    @property
    def nbytes(self) -> Mapping[str, int]:
        window = sum(array.nbytes for array in self.arrays.values())
        return {"order": self.order.nbytes + self.supply.order_bytes, "window": window}

    def _holds(self, epoch: int, row: int) -> bool:
        first = self._place[1]
        return self._place[0] == epoch and first <= row < first + self._filled.rows

    def place(self, epoch: int, row: int, stop_requested: Array | None = None) -> int | None:
        """Where in the arrays a row of an epoch is, once it is there; None if training is to stop before that.

        Errors: those of the supply.
        """
        if not self._holds(epoch, row):
            reading = self._next
            if reading is not None and (reading.place != (epoch, row) or reading.is_foreign):
                reading.stopped = True
                if not reading.is_foreign and not reading.wait(stop_requested):
                    return None
                self.supply.forget()
                reading = None
            if reading is None:
                reading = self._next = self._begin(epoch, row)
            if not reading.wait(stop_requested):
                return None
            self._next = None  # so that an error is no end: the same rows may be asked for again
            self._filled = reading.result()
            self._half, self._place = 1 - self._half, (epoch, row)
            self._next = self._ahead()
        self.epoch_rows = self._filled.ends if self.rows is None else self.rows
        self.ready = self._place[1] + self._filled.rows - row
        return self._half * self.half + row - self._place[1]

    def _ahead(self) -> _Reading | None:
        """The reading of the rows after the half that was filled last."""
        epoch, row = self._place
        following = (epoch, row + self._filled.rows) if self._filled.ends is None else (epoch + 1, 0)
        return self._begin(*following) if following[0] < self.epochs else None

    def _begin(self, epoch: int, row: int) -> _Reading:
        start = (1 - self._half) * self.half
        into = {name: array[start : start + self.half] for name, array in self.arrays.items()}
        return _Reading(self.supply, epoch, row, into)

    def close(self) -> None:
        """End the thread and close the files of the supply. Rows in memory stay.

        A caller's iterator that does not come to the end of a batch keeps its thread: nothing can end that.
        """
        reading, self._next = self._next, None
        if reading is not None:
            if not reading.end(_PATIENCE_SECONDS):
                return
            self.supply.forget()
        self.supply.close()
