"""The best epoch so far, and when to stop waiting for a better one. Knows losses by number only."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.config import saved
from fallline.graph.op import Array
from fallline.ranges import option


@saved
@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss has not got better for a while; the validation loss where there is one.

    patience: epochs in a row without an improvement of more than min_delta before training stops.
    min_delta: in units of the loss.
    restore_best: the model ends with the parameters of its best epoch, however training ended; else with the last.
    Source: Prechelt 1998, Early stopping - but when?, in the form of Keras and scikit-learn.
    """

    patience: int = option(10, "epochs without improvement to wait", at_least=1, whole=True)
    min_delta: float = option(0.0, "improvement that counts, in units of the loss", at_least=0)
    restore_best: bool = option(True, "end with the best parameters", flag=True)

    def __post_init__(self) -> None:
        ranges.check(self)


class Best:
    """Keeps the lowest loss, its epoch, and, where it is to be restored, its theta.

    theta: the live parameters, copied at each best epoch.
    """

    def __init__(self, rule: EarlyStopping | None, theta: Array) -> None:
        self.rule = rule
        self.epoch: int | None = None
        self.loss = math.nan
        self.waited = 0
        self._live = theta
        self.theta = np.array(theta) if rule is not None and rule.restore_best else None

    def note(self, epoch: int, loss: float) -> bool:
        """Take in an epoch's loss; whether it is the best so far."""
        first = self.epoch is None or math.isnan(self.loss)
        least = self.rule.min_delta if self.rule is not None else 0.0
        first = first and not math.isnan(loss)
        self.waited = 0 if first or loss < self.loss - least else self.waited + 1
        if not (first or loss < self.loss):
            return False
        self.epoch, self.loss = epoch, loss
        if self.theta is not None:
            self.theta[...] = self._live
        return True

    @property
    def has_waited_enough(self) -> bool:
        return self.rule is not None and self.waited >= self.rule.patience

    def to_values(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "loss": self.loss if self.epoch is not None else None, "waited": self.waited}

    def restore(self, values: dict[str, Any], theta: Array | None) -> None:
        """Go on from what `to_values` returned, and the theta kept then."""
        self.epoch, self.waited = values["epoch"], values["waited"]
        self.loss = math.nan if values["loss"] is None else float(values["loss"])
        if self.theta is not None and theta is not None:
            self.theta[...] = theta
