"""Panel: several trainings as one, an iterator over events like any training. What folds and a search share.

Knows races and runs, and nothing of how members come about.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fallline.errors import Attributes
from fallline.nn.encoder import Labels
from fallline.nn.model import Model
from fallline.runs.disk import saving_errors
from fallline.runs.events import Event, Progress, RaceResult, TrainingStarted
from fallline.runs.folder import RunFolder
from fallline.training.interrupt import Interruptible
from fallline.training.run import Run

# Settings of a training that are about its folder, and the panel's own affair.
OF_THE_FOLDER = ("out", "overwrite", "resume", "checkpoints")


class Panel(Interruptible[Event], Attributes):
    """Several trainings as an iterator over the events of one; `run` is the result so far, one model.

    Work is done only while an event is requested. Ctrl-C while an event is awaited ends all trainings in good order,
    with the reason "interrupted" and what they have found; so does `stop`.
    """

    resumes = False  # whether one that was cut off goes on where it was

    def stop(self) -> None:
        """End after the machine calls that run now, as Ctrl-C does."""
        raise NotImplementedError

    @property
    def run(self) -> Run:
        """The run so far: the average of what the trainings have found."""
        raise NotImplementedError


class Saved:
    """The folder of a panel, where it has one: held from the first event on, so that nobody else takes it meanwhile."""

    def __init__(self, settings: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Errors: ExistingFileError for a folder that is taken; ArgumentError for another run to resume."""
        self.path: Path | None = None if settings.get("out") is None else Path(settings["out"])
        ways = {name: bool(settings.get(name, False)) for name in ("overwrite", "resume")}
        self._folder = None if self.path is None else RunFolder(self.path, dict(config), None, **ways)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder. Errors: SavingError from the disk; ArgumentError where another process holds it."""
        with ExitStack() as stack:
            if self._folder is not None:
                with saving_errors(self._folder.path):
                    stack.enter_context(self._folder.opened())
            yield

    def keep(self, run: Run) -> None:
        """Save the model of the run so far."""
        if self._folder is not None:
            with saving_errors(self._folder.path):
                self._folder.save_model(run.model, run.config)

    def write(self, run: Run) -> Run:
        """The run, saved where it is to be."""
        return run if self._folder is None else run.write_into(self._folder)


def shared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that every member of a panel has."""
    return {name: value for name, value in settings.items() if name not in (*OF_THE_FOLDER, "threads")}


def progress(results: Sequence[RaceResult], seconds: float) -> Progress:
    """How far all are, in one event: steps of all together, the least of their epochs, the mean of their losses."""
    running = [one for one in results if not one.has_ended] or list(results)
    losses = [one.loss for one in running if math.isfinite(one.loss)]
    steps = sum(one.step for one in results)
    return Progress(
        epoch=min(one.epoch for one in running),
        step=steps,
        epoch_step=0,
        loss=sum(losses) / len(losses) if losses else math.nan,
        learning_rate=math.nan,
        seconds=seconds,
        steps_per_second=steps / seconds if seconds else 0.0,
    )


def started_as_one(first: TrainingStarted, size: int, folder: Path | None, notes: Sequence[str]) -> TrainingStarted:
    """The beginning of a panel of this size, from that of its first training."""
    steps = None if first.steps_per_epoch is None else size * first.steps_per_epoch
    notes = (*first.notes, *notes)
    return replace(first, steps_per_epoch=steps, notes=notes, folder=None if folder is None else str(folder))


def predicted(model: Model, x: Any) -> Any:
    """Probabilities (N, K) of a classifier, or quantities (N,), of some rows."""
    return model.predict_proba(x) if isinstance(model.decoder, Labels) else model.predict(x)
