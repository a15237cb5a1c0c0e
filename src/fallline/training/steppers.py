"""The stepper of a training, chosen by its job: it makes the steps between two events.

Training, its events, checkpoints and Ctrl-C know this protocol alone.
"""

from collections.abc import Mapping
from typing import Protocol

from fallline.graph.op import Array
from fallline.jobs.job import Job
from fallline.jobs.training_state import put_into
from fallline.optim.minimiser import Minimiser
from fallline.steps.recorder import Values
from fallline.training.feed import Feed, feed_of, gathered_feed
from fallline.training.minimise import MinimiserStepper
from fallline.training.stepper import BatchStepper, Setback


class Stepper(Protocol):
    """The state of a run, and the steps that move it.

    state: arrays by name, changed in place; a checkpoint holds them. inputs: everything else that a step reads.
    theta: the one of that name. feed: its rows. seconds: spent on steps. rate: steps per second of the last call.
    epoch, epoch_step: where it stands, from 0. limit: steps of a call at most; None for as many as suit.
    """

    state: dict[str, Array]
    inputs: dict[str, Array]
    theta: Array
    feed: Feed
    epoch: int
    epoch_step: int
    seconds: float
    rate: float
    limit: int | None

    @property
    def steps_per_epoch(self) -> int | None:
        """Steps of this epoch; None while nobody knows where it ends."""
        ...

    @property
    def measured(self) -> tuple[int, Values] | None:
        """The first step of the last call, and the measured values of its steps; None without measures."""
        ...

    @property
    def lanes(self) -> int:
        """How many lanes a step runs on."""
        ...

    @property
    def is_slow(self) -> bool:
        """Whether the next call may take longer than a stop request should wait."""
        ...

    @property
    def step(self) -> int:
        """Updates done since the first epoch."""
        ...

    @property
    def epoch_is_done(self) -> bool: ...

    @property
    def loss(self) -> float:
        """Mean over the rows seen in this epoch; NaN before the first."""
        ...

    @property
    def is_finite(self) -> bool:
        """Whether the last update left only finite parameters."""
        ...

    @property
    def reason(self) -> str | None:
        """Why no further step would help, as training then ends with it; None while steps help."""
        ...

    def advance(self) -> Setback | None:
        """Steps within this epoch for a while. A Setback means no step could be made: the last good theta is back.

        A step that was interrupted by a stop request does not count, and has changed nothing.
        """
        ...

    def next_rows(self) -> int:
        """Rows of the next step, once they lie where a program reads them, from the cursor on; 0 where there are none,
        or where they were not waited for."""
        ...

    def make(self, steps: int) -> int:
        """Exactly so many steps, over the ends of epochs; fewer where none can be made. Returns those that were."""
        ...

    def next_epoch(self) -> None: ...

    def scale_rate(self, factor: float) -> None:
        """Go on with the optimizer's learning rate, a number, times this factor."""
        ...

    def restore(self, arrays: Mapping[str, Array], epoch: int, epoch_step: int) -> None:
        """Go on from a state that was kept, such as a checkpoint's."""
        ...

    def fall_back(self) -> Setback:
        """Put back the last theta whose loss was finite."""
        ...


def stepper_for(job: Job, stop_requested: Array | None = None) -> Stepper:
    """The stepper of a job: one for minimisers, and one for rules that make a step from a mini-batch.

    stop_requested: a word, an int64 in an array: a long step is given up when it becomes other than 0.
    """
    feed = feed_of(job.train, job.batch_size, job.epochs, job.seed, job.shuffle, job.steps)
    stepper: Stepper
    if isinstance(job.optimizer, Minimiser):
        stepper = MinimiserStepper(job, gathered_feed(feed), stop_requested)
    else:
        stepper = BatchStepper(
            job.model,
            job.optimizer,
            feed,
            job.batch_size,
            job.settings.threads,
            job.cache,
            job.gradient_checkpointing,
            stop_requested,
            job.settings.measures,
            job.settings.given.measure_every == "step",
        )
    start = job.settings.start
    if start is not None:
        stepper.restore(put_into(stepper.state, start, job.model, job.optimizer), start.epochs, 0)
    return stepper
