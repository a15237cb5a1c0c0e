"""The events of a race of trainings: frozen records, in the order they happen. Knows nothing of how a race is run."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

# How a variant stands: not begun, on its way, or how it ended. Those after "running" are the reasons of TrainingEnded,
# and "failed" for one whose training raised an error.
STATES = ("waiting", "running", "finished", "early_stopping", "interrupted", "diverged", "failed")


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
    epochs: int = 0  # as asked
    step: int = 0  # updates done
    loss: float = math.nan  # NaN before the first epoch has ended
    validation_loss: float | None = None  # None without validation data
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0  # of its training and validation
    problem: str = ""  # why it diverged or failed

    @property
    def score(self) -> float:
        """What results are sorted by: the validation loss, or the loss where there is no validation."""
        return self.loss if self.validation_loss is None else self.validation_loss

    @property
    def has_ended(self) -> bool:
        return self.state not in ("waiting", "running")


def ranked(results: Iterable[RaceResult]) -> tuple[RaceResult, ...]:
    """Sorted by score, the lowest first; those without one next; then what diverged; then what failed."""

    def key(one: RaceResult) -> tuple[int, float]:
        group = {"diverged": 2, "failed": 3}.get(one.state, 0)
        return (group, one.score) if math.isfinite(one.score) else (max(group, 1), math.inf)

    return tuple(replace(one, place=place) for place, one in enumerate(sorted(results, key=key), 1))


@dataclass(frozen=True, slots=True)
class RaceStarted:
    """Every variant was checked and built; the first step comes next. Sent once, first."""

    names: tuple[str, ...]
    lanes: int  # variants that advance at the same time
    rows: int  # of the data, those held out for validation included
    validation_rows: int  # of the first variant
    validated: bool  # whether results are sorted by validation loss rather than by loss
    metrics: tuple[str, ...] = ()  # keys of RaceResult.metrics
    notes: tuple[str, ...] = ()  # what makes variants hard to compare


@dataclass(frozen=True, slots=True)
class RaceResults:
    """How all variants stand: two a second."""

    results: tuple[RaceResult, ...]  # sorted
    seconds: float  # of the race so far


@dataclass(frozen=True, slots=True)
class VariantEnded:
    """A variant's training is over, whatever way; the others go on."""

    result: RaceResult


@dataclass(frozen=True, slots=True)
class RaceEnded:
    """The last event. reason: "finished" or "interrupted"."""

    reason: str
    results: tuple[RaceResult, ...]  # sorted
    seconds: float


RaceEvent = RaceStarted | RaceResults | VariantEnded | RaceEnded
