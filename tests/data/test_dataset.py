"""The split into training and test rows: a partition, always the same, classes in their shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.data.dataset import Dataset, split
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


@given(st.lists(st.integers(2, 60), min_size=2, max_size=5), SHARES)
def test_training_and_test_are_a_partition_that_leaves_every_class_in_training(sizes: list[int], share: float) -> None:
    data = of_classes(sizes)
    train, test = split(data, share)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(data)))
    assert set(data.y[train]) == set(range(len(sizes)))


@given(st.integers(2, 300), SHARES)
def test_a_split_is_always_the_same_and_of_the_size_asked(n: int, share: float) -> None:
    data = of_quantities(n)
    count = min(max(1, round(share * n)), n - 1)
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
    with pytest.raises(DataError, match="made: one row cannot be cut"):
        split(of_quantities(1))
