"""A comparison with simpler models, kept in the folder of its run, so that nothing is trained once more to show it."""

import json
from pathlib import Path

from fallline.assessment.comparison import Comparison
from fallline.errors import DataError
from fallline.runs.disk import write_json
from fallline.runs.events import plain, read_as
from fallline.runs.folder import COMPARISON


def keep(found: Comparison, folder: Path) -> None:
    """Write a comparison to the folder of its run."""
    write_json(folder / COMPARISON, plain(found))


def kept(folder: Path) -> Comparison | None:
    """The comparison in the folder of a run; None where there is none. Errors: DataError where it is damaged."""
    file = folder / COMPARISON
    if not file.is_file():
        return None
    try:
        found: Comparison = read_as(Comparison, json.loads(file.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"{file} is damaged: {error}") from None
    return found
