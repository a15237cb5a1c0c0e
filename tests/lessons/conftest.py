"""Every lesson, run once for all its tests, at a size small enough for them."""

from __future__ import annotations

from typing import Any

import pytest

from fallline import lessons

# Arguments that make a lesson small; the laws hold at any size.
SMALL: dict[str, dict[str, Any]] = {
    "adaptive": {"steps": 120},
    "brute-force": {"values": 5, "most": 5, "steps": 300},
    "closed-form": {"hidden": (1, 2), "rows": 30},
    "critical-points": {"per_side": 6, "steps": 2000},
    "gradient-cost": {"largest": 1000.0, "bearable": 0.05},
    "hidden-units": {"epochs": 15},
    "mini-batch": {"rows": 500, "passes": 3},
    "overfitting": {"epochs": 150, "rows": 60},
    "regression": {"epochs": 2500},
    "softmax": {"rows": 300},
    "stuck": {"rows": 200},
    "two-layers": {"bearable": 2000},
    "vanishing": {"rows": 300, "epochs": 12},
}


@pytest.fixture(scope="session")
def small() -> dict[str, dict[str, Any]]:
    return SMALL


class Results(dict[str, Any]):
    """The results of the lessons by name, each computed when it is first read."""

    def __missing__(self, name: str) -> Any:
        self[name] = lessons.run(name, **SMALL.get(name, {}))
        return self[name]


@pytest.fixture(scope="session")
def results() -> Results:
    return Results()
