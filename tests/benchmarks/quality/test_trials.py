"""A trial measures a contender on a split; all peers take texts, gaps and levels that they have not seen."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality.contenders import LINEAR, TREES
from benchmarks.quality.raw_tables import RawTable
from benchmarks.quality.trials import trial


def mixed(task: str) -> RawTable:
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=60), rng.choice(np.array(["red", "blue", None], object), 60)
    y = size + 2 * (colour == "red")
    size[::7], colour[3] = np.nan, "a level of one row"
    return RawTable(
        "mixed", {"colour": colour, "size": size}, y if task == "regression" else (y > 0.5).astype(str), task
    )


@pytest.mark.parametrize("contender", [LINEAR, TREES])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_peers_take_texts_and_gaps(contender: str, task: str) -> None:
    found = [trial(mixed(task), number, "test", contender) for number in range(2)]
    name = "rmse" if task == "regression" else "error"
    spread = float(np.std(mixed(task).y)) if task == "regression" else 0.5
    assert all(0 <= one.scores[name] < spread and one.rows == 12 and one.trained == 48 for one in found)


def test_a_trial_has_the_same_measures_when_it_is_repeated() -> None:
    first, again = (trial(mixed("classification"), 1, "validation", LINEAR) for _ in range(2))
    assert first.scores == again.scores and first.key == ("mixed", "validation", 1, LINEAR)
