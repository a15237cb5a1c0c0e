"""Where steps find their rows: arrays that a program reads, and row numbers into them. Knows no models and no files.

Arrays in memory are a window that holds everything and is never refilled; `window.Window` is the other kind.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from fallline.feeds.order import Order
from fallline.feeds.stream import Stream
from fallline.feeds.supply import Ordered
from fallline.feeds.window import Supply, Window, half_rows
from fallline.graph.op import Array
from fallline.jobs.named import Rows
from fallline.jobs.streamed import Streamed
from fallline.source import Form
from fallline.stored import StoredRows


class Feed(Protocol):
    """The rows that steps visit, where a program reads them.

    arrays: by name. order: numbers of their rows; steps read those at consecutive places. seed: of the numbers that
        layers draw. steps: of the whole training, None where they are not known.
    is_whole: whether an epoch is all rows of the arrays as they stand. rereads: whether an epoch's rows are the same
    if they are asked for once more. rows: of every epoch, None where it is known only at its end.
    ready: rows from the place asked for last to the next one that has to be asked for. epoch_rows: rows of the epoch
    of that place, None where they are not known yet. takes_long: whether `place` may take long and cannot be stopped.
    nbytes: of its own memory, by purpose.
    """

    seed: int
    steps: int | None
    rows: int | None
    ready: int
    epoch_rows: int | None

    @property
    def arrays(self) -> Mapping[str, Array]: ...

    @property
    def order(self) -> Array: ...

    @property
    def is_whole(self) -> bool: ...

    @property
    def rereads(self) -> bool: ...

    @property
    def takes_long(self) -> bool: ...

    @property
    def nbytes(self) -> Mapping[str, int]: ...

    def place(self, epoch: int, row: int, stop_requested: Array | None = None) -> int | None:
        """Where in `order` a row of an epoch stands; None if training stops before it is known."""
        ...

    def close(self) -> None:
        """Let go of threads and files."""
        ...


class Resident:
    """The Feed of arrays that lie in memory."""

    rereads = True

    def __init__(self, arrays: Mapping[str, Array], order: Order, steps: int | None = None) -> None:
        self.steps = steps
        self.arrays, self._order, self.order, self.seed = arrays, order, order.buffer, order.seed
        self.rows: int | None = len(order.rows)
        self.epoch_rows: int | None = len(order.rows)
        self._rows = self.ready = len(order.rows)

    @property
    def is_whole(self) -> bool:
        return not self._order.shuffle and self.rows == len(next(iter(self.arrays.values())))

    @property
    def takes_long(self) -> bool:
        return self._order.takes_long

    @property
    def nbytes(self) -> Mapping[str, int]:
        return {"order": self.order.nbytes + self._order.rows.nbytes}

    def place(self, epoch: int, row: int, stop_requested: Array | None = None) -> int:
        self.ready = self._rows - row
        return self._order.place(epoch) + row

    def close(self) -> None:
        pass


def feed_of(
    rows: Rows | Streamed, batch_size: int, epochs: int, seed: int, shuffle: bool = False, steps: int | None = None
) -> Feed:
    """The feed of some rows: they themselves, or a window over those that are not read whole."""
    if isinstance(rows, Streamed):
        supply: Supply = Stream(rows.batches, rows.form, rows.ready, seed, rows.meant)
    else:
        order = Order(rows.index, seed, shuffle)
        if rows.is_resident:
            return Resident(rows.data, order, steps)
        supply = Ordered(StoredRows(rows.data), order)
    return Window(supply, half_rows(row_bytes(supply.forms), batch_size, supply.rows), epochs, steps)


def gathered_feed(feed: Feed, read: bool = True) -> Feed:
    """A feed whose rows in memory stand in the order of an epoch, so that a step of all rows gathers none.

    feed: whose order is the same in every epoch. read: False for arrays of the same form that hold other rows.
    """
    if not isinstance(feed, Resident) or feed.is_whole:
        return feed
    rows = feed.order if read else slice(len(feed.order))
    order = Order(np.arange(len(feed.order)), feed.seed, shuffle=False)
    return Resident({name: array[rows] for name, array in feed.arrays.items()}, order, feed.steps)


def row_bytes(forms: Mapping[str, Form]) -> int:
    return sum(math.prod(form.shape) * form.dtype.itemsize for form in forms.values())
