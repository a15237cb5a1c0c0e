"""The folder of a run: config.json, events.jsonl, checkpoints/, model.safetensors, and of networks trained on folds
held_out.npy. Written by one process at a time.

A folder can be read at whatever moment a process dies. Knows the run's state as named arrays, its model as a
whole, and nothing of how either is made.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fallline.arrays import Array
from fallline.errors import ArgumentError, DataError, ExistingFileError, MissingFileError
from fallline.nn.model import Model
from fallline.runs import checkpoint
from fallline.runs.checkpoint import Checkpoint
from fallline.runs.disk import locked, remove_parts, sync, write_atomically, write_json
from fallline.runs.events import Event, TrainingStarted, from_record, to_record
from fallline.runs.model_file import save_model

CONFIG, EVENTS, CHECKPOINTS, MODEL = "config.json", "events.jsonl", "checkpoints", "model.safetensors"
HELD_OUT = "held_out.npy"
# Made from a run afterwards, and out of date once it is trained again.
COMPARISON, REPORT = "comparison.json", "report.html"

MOST_TOLD = 8  # differences between two trainings
# By default a checkpoint is written this often, and so seldom that writing takes 2 % of the time.
_EVERY_SECONDS, _SHARE = 15.0, 1 / 50
_FLUSH_SECONDS, _SIGNS_SECONDS = 0.5, 1.0


class RunFolder:
    """One run's folder, for writing.

    config: what `describe.described` says of the job. every: epochs between checkpoints, "auto" for by time, None for
        none but the last. overwrite, resume: for a run that is there already.
    """

    def __init__(
        self,
        path: Path,
        config: dict[str, Any],
        every: int | str | None = "auto",
        *,
        overwrite: bool = False,
        resume: bool = False,
        must_exist: bool = False,
    ) -> None:
        self.path, self.config = path, config
        self._every, self._overwrite, self._resume = every, overwrite, resume
        self._file: TextIO | None = None
        self._saved = self._flushed = time.monotonic()
        self._cost = 0.0
        self._shown: dict[str, float] = {}  # when a sign of life of each kind was written last
        self.events: list[Event] = []  # of the run that is continued
        self.found: Checkpoint | None = None  # where it stood
        self.damaged: list[Path] = []  # checkpoints that were passed over
        if must_exist and not (path / CONFIG).is_file():
            raise MissingFileError(f"there is no run to resume in {path}\n  try: out=..., for a new one")
        self._check(path)

    def _check(self, path: Path) -> None:
        """Raise unless this folder may be written to."""
        if path.exists() and not path.is_dir():
            raise ExistingFileError(f"{path} is a file, so no run can be saved there")
        if not path.is_dir() or all(e.name == "lock" or e.name.startswith(".") for e in path.iterdir()):
            return
        if not (path / CONFIG).is_file():
            raise ExistingFileError(f"{path} holds other things and no run\n  try: a new folder")
        if self._resume:
            self._check_same(read_config(path), path)
        elif not self._overwrite:
            raise ExistingFileError(
                f"{path} holds a run already\n  try: another folder; overwrite=True to replace it, resume=True to go on"
            )
        else:
            try:
                read_config(path)
            except DataError as error:  # many a program has a config.json, and the files next to it are not ours
                raise ExistingFileError(f"{error}, so nothing there is overwritten\n  try: a new folder") from None

    def _check_same(self, then: dict[str, Any], where: Path) -> None:
        """Raise unless this training is the one of a config."""
        from fallline.jobs.describe import differences  # late: predicting from a folder takes no training

        wrong = differences(then, json.loads(json.dumps(self.config)))
        if wrong:
            lines = [*wrong[:MOST_TOLD], *([f"and {len(wrong) - MOST_TOLD} more"] if len(wrong) > MOST_TOLD else [])]
            raise ArgumentError(
                f"{where} cannot be resumed, because this is another training:\n  " + "\n  ".join(lines)
            )

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder: clear it or find where the run stands, then write to it until the end of the block."""
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            self._check(self.path)  # once more, now that nobody else can change it
            for folder in (self.path, self.path / CHECKPOINTS):
                remove_parts(folder)
            if self._resume and (self.path / CONFIG).is_file():
                self.found, self.damaged = checkpoint.newest(self.path / CHECKPOINTS)
                if self.found is not None and "config" in self.found.values:
                    # config.json may have been edited, together with the settings of this call.
                    self._check_same(self.found.values["config"], self.path / CHECKPOINTS)
                self.events = [] if self.found is None else self._before(self.found)
            else:
                self._clear()
            write_json(self.path / CONFIG, self.config)
            mend(self.path / EVENTS)
            with open(self.path / EVENTS, "a", encoding="utf-8") as self._file:
                try:
                    yield
                finally:
                    self._file = None

    def _before(self, found: Checkpoint) -> list[Event]:
        """The events of the run until a checkpoint."""
        return before(read_events(self.path), found.values["epoch"], int(found.arrays["step"]))

    def _clear(self) -> None:
        # In this order the folder is a run at every moment, to be resumed or overwritten.
        for path in checkpoint.paths_in(self.path / CHECKPOINTS):
            path.unlink()
        with suppress(OSError):  # somebody else's files are in it
            (self.path / CHECKPOINTS).rmdir()
        for name in (REPORT, COMPARISON, MODEL, HELD_OUT, EVENTS, CONFIG):
            (self.path / name).unlink(missing_ok=True)

    def describe(self, config: dict[str, Any]) -> None:
        """Another config in the place of the one that the folder was opened with."""
        self.config = config
        write_json(self.path / CONFIG, config)

    def log(self, event: Event) -> None:
        """One more line of events.jsonl. Signs of life are written once a second at most: days of them would add up."""
        assert self._file is not None
        now = time.monotonic()
        if not event.lasts:
            if now - self._shown.get(event.kind, 0.0) < _SIGNS_SECONDS:
                return
            self._shown[event.kind] = now
        self._file.write(json.dumps(to_record(event), allow_nan=False) + "\n")
        if now - self._flushed > _FLUSH_SECONDS or event.urgent:
            self._file.flush()
            self._flushed = now

    def checkpoint_is_due(self, epochs_done: int | None = None) -> bool:
        """Whether to write one now; `epochs_done` at the end of an epoch, None inside one."""
        if self._every == "auto":
            return time.monotonic() - self._saved > max(_EVERY_SECONDS, self._cost / _SHARE)
        return epochs_done is not None and self._every is not None and epochs_done % int(self._every) == 0

    @property
    def has_checkpoint(self) -> bool:
        return bool(checkpoint.paths_in(self.path / CHECKPOINTS))

    def save(self, step: int, state: Checkpoint) -> Path:
        """Write a checkpoint, with every event before it."""
        assert self._file is not None
        begun = time.monotonic()
        self._file.flush()
        sync(self._file.fileno())
        path = checkpoint.write(self.path / CHECKPOINTS, step, state)
        self._saved = time.monotonic()
        self._cost = self._saved - begun
        return path

    def leave_checkpoints(self) -> None:
        """Note in the checkpoint that the run has gone on after it, to an end of which there is no checkpoint."""
        checkpoint.amend(self.path / CHECKPOINTS, {"final": False, "left": True})

    def save_model(self, model: Model, config: dict[str, Any] | None = None) -> None:
        """config: of the run, to be kept with the model; by default that of the folder."""
        config = self.config if config is None else config
        save_model(model, self.path / MODEL, config.get("extra"), config=config)

    def save_held_out(self, predicted: Array) -> None:
        """Predictions for the training rows, each by a network that was not trained on it."""

        def write(path: Path) -> None:
            with open(path, "wb") as file:
                np.save(file, predicted, allow_pickle=False)

        write_atomically(self.path / HELD_OUT, write)


