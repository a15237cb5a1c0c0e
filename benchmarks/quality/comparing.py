"""Contenders compared over the sets that both were measured on, split by split: ratios, wins and losses, floors.

Knows trials and nothing of how they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.contenders import LINEAR, MLP, TREES
from benchmarks.quality.trials import Kept, Trial

# The measure by which sets of a task are compared; all of them count less as better, but AUC.
ERROR = {"classification": "error", "regression": "rmse"}
# A difference of more standard errors than this is one that counts.
SURE = 2.0

# Ceilings of the default preset, by set and measure.
CEILINGS = {
    ("adult", "error"): 1 - 0.858,
    ("adult", "auc"): 0.911,
    ("kin8nm", "rmse"): 0.070,
    ("energy", "rmse"): 0.50,
    ("yacht", "rmse"): 0.60,
}
MOST_REGRESSION, MOST_REGRESSION_MEDIAN, MOST_CLASSIFICATION, MOST_LOG_LOSS, MOST_MLP_LOSSES = 0.85, 1.0, 1.0, 1.0, 1


def mean(trials: Sequence[Trial], measure: str) -> float:
    return float(np.mean([one.scores[measure] for one in trials])) if trials else float("nan")


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of some values; NaN for a single one."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contenders on the splits of a set that both were measured on. ratio: of the mean measures, first to second.
    sure: the first is better (-1) or worse (1) by more than SURE standard errors of the differences, or neither (0).
    """

    table: str
    ratio: float
    difference: float
    sure: int


def pair(kept: Kept, part: str, table: str, first: str, second: str, measure: str = "") -> Pair | None:
    """The comparison of two contenders on a set by its error, or another measure; None without a common split."""
    mine, theirs = ({one.split: one for one in kept.of(part, table, who)} for who in (first, second))
    common = sorted(mine.keys() & theirs.keys())
    if not common or (measure and measure not in mine[common[0]].scores):
        return None
    name = measure or ERROR[mine[common[0]].task]
    a, b = (np.array([of[split].scores[name] for split in common]) for of in (mine, theirs))
    # No error at all is taken for half a row out of all, so that ratios stay finite.
    least = 0.5 / sum(mine[split].rows for split in common) if name == "error" else 1e-12
    apart = float(np.mean(a - b))
    error = standard_error([*(a - b)])
    sure = int(np.sign(apart)) if abs(apart) > SURE * error else 0  # nothing is sure of a single split: NaN
    return Pair(table, max(a.mean(), least) / max(b.mean(), least), apart, sure)


def pairs(kept: Kept, part: str, first: str, second: str, task: str = "", measure: str = "") -> list[Pair]:
    """The comparisons on all sets of a task, or on all."""
    found = []
    for table in kept.tables(part):
        tasks = {one.task for one in kept.of(part, table, first)}
        if task in ("", *tasks) and (one := pair(kept, part, table, first, second, measure)):
            found.append(one)
    return found


def geometric_mean(found: Sequence[Pair]) -> float:
    return float(np.exp(np.mean([np.log(one.ratio) for one in found]))) if found else float("nan")


def median(found: Sequence[Pair]) -> float:
    return float(np.median([one.ratio for one in found])) if found else float("nan")


@dataclass(frozen=True, slots=True)
class Floor:
    """A floor of the default preset: what is asked, what was found, and whether it is met."""

    what: str
    asked: str
    found: str
    met: bool


def floors(kept: Kept, part: str, ours: str) -> list[Floor]:
    """All floors that the trials say something about."""
    made = []
    for (table, measure), limit in CEILINGS.items():
        if trials := kept.of(part, table, ours):
            value, more = mean(trials, measure), measure == "auc"
            what = f"{table}, {measure.replace('_', '-')}"
            made.append(Floor(what, f"{'>=' if more else '<='} {limit:.3f}", f"{value:.4f}",
                              value >= limit if more else value <= limit))  # fmt: skip
    for what, task, measure, limit, statistic in (
        ("RMSE relative to HistGB's, geometric mean", "regression", "", MOST_REGRESSION, geometric_mean),
        ("RMSE relative to HistGB's, median", "regression", "", MOST_REGRESSION_MEDIAN, median),
        ("error relative to HistGB's, geometric mean", "classification", "", MOST_CLASSIFICATION, geometric_mean),
        ("log-loss relative to HistGB's, geometric mean", "classification", "log_loss", MOST_LOG_LOSS, geometric_mean),
    ):
        if found := pairs(kept, part, ours, TREES, task, measure):
            value = statistic(found)
            made.append(Floor(what, f"<= {limit:g}", f"{value:.3f} over {len(found)} sets", value <= limit))
    if found := pairs(kept, part, ours, LINEAR):
        worse = [one.table for one in found if one.sure > 0]
        made.append(Floor("sets worse than a linear model by more than two standard errors", "0",
                          " ".join([str(len(worse)), *worse]), not worse))  # fmt: skip
    if found := pairs(kept, part, ours, MLP):
        worse = [one.table for one in found if one.ratio > 1]
        made.append(Floor("sets worse than scikit-learn's MLP", f"<= {MOST_MLP_LOSSES}",
                          " ".join([str(len(worse)), *worse]), len(worse) <= MOST_MLP_LOSSES))  # fmt: skip
    return made
