"""Functions that cut a run into calls of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import pytest

from fallline.training import pace, stepper


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
