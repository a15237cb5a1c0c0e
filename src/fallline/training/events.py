"""The events of a training run: frozen records, in the order they happen, and their form as JSON objects.

Every reader (terminal, log file, notebook, estimator) lives on these alone. Knows nothing of how training is done.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fallline.errors import DataError


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """Everything was checked and built; the first step comes next. Sent once, first.

    first_epoch, first_step: 0, or where a resumed run goes on. steps_per_epoch counts a shorter last batch too.
    """

    rows: int  # rows trained on, without the validation rows
    validation_rows: int
    input_shape: tuple[int, ...]  # of one row
    parameters: int  # size of theta
    batch_size: int
    steps_per_epoch: int
    epochs: int  # as asked, or the most there will be; early stopping may end sooner
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
    open_ended: bool = False  # nobody asked for so many epochs: training goes on while the loss falls
    notes: tuple[str, ...] = ()  # what was understood otherwise than written, e.g. a batch larger than the data


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life inside a long epoch: ten a second at most, none while epochs are shorter than that."""

    epoch: int  # the one running, from 0
    step: int  # updates done in all
    epoch_step: int  # updates done in this epoch
    loss: float  # mean over the rows seen in this epoch
    learning_rate: float
    seconds: float  # of training so far, in this call
    steps_per_second: float  # over the last machine call


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """One pass over the training rows is done, validation included."""

    epoch: int  # from 0
    step: int  # updates done in all
    loss: float  # mean over this epoch's rows, each measured just before the step its batch made
    validation_loss: float | None  # None without validation data
    metrics: Mapping[str, float] = field(default_factory=dict)  # e.g. {"validation_accuracy": 0.97}
    learning_rate: float = math.nan  # of the last step
    seconds: float = 0.0  # of this epoch, validation included
    steps_per_second: float = 0.0  # without validation
    is_best: bool = False  # no epoch before was better, by validation loss where there is one, else by loss


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """The state is safe on disk: a resumed run goes on from here."""

    epoch: int  # epochs done
    step: int
    path: str


@dataclass(frozen=True, slots=True)
class Diverged:
    """The loss of the next step is not finite; the parameters of the last finite loss are kept. The end follows."""

    epoch: int
    step: int  # the step that could not be made, from 0
    last_loss: float  # of the last batch whose loss was finite; NaN if there was none
    learning_rate: float  # at that step
    advice: str


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """The last event. reason: "finished", "early_stopping", "diverged" or "interrupted"."""

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
    still_falling: bool = False  # the loss that was watched, when the limit came that ends a training by default


Event = TrainingStarted | Progress | EpochEnded | CheckpointSaved | Diverged | TrainingEnded

KINDS: dict[str, type[Event]] = {
    "training_started": TrainingStarted,
    "progress": Progress,
    "epoch_ended": EpochEnded,
    "checkpoint_saved": CheckpointSaved,
    "diverged": Diverged,
    "training_ended": TrainingEnded,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: tuples become lists, and numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain(child) for child in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def to_record(event: Event) -> dict[str, Any]:
    """The event as a JSON object: its kind under "event", then its fields."""
    return {"event": _NAMES[type(event)]} | {f.name: plain(getattr(event, f.name)) for f in fields(event)}


def from_record(record: Mapping[str, Any]) -> Event:
    """The event a record was made from; None becomes NaN again where a number has to be."""
    values = dict(record)
    kind = KINDS.get(str(values.pop("event", None)))
    if kind is None:
        raise DataError(f"a record of an unknown event: {record.get('event')!r}\n  known: {', '.join(KINDS)}")
    for f in fields(kind):
        if f.name not in values:
            continue
        if values[f.name] is None and f.type in (float, "float"):
            values[f.name] = math.nan
        elif isinstance(values[f.name], list):
            values[f.name] = tuple(values[f.name])
    metrics = values.get("metrics")
    if isinstance(metrics, dict):
        values["metrics"] = {key: math.nan if value is None else value for key, value in metrics.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise DataError(f"a record of {record['event']!r} that does not fit: {error}") from None
