"""The held-out split: a partition, always the same, classes in their shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.data.dataset import Dataset, shares, split
from fallline.data.sets import load
from fallline.errors import ArgumentError, DataError


def of_classes(sizes: list[int]) -> Dataset:
    y = np.repeat(np.arange(len(sizes)), sizes)
    y = np.random.default_rng(7).permutation(y)
    x = np.arange(len(y), dtype=np.float64)[:, None]
    return Dataset("made", x, y, ("row",), "y", "classification", tuple(map(str, range(len(sizes)))))


def of_quantities(n: int) -> Dataset:
    return Dataset("made", np.zeros((n, 1)), np.arange(n, dtype=np.float64), ("row",), "y", "regression")


SHARES = st.floats(0.01, 0.9)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), SHARES)
def test_shares_hold_out_the_count_and_leave_each_class_a_row(sizes: list[int], share: float) -> None:
    count = max(1, round(share * sum(sizes)))
    held = shares(np.array(sizes), count)
    room = [size - 1 for size in sizes]
    assert all(0 <= k <= r for k, r in zip(held, room))
    two_or_more = sum(size > 1 for size in sizes)
    assert sum(held) == max(min(count, sum(room)), two_or_more)
    if count >= two_or_more:
        assert all(k >= 1 for k, size in zip(held, sizes) if size > 1)


@given(st.lists(st.integers(2, 60), min_size=2, max_size=5), SHARES)
def test_training_and_test_are_a_partition_with_every_class_in_both(sizes: list[int], share: float) -> None:
    data = of_classes(sizes)
    train, test = split(data, share)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(data)))
    assert set(data.y[train]) == set(data.y[test]) == set(range(len(sizes)))


@given(st.integers(2, 300), SHARES)
def test_a_split_is_always_the_same_and_of_the_size_asked(n: int, share: float) -> None:
    data = of_quantities(n)
    count = max(1, round(share * n))
    if n - count < 1:
        return
    train, test = split(data, share)
    assert len(test) == count and len(train) == n - count
    again = split(data, share)
    assert np.array_equal(train, again[0]) and np.array_equal(test, again[1])


def test_digits_keep_their_classes_in_their_shares() -> None:
    data = load("digits")
    train, test = split(data)
    assert len(test) == 359
    whole, held = np.bincount(data.y), np.bincount(data.y[test])
    assert np.abs(held - 0.2 * whole).max() <= 1
    assert len(train) + len(test) == len(data)


def test_no_share_holds_nothing_out() -> None:
    train, test = split(of_quantities(5), 0)
    assert len(train) == 5 and len(test) == 0


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ArgumentError, match="0 <= test < 1"):
        split(of_quantities(5), share)


def test_one_row_cannot_be_cut_in_two() -> None:
    with pytest.raises(DataError, match="made: 1 row cannot be cut"):
        split(of_quantities(1))
