"""Trend: how the training loss moved over the last epochs of a run, with its noise. Knows numbers alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The last epochs that a trend is taken over: this share of all, and so many at least.
SHARE, LEAST = 0.25, 5
# A slope of so many standard errors is no chance.
SIGNIFICANT = 3.0
# Where no scatter is known, a fall by this share of the loss counts: means over an epoch's rows scatter by less.
FEW = 0.03


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through the losses of the last epochs.

    epochs: so many. fall: of the loss an epoch, negative where it rises. error: the standard error of `fall`, from the
    scatter about the line; infinite where there are too few epochs to know. level: the mean loss. scatter: the standard
    deviation about the line.
    """

    epochs: int
    fall: float
    error: float
    level: float
    scatter: float

    @property
    def is_falling(self) -> bool:
        """Whether the loss falls by more than chance; of too few epochs to know, whether it falls by a good deal."""
        if math.isinf(self.error):
            return self.whole_fall > max(FEW * abs(self.level), 3 * self.scatter)
        return self.fall > SIGNIFICANT * self.error

    @property
    def whole_fall(self) -> float:
        """The fall over all its epochs."""
        return self.fall * max(self.epochs - 1, 1)


def trend(losses: Sequence[float], epochs: int | None = None) -> Trend | None:
    """The trend of the last `epochs` losses; None: of a quarter of them. None where fewer than two are finite."""
    count = max(LEAST, round(SHARE * len(losses))) if epochs is None else epochs
    last = np.array([loss for loss in losses[-count:] if math.isfinite(loss)])
    if len(last) < 2:
        return None
    t = np.arange(len(last)) - (len(last) - 1) / 2
    slope = float(t @ last / (t @ t))
    rest = last - last.mean() - slope * t
    if len(last) < 4:
        return Trend(len(last), -slope, math.inf, float(last.mean()), float(rest.std()))
    scatter = float(np.sqrt(rest @ rest / (len(last) - 2)))
    # Losses of neighbouring epochs are alike, so that fewer of them than there are tell something new.
    kin = float(rest[1:] @ rest[:-1] / max(rest @ rest, 1e-300))
    kin = min(max(kin, 0.0), 0.9)
    error = scatter / math.sqrt(float(t @ t)) * math.sqrt((1 + kin) / (1 - kin))
    return Trend(len(last), -slope, error, float(last.mean()), scatter)


__all__ = ["Trend", "trend"]
