"""The history of a run: an unknown name raises with the nearest one."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline.errors import FalllineError
from fallline.runs.history import History

SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "epochs": 2}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("val_loss", "has no 'validation_loss', as the run had no validation rows\n  try: validation=0.2"),
        ("validation_loss", "has no 'validation_loss', as the run had no validation rows"),
        ("val_acc", "has no 'validation_accuracy', as the run had no validation rows"),
        ("accuracy", "has no 'validation_accuracy', as the run had no validation rows"),
        ("lr", "no column 'lr'; did you mean 'learning_rate'?"),
        ("los", "no column 'los'; did you mean 'loss'?"),
        ("weather", "no column 'weather'\n  known: epoch, step, loss"),
    ],
)
def test_a_column_that_is_not_there_is_reported_in_words(labelled: Any, name: str, told: str) -> None:
    history = fl.fit(fl.nn.mlp((4,), 3), labelled, **SETTINGS).history
    with pytest.raises(KeyError) as raised:
        history[name]
    assert isinstance(raised.value, FalllineError)
    assert told in str(raised.value)
    assert name not in history and history.get(name) is None


def test_with_validation_rows_the_column_is_named(labelled: Any) -> None:
    history = fl.fit(fl.nn.mlp((4,), 3), labelled, validation=0.3, **SETTINGS).history
    for name, meant in (("val_loss", "validation_loss"), ("accuracy", "validation_accuracy"), ("val_los", "_loss")):
        with pytest.raises(KeyError, match=f"did you mean '.*{meant}'"):
            history[name]


def test_a_history_is_a_dict_of_columns() -> None:
    history = History(loss=np.array([2.0, 1.0]))
    assert pickle.loads(pickle.dumps(history))["loss"].tolist() == [2.0, 1.0]
    assert json.dumps({name: column.tolist() for name, column in history.items()}) == '{"loss": [2.0, 1.0]}'
