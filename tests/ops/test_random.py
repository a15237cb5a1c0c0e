"""Random numbers follow from counter and key alone, look random, and differ between keys, layers and steps."""

import numpy as np

import fallline as fl


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
