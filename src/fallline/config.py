"""Frozen records as JSON and back: layers, losses, optimizers, schedules. Names and numbers only, nothing executable.

A field may hold numbers, text, arrays of numbers, other records, and tuples of these.

A class enters by `@saved`; its form is {"type": its name, field: value ...}. A value in no table has no form, so a
file can never name anything but these classes, and every field passes the checks of the record it is for.

Module and name make a class: two of one name are refused. A file names Fallline's own classes, and those of a script,
by name alone, others as "module:name". A script's module has no name that another program could know: its records are
read by any program that has a record of that name, and serve for those of any module.
"""

import dataclasses
import importlib
import json
import sys
from typing import Any, TypeVar

import numpy as np

from fallline.arguments import record
from fallline.errors import ArgumentError, FalllineError, unknown

RECORDS: dict[str, type] = {}
R = TypeVar("R", bound=type)
T = TypeVar("T")
# Deeper nesting than any network needs; a damaged file is not followed further.
_DEEPEST = 32
_SCRIPT = "__main__"
_OWN = __name__.partition(".")[0]
_OWN_RECORDS = ("fallline.nn", "fallline.optim", "fallline.jobs.stopping")


def saved(cls: R) -> R:
    """Let instances of a dataclass be written to files under the class's name.

    A class that is defined again, as a notebook's cell or a reloaded module does, takes the place of the one before.
    Errors: ArgumentError where another class has that name, or a field is called "type", which is the name's own place.
    """
    if dataclasses.is_dataclass(cls) and "type" in (field.name for field in dataclasses.fields(cls)):
        raise ArgumentError(f"{cls.__name__} has a field called 'type', which a file needs for its name")
    if cls.__module__.partition(".")[0] != _OWN:
        # Fallline's classes come first: those that are not imported yet would find their names taken.
        for module in _OWN_RECORDS:
            importlib.import_module(module)
    enter(RECORDS, cls.__name__, cls, "records")
    return record(cls)


def enter(table: dict[str, Any], name: str, cls: type, what: str, value: Any = None) -> None:
    """Put a class, or the value that stands for it, into a table, where no other class has that name.

    Errors: ArgumentError naming both classes.
    """
    there = table.get(name)
    before = there if there is None or isinstance(there, type) else type(there)
    if before is not None and not _is_same(before, cls):
        raise ArgumentError(
            f"two {what} are called {name!r}: {home(before)}.{before.__qualname__} and {home(cls)}.{cls.__qualname__}"
            "\n  try: another name"
        )
    table[name] = cls if value is None else value


def home(cls: type) -> str:
    """The module of a class; for a script, "__main__", unless it was started by a module's name (python -m)."""
    if cls.__module__ not in (_SCRIPT, "__mp_main__"):
        return cls.__module__
    spec = getattr(sys.modules.get(_SCRIPT), "__spec__", None)
    return spec.name if spec is not None else _SCRIPT


def _is_same(one: type, other: type) -> bool:
    """Whether two classes are one class defined twice, be it as a script that is imported too."""
    if one.__qualname__ != other.__qualname__:
        return False
    files = {getattr(sys.modules.get(cls.__module__), "__file__", None) for cls in (one, other)}
    return home(one) == home(other) or (len(files) == 1 and None not in files)


def _name_of(cls: type) -> str:
    """How a file names a class."""
    module = home(cls)
    return cls.__name__ if module == _SCRIPT or module.partition(".")[0] == _OWN else f"{module}:{cls.__name__}"


def _named(name: Any, where: str) -> type:
    """The class that a file names."""
    module, _, short = str(name).rpartition(":")
    cls = RECORDS.get(short)
    if cls is None and module:
        raise ArgumentError(f"{where}: {short!r} is a class of {module}, which has not been imported\n"
                            f"  try: import {module}")  # fmt: skip
    if cls is None or not isinstance(name, str):
        raise ArgumentError(f"{where}: {unknown('type', name, RECORDS)}")
    if module and home(cls) not in (module, _SCRIPT):
        raise ArgumentError(f"{where}: {short!r} was saved as a class of {module}, and here it is one of {home(cls)}")
    return cls


