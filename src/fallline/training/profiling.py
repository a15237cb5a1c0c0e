"""Where the time of a training step goes: by layer and by kind of instruction, compared with the machine's peak.

Works on a copy of the state, so the run it is about is never touched.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.config import from_config
from fallline.errors import ArgumentError
from fallline.jobs.job import Job, prepare
from fallline.jobs.settings import Settings
from fallline.nn.model import Model
from fallline.optim import Minimiser, Optimizer
from fallline.program import lanes
from fallline.program import step_loop as loop
from fallline.program.profile import Peak, Timed, measure_peak, timed
from fallline.program.step_loop import Loop, MachineLoop
from fallline.ranges import Range
from fallline.steps.gradient_step import LOSS, found_at
from fallline.training.feed import feed_of, gathered_feed
from fallline.training.minimise import evaluation
from fallline.training.stepper import first_state, step_graphs, step_inputs
from fallline.training.units import columns, in_seconds

# The name for nodes that were made outside of any named layer.
UNNAMED = "network"
# Times that the machine's peak is measured again where a step seems to be faster than it.
AGAIN = 3
BUSY = "\n>100%: the machine did other work while its peak was measured; measure again on an idle machine"


@dataclass(frozen=True, slots=True)
class Share:
    """Some of a step's instructions: their number, time, operations and bytes on one core.

    least_seconds: of the same work at the peak rates of this machine, as measured in the same profile.
    """

    name: str
    instructions: int
    forward_seconds: float
    backward_seconds: float
    flops: int
    bytes: int
    least_seconds: float

    @property
    def seconds(self) -> float:
        return self.forward_seconds + self.backward_seconds

    @property
    def of_peak(self) -> float:
        """The fraction of this machine's peak: 1 where nothing could be faster on one core."""
        return self.least_seconds / self.seconds if self.seconds else 0.0

    @property
    def is_above_peak(self) -> bool:
        """Whether more than the peak is shown, which means that the peak was measured on a busy machine."""
        return self.of_peak >= 1.005  # it rounds to more than 100 %


@dataclass(frozen=True)
class Profile:
    """A training step, instruction by instruction on one core.

    instructions: in running order, each with its median time. peak: rates of this machine at best. lanes,
    step_seconds: on how many lanes a step runs in training, and how long it then takes.
    """

    instructions: tuple[Timed, ...]
    peak: Peak
    lanes: int
    step_seconds: float

    @property
    def seconds(self) -> float:
        """Of a step on one core, as the sum of its instructions."""
        return sum(one.seconds for one in self.instructions)

    @property
    def layers(self) -> tuple[Share, ...]:
        """By layer, in the order of the forward pass; in addition to the layers, `batch`, `loss`, `optimizer`,
        `counters`.

        Elementwise work that is done in one pass for several layers counts for the last of them.
        """
        return self._shares(lambda one: one.instruction.where.part or UNNAMED)

    @property
    def kinds(self) -> tuple[Share, ...]:
        """By kind of instruction, the longest first."""
        return tuple(sorted(self._shares(lambda one: one.kind), key=lambda share: -share.seconds))

    def _shares(self, name_of: Callable[[Timed], str]) -> tuple[Share, ...]:
        names = dict.fromkeys(name_of(one) for one in self.instructions)
        return tuple(self._share(name, [one for one in self.instructions if name_of(one) == name]) for name in names)

    def _share(self, name: str, some: Sequence[Timed]) -> Share:
        def seconds(backward: bool) -> float:
            return sum(one.seconds for one in some if one.instruction.where.backward is backward)

        least = sum(self.peak.least_seconds(one.flops, one.bytes) for one in some)
        flops, nbytes = (sum(values) for values in zip(*((one.flops, one.bytes) for one in some)))
        return Share(name, len(some), seconds(False), seconds(True), flops, nbytes, least)

    @property
    def is_above_peak(self) -> bool:
        """Whether some part seems to be faster than this machine can be."""
        return any(share.is_above_peak for share in (*self.layers, *self.kinds))

    def __str__(self) -> str:
        whole, rates = self.seconds, [rate for _, rate in self.peak.memory]
        lanes = "one lane" if self.lanes == 1 else f"{self.lanes} lanes"
        return "\n".join([
            f"a step takes {in_seconds(self.step_seconds)} on {lanes}; one instruction at a time, {in_seconds(whole)}",
            f"peak of one core: {self.peak.products / 1e9:,.0f} GFLOP/s in products, "
            f"{rates[0] / 1e9:,.0f} GB/s in cache, {rates[-1] / 1e9:,.0f} GB/s in memory",
            "",
            *table("part", self.layers, whole),
            "",
            *table("kind", self.kinds, whole),
            *([BUSY] if self.is_above_peak else []),
        ])  # fmt: skip


