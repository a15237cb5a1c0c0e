"""Standard errors by leaving rows out: those of a mean exactly, of others near the bootstrap's; none where rows do not
tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.assessment.uncertainty import GROUPS, LARGE, Estimate, difference, estimate, groups_of, jackknife

RNG = np.random.default_rng(0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=GROUPS))
def test_that_of_a_mean_is_the_deviation_by_the_root_of_n(values: list[float]) -> None:
    x = np.array(values)
    (mean,), without = jackknife(lambda rows: np.array([x[rows].mean()]), len(x))
    wanted, found = x.std(ddof=1) / math.sqrt(len(x)), estimate(float(mean), without[:, 0]).error
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-9) or (math.isnan(found) and wanted < 1e-6)


@pytest.mark.parametrize("n", [101, 1000, LARGE + 1])
def test_groups_leave_each_row_out_once(n: int) -> None:
    groups = groups_of(n)
    assert np.array_equal(np.sort(np.concatenate(groups)), np.arange(n))
    assert np.ptp([len(group) for group in groups]) <= 1
    assert all(np.array_equal(a, b) for a, b in zip(groups, groups_of(n), strict=True))


def test_that_of_many_rows_is_near_the_exact_one() -> None:
    x = RNG.normal(size=5000)
    _, without = jackknife(lambda rows: np.array([x[rows].mean(), x[rows].std()]), len(x))
    assert estimate(0.0, without[:, 0]).error == pytest.approx(1 / math.sqrt(5000), rel=0.25)
    assert estimate(1.0, without[:, 1]).error == pytest.approx(1 / math.sqrt(2 * 5000), rel=0.25)


def test_that_of_a_root_is_the_bootstraps() -> None:
    x = RNG.normal(size=80)
    root = lambda part: math.sqrt(np.mean(part**2))
    _, without = jackknife(lambda rows: np.array([root(x[rows])]), len(x))
    again = np.std([root(x[RNG.integers(0, 80, 80)]) for _ in range(2000)])
    assert estimate(root(x), without[:, 0]).error == pytest.approx(again, rel=0.15)


def test_rows_that_do_not_tell_have_none() -> None:
    same = np.ones(30)
    assert math.isnan(estimate(1.0, same).error)
    assert math.isnan(estimate(1.0, np.array([])).error)
    assert math.isnan(estimate(1.0, np.array([1.0, np.nan, 0.9])).error)
    assert jackknife(lambda rows: np.array([0.5]), 1)[1].shape == (0, 1)
    assert str(Estimate(0.98765, math.nan)) == "0.9877" and str(Estimate(0.98765, 0.0123)) == "0.9877 ± 0.012"


def test_models_that_answer_alike_differ_by_nothing() -> None:
    without = RNG.random(20)
    assert difference(0.5, 0.5, without, without) == Estimate(0.0, 0.0)
    assert difference(0.5, 0.5, without, without[::-1]).error > 0