def to_config(value: Any, where: str = "") -> Any:
    """The JSON form of a record, or of a plain value inside one.

    Errors: ArgumentError for a value without a form, such as a user's function or layer, with its place.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, tuple | list):
        return [to_config(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and _is_entered(type(value)):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        fields = value._to_fields() if hasattr(value, "_to_fields") else fields
        inside = {name: to_config(item, f"{where}.{name}" if where else name) for name, item in fields.items()}
        return {"type": _name_of(type(value)), **inside}
    if isinstance(value, np.ndarray):
        return _array_to_config(value, where)
    if hasattr(value, "__float__") and not callable(value):
        return int(value) if float(value).is_integer() and not isinstance(value, float) else float(value)
    raise ArgumentError(
        f"{where or 'this'} is {value!r:.80}, which a file cannot hold: files hold names and numbers, never code\n"
        f"  try: {_way_into_a_file(value)}; or np.save of model.theta, and the same network built by your program"
    )


def _way_into_a_file(value: Any) -> str:
    """A replacement, so that a record can be saved."""
    at = "@saved, from fallline.config, above"
    if isinstance(value, type):
        return f"an instance, {value.__name__}(...)"
    own = type(value).__module__.partition(".")[0] == _OWN
    if dataclasses.is_dataclass(value) and not own:
        return f"{at} the class {type(value).__name__}"
    if callable(value) or own:
        return f"a dataclass of your own in the place of the function, with {at} it"
    return f"numbers, text, arrays, and dataclasses with {at} them"


def _array_to_config(array: np.ndarray[Any, Any], where: str) -> dict[str, Any]:
    """Numbers of an array, exact in their dtype."""
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or not np.isfinite(array).all():
        raise ArgumentError(
            f"{where or 'this'} is an array of {array.dtype} which a file cannot hold\n  try: finite real numbers"
        )
    return {"array": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}


def _array_from_config(config: dict[str, Any], where: str) -> np.ndarray[Any, Any]:
    try:
        dtype, shape = np.dtype(config["array"]), tuple(config["shape"])
        if dtype.kind not in "fiub" or config.keys() != {"array", "shape", "values"} or min(shape, default=0) < 0:
            raise ValueError
        return np.array(config["values"], dtype).reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{where} is no array: {json.dumps(config)[:80]}") from None


def _is_entered(cls: type) -> bool:
    there = RECORDS.get(cls.__name__)
    return there is not None and _is_same(there, cls)


def from_config(config: Any, kind: type[T], where: str = "config") -> T:
    """The record of this kind that `to_config` turned into `config`.

    Errors: ArgumentError where a name, a field or a value does not fit the declaration of the record, with its place.
    """
    made = _read(config, where, 0)
    if not isinstance(made, kind):
        raise ArgumentError(f"{where} is {json.dumps(config)[:80]}, not a {kind.__name__}")
    return made


def _read(config: Any, where: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ArgumentError(f"{where}: nested deeper than {_DEEPEST}")
    if isinstance(config, list):
        return tuple(_read(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(config))
    if not isinstance(config, dict):
        return config
    if "array" in config and "type" not in config:
        return _array_from_config(config, where)
    cls = _named(config.get("type"), where)
    name = cls.__name__
    fields = {key: _read(value, f"{where}.{key}", depth + 1) for key, value in config.items() if key != "type"}
    known = [field.name for field in dataclasses.fields(cls)]
    for key in fields:
        if key not in known:
            raise ArgumentError(f"{where}: {unknown(f'field of {name}', key, known)}")
    try:
        return cls._from_fields(fields) if hasattr(cls, "_from_fields") else cls(**fields)
    except FalllineError as error:
        raise ArgumentError(f"{where}: {error}") from None
    except TypeError as error:
        raise ArgumentError(f"{where}: {name} cannot be made from {sorted(fields)}: {error}") from None
