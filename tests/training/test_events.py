"""Events as JSON records and back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from fallline.errors import DataError
from fallline.training.events import (
    KINDS,
    CheckpointSaved,
    Diverged,
    EpochEnded,
    Event,
    Progress,
    TrainingEnded,
    TrainingStarted,
    from_record,
    to_record,
)

ALL: list[Event] = [
    TrainingStarted(90, 10, (3, 2), 17, 8, 12, 5, "cross_entropy", "adam", "classification", 0, "float32", ("a",),
                    notes=("n", "m")),
    Progress(0, 3, 3, 0.5, 1e-3, 0.2, 100.0),
    EpochEnded(0, 12, 0.1, None, {}, 1e-3, 0.01, 9.0, True),
    EpochEnded(1, 24, 0.1 + 0.2, 1 / 3, {"validation_accuracy": 0.9}, 1e-3, 0.01, 9.0, False),
    CheckpointSaved(1, 24, "a/b"),
    Diverged(1, 25, 3.5, 0.1, "try"),
    TrainingEnded("diverged", 1, 25, 0.3, 1, 1 / 3, True, 0.5, 50.0),
]  # fmt: skip


def test_the_examples_hold_every_kind() -> None:
    assert {type(event) for event in ALL} == set(KINDS.values())


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_json_to_the_last_bit(event: Event) -> None:
    text = json.dumps(to_record(event), allow_nan=False)
    assert from_record(json.loads(text)) == event


def test_numbers_that_are_not_finite_are_null_in_json_and_nan_again_after() -> None:
    event = EpochEnded(0, 1, math.inf, math.nan, {"validation_rmse": math.nan}, 0.1)
    record = to_record(event)
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