def read_held_out(path: Path) -> Array | None:
    """The predictions that `save_held_out` wrote to a run's folder; None where there are none."""
    file = path / HELD_OUT
    if not file.is_file():
        return None
    try:
        found: Array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{file} is damaged: {error}") from None
    return found


def read_config(path: Path) -> dict[str, Any]:
    """A run folder's config.json."""
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise no_run(path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path / CONFIG} is damaged: {error}") from None
    known = config if isinstance(config, dict) and config.get("fallline") == "run 1" else {}
    if not isinstance(known.get("model"), dict) or not isinstance(known.get("extra") or {}, dict):
        raise DataError(f"{path / CONFIG} is not the config of a Fallline run")
    return known


def no_run(path: Path) -> MissingFileError:
    """The error for a folder without a run; it names those inside, as the folder of a race has them."""
    inside = run_folders(path)
    count = "1 of its folders holds one" if len(inside) == 1 else f"{len(inside)} of its folders hold one"
    hint = f"; {count}\n  try: {inside[0]}" if inside else ""
    return MissingFileError(f"there is no run in {path}: it has no {CONFIG}{hint}")


def run_folders(path: Path) -> list[Path]:
    """The folders inside this one that hold a run."""
    return sorted(one for one in path.iterdir() if (one / CONFIG).is_file()) if path.is_dir() else []


def mend(path: Path) -> None:
    """Cut off a last line that a dying process left half written."""
    if not path.is_file():
        return
    with open(path, "rb+") as file:
        start = max(0, file.seek(0, os.SEEK_END) - (1 << 20))
        file.seek(start)
        file.truncate(start + file.read().rfind(b"\n") + 1)


def read_events(path: Path) -> list[Event]:
    """The events of a run folder, in order; those that a resumed run took back are left out."""
    file = path / EVENTS
    if not file.is_file():
        return []
    events: list[Event] = []
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break  # half written by a process that died
            try:
                event = from_record(json.loads(line))
            except (json.JSONDecodeError, UnicodeDecodeError, DataError, TypeError, AttributeError) as error:
                raise DataError(f"{file}, line {number}: {error}") from None
            if isinstance(event, TrainingStarted):
                events = before(events, event.first_epoch, event.first_step)
            events.append(event)
    return events


def before(events: Iterable[Event], epoch: int, step: int = 0) -> list[Event]:
    """The events that are still true of a run that goes on in this epoch, after so many steps in all."""
    return [event for event in events if event.stays(epoch) and event.until <= step]
