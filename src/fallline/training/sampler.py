"""Samples gauges between two machine calls: when, on which rows, and at what cost. Knows no single gauge.

Training never depends on it: it reads the state of the stepper and writes nothing there.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.feeds.order import stream
from fallline.gauges.chosen import Gauges
from fallline.gauges.gauge_graph import GaugeProgram, Sample, by_reference, compiled, why
from fallline.gauges.gauge_table import Facts
from fallline.gauges.inner_values import PROBE
from fallline.graph.op import Array
from fallline.jobs.job import Job
from fallline.jobs.named import Rows
from fallline.runs.events import Gauged
from fallline.training.feed import Resident
from fallline.training.steppers import Stepper

# Bytes of the rows that are looked at all along.
PROBE_BYTES = 1 << 25
# Before anything is known a sample is taken to cost so many times what making the step did.
_FIRST_COST = 2.0
# Between two samples the training's time grows by this factor, so that long trainings hold hundreds of them.
_GROWTH = 1.01
# A sample that takes longer than this is compiled from the next one on; shorter ones never repay the compiler.
COMPILE_SECONDS = 1.0


class Sampler:
    """The gauges of one training.

    spent: seconds that samples took so far, making their program included.
    """

    def __init__(self, job: Job, gauges: Gauges, stepper: Stepper, made_in: float) -> None:
        """stepper: as it was before a resumed run went on, with the first parameters. made_in: seconds that it took to
        make."""
        self.job, self.gauges, self._stepper = job, gauges, stepper
        self.spent, self._estimate = 0.0, _FIRST_COST * made_in
        self._start = stepper.theta.copy()
        self._last: int | None = None
        self._next = 0.0  # seconds of training before which no sample is due
        self._programs: dict[int, GaugeProgram] = {}
        self._slow = False
        self._probe: dict[str, Array] | None = None
        self._probe_rows: Array | None = None
        self._told: set[str] = set()
        self._over = False

    def is_due(self) -> bool:
        """Whether to take a sample before the next step."""
        every, stepper = self.gauges.every, self._stepper
        if self._over:
            return False
        if every is not None:
            return stepper.step % every == 0 and stepper.step != self._last
        seconds = stepper.seconds
        return seconds >= self._next and self.spent + self._estimate <= self.gauges.share * seconds

    def limit_calls(self) -> None:
        """Have the stepper's next call end where a sample is due."""
        if self.gauges.every is not None:
            self._stepper.limit = self.gauges.every - self._stepper.step % self.gauges.every

    def last(self) -> Gauged | None:
        """A sample after the last step, where one can be had: the step that would come next is looked at.

        By time there is always this one, however short the training was.
        """
        stepper, every = self._stepper, self.gauges.every
        can = isinstance(stepper.feed, Resident) and stepper.step != self._last
        if every is not None:
            return self.sample() if can and self.is_due() else None
        affordable = self.spent + self._estimate <= self.gauges.share * stepper.seconds
        return self.sample() if can and (affordable or self._last is None) else None

    def sample(self) -> Gauged | None:
        """The gauges before the next step; None where its rows are not there, or gauges cannot be had at all."""
        begun, stepper, rows = time.perf_counter(), self._stepper, 0
        try:
            rows = stepper.next_rows()
            whole = rows == min(self.job.batch_size, stepper.feed.rows or self.job.batch_size)
            if not rows or not (whole or self.gauges.every is not None):
                return None
            found = self._taken(rows)
        except Exception as error:  # whatever happens to gauges, the training goes on
            self._over = True
            found = Sample({}, {one.name: why(error) for one in self.gauges.chosen})
        took = time.perf_counter() - begun
        self.spent += took
        # At fixed steps all numbers follow from the seed, and not from which of the two was quick enough.
        self._slow = took > COMPILE_SECONDS and self.gauges.every is None
        self._next = stepper.seconds * _GROWTH
        # Making the program was part of the first sample, and is not part of the next.
        self._estimate = took if self._last is not None else min(took, self._estimate)
        interval = 0 if self._last is None else stepper.step - self._last
        self._last = stepper.step
        notes = tuple(f"no {name}: {reason}" for name, reason in found.missing.items() if name not in self._told)
        self._told |= found.missing.keys()
        share = self.spent / stepper.seconds if stepper.seconds > 0 else 0.0
        return Gauged(stepper.epoch, stepper.step, found.values, interval, took, share, rows, notes)

    def _taken(self, rows: int) -> Sample:
        stepper, model = self._stepper, self.job.model
        given = {**stepper.inputs, **stepper.state, "start": self._start, **self._looked_at()}
        facts = Facts(model.classes, self._probe_rows, stepper.feed.rows)
        program = self._programs.get(rows)
        if program is None or (self._slow and not program.is_compiled):
            whole = stepper.feed.is_whole and rows == stepper.feed.rows
            make = compiled if self._slow else by_reference
            program = GaugeProgram(model, self.job.optimizer, self.gauges.chosen, given, None if whole else rows,
                                   self.job.settings.threads, make)  # fmt: skip
            self._programs[rows] = program
        return program(given, facts)

    def _looked_at(self) -> dict[str, Array]:
        """Rows that stay the same for the whole training, as named arrays."""
        if self._probe is None:
            feed, train = self._stepper.feed, self.job.train
            if isinstance(train, Rows):
                found, self._probe_rows = probe_of(train, self.job.seed, self.gauges.rows)
            else:  # those of a stream that lie there now
                cursor = int(self._stepper.state["cursor"])
                most = most_rows(feed.arrays, min(self.gauges.rows, feed.ready))
                found = _some(feed.arrays, feed.order[cursor : cursor + most])
            self._probe = {PROBE + name: array for name, array in found.items()}
        return self._probe


def probe_of(train: Rows, seed: int, most: int) -> tuple[dict[str, Array], Array]:
    """Training rows that stay the same for a whole run, drawn from its seed, as named arrays; and their numbers."""
    rng, size = stream(seed, "rows of gauges"), min(len(train.index), most_rows(train.data, most))
    chosen = np.sort(rng.choice(train.index, size, replace=False))
    return _some(train.data, chosen), chosen


def most_rows(arrays: Mapping[str, Any], most: int) -> int:
    """Rows that are looked at, at most: so many, and no more than fit into PROBE_BYTES."""
    width = sum(int(array.dtype.itemsize) * math.prod(array.shape[1:]) for array in arrays.values())
    return max(1, min(most, int(PROBE_BYTES // max(1, width))))


def _some(arrays: Mapping[str, Any], chosen: Array) -> dict[str, Array]:
    return {name: np.array(array[chosen]) for name, array in arrays.items() if name != "weight"}
