"""The length of a training for which neither epochs nor a rule for stopping were given.

One rule for every caller: as long as the watched loss falls, up to a limit. The limit is one of steps, and of time as
it is estimated from the size of a step. No clock is read, so the same seed comes to the same bits on any machine.
"""

from dataclasses import dataclass

from fallline.jobs.stopping import NEVER, EarlyStopping
from fallline.nn.model import Model
from fallline.optim import Optimizer

# With validation rows, training may go on for long: they say when it is enough. Without them, for as many steps as a
# small network needs on a small table, since more of them fit the noise. RMSE on test rows of UCI's kin8nm, yacht and
# wine-quality-red, 50 units, batch 32, mean of 4 splits: .126, 1.50, .648 after 4,000 steps, .093, .93, .656 after
# 16,000, .090, .89, .671 after 32,000.
MOST_STEPS, ALONE_STEPS = 200_000, 16_000
MOST_SECONDS = 60.0
# Epochs are few where tables are large, and many where they are small: each has a price of its own.
FEWEST_EPOCHS, MOST_EPOCHS = 20, 2000
# The estimated time of a step: a constant, and three passes of two operations for a parameter and a row.
_STEP_SECONDS, _OPERATIONS_PER_SECOND = 5e-6, 2e10


@dataclass(frozen=True, slots=True)
class Length:
    """epochs: at most. rule: for early stopping, or None."""

    epochs: int
    rule: EarlyStopping | None


def by_default(
    model: Model, optimizer: Optimizer, batch_size: int, steps_per_epoch: int, *, validated: bool, rule: object
) -> Length:
    """The length of a training whose epochs were not given.

    rule: an EarlyStopping that was; None for the one of this file; False for none, and then all epochs are made.
    A schedule that spans the training has to know its end, so there is no ending sooner.
    """
    spans = optimizer.has_end
    steps = MOST_STEPS if validated and rule is not False and not spans else ALONE_STEPS
    reckoned = _STEP_SECONDS + 6 * model.layout.size * batch_size / _OPERATIONS_PER_SECOND
    steps = min(steps, int(MOST_SECONDS / reckoned))
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, -(-steps // steps_per_epoch)))
    if isinstance(rule, EarlyStopping):
        return Length(epochs, rule)
    if rule is False:
        return Length(epochs, None)
    # The best of all epochs is kept where validation shows which it is.
    return Length(epochs, EarlyStopping(patience=NEVER if spans else None, restore_best=validated))
