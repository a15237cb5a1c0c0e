"""Records as JSON: what goes in comes out, and nothing but the entered classes can be named."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from fallline import nn, optim
from fallline.config import RECORDS, from_config, saved, to_config
from fallline.errors import ArgumentError
from fallline.nn.layer import Layer


@pytest.mark.parametrize("record", [
    nn.Dense(np.int64(3), bias=False), nn.Dense(3, initializer=nn.Scaled(2.0, "in", "normal")), nn.Flatten(),
    nn.ELU(0.5),
    nn.Sequential(nn.Dense(2), nn.Sequential(nn.Tanh())), nn.Huber(2.0), optim.AdamW(optim.Cosine(0.1), clip_norm=1.0),
], ids=repr)  # fmt: skip
def test_records_come_back_equal_from_json_text(record: object) -> None:
    assert from_config(json.loads(json.dumps(to_config(record))), object) == record


def test_every_record_has_its_own_name() -> None:
    for name, cls in RECORDS.items():
        assert cls.__name__ == name
    with pytest.raises(ArgumentError, match="two records are called 'Dense'"):

        @saved
        @dataclass(frozen=True)
        class Dense:
            pass

    assert RECORDS["Dense"] is nn.Dense


def test_a_class_that_only_has_a_saved_name_is_not_saved() -> None:
    impostor = type("Dense", (), {})()
    with pytest.raises(ArgumentError, match="which a file cannot hold"):
        to_config(impostor)


def test_places_of_problems_are_told() -> None:
    with pytest.raises(ArgumentError, match=r"layers\[1\]\.initializer is <function"):
        to_config(nn.Sequential(nn.Tanh(), nn.Dense(2, initializer=lambda rng, shape, fan_in, fan_out: 0)))
    config = {"type": "Sequential", "layers": [{"type": "Dense", "units": 1}, {"type": "Dense", "units": 0}]}
    with pytest.raises(ArgumentError, match=r"config\.layers\[1\]: Dense: units has to be"):
        from_config(config, Layer)
    deep: dict = {"type": "Sequential", "layers": []}
    for _ in range(100):
        deep = {"type": "Sequential", "layers": [deep]}
    with pytest.raises(ArgumentError, match="nested deeper than"):
        from_config(deep, Layer)
