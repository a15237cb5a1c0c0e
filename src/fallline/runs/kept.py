"""The model of a run folder, from files under a checksum alone: the model file, else the newest checkpoint.

config.json describes a run to people; nothing is ever predicted from it.
"""

import os
from pathlib import Path
from typing import Any

from fallline.arguments import PATH, takes
from fallline.errors import ArgumentError, DataError, FalllineError
from fallline.nn.model import Model
from fallline.runs import checkpoint, folder
from fallline.runs.model_file import ModelFile, opened, read_file

BEST = "best.theta"


@takes(path=PATH)
def load_model(path: str | os.PathLike[str]) -> Model:
    """The model in a file, or in the run folder of this name; of a run that was cut off, that of its newest checkpoint.

    It takes rows as the training took them: with an encoder, as they are in the table.
    Errors: MissingFileError; DataError for a file that is cut short, damaged, or no model of ours; ArgumentError for a
    run whose model no file can hold.
    Example: load_model("runs/digits").predict(x)
    """
    path = Path(path)
    return in_folder(path).model if path.is_dir() else read_file(path).model


def in_folder(path: Path) -> ModelFile:
    """The model of a run folder, with all that was saved with it.

    A model file that is damaged is made up for by the checkpoint of the run's end, which holds the same; where another
    checkpoint is the newest, it would be another model, and is refused.
    Errors: as for `load_model`.
    """
    try:
        if (path / folder.MODEL).is_file():
            return read_file(path / folder.MODEL)
    except DataError:
        found, damaged = checkpoint.newest(path / folder.CHECKPOINTS)
        if found is None or damaged or not found.values.get("final"):
            raise
        return _of_checkpoint(path, found)
    found, damaged = checkpoint.newest(path / folder.CHECKPOINTS)
    if damaged:
        raise DataError(f"{damaged[0]} is damaged, so the newest model of this run cannot be read\n"
                        "  try: resuming the run, or remove that file to have the checkpoint before it")  # fmt: skip
    if found is not None:
        return _of_checkpoint(path, found)
    if not (path / folder.CONFIG).is_file():
        raise folder.no_run(path)
    folder.read_config(path)
    raise DataError(f"the run in {path} was cut off before its first checkpoint: there is no model in it\n"
                    "  try: the same training again, with resume=True (--resume) or overwrite=True")  # fmt: skip


def _of_checkpoint(path: Path, found: checkpoint.Checkpoint) -> ModelFile:
    """The model at a checkpoint: its last parameters, or those that its run ended with."""
    config: dict[str, Any] | None = found.values.get("config")
    if config is None:
        raise DataError(f"the checkpoints in {path} have the first form, which does not name their network, "
                        "and config.json has no checksum\n"
                        "  try: resuming the run, which writes its model")  # fmt: skip
    if "not_saved" in config["model"]:
        raise ArgumentError(f"the run in {path} trained {config['model']['not_saved']}, which no file can hold")
    if found.values.get("left"):
        raise DataError(f"{path / folder.MODEL} is missing, and the run went on after its last checkpoint\n"
                        "  try: resuming the run, which writes the model again")  # fmt: skip
    restored = found.values.get("final") and BEST in found.arrays and found.values["best"]["epoch"] is not None
    theta = found.arrays[BEST if restored else "theta"]
    try:
        return opened(config["model"], theta, dict(config.get("extra") or {}), config)
    except (KeyError, TypeError, ValueError, FalllineError) as error:
        raise DataError(f"the checkpoint in {path} does not hold a whole model: {error}") from None
