"""A window holds the rows that steps need, whoever supplies them; its thread ends with its work."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.errors import DataError, ReadingError
from fallline.feeds import window
from fallline.feeds.order import Order
from fallline.feeds.stream import Batches, Stream
from fallline.feeds.supply import Ordered
from fallline.feeds.window import Window, half_rows
from fallline.nn.data_parts import is_stream
from fallline.source import Arrays, Form
from fallline.stored import read_rows

ROWS = 23
X = np.arange(ROWS * 2.0).reshape(ROWS, 2)
Y = np.arange(ROWS)
FORMS = {"x": Form((2,), X.dtype), "y": Form((), Y.dtype)}


def pieces(sizes: list[int]) -> Iterator[tuple[Any, Any]]:
    """The rows in batches of these sizes in turn, until all have come."""
    start, turn = 0, 0
    while start < ROWS:
        end = start + sizes[turn % len(sizes)]
        yield X[start:end], Y[start:end]
        start, turn = end, turn + 1


def stream(given: Any) -> Stream:
    return Stream(Batches(given), FORMS, lambda batch: dict(zip("xy", batch, strict=True)))


def ordered(seed: int = 0, shuffle: bool = True) -> Ordered:
    return Ordered(Arrays({"x": X, "y": Y}), Order(np.arange(ROWS), seed, shuffle))


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("fallline-window")]


def read_through(made: Window, epochs: int) -> list[list[int]]:
    """The targets of all rows of some epochs, in the order in which a window gives them."""
    found = []
    for epoch in range(epochs):
        seen: list[int] = []
        while not seen or made.epoch_rows is None or len(seen) < made.epoch_rows:
            at = made.place(epoch, len(seen))
            assert at is not None
            part = slice(at, at + made.ready)
            assert np.array_equal(made.arrays["x"][part], X[made.arrays["y"][part]])
            seen += made.arrays["y"][part].tolist()
        found.append(seen)
    return found


@given(half=st.integers(1, 30), sizes=st.lists(st.integers(0, 9), min_size=1).filter(any), epochs=st.integers(1, 3))
def test_batches_of_any_sizes_give_the_rows_in_their_order(half: int, sizes: list[int], epochs: int) -> None:
    made = Window(stream(lambda: pieces(sizes)), half, epochs)
    assert read_through(made, epochs) == [Y.tolist()] * epochs
    made.close()
    assert not threads()


@given(half=st.integers(1, 30), seed=st.integers(0, 5), shuffle=st.booleans())
def test_a_source_gives_the_rows_in_the_order_of_each_epoch(half: int, seed: int, shuffle: bool) -> None:
    made = Window(ordered(seed, shuffle), half, 3)
    order = Order(np.arange(ROWS), seed, shuffle)
    expected = []
    for epoch in range(3):
        start = order.place(epoch)
        expected.append(order.buffer[start : start + ROWS].tolist())
    assert read_through(made, 3) == expected
    made.close()


@given(half=st.integers(1, 30), places=st.lists(st.tuples(st.integers(0, 2), st.integers(0, ROWS - 1)), max_size=6))
@pytest.mark.parametrize("kind", ["source", "stream"])
def test_any_place_can_be_asked_for_next(kind: str, half: int, places: list[tuple[int, int]]) -> None:
    supply = ordered(shuffle=False) if kind == "source" else stream(lambda: pieces([4, 3]))
    made = Window(supply, half, 3)  # type: ignore[arg-type]
    for epoch, row in places:
        at = made.place(epoch, row)
        assert at is not None
        assert made.arrays["y"][at : at + made.ready].tolist() == Y[row : row + made.ready].tolist()
    made.close()
    assert not threads()


def test_an_iterator_is_gone_through_once_its_first_batch_included() -> None:
    batches = Batches(pieces([5]))
    assert len(batches.peek()[1]) == 5
    assert len(batches.peek()[1]) == 5  # looked at, and not used up
    made = Window(Stream(batches, FORMS, lambda batch: dict(zip("xy", batch, strict=True))), 4, 2)
    assert read_through(made, 1) == [Y.tolist()]
    with pytest.raises(DataError, match=r"gone through once, and epoch 1 begins\n  try: a function"):
        made.place(1, 0)


def test_a_used_up_iterable_is_told_apart_from_an_empty_epoch() -> None:
    once = pieces([5])

    class Again:
        def __iter__(self) -> Iterator[Any]:
            return once

    made = Window(stream(Again()), 50, 2)
    assert read_through(made, 1) == [Y.tolist()]
    with pytest.raises(DataError, match="no batch in epoch 1"):
        made.place(1, 0)


def test_a_function_gets_the_epoch_if_it_takes_one_and_so_is_set_epoch() -> None:
    asked: list[int] = []

    def make(epoch: int) -> Iterator[Any]:
        asked.append(epoch)
        return pieces([6])

    class Shuffled:
        def set_epoch(self, epoch: int) -> None:
            asked.append(10 + epoch)

        def __iter__(self) -> Iterator[Any]:
            return pieces([6])

    read_through(Window(stream(make), 5, 2), 2)
    read_through(Window(stream(Shuffled()), 5, 2), 2)
    assert asked == [0, 1, 10, 11]


def failing(after: int, error: Exception) -> Iterator[Any]:
    for number, batch in enumerate(pieces([4])):
        if number == after:
            raise error
        yield batch


@pytest.mark.parametrize("error", [OSError(5, "disk gone"), KeyError("label"), DataError("x holds NaN")])
def test_an_error_arrives_where_its_rows_are_waited_for(error: Exception) -> None:
    made = Window(stream(lambda: failing(3, error)), 4, 1)
    for row in (0, 4):
        made.place(0, row)
    with pytest.raises(DataError, match=r"batch 3 of epoch 0: .*(disk gone|label|NaN)") as told:
        made.place(0, 8)
    assert told.value.__cause__ is error
    assert isinstance(told.value, ReadingError) == (not isinstance(error, DataError))
    made.close()
    assert not threads()


def test_a_stop_takes_effect_while_rows_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_PATIENCE_SECONDS", 0.0)
    go_on, stop = threading.Event(), np.zeros(1, np.int64)

    def slow() -> Iterator[Any]:
        yield next(pieces([4]))
        stop[0] = 1
        go_on.wait()

    made = Window(stream(slow), 50, 1)
    assert made.place(0, 0, stop) is None
    made.close()  # does not wait for what does not end
    go_on.set()
    for one in threading.enumerate():
        if one.name.startswith("fallline-window"):
            one.join()


def test_closing_ends_a_generator() -> None:
    ended = []

    def watched() -> Iterator[Any]:
        try:
            yield from pieces([4])
        finally:
            ended.append(True)

    made = Window(stream(watched), 4, 1)
    made.place(0, 0)
    made.close()
    assert ended == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_by_itself() -> None:
    made = Window(ordered(shuffle=False), 4, 2)
    made.place(0, 0)
    child = os.fork()
    if child == 0:
        at = made.place(0, 4)
        os._exit(0 if at is not None and made.arrays["y"][at] == 4 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert made.place(0, 4) is not None
    made.close()


WIDE = np.arange(ROWS * 40.0).reshape(ROWS, 40)  # rows that are read by calls of the file


@given(
    rows=st.lists(st.integers(0, ROWS - 1), max_size=40),
    kind=st.sampled_from(["array", "map", "strided", "part", "copy", "slices"]),
    x=st.sampled_from([X, WIDE]),
    ascending=st.booleans(),
)
def test_rows_are_read_as_indexing_reads_them(
    rows: list[int], kind: str, x: Any, ascending: bool, tmp_path_factory: Any
) -> None:
    source, expected = x, x
    if kind in ("map", "strided", "part", "copy"):
        path = tmp_path_factory.mktemp("map") / "x.npy"
        np.save(path, np.concatenate([x[:1], x]) if kind == "part" else x)
        source = np.load(path, mmap_mode="c" if kind == "copy" else "r")
        if kind == "copy":
            source[3] = -1.0  # in memory alone
            expected = np.array(source)
        source = {"strided": source[:, ::-1], "part": source[1:]}.get(kind, source)
        expected = expected[:, ::-1] if kind == "strided" else expected
    elif kind == "slices":
        source = Slices(x)
    numbers = np.array(sorted(set(rows)) if ascending else rows, np.int64)
    into = np.empty((len(numbers), x.shape[1]))
    read_rows(source, numbers, into)
    assert np.array_equal(into, expected[numbers])


def test_a_file_that_was_replaced_is_read_as_it_was_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", WIDE)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.save(tmp_path / "new.npy", WIDE + 1)
    os.replace(tmp_path / "new.npy", tmp_path / "x.npy")
    into = np.empty((3, 40))
    read_rows(mapped, np.array([5, 2, 9]), into)
    assert np.array_equal(into, WIDE[[5, 2, 9]])
    (tmp_path / "x.npy").unlink()
    read_rows(mapped, np.array([1, 2, 3]), into)
    assert np.array_equal(into, WIDE[1:4])


class Slices:
    """A stand-in for a file of arrays: a shape, a dtype, and slices of rows."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, rows: slice) -> Any:
        assert isinstance(rows, slice)
        return self._array[rows]


def test_streams_are_told_from_arrays() -> None:
    assert all(map(is_stream, [pieces([4]), lambda: pieces([4]), range(3)]))
    assert not any(map(is_stream, [(X, Y), X, "rows.csv", {"x": X, "y": Y}, [X, Y], Arrays({"x": X}), 3]))


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(1, 10**7))
def test_a_half_is_whole_batches_and_bounded(row_bytes: int, batch: int, rows: int) -> None:
    half = half_rows(row_bytes, batch, rows)
    assert half % batch == 0 and half >= batch
    assert half == batch or (half * row_bytes <= window.HALF_BYTES and half < rows + batch and half <= window.HALF_ROWS)
