"""The events of a training, and of a race of trainings: frozen records, in the order they happen, and their JSON form.

Every reader (terminal, log file, notebook, estimator) lives on these alone. An event is one definition here: it enters
the table, and says of itself whether it lasts and what becomes of it when a run is resumed. Knows nothing of how
training is done.
"""

import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from fallline.errors import ArgumentError, DataError
from fallline.graph.op import Array

K = TypeVar("K", bound=type)


class Event:
    """The base of all events. kind: its name in JSON, epoch_ended for EpochEnded.

    lasts: belongs to the history of a run; one that does not is a sign of life, and a log takes one a second at most.
    urgent: a log writes it to disk at once.
    """

    __slots__ = ()
    kind: ClassVar[str] = ""
    lasts: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    def stays(self, epoch: int) -> bool:
        """Whether it is still true of a run that is resumed at the start of this epoch, or inside it."""
        return True

    @property
    def until(self) -> int:
        """Whether it is about steps below this one; such events are dropped where a run goes on before them."""
        return 0


EVENTS: dict[str, type[Event]] = {}


def event(cls: K) -> K:
    """Enter a kind of event. Errors: ArgumentError where it is no dataclass, or another has its name."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
    if not (issubclass(cls, Event) and is_dataclass(cls)):
        raise ArgumentError(f"{cls.__name__} has to be a dataclass that inherits from Event")
    before = EVENTS.get(name)
    if before is not None and (before.__module__, before.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ArgumentError(f"two events are called {name!r}: of {before.__module__} and of {cls.__module__}\n"
                            "  try: another name")  # fmt: skip
    cls.kind = name
    EVENTS[name] = cls
    return cls


@event
@dataclass(frozen=True, slots=True)
class TrainingStarted(Event):
    """Everything was checked and built; the first step comes next. Sent once, first.

    first_epoch, first_step: 0, or where a resumed run goes on. steps_per_epoch counts a shorter last batch too. rows
    and steps_per_epoch are None for an iterable, whose rows are counted at its end.
    """

    urgent = True
    rows: int | None  # rows trained on, without the validation rows
    validation_rows: int
    input_shape: tuple[int, ...]  # of one row
    parameters: int  # size of theta
    batch_size: int
    steps_per_epoch: int | None
    epochs: int  # as requested, or the most there will be; early stopping may end sooner
    loss: str
    optimizer: str
    task: str
    seed: int
    dtype: str
    lanes: int = 1  # that a step runs on
    metrics: tuple[str, ...] = ()  # the keys of EpochEnded.metrics
    first_epoch: int = 0
    first_step: int = 0
    folder: str | None = None
    open_ended: bool = False  # epochs were not given: training goes on while the loss falls
    notes: tuple[str, ...] = ()  # settings that were adjusted, e.g. a batch larger than the data
    watches: str = ""  # the number by which the best epoch is chosen: "loss", "validation_loss" or a key of metrics
    higher_is_better: bool = False  # of that number
    trainable: int | None = None  # of the parameters; the others are frozen, or kept by layers. None: not told


@event
@dataclass(frozen=True, slots=True)
class Progress(Event):
    """A sign of life inside a long epoch: ten a second at most, none while epochs are shorter than that."""

    lasts = False
    epoch: int  # the one running, from 0
    step: int  # updates done in all
    epoch_step: int  # updates done in this epoch
    loss: float  # mean over the rows seen in this epoch
    learning_rate: float
    seconds: float  # of training so far, in this call
    steps_per_second: float  # over the last machine call


@event
@dataclass(frozen=True, slots=True, eq=False)
class Measured(Event):
    """The measures of `train(measure=...)` for the steps since the last event of this kind.

    values: by the name of the measure, then by the path of the measured value: an array with one entry for each step,
    (steps,) or (steps, ...); entry i is that of step `step` + i. Of measures once a call, those of the last step.
    """

    epoch: int  # the one running, from 0
    step: int  # the first step measured, from 0
    values: Mapping[str, Mapping[str, Array]]

    @property
    def steps(self) -> int:
        """How many steps were measured."""
        return max((len(rows) for paths in self.values.values() for rows in paths.values()), default=0)

    @property
    def until(self) -> int:
        return self.step + self.steps

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measured) and to_record(self) == to_record(other)

    def __hash__(self) -> int:
        return hash((self.epoch, self.step))


@event
@dataclass(frozen=True, slots=True, eq=False)
class Gauged(Event):
    """The gauges of `train(gauges=...)` at one step, before it was made.

    values: by the name of the gauge, then by the path of the layer or parameter, "" for the whole network: a number or
    an array of numbers. A gauge that could not be had is left out.
    """

    epoch: int  # the one running, from 0
    step: int  # the step that was about to be made, from 0
    values: Mapping[str, Mapping[str, Array]]
    interval: int = 0  # steps since the last sample; 0 for the first
    seconds: float = 0.0  # that this sample took
    share: float = 0.0  # of the training's time that all samples took until here
    rows: int = 0  # of the batch that was looked at
    notes: tuple[str, ...] = ()  # gauges that cannot be had, once

    @property
    def until(self) -> int:
        return self.step + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gauged) and to_record(self) == to_record(other)

    def __hash__(self) -> int:
        return hash((self.epoch, self.step))


@event
@dataclass(frozen=True, slots=True)
class EpochEnded(Event):
    """One pass over the training rows is done, validation included."""

    epoch: int  # from 0
    step: int  # updates done in all
    loss: float  # mean over this epoch's rows, each measured just before the step its batch made
    validation_loss: float | None  # None without validation data
    metrics: Mapping[str, float] = field(default_factory=dict)  # e.g. {"validation_accuracy": 0.97}
    learning_rate: float = math.nan  # of the last step
    seconds: float = 0.0  # of this epoch, validation included
    steps_per_second: float = 0.0  # without validation
    is_best: bool = False  # no epoch before was better, by the number that TrainingStarted.watches names

    def stays(self, epoch: int) -> bool:
        return self.epoch < epoch

    def value(self, name: str) -> float:
        """The number of this name: "loss", "validation_loss" or a metric; NaN where there is none."""
        found = {"loss": self.loss, "validation_loss": self.validation_loss, **self.metrics}.get(name)
        return math.nan if found is None else found


@event
@dataclass(frozen=True, slots=True)
class CheckpointSaved(Event):
    """The state is safe on disk: a resumed run goes on from here."""

    epoch: int  # epochs done
    step: int
    path: str


@event
@dataclass(frozen=True, slots=True)
class Diverged(Event):
    """The loss of the next step is not finite; the parameters of the last finite loss are kept. The end follows."""

    epoch: int
    step: int  # the step that could not be made, from 0
    last_loss: float  # of the last batch whose loss was finite; NaN if there was none
    learning_rate: float  # at that step
    advice: str

    @property
    def where(self) -> str:
        """The step, its learning rate and the last finite loss, in words."""
        return f"at step {self.step}, learning rate {self.learning_rate:g}, last finite loss {self.last_loss:.4g}"

    def stays(self, epoch: int) -> bool:
        return False  # the run goes on after it


@event
@dataclass(frozen=True, slots=True)
class TrainingEnded(Event):
    """The last event. reason: "finished", "early_stopping", "diverged" or "interrupted"; of a minimiser also
    "converged" or "stalled", as it sees it."""

    urgent = True
    reason: str
    epochs: int  # whole epochs done, those before a resume included
    step: int  # updates done in all
    loss: float  # of the last whole epoch; NaN if there was none
    best_epoch: int | None  # None if no epoch was finished
    best_loss: float  # the validation loss of that epoch where there is one, else the loss; NaN if there was none
    restored_best: bool  # the parameters are those of best_epoch rather than the last
    seconds: float  # of this call
    steps_per_second: float  # over the whole call, without validation
    folder: str | None = None
    best_value: float = math.nan  # of the monitored number, in best_epoch
    still_falling: bool = False  # the loss that was watched, when the limit came that ends a training by default

    def stays(self, epoch: int) -> bool:
        return False  # the run goes on after it


# Of a race: many trainings side by side.

# The states of a variant: not begun, running, or how it ended. Those after "running" are the reasons of TrainingEnded,
# and "failed" for one whose training raised an error.
STATES = (
    "waiting", "running", "finished", "early_stopping", "converged", "stalled", "interrupted", "diverged", "failed"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RaceResult:
    """How one variant stands.

    loss, validation_loss, metrics: of the epoch whose parameters it would end with, which is its best where early
        stopping restores that, else its last.
    """

    name: str
    state: str = "waiting"  # one of STATES
    place: int = 0  # from 1
    epoch: int = 0  # epochs done
    epochs: int = 0  # as requested
    step: int = 0  # updates done
    loss: float = math.nan  # NaN before the first epoch has ended
    validation_loss: float | None = None  # None without validation data
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0  # of its training and validation
    problem: str = ""  # why it diverged or failed
    watches: str = ""  # the metric that all variants watch, if there is one
    higher_is_better: bool = False  # of that metric

    @property
    def score(self) -> float:
        """The number that results are sorted by: the metric that all variants watch; else the validation loss, or the
        loss where there is none.

        The lowest is the best: where higher is better, it is the negative.
        """
        if self.watches in self.metrics:
            return -self.metrics[self.watches] if self.higher_is_better else self.metrics[self.watches]
        return self.loss if self.validation_loss is None else self.validation_loss

    @property
    def has_ended(self) -> bool:
        return self.state not in ("waiting", "running")


def ranked(results: Iterable[RaceResult]) -> tuple[RaceResult, ...]:
    """Sorted by score, the lowest first; those without one next; then diverged ones; then failed ones."""

    def key(one: RaceResult) -> tuple[int, float]:
        group = {"diverged": 2, "failed": 3}.get(one.state, 0)
        return (group, one.score) if math.isfinite(one.score) else (max(group, 1), math.inf)

    return tuple(replace(one, place=place) for place, one in enumerate(sorted(results, key=key), 1))


@event
@dataclass(frozen=True, slots=True)
class RaceStarted(Event):
    """Every variant was checked and built; the first step comes next. Sent once, first."""

    names: tuple[str, ...]
    lanes: int  # variants that advance at the same time
    rows: int  # of the data, validation rows included
    validation_rows: int  # of the first variant
    validated: bool  # whether results are sorted by validation loss rather than by loss
    metrics: tuple[str, ...] = ()  # keys of RaceResult.metrics
    watches: str = ""  # the metric that results are sorted by instead, where all variants watch it
    notes: tuple[str, ...] = ()  # differences that make variants hard to compare


@event
@dataclass(frozen=True, slots=True)
class RaceResults(Event):
    """How all variants stand: two a second."""

    results: tuple[RaceResult, ...]  # sorted
    seconds: float  # of the race so far


@event
@dataclass(frozen=True, slots=True)
class VariantEnded(Event):
    """A variant's training has ended, for whatever reason; the others go on."""

    result: RaceResult


