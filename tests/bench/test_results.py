"""What a run found: ratios, the best of several, floors, and the same from JSON."""

from __future__ import annotations

import pytest

from fallline.bench.cases import BEST, CASES
from fallline.bench.results import Finding, Outcome, Rate, Rates, Results, Timing

CASE = CASES[1]  # floors on two threads: PyTorch 20, the best of the others 1.7


def outcome(threads: int = 1, **seconds: list[float]) -> Outcome:
    """Ten steps of ours and five of the others a round."""
    names = {"ours": "Fallline", "torch": "PyTorch", "scan": "JAX scan", "compiled": "torch.compile"}
    timings = {names[name]: Timing(10 if name == "ours" else 5, took, took, threads) for name, took in seconds.items()}
    return Outcome(CASE, threads, timings)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # Steps of ours 1, 2, 4 and theirs 20, 30, 60: ratios 20, 15, 15. The ratio of medians would be the same 15,
    # the ratio of totals 110/7 = 15.7.
    raced = outcome(ours=[10.0, 20.0, 40.0], torch=[100.0, 150.0, 300.0])
    assert raced.ratio("PyTorch") == 15
    assert raced.timings["PyTorch"].step == 30
    assert raced.ratio("JAX scan") is None


def test_a_ratio_below_its_floor_is_told() -> None:
    assert outcome(ours=[10.0], torch=[75.0]).shortfalls == []
    assert outcome(ours=[10.0], torch=[74.0]).shortfalls == [
        "30-64-64-2 batch 32, one thread: 14.80 times PyTorch, floor 15"
    ]


def test_the_best_of_the_others_is_who_has_the_shortest_step() -> None:
    raced = outcome(2, ours=[10.0], scan=[8.0], compiled=[9.0], torch=[1.0])
    assert raced.best_other == "JAX scan" and raced.ratio(BEST) == 1.6
    told = {verdict.about: (verdict.peer, verdict.floor, verdict.met) for verdict in raced.verdicts}
    assert told == {"PyTorch": ("PyTorch", 20, False), BEST: ("JAX scan", 1.7, False)}
    assert "1.60 times JAX scan, floor 1.7" in raced.shortfalls[1]


def test_floors_nobody_was_measured_for_are_not_judged() -> None:
    raced = outcome(2, ours=[10.0])
    assert raced.best_other is None and list(raced.verdicts) == []


def everything() -> Results:
    rates = Rates(2, Rate("a step", 1e11, 2e11), (Rate("a", 2e11, 3e11), Rate("b", 1e11, 4e11)), 2e10, 1 << 25)
    finding = Finding("Starts", "about", ("", "median"), (("one", "1 s"),), ("too slow",), "picture")
    raced = outcome(2, ours=[10.0], torch=[75.0])
    raced.left_out, raced.foreign = {"JAX scan": "not installed"}, 0.25
    return Results("a command", "a machine", "versions", 12.5, [raced, outcome(ours=[10.0])], [finding], rates)


def test_results_come_back_from_json() -> None:
    kept = everything()
    back = Results.from_json(kept.to_json())
    assert back == kept and back.threads == [2, 1] and back.rates is not None and back.rates.best.what == "a"


@pytest.mark.parametrize("text", ["[]", "{}", '{"outcomes": [{"case": "no such", "timings": {}}], "findings": []}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no results of this benchmark"):
        Results.from_json(text)
