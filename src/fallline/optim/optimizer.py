"""The base of every optimizer: learning rate, weight decay, clipping, and its two forms; and the table of their names.

An optimizer is a frozen record. Its update is plain NumPy over the flat vector theta, so it is traced into the step.
Whole vectors stay in theta's precision; single numbers are computed in float64 and rounded once.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, TypeVar

import numpy as np

from fallline import ranges
from fallline.arguments import NAME, record, shown, takes
from fallline.config import enter, saved
from fallline.errors import ArgumentError, ArgumentTypeError, Attributes, FalllineError, ShapeError, nearest, unknown
from fallline.graph.inside import Inside
from fallline.graph.node import Node
from fallline.graph.op import Array
from fallline.nn.theta import Layout
from fallline.optim import schedule as schedules
from fallline.optim import trees
from fallline.optim.schedule import Schedule
from fallline.optim.stability import Bears, Stability
from fallline.ranges import STEPS, option, short

# More steps than anybody can wait for; a schedule counts them in int64.
_MOST_STEPS = 2**62
State = dict[str, Any]
LearningRate = float | Callable[[Any], Any]
RATE: dict[str, Any] = {"doc": "size of a step: a number, or a schedule", "above": 0, "function": True}
DECAY: dict[str, Any] = {"doc": "pull of weights (not biases) towards 0", "at_least": 0, "function": True}


def zeros(theta: Any) -> Any:
    """A vector of zeros like theta."""
    return np.zeros_like(theta)


@record
@dataclass(frozen=True, kw_only=True)
class Optimizer(Attributes):
    """From parameters and their gradient to the next parameters.

        g = clip(g);  g = g + weight_decay theta (weights only; apart from the step for AdamW);  theta = rule(theta, g)

    One's own loop uses `init` and `update`, on trees of arrays or on one vector:

        state = optimizer.init(params)
        params, state = optimizer.update(grads, state, params)

    An optimizer of one's own gives `rule(theta, g, state, step, learning_rate, layout)`, and `start(theta, layout)` if
    it remembers anything; either may leave the layout out. Training uses `started` and `moved`.

    learning_rate: a number > 0, a schedule, or a function of the step written in NumPy.
    weight_decay: >= 0, pull of the weights towards 0: a number, or a schedule as for the rate.
    clip_value: elements of the gradient are cut to +-clip_value.
    clip_norm: then the whole gradient is scaled down to this norm where it is longer. None leaves it alone.
    Errors: ArgumentError outside the declared ranges; TraceError for a function that branches on the step.
    """

    name: ClassVar[str]
    no_border: ClassVar[str] = "no largest stable step is known for it"  # said where `bears` gives none
    decoupled: ClassVar[bool] = False  # weight decay apart from the gradient's step instead of in the gradient
    learning_rate: LearningRate = option(1e-3, **RATE)
    weight_decay: Any = option(0.0, **DECAY)  # a number, or as for the learning rate
    clip_norm: float | None = option(None, "largest norm of the gradient", above=0, optional=True)
    clip_value: float | None = option(None, "largest absolute value in the gradient", above=0, optional=True)

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "name"):
            cls.name = cls.__name__
        if "init" in vars(cls):  # how `start` used to be called; `init` is the verb of one's own loop
            written = vars(cls)["init"]
            names = getattr(getattr(written, "__code__", None), "co_names", ())
            if "super" in names and "init" in names:
                raise ArgumentTypeError(
                    f"{cls.__name__}: its init asks super().init, which makes the state of a loop of one's own\n"
                    "  try: start(self, theta, layout), and super().start(theta, layout), in the place of init"
                )
            cls.start = written  # type: ignore[method-assign]
            del cls.init

    def __post_init__(self) -> None:
        ranges.check(self)
        for one in (self.learning_rate, self.weight_decay):
            if callable(one) and not isinstance(one, Schedule):
                schedules.check_function(one)

    def start(self, *args: Any, **kwargs: Any) -> dict[str, Array]:
        """start(theta, layout): the state before the first step, arrays by name; usually like theta."""
        return {}

    def rule(self, *args: Any, **kwargs: Any) -> tuple[Any, State]:
        """rule(theta, g, state, step, learning_rate, layout): theta and state after one step.

        g: the gradient, already clipped. step: from 0. learning_rate: of this step. layout: where each named parameter
        lies in theta; all of them are trainable.
        """
        raise NotImplementedError

    def init(self, params: Any, layout: Layout | None = None) -> State:
        """The state before the first step of a loop of one's own: {"step": 0, ...}.

        params: a tree (nested dicts, lists and tuples) of real arrays, or one vector. layout: of a model's parameters,
            with its frozen ones: model.layout, for model.params or model.theta; None: all are trainable, and decay
            pulls on the arrays with two axes or more.
        Errors: ArgumentTypeError for a leaf that is no array of real numbers; ArgumentError for another form than the
            layout's, and without a layout for the arrays of a model that has frozen parameters or kept ones.
        Example: state = optim.Adam(1e-3).init({"weight": np.zeros((3, 2)), "bias": np.zeros(2)})
        """
        layout, theta = trees.as_vector(params, layout, "init")
        return {"step": np.zeros((), np.int64), **self.started(layout.pack(theta), layout.trained)}

    def update(
        self,
        grads: Any,
        state: State,
        params: Any,
        layout: Layout | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> tuple[Any, State]:
        """The parameters and the state after one step; runs as it is, or inside a function that fl.compile records.

        grads: d loss / d params, the same tree as params, as fl.grad gives it. state: as `init` or the last `update`
            returned it. params, layout: as for `init`. kept: new values of parameters that layers write themselves, by
            path, as nn.Context.kept gives them; a layout with such parameters needs it, {} leaves them as they are.
            Nothing that was given is changed.
        Errors: ArgumentError where the trees have different forms, for a state of another optimizer or of other
            parameters, and where a model's layout or its kept values are missing; ShapeError.
        Example: params, state = optim.Adam(1e-3).update(grads, state, params)
        """
        if not isinstance(state, dict) or "step" not in state:
            raise ArgumentTypeError(
                f"update: state has to be a dict that `init` or `update` returned, got {shown(state)}\n"
                "  try: params, state = optimizer.update(grads, state, params)"
            )
        kept = trees.checked_kept(kept, layout)
        layout, theta = trees.as_vector(params, layout, "update")
        g = trees.like(params, grads, layout, theta)
        before = {name: array for name, array in state.items() if name != "step"}
        try:
            with Inside(lambda: short(self), {"its state": before, "theta": theta}, ours_pass=True):
                new, after = self.moved(layout.pack(theta), layout.pack(g), before, state["step"], layout.trained)
        except FalllineError:
            self._check_state(before, layout.trained, theta.dtype)
            raise
        return trees.as_tree(params, layout, layout.unpack(theta, new, kept)), {"step": state["step"] + 1, **after}

    def _check_state(self, state: State, layout: Layout, dtype: Any) -> None:
        """Raise for a state of other names or shapes than `start` makes for these parameters."""
        forms = {name: np.shape(array) for name, array in state.items()}
        meant = {name: np.shape(array) for name, array in self.started(np.zeros(layout.size, dtype), layout).items()}
        if forms != meant:
            raise ArgumentError(
                f"update: the state is of another optimizer or of other parameters: it holds {forms or 'no arrays'}, "
                f"and {short(self)} remembers {meant or 'none'}\n"
                "  try: state = optimizer.init(params), or init(params, model.layout) where update gets the layout too"
            )

    def bears(self, state: State, step: Any) -> Bears | None:
        """The largest stable step of the rule, as a limit on learning_rate * curvature; None where none is known.

        state: as after a step: arrays by name, or {} where it is not known. step: how many steps were made.
        Weight decay and factors of the layout's slots are counted by who asks.
        """
        return None

    def stability(self, state: State, step: int, layout: Layout) -> Stability | None:
        """`bears` for every parameter, with weight decay apart from the gradient and the factors of the slots.

        At the border theta changes its sign at every step, and so do its moments, which makes of decoupled decay a
        curvature of limit / 2 times its strength. step: how many were made. layout: all slots of which are trainable.
        """
        found = self.bears(state, step)
        if found is None:
            return None
        rates = layout.rates(np.float64)
        rates = np.ones(layout.size) if rates is None else rates
        scale = rates / found.limit if found.inverse is None else rates * found.inverse / found.limit
        strength = self.decay_at(np.int64(max(step - 1, 0))) if self.decoupled else 0.0
        return Stability(scale, 0.5 * strength * rates * layout.decay_mask(np.float64), found.limit, found.formula)

    def decay_at(self, step: Any) -> float:
        """The strength of weight decay at a step."""
        return float(self.weight_decay(step) if callable(self.weight_decay) else self.weight_decay)

    def started(self, theta: Array, layout: Layout) -> dict[str, Array]:
        """The result of `start`, checked, for a vector of trainable parameters.

        Errors: ArgumentTypeError for a value that is no dict of arrays.
        """
        made = self.start(theta, layout) if _sees(type(self).start, 3) else self.start(theta)
        if not isinstance(made, dict) or not all(hasattr(array, "dtype") for array in made.values()):
            raise ArgumentTypeError(f"start returns {shown(made)}, not a dict of arrays")
        return {name: array for name, array in made.items() if name != "step"}

    def moved(
        self, theta: Any, g: Any, state: State, step: Any, layout: Layout, learning_rate: Any = None
    ) -> tuple[Any, State]:
        """theta and state after one step: clipping, decay, the rule, and the factors of the layout's slots.

        layout: of theta, all slots of which are trainable. step: from 0. learning_rate: of this step, as a traced
            float64 number; None: the optimizer's own.
        Errors: ArgumentError for another form, or other names of the state, than `start` returned; ShapeError.
        """
        learning_rate = self.rate_at(step) if learning_rate is None else learning_rate
        decay_mask = layout.decay_mask(theta.dtype) if self.weight_decay else None
        strength = self.weight_decay(step) if callable(self.weight_decay) else self.weight_decay
        g = self.clipped(g)
        if self.weight_decay and not self.decoupled:
            g = g + decay(theta, strength, decay_mask)
        given = theta, g, dict(state), step, learning_rate
        new, after = self._checked(theta, state, self.rule(*given, *[layout] * _sees(type(self).rule, 7)))
        if self.weight_decay and self.decoupled:
            new = new - decay(theta, learning_rate * strength, decay_mask)
        rates = layout.rates(theta.dtype)
        return (new if rates is None else theta + rates * (new - theta)), after

    def _checked(self, theta: Any, state: State, made: Any) -> tuple[Any, State]:
        """The result of the rule, checked, as the rule may be a user's."""
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict)):
            raise ArgumentTypeError(f"rule returns {shown(made)}, not (theta, state)")
        new, after = made
        wrong = [name for name in after if name not in state]
        if wrong or set(state) - set(after):
            message = f"rule returns the state {sorted(map(str, after))}, and start the state {sorted(state)}"
            raise ArgumentError(message + (nearest(str(wrong[0]), sorted(state)) if wrong else ""))
        return _like("theta", new, theta), {name: _like(name, value, state[name]) for name, value in after.items()}

    def rate_at(self, step: Any) -> Any:
        """The learning rate of a step."""
        return self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate

    @property
    def inputs(self) -> dict[str, float]:
        """Numbers that a step reads with its data, so that trainings that differ in them share one program."""
        return {} if callable(self.learning_rate) else {"learning_rate": float(self.learning_rate)}

    def at_rate(self, learning_rate: Any) -> "Optimizer":
        """The same optimizer with another learning rate."""
        return replace(self, learning_rate=learning_rate)

    def slower(self, rate: float) -> str:
        """The setting to try where a training diverged at this learning rate."""
        return f"learning_rate={rate / 10:g}"

    @property
    def has_end(self) -> bool:
        """Whether its schedule spans the whole training, and so has to know how long that is."""
        both = self.learning_rate, self.weight_decay
        return any(isinstance(one, Schedule) and one.resolve(1000) != one.resolve(2000) for one in both)

    @takes(total_steps=STEPS)
    def resolve(self, total_steps: int) -> "Optimizer":
        """The same optimizer for a training of this many steps: a schedule may need to know.

        Errors: ArgumentError for a learning rate that is negative or not finite at the first or the last step.
        """
        resolved, total_steps = self, min(total_steps, _MOST_STEPS)
        if isinstance(self.learning_rate, Schedule):
            resolved = replace(self, learning_rate=self.learning_rate.resolve(total_steps))
        if isinstance(self.weight_decay, Schedule):
            resolved = replace(resolved, weight_decay=self.weight_decay.resolve(total_steps))
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


