"""Random numbers follow from counter and key alone, look random, and differ between keys, layers and steps."""

import math

import numpy as np
import pytest
from scipy import stats

import fallline as fl
from fallline.errors import ArgumentError


def test_the_first_numbers_are_those_of_splitmix64():
    # Published outputs of the generator started at 0, without their lowest bit.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert fl.ops.random_bits(np.arange(3), 0).tolist() == [n >> 1 for n in published]


def test_the_numbers_are_spread_evenly_and_do_not_depend_on_each_other():
    u = fl.ops.uniform((200, 300), 7)
    assert u.dtype == np.float32
    # 60,000 draws: the mean's standard error is 0.0012, that of the variance 0.0003.
    assert abs(u.mean() - 1 / 2) < 0.005
    assert abs(u.var() - 1 / 12) < 0.0015
    counts = np.histogram(u, 16, (0, 1))[0]
    assert np.sum((counts - 3750) ** 2 / 3750) < 40  # chi square, 15 degrees of freedom: above 40 once in 2,000
    for other in (u[:, 1:], fl.ops.uniform((200, 299), 8)):
        assert abs(np.corrcoef(u[:, :299].ravel(), other.ravel())[0, 1]) < 0.02


def test_a_place_has_its_number_whatever_is_around_it():
    whole = fl.ops.uniform((4, 6), 3, np.float64)
    np.testing.assert_array_equal(fl.ops.uniform((2, 6), 3, np.float64), whole[:2])
    np.testing.assert_array_equal(fl.compile(lambda k: fl.ops.uniform((4, 6), k, np.float64))(np.int64(3)), whole)


def test_normal_numbers_are_those_of_box_and_muller():
    z = fl.ops.normal((3, 4), 5, np.float64)
    for place in range(12):
        u, v = (fl.ops.random_bits(place, fl.ops.random_bits(-n, 5)) / 2**63 for n in (1, 2))
        wanted = math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)
        assert z.ravel()[place] == pytest.approx(wanted, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_numbers_have_the_normal_law_out_to_its_tails(dtype):
    z = fl.ops.normal((400, 500), 11, dtype)
    assert z.dtype == dtype and np.isfinite(z).all()
    # 200,000 draws: Kolmogorov and Smirnov's distance is above 0.0044 once in a thousand.
    assert stats.kstest(z.ravel().astype(np.float64), "norm").statistic < 0.0044
    for limit in (2, 3, 4):
        wanted = 200_000 * stats.norm.sf(limit)
        for beyond in (np.sum(z > limit), np.sum(z < -limit)):
            assert abs(beyond - wanted) < 4 * math.sqrt(wanted)
    assert abs(stats.skew(z.ravel())) < 0.02 and abs(stats.kurtosis(z.ravel())) < 0.04


def test_draws_of_one_key_do_not_depend_on_each_other():
    shape = (200, 300)
    drawn = [fl.ops.uniform(shape, 7), fl.ops.normal(shape, 7), fl.ops.integers(shape, 7, 0, 1000),
             fl.ops.normal(shape, 8), np.roll(fl.ops.normal(shape, 7), 1), np.abs(fl.ops.normal(shape, 7))]  # fmt: skip
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(("low", "high"), [(0, 2), (-3, 7), (5, 6), (0, 1000), (2**40, 2**40 + 3)])
def test_whole_numbers_are_each_as_likely(low, high):
    drawn = fl.ops.integers((300, 200), 3, low, high)
    assert drawn.dtype == np.int64 and low <= drawn.min() and drawn.max() < high
    counts, n = np.bincount(drawn.ravel() - low, minlength=high - low), high - low
    assert len(counts) == n
    if n > 1:
        assert stats.chisquare(counts).pvalue > 1e-3


def test_whole_numbers_of_wide_ranges_fill_them():
    wide = fl.ops.integers((1000,), 1, -(2**52), 2**52)
    assert abs(np.mean(wide / 2**52)) < 0.08 and len(np.unique(wide)) == 1000 and len(np.unique(wide % 64)) == 64
    for low, high in ((0, 0), (3, 2), (0, 2**53 + 1)):
        with pytest.raises(ArgumentError, match="integers: low < high"):
            fl.ops.integers((2,), 1, low, high)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (4, 6), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_draws_are_the_plain_ones_whatever_is_around_them(shape, dtype):
    for draw in (lambda k: fl.ops.normal(shape, k, dtype), lambda k: fl.ops.integers(shape, k, -5, 90)):
        plain, compiled = draw(np.int64(9)), fl.compile(draw)(np.int64(9))
        assert compiled.dtype == plain.dtype and np.shape(compiled) == shape == np.shape(plain)
        if plain.dtype.kind == "i":
            np.testing.assert_array_equal(compiled, plain)
        else:
            np.testing.assert_allclose(compiled, plain, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=2e-6)
    if len(shape) == 2:
        np.testing.assert_array_equal(fl.ops.normal((2, 6), 3, dtype), fl.ops.normal((4, 6), 3, dtype)[:2])
