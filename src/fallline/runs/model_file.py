"""A model as one safetensors file: theta, and JSON metadata that describes it. Nothing in it is executable.

Everything that predicting needs is in it, encoder and decoder included, under one checksum.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.arguments import PATH, takes
from fallline.errors import DataError, FalllineError, MissingFileError
from fallline.nn.column import Standardised
from fallline.nn.encoder import Columns, Labels, Quantity
from fallline.nn.model import MODEL, Model
from fallline.runs.checkpoint import checksum, save_arrays
from fallline.runs.disk import saving_errors

# The first form had no encoder and no decoder, and its run's config was in another file only.
_FORM, _FORMS = "model 2", ("model 1", "model 2")
_NEWER = re.compile(r"model \d+")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The contents of a model file. extra: values saved with the model. config: of the run it comes from, or None."""

    model: Model
    extra: dict[str, Any]
    config: dict[str, Any] | None


@takes(model=MODEL, path=PATH)
def save_model(
    model: Model,
    path: str | os.PathLike[str],
    extra: Mapping[str, Any] | None = None,
    *,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write a model to a file, atomically; an existing one is replaced.

    extra: anything JSON can hold that belongs to the model, such as where its data came from; `read_model` returns it.
    config: of the run that made it.
    Errors: ArgumentError for a network or loss of a user's own, which a file cannot hold; SavingError where
        the disk does not take it.
    Example: save_model(run.model, "digits.safetensors")
    """
    path = Path(path)
    of_run = None if config is None else {k: v for k, v in config.items() if k not in ("model", "extra")}
    text = json.dumps({"model": model.to_config(), "extra": extra or {}, "run": of_run}, allow_nan=False)
    arrays = {"theta": model.theta}
    with saving_errors(path):
        told = {"fallline": _FORM, "version": version(), "config": text, "checksum": checksum(arrays, text)}
        save_arrays(path, arrays, told)
    return path


@takes(path=PATH)
def read_file(path: str | os.PathLike[str]) -> ModelFile:
    """A model file, whole.

    Errors: MissingFileError; DataError for a file that is cut short, damaged, or no model of ours.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no model file {path}")
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            theta = np.array(file.get_tensor("theta"))
    except (SafetensorError, OSError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a model: {error}{_AGAIN}") from None
    form, written_by = metadata.get("fallline", ""), metadata.get("version", "")
    if _NEWER.fullmatch(form) and form not in _FORMS:
        newer = f"a newer version of Fallline{written_by and f', {written_by}'}, in the form {form!r}"
        raise DataError(f"{path} was written by {newer}; this version, {version()}, reads "
                        f"{', '.join(map(repr, _FORMS))}\n  try: pip install --upgrade fallline")  # fmt: skip
    if form not in _FORMS:
        raise DataError(f"{path} is a safetensors file without a Fallline model in it: no architecture is named")
    if metadata.get("checksum") != checksum({"theta": theta}, metadata.get("config", "")):
        raise DataError(f"{path} is damaged: its checksum does not fit{_AGAIN}")
    try:
        found = json.loads(metadata["config"])
        return opened(found["model"], theta, dict(found["extra"]), found.get("run"))
    except (KeyError, TypeError, ValueError, RecursionError, MemoryError, FalllineError) as error:
        other = (
            f"\n  written by Fallline {written_by}, read by {version()}" if written_by not in ("", version()) else ""
        )
        raise DataError(f"{path} does not hold a whole model: {error}{other}") from None


def version() -> str:
    """The version of the package, which stands in a room above this one."""
    found: str = sys.modules["fallline"].__version__
    return found


_AGAIN = "\n  try: resuming its run, which writes the model again from the last checkpoint"


def opened(model: Any, theta: Any, extra: dict[str, Any], run: Any) -> ModelFile:
    """A model from its parts as they are kept. Errors: ArgumentError, KeyError, TypeError for parts that do not fit."""
    made, config = Model.from_config(model, theta), None
    if "preprocessing" in extra:
        made = _standardised(made, extra["preprocessing"])
    if isinstance(run, dict):
        config = {**run, "model": model, "extra": extra}
    return ModelFile(made, extra, config)


def _standardised(model: Model, old: dict[str, Any]) -> Model:
    """The model of a file in the first form, in which the scales of its rows were plain numbers of the config."""
    columns = zip(old["features"], old["mean"], old["scale"], strict=True)
    decoder: Any = Labels(old["target"], tuple(old["classes"])) if old["classes"] else None
    return model.between(
        Columns(tuple(Standardised(*one) for one in columns)),
        decoder or Quantity(old["target"], old["target_mean"], old["target_scale"]),
    )


@takes(path=PATH)
def read_model(path: str | os.PathLike[str]) -> tuple[Model, dict[str, Any]]:
    """The model in a file, and the values saved with it. Errors: as for `read_file`."""
    found = read_file(path)
    return found.model, found.extra
