"""The reader of a training's events for an estimator: curves, scores, the lines of `verbose`, and the caller's own.

Knows events, and nothing of estimators or of how a training is made.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fallline.runs.events import EpochEnded, Event, TrainingStarted

# Columns of a history that count or that a clock makes.
LEFT_OUT = ("epoch", "step", "seconds", "steps_per_second")


@dataclass
class Curves:
    """The numbers of one call of fit, epoch by epoch.

    verbose: print a line for each epoch, as scikit-learn does. events: the caller's function of each event, which stops
    the training where it returns True. offset: a constant that is added to the loss.
    loss: of the training rows. scores: of the validation rows, by which training stops, the higher the better.
    """

    verbose: bool = False
    events: Callable[[Event], Any] | None = None
    offset: float = 0.0
    loss: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    _watches: str = "loss"
    _sign: float = 1.0
    _rate: float = math.nan

    def see(self, event: Event) -> bool:
        """Take in an event; whether the caller's function asks to stop."""
        if isinstance(event, TrainingStarted):
            self._watches, self._sign = event.watches, 1.0 if event.higher_is_better else -1.0
        if isinstance(event, EpochEnded):
            self.loss.append(event.loss + self.offset)
            if self.has_scores:
                self.scores.append(self._sign * float(event.value(self._watches)))
            if self.verbose:
                self._tell(event)
        return self.events is not None and self.events(event) is True

    @property
    def has_scores(self) -> bool:
        """Whether training stops by validation rows."""
        return self._watches not in ("", "loss")

    def _tell(self, event: EpochEnded) -> None:
        if event.learning_rate < self._rate:
            print(f"Setting learning rate to {event.learning_rate:f}")
        self._rate = event.learning_rate
        print(f"Iteration {len(self.loss)}, loss = {self.loss[-1]:.8f}")
        if self.has_scores:
            print(f"Validation score: {self.scores[-1]:f}")

    def tell_end(self, tol: float, patience: float) -> None:
        """The line that says why training stopped before its last epoch."""
        if self.verbose:
            watched = "Validation score" if self.has_scores else "Training loss"
            print(f"{watched} did not improve more than tol={tol:f} for {patience:g} consecutive epochs. Stopping.")


def columns_of(history: Mapping[str, Any]) -> dict[str, list[float]]:
    """The columns of a history as lists, but for those that count or that a clock makes."""
    return {name: [float(value) for value in column] for name, column in history.items() if name not in LEFT_OUT}