def _like(name: str, value: Any, before: Any) -> Any:
    """The result of a rule, cast to the precision of theta: a rate in float64 may have widened it."""
    if np.shape(value) != np.shape(before):
        raise ShapeError(f"rule returns {name} of shape {np.shape(value)}, and it was {np.shape(before)}")
    return value if getattr(value, "dtype", None) == before.dtype else cast_like(value, before)


def decay(theta: Any, strength: Any, decay_mask: Any) -> Any:
    """The product of decay factors and theta that weight decay subtracts."""
    pull = cast_like(strength, theta) * theta
    return pull if decay_mask is None else pull * decay_mask


def cast_like(value: Any, theta: Any) -> Any:
    """A single number in theta's precision: float64 with a float32 vector would make all of it float64."""
    if isinstance(value, Node | np.generic | np.ndarray):
        return value.astype(theta.dtype)
    with np.errstate(over="ignore"):  # a rate beyond float32 becomes infinity, and the loss after it is not finite
        return theta.dtype.type(value)


@cache
def _sees(function: Callable[..., Any], count: int) -> bool:
    """Whether a `start` or `rule` takes the layout too, as its argument number `count`, self included."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    return True


# Rules, which make a step from one gradient; and minimisers, which evaluate as often as they want (minimiser.py).
OPTIMIZERS: dict[str, type[Optimizer]] = {}
MINIMISERS: dict[str, type[Optimizer]] = {}
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
    every = {**OPTIMIZERS, **MINIMISERS}
    if name not in every:
        raise unknown("optimizer", name, every)
    cls = every[name]
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
