"""The report's texts: the verdicts at a glance, limits, the page, and the README's block."""

from __future__ import annotations

import pytest

from benchmarks import results_page
from benchmarks.limits import least, peak
from benchmarks.record import Finding, Rate, Rates, Results
from fallline.bench.cases import CASES, Case
from fallline.bench.results import Outcome, Timing
from fallline.bench.tables import race_table

README = "before\n<!-- benchmarks: made by a command -->\nold\n<!-- /benchmarks -->\nafter\n"


def results(ours: float = 10.0, torch: float = 75.0, threads: int = 1, rates: Rates | None = None) -> Results:
    """Ten steps of ours in so many seconds, and five of PyTorch's."""
    timings = {"PyTorch": Timing(5, [torch], [torch]), "Fallline": Timing(10, [ours], [0.95 * ours])}
    raced = Outcome(CASES[1], threads, timings, {"JAX scan": "not installed"}, foreign=0.0)
    return Results("a command", "a machine", "versions", 60.0, [raced], rates=rates)


def test_a_race_shows_the_fastest_first_with_ratio_and_verdict() -> None:
    text = race_table(results(torch=70.0).outcomes[0])
    ours, theirs = text.splitlines()[2:4]
    assert ours.startswith("| Fallline") and theirs.startswith("| PyTorch")
    assert "14.00" in theirs and "SHORT" in theirs and "SHORT" not in ours
    assert "Left out: JAX scan: not installed." in text and "Something else" not in text


def test_races_on_a_machine_that_was_not_quiet_are_marked() -> None:
    found = results()
    found.outcomes[0].foreign = 0.31
    assert "Something else took 31% of the processors" in race_table(found.outcomes[0])
    assert "31%" in results_page.reading(found)


def test_a_glance_has_floor_and_verdict_and_the_readme_only_the_ratio() -> None:
    assert "15.0x (floor 15)" in results_page.glance(results().outcomes) and "met" in results_page.glance(
        results().outcomes
    )
    short = results(torch=70.0)
    assert "14.0x (floor 15)" in results_page.glance(short.outcomes) and "SHORT" in results_page.glance(short.outcomes)
    text = results_page.filled(README, short)
    assert text.startswith("before\n<!-- benchmarks: made by a command -->\nOn one thread:\n\n| network")
    assert "14.0x" in text and "floor 15" not in text and "old" not in text and "a machine" in text
    assert text.endswith("<!-- /benchmarks -->\nafter\n") and results_page.filled(text, short) == text


def test_an_older_version_that_was_raced_has_a_column_and_no_floor() -> None:
    found = results()
    assert "JAX 0.4.31" not in results_page.glance(found.outcomes)
    found.outcomes[0].timings["JAX 0.4.31 scan"] = Timing(10, [20.0], [20.0])
    head, _, row = results_page.glance(found.outcomes).splitlines()
    assert "JAX 0.4.31 scan" in head and "2.00x" in row and "2.00x (floor" not in row


def test_a_readme_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for benchmarks"):
        results_page.filled("# A project", results())


# A product of 1e9 operations a second, in one round 2e9; memory of 1e6 bytes a second and a cache of 1 MiB.
RATES = Rates(1, Rate(CASES[1].name, 0.8e9, 0.9e9), (Rate("product", 1e9, 2e9),), 1e6, 1 << 20)


def test_the_least_a_step_can_take_by_hand() -> None:
    # 512-512 batch 1: products 2 * 512^2 forward and as much for the gradient = 2^20 operations. theta 512 * 513
    # numbers, 4 bytes each, times 4 arrays are 4.2e6 bytes, more than the cache: six arrays at 1e6 bytes a second.
    found = Results("", "", rates=RATES)
    bound = least(Case((512, 512), 1, 1), found)
    assert peak(found) == 2e9 and bound.products == pytest.approx(2**20 / 2e9)
    assert bound.memory == pytest.approx(6 * 4 * 512 * 513 / 1e6) and bound.step == bound.memory
    assert least(Case((512, 512), 1, 1, optimizer="gradient_descent"), found).memory == 0
    assert least(Case((8, 8), 1, 1), found).memory == 0


def test_no_step_can_be_quicker_than_the_limit() -> None:
    # Ours does 10 steps of 1056768 operations in 1 ms: 1.06e10 a second, more than any product was seen to do.
    found = results(ours=1e-3, torch=1e-2, rates=RATES)
    assert peak(found) == pytest.approx(10 * CASES[1].flops / 1e-3)
    assert least(CASES[1], found).step == pytest.approx(1e-4) and "100%" in results_page.limits_table(
        found.outcomes, found
    )


def test_a_missed_floor_is_held_against_the_limit() -> None:
    # Ours is the limit itself, 1e-4 s a step, and PyTorch's 10 times that: the floor of 15 is beyond the machine.
    (told, share) = results_page.shortfalls(results(ours=1e-3, torch=5e-3, rates=RATES))
    assert "10.00 times PyTorch, floor 15" in told and "allow 10.0x at most, less than the floor" in told
    assert "80% of the rate of product, floor 85%" in share
    # Where the limit is far away, it explains nothing.
    (told, _) = results_page.shortfalls(results(ours=10.0, torch=70.0, rates=RATES))
    assert told.endswith("floor 15; by the quickest turn of each 14.00")


def test_a_missed_floor_is_reported_by_the_quickest_turns_too_and_how_many_cores_there_were() -> None:
    # Ten steps of ours take 2 s, and 1 in the quickest turn; five of PyTorch's 10 and 9. Of 2 threads 1.5 were at work.
    found = results()
    ours, torch = (found.outcomes[0].timings[name] for name in ("Fallline", "PyTorch"))
    ours.seconds, ours.cpu, ours.threads = [1.0, 2.0, 3.0], [3.0, 3.0, 3.0], 2
    torch.seconds, torch.cpu = [10.0, 9.0, 10.0], [10.0, 9.0, 10.0]
    (told,) = results_page.shortfalls(found)
    assert "9.00 times PyTorch" in told
    assert told.endswith("by the quickest turn of each 18.00, and our 2 threads had 1.50 cores")


def test_the_page_says_where_it_was_made_what_was_found_and_what_falls_short() -> None:
    found = results(rates=RATES)
    found.findings = [Finding("Memory", "how", ("", "peak"), (("one", "2 MiB"),), ("too much",), "a picture")]
    text = results_page.page(found)
    assert "a machine\n\nversions\n\n##" in text and "`a command` in 1.0 minutes" in text
    assert "## Memory\n\nhow\n\n|" in text and "```text\na picture\n```" in text and "- too much" in text
    assert "Every floor is met." in results_page.page(results()) and "Nothing." in results_page.page(results())


def test_what_was_not_measured_leaves_no_trace() -> None:
    text = results_page.page(Results("a command", "a machine"))
    assert "How near" not in text and "Nothing." in text


def test_the_reading_counts_who_is_first() -> None:
    assert "Fallline has the shortest step on 1 of 1 networks" in results_page.reading(results())
    assert "Fallline has the shortest step on 0 of 1 networks" in results_page.reading(results(torch=1.0))
