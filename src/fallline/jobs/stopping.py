"""The best epoch so far, and early stopping. Knows losses by number only."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.arguments import shown
from fallline.config import saved
from fallline.errors import ArgumentTypeError
from fallline.graph.op import Array
from fallline.ranges import option

# Without a patience in epochs: wait for so many steps and epochs, and this share of the steps to the last progress.
WAIT_STEPS, WAIT_EPOCHS, WAIT_SHARE = 4000, 5, 0.5
# Epochs to wait for a better loss where training is never to stop, and the best epoch to be kept all the same.
NEVER = 10**9
# Without a patience, progress is a fall of the loss by at least this share of it; smaller ones do not count.
PROGRESS = 1e-3


@saved
@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss has not got better for a while; the validation loss where there is one.

    patience: epochs in a row without an improvement of more than min_delta before training stops. None waits for
        whichever is longest: 4000 steps, 5 epochs, half of the steps before the last improvement; and only what lowers
        the loss by a thousandth counts as one. So it suits a table of 50 rows, whose epochs are two steps, as well.
    min_delta: in units of the loss.
    watch: the name of a metric; its definition says whether higher is better. None for the loss, of the validation rows
        where there are some; "training_loss" for that of the training rows also then.
    restore_best: the model ends with the parameters of its best epoch, however training ended; else with the last.
    rate_factor: with it, the end of the patience multiplies the learning rate by this factor, and waiting begins anew;
        training stops where the rate is at most lowest_rate already. It needs an optimizer whose rate is a number.
    latest: of epochs that are equally good, such as by accuracy on few rows, the last is the best one; else the first.
    Source: Prechelt 1998, Early stopping - but when?, in the form of Keras and scikit-learn; patience that grows with
    the steps done as in Bengio 2012, arXiv:1206.5533, section 3.1.
    Errors: ArgumentError for a number outside its range; where training begins also for an unknown metric.
    Example: fl.fit(model, data, loss="squared_error", validation=0.25, early_stopping=EarlyStopping(patience=20))
    """

    patience: int | None = option(
        None, "epochs without improvement to wait; None: by steps", at_least=1, whole=True, optional=True
    )
    min_delta: float = option(0.0, "improvement that counts, in units of the loss", at_least=0)
    restore_best: bool = option(True, "end with the best parameters", flag=True)
    watch: str | None = None
    rate_factor: float | None = option(
        None, "factor of the learning rate instead of an end", above=0, below=1, optional=True
    )
    lowest_rate: float = option(1e-6, "learning rate at which training ends all the same", at_least=0)
    latest: bool = option(False, "the last of equally good epochs is the best", flag=True)

    def __post_init__(self) -> None:
        ranges.check(self)
        if self.watch is not None and not isinstance(self.watch, str):
            raise ArgumentTypeError(f"EarlyStopping: watch is the name of a metric, or None, got {shown(self.watch)}")


class Best:
    """Keeps the best value of the monitored number, its epoch, and, where it is to be restored, its theta.

    theta: the live parameters, copied at each best epoch. higher: whether a higher value is better.
    """

    def __init__(self, rule: EarlyStopping | None, theta: Array, higher: bool = False) -> None:
        self.rule, self._sign = rule, -1.0 if higher else 1.0
        self.epoch: int | None = None
        self.value = math.nan
        self.waited = 0  # epochs in a row that were no improvement
        self.rate_scale = 1.0  # of the learning rate: the product of the falls so far
        self.step = 0  # done
        # The value that was progress last, and when that was; noted under every rule, for a run may be resumed under
        # another one.
        self._mark, self._mark_step, self._since_mark = math.nan, 0, 0
        self._live = theta
        self.theta = np.array(theta) if rule is not None and rule.restore_best else None

    def note(self, epoch: int, value: float, step: int = 0) -> bool:
        """Take in an epoch's value, and the steps done; whether it is the best so far."""
        self.step = step
        best = self._beats(value, self.value) or (self.rule is not None and self.rule.latest and value == self.value)
        least = self.rule.min_delta if self.rule is not None else 0.0
        self.waited = 0 if self._beats(value, self.value, least) else self.waited + 1
        self._since_mark += 1
        progress = max(least, PROGRESS * abs(self._mark)) if math.isfinite(self._mark) else least
        if self._beats(value, self._mark, progress):
            self._mark, self._mark_step, self._since_mark = value, step, 0
        if best:
            self.epoch, self.value = epoch, value
            if self.theta is not None:
                self.theta[...] = self._live
        return best

    def _beats(self, value: float, before: float, least: float = 0.0) -> bool:
        """Whether a value is better than one before by more than this; any number is better than none."""
        if math.isnan(value) or math.isnan(before):
            return not math.isnan(value)
        return self._sign * value < self._sign * before - least

    @property
    def has_waited_enough(self) -> bool:
        if self.rule is None:
            return False
        if self.rule.patience is not None:
            return self.waited >= self.rule.patience
        most = max(WAIT_STEPS, WAIT_SHARE * self._mark_step)
        return self._since_mark >= WAIT_EPOCHS and self.step - self._mark_step >= most

    def lowers(self, rate: float) -> bool:
        """Whether the rule lowers the learning rate, now `rate`, instead of ending; waiting then begins anew."""
        rule = self.rule
        if rule is None or rule.rate_factor is None or rate <= rule.lowest_rate:
            return False
        self.rate_scale *= rule.rate_factor
        self.waited = self._since_mark = 0
        self._mark_step = self.step
        return True

    @property
    def is_falling(self) -> bool:
        """Whether the last progress was made in the last tenth of the steps."""
        return self.step > 0 and self._mark_step >= 0.9 * self.step

    def to_values(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "loss": self.value if self.epoch is not None else None,
            "waited": self.waited,
            "mark": self._mark if math.isfinite(self._mark) else None,
            "mark_step": self._mark_step,
            "since_mark": self._since_mark,
            "step": self.step,
            "rate_scale": self.rate_scale,
        }

    def restore(self, values: dict[str, Any], theta: Array | None) -> None:
        """Go on from the values that `to_values` returned, and the theta kept then.

        A run that kept no best theta knows none: it is looked for from here on.
        """
        mark = values.get("mark", values["loss"])
        self._mark = math.nan if mark is None else float(mark)
        self._mark_step, self.step = values.get("mark_step", 0), values.get("step", 0)
        self._since_mark = values.get("since_mark", 0)
        self.rate_scale = values.get("rate_scale", 1.0)
        if self.theta is not None and theta is None:
            return
        self.epoch, self.waited = values["epoch"], values["waited"]
        self.value = math.nan if values["loss"] is None else float(values["loss"])
        if self.theta is not None and theta is not None:
            self.theta[...] = theta
