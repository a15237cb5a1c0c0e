"""The settings of a run other than model and data, with ranges. Checks itself; knows no data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline import optim, ranges
from fallline.arguments import PATH, shown
from fallline.errors import ArgumentTypeError, FalllineError, unknown
from fallline.gauges import chosen
from fallline.gauges.chosen import Gauges
from fallline.jobs.stopping import EarlyStopping
from fallline.jobs.training_state import TrainingState, state_of
from fallline.nn import loss as losses
from fallline.nn import measured
from fallline.nn.data_parts import is_stream
from fallline.nn.loss import Loss
from fallline.nn.metric import Metric
from fallline.optim import MINIMISERS, OPTIMIZERS, Optimizer, Schedule
from fallline.program import lanes
from fallline.ranges import option, short
from fallline.source import is_source
from fallline.split import chosen_rows
from fallline.steps.measure import Measure, named

SEED_LIMIT = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of `train` and `fit`; see there. `understood` gives the form in which training reads them."""

    loss: Any = None
    optimizer: Any = None
    epochs: int | None = option(None, "passes over the training rows", at_least=1, whole=True, optional=True)
    batch_size: int | str | None = option("auto", "rows a step; the last batch may be smaller", at_least=1, whole=True,
                                          words=("auto", "full"), optional=True)  # fmt: skip
    validation: Any = None
    early_stopping: Any = None
    metrics: Any = None
    measure: Any = None
    measure_every: str = option("step", "the measured steps: every one, or the last of a call", number=False,
                                words=("step", "call"))  # fmt: skip
    gauges: Any = None
    shuffle: bool = option(True, "visit rows in another order each epoch", flag=True)
    seed: int = option(0, "start of all randomness", at_least=0, below=SEED_LIMIT, whole=True)
    dtype: str | None = option(None, "precision of training", number=False, words=("float32", "float64"), optional=True)
    threads: int | None = None
    gradient_checkpointing: bool = option(False, "compute activations twice instead of keeping them", flag=True)
    out: Any = None
    checkpoints: int | str | None = option("auto", "epochs between checkpoints", at_least=1, whole=True,
                                           words=("auto",), optional=True)  # fmt: skip
    overwrite: bool = option(False, "replace the run in that folder", flag=True)
    resume: Any = False
    extra: Mapping[str, Any] | None = None
    encoder: Any = None
    decoder: Any = None
    init: Any = None


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """Settings with every name looked up and every form made one. None: the given value is wrong, and reported."""

    given: Settings
    loss: Loss | None
    optimizer: Optimizer | None
    early_stopping: EarlyStopping | None
    metrics: tuple[Metric, ...]  # requested ones
    share: float  # of the rows, for validation; 0 for none
    folder: Path | None
    resume: bool
    threads: int  # lanes at most
    must_exist: bool  # the folder to resume was named as such
    start: TrainingState | None = None  # of an earlier training that this one goes on from
    measures: Mapping[str, Measure] = field(default_factory=dict)
    gauges: Gauges | None = None


def resolve(settings: Settings, problems: list[str]) -> ResolvedSettings:
    """Look up all names; errors go to `problems`, one line each."""
    dtype: Any = settings.dtype
    if dtype is not None and not isinstance(dtype, str):  # np.float32, np.dtype("float32")
        settings = replace(settings, dtype=getattr(dtype, "__name__", None) or str(dtype))
    problems += ranges.problems(settings)
    problems += _extra(settings.extra)
    folder, resume = settings.out, settings.resume
    if resume is not None and not isinstance(resume, bool | np.bool_) and PATH.problem(resume):
        problems.append(f"resume has to be True, False, or the path of a run's folder, got {shown(resume)}")
        resume = False
    must_exist = not isinstance(resume, bool | np.bool_) and resume is not None
    if must_exist:
        if folder is not None and folder != resume:
            problems.append(f"resume={str(resume)!r} and out={str(folder)!r} name two folders; give one of them")
        folder = resume
    elif resume and folder is None:
        problems.append("resume=True needs the folder of the run: out='...'")
    wrong = None if folder is None else PATH.problem(folder)
    if wrong:
        problems.append(f"out {wrong}")
        folder = None
    if resume and settings.overwrite:
        problems.append("resume and overwrite exclude each other")
    start = _looked_up(state_of, settings.init, problems)
    optimizer = (start.optimizer if start else "adam") if settings.optimizer is None else settings.optimizer
    return ResolvedSettings(
        given=settings,
        loss=_looked_up(losses.get, settings.loss, problems) if settings.loss is not None else None,
        optimizer=_looked_up(looked_up_optimizer, optimizer, problems),
        early_stopping=_looked_up(_early_stopping, settings.early_stopping, problems),
        metrics=_looked_up(measured.resolve, settings.metrics, problems) or (),
        share=_share(settings.validation, problems),
        folder=Path(folder) if folder is not None else None,
        resume=bool(resume),
        threads=_looked_up(lanes.checked, settings.threads, problems) or 1,
        must_exist=must_exist,
        start=start,
        measures=_looked_up(named, settings.measure, problems) or {},
        gauges=_looked_up(chosen.resolve, settings.gauges, problems),
    )


def _extra(extra: Any) -> list[str]:
    try:
        json.dumps(dict(extra or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        return [f"extra has to be a dict that JSON can hold: {error}"]
    return []


def _looked_up(look: Any, given: Any, problems: list[str]) -> Any:
    try:
        return look(given)
    except FalllineError as error:
        problems.append(str(error))
        return None


def looked_up_optimizer(given: Any) -> Optimizer:
    if isinstance(given, Optimizer):
        return given
    if isinstance(given, type) and issubclass(given, Optimizer):
        return given()
    if isinstance(given, Schedule):
        raise ArgumentTypeError(f"the optimizer is the schedule {short(given)}\n  try: optim.Adam({short(given)})")
    if not isinstance(given, str):
        raise unknown("optimizer", given, {**OPTIMIZERS, **MINIMISERS})
    return optim.get(given)


def _early_stopping(given: Any) -> EarlyStopping | None:
    """True for the defaults, a whole number for the patience."""
    if given is None or given is False:
        return None
    if given is True:
        return EarlyStopping()
    return given if isinstance(given, EarlyStopping) else EarlyStopping(patience=given)


def are_rows(validation: Any) -> bool:
    """Whether validation is given as rows of their own."""
    if isinstance(validation, tuple | list | dict) or is_source(validation) or is_stream(validation):
        return True
    return hasattr(validation, "x") and hasattr(validation, "y")


def _share(validation: Any, problems: list[str]) -> float:
    """The share of validation rows, 0 where validation data were given or none is wanted."""
    if validation is None or validation is False or are_rows(validation):
        return 0.0
    if chosen_rows(validation, [], None) is not None:
        return 0.0
    wrong = ranges.Range(at_least=0, below=1).problem(validation)
    if wrong:
        problems.append(f"validation, as a share of the rows, {wrong}; or give validation data, (x, y), or row numbers")
        return 0.0
    return float(validation)