def table(head: str, shares: Iterable[Share], whole: float) -> list[str]:
    """Lines of text: one for each share, with its share of the time and of the machine's peak rates."""
    rows: list[tuple[str, ...]] = [(head, "forward", "backward", "share", "MFLOP", "MB", "GFLOP/s", "GB/s", "peak")]
    for share in shares:
        rates = (amount / share.seconds / 1e9 if share.seconds else 0.0 for amount in (share.flops, share.bytes))
        times = (in_seconds(s) if s else "" for s in (share.forward_seconds, share.backward_seconds))
        part = share.seconds / whole if whole else 0.0
        rows.append(
            (
                share.name,
                *times,
                f"{part:.1%}",
                f"{share.flops / 1e6:.3g}",
                f"{share.bytes / 1e6:.3g}",
                *(f"{rate:.1f}" for rate in rates),
                ">100%" if share.is_above_peak else f"{share.of_peak:.0%}",
            )
        )
    return columns(rows)


def job_again(model: Model, config: Mapping[str, Any], data: Any, **more: Any) -> Job:
    """The job that a run's config describes, on these data, at the parameters of this model.

    more: further settings of the training.
    Errors: ArgumentError for an optimizer that no file can hold.
    """
    if "not_saved" in config["optimizer"]:
        raise ArgumentError(f"the run was trained by {config['optimizer']['not_saved']}, which no file can hold")
    names = ("batch_size", "shuffle", "seed", "dtype", "threads", "gradient_checkpointing")
    given: dict[str, Any] = {name: config[name] for name in names if name in config}
    return prepare(model, data, Settings(optimizer=from_config(config["optimizer"], Optimizer), **given, **more))


def profile_of(job: Job, seconds: float = 1.0) -> Profile:
    """A profile of this job's step, at the parameters of its model.

    seconds: to spend, about, in addition to the compilation.
    """
    wrong = Range(above=0).problem(seconds)
    if wrong:
        raise ArgumentError(f"seconds {wrong}")
    feed = feed_of(job.train, job.batch_size, 1, job.seed, job.shuffle, job.steps)
    state = first_state(job.model, job.optimizer, "weight" in feed.arrays)
    if isinstance(job.optimizer, Minimiser):  # an evaluation, of which a step makes one or more
        found = found_at(job.model, "weight" in feed.arrays)
        feed = gathered_feed(feed)
        make, inputs = evaluation(job, feed, found, state["theta"])
        graph, watch, arrays = make(), LOSS, (list(found.values()), list(inputs.values()))
    else:
        graph, watch = next(step_graphs(job.model, job.optimizer, state, feed, job.batch_size)), len(state)
        arrays = list(state.values()), list(step_inputs(job.optimizer, feed).values())
    start, steps = feed.place(0, 0), max(1, feed.ready // job.batch_size)

    def rewind() -> None:
        state["cursor"][...] = start

    options: dict[str, Any] = {"watch": watch, "gradient_checkpointing": job.gradient_checkpointing}
    alone = loop.build(graph, *arrays, threads=1, **options)
    assert isinstance(alone, MachineLoop)
    as_trained = loop.build(graph, *arrays, threads=job.settings.threads, **options)
    made = Profile(
        instructions=timed(alone.program, steps, rewind, seconds / 3),
        peak=measure_peak(job.model.dtype, seconds / 3),
        lanes=as_trained.lanes,
        step_seconds=_typical(as_trained, steps, rewind, seconds / 3),
    )
    for _ in range(AGAIN):
        if made.is_above_peak:
            made = replace(made, peak=made.peak.over(measure_peak(job.model.dtype, seconds / 3)))
    lanes.rest()
    feed.close()
    return made


def _typical(run: Loop, block: int, rewind: Callable[[], None], seconds: float) -> float:
    """The median time of a step, over calls of many."""
    found: list[float] = []
    rewind()
    run.run(1)
    end = time.perf_counter() + seconds
    inner = 1
    while len(found) < 3 or time.perf_counter() < end:
        rewind()
        begun = time.perf_counter()
        done = run.run(min(block, inner))
        found.append((time.perf_counter() - begun) / max(done, 1))
        inner = max(1, min(int(0.01 / found[-1]), 2 * inner))
    return float(np.median(found[len(found) // 2 :]))
