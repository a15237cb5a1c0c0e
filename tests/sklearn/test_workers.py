"""Lanes inside joblib workers: an estimator takes its worker's share, and all cores elsewhere."""

from __future__ import annotations

from typing import Any

import joblib
import pytest

from fallline.sklearn.workers import cores, lanes_for, worker_share


def inner() -> list[int | None]:
    return joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(worker_share)() for _ in range(2))


def test_outside_of_workers_there_is_no_limit() -> None:
    assert lanes_for(None) is None
    assert joblib.Parallel(n_jobs=1)(joblib.delayed(worker_share)() for _ in range(2)) == [None, None]


def test_a_number_of_jobs_is_taken_at_its_word() -> None:
    assert (lanes_for(1), lanes_for(3), lanes_for(-1), lanes_for(-(10**6))) == (1, 3, cores(), 1)


@pytest.mark.parametrize("jobs", [0, "all", 1.5])
def test_jobs_are_whole_numbers(jobs: Any) -> None:
    with pytest.raises(ValueError, match="n_jobs is a whole number other than 0"):
        lanes_for(jobs)


@pytest.mark.parametrize("backend", ["threading"])
def test_a_worker_has_one_lane(backend: str) -> None:
    assert joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(worker_share)() for _ in range(2)) == [1, 1]


def test_a_worker_process_has_its_share() -> None:
    with joblib.parallel_config("loky", inner_max_num_threads=3):
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(worker_share)() for _ in range(2)) == [3, 3]
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(inner)() for _ in range(1)) in ([[1, 1]], [[None, None]])
