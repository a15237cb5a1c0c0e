"""Processes of competitors: kept to processors and to a number of threads, commanded over pipes."""

from __future__ import annotations

import os
import time

import pytest

from fallline.bench import field
from fallline.bench.cases import CASES
from fallline.bench.field import Field, Process, WorkerFailed


def test_the_idlest_processors_are_some_that_we_may_use() -> None:
    found = field.idlest(1, 0.01)
    assert set(found) <= set(field.usable()) and len(found) in (0, 1)


def test_all_processors_need_no_choice() -> None:
    assert field.idlest(len(field.usable())) == []


def test_the_idlest_are_those_with_the_most_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([{0: (0.0, 0.0), 1: (5.0, 0.0), 2: (0.0, 0.0)}, {0: (1.0, 0.0), 1: (5.5, 0.0), 2: (2.0, 0.0)}])
    monkeypatch.setattr(field, "usable", lambda: [0, 1, 2])
    monkeypatch.setattr(field, "clocks", lambda: next(ticks))
    assert field.idlest(2, 0.0) == [0, 2]


def test_pools_are_reported_the_threads_and_one_thread_is_one_for_jax_too() -> None:
    assert {field.environment(3)[name] for name in field.POOLS} == {"3"}
    assert "intra_op_parallelism_threads=1" in field.environment(1)["XLA_FLAGS"]
    assert field.environment(3).get("XLA_FLAGS") == os.environ.get("XLA_FLAGS")


def test_a_workers_error_and_its_end_come_back_and_another_process_takes_its_place() -> None:
    with Field(1) as processes:
        worker = processes.process("sklearn fit", 1)
        assert processes.process("sklearn fit", 1) is worker
        with pytest.raises(WorkerFailed, match="StopIteration"):
            worker.ask("check", case="no such case", steps=1)
        worker.process.kill()
        with pytest.raises(WorkerFailed, match="ended"):
            worker.ask("check", case=CASES[0].name, steps=1)
        assert processes.process("sklearn fit", 1) is not worker


@pytest.mark.skipif(not field.clocks(), reason="reads /proc/stat")
def test_what_the_race_itself_works_is_not_somebody_elses() -> None:
    processes = Field(len(field.usable()) or 1)
    before, clock = processes.elsewhere(), sum(work for _, work in field.clocks().values())
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    after, later = processes.elsewhere(), sum(work for _, work in field.clocks().values())
    assert before is not None and after is not None
    assert after - before <= later - clock - 0.2 + 0.05


def test_a_process_counts_its_own_seconds() -> None:
    with Process("sklearn fit") as worker:
        with pytest.raises(WorkerFailed):
            worker.ask("check", case="no such case", steps=1)  # it has started by then
        assert worker.seconds >= 0
