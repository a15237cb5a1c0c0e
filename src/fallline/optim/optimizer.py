"""What every optimizer has: a learning rate, weight decay, clipping; and the table of their names.

An optimizer is a frozen record. Its update is plain NumPy over the flat vector theta, so it is traced into the step.
Whole vectors stay in theta's precision; single numbers are computed in float64 and rounded once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from fallline import ranges
from fallline.arguments import NAME, record, shown, takes
from fallline.config import enter, saved
from fallline.errors import ArgumentError, ArgumentTypeError, Attributes, unknown
from fallline.graph.inside import Inside
from fallline.graph.node import Node
from fallline.graph.op import Array
from fallline.optim import schedule as schedules
from fallline.optim.schedule import Schedule
from fallline.ranges import STEPS, option, short

# More steps than anybody can wait for; a schedule counts them in int64.
_MOST_STEPS = 2**62
State = dict[str, Any]
LearningRate = float | Callable[[Any], Any]
RATE: dict[str, Any] = {"doc": "size of a step: a number, or a schedule", "above": 0, "function": True}


def zeros(theta: Any) -> Any:
    """A vector of zeros like theta. Errors: ArgumentTypeError for a tree of parameters or a model in its place."""
    if not hasattr(theta, "dtype") or theta.dtype.kind not in "fiub":
        raise ArgumentTypeError(
            f"theta has to be a vector of numbers, got {shown(theta)}\n  try: model.theta, the vector"
        )
    return np.zeros_like(theta)


@record
@dataclass(frozen=True, kw_only=True)
class Optimizer(Attributes):
    """From theta and its gradient to the next theta.

        g = clip(g);  g = g + weight_decay theta (weights only; beside the step for AdamW);  theta = rule(theta, g)

    learning_rate: a number > 0, a schedule, or a function of the step written in NumPy.
    weight_decay: >= 0, pull of the weights towards 0. clip_value: elements of the gradient are cut to +-clip_value.
    clip_norm: then the whole gradient is scaled down to this norm where it is longer. None leaves it alone.
    Errors: ArgumentError outside the declared ranges; TraceError for a function that branches on the step.
    """

    name: ClassVar[str]
    decoupled: ClassVar[bool] = False  # weight decay beside the gradient's step instead of in the gradient
    learning_rate: LearningRate = option(1e-3, **RATE)
    weight_decay: float = option(0.0, "pull of weights (not biases) towards 0", at_least=0)
    clip_norm: float | None = option(None, "largest norm of the gradient", above=0, optional=True)
    clip_value: float | None = option(None, "largest absolute value in the gradient", above=0, optional=True)

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "name"):
            cls.name = cls.__name__

    def __post_init__(self) -> None:
        ranges.check(self)
        if callable(self.learning_rate) and not isinstance(self.learning_rate, Schedule):
            schedules.check_function(self.learning_rate)

    def init(self, theta: Array) -> dict[str, Array]:
        """The state before the first step: arrays like theta, by name."""
        return {}

    def rule(self, theta: Any, g: Any, state: State, step: Any, learning_rate: Any) -> tuple[Any, State]:
        """One update from a gradient that is already clipped; `learning_rate` is this step's."""
        raise NotImplementedError

    def update(
        self, theta: Any, g: Any, state: State, step: Any, decay_mask: Any = None, learning_rate: Any = None
    ) -> tuple[Any, State]:
        """theta and state after a step; `step` counts from 0, `decay_mask` is 1 where decay pulls, None: everywhere.

        learning_rate: of this step, as a traced float64 number; None: the optimizer's own.
        """
        learning_rate = self.rate_at(step) if learning_rate is None else learning_rate
        g = self.clipped(g)
        if self.weight_decay and not self.decoupled:
            g = g + decay(theta, self.weight_decay, decay_mask)
        made = self.rule(theta, g, state, step, learning_rate)
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict)):
            raise ArgumentTypeError(f"rule returns {shown(made)}, not (theta, state)")
        new, state = made
        if self.weight_decay and self.decoupled:
            new = new - decay(theta, learning_rate * self.weight_decay, decay_mask)
        return new, state

    def rate_at(self, step: Any) -> Any:
        """The learning rate of a step."""
        return self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate

    @takes(total_steps=STEPS)
    def resolve(self, total_steps: int) -> "Optimizer":
        """The same optimizer for a training of this many steps: a schedule may need to know.

        Errors: ArgumentError for a learning rate that is negative or not finite at the first or the last step.
        """
        resolved, total_steps = self, min(total_steps, _MOST_STEPS)
        if isinstance(self.learning_rate, Schedule):
            resolved = replace(self, learning_rate=self.learning_rate.resolve(total_steps))
        for step in (0, max(0, total_steps - 1)):
            with Inside(lambda: f"the learning rate of {short(self)}", ours_pass=True):
                rate = float(resolved.rate_at(np.int64(step)))
            if not 0 <= rate < np.inf:
                raise ArgumentError(f"the learning rate is {rate} at step {step}; it has to be >= 0 and finite")
        return resolved

    def clipped(self, g: Any) -> Any:
        """The gradient cut to what clip_value and clip_norm allow."""
        if self.clip_value is not None:
            g = np.minimum(np.maximum(g, -self.clip_value), self.clip_value)
        if self.clip_norm is not None:
            norm = np.sqrt(np.sum(np.square(g)))
            g = g * (self.clip_norm / np.maximum(norm, self.clip_norm))
        return g


def decay(theta: Any, strength: Any, decay_mask: Any) -> Any:
    """What weight decay takes from theta."""
    pull = cast_like(strength, theta) * theta
    return pull if decay_mask is None else pull * decay_mask


def cast_like(value: Any, theta: Any) -> Any:
    """A single number in theta's precision: float64 beside a float32 vector would make all of it float64."""
    if isinstance(value, Node | np.generic | np.ndarray):
        return value.astype(theta.dtype)
    with np.errstate(over="ignore"):  # a rate beyond float32 becomes infinity, and the loss after it tells
        return theta.dtype.type(value)


OPTIMIZERS: dict[str, type[Optimizer]] = {}
Class = TypeVar("Class", bound=type[Optimizer])


def optimizer(cls: Class) -> Class:
    """Enter an optimizer under its name."""
    enter(OPTIMIZERS, cls.name, cls, "optimizers")
    return saved(cls)


@takes(name=NAME)
def get(name: str, *, schedule: str | None = None, steps: int | None = None, **fields: Any) -> Optimizer:
    """The optimizer of this name.

    schedule: the name of a schedule, whose rate is then `learning_rate`. steps: how many there will be, if known.
    fields: the optimizer's own; None means the default.
    Errors: ArgumentError for unknown names, with the nearest, and for values out of range.
    Example: get("adam", learning_rate=0.01, schedule="cosine", steps=2000)
    """
    if name not in OPTIMIZERS:
        raise unknown("optimizer", name, OPTIMIZERS)
    cls = OPTIMIZERS[name]
    known = {field: default for field, default, _ in ranges.options(cls)}
    for field in fields:
        if field not in known:
            raise unknown(f"argument of {name}", field, known)
    given = {field: value for field, value in fields.items() if value is not None}
    made = cls(**given)
    if schedule is not None:
        rate = given.get("learning_rate", known["learning_rate"])
        made = replace(made, learning_rate=schedules.get(schedule, learning_rate=rate))
    return made if steps is None else made.resolve(steps)
