"""Standard errors of any number that is computed from rows, by leaving rows out: the delete-a-group jackknife."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline.graph.op import Array

# Rows are left out one at a time up to so many, in so many groups beyond, and in fewer where each turn takes long.
GROUPS, LARGE, GROUPS_OF_LARGE = 100, 50_000, 20
SEED = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number from a sample of rows. error: its standard error; NaN where the rows do not tell.

    They do not where there is one row, or where the number is the same whichever rows are left out, as an accuracy of
    100 % is: that no row was wrong says little of how rare wrong rows are.
    """

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g}" if math.isnan(self.error) else f"{self.value:.4g} ± {self.error:.2g}"


def groups_of(n: int) -> list[Array]:
    """The rows to leave out together: each row alone where there are few, else groups by chance, always the same."""
    if n <= GROUPS:
        return [np.array([row]) for row in range(n)]
    count = GROUPS if n <= LARGE else GROUPS_OF_LARGE
    return np.array_split(np.random.default_rng(SEED).permutation(n), count)


def jackknife(statistic: Callable[[Array], Array], n: int) -> tuple[Array, Array]:
    """The values of statistics of all n rows, and of those rows without each group, (groups, k).

    statistic: from the places of rows, (m,), to (k,) numbers.
    """
    every = np.arange(n)
    left = [np.delete(every, group) for group in groups_of(n)] if n > 1 else []
    values = statistic(every)
    return values, np.array([statistic(rows) for rows in left]).reshape(len(left), len(values))


def estimate(value: float, without: Array) -> Estimate:
    """A value with its standard error: sqrt((G - 1) / G sum_g (v_g - mean v)^2), v_g the value without group g.

    For a mean over n rows in n groups it is the sample's deviation by sqrt(n), exactly.
    Source: Tukey 1958; Efron & Stein 1981, The jackknife estimate of variance; groups: Shao & Wu 1989.
    """
    g = len(without)
    if g < 2 or not np.isfinite(without).all() or not math.isfinite(value):
        return Estimate(value, math.nan)
    spread = float(np.sum(np.square(without - np.mean(without))))
    return Estimate(value, math.sqrt((g - 1) / g * spread) if np.ptp(without) > 1e-12 * abs(value) else math.nan)


def difference(a: float, b: float, without_a: Array, without_b: Array) -> Estimate:
    """a - b on the same rows, with the standard error of the pairs; 0 where both are the same on every row."""
    found = estimate(a - b, without_a - without_b)
    is_same = len(without_a) > 1 and a == b and bool(np.all(without_a == without_b))
    return Estimate(0.0, 0.0) if is_same else found
