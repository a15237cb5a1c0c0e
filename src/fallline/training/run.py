"""Run: the result of a training. Its model, its history, how it ended; saving and loading."""

import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fallline.arguments import PATH, record, takes
from fallline.config import from_config
from fallline.displays import Displayed
from fallline.errors import ArgumentError, MissingFileError, NotCalled, SavingError
from fallline.graph.op import Array
from fallline.jobs.job import Job
from fallline.jobs.training_state import TrainingState, is_kept
from fallline.nn.model import Model
from fallline.optim import Optimizer
from fallline.ranges import FLAG, Range
from fallline.runs import checkpoint, folder, kept
from fallline.runs.disk import saving_errors
from fallline.runs.events import Diverged, EpochEnded, Event, Measured, TrainingEnded, TrainingStarted
from fallline.runs.folder import RunFolder
from fallline.runs.gauge_history import GaugeHistory
from fallline.runs.history import History

if TYPE_CHECKING:
    from fallline.training.profiling import Profile


@record
@dataclass(frozen=True, eq=False)
class Run(Displayed, NotCalled):
    """The result of `fit`, or of `load_run` from a folder.

    model: with the best parameters where early stopping restored them, else the last; after a divergence, the last
        whose loss was finite. events: those that last, in order. folder: where it is saved, or None.
    config: everything needed to repeat it, as in config.json. job: model and data as they were trained, for `profile`;
        None for a run that was read from a folder or pickled. ended_with: the optimizer's state after the last step.
    held_out: of networks trained on folds, for each row the prediction of the one that was not trained on it:
        probabilities (N, K), or quantities (N,).
    """

    _instead_of_a_call = "run.model.predict(x)"

    model: Model
    events: tuple[Event, ...] = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    folder: Path | None = None
    job: Job | None = field(default=None, repr=False)
    ended_with: TrainingState | None = field(default=None, repr=False)
    held_out: Array | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """The pickled state: all but the data."""
        return {**self.__dict__, "job": None}

    @property
    def epochs(self) -> tuple[EpochEnded, ...]:
        """The figures of each epoch."""
        return tuple(event for event in self.events if isinstance(event, EpochEnded))

    @property
    def history(self) -> History:
        """One column for each number reported at the end of an epoch: history["loss"][3] is that of epoch 3.

        Columns: epoch, step, loss, validation_loss and the metrics where there was validation, learning_rate, seconds,
        steps_per_second.
        """
        epochs = self.epochs
        columns: dict[str, list[float]] = {"epoch": [e.epoch for e in epochs], "step": [e.step for e in epochs]}
        columns["loss"] = [e.loss for e in epochs]
        if any(e.validation_loss is not None for e in epochs):
            columns["validation_loss"] = [math.nan if e.validation_loss is None else e.validation_loss for e in epochs]
        for name in dict.fromkeys(name for e in epochs for name in e.metrics):
            columns[name] = [e.metrics.get(name, math.nan) for e in epochs]
        for name in ("learning_rate", "seconds", "steps_per_second"):
            columns[name] = [getattr(e, name) for e in epochs]
        return History({name: np.array(values) for name, values in columns.items()})

    @property
    def measured(self) -> dict[str, dict[str, Array]]:
        """The measures of all steps: measured["gradient norm"]["0.weight"][i] is that of the i-th step measured.

        Empty unless `measure` was given. Of values whose shape follows from the size of a batch, only
        those of the shape that came first.
        """
        found: dict[str, dict[str, list[Array]]] = {}
        for event in self.events:
            for name, paths in event.values.items() if isinstance(event, Measured) else ():
                for path, rows in paths.items():
                    parts = found.setdefault(name, {}).setdefault(path, [])
                    parts += [rows] if not parts or parts[0].shape[1:] == rows.shape[1:] else []
        return {name: {path: np.concatenate(rows) for path, rows in paths.items()} for name, paths in found.items()}

    @property
    def gauges(self) -> GaugeHistory:
        """The gauges of all samples: gauges["gradient_norm"]["0.weight"][i] is that of sample i, gauges.steps[i] its
        step.

        Empty unless `gauges` was given.
        """
        return GaugeHistory.of(self.events)

    @property
    def started(self) -> TrainingStarted | None:
        return next((e for e in reversed(self.events) if isinstance(e, TrainingStarted)), None)

    @property
    def ended(self) -> TrainingEnded | None:
        return next((e for e in reversed(self.events) if isinstance(e, TrainingEnded)), None)

    @property
    def diverged(self) -> Diverged | None:
        return next((e for e in reversed(self.events) if isinstance(e, Diverged)), None)

    @property
    def stop_reason(self) -> str | None:
        """That of TrainingEnded, such as "finished"; None while it has not ended, or was killed."""
        return self.ended.reason if self.ended is not None else None

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the lowest validation loss, or loss where there was no validation."""
        best = [event.epoch for event in self.epochs if event.is_best]
        return best[-1] if best else None

    @property
    def kept_epoch(self) -> EpochEnded | None:
        """The epoch whose parameters the model has: the best where these were restored, else the last; None before the
        first has ended."""
        epochs, end = self.epochs, self.ended
        last = epochs[-1] if epochs else None
        if end is None or not end.restored_best:
            return last
        return next((event for event in epochs if event.epoch == end.best_epoch), last)

    @property
    def state(self) -> TrainingState | None:
        """The state after the last step, which `fit(..., init=run)` goes on from; None where none was kept.

        Of a run that was read from a folder, that of its newest checkpoint.
        """
        return self.ended_with if self.ended_with or self.folder is None else _state_in(self)

    @property
    def extra(self) -> dict[str, Any]:
        """The caller's values that are saved with the model."""
        return dict(self.config.get("extra") or {})

    @takes()
    def summary(self) -> str:
        """The run in a few lines: model, data, end, results, and a warning if it diverged."""
        lines = []
        start, end, epochs = self.started, self.ended, self.epochs
        if start is not None:
            held = f", {start.validation_rows:,} for validation" if start.validation_rows else ""
            rows = "rows of a stream" if start.rows is None else f"{start.rows:,} rows"
            of_them = "" if start.trainable in (None, start.parameters) else f", {start.trainable:,} of them trained"
            lines.append(
                f"{start.parameters:,} parameters{of_them}, {rows}{held}; {start.loss}, {start.optimizer}, "
                f"batch {start.batch_size:,}"
            )
            lines += [f"note: {note}" for note in start.notes]
        reason = {None: "not ended", "early_stopping": "stopped early"}.get(self.stop_reason, self.stop_reason)
        took = f", {end.seconds:.3g} s, {end.steps_per_second:,.0f} steps per second" if end is not None else ""
        lines.append(f"{reason} after {len(epochs):,} epochs{took}")
        if end is not None and end.still_falling:
            lines.append(f"{still_better(start, epochs[-1])}; try: epochs={2 * len(epochs)}")
        if (shown := self.kept_epoch) is not None:
            if end is not None and end.restored_best:
                lines.append(f"parameters of epoch {shown.epoch}, the best")
            numbers = {"loss": shown.loss, "validation_loss": shown.validation_loss, **shown.metrics}
            texts = (f"{name} {value:.4g}" for name, value in numbers.items() if value is not None)
            lines.append(", ".join(texts))
        if self.diverged is not None and self.stop_reason == "diverged":
            event = self.diverged
            lines.append(
                f"WARNING: the loss stopped being finite at step {event.step} (last finite loss {event.last_loss:.4g}, "
                f"learning rate {event.learning_rate:g}); the last good parameters are kept\n  {event.advice}"
            )
        if self.folder is not None:
            lines.append(self._kept())
        return "\n".join(lines)

    def _kept(self) -> str:
        """The files in the folder, as text: for a model that no file can hold, the checkpoints where there are any."""
        if "not_saved" not in self.config["model"]:
            return f"saved in {self.folder}"
        events = "checkpoints and history" if self.config.get("checkpoints") is not None else "history"
        return f"{events} in {self.folder}; the model is not, as no file can hold it"

    @takes(seconds=Range(above=0, at_most=3600))
    def profile(self, data: Any = None, *, seconds: float = 1.0) -> "Profile":
        """Where the time of a training step goes: seconds, operations and bytes by layer and by kind of instruction,
        compared with the peak of this machine, measured at the same time.

        data: (x, y) as for `train`; only a run that was read from a folder needs them. seconds: to spend, about.
        Steps are made on a copy of the state: the run and its model stay as they are. str() of it is a table.
        Errors: ArgumentError where there are no data, or for an optimizer that no file could hold.
        Example: print(fl.fit(model, (x, y), loss="cross_entropy").profile())
        """
        from fallline.training import profiling

        job = self.job if data is None else profiling.job_again(self.model, self.config, data)
        if job is None:
            raise ArgumentError("this run holds no data to make steps with\n  try: run.profile((x, y))")
        return profiling.profile_of(job, seconds)

    @takes(path=PATH, overwrite=FLAG)
    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the run to a folder as training with `out` does, without checkpoints; `load_run` reads it.

        Errors: ExistingFileError where there is a run already; ArgumentError for a model that no file can hold;
            SavingError where the disk does not take it.
        """
        target = RunFolder(Path(path), self.config, overwrite=overwrite)
        self.model.to_config()  # before anything is overwritten
        with saving_errors(target.path), target.opened():
            self.write_into(target)
        return target.path

    def write_into(self, target: RunFolder) -> "Run":
        """The run, written to a folder that is open. Errors: SavingError with the run, where the disk takes no more."""
        try:
            with saving_errors(target.path):
                target.describe(self.config)
                for event in self.events:
                    target.log(event)
                target.save_model(self.model)
                if self.held_out is not None:
                    target.save_held_out(self.held_out)
        except SavingError as error:
            error.run = self
            raise
        return replace(self, folder=target.path)


def still_better(start: TrainingStarted | None, last: EpochEnded) -> str:
    """That the number which was watched was getting better to the end, in words."""
    names = {"": "loss" if last.validation_loss is None else "validation_loss"}
    watches = start.watches if start is not None else ""
    rises = start is not None and start.higher_is_better
    return f"the {names.get(watches, watches).replace('_', ' ')} was still {'rising' if rises else 'falling'}"


@takes(path=PATH)
def load_run(path: str | os.PathLike[str]) -> Run:
    """The run in a folder: finished or not, as long as it has a model or a checkpoint.

    The model is the file's; of a run that was cut off, it is that of its newest checkpoint. Model, config and extra
    come from files under a checksum, never from config.json.
    Errors: MissingFileError where there is no run; DataError where it is damaged.
    Example: fl.load_run("runs/mine").model.predict(x)
    """
    path = Path(path)
    if not path.is_dir():
        raise MissingFileError(f"there is no run in {path}: it is no folder")
    found = kept.in_folder(path)
    events = tuple(event for event in folder.read_events(path) if event.lasts)
    # The first form of model files held no config of the run.
    return Run(found.model, events, found.config or folder.read_config(path), path, held_out=folder.read_held_out(path))


def _state_in(run: Run) -> TrainingState | None:
    """The state in the newest checkpoint of a run's folder; None where there is none, or it is no longer the last."""
    assert run.folder is not None
    found, damaged = checkpoint.newest(run.folder / folder.CHECKPOINTS)
    optimizer = run.config.get("optimizer", {})
    if found is None or damaged or found.values.get("left") or "not_saved" in optimizer:
        return None
    arrays, values = found.arrays, found.values
    return TrainingState(
        run.model.with_theta(arrays["theta"]),
        from_config(optimizer, Optimizer, "optimizer"),
        {name: array for name, array in arrays.items() if is_kept(name)},
        values["epoch"] + (values["epoch_step"] > 0),
    )
