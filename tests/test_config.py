"""Records as JSON: what goes in comes out, and nothing but the entered classes can be named."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import fallline as fl
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


@saved
@dataclass(frozen=True, eq=False)
class Scales:
    """Each feature times a fixed number."""

    by: np.ndarray

    def init(self, rng, shape, dtype):
        return {}, shape

    def apply(self, params, x):
        return x * self.by.astype(x.dtype)


@pytest.mark.parametrize("array", [
    np.array([0.1, -0.0, 1e300]), np.arange(6, dtype=np.int32).reshape(2, 3), np.array(0.1, np.float32),
    np.zeros((0, 3)), np.array([True, False]), np.array([np.iinfo(np.int64).min]), np.float16([1, 2]),
], ids=lambda array: f"{array.dtype}{array.shape}")  # fmt: skip
def test_arrays_in_records_come_back_exactly(array: np.ndarray) -> None:
    back = from_config(json.loads(json.dumps(to_config(Scales(array)))), Scales).by
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_a_layer_that_holds_an_array_trains_and_is_saved(tmp_path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    network = nn.Sequential(Scales(np.array([1.0, 0.5, 0.0])), nn.Dense(1))
    run = fl.fit(network, (x, x[:, 0]), loss="squared_error", epochs=2, validation=0.2, out=tmp_path / "run")
    np.testing.assert_array_equal(fl.load_run(tmp_path / "run").model.predict(x), run.model.predict(x))
    again = fl.fit(network, (x, x[:, 0]), loss="squared_error", epochs=3, validation=0.2, resume=tmp_path / "run")
    assert len(again.epochs) == 3


@pytest.mark.parametrize("broken", [
    {"array": "float64", "shape": [2], "values": [1]}, {"array": "object", "shape": [1], "values": [None]},
    {"array": "float64", "values": [1]}, {"array": "no type", "shape": [1], "values": [1]},
    {"array": "uint8", "shape": [1], "values": [300]}, {"array": "float64", "shape": [1], "values": ["a"]},
    {"array": "float64", "shape": [-1], "values": [1]},
])  # fmt: skip
def test_what_is_no_array_in_a_file_is_refused(broken: dict) -> None:
    with pytest.raises(ArgumentError, match=r"config\.by is no array"):
        from_config({"type": "Scales", "by": broken}, Scales)


@pytest.mark.parametrize(("value", "way"), [
    (lambda x: x, "a dataclass of your own in the place of the function, with @saved, from fallline.config, above it"),
    (nn.Function(np.sin), "a dataclass of your own in the place of the function"),
    (dataclass(frozen=True)(type("Mine", (), {})), "an instance, Mine"),
    (dataclass(frozen=True)(type("Mine", (), {}))(), "@saved, from fallline.config, above the class Mine"),
    ({"a": 1}, "numbers, text, arrays, and dataclasses with @saved"),
    (np.array([np.nan]), "finite real numbers"),
])  # fmt: skip
def test_what_a_file_cannot_hold_is_told_with_a_way_out(value: object, way: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        to_config(value)
    assert way in str(raised.value) and "AbsoluteError" not in str(raised.value)


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
