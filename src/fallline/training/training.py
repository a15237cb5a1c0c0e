"""The stream of events: epochs of steps, validation, the best epoch, checkpoints, and the end of a run.

Knows no reader of the events, and files only as a RunFolder.
"""

import math
import time
from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from fallline.errors import Attributes, FalllineError, SavingError, unknown
from fallline.graph.op import Array
from fallline.jobs.describe import described
from fallline.jobs.job import Job, prepare
from fallline.jobs.settings import Settings
from fallline.jobs.shared_cache import NOT_SHARED
from fallline.jobs.stopping import NEVER, Best
from fallline.jobs.streamed import Streamed
from fallline.jobs.training_state import TrainingState, is_kept, swap
from fallline.nn.model import Model
from fallline.program import lanes
from fallline.runs.checkpoint import Checkpoint
from fallline.runs.events import (
    CheckpointSaved,
    Diverged,
    EpochEnded,
    Event,
    Measured,
    Progress,
    TrainingEnded,
    TrainingStarted,
)
from fallline.runs.folder import RunFolder
from fallline.runs.kept import BEST
from fallline.training.closed_over import ClosedOver
from fallline.training.evaluation import Evaluation
from fallline.training.interrupt import Interruptible, Interrupts
from fallline.training.run import Run
from fallline.training.sampler import Sampler
from fallline.training.stepper import Setback
from fallline.training.steppers import stepper_for

PROGRESS_SECONDS = 0.1


