"""Replay: the steps of a training once more, one by one where that is wanted, with what each of them begins with.

Same seed, same rows, same bits; neither validation nor events nor files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fallline.arrays import Array
from fallline.feeds.order import Order
from fallline.jobs.job import Job
from fallline.jobs.named import Rows
from fallline.jobs.shared_cache import NOT_SHARED
from fallline.optim.minimiser import Minimiser
from fallline.program import lanes
from fallline.program import step_loop as loop
from fallline.steps.gradient_step import LOSS, found_at
from fallline.steps.step import OPTIMIZER
from fallline.training.feed import feed_of, gathered_feed
from fallline.training.minimise import evaluation
from fallline.training.stepper import BatchStepper
from fallline.training.steppers import stepper_for


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The state of a replay before a step."""

    arrays: Mapping[str, Array]
    epoch: int
    epoch_step: int


class Replay:
    """A training that stands before one of its steps. job: of rows that are read by number."""

    def __init__(self, job: Job) -> None:
        self.job = replace(job, settings=replace(job.settings, measures={}), cache=NOT_SHARED)
        self._stepper = stepper_for(self.job)

    @property
    def step(self) -> int:
        """Steps made so far."""
        return int(self._stepper.step)

    @property
    def epoch(self) -> int:
        """The epoch of the next step."""
        return self._stepper.epoch + int(self._stepper.epoch_is_done)

    @property
    def theta(self) -> Array:
        """The parameters as they are now; a view."""
        return self._stepper.theta

    @property
    def moments(self) -> dict[str, Array]:
        """The arrays that the optimizer keeps, by name; views."""
        return {
            name.removeprefix(OPTIMIZER): array
            for name, array in self._stepper.state.items()
            if name.startswith(OPTIMIZER)
        }

    def make(self, steps: int) -> int:
        """So many steps; fewer where none can be made. Returns those that were."""
        return self._stepper.make(steps)

    def keep(self) -> Kept:
        """A copy of the state."""
        stepper = self._stepper
        arrays = {name: array.copy() for name, array in stepper.state.items()}
        return Kept(arrays, stepper.epoch, stepper.epoch_step)

    def restore(self, kept: Kept) -> None:
        """Stand where a copy was made."""
        self._stepper.restore(kept.arrays, kept.epoch, kept.epoch_step)

    def batch(self) -> tuple[Array, dict[str, Array]]:
        """The row numbers of the next step, counted among the rows given to the training, and those rows by name."""
        job, stepper = self.job, self._stepper
        assert isinstance(job.train, Rows)
        numbers = job.train.index
        if not isinstance(job.optimizer, Minimiser):
            if stepper.epoch_is_done:
                stepper.next_epoch()
            order = Order(numbers, job.seed, job.shuffle)
            first = order.place(stepper.epoch) + stepper.epoch_step * job.batch_size
            left = len(numbers) - stepper.epoch_step * job.batch_size
            numbers = np.array(order.buffer[first : first + min(job.batch_size, left)])
        return numbers, {name: np.asarray(array[numbers]) for name, array in job.train.data.items()}

    def gradient(self) -> tuple[float, Array]:
        """The loss of the next step and its gradient, laid as theta is, zeros where nothing is trained."""
        job, kept = self.job, self.keep()
        layout = job.model.layout
        if isinstance(job.optimizer, Minimiser):
            found = found_at(job.model)
            feed = gathered_feed(feed_of(job.train, job.batch_size, job.epochs, job.seed))
            graph, inputs = evaluation(job, feed, found, self.theta)
            inputs["cursor"][...] = feed.place(0, 0) or 0
            half = loop.build(graph(), list(found.values()), list(inputs.values()), watch=LOSS, threads=1)
            half.run(1)
        else:
            found = {}

            def between(values: dict[str, Array]) -> None:
                found.update({name: array.copy() for name, array in values.items()})

            feed = feed_of(job.train, job.batch_size, job.epochs, job.seed, job.shuffle, job.steps)
            stepper = BatchStepper(job.model, job.optimizer, feed, job.batch_size, 1, between=between)
            stepper.restore(kept.arrays, kept.epoch, kept.epoch_step)
            stepper.make(1)
            feed.close()
        return float(found["loss"]), layout.unpack(np.zeros_like(self.theta), found["gradient"])

    def close(self) -> None:
        """Let go of threads and files."""
        self._stepper.feed.close()
        lanes.rest()
