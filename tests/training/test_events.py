"""Events as JSON records and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fallline.errors import ArgumentError, DataError
from fallline.runs.events import (
    EVENTS,
    CheckpointSaved,
    Diverged,
    EpochEnded,
    Event,
    Gauged,
    Measured,
    Progress,
    RaceEnded,
    RaceResult,
    RaceResults,
    RaceStarted,
    TrainingEnded,
    TrainingStarted,
    Tried,
    VariantEnded,
    event,
    from_record,
    to_record,
)
from fallline.runs.folder import before

ONE = RaceResult("a", "running", 1, 3, 5, 30, 0.25, 1 / 3, {"validation_r2": 0.1}, 0.5)
OTHER = RaceResult("b", "diverged", 2, loss=0.5, problem="at step 3")
ALL: list[Event] = [
    TrainingStarted(90, 10, (3, 2), 17, 8, 12, 5, "cross_entropy", "adam", "classification", 0, "float32", ("a",),
                    notes=("n", "m")),
    Progress(0, 3, 3, 0.5, 1e-3, 0.2, 100.0),
    EpochEnded(0, 12, 0.1, None, {}, 1e-3, 0.01, 9.0, True),
    EpochEnded(1, 24, 0.1 + 0.2, 1 / 3, {"validation_accuracy": 0.9}, 1e-3, 0.01, 9.0, False),
    Measured(1, 20, {"norm": {"0.weight": np.array([0.1, math.nan, 1 / 3])}, "all": {"1": np.ones((3, 2))}}),
    Gauged(1, 24, {"alpha": {"": np.array(-0.5), "b": np.array(math.nan)}, "norm": {"0": np.array([1 / 3, math.nan])}},
           4, 0.1, 0.02, 8, ("n",)),
    CheckpointSaved(1, 24, "a/b"),
    Diverged(1, 25, 3.5, 0.1, "try"),
    TrainingEnded("diverged", 1, 25, 0.3, 1, 1 / 3, True, 0.5, 50.0),
    RaceStarted(("a", "b"), 2, 100, 10, True, ("validation_r2",), ("n",)),
    RaceResults((ONE, OTHER), 1.5),
    VariantEnded(OTHER),
    RaceEnded("finished", (ONE, OTHER), 2.5),
    Tried("candidate 3", "512 mish", "dropped", 5, 64, 0.5, 1.5),
]  # fmt: skip


def test_the_examples_hold_every_kind() -> None:
    assert {type(event) for event in ALL} == set(EVENTS.values())


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.kind)
def test_an_event_comes_back_from_its_json_to_the_last_bit(one: Event) -> None:
    text = json.dumps(to_record(one), allow_nan=False)
    assert from_record(json.loads(text)) == one
    assert json.loads(text)["event"] == one.kind == next(name for name, kind in EVENTS.items() if kind is type(one))


def test_a_result_without_a_loss_comes_back_from_its_json() -> None:
    back = from_record(
        json.loads(json.dumps(to_record(VariantEnded(RaceResult("a", "failed", metrics={"m": math.nan})))))
    )
    assert isinstance(back, VariantEnded) and math.isnan(back.result.loss) and math.isnan(back.result.metrics["m"])
    assert back.result.validation_loss is None and back.result.state == "failed"


def test_an_event_of_ones_own_is_one_definition() -> None:
    @event
    @dataclass(frozen=True, slots=True)
    class WeightsDrawn(Event):
        """Made up."""

        lasts = False
        sizes: tuple[tuple[int, ...], ...]
        spread: Mapping[str, float | None] = field(default_factory=dict)

        def stays(self, epoch: int) -> bool:
            return epoch > 3

    one = WeightsDrawn(((3, 4), (5,)), {"a": 0.5, "b": None})
    assert one.kind == "weights_drawn" and not one.lasts and not one.urgent
    assert from_record(json.loads(json.dumps(to_record(one)))) == one
    assert before([one, *ALL[:2]], 3) == ALL[:2] and before([one], 4) == [one]
    del EVENTS["weights_drawn"]


def test_two_events_of_one_name_and_what_is_no_event_are_refused() -> None:
    class Other(Event):
        pass

    with pytest.raises(ArgumentError, match="Other has to be a dataclass"):
        event(Other)
    with pytest.raises(ArgumentError, match="two events are called 'progress'"):

        @event
        @dataclass(frozen=True)
        class Progress(Event):
            pass


def test_what_stays_of_a_run_that_is_resumed() -> None:
    assert [one.kind for one in before(ALL, 1)] == [
        "training_started", "progress", "epoch_ended", "checkpoint_saved",
        "race_started", "race_results", "variant_ended", "race_ended", "tried",
    ]  # fmt: skip
    assert [one.epoch for one in before(ALL, 1) if isinstance(one, EpochEnded)] == [0]
    # Measured values of steps before a checkpoint inside their epoch are not measured again.
    assert [any(isinstance(one, Measured) for one in before(ALL, 1, step)) for step in (22, 23)] == [False, True]


def test_numbers_that_are_not_finite_are_null_in_json_and_nan_again_after() -> None:
    one = EpochEnded(0, 1, math.inf, math.nan, {"validation_rmse": math.nan}, 0.1)
    record = to_record(one)
    json.dumps(record, allow_nan=False)
    assert (record["loss"], record["validation_loss"], record["metrics"]) == (None, None, {"validation_rmse": None})
    back = from_record(record)
    assert isinstance(back, EpochEnded)
    assert math.isnan(back.loss)
    assert math.isnan(back.metrics["validation_rmse"])
    assert back.validation_loss is None  # as if there had been none: a record cannot tell


@pytest.mark.parametrize(
    "record",
    [{}, {"event": "dinner"}, {"event": "epoch_ended", "epoch": 0}, {"event": "progress", "colour": 1}],
)
def test_a_record_that_is_no_event_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        from_record(record)
