"""A model as one safetensors file: theta, and JSON metadata that says what it is. Nothing in it is executable."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fallline.arguments import PATH, takes
from fallline.errors import DataError, FalllineError, MissingFileError
from fallline.nn.model import MODEL, Model
from fallline.training.checkpoint import checksum, save_arrays

_FORM = "model 1"


@takes(model=MODEL, path=PATH)
def save_model(model: Model, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> Path:
    """Write a model to a file, atomically; an existing one is replaced.

    extra: anything JSON can hold that belongs to the model, such as its preprocessing; `read_model` returns it.
    Errors: ArgumentError for a network or loss of a user's own, which a file cannot hold; OSError from the disk.
    Example: save_model(run.model, "digits.safetensors")
    """
    path = Path(path)
    config = json.dumps({"model": model.to_config(), "extra": extra or {}}, allow_nan=False)
    arrays = {"theta": model.theta}
    save_arrays(path, arrays, {"fallline": _FORM, "config": config, "checksum": checksum(arrays, config)})
    return path


@takes(path=PATH)
def read_model(path: str | os.PathLike[str]) -> tuple[Model, dict[str, Any]]:
    """The model in a file, and what was kept beside it.

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
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as a model: {error}\n  try: the run's checkpoints, by load_run"
        ) from None
    if metadata.get("fallline") != _FORM:
        raise DataError(f"{path} is a safetensors file without a Fallline model in it: no architecture is named")
    if metadata.get("checksum") != checksum({"theta": theta}, metadata.get("config", "")):
        raise DataError(f"{path} is damaged: its checksum does not fit\n  try: the run's checkpoints, by load_run")
    try:
        config = json.loads(metadata["config"])
        return Model.from_config(config["model"], theta), dict(config["extra"])
    except (KeyError, TypeError, ValueError, FalllineError) as error:
        raise DataError(f"{path} does not hold a whole model: {error}") from None


@takes(path=PATH)
def load_model(path: str | os.PathLike[str]) -> Model:
    """The model in a file, or in the run folder of this name.

    Errors: as for `read_model`.
    Example: load_model("runs/digits").predict(x)
    """
    path = Path(path)
    return read_model(path / "model.safetensors" if path.is_dir() else path)[0]
