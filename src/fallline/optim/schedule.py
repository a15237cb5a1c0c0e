"""Schedules: the learning rate as a function of the step, in NumPy, so that it runs inside a traced step.

Steps count from 0. Lengths left at None are shares of the whole training, set by `resolve(total_steps)`.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from fallline import ranges
from fallline.arguments import record, shown, takes
from fallline.config import enter, saved
from fallline.errors import ArgumentError, ArgumentTypeError, Attributes, TraceError, unknown
from fallline.graph.inside import Inside
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.ops.arithmetic import where
from fallline.ranges import FAR, STEPS, option

Shares = Mapping[str, float]


@record
@dataclass(frozen=True)
class Schedule(Attributes):
    """A learning rate that changes with the step: in the place of an optimizer's learning_rate.

    A subclass gives `__call__(step)`, and in `shares` the part of a training that a length left at None takes.
    learning_rate: > 0, the highest rate.
    Errors: ArgumentError outside the declared ranges, and from a call where a length is still open.
    Example: Adam(Cosine(1e-3)); Cosine(1e-3, steps=100)(50) is 5e-4
    """

    name: ClassVar[str]
    shares: ClassVar[Shares] = {}  # a length that is None -> its share of all steps
    learning_rate: float = option(1e-3, "the highest rate", above=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def __call__(self, step: Any) -> Any:
        """The learning rate of this step, >= 0; step may be a number, an array or a traced value."""
        raise NotImplementedError

    @takes(total_steps=STEPS)
    def resolve(self, total_steps: int) -> "Schedule":
        """The same schedule with the lengths it has in a training of this many steps."""
        open_ = {name: share for name, share in self.shares.items() if getattr(self, name) is None}
        lengths: dict[str, Any] = {name: max(1, round(share * total_steps)) for name, share in open_.items()}
        return replace(self, **lengths)

    def length(self, name: str) -> int:
        """A length in steps; an error where it is still open."""
        steps: int | None = getattr(self, name)
        if steps is None:
            raise ArgumentError(
                f"the schedule {self.name!r} does not know how many steps there are\n"
                f"  try: {name}=..., or .resolve(total_steps); training does so by itself"
            )
        return steps

    def progress(self, step: Any) -> Any:
        """How much of `steps` is done, 0..1."""
        return np.minimum(step / self.length("steps"), 1.0)


SCHEDULES: dict[str, type[Schedule]] = {}
S = TypeVar("S", bound=type[Schedule])
_LENGTH: dict[str, Any] = {"at_least": 1, "below": FAR, "whole": True, "optional": True}


def schedule(cls: S) -> S:
    """Enter a schedule under its name."""
    enter(SCHEDULES, cls.name, cls, "schedules")
    return saved(cls)


def get(name: str, **fields: Any) -> Schedule:
    """The schedule of this name with these fields.

    Errors: ArgumentError for unknown names, with the nearest, and for values out of range.
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    known = [field for field, _, _ in ranges.options(SCHEDULES[name])] + ["then"] * (name == WarmUp.name)
    for field in fields:
        if field not in known:
            raise unknown(f"argument of {name}", field, known)
    return SCHEDULES[name](**fields)