class Training(Interruptible[Event], Attributes):
    """A training as an iterator over its events; `run` is its result so far.

    Work is done only while an event is requested. Ctrl-C while an event is awaited ends
    the training in good order, with the reason "interrupted"; so does `stop`, for a reader that has seen enough.
    SIGTERM and SIGHUP do the same, and end the process once the last event was read, unless somebody handles them.
    """

    def __init__(self, job: Job) -> None:
        resolved, held, cache = job.settings, job.validation, job.cache
        self.job = job
        self.config = described(job)
        self.interrupts = Interrupts()
        self._folder: RunFolder | None = None
        if resolved.folder is not None:
            options = {
                "overwrite": resolved.given.overwrite,
                "resume": resolved.resume,
                "must_exist": resolved.must_exist,
            }
            self._folder = RunFolder(resolved.folder, self.config, resolved.given.checkpoints, **options)
        begun = time.perf_counter()
        self._stepper = stepper_for(job, self.interrupts.word)
        self._sampler: Sampler | None = None
        if resolved.gauges is not None:
            self._sampler = Sampler(job, resolved.gauges, self._stepper, time.perf_counter() - begun)
        self._closed_over = ClosedOver(cache, job.model.network, job.model.loss, job.optimizer)
        self._evaluation: Evaluation | None = None
        if held is not None:
            theta = self._stepper.theta
            self._evaluation = Evaluation(job.model, theta, held, resolved.threads, cache, job.measures)
        # The parameters to start from were copied; those that were drawn for this run need not be kept.
        self.job = replace(job, model=job.model.with_theta(self._stepper.theta))
        self._best = Best(resolved.early_stopping, self._stepper.theta, job.measures.higher_is_better)
        self._history: list[Event] = []
        self._watches = job.measures.watches
        self._loss = math.nan  # of the last whole epoch
        self._steps_before = self._stepper.step  # made by the run that this one continues
        self._last_theta: Array | None = None  # of the last step, where the best parameters took its place
        self._shown = 0.0
        self._events = self._stream()

    def __next__(self) -> Event:
        with self.interrupts:
            try:
                return next(self._events)
            except BaseException as error:
                self.interrupts.is_over = True
                if isinstance(error, FalllineError):
                    error.run = self.run
                    if self._stepper.step:
                        error.add_note("the training until then is the error's `run`")
                if self._folder is None or isinstance(error, FalllineError) or not isinstance(error, OSError):
                    raise
                raise self._unsaved(error, self._folder) from error

    def _unsaved(self, error: OSError, folder: RunFolder) -> SavingError:
        """The error for a folder that cannot be written to; the run until then goes with it."""
        text = f"{error.filename or folder.path}: {error.strerror or error}"
        if self._stepper.step:
            text += f"\n  training ended in epoch {self._stepper.epoch}, at step {self._stepper.step}"
            if folder.has_checkpoint:
                text += "\n  try: resume=True once it can be written again; that goes on from the last checkpoint"
        unsaved = SavingError(text)
        unsaved.run = self.run
        return unsaved

    def stop(self) -> None:
        """End after the machine call that runs now, as Ctrl-C does."""
        self.interrupts.stop_requested = True

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that validation measures in addition to the loss: the keys of EpochEnded.metrics."""
        return self.job.measures.names

    @property
    def run(self) -> Run:
        """The run so far, with a copy of the parameters as they are now."""
        folder = self._folder.path if self._folder is not None else None
        model = self.job.model.with_theta(self._stepper.theta.copy())
        job = replace(self.job, model=model, cache=NOT_SHARED)
        return Run(model, tuple(self._history), self.config, folder, job, self._state(model))

    def _state(self, model: Model) -> TrainingState | None:
        stepper, optimizer = self._stepper, self.job.settings.optimizer
        if (self._history and isinstance(self._history[-1], Diverged)) or optimizer is None:
            return None
        if self._last_theta is not None:
            model = model.with_theta(self._last_theta)
        arrays = {name: array for name, array in stepper.state.items() if is_kept(name)}
        if not (self._history and isinstance(self._history[-1], TrainingEnded)):
            arrays = {name: array.copy() for name, array in arrays.items()}
        return TrainingState(model, optimizer, arrays, stepper.epoch + (stepper.epoch_step > 0))

    def more(self, data: Any, **settings: Any) -> "Training":
        """A training on other data, or the same, that goes on from the state of this one.

        Parameters, the optimizer's arrays and the counts of steps and epochs go on, so schedules do too. data: as for
            `train`. settings: those of `train` that are to be others; all else is as for this one, but that nothing is
            saved unless `out` says so. epochs: how many more.
        Errors: as for `train`; ArgumentError after a divergence.
        Example: training = training.more((x_new, y_new), epochs=1)
        """
        before = {one.name: getattr(self.job.settings.given, one.name) for one in fields(Settings)}
        for name in settings:
            if name not in before:
                raise unknown("setting", name, before)
        given = {**before, "out": None, "resume": False, "overwrite": False, "init": self.run, **settings}
        return Training(prepare(None, data, Settings(**given), self.job.cache.programs()))

    @property
    def is_slow(self) -> bool:
        """Whether the next machine call may well take longer than anybody who stops the training wants to wait."""
        return self._stepper.is_slow

    def _stream(self) -> Generator[Event, None, None]:
        with ExitStack() as stack:
            stack.callback(lanes.rest)
            stack.callback(self._stepper.feed.close)
            if self._evaluation is not None:
                stack.callback(self._evaluation.feed.close)
            if self._folder is not None:
                stack.enter_context(self._folder.opened())
                self._resume(self._folder)
            yield self._report(self._started())
            reason = None
            try:
                while reason is None:
                    reason = yield from self._epoch()
            except FalllineError:
                self._rescue()
                raise
            yield from self._end(reason)

    def _rescue(self) -> None:
        """Write a checkpoint where an error ends the training, such as a metric's, so that no step is lost."""
        folder, stepper = self._folder, self._stepper
        if folder is None or self.job.settings.given.checkpoints is None or stepper.step == self._steps_before:
            return
        with suppress(OSError):  # the error that ended the training is the one to be told
            for _ in self._checkpoint(folder):
                pass

    def _report(self, event: Event) -> Event:
        """The event, after it was put down in the history and the folder."""
        if event.lasts:
            self._history.append(event)
        if self._folder is not None:
            self._folder.log(event)
        return event

    def _resume(self, folder: RunFolder) -> None:
        """Stand where the newest checkpoint of the folder stood, if it has one."""
        if folder.found is None:
            return
        values, arrays = folder.found.values, folder.found.arrays
        self._stepper.restore(arrays, values["epoch"], values["epoch_step"])
        self._best.restore(values["best"], arrays.get(BEST))
        if self._best.rate_scale != 1.0:
            self._stepper.scale_rate(self._best.rate_scale)
        self._history = [event for event in folder.events if event.lasts]
        self._loss = next((e.loss for e in reversed(self._history) if isinstance(e, EpochEnded)), math.nan)
        self._steps_before = self._stepper.step

    def _started(self) -> TrainingStarted:
        job, rule = self.job, self.job.settings.early_stopping
        return TrainingStarted(
            rows=job.train.meant,
            validation_rows=len(job.validation.index) if job.validation is not None else 0,
            input_shape=job.model.input_shape,
            parameters=job.model.layout.size,
            trainable=job.model.layout.count(),
            batch_size=job.batch_size,
            steps_per_epoch=self._stepper.steps_per_epoch,
            epochs=job.epochs,
            loss=job.model.loss.name,
            optimizer=job.optimizer.name,
            task=job.model.task,
            seed=job.seed,
            dtype=job.model.dtype.name,
            lanes=self._stepper.lanes,
            metrics=self.metrics,
            watches=job.measures.watches,
            higher_is_better=job.measures.higher_is_better,
            first_epoch=self._stepper.epoch,
            first_step=self._stepper.step,
            folder=str(self._folder.path) if self._folder is not None else None,
            open_ended=job.settings.given.epochs is None and rule is not None and rule.patience != NEVER,
            notes=(*job.notes, *self._notes()),
        )

    def _notes(self) -> list[str]:
        held, notes = self.job.validation, []
        if held is not None and len(held.index) == 1 and "validation_r2" in self.metrics:
            notes.append("R^2 of one validation row is not defined, so validation_r2 is NaN")
        if isinstance(self.job.train, Streamed) and self.job.settings.given.shuffle:
            notes.append("rows are visited in the order in which the iterable gives them, also with shuffle=True")
        if self.job.settings.given.threads not in (None, 1) and not lanes.possible():
            notes.append("this system has no calls by which lanes wait, so a step runs on one thread")
        if self._folder is None:
            return notes
        notes += [f"{path.name} is damaged; the checkpoint before it is used" for path in self._folder.damaged]
        found = self._folder.found
        if found is not None and isinstance(self.job.train, Streamed):
            notes.append("the iterable is trusted to give the rows that it gave before: nothing can compare them")
        if found is not None and self._best.theta is not None and BEST not in found.arrays:
            notes.append("no best parameters were kept until here: those of the best epoch from here on will be")
        if "not_saved" in self.config["model"]:
            notes.append(
                "the model holds functions of your own, or classes without @saved (fallline.config), which no file can "
                "hold: only checkpoints are written"
            )
        return notes

    def _epoch(self) -> Generator[Event, None, str | None]:
        """The rest of an epoch; returns the reason for which training ends after it, or None."""
        stepper, folder, interrupts = self._stepper, self._folder, self.interrupts
        self._closed_over.warn()
        if stepper.reason is not None:
            return stepper.reason
        if stepper.epoch >= self.job.epochs:
            return "finished"
        if self._best.has_waited_enough and not self._lowered():
            return "early_stopping"
        if not self._shuffled(stepper.epoch):
            return "interrupted"
        before, seconds = self._spent, stepper.seconds
        first = stepper.epoch_step
        while not stepper.epoch_is_done:
            if interrupts.stop_requested:  # while nobody asked for events
                return "interrupted"
            if self._sampler is not None:
                yield from self._gauged(self._sampler)
            setback = interrupts.run_interruptibly(stepper.advance) if stepper.is_slow else stepper.advance()
            if setback is not None:
                yield self._report(self._diverged(setback))
                return "diverged"
            if stepper.measured is not None:
                yield self._report(Measured(stepper.epoch, *stepper.measured))
            if interrupts.stop_requested:
                return "interrupted"
            if stepper.epoch_is_done:
                break
            if time.perf_counter() - self._shown > PROGRESS_SECONDS:
                yield self._report(self._progress())
                self._shown = time.perf_counter()
            if folder is not None and folder.checkpoint_is_due():
                yield from self._checkpoint(folder)
        if not (self._measured() and self._shuffled(stepper.epoch + 1)):
            return "interrupted"
        steps, took = stepper.epoch_step - first, stepper.seconds - seconds
        event = self._epoch_ended(self._spent - before, steps / took if took > 0 else 0.0)
        stepper.next_epoch()
        yield self._report(event)
        if folder is not None and folder.checkpoint_is_due(stepper.epoch):
            yield from self._checkpoint(folder)
        return "interrupted" if interrupts.stop_requested else None

    def _gauged(self, sampler: Sampler) -> Generator[Event, None, None]:
        """A sample of the gauges, where one is due."""
        if sampler.is_due():
            slow, interrupts = self._stepper.is_slow, self.interrupts
            event = interrupts.run_interruptibly(sampler.sample) if slow else sampler.sample()
            if event is not None:
                yield self._report(event)
        sampler.limit_calls()

    def _shuffled(self, epoch: int) -> bool:
        """Make the order of an epoch, if making it takes long; False if that was not waited for."""
        feed = self._stepper.feed
        if epoch >= self.job.epochs or not feed.takes_long:
            return True
        return self.interrupts.unless_asked(lambda: feed.place(epoch, 0))

    def _measured(self) -> bool:
        """Measure the validation rows, if there are any; whether that came to its end."""
        if self._evaluation is None:
            return True
        measure = partial(self._evaluation.measure, self.interrupts.word)
        return self.interrupts.run_interruptibly(measure) if self._stepper.is_slow else measure()

    @property
    def _spent(self) -> float:
        """Seconds of training and validation, without those that readers of events took."""
        return self._stepper.seconds + (self._evaluation.seconds if self._evaluation is not None else 0.0)

    def _epoch_ended(self, seconds: float, rate: float) -> EpochEnded:
        stepper, measured = self._stepper, self._evaluation
        validation_loss, metrics = (None, {}) if measured is None else (measured.loss, measured.values)
        self._loss = stepper.loss
        step, watches = stepper.step, self._watches
        watched = {"loss": self._loss, "validation_loss": validation_loss, **metrics}.get(watches)
        is_best = self._best.note(stepper.epoch, math.nan if watched is None else watched, step)
        return EpochEnded(
            stepper.epoch, step, self._loss, validation_loss, metrics, self._rate_at(step - 1), seconds, rate, is_best
        )

    def _rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        rate = self.job.optimizer.learning_rate
        return float(self.job.optimizer.rate_at(np.int64(step)) if callable(rate) else rate * self._best.rate_scale)

    def _lowered(self) -> bool:
        """Lower the learning rate, if the rule for stopping says so instead of an end."""
        if not self._best.lowers(self._rate_at(self._stepper.step)):
            return False
        self._stepper.scale_rate(self._best.rate_scale)
        return True

    def _progress(self) -> Progress:
        stepper = self._stepper
        return Progress(
            stepper.epoch, stepper.step, stepper.epoch_step, stepper.loss, self._rate_at(stepper.step - 1), self._spent,
            stepper.rate,
        )  # fmt: skip

    def _diverged(self, setback: Setback) -> Diverged:
        rate = self._rate_at(setback.step)
        return Diverged(self._stepper.epoch, setback.step, setback.last_loss, rate, self._advice(setback, rate))

    def _advice(self, setback: Setback, rate: float) -> str:
        if setback.step == 0:
            return "try: check the scale of x and y (a mean near 0, a spread near 1), or a smaller initialiser"
        tries = [self.job.optimizer.slower(rate)]
        if self.job.optimizer.clip_norm is None:
            tries.append("clip_norm=1.0")
        # Of data that are not read whole the window has the rows of the steps just made.
        first = [x[: 1 << 10] for name, x in self._stepper.feed.arrays.items() if name not in ("y", "weight")]
        if any(float(np.abs(x).max(initial=0)) > 100 for x in first if x.dtype.kind == "f"):
            tries.append("columns of x scaled to a spread near 1")
        return "try: " + ", or ".join(tries)

    def _checkpoint(self, folder: RunFolder, final: bool = False) -> Generator[Event, None, None]:
        stepper, arrays = self._stepper, dict(self._stepper.state)
        if not stepper.is_finite:
            return  # the next loss will show it; the checkpoint before this one is worth more
        if self._best.theta is not None:
            arrays[BEST] = self._best.theta
        values = {
            "epoch": stepper.epoch,
            "epoch_step": stepper.epoch_step,
            "best": self._best.to_values(),
            "final": final,
            "config": self.config,
        }
        path = folder.save(stepper.step, Checkpoint(arrays, values))
        yield self._report(CheckpointSaved(stepper.epoch, stepper.step, str(path)))

    def _best_loss(self) -> float:
        """The validation loss of the best epoch, or its loss."""
        if self.job.measures.watched is None:
            return self._best.value
        matching = (e for e in reversed(self._history) if isinstance(e, EpochEnded) and e.epoch == self._best.epoch)
        found = next(matching, None)
        return math.nan if found is None or found.validation_loss is None else found.validation_loss

    def _end(self, reason: str) -> Generator[Event, None, None]:
        stepper, best, folder = self._stepper, self._best, self._folder
        epochs, step = stepper.epoch, stepper.step
        if reason != "diverged" and not stepper.is_finite:
            reason = "diverged"  # by the very last update, which no loss has met
            yield self._report(self._diverged(stepper.fall_back()))
        if self._sampler is not None and not self.interrupts.stop_requested:
            event = self._sampler.last()
            if event is not None:
                yield self._report(event)
        # After a divergence the state is no place to go on from; the checkpoint before it is.
        if folder is not None and self.job.settings.given.checkpoints is not None and reason != "diverged":
            yield from self._checkpoint(folder, final=True)
        elif folder is not None:
            folder.leave_checkpoints()
        restored = best.theta is not None and best.epoch is not None
        if best.theta is not None and restored:
            swap(stepper.theta, best.theta)
            self._last_theta = best.theta
        if folder is not None and "not_saved" not in self.config["model"]:
            folder.save_model(self.job.model.with_theta(stepper.theta))
        took = stepper.seconds
        yield self._report(
            TrainingEnded(
                reason=reason,
                epochs=epochs,
                step=step,
                loss=self._loss,
                best_epoch=best.epoch,
                best_loss=self._best_loss(),
                best_value=best.value,
                restored_best=restored,
                seconds=self._spent,
                steps_per_second=(step - self._steps_before) / took if took > 0 else 0.0,
                folder=str(folder.path) if folder is not None else None,
                still_falling=reason == "finished" and self.job.settings.given.epochs is None and best.is_falling,
            )
        )
