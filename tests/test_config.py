"""Records as JSON: round trips, and names of entered classes only."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize(("value", "hint"), [
    (lambda x: x, "a dataclass of your own in the place of the function, with @saved, from fallline.config, above it"),
    (nn.Function(np.sin), "a dataclass of your own in the place of the function"),
    (dataclass(frozen=True)(type("Mine", (), {})), "an instance, Mine"),
    (dataclass(frozen=True)(type("Mine", (), {}))(), "@saved, from fallline.config, above the class Mine"),
    ({"a": 1}, "numbers, text, arrays, and dataclasses with @saved"),
    (np.array([np.nan]), "finite real numbers"),
])  # fmt: skip
def test_values_that_a_file_cannot_hold_raise_with_a_hint(value: object, hint: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        to_config(value)
    assert hint in str(raised.value) and "AbsoluteError" not in str(raised.value)


def test_every_record_has_its_own_name() -> None:
    for name, cls in RECORDS.items():
        assert cls.__name__ == name
    with pytest.raises(ArgumentError, match="two records are called 'Dense'"):

        @saved
        @dataclass(frozen=True)
        class Dense:
            pass

    assert RECORDS["Dense"] is nn.Dense


TABLES = {
    "activation": (nn.activation.activation, nn.Activation, "relu"),
    "loss": (nn.loss.loss, nn.Loss, "cross_entropy"),
    "optimizer": (optim.optimizer.optimizer, optim.Optimizer, "adam"),
    "schedule": (optim.schedule.schedule, optim.Schedule, "cosine"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_no_table_gives_a_name_away_to_another_class(kind: str) -> None:
    enter, base, name = TABLES[kind]
    before = dict(RECORDS)
    made = dataclass(frozen=True)(type("Mine", (base,), {"name": name, "__module__": "somewhere"}))
    with pytest.raises(ArgumentError, match=f"are called '{name}'.*somewhere.Mine"):
        enter(made)
    assert before == RECORDS


def made_in(module: str, name: str = "Gain") -> type[Any]:
    """A saved class as a module would define it."""
    return saved(dataclass(frozen=True)(type(name, (), {"__module__": module, "__annotations__": {"by": float}})))


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.config.RECORDS", dict(RECORDS))


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("name", ["Dropout", "Dense", "Huber", "Adam"])
@pytest.mark.parametrize("module", ["__main__", "mine.layers"])
def test_a_class_of_another_module_takes_no_name_that_is_taken(name: str, module: str) -> None:
    with pytest.raises(ArgumentError, match=rf"two records are called '{name}': fallline\..*and {module}\.{name}"):
        made_in(module, name)


def test_names_of_classes_that_are_not_imported_yet_are_taken_too() -> None:
    own = [name for name, cls in RECORDS.items() if cls.__module__.startswith("fallline.")]
    assert {"Dense", "Adam", "Cosine", "EarlyStopping"} <= set(own)
    code = """
import sys
from dataclasses import dataclass
from fallline.config import saved
for name in sys.argv[1:]:
    try:
        saved(dataclass(frozen=True)(type(name, (), {})))
    except ValueError as error:
        assert f"two records are called {name!r}: fallline." in str(error)
        print(name)
"""
    done = subprocess.run([sys.executable, "-c", code, *own], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == own, done.stderr


@pytest.mark.usefixtures("records")
def test_module_and_name_make_a_class() -> None:
    first = made_in("lib.one")
    assert to_config(first(2.0)) == {"type": "lib.one:Gain", "by": 2.0}
    second = made_in("lib.one")  # a reloaded module
    assert type(from_config(to_config(first(2.0)), object)) is second
    with pytest.raises(ArgumentError, match=r"lib\.one\.Gain and lib\.two\.Gain"):
        made_in("lib.two")
    with pytest.raises(ArgumentError, match=r"was saved as a class of lib\.two, and here it is one of lib\.one"):
        from_config({"type": "lib.two:Gain", "by": 2.0}, object)
    with pytest.raises(ArgumentError, match=r"try: import lib\.three"):
        from_config({"type": "lib.three:Other"}, object)
    assert from_config({"type": "Gain", "by": 2.0}, object) == second(2.0)  # saved by a script


def test_a_field_called_type_is_refused() -> None:
    with pytest.raises(ArgumentError, match="a field called 'type'"):
        saved(dataclass(frozen=True)(type("Odd", (), {"__annotations__": {"type": str}})))


SCRIPT = """
import sys
from dataclasses import dataclass
import numpy as np
import fallline as fl
from fallline.config import saved
{define}
if len(sys.argv) > 2:
    model = fl.nn.Model.init(fl.nn.Sequential(Gain(2.0), fl.nn.Dense(1)), 3)
    fl.save_model(model, sys.argv[1])
print(fl.load_model(sys.argv[1]).network.layers[0].by)
"""
GAIN = """
@saved
@dataclass(frozen=True)
class Gain:
    by: float
    def init(self, rng, shape, dtype):
        return {}, shape
    def apply(self, params, x):
        return x * self.by
"""


def test_a_file_saved_by_a_script_is_read_by_another_that_defines_or_imports_its_class(tmp_path: Path) -> None:
    scripts = {
        "first.py": SCRIPT.replace("{define}", GAIN),
        "library.py": "from dataclasses import dataclass\nfrom fallline.config import saved" + GAIN,
        "second.py": SCRIPT.replace("{define}", "from library import Gain"),
        "third.py": SCRIPT.replace("{define}", ""),
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert run("first.py", "script.safetensors", "save").stdout == "2.0\n"
    assert run("second.py", "script.safetensors").stdout == "2.0\n"
    assert run("second.py", "module.safetensors", "save").stdout == "2.0\n"
    assert run("first.py", "module.safetensors").stdout == "2.0\n"
    assert "import library" in run("third.py", "module.safetensors").stderr
    assert "unknown type 'Gain'" in run("third.py", "script.safetensors").stderr


def test_a_class_that_only_has_a_saved_name_is_not_saved() -> None:
    impostor = type("Dense", (), {})()
    with pytest.raises(ArgumentError, match="which a file cannot hold"):
        to_config(impostor)


def test_places_of_problems_are_reported() -> None:
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
