"""`escape`: off a strict saddle along the direction of negative curvature, and on from there as a run of its own."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fallline.arguments import PATH, takes
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Finding
from fallline.diagnosis.lying import saddle
from fallline.diagnosis.standing import standing
from fallline.diagnosis.trend import trend
from fallline.errors import ArgumentError, NotCalled
from fallline.insight.opened import opened
from fallline.jobs.job import Job
from fallline.ranges import COUNT
from fallline.training.run import Run
from fallline.training.training import Training
from fallline.typesetting import number, words


@dataclass(frozen=True, eq=False, slots=True)
class Escape(NotCalled):
    """A run that went on from beside a saddle.

    run: the new one. saddle: the finding that the old one stands at. before, beside, after: the training loss at the
    saddle, after the move along the eigenvector, and where the new run ended, on the same rows. length: of the move.
    stands: the finding where the new run stands.
    """

    run: Run
    saddle: Finding = field(repr=False)
    before: float
    beside: float
    after: float
    length: float
    stands: Finding = field(repr=False)

    def __str__(self) -> str:
        return self.text()

    def text(self, *, width: int = 80, ascii_only: bool = False) -> str:
        """The move, the training and their result, to read."""
        done = self.run.ended
        epochs = f"{done.epochs} epochs" if done is not None else "training"
        head = (
            f"A move of length {number(self.length, 3)} along the direction of negative curvature took the loss from "
            f"{number(self.before)} to {number(self.beside)}, and {epochs} from there took it to {number(self.after)}."
        )
        return f"{words(head, width)}\n\n{self.stands.text(width=width, ascii_only=ascii_only)}"


@takes(out=replace(PATH, optional=True), epochs=replace(COUNT, optional=True))
def escape(
    run: Run | str | os.PathLike[str],
    data: Any = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
) -> Escape:
    """A step off the saddle at which a run stopped, and a training that goes on from there.

        theta = theta_saddle + length * v        H v = lambda_min v, lambda_min < 0, signed to where the loss falls

    The length is that of the lowest loss on the line. The optimizer begins anew: what it remembered belongs to the way
    to the saddle.

    run, data: as for `diagnose`. out: a new folder for the new run; None: it is not saved. The old one is not changed.
    epochs: to train for, >= 1; None: as many as the run was given.
    Errors: ArgumentError where the run stands at no saddle, saying where it stands, for an ensemble, and where its rows
    are not there; ExistingFileError for a folder that holds a run.
    Example: print(fl.escape("runs/mine", out="runs/mine-escaped"))
    """
    found = opened(run, data)
    if len(found.parts) > 1:
        raise ArgumentError(f"{found.name} is an ensemble of {len(found.parts)} networks, which stand at places of "
                            "their own\n  try: fl.escape on one of them, a folder of its members")  # fmt: skip
    (part,) = found.parts
    if part.job is None:
        raise ArgumentError(f"the training rows of {found.name} are not there: {'; '.join(found.missing)}\n"
                            "  try: fl.escape(run, (x, y))")  # fmt: skip
    case = Case(found, part)
    at = saddle(case, trend([one.loss for one in case.epochs]))
    if at is None:
        (stands,) = standing(case)
        raise ArgumentError(f"{found.name} stands at no strict saddle: {stands.name}. {stands.says}")
    here = case.standpoint
    direction, line = here.escape
    theta = here.loss.theta + line.length * direction
    new = _went_on(part.job, theta, found.run, None if out is None else Path(out), epochs)
    whole = new.model.layout.pack(new.model.theta.astype(np.float64))
    again = opened(new, data)
    (stands,) = standing(Case(again, again.parts[0]))
    return Escape(new, at, here.value, here.loss.value(theta), here.loss.value(whole), line.length, stands)


def _went_on(job: Job, theta: Any, run: Run, out: Path | None, epochs: int | None) -> Run:
    """The training of a job from these trainable parameters on; of the others as the run ended with them."""
    whole = run.model.theta
    model = job.model.with_theta(np.array(job.model.layout.unpack(whole, theta.astype(whole.dtype)), whole.dtype))
    given = replace(job.settings.given, out=out, resume=False, overwrite=False, init=None, extra=run.extra or None)
    settings = replace(job.settings, given=given, folder=out, resume=False, must_exist=False, start=None)
    training = Training(replace(job, model=model, settings=settings, epochs=job.epochs if epochs is None else epochs))
    with training.interrupts:
        for _ in training:
            pass
    return training.run


__all__ = ["Escape", "escape"]
