"""Schedules: the learning rate as a function of the step, in NumPy, so that it runs inside a traced step.

Steps count from 0. A schedule that needs to know how many steps there will be is told by `resolve(total_steps)`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from fallline import ranges
from fallline.errors import ArgumentError, ArgumentTypeError, TraceError, unknown
from fallline.graph.node import new_input
from fallline.graph.trace import trace
from fallline.ops.arithmetic import where
from fallline.ranges import Range, option


@dataclass(frozen=True)
class Schedule:
    """A learning rate that changes with the step."""

    name: ClassVar[str]
    learning_rate: float = option(1e-3, "the rate the schedule scales", above=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def __call__(self, step: Any) -> Any:
        """The learning rate of this step, >= 0."""
        raise NotImplementedError

    def resolve(self, total_steps: int) -> "Schedule":
        """The same schedule for a training of this many steps."""
        if any(name == "steps" and value is None for name, value in vars(self).items()):
            return replace(self, steps=max(1, int(total_steps)))  # type: ignore[call-arg]
        return self


SCHEDULES: dict[str, type[Schedule]] = {}
S = TypeVar("S", bound=type[Schedule])


def schedule(cls: S) -> S:
    """Enter a schedule under its name."""
    SCHEDULES[cls.name] = cls
    return cls


def get(name: str, **fields: Any) -> Schedule:
    """The schedule of this name with these fields."""
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    return SCHEDULES[name](**fields)


def whole_length() -> Any:
    return option(None, "steps it takes; None: the whole training", at_least=1, whole=True, optional=True)


def fraction(step: Any, steps: int | None, name: str) -> Any:
    """How much of the way is done, 0..1."""
    if steps is None:
        raise ArgumentError(f"the schedule {name!r} does not know how many steps there are\n"
                            "  try: steps=..., or .resolve(total_steps); training does so by itself")  # fmt: skip
    return np.minimum(step / steps, 1.0)


@schedule
@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate throughout."""

    name = "constant"

    def __call__(self, step: Any) -> Any:
        return self.learning_rate


@schedule
@dataclass(frozen=True)
class Step(Schedule):
    """learning_rate * factor^floor(step / every): a fall at regular intervals."""

    name = "step"
    every: int = option(1000, "steps between falls", at_least=1, whole=True)
    factor: float = option(0.5, "what a fall multiplies by", above=0, at_most=1)

    def __call__(self, step: Any) -> Any:
        return self.learning_rate * self.factor ** np.floor(step / self.every)


@schedule
@dataclass(frozen=True)
class Exponential(Schedule):
    """learning_rate * final^(step / steps): an even fall in proportion, reaching `final` of it at the end."""

    name = "exponential"
    final: float = option(0.01, "share of the rate left at the end", above=0, at_most=1)
    steps: int | None = whole_length()

    def __call__(self, step: Any) -> Any:
        return self.learning_rate * self.final ** fraction(step, self.steps, self.name)


@schedule
@dataclass(frozen=True)
class Cosine(Schedule):
    """From learning_rate down to `final` of it along half a cosine.

    learning_rate * (final + (1 - final) (1 + cos(pi step / steps)) / 2)

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
    """

    name = "cosine"
    final: float = option(0.0, "share of the rate left at the end", at_least=0, at_most=1)
    steps: int | None = whole_length()

    def __call__(self, step: Any) -> Any:
        wave = 0.5 + 0.5 * np.cos(np.pi * fraction(step, self.steps, self.name))
        return self.learning_rate * (self.final + (1 - self.final) * wave)


@schedule
@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight rise from near 0 over `warm_steps`, then another schedule, which counts its steps from there.

    learning_rate: of the rise's end where `then` is not given. then: a schedule; None stays at learning_rate.
    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2.
    """

    name = "warm_up"
    warm_steps: int = option(100, "steps of the rise", at_least=1, whole=True)
    then: Callable[[Any], Any] | None = None

    def __call__(self, step: Any) -> Any:
        then = self.then or (lambda step: self.learning_rate)
        # Both sides are computed, so the second one must not be asked about steps before its own start.
        after = then(np.maximum(step - self.warm_steps, 0))
        return where(step < self.warm_steps, then(0) * ((step + 1) / self.warm_steps), after)

    def resolve(self, total_steps: int) -> "Schedule":
        if not isinstance(self.then, Schedule):
            return self
        return replace(self, then=self.then.resolve(max(1, total_steps - self.warm_steps)))


@schedule
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from a small rate to learning_rate, then down to nearly nothing, each along half a cosine.

    rises from learning_rate / start over the share `rise` of the steps, then falls to learning_rate / start / end
    Source: Smith & Topin 2018, arXiv:1708.07120; the shape and the defaults are those of PyTorch's OneCycleLR.
    """

    name = "one_cycle"
    rise: float = option(0.3, "share of the steps spent rising", above=0, below=1)
    start: float = option(25.0, "what the highest rate is divided by at the start", at_least=1)
    end: float = option(1e4, "what the first rate is divided by at the end", at_least=1)
    steps: int | None = whole_length()

    def __call__(self, step: Any) -> Any:
        t = fraction(step, self.steps, self.name)
        low, high = self.learning_rate / self.start, self.learning_rate
        lowest = low / self.end
        up = low + (high - low) * (0.5 - 0.5 * np.cos(np.pi * (t / self.rise)))
        down = lowest + (high - lowest) * (0.5 + 0.5 * np.cos(np.pi * ((t - self.rise) / (1 - self.rise))))
        return where(t < self.rise, up, down)


def check_function(function: Callable[[Any], Any]) -> None:
    """Raise unless a user's function of the step can be recorded and gives one number."""
    try:
        _, rate = trace(function, [new_input((), np.int64, "step")])
    except TraceError as error:
        raise TraceError(f"learning_rate, a function of the step, cannot be recorded: {error}") from None
    if rate.shape != ():
        raise ArgumentTypeError(
            f"learning_rate, a function of the step, returns shape {tuple(rate.shape)}, not a number"
        )


__all__ = ["SCHEDULES", "Constant", "Cosine", "Exponential", "OneCycle", "Range", "Schedule", "Step", "WarmUp",
           "check_function", "get"]  # fmt: skip
