"""Steps of a minimiser, such as L-BFGS: it chooses where the loss and its gradient are evaluated, on all rows.

Each evaluation is a run of one compiled program. Owns the state of such a run, as the stepper of mini-batches does of
its own. Knows nothing of validation, events or files.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.graph.inside import Inside
from fallline.graph.node import Graph
from fallline.graph.op import Array
from fallline.jobs.job import Job
from fallline.optim.minimiser import Minimiser, Point
from fallline.program import step_loop as loop
from fallline.ranges import short
from fallline.steps.gradient_step import LOSS, found_at, gradient_graph, kept_by_path, measured_gradient_graph
from fallline.steps.recorder import Recorder, Values
from fallline.steps.step import OPTIMIZER
from fallline.training.feed import Feed
from fallline.training.pace import takes_long
from fallline.training.stepper import Setback, first_state


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluated(Point):
    """loss: the value without the term of weight decay. kept: new values of kept slots, one after the other."""

    loss: float = math.nan
    kept: Array | None = None


class _GivenUp(BaseException):
    """A stop request interrupts the step; no minimiser is meant to catch this."""


def evaluation(
    job: Job, feed: Feed, found: Mapping[str, Array], theta: Array
) -> tuple[Callable[[], Graph], dict[str, Array]]:
    """The function that makes the graph of an evaluation at `theta`, and the arrays that it reads, by name.

    Errors, from the first: ArgumentError for a network that draws random numbers.
    """
    inputs = {
        "theta": theta,
        "step": np.zeros((), np.int64),
        "cursor": np.zeros((), np.int64),
        **feed.arrays,
        "order": feed.order,
        "seed": np.array(feed.seed, np.int64),
    }

    def graph() -> Graph:
        size = None if feed.is_whole else feed.rows
        made = gradient_graph(job.model, found, inputs, size, job.optimizer.weight_decay)
        if made.inputs[-1] in {*made.nodes()}:  # the seed
            raise ArgumentError(
                f"the network draws random numbers, so its loss is another one at every evaluation, and "
                f"{short(job.optimizer)} compares losses\n"
                '  try: optimizer="adam"; or the network without layers such as Dropout'
            )
        return made

    return graph, inputs


class MinimiserStepper:
    """The state of a run whose steps a minimiser makes, one an epoch.

    state: arrays by name: theta, the point's gradient, value and loss, the minimiser's arrays and the step; "met", the
        loss that the last step began with.
    inputs: what an evaluation reads. seconds: spent on steps; rate: steps per second of the last one. limit: steps of a
    call at most, of which there is one.
    """

    def __init__(self, job: Job, feed: Feed, stop_requested: Array | None = None) -> None:
        assert isinstance(job.optimizer, Minimiser)
        self.feed, self._minimiser, self._stop_requested = feed, job.optimizer, stop_requested
        first = first_state(job.model, job.optimizer)
        self._layout, self._found, here = job.model.layout, found_at(job.model), found_at(job.model)
        here["value"][...] = here["loss"][...] = math.nan
        met = np.full((), math.nan)  # the loss that the last step began with
        moments = {name: array for name, array in first.items() if name.startswith(OPTIMIZER)}
        point = {name: here[name] for name in ("gradient", "loss", "value")}
        self.state = {"theta": first["theta"], **point, "met": met, **moments, "step": first["step"]}
        self.theta = self.state["theta"]
        self._trial = self.theta.copy()
        graph, inputs = evaluation(job, feed, self._found, self._trial)
        self.inputs: dict[str, Array] = inputs
        self.limit: int | None = None
        arrays, threads = (list(self._found.values()), list(inputs.values())), job.settings.threads

        def build() -> list[loop.Loop]:
            less = job.gradient_checkpointing
            return [loop.build(graph(), *arrays, watch=LOSS, threads=threads, gradient_checkpointing=less)]

        model, decay = job.model, job.optimizer.weight_decay
        key = "value", model.network, model.layout.kinds, model.loss, decay, feed.is_whole, threads
        (self._loop,) = job.cache.loops((*key, job.gradient_checkpointing), *arrays, build)
        self.measured: tuple[int, Values] | None = None
        self._recorder: Recorder | None = None
        measures = job.settings.measures
        if measures:
            wrong = next((name for name, one in measures.items() if one.of == "update"), None)
            if wrong is not None:
                raise ArgumentError(
                    f"the measure {wrong!r} is of the update, which {short(job.optimizer)} makes outside of the step's "
                    'program\n  try: fl.measure.value("parameter"), whose differences are the updates'
                )
            size = None if feed.is_whole else feed.rows
            made = measured_gradient_graph(job.model, self._found, inputs, size, decay, measures)
            self._recorder = Recorder(made[0], len(self._found), made[1])
            self._measuring = loop.build(
                self._recorder.graph,
                [*self._found.values(), *self._recorder.state],
                arrays[1],
                watch=len(self._found) + 2,
                threads=job.settings.threads,
                records=True,
            )
        self._cursor, self._has_rows = inputs["cursor"], False
        self.epoch = self.epoch_step = 0
        self.seconds = self.rate = 0.0

    @property
    def lanes(self) -> int:
        """How many lanes an evaluation runs on."""
        return self._loop.lanes

    @property
    def is_slow(self) -> bool:
        """Whether the next call may take longer than a stop request should wait."""
        return takes_long(self.rate, self._loop.nanoseconds)

    @property
    def step(self) -> int:
        """Steps done since the first epoch."""
        return self.epoch + self.epoch_step

    @property
    def steps_per_epoch(self) -> int:
        return 1

    @property
    def epoch_is_done(self) -> bool:
        return self.epoch_step == 1

    @property
    def loss(self) -> float:
        """Of the point that the step of this epoch began at; NaN before it."""
        return float(self.state["met"]) if self.epoch_step else math.nan

    @property
    def is_finite(self) -> bool:
        """Whether theta is finite: it always is, since a minimiser goes only where the loss is."""
        return True

    @property
    def reason(self) -> str | None:
        """Why training ends here, as the minimiser sees it; None while steps help."""
        if math.isnan(float(self.state["value"])):
            return None
        return self._minimiser.reason(self._here(), self._moments())

    def scale_rate(self, factor: float) -> None:
        """Never asked for: `extent_of` refuses the rule that would."""

    def next_epoch(self) -> None:
        self.epoch, self.epoch_step = self.epoch + 1, 0

    def restore(self, arrays: Mapping[str, Array], epoch: int, epoch_step: int) -> None:
        """Go on from a state that was kept, such as a checkpoint's."""
        for name, array in self.state.items():
            array[...] = arrays[name]
        self.epoch, self.epoch_step = epoch, epoch_step

    def advance(self) -> Setback | None:
        """One step. A Setback means that the loss is not finite where training begins.

        A step that was interrupted by a stop request does not count, and has changed nothing.
        """
        begun, self.measured = time.perf_counter(), None
        if not self._placed():
            return None
        try:
            if math.isnan(float(self.state["value"])):
                start = self._evaluate(self._layout.pack(self.theta))
                if not start.is_finite:
                    return self.fall_back()
                self._stand_at(replace(start, kept=None))
            self._one()
            self.rate = 1 / max(time.perf_counter() - begun, 1e-9)
        except _GivenUp:
            self.measured = None
        finally:
            self.seconds += time.perf_counter() - begun
        return None

    def make(self, steps: int) -> int:
        """So many steps; fewer where none would help any more. Returns those that were made."""
        for done in range(steps):
            if self.epoch_is_done:
                self.next_epoch()
            if self.reason is not None or self.advance() is not None:
                return done
        return steps

    def _placed(self) -> bool:
        """Have all rows where the program reads them; False if that was not waited for."""
        if not self._has_rows:
            at = self.feed.place(0, 0, self._stop_requested)
            if at is not None:
                self._cursor[...], self._has_rows = at, True
        return self._has_rows

    def next_rows(self) -> int:
        """Rows of the next step, once they lie where a program reads them; 0 where they were not waited for."""
        return (self.feed.rows or 0) if self._placed() else 0

    def fall_back(self) -> Setback:
        """The setback of a step that cannot be made; theta is where it was."""
        return Setback(self.step, float(self.state["loss"]))

    def _measure(self, recorder: Recorder) -> None:
        """Measure the step that is about to be made."""
        self._trial[...] = self.theta
        recorder.begin()
        if self._measuring.run(1, self._stop_requested):
            self.measured = self.step, recorder.taken()

    def _one(self) -> None:
        state = self._moments()
        if self._recorder is not None:
            self._measure(self._recorder)
        with Inside(lambda: f"step of {short(self._minimiser)}", {"its state": state}):
            point, after = self._checked(self._minimiser.step(self._here(), state, self._evaluate), state)
        self.state["met"][...] = self.state["loss"]
        for name, array in state.items():
            if after[name] is not array:
                array[...] = after[name]
        self._stand_at(point)
        self.state["step"] += 1
        self.epoch_step = 1

    def _checked(self, made: Any, state: Mapping[str, Array]) -> tuple[_Evaluated, Mapping[str, Array]]:
        """The point and the state that a step returned, which may be a user's."""
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], _Evaluated)):
            raise ArgumentTypeError(
                f"step returns {shown(made)}, not (point, state)\n"
                "  try: return point, state, with a point that evaluate(theta) returned"
            )
        point, after = made
        if not isinstance(after, Mapping) or {*after} != {*state}:
            seen = sorted(map(str, after)) if isinstance(after, Mapping) else shown(after)
            raise ArgumentError(f"step returns the state {seen}, and start the state {sorted(state)}")
        if not point.is_finite:
            raise ArgumentError(f"step goes to a point where the loss is {point.value}")
        return point, after

    def _here(self) -> _Evaluated:
        state = self.state
        place = np.array(self._layout.pack(self.theta))
        return _Evaluated(place, float(state["value"]), state["gradient"], float(state["loss"]))

    def _moments(self) -> dict[str, Array]:
        """The minimiser's own arrays."""
        return {n.removeprefix(OPTIMIZER): array for n, array in self.state.items() if n.startswith(OPTIMIZER)}

    def _stand_at(self, point: _Evaluated) -> None:
        kept = {} if point.kept is None else kept_by_path(self._layout, point.kept)
        self.theta[...] = self._layout.unpack(self.theta, point.theta, kept)
        self.state["gradient"][...] = point.gradient
        self.state["value"][...], self.state["loss"][...] = point.value, point.loss

    def _evaluate(self, theta: Array) -> _Evaluated:
        """The loss of all rows and its gradient. A loss that is not finite has no gradient.

        theta: its trainable part, as `layout.pack` lays it.
        """
        place, shape = np.array(theta, self.theta.dtype), self.state["gradient"].shape
        if place.shape != shape:
            raise ArgumentError(f"evaluate takes theta, of shape {shape}, got one of shape {place.shape}")
        self._trial[...] = self._layout.unpack(self.theta, place)
        done = self._loop.run(1, self._stop_requested)
        if self._loop.was_stopped or (self._stop_requested is not None and self._stop_requested[0]):
            raise _GivenUp
        if not done:
            return _Evaluated(place, math.inf, np.full_like(place, np.nan), math.inf)
        found = self._found
        kept = found["kept"].copy() if "kept" in found else None
        return _Evaluated(place, float(found["value"]), found["gradient"].copy(), float(found["loss"]), kept)
