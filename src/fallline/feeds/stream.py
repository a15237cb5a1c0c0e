"""Batches from a caller's iterable, as rows that are read by epoch and number. Knows no models and no threads.

An iterable is gone through once an epoch, in its own order; its batches may be of any sizes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fallline.arguments import shown
from fallline.errors import DataError, FalllineError, ReadingError
from fallline.feeds.window import Filled
from fallline.graph.op import Array
from fallline.nn.data_parts import batches_of
from fallline.source import Form

Named = Mapping[str, Array]
AGAIN = "try: a function that makes a fresh iterator for each epoch, such as data=lambda: batches()"


class Batches:
    """Where the batches of an epoch come from.

    given: an iterable, an iterator (for one epoch), or a function of the epoch, or of nothing, that makes one.
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self.is_iterator = hasattr(given, "__next__")
        self._first: tuple[Iterator[Any], Any] | None = None
        self._is_begun = False

    def begin(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch. Errors: DataError where there are none, or there is no second going through."""
        first, self._first = self._first, None
        again, self._is_begun = self.is_iterator and self._is_begun, True
        if first is not None and (epoch == 0 or self.is_iterator):
            return _after(*first)
        if again:
            raise DataError(
                f"data is {shown(self.given)}, which can be gone through once, and epoch {epoch} begins\n  {AGAIN}"
            )
        return batches_of(self.given, epoch)

    def peek(self) -> Any:
        """The first batch; the first epoch goes on from there, so nothing is read twice."""
        if self._first is None:
            try:
                batches = batches_of(self.given, 0)
                self._first = batches, next(batches)
            except StopIteration:
                raise DataError(f"data is {shown(self.given)}, which has no batch") from None
            except FalllineError:
                raise
            except Exception as error:
                raise ReadingError(f"the first batch of data: {type(error).__name__}: {error}") from error
        return self._first[1]


def _after(batches: Iterator[Any], first: Any) -> Iterator[Any]:
    yield first
    yield from batches


class Stream:
    """A Supply of the rows of batches, cut anew to the requested sizes.

    forms: of a row, by name. seed: of the numbers that layers draw. rows: of every epoch, where the caller knows.
    """

    rereads = False  # an iterable may well give other rows the second time
    order_bytes = 0

    def __init__(
        self,
        batches: Batches,
        forms: Mapping[str, Form],
        ready: Callable[[Any], Named],
        seed: int = 0,
        rows: int | None = None,
    ) -> None:
        """ready: a batch as arrays by name. Errors: its FalllineErrors name the batch."""
        self.batches, self.forms, self._ready, self.seed, self.rows = batches, forms, ready, seed, rows
        self._at: tuple[int, int] | None = None
        self._open: Iterator[Any] | None = None
        self._number = 0  # of the next batch
        self._left: Named = {}  # rows that were read and not yet requested
        self._is_over = False
        self._weighs = True  # whether a row of this epoch had a weight other than 0, or rows have no weights

    def fill(self, epoch: int, row: int, into: Mapping[str, Array], stop: Callable[[], bool]) -> Filled:
        if self._at != (epoch, row):
            self._skip_to(epoch, row, stop)
        at, self._at = self._at, None  # known again at the end only
        assert at is not None
        room, filled = len(next(iter(into.values()))), 0
        while filled < room and not stop() and self._more(epoch):
            some = self._take(room - filled)
            count = _rows_of(some)
            for name, array in some.items():
                into[name][filled : filled + count] = array
            filled += count
        # Whether more comes is looked at now, so that an epoch's last rows are known as such.
        end = at[1] + filled
        self._at = epoch, end
        ends = None if stop() or self._more(epoch) else end
        if self.rows is not None and not stop() and (end > self.rows if ends is None else end != self.rows):
            seen = f"more than {self.rows}" if ends is None else str(end)
            raise DataError(f"data has {self.rows} rows, as it says, and gave {seen} in epoch {epoch}")
        if ends and not self._weighs:
            raise DataError(f"the weights of all {end} rows of epoch {epoch} are 0, so their mean loss is not defined")
        return Filled(filled, ends)

    def _skip_to(self, epoch: int, row: int, stop: Callable[[], bool]) -> None:
        """Stand before a row, having gone through those before it once more."""
        if self._at is None or self._at[0] != epoch or self._at[1] > row:
            self.close()
            self._open, self._number, self._is_over = self._begun(epoch), 0, False
            self._weighs = "weight" not in self.forms
            self._at = epoch, 0
        while self._at[1] < row and not stop() and self._more(epoch):
            self._at = epoch, self._at[1] + _rows_of(self._take(row - self._at[1]))

    def _begun(self, epoch: int) -> Iterator[Any]:
        try:
            return self.batches.begin(epoch)
        except Exception as error:
            raise self._located(error, f"epoch {epoch} of data cannot begin") from error

    def _more(self, epoch: int) -> bool:
        """Whether a row is left of this epoch; reads the next batch if it has to."""
        while not self._left and not self._is_over:
            assert self._open is not None
            try:
                batch = next(self._open)
                self._left = self._ready(batch)
            except StopIteration:
                self._is_over = True
            except Exception as error:
                raise self._located(error, f"batch {self._number} of epoch {epoch}") from error
            else:
                self._number += 1
                if not _rows_of(self._left):
                    self._left = {}
                elif not self._weighs:
                    self._weighs = bool(self._left["weight"].any())
        if self._is_over and self._number == 0:
            raise DataError(f"data gave no batch in epoch {epoch}, as if it had been gone through before\n  {AGAIN}")
        return bool(self._left)

    def _take(self, count: int) -> Named:
        some = {name: array[:count] for name, array in self._left.items()}
        self._left = {name: array[count:] for name, array in self._left.items()}
        if not _rows_of(self._left):
            self._left = {}
        return some

    def _located(self, error: Exception, where: str) -> FalllineError:
        if isinstance(error, FalllineError):
            return type(error)(f"{where}: {error}")
        return ReadingError(f"{where}: {type(error).__name__}: {error}\n  raised by the iterable given as data")

    def forget(self) -> None:
        self._at = None

    def close(self) -> None:
        self._at, self._left = None, {}
        opened, self._open = self._open, None
        close = getattr(opened, "close", None)
        if close is not None:
            close()


def _rows_of(named: Named) -> int:
    return len(next(iter(named.values()))) if named else 0