@schedule
@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate throughout.

    Errors: ArgumentError outside the declared ranges.
    Example: Constant(0.1)
    """

    name = "constant"

    def __call__(self, step: Any) -> Any:
        return self.learning_rate


@schedule
@dataclass(frozen=True)
class Step(Schedule):
    """A fall at regular intervals: learning_rate * factor^floor(step / every).

    every: steps between falls, >= 1; None: a third of the training. factor: 0 < factor <= 1.
    Errors: ArgumentError outside the declared ranges.
    Example: Step(0.1, every=1000, factor=0.5)
    """

    name = "step"
    shares: ClassVar[Shares] = {"every": 1 / 3}
    _: KW_ONLY
    every: int | None = option(None, "steps between falls; None: a third of the training", **_LENGTH)
    factor: float = option(0.1, "factor of a fall", above=0, at_most=1)

    def __call__(self, step: Any) -> Any:
        return self.learning_rate * self.factor ** np.floor(step / self.length("every"))


@schedule
@dataclass(frozen=True)
class Exponential(Schedule):
    """The same fall in proportion at every step: learning_rate * final^(step / steps), constant after `steps`.

    final: 0 < final <= 1, the share of the rate that is left at the end. steps: >= 1; None: the whole training.
    Errors: ArgumentError outside the declared ranges.
    Example: Exponential(0.1, final=0.01)
    """

    name = "exponential"
    shares: ClassVar[Shares] = {"steps": 1.0}
    _: KW_ONLY
    final: float = option(0.01, "share of the rate left at the end", above=0, at_most=1)
    steps: int | None = option(None, "steps it takes; None: the whole training", **_LENGTH)

    def __call__(self, step: Any) -> Any:
        return self.learning_rate * self.final ** self.progress(step)


@schedule
@dataclass(frozen=True)
class InversePower(Schedule):
    """A fall like a power of the time: fast at first, ever slower, to no end.

        learning_rate (1 + growth floor(step / every))^(-power)

    power: >= 0; the sum of all rates is infinite, and that of their squares is not, for 1/2 < power <= 1.
    every: steps between falls, >= 1. growth: > 0, how much a fall adds to the time.
    With `every` the steps of an epoch and `growth` its rows it is scikit-learn's "invscaling".
    Errors: ArgumentError outside the declared ranges.
    Example: InversePower(0.1, power=0.5)
    Source: Robbins & Monro 1951, A stochastic approximation method, for power = 1.
    """

    name = "inverse_power"
    _: KW_ONLY
    power: float = option(0.5, "power of the time", at_least=0)
    every: int = option(1, "steps between falls", at_least=1, below=FAR, whole=True)
    growth: float = option(1.0, "time that a fall adds", above=0)

    def __call__(self, step: Any) -> Any:
        return self.learning_rate * (1.0 + self.growth * np.floor(step / self.every)) ** -self.power


@schedule
@dataclass(frozen=True)
class Cosine(Schedule):
    """Down along half a cosine, constant after `steps`.

        learning_rate (final + (1 - final) (1 + cos(pi step / steps)) / 2)

    final: 0 <= final <= 1, the share of the rate that is left at the end. steps: >= 1; None: the whole training.
    Errors: ArgumentError outside the declared ranges.
    Example: Cosine(1e-3)
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
    """

    name = "cosine"
    shares: ClassVar[Shares] = {"steps": 1.0}
    _: KW_ONLY
    final: float = option(0.0, "share of the rate left at the end", at_least=0, at_most=1)
    steps: int | None = option(None, "steps it takes; None: the whole training", **_LENGTH)

    def __call__(self, step: Any) -> Any:
        wave = 0.5 + 0.5 * np.cos(np.pi * self.progress(step))
        return self.learning_rate * (self.final + (1 - self.final) * wave)


@schedule
@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight rise from near 0 over `warm_steps`, then another schedule, whose step 0 is the end of the rise.

        then(0) (step + 1) / warm_steps   while step < warm_steps;   then(step - warm_steps) afterwards

    warm_steps: of the rise, >= 1; None: a twentieth of the training.
    then: a schedule, or a function of the step, with a rate of its own; None stays at learning_rate.
    Errors: ArgumentError outside the declared ranges; ArgumentTypeError or TraceError for a `then` that is no function
        of the step.
    Example: WarmUp(warm_steps=100, then=Cosine(1e-3))
    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2.
    """

    name = "warm_up"
    shares: ClassVar[Shares] = {"warm_steps": 0.05}
    _: KW_ONLY
    warm_steps: int | None = option(None, "steps of the rise; None: a twentieth of the training", **_LENGTH)
    then: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        ranges.check(self)
        if self.then is not None and not isinstance(self.then, Schedule):
            check_function(self.then)

    def __call__(self, step: Any) -> Any:
        then, warm_steps = self.then or Constant(self.learning_rate), self.length("warm_steps")
        # Both sides are computed, so the second one must not be asked about steps before its own start.
        after = then(np.maximum(step - warm_steps, 0))
        return where(step < warm_steps, then(0) * ((step + 1) / warm_steps), after)

    @takes(total_steps=STEPS)
    def resolve(self, total_steps: int) -> "WarmUp":
        warm_steps = self.warm_steps or max(1, round(self.shares["warm_steps"] * total_steps))
        left = max(1, total_steps - warm_steps)
        then = self.then.resolve(left) if isinstance(self.then, Schedule) else self.then
        return replace(self, warm_steps=warm_steps, then=then)


