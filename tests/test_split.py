"""Validation rows: a share of all, of each class alike."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fallline.split import split_off

sizes_of_classes = st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) >= 2)
share = st.floats(0.001, 0.999)


@given(sizes=sizes_of_classes, share=share, seed=st.integers(0, 100))
def test_every_row_is_on_exactly_one_side(sizes: list[int], share: float, seed: int) -> None:
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    for given_codes in (None, codes):
        kept, held = split_off(len(codes), share, np.random.default_rng(seed), given_codes)
        assert sorted([*kept, *held]) == list(range(len(codes)))
        assert list(kept) == sorted(kept)
        assert list(held) == sorted(held)
        assert len(kept) >= 1


@given(n=st.integers(2, 200), share=share)
def test_the_share_is_met_to_within_one_row(n: int, share: float) -> None:
    _, held = split_off(n, share, np.random.default_rng(0))
    assert len(held) >= 1
    assert abs(len(held) - share * n) <= 1


@given(sizes=sizes_of_classes, share=share, seed=st.integers(0, 100))
def test_classes_keep_their_shares_and_one_row_to_train_on(sizes: list[int], share: float, seed: int) -> None:
    codes = np.repeat(np.arange(len(sizes)), sizes)
    kept, held = split_off(len(codes), share, np.random.default_rng(seed), codes)
    left, out = (np.bincount(codes[rows], minlength=len(sizes)) for rows in (kept, held))
    for size, k, h in zip(sizes, left, out, strict=True):
        assert k >= (size > 0)
        # One row of every class is kept and one of every class of two held out, so small classes are off by more.
        assert h <= max(1, np.ceil(share * size) + len(sizes))


def test_ten_of_each_of_two_classes_give_two_of_each() -> None:
    codes = np.array([0, 1] * 10)
    kept, held = split_off(20, 0.2, np.random.default_rng(5), codes)
    assert np.bincount(codes[held]).tolist() == [2, 2]
    assert np.bincount(codes[kept]).tolist() == [8, 8]


def test_a_class_of_one_row_is_trained_on() -> None:
    codes = np.array([0] * 9 + [1])
    for seed in range(20):
        kept, _ = split_off(10, 0.5, np.random.default_rng(seed), codes)
        assert 9 in kept
