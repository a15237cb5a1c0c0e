"""The rows of a Source in the order of the epochs, as a window requests them. Knows no models and no threads."""

from collections.abc import Callable, Mapping

from fallline.errors import FalllineError, ReadingError
from fallline.feeds.order import Order
from fallline.feeds.window import Filled
from fallline.graph.op import Array
from fallline.source import Form, Source

# Rows read by one call of a source: a reading that nobody waits for any more ends after them.
_ROWS_AT_A_TIME = 8192


class Ordered:
    """The Supply of a Source: its rows as an Order has them. order: of this supply alone."""

    rereads = True

    def __init__(self, source: Source, order: Order) -> None:
        self.source, self.order, self.seed, self.rows = source, order, order.seed, len(order.rows)

    @property
    def forms(self) -> Mapping[str, Form]:
        return self.source.form

    @property
    def order_bytes(self) -> int:
        return self.order.buffer.nbytes + self.order.rows.nbytes

    def fill(self, epoch: int, row: int, into: Mapping[str, Array], stop: Callable[[], bool]) -> Filled:
        start, n = self.order.place(epoch), len(self.order.rows)
        count = min(n - row, len(next(iter(into.values()))))
        rows = self.order.buffer[start + row : start + row + count]
        rows.flags.writeable = False  # of this view: a reader of a caller's cannot change the order
        for first in range(0, count, _ROWS_AT_A_TIME):
            if stop():
                break
            some = slice(first, first + _ROWS_AT_A_TIME)
            try:
                self.source.read(rows[some], {name: array[:count][some] for name, array in into.items()})
            except FalllineError as error:
                raise type(error)(f"epoch {epoch}: {error}") from error
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise ReadingError(f"the data cannot be read in epoch {epoch}: {what}") from error
        return Filled(count, n if row + count == n else None)

    def forget(self) -> None:
        pass

    def close(self) -> None:
        pass
