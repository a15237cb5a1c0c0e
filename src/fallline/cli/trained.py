"""A run that was trained on a table, opened again: its model, which knows columns and target, and where its data are.

All is read from files under a checksum, never from config.json.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.cli import screen
from fallline.cli.exits import UsageProblem
from fallline.data.dataset_file import labelled_rows_for, rows_for
from fallline.data.origin import Origin
from fallline.data.reading import Reading
from fallline.errors import ArgumentError, DataError, MissingFileError, nearest
from fallline.nn import Columns, Labels, Model
from fallline.nn.column import Number
from fallline.nn.encoder import Decoder
from fallline.table import Table

# Unknown levels of a column that are told.
MOST_LEVELS = 3


@dataclass(frozen=True, slots=True)
class Trained:
    """origin: of the data it was trained on; None where the run does not say."""

    model: Model
    encoder: Columns
    decoder: Decoder
    origin: Origin | None

    @property
    def labels(self) -> tuple[Any, ...]:
        """Those of a classifier, in the order of its outputs; () for a quantity."""
        return self.decoder.labels if isinstance(self.decoder, Labels) else ()

    @property
    def _reading(self) -> Reading | None:
        return None if self.origin is None else self.origin.reading

    def rows(self, file: str) -> Table:
        """The columns that the model takes, of another file that is read as the run's own was.

        Notes about the file are said.
        Errors: DataError for columns that are not there.
        """
        return said(rows_for(self.encoder, file, reading=self._reading))

    def labelled_rows(self, file: str) -> tuple[Table, Array, int]:
        """These and the targets, of a file or a named set; and how many rows without a target are left out.

        Errors: UsageProblem for a named set of other columns; DataError for columns that are not there.
        """
        try:
            x, y, left_out = labelled_rows_for(self.encoder, self.decoder, file, self._reading)
        except ArgumentError as error:
            raise UsageProblem(str(error)) from None
        return said(x), y, left_out

    def surprises(self, x: Table) -> Iterator[str]:
        """Sentences on values that training has not met, so that their rows are answered from the other columns."""
        from fallline.assessment.assessed import unknown_levels

        for name, (rows, new) in unknown_levels(self.encoder, x).items():
            more = f" and {len(new) - MOST_LEVELS} more" if len(new) > MOST_LEVELS else ""
            said = ", ".join(map(repr, new[:MOST_LEVELS]))
            yield f"column {name!r}: levels that were not trained on, {said}{more}, in {rows_text(rows)}"
        for column in self.encoder.columns:
            if isinstance(column, Number) and not column.indicator:
                gone = int(np.isnan(column.read(x[column.name])).sum())
                if gone:
                    yield f"column {column.name!r}: no value in {rows_text(gone)}, and no training row lacked one"


def said(table: Table) -> Table:
    """The table, after its notes are said."""
    for note in table.notes:
        screen.note(note)
    return table


def rows_text(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def open_run(folder: str) -> Trained:
    """The run in a folder. Errors: MissingFileError with the nearest folder; DataError for a run without columns."""
    from fallline.runs.kept import in_folder

    path = folder_of(folder)
    found = in_folder(path)
    model = found.model
    if model.encoder is None or model.decoder is None:
        raise DataError(f"the run in {folder} knows no columns: it was trained without encoder and decoder\n"
                        "  try: fl.load_run(...).model.predict(x) in Python")  # fmt: skip
    return Trained(model, model.encoder, model.decoder, Origin.from_config(found.extra.get("source")))


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