@schedule
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to learning_rate, then down to nearly nothing, each along half a cosine; constant after `steps`.

        from learning_rate / start, over the share `rise` of the steps, then down to learning_rate / (start end)

    rise: 0 < rise < 1. start, end: >= 1. steps: >= 1; None: the whole training.
    Errors: ArgumentError outside the declared ranges.
    Example: OneCycle(0.01)
    Source: Smith & Topin 2018, arXiv:1708.07120; shape and defaults are those of PyTorch's OneCycleLR.
    """

    name = "one_cycle"
    shares: ClassVar[Shares] = {"steps": 1.0}
    _: KW_ONLY
    rise: float = option(0.3, "share of the steps spent rising", above=0, below=1)
    start: float = option(25.0, "the highest rate divided by the first", at_least=1)
    end: float = option(1e4, "the first rate divided by the last", at_least=1)
    steps: int | None = option(None, "steps it takes; None: the whole training", **_LENGTH)

    def __call__(self, step: Any) -> Any:
        t = self.progress(step)
        first, highest = self.learning_rate / self.start, self.learning_rate
        up = between(first, highest, t / self.rise)
        return where(t < self.rise, up, between(highest, first / self.end, (t - self.rise) / (1 - self.rise)))


@schedule
@dataclass(frozen=True)
class FlatCosine(Schedule):
    """The same for a share of the steps, then down to 0 along half a cosine.

        learning_rate (1 + cos(pi max(0, t - flat) / (1 - flat))) / 2        t: step / steps

    flat: 0 <= flat < 1. steps: >= 1; None: the whole training.
    Errors: ArgumentError outside the declared ranges.
    Example: FlatCosine(1e-3)
    Source: Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, appendix A.
    """

    name = "flat_cosine"
    shares: ClassVar[Shares] = {"steps": 1.0}
    _: KW_ONLY
    flat: float = option(0.5, "share of the steps before the fall", at_least=0, below=1)
    steps: int | None = option(None, "steps it takes; None: the whole training", **_LENGTH)

    def __call__(self, step: Any) -> Any:
        fallen = np.maximum(self.progress(step) - self.flat, 0.0) / (1 - self.flat)
        return self.learning_rate * (0.5 + 0.5 * np.cos(np.pi * fallen))


@schedule
@dataclass(frozen=True)
class CosLog(Schedule):
    """Waves from 0 to the highest rate and back, each twice as long as the one before.

        learning_rate (1 - cos(2 pi log2(1 + (2^waves - 1) t))) / 2        t: step / steps

    waves: >= 1. steps: >= 1; None: the whole training.
    Errors: ArgumentError outside the declared ranges.
    Example: Adam(CosLog(0.04), beta2=0.95)
    Source: Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, section 3.2, with 4 waves.
    """

    name = "cos_log"
    shares: ClassVar[Shares] = {"steps": 1.0}
    _: KW_ONLY
    waves: int = option(4, "waves in all", at_least=1, at_most=30, whole=True)
    steps: int | None = option(None, "steps it takes; None: the whole training", **_LENGTH)

    def __call__(self, step: Any) -> Any:
        turns = np.log2(1 + (2**self.waves - 1) * self.progress(step))
        return self.learning_rate * (0.5 - 0.5 * np.cos(2 * np.pi * turns))


def between(a: float, b: float, t: Any) -> Any:
    """From a at t = 0 to b at t = 1 along half a cosine."""
    return b + (a - b) * (0.5 + 0.5 * np.cos(np.pi * t))


def check_function(function: Callable[[Any], Any]) -> None:
    """Raise unless a user's function of the step can be recorded and gives one number."""
    if not callable(function):
        raise ArgumentTypeError(f"a schedule, or a function of the step, is needed, got {shown(function)}")
    try:
        with Inside(lambda: "a learning rate that is a function of the step", ours_pass=True):
            _, rate = trace(function, [new_input((), np.int64, "step")])
    except TraceError as error:
        raise TraceError(
            f"a learning rate that is a function of the step runs inside the step's graph: {error}"
        ) from None
    if getattr(rate, "shape", None) != ():
        raise ArgumentTypeError("a learning rate that is a function of the step has to return one number")
