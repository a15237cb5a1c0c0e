"""The results of a race: ratios, the best of several, floors."""

from __future__ import annotations

from fallline.bench.cases import BEST, CASES
from fallline.bench.results import Outcome, Timing

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


def test_a_ratio_below_its_floor_is_reported() -> None:
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
