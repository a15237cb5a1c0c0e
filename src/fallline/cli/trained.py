"""A run that was trained from the command line, opened again: its model, and what its rows went through."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.data.preprocess import Preprocessing, from_config
from fallline.errors import DataError, MissingFileError, nearest
from fallline.nn import Model


@dataclass(frozen=True, slots=True)
class Trained:
    """source: the data it was trained on, as `journey.Plan.source` says."""

    model: Model
    preprocessing: Preprocessing
    source: dict[str, Any]


def open_run(folder: str) -> Trained:
    """The run in a folder. Errors: MissingFileError with the nearest folder; DataError for a run without columns."""
    import fallline as fl

    path = Path(folder)
    if not path.exists():
        beside = [item.name for item in path.parent.iterdir() if item.is_dir()] if path.parent.is_dir() else []
        raise MissingFileError(f"there is no run {folder!r}{nearest(path.name, beside)}")
    if not path.is_dir():
        raise DataError(f"{folder} is a file, not the folder of a run\n  try: {path.parent}")
    run = fl.load_run(path)
    if "preprocessing" not in run.extra:
        raise DataError(f"the run in {folder} knows no columns: it was not trained by `fallline train`\n"
                        "  try: fl.load_run(...).model.predict(x) in Python")  # fmt: skip
    preprocessing = from_config(run.extra["preprocessing"])
    if run.model.input_shape != (len(preprocessing.features),):
        raise DataError(f"the run in {folder} does not hold together: its network takes {run.model.input_shape}, "
                        f"its preprocessing names {len(preprocessing.features)} columns")  # fmt: skip
    classes = () if run.model.classes is None else run.model.classes
    if len(preprocessing.classes) != len(classes):
        raise DataError(f"the run in {folder} does not hold together: its network tells {len(classes)} classes apart, "
                        f"its preprocessing names {len(preprocessing.classes)}")  # fmt: skip
    source = run.extra.get("source")
    return Trained(run.model, preprocessing, source if isinstance(source, dict) else {})
