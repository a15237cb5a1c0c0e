"""Trainings that share lanes, a slice of time each: what races, and what searches for the best, run on.

Knows a training by its events, its result so far, and whether its next machine call may take long.
"""

import math
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType

from fallline.experiments.variants import Variant
from fallline.program import lanes
from fallline.runs.events import (
    Diverged,
    EpochEnded,
    Event,
    Progress,
    RaceResult,
    TrainingEnded,
    TrainingStarted,
)
from fallline.training.interrupt import Interrupts
from fallline.training.training import Training

# A slice of one variant's training: so long that changing over costs nothing, and shorter where many wait.
_SLICE, _SHORTEST_SLICE = 0.05, 0.002


class Runner:
    """A variant in training: its training, and its standing by the events so far."""

    def __init__(self, variant: Variant, training: Training) -> None:
        self.name, self.training = variant.name, training
        rule = variant.job.settings.early_stopping
        self._restores = rule is not None and rule.restore_best
        self._epochs, self._epoch, self._step, self._seconds = variant.job.epochs, 0, 0, 0.0
        self._shown: EpochEnded | None = None
        self.watches, self.higher_is_better = "", False  # the metric that all variants monitor, if there is one
        self._state, self._problem = "waiting", ""
        self.error: Exception | None = None

    def advance(self, until: float) -> bool:
        """Train until this time; False once the training is over."""
        try:
            while True:
                event = next(self.training, None)
                if event is None:
                    self._state = "interrupted" if self._state in ("waiting", "running") else self._state
                    return False
                self._note(event)
                if time.perf_counter() >= until:
                    return True
        except Exception as error:
            # A variant's failure is its own: the others go on.
            self.error, self._state, self._problem = error, "failed", f"{type(error).__name__}: {error}"
            self.training.close()
            return False

    def _note(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self._epoch, self._step = event.epoch + 1, event.step
            self._seconds += event.seconds
            if event.is_best or not self._restores:
                self._shown = event
        elif isinstance(event, Progress):
            self._step = event.step
        elif isinstance(event, TrainingStarted):
            self._state = "running"
            for before in self.training.run.epochs if event.first_step else ():  # of the run that is continued
                self._note(before)
            self._seconds = 0.0
        elif isinstance(event, Diverged):
            self._problem = event.where
        elif isinstance(event, TrainingEnded):
            self._state, self._step, self._seconds = event.reason, event.step, event.seconds

    @property
    def result(self) -> RaceResult:
        shown = self._shown
        loss, held, metrics = (
            (math.nan, None, {}) if shown is None else (shown.loss, shown.validation_loss, shown.metrics)
        )
        return RaceResult(self.name, self._state, 0, self._epoch, self._epochs, self._step, loss, held, metrics,
                        self._seconds, self._problem, self.watches, self.higher_is_better)  # fmt: skip


class Track:
    """Lanes on which runners take turns, for a round at a time; while entered, the lanes are there.

    waiting: runners whose training goes on; others may be put in or taken out between two rounds. over: those that
    ended, until somebody takes them out. seconds: of all rounds.
    """

    def __init__(self, runners: Sequence[Runner], most_lanes: int, interrupts: Interrupts, turn: float) -> None:
        """turn: seconds in which every runner that is there now is to have its slice."""
        self.lanes, self.seconds = most_lanes, 0.0
        self.waiting, self.over = deque(runners), deque[Runner]()
        self._interrupts, self._stack = interrupts, ExitStack()
        self._crew: lanes.Crew | None = None
        self._deadline, self._given_up = 0.0, False
        self._slice = min(_SLICE, max(_SHORTEST_SLICE, turn * most_lanes / max(1, len(runners))))

    def __enter__(self) -> "Track":
        self._crew = self._stack.enter_context(lanes.crew(self.lanes - 1)) if self.lanes > 1 else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def round(self, seconds: float) -> None:
        """Let every lane train for a while, this thread being one of them."""
        begun = time.perf_counter()
        self._deadline, self._given_up = begun + seconds, False
        alone = partial(self._work, 0)
        work = alone if self._crew is None else partial(self._crew.run, self._work, self.lanes, self._give_up)
        if any(runner.training.is_slow for runner in self.waiting):
            self._interrupts.run_interruptibly(work)
        else:
            work()
        self.seconds += time.perf_counter() - begun

    def _give_up(self) -> None:
        self._given_up = True

    def _work(self, lane: int) -> int:
        """Advance one variant after another until the round is over; returns how many slices were done.

        The first lane does one at least: where lanes meet so late that a short round is over, the race still goes on.
        """
        slices = 0
        while not self._given_up and ((now := time.perf_counter()) < self._deadline or slices == lane == 0):
            try:
                runner = self.waiting.popleft()  # at once, so that no two lanes get the same
            except IndexError:
                break
            goes_on = True
            try:
                goes_on = runner.advance(min(now + self._slice, self._deadline))
            finally:
                (self.waiting if goes_on else self.over).append(runner)
            slices += 1
        return slices
