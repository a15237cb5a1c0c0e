"""The order of rows: a permutation each epoch, that follows from seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.feeds.order import Order, stream


def rows_of(order: Order, epoch: int) -> list[int]:
    start = order.place(epoch)
    return order.buffer[start : start + len(order.rows)].tolist()


@given(n=st.integers(1, 40), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 5000))
def test_every_epoch_visits_every_row_once(n: int, seed: int, epoch: int) -> None:
    rows = np.arange(n) * 3 + 5
    assert sorted(rows_of(Order(rows, seed), epoch)) == rows.tolist()


@pytest.mark.parametrize("n", [1, 7, 5000, 20_000])
def test_the_order_of_an_epoch_does_not_depend_on_the_epochs_before(n: int) -> None:
    order = Order(np.arange(n), seed=3)
    in_turn = [rows_of(order, epoch) for epoch in range(6)]
    for epoch in (5, 0, 3):
        assert rows_of(Order(np.arange(n), seed=3), epoch) == in_turn[epoch]
        assert rows_of(order, epoch) == in_turn[epoch]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    order, other = Order(np.arange(100), 0), Order(np.arange(100), 1)
    seen = {tuple(rows_of(order, epoch)) for epoch in range(400)}  # several blocks of epochs
    assert len(seen) == 400
    assert tuple(rows_of(other, 0)) not in seen


def test_each_row_comes_to_each_place_about_equally_often() -> None:
    order, n, epochs = Order(np.arange(5), 11), 5, 5000
    places = np.array([rows_of(order, epoch) for epoch in range(epochs)])
    counts = np.array([[np.sum(places[:, place] == row) for row in range(n)] for place in range(n)])
    # Chi squared with 16 degrees of freedom: above 39.25 with probability 0.001.
    expected = epochs / n
    assert np.sum((counts - expected) ** 2 / expected) * (n - 1) / n < 39.25


def test_unshuffled_rows_come_as_they_stand() -> None:
    order = Order(np.array([4, 2, 9]), 0, shuffle=False)
    assert [rows_of(order, epoch) for epoch in range(3)] == [[4, 2, 9]] * 3


def test_purposes_draw_from_streams_of_their_own() -> None:
    drawn = {stream(0, purpose).integers(2**60) for purpose in ("initial parameters", "validation rows", "order")}
    assert len(drawn) == 3