@event
@dataclass(frozen=True, slots=True)
class RaceEnded(Event):
    """The last event. reason: "finished" or "interrupted"."""

    reason: str
    results: tuple[RaceResult, ...]  # sorted
    seconds: float


@event
@dataclass(frozen=True, slots=True)
class Tried(Event):
    """A candidate of a search under a time limit has ended.

    what: it in words. state: how, one of STATES, or "dropped" where others were better at the same epoch. score: its
    log-loss or RMSE on the validation rows, in its best epoch; infinite before the first has ended.
    """

    name: str
    what: str
    state: str
    epoch: int  # epochs done
    epochs: int  # as requested
    score: float
    seconds: float  # of its training and validation


# The JSON form.


def plain(value: Any) -> Any:
    """A value as JSON can hold it: records and mappings become objects, tuples lists, numbers that are not finite
    None."""
    if isinstance(value, Mapping):
        return {str(key): plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain(child) for child in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return value


def to_record(event: Event) -> dict[str, Any]:
    """The event as a JSON object: its kind under "event", then its fields."""
    return {"event": event.kind, **plain(event)}


def from_record(record: Mapping[str, Any]) -> Event:
    """The event a record was made from; None becomes NaN again where a number has to be.

    Errors: DataError for a record of no event, or one that does not fit.
    """
    kind = EVENTS.get(str(record.get("event")))
    if kind is None:
        raise DataError(f"a record of an unknown event: {record.get('event')!r}\n  known: {', '.join(EVENTS)}")
    values = {key: value for key, value in record.items() if key != "event"}
    try:
        found: Event = read_as(kind, values)
    except (TypeError, AttributeError) as error:
        raise DataError(f"a record of {record['event']!r} that does not fit: {error}") from None
    return found


@cache
def _forms(record: type) -> dict[str, Any]:
    """The type of each field; some file may write them as text."""
    try:
        return get_type_hints(record)
    except NameError:  # of a class that is defined inside a function
        return {}


def read_as(form: Any, value: Any) -> Any:
    """A value of JSON in the form that a field has."""
    if is_dataclass(form) and isinstance(form, type):
        known = _forms(form)
        return form(**{key: read_as(known.get(key), child) for key, child in value.items()})
    origin, inside = get_origin(form), get_args(form)
    if value is None:
        return math.nan if form is float else np.array(math.nan) if origin is np.ndarray else None
    if origin is np.ndarray:
        return np.array(value, np.float64)  # None becomes NaN
    if origin in (Union, types.UnionType):
        return read_as(next(one for one in inside if one is not type(None)), value)
    if isinstance(value, list):
        return tuple(read_as(inside[0] if inside else None, child) for child in value)
    if isinstance(value, dict):
        return {key: read_as(inside[1] if len(inside) > 1 else None, child) for key, child in value.items()}
    return value
