"""Opened: a run with the rows it was trained on: whatever says something about a run begins here.

Rows come from the run itself, from the caller, or once more from the file or the set that the run names. Whatever
cannot be had is told in words, and nothing is guessed.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.committee.bagging import MEMBERS
from fallline.committee.entry import jobs_of
from fallline.data import sets
from fallline.data.dataset import Dataset, split
from fallline.data.origin import Origin
from fallline.errors import ArgumentTypeError, DataError, FalllineError
from fallline.feeds.order import stream
from fallline.jobs.describe import data_of, digest
from fallline.jobs.job import Job, redrawn
from fallline.jobs.named import Rows
from fallline.jobs.streamed import Streamed
from fallline.nn.ensemble import members
from fallline.nn.model import Model
from fallline.optim import Optimizer
from fallline.recipe import PLAIN, Choices, Recipe, recipe_of
from fallline.source import as_tree
from fallline.training.profiling import job_again
from fallline.training.run import Run, load_run
from fallline.tree import Tree


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """Some rows as a network and its loss take them.

    x: (n, ...), or a tree of such arrays. y: (n,) or (n, K). weight: (n,), None where all count alike. index: (n,), the
    place of each among the rows that the training was given. whole: whether these are all there are.
    """

    x: Tree
    y: Array
    weight: Array | None
    index: Array
    whole: bool

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One network of a run, which is the only one but for ensembles.

    model: without encoder or decoder, so that it takes rows as `sample` gives them. job: its training once more, where
    the run `replays` from its first parameters; None where its rows could not be had. run: its own history; None where
    only the average was kept.
    """

    name: str
    model: Model
    job: Job | None
    run: Run | None

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer of the training, its schedule fitted to the length; None without a job."""
        return None if self.job is None else self.job.optimizer

    def sample(self, most: int | None = None, seed: int = 0) -> Sample | None:
        """Training rows, at most so many, drawn from the seed and in ascending order; None where there are none."""
        return None if self.job is None else sample_of(self.job.train, self.model, most, seed)

    def validation(self, most: int | None = None, seed: int = 0) -> Sample | None:
        """Validation rows, likewise."""
        return None if self.job is None else sample_of(self.job.validation, self.model, most, seed)

    def every(self, most: int | None = None, seed: int = 0) -> Sample | None:
        """Training and validation rows, likewise; training rows alone where the others came apart from them."""
        if self.job is None or not isinstance(self.job.train, Rows):
            return None
        rows, held = self.job.train, self.job.validation
        if held is not None and all(held.data.get(name) is array for name, array in rows.data.items()):
            rows = replace(rows, index=np.union1d(rows.index, held.index))
        return sample_of(rows, self.model, most, seed)


@dataclass(frozen=True, eq=False, slots=True)
class Opened:
    """A run and all that could be found of its training.

    parts: its networks, one but for ensembles. recipe: of a run that names its data. missing: sentences on what could
    not be had, and why. replays: whether training once more takes the same steps: same rows, same first parameters.
    test: (n,), the places in the recipe's data of the rows that were held out for the test; None without a recipe.
    """

    run: Run
    parts: tuple[Part, ...]
    recipe: Recipe | None
    missing: tuple[str, ...]
    replays: bool
    test: Array | None = None

    @property
    def name(self) -> str:
        """The run as a command line calls it."""
        return "RUN" if self.run.folder is None else str(self.run.folder)

    def given_rows(self, index: Array) -> Array:
        """The places in the file, or in the data as they were given, of rows that `sample` has numbered."""
        return index if self.recipe is None else self.recipe.train[index]

    @property
    def has_rows(self) -> bool:
        return all(part.job is not None for part in self.parts)


def opened(run: Run | str | os.PathLike[str], data: Any = None) -> Opened:
    """A run with its rows, as far as they can be had.

    run: a Run, or the folder of one, also of one that earlier versions made. data: (x, y) or (x, y, weight) as they
        were given to the training; None takes them from the run, or from the file or set that it names.
    Errors: those of `fl.load_run`; DataError for data that are not those of the run.
    Example: opened("runs/digits").parts[0].sample(512)
    """
    if isinstance(run, str | os.PathLike):
        run = load_run(run)
    if not isinstance(run, Run):
        raise ArgumentTypeError(f"a run, or the folder of one, is needed, got {run!r:.80}")
    recipe, test, missing = None, None, list[str]()
    jobs: tuple[Job, ...] = ()
    unknown = run.config["optimizer"].get("not_saved")
    if data is not None and unknown is not None:
        missing.append(f"it was trained by {unknown}, which no file can hold")
    elif data is not None:
        jobs = (_job_on(run, data),)
        if changed := _changed(run, jobs[0]):
            raise DataError(f"these data are not those of the training: {changed}\n"
                            "  try: the rows in the form and the order in which it was given them")  # fmt: skip
    elif run.job is not None:
        jobs = (run.job,)
    else:
        try:
            recipe, test = _recipe(run) or (None, None)
            jobs = _jobs_of(run, recipe)
        except (FalllineError, OSError) as error:
            why = " ".join(str(error).split())
            missing.append(f"its rows could not be read again: {why}")
        else:
            if recipe is None:
                missing.append("it does not say where its rows came from; data=(x, y) gives them")
            elif changed := _changed(run, jobs[0]):
                missing.append(f"its rows have changed since the training: {changed}")
                jobs, recipe, test = (), None, None
    return _with_parts(run, jobs, recipe, test, missing)


def _with_parts(
    run: Run, jobs: tuple[Job, ...], recipe: Recipe | None, test: Array | None, missing: list[str]
) -> Opened:
    models = members(replace(run.model, encoder=None, decoder=None))
    if jobs and isinstance(jobs[0].train, Streamed):
        missing.append("its rows came from an iterable, which gives them once")
        jobs = ()
    if len(models) > 1 and len(jobs) == 1:
        jobs = jobs * len(models)
    if jobs and len(jobs) != len(models):
        missing.append(f"{len(jobs)} networks were begun and {len(models)} are in its average, so it is not known "
                       "which was trained on which rows")  # fmt: skip
        jobs = ()
    runs = members_in(run, len(models))
    names = [""] if len(models) == 1 else [f"member {place + 1}" for place in range(len(models))]
    replays = False
    if jobs:
        first = _begun(run, jobs[0])
        replays = first is not None
        jobs = (first or jobs[0], *jobs[1:])
    found = zip(names, models, jobs or [None] * len(models), runs, strict=True)
    return Opened(run, tuple(Part(*each) for each in found), recipe, tuple(missing), replays, test)


def _begun(run: Run, job: Job) -> Job | None:
    """The job with the parameters that the training began with; None where they are not known any more."""
    begun = run.config.get("theta")
    if run.config.get("init") is not None:
        return None
    if digest(job.model.theta) == begun:
        return job
    fresh = redrawn(job)
    return replace(job, model=fresh) if digest(fresh.theta) == begun else None


def members_in(run: Run, count: int) -> list[Run | None]:
    """The runs of an ensemble's networks, in their order, where its folder has them all."""
    if count == 1:
        return [run]
    folder = None if run.folder is None else Path(run.folder) / MEMBERS
    found = [] if folder is None or not folder.is_dir() else [load_run(one) for one in sorted(folder.iterdir())]
    own = [one.theta for one in members(run.model)]
    matching = [next((one for one in found if np.array_equal(one.model.theta, theta)), None) for theta in own]
    return list(matching) if len(own) == count else [None] * count


