"""A race that was saved, read again: one run in each folder inside that of the race, sorted as they ended."""

import math
import os
from pathlib import Path
from types import MappingProxyType

from fallline.arguments import PATH, takes
from fallline.errors import MissingFileError
from fallline.experiments.contest import Race
from fallline.runs.events import RaceResult, ranked
from fallline.runs.folder import run_folders
from fallline.training.run import Run, load_run


@takes(path=PATH)
def load_race(path: str | os.PathLike[str]) -> Race:
    """The race in a folder: the runs that `fl.race(..., out=path)` saved there, or any other runs side by side.

    Names are those of the folders. A variant that failed before its first checkpoint left no run, and is not there.
    Errors: MissingFileError where no folder in it holds a run; DataError where one is damaged.
    Example: fl.load_race("runs/rates").summary()
    """
    path = Path(path)
    folders = run_folders(path)
    if not folders:
        raise MissingFileError(f"there is no race in {path}: no folder in it holds a run")
    runs = {folder.name: load_run(folder) for folder in folders}
    results = ranked(result_of(run, name) for name, run in runs.items())
    whole = all(one.has_ended and one.state != "interrupted" for one in results)
    seconds = sum(one.seconds for one in results if math.isfinite(one.seconds))
    return Race(MappingProxyType(runs), results, "finished" if whole else "interrupted", seconds)


def result_of(run: Run, name: str) -> RaceResult:
    """How a run stands, by its events."""
    epochs, end, start, shown = run.epochs, run.ended, run.started, run.kept_epoch
    held = None if shown is None else shown.validation_loss
    if held is None and shown is not None and start is not None and start.validation_rows:
        held = math.nan  # JSON holds no infinity
    problem = run.diverged.where if run.diverged is not None and run.stop_reason == "diverged" else ""
    return RaceResult(
        name=name,
        state=run.stop_reason or "interrupted",
        epoch=epochs[-1].epoch + 1 if epochs else 0,
        epochs=start.epochs if start is not None else len(epochs),
        step=epochs[-1].step if epochs else 0,
        loss=math.nan if shown is None else shown.loss,
        validation_loss=held,
        metrics={} if shown is None else shown.metrics,
        seconds=sum(one.seconds for one in epochs) if end is None else end.seconds,
        problem=problem,
        watches=start.watches if start is not None and shown is not None and start.watches in shown.metrics else "",
        higher_is_better=start is not None and start.higher_is_better,
    )
