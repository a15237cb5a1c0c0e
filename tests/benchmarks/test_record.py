"""The results of a whole run come back from JSON."""

from __future__ import annotations

import pytest

from benchmarks.record import Finding, Rate, Rates, Results
from fallline.bench.cases import CASES
from fallline.bench.results import Outcome, Timing


def everything() -> Results:
    rates = Rates(2, Rate("a step", 1e11, 2e11), (Rate("a", 2e11, 3e11), Rate("b", 1e11, 4e11)), 2e10, 1 << 25)
    finding = Finding("Starts", "about", ("", "median"), (("one", "1 s"),), ("too slow",), "picture")
    ours = {"Fallline": Timing(10, [10.0], [10.0])}
    raced = Outcome(CASES[1], 2, {**ours, "PyTorch": Timing(5, [75.0], [75.0], 2)})
    raced.left_out, raced.foreign = {"JAX scan": "not installed"}, 0.25
    return Results("a command", "a machine", "versions", 12.5, [raced, Outcome(CASES[1], 1, ours)], [finding], rates)


def test_results_come_back_from_json() -> None:
    kept = everything()
    back = Results.from_json(kept.to_json())
    assert back == kept and back.threads == [2, 1] and back.rates is not None and back.rates.best.what == "a"


@pytest.mark.parametrize("text", ["[]", "{}", '{"outcomes": [{"case": "no such", "timings": {}}], "findings": []}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no results of this benchmark"):
        Results.from_json(text)
