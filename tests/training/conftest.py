"""Small data, and functions that cut a run into calls of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from fallline.training import pace, stepper

Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def labelled() -> Data:
    """53 rows, 3 features, 3 classes: a prime number of rows, so that every batch size leaves a rest."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((53, 3))
    return x, np.argmax(x @ rng.standard_normal((3, 3)) + 0.3 * rng.standard_normal((53, 3)), axis=1)


@pytest.fixture(scope="session")
def numbers() -> Data:
    """47 rows, 4 features, one number to predict."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((47, 4))
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2]


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """cut(sizes, copy_every_call): machine calls of these sizes in turn, and a copy of the state at each or at none."""

    def apply(sizes: Sequence[int], copy_every_call: bool = False) -> None:
        class Cut(pace.Pace):
            def __init__(self) -> None:
                self._sizes = cycle(sizes)
                self.steps = next(self._sizes)

            def note(self, steps: int, seconds: float) -> None:
                self.steps = next(self._sizes)

        monkeypatch.setattr(stepper, "Pace", Cut)
        monkeypatch.setattr(stepper, "_COPY_SECONDS", -1.0 if copy_every_call else float("inf"))
        monkeypatch.setattr(stepper, "_COPY_SHARE", float("inf"))

    return apply


def without_clock(history: dict[str, Any]) -> dict[str, list[float]]:
    """A history's columns that follow from the arithmetic alone."""
    return {name: column.tolist() for name, column in history.items() if name not in ("seconds", "steps_per_second")}


@pytest.fixture
def arithmetic() -> Callable[[dict[str, Any]], dict[str, list[float]]]:
    return without_clock
