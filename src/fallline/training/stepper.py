"""Steps through epochs in calls of any length, and back to the last good step when the loss stops being finite.

Owns the state of a run: theta, the optimizer's arrays and the counters. How a run is cut into calls, and when copies
of its state are taken, never changes a result. Knows nothing of validation, events or files.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fallline.errors import ProgramError
from fallline.graph.inside import Inside
from fallline.graph.node import Graph
from fallline.graph.op import Array
from fallline.jobs.shared_cache import NOT_SHARED, SharedCache
from fallline.nn.model import Model
from fallline.optim import Optimizer
from fallline.program import step_loop as loop
from fallline.program.step_loop import Loop
from fallline.ranges import short
from fallline.steps.halves import Between, Halves
from fallline.steps.measure import Column, Measure
from fallline.steps.recorder import Recorder, Values
from fallline.steps.step import OPTIMIZER, measured_step, training_step
from fallline.training.feed import Feed
from fallline.training.pace import Pace, takes_long

# Time between copies of the state: at least this, and so long that copying takes at most a hundredth of it.
_COPY_SECONDS, _COPY_SHARE = 0.02, 1 / 100


@dataclass(frozen=True, slots=True)
class Setback:
    """The loss of step `step` is not finite. last_loss: that of the step before; NaN if there was none."""

    step: int
    last_loss: float


@dataclass(slots=True)
class _Copy:
    """The state as it was at a step, and when that was."""

    arrays: dict[str, Array]
    step: int
    epoch: int = 0
    epoch_step: int = 0
    rows: int | None = None  # of its epoch, where they were known
    taken: float = 0.0
    cost: float = 0.0


def first_state(model: Model, optimizer: Optimizer, weighted: bool = False) -> dict[str, Array]:
    """The state before the first step: theta, copied; the optimizer's arrays; counters.

    weighted: rows have weights, so the sum of those seen is a counter too.
    """
    with Inside(lambda: short(optimizer)):
        made = optimizer.started(model.layout.pack(model.theta), model.layout.trained)
    return {
        "theta": np.array(model.theta),
        **{OPTIMIZER + name: np.array(array) for name, array in sorted(made.items())},
        "step": np.zeros((), np.int64),
        "cursor": np.zeros((), np.int64),
        "loss_sum": np.zeros((), np.float64),
        **({"weight_sum": np.zeros((), np.float64)} if weighted else {}),
    }


def step_inputs(optimizer: Optimizer, feed: Feed) -> dict[str, Array]:
    """Everything that a step reads besides its state."""
    numbers = {name: np.array(value, np.float64) for name, value in optimizer.inputs.items()}
    if feed.steps is not None:
        numbers["steps"] = np.array(feed.steps, np.float64)
    return {**feed.arrays, "order": feed.order, "seed": np.array(feed.seed, np.int64), **numbers}


def step_graphs(
    model: Model, optimizer: Optimizer, state: Mapping[str, Array], feed: Feed, batch_size: int
) -> Iterator[Graph]:
    """The graph of a step on a batch, and that of a step on the rows left at an epoch's end where there are some."""
    inputs = step_inputs(optimizer, feed)
    for size, whole in sizes(feed, batch_size):
        yield training_step(model, optimizer, state, inputs, size, whole)


def sizes(feed: Feed, batch_size: int) -> Iterator[tuple[int, bool]]:
    """Rows of a step, and whether they are all rows in their own order, which need no gathering; for batches, then for
    the rows left at an epoch's end where there are some."""
    rows = feed.rows
    whole = rows == batch_size and feed.is_whole
    for size in filter(None, (batch_size, rows % batch_size if rows is not None else 0)):
        yield size, whole


def main_and_last(loops: Iterable[Loop]) -> tuple[Loop, Loop | None]:
    """The loop over whole batches, and the one over the remaining rows."""
    main, *last = loops
    return main, last[0] if last else None


