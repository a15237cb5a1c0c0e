"""A run that was trained on a table, opened again: its model, which knows columns and target, and where its data are.

All is read from files under a checksum, never from config.json.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.cli import screen
from fallline.data.dataset_file import from_config, rows_for
from fallline.errors import DataError, MissingFileError, nearest
from fallline.nn import Columns, Labels, Model
from fallline.nn.encoder import Decoder
from fallline.table import Table


@dataclass(frozen=True, slots=True)
class Trained:
    """source: the data it was trained on, as `session.Plan.source` says."""

    model: Model
    encoder: Columns
    decoder: Decoder
    source: dict[str, Any]

    @property
    def labels(self) -> tuple[Any, ...]:
        """Those of a classifier, in the order of its outputs; () for a quantity."""
        return self.decoder.labels if isinstance(self.decoder, Labels) else ()

    def rows(self, file: str, more: Sequence[str] = ()) -> Table:
        """The columns that the model takes, of another file that is read as the run's own was; `more` as they are
        written. Notes about the file are said.

        Errors: DataError for columns that are not there.
        """
        table = rows_for(self.encoder, file, more, from_config(self.source.get("reading")))
        for note in table.notes:
            screen.note(note)
        return table


def open_run(folder: str) -> Trained:
    """The run in a folder. Errors: MissingFileError with the nearest folder; DataError for a run without columns."""
    from fallline.runs.kept import in_folder

    path = folder_of(folder)
    found = in_folder(path)
    model = found.model
    if model.encoder is None or model.decoder is None:
        raise DataError(f"the run in {folder} knows no columns: it was trained without encoder and decoder\n"
                        "  try: fl.load_run(...).model.predict(x) in Python")  # fmt: skip
    source = found.extra.get("source")
    return Trained(model, model.encoder, model.decoder, source if isinstance(source, dict) else {})


def folder_of(folder: str) -> Path:
    """The folder of a run, which is there. Errors: MissingFileError with the nearest one; DataError for a file."""
    path = Path(folder)
    if not path.exists():
        siblings = [item.name for item in path.parent.iterdir() if item.is_dir()] if path.parent.is_dir() else []
        raise MissingFileError(f"there is no run {folder!r}{nearest(path.name, siblings)}")
    if not path.is_dir():
        from fallline.runs.folder import CONFIG

        hint = f"\n  try: {path.parent}" if (path.parent / CONFIG).is_file() else ""
        raise DataError(f"{folder} is a file, not the folder of a run{hint}")
    return path