def _recipe(run: Run) -> tuple[Recipe, Array] | None:
    """The recipe of a run that names its data, and the places of its test rows; None for another."""
    origin = Origin.from_config(run.extra.get("source"))
    decoder = run.model.decoder
    if origin is None or decoder is None:
        return None
    kept = run.extra.get("training") or {"choices": {"preset": PLAIN}}
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in kept["choices"].items()
    }
    data = _dataset(origin, decoder.target)
    # Runs of before there were choices tell the share of test rows by the number of the others alone.
    test = kept["test"] if "test" in kept else 1 - run.config["data"]["rows"] / len(data)
    train, held = split(data, min(max(float(test), 0.0), 0.99))
    return recipe_of(data, Choices(**chosen), train), held


def _dataset(origin: Origin, target: str) -> Dataset:
    if origin.data in sets.SETS:
        return sets.load(origin.data)
    # Readers of files, which named sets do without.
    from fallline.data.dataset_file import read_dataset

    return read_dataset(origin.data, target, origin.wishes, origin.reading, origin.test)


def _jobs_of(run: Run, recipe: Recipe | None) -> tuple[Job, ...]:
    """The trainings of the recipe; of a run of before there were choices, the one that its config describes."""
    if recipe is None:
        return ()
    return jobs_of(recipe, **_training_of(run)) if run.extra.get("training") else (_job_on(run, recipe.rows),)


def _training_of(run: Run) -> dict[str, Any]:
    """The settings by which a run may differ from its recipe."""
    return {"threads": run.config.get("threads")}


def _job_on(run: Run, data: Any) -> Job:
    """The job that a run's config describes, on these data, with the run's own model."""
    share = run.config.get("validation")
    length = {"epochs": run.config["epochs"]} if "epochs" in run.config else {}
    model = run.model if run.job is None else run.job.model
    return job_again(model, run.config, data, validation=share if isinstance(share, float) else None, **length)


def _changed(run: Run, job: Job) -> str:
    """In which array the rows of a job differ from those that a run was trained on, in words; "" if in none."""
    then, now = run.config.get("data") or {}, data_of(job.train, job.model, job.cache)
    if then.get("rows", now["rows"]) != now["rows"]:
        return f"{then['rows']} rows then, {now['rows']} now"
    different = [name for name, value in now.items() if name in then and then[name] != value]
    return "" if not different else f"other values of {' and '.join(different)}"


def sample_of(rows: Rows | Streamed | None, model: Model, most: int | None, seed: int) -> Sample | None:
    """Rows of a job as its network and loss take them, at most so many; None where there are none to be read again."""
    if not isinstance(rows, Rows):
        return None
    index, whole = rows.index, True
    if most is not None and len(index) > most:
        index = np.sort(stream(seed, "rows to look at").choice(index, most, replace=False))
        whole = False
    arrays = {name: array[index] for name, array in rows.data.items()}
    x = {
        name: array.astype(model.dtype) if array.dtype.kind == "f" and array.dtype != model.dtype else array
        for name, array in arrays.items()
        if name not in ("y", "weight")
    }
    return Sample(as_tree(x, model.inputs), arrays["y"], arrays.get("weight"), index, whole)


__all__ = ["Opened", "Part", "Sample", "opened", "sample_of"]
