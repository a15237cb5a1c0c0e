"""Comparisons over sets: ratios of means on common splits, differences beyond two standard errors, floors, the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.quality import tables_page
from benchmarks.quality.comparing import floors, geometric_mean, pair, pairs
from benchmarks.quality.trials import Kept, Trial, read


def kept(**values: dict[str, list[float]]) -> Kept:
    """Trials of regressions: for each set and contender the RMSE of its splits."""
    found = Kept("a machine.", "versions.")
    for table, contenders in values.items():
        for contender, errors in contenders.items():
            for split, error in enumerate(errors):
                given = (table, "regression", "test", split, contender, 80, 20, {"rmse": error}, 1.5, 0.1, "2026-01-01")
                found.add(Trial(*given))
    return found


def test_pairs_are_of_common_splits_and_sure_beyond_two_standard_errors() -> None:
    # Differences -1, -1.2, -0.8: mean -1, standard error 0.2 / sqrt(3) = 0.115. Against b the means are 2 and 2.9.
    found = kept(s={"default": [1.0, 2.0, 3.0], "HistGB": [2.0, 3.2, 3.8, 9.0], "linear": [2.0, 1.0, 3.0]})
    one = pair(found, "test", "s", "default", "HistGB")
    assert (
        one is not None and one.sure == -1 and one.ratio == pytest.approx(2 / 3) and one.difference == pytest.approx(-1)
    )
    assert pair(found, "test", "s", "default", "linear").sure == 0  # type: ignore[union-attr]
    assert (
        pair(found, "test", "s", "default", "HistGB", "auc") is None
        and pair(found, "test", "s", "default", "x") is None
    )


def test_ratios_are_put_together_by_their_geometric_mean() -> None:
    found = kept(s={"default": [1.0], "HistGB": [2.0]}, t={"default": [4.0], "HistGB": [2.0]})
    assert geometric_mean(pairs(found, "test", "default", "HistGB")) == pytest.approx(1)
    assert not pairs(found, "test", "default", "HistGB", "classification")


def test_floors_name_the_sets_that_fall_short() -> None:
    found = kept(kin8nm={"default": [0.08, 0.081], "HistGB": [0.1, 0.1], "linear": [0.01, 0.01]})
    by = {floor.what: floor for floor in floors(found, "test", "default")}
    assert not by["kin8nm, rmse"].met and by["RMSE relative to HistGB's, geometric mean"].met
    worse = by["sets worse than a linear model by more than two standard errors"]
    assert worse.found == "1 kin8nm" and not worse.met


def test_trials_come_back_from_their_file_and_make_a_page(tmp_path: Path) -> None:
    found = kept(yacht={"default": [0.5, 0.7], "HistGB": [0.4, 0.4], "linear": [9.0, 9.0], "sklearn MLP": [1.0, 1.2]})
    found.write(tmp_path / "kept.json")
    assert read(tmp_path / "kept.json") == found
    page = tables_page.page(found, "a command")
    assert "0.6000 +- 0.1000" in page and "yacht (1.50 of their error, surely)" not in page
    assert "trees win on 1 set: yacht (1.50 of their error)" in page and "1 / 0 / 0" in page
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no trials"):
        read(tmp_path / "other.json")
