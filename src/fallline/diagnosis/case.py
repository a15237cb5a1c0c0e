"""Case: one network of a run with what the verdicts look at, each computed once, when the first verdict asks for it."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from fallline import transforms
from fallline.arrays import Array
from fallline.insight.opened import Opened, Part, Sample
from fallline.nn.model import Model
from fallline.runs.events import EpochEnded, Event

# Rows that verdicts look at, at most: enough for means to be known to 2 %.
MOST_ROWS = 2048


class Case:
    """One network of a run, and its rows.

    opened, part: as `insight.opened` found them. name: of the run, as a command line calls it.
    """

    def __init__(self, opened: Opened, part: Part) -> None:
        self.opened, self.part, self.name = opened, part, opened.name

    @property
    def events(self) -> tuple[Event, ...]:
        """The network's own history; that of the average where there is no other."""
        return (self.part.run or self.opened.run).events

    @property
    def epochs(self) -> tuple[EpochEnded, ...]:
        return tuple(event for event in self.events if isinstance(event, EpochEnded))

    @cached_property
    def rows(self) -> Sample:
        """Training rows, at most MOST_ROWS. Only verdicts that need "rows" may ask."""
        found = self.part.sample(MOST_ROWS)
        assert found is not None
        return found

    @cached_property
    def validation(self) -> Sample:
        """Validation rows, likewise. Only verdicts that need "validation" may ask."""
        found = self.part.validation(MOST_ROWS)
        assert found is not None
        return found

    @cached_property
    def model(self) -> Model:
        """The network in float64, as its run ended with it."""
        return replace(self.part.model, theta=self.part.model.theta.astype(np.float64))

    @cached_property
    def loss_and_gradient(self) -> tuple[float, Array]:
        """The loss on `rows` and its gradient, (P,), float64."""
        value, gradient = transforms.value_and_grad(self.model.objective)(self.model.theta, self.rows.x, self.rows.y)
        return float(value), np.asarray(gradient)

    def has(self, need: str) -> bool:
        """Whether what a verdict needs is there."""
        if need == "rows":
            return self.part.job is not None
        if need == "validation":
            return self.part.job is not None and self.part.job.validation is not None
        return bool(self.events)


__all__ = ["MOST_ROWS", "Case"]