class BatchStepper:
    """The state of a run and the loops that move it, by steps from mini-batches.

    state: arrays by name, changed in place. inputs: everything else that a step reads. epoch, epoch_step: where it
        stands, both from 0. steps_per_epoch: of this epoch; None while nobody knows where it ends. seconds: spent on
        steps; rate: steps per second of the last call. limit: steps of a call at most; None for as many as suit.
    """

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        feed: Feed,
        batch_size: int,
        threads: int | None = 1,
        cache: SharedCache = NOT_SHARED,
        gradient_checkpointing: bool = False,
        stop_requested: Array | None = None,
        measures: Mapping[str, Measure] = {},
        every_step: bool = True,
        between: Between | None = None,
    ) -> None:
        """model: its theta is where to start; copied. feed: its rows. batch_size: at most those, if they are known.

        threads: lanes of a step at most; gradient_checkpointing: take less memory and more time; no result depends on
        either.
        cache: holds the programs of trainings that run at the same time.
        stop_requested: a word, an int64 in an array: a long step is given up when it becomes other than 0.
        measures: by name; of every step, or of the last one of a call.
        between: called in every step once its gradient is there, which it may write over; then the update is made.
            Nothing is measured then.
        """
        self._stop_requested = stop_requested
        self.feed, self.batch_size = feed, batch_size
        self.state = first_state(model, optimizer, "weight" in feed.arrays)
        self._sums = [self.state[name] for name in ("loss_sum", "weight_sum") if name in self.state]
        self.theta, self._loss_sum, self._cursor = (self.state[name] for name in ("theta", "loss_sum", "cursor"))
        self.inputs = given = step_inputs(optimizer, feed)
        self.limit: int | None = None
        self._rates, self._first_rates = {name: given[name] for name in optimizer.inputs}, optimizer.inputs
        arrays = list(self.state.values()), list(given.values())

        # The stepper keeps the function that makes a loop, so it refers neither to the stepper nor to first parameters.
        state, start = self.state, model.with_theta(self.theta)
        self.measured: tuple[int, Values] | None = None
        self._recorders = recorders = dict[int, Recorder]()  # by the identity of their loop

        def built(graph: Graph, columns: Sequence[Column]) -> Loop:
            watch, again = len(state), gradient_checkpointing
            if not columns:
                return loop.build(graph, *arrays, watch=watch, threads=threads, gradient_checkpointing=again)
            recorder = Recorder(graph, watch, columns, every_step)
            more = [*arrays[0], *recorder.state]
            made = loop.build(
                recorder.graph,
                more,
                arrays[1],
                watch=len(more),
                threads=threads,
                gradient_checkpointing=again,
                records=True,
            )
            recorders[id(made)] = recorder
            return made

        def of_size(size: int, whole: bool = False) -> Loop:
            again = gradient_checkpointing
            if between is not None:
                return Halves(start, optimizer, state, given, size, whole, between, threads, again)
            return built(*measured_step(start, optimizer, state, given, size, whole, measures))

        def build() -> Iterator[Loop]:
            return (of_size(size, whole) for size, whole in sizes(feed, batch_size))

        # The learning rate and the seed are read with the data, so they are no part of the programs.
        rule = cache.once(("rule", optimizer), lambda: optimizer.at_rate(1.0) if optimizer.inputs else optimizer)
        key = (
            "step",
            model.network,
            model.layout.kinds,
            model.loss,
            rule,
            batch_size,
            feed.rows,
            feed.is_whole,
            threads,
            gradient_checkpointing,
        )
        # A ring, or somebody between, belongs to one training.
        cache = NOT_SHARED if measures or between is not None else cache
        self._main, last = main_and_last(cache.loops(key, *arrays, build))
        # Loops over the rows left at an epoch's end, by their number. Where it is known only at the end, they are made
        # then.
        self._lasts = {} if last is None or feed.rows is None else {feed.rows % batch_size: last}
        self._of_size, self._was_stopped = of_size, False
        self.pace = Pace()
        self._before, self._before_loss = self.theta.copy(), math.nan
        begun = time.perf_counter()
        self._copy = _Copy({name: array.copy() for name, array in self.state.items()}, 0)
        self._copy.taken = time.perf_counter()
        self._copy.cost = self._copy.taken - begun
        self.seconds = self.rate = 0.0
        # An order that takes long to make is made when it is needed, where Ctrl-C is heard.
        self._know(feed.rows)
        self._stand_at(0, 0)

    @property
    def lanes(self) -> int:
        """How many lanes a step runs on."""
        return self._main.lanes

    @property
    def is_slow(self) -> bool:
        """Whether the next call may take longer than a stop request should wait."""
        return takes_long(self.rate, self._main.nanoseconds)

    @property
    def reason(self) -> str | None:
        """The reason for which training ends by itself: None for a rule, which sees single batches."""
        return None

    @property
    def step(self) -> int:
        """Updates done since the first epoch."""
        return int(self.state["step"])

    @property
    def epoch_is_done(self) -> bool:
        return self.epoch_step == self.steps_per_epoch or (self._rows is not None and self.epoch_step > self._full)

    def _know(self, rows: int | None) -> None:
        """Take in how many rows this epoch has; None while nobody knows where it ends."""
        self._rows = rows
        self._full, self._tail = (0, 0) if rows is None else divmod(rows, self.batch_size)
        self.steps_per_epoch = None if rows is None else self._full + (self._tail > 0)

    @property
    def loss(self) -> float:
        """Mean over the rows seen in this epoch, weighted where they have weights; NaN before the first."""
        if "weight_sum" in self.state:
            mass = float(self.state["weight_sum"])
            return float(self._loss_sum) / mass if mass else math.nan
        seen = self.epoch_step * self.batch_size
        seen = seen if self._rows is None else min(seen, self._rows)
        return float(self._loss_sum) / seen if seen else math.nan

    def _stand_at(self, epoch: int, epoch_step: int) -> None:
        """Be at a step; theta and sums stay as they are. Its rows are looked for when they are needed."""
        self.epoch, self.epoch_step, self._until = epoch, epoch_step, epoch_step
        if self._rows != self.feed.rows:
            self._know(self.feed.rows)

    def _has_rows(self) -> bool:
        """Have the rows of the next step where the program reads them; False if that was not waited for."""
        if self.epoch_step < self._until:
            return True
        cursor = self.feed.place(self.epoch, self.epoch_step * self.batch_size, self._stop_requested)
        self._was_stopped = cursor is None
        if cursor is None:
            return False
        self._cursor[...] = cursor
        if self._rows != self.feed.epoch_rows:
            self._know(self.feed.epoch_rows)
        self._until = self.epoch_step - (-self.feed.ready // self.batch_size)
        return True

    def next_rows(self) -> int:
        """Rows of the next step, once they lie where a program reads them, from the cursor on; 0 where there are none,
        or where they were not waited for."""
        if not self._has_rows() or self.epoch_is_done:
            return 0
        if self._rows is None:
            return self.batch_size
        return min(self.batch_size, self._rows - self.epoch_step * self.batch_size)

    def next_epoch(self) -> None:
        self._stand_at(self.epoch + 1, 0)
        for total in self._sums:
            total[...] = 0

    def scale_rate(self, factor: float) -> None:
        """Go on with the optimizer's learning rate, a number, times this factor."""
        if self.is_finite:  # else the next loss ends the training, and the steps before it are made once more
            self._before[...] = self.theta
            self._keep(time.perf_counter())
            for name, array in self._rates.items():
                array[...] = factor * self._first_rates[name]

    def restore(self, arrays: Mapping[str, Array], epoch: int, epoch_step: int) -> None:
        """Go on from a state that was kept, such as a checkpoint's."""
        for name, array in self.state.items():
            array[...] = arrays[name]
        self._stand_at(epoch, epoch_step)
        if self._rows is None:
            self._has_rows()  # this may be the end of its epoch
        self._before[...] = self.theta
        self._keep(time.perf_counter())

    @property
    def is_finite(self) -> bool:
        """Whether the last update left only finite parameters: no loss has seen them yet."""
        return bool(np.isfinite(self.theta).all())

    def advance(self) -> Setback | None:
        """One machine call within this epoch. A Setback means no step could be made: the last good theta is back.

        A step that was interrupted by a stop request does not count, and has changed nothing.
        """
        begun, self.measured = time.perf_counter(), None
        if not self._has_rows():
            self.seconds += time.perf_counter() - begun
            return None
        left, ready = self._until - self.epoch_step, time.perf_counter()
        pause = max(_COPY_SECONDS, self._copy.cost / _COPY_SHARE)
        # Rows that are not given twice cannot be gone through once more, so each window begins with a copy.
        is_last = left == 1 and not self.feed.rereads
        if is_last or (ready - self._copy.taken > pause and self.step > self._copy.step):
            done = self._one_then_keep()
            self.seconds += time.perf_counter() - begun
        else:
            most = left if self.feed.rereads else left - 1
            done = self._run(min(self.pace.steps, most if self.limit is None else min(most, self.limit)))
            now = time.perf_counter()
            self.seconds += now - begun
            if done:
                self.pace.note(done, now - ready)
                self.rate = done / max(now - begun, 1e-9)
        return None if done or self._was_stopped else self.fall_back()

    def go_to(self, step: int) -> None:
        """Steps up to this one, which are known to be finite, such as those of a training that is repeated.

        Errors: ProgramError where one of them is not.
        """
        while self.step < step:
            if self.epoch_is_done:
                self.next_epoch()
            if not self._run(step - self.step):
                raise ProgramError(f"step {self.step} was finite at first and is not when it is repeated")

    def _run(self, limit: int) -> int:
        """Up to so many steps whose rows are there, all of one size."""
        if self.epoch_is_done:
            raise ProgramError("a step was requested after the last of its epoch")
        if self.epoch_step >= self._until and not self._has_rows():
            return 0
        steps, own = self._main, self._until - self.epoch_step
        if self._rows is not None:
            own = min(own, self._full - self.epoch_step)
            if own == 0:
                steps, own = self._last(self._tail), 1
        recorder, first, most = self._recorders.get(id(steps)), 0, min(limit, own)
        if recorder is not None:
            first = self.step
            recorder.begin()
            most = most if recorder.most is None else min(most, recorder.most)
        done = steps.run(most, self._stop_requested)
        self._was_stopped = steps.was_stopped
        self.epoch_step += done
        if recorder is not None and done:
            self.measured = first if recorder.most is not None else self.step - 1, recorder.taken()
        return done

    def make(self, steps: int) -> int:
        """So many steps, over the ends of epochs; fewer where a loss is not finite. Returns those that were made."""
        done = 0
        while done < steps:
            if self.epoch_is_done:
                self.next_epoch()
            made = self._run(steps - done)
            if not made:
                break
            done += made
        return done

    def _last(self, size: int) -> Loop:
        """The loop over the rows left at an epoch's end."""
        if size not in self._lasts:
            self._lasts[size] = self._of_size(size)
        return self._lasts[size]

    def _one(self) -> float | None:
        """One step, and the loss it met; None if that is not finite, or the step was given up."""
        if not self._has_rows():
            return None
        seen = self.epoch_step * self.batch_size
        size = self.batch_size if self._rows is None else min(self.batch_size, self._rows - seen)
        so_far = [total.copy() for total in self._sums]
        for total in self._sums:
            total[...] = 0
        done = self._run(1)
        its, *weights = map(float, self._sums)
        for total, before in zip(self._sums, so_far, strict=True):
            total += before  # the same sum, to the bit, as the step makes by itself
        return its / (weights[0] or 1.0 if weights else size) if done else None

    def _one_then_keep(self) -> int:
        """One step and a copy of the state after it. Theta before it is kept too, in case the very next loss is bad."""
        is_copied = self.step == self._copy.step  # then theta before the last step is needed if this one fails
        if not is_copied:
            self._before[...] = self.theta
        loss = self._one()
        if loss is None:
            return 0
        if is_copied:
            self._before[...] = self._copy.arrays["theta"]
        self._before_loss = loss
        self._keep(time.perf_counter())
        return 1

    def _keep(self, now: float) -> None:
        for name, array in self.state.items():
            np.copyto(self._copy.arrays[name], array)
        self._copy.step, self._copy.rows = self.step, self._rows
        self._copy.epoch, self._copy.epoch_step = self.epoch, self.epoch_step
        self._copy.taken = time.perf_counter()
        self._copy.cost = self._copy.taken - now

    def fall_back(self) -> Setback:
        """Put back the last theta whose loss was finite, by repeating the steps since the last copy."""
        failed, place = self.step, (self.epoch, self.epoch_step)
        stop_requested, self._stop_requested = self._stop_requested, None  # all steps are repeated
        if failed > self._copy.step:
            for name, array in self.state.items():
                array[...] = self._copy.arrays[name]
            self._stand_at(self._copy.epoch, self._copy.epoch_step)
            self._know(self._copy.rows)
            self.go_to(failed - 1)
            if self.epoch_is_done:
                self.next_epoch()
            self._before[...] = self.theta
            loss = self._one()
            self._before_loss = math.nan if loss is None else loss
            self.epoch, self.epoch_step = place
        self.theta[...] = self._before
        self._stop_requested, self.measured = stop_requested, None
        return Setback(failed, self._before_loss)
