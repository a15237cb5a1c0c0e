"""Verdict `batch_noise`: the loss stays high because every step follows the noise of a small batch.

At the end of every training the noise of a batch is larger than the gradient, and that is no fault. It is one where the
loss would be lower without it, so further steps are tried: with larger batches, and with shorter steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.judged_rows import constant_loss
from fallline.diagnosis.settings_to_try import as_typed, setting
from fallline.diagnosis.verdict_table import verdict
from fallline.errors import DataError
from fallline.jobs.job import Job
from fallline.jobs.named import Rows
from fallline.jobs.validation import NOTHING
from fallline.optim import Minimiser, Optimizer
from fallline.training.training import Training

# The last epochs, as a share of all, over which the training loss has not fallen by more than FALL, relative.
LAST, FALL = 0.25, 0.05
# Epochs of which a run needs this many for a trend.
FEWEST = 8
# A learning rate that ended below this share of its highest had the noise taken out of it by its schedule.
FALLEN = 0.5
# Trials: a batch of so many batches, a rate of this share, and so many steps.
LARGER, SHORTER, STEPS = 16, 0.1, 200
# Rows that a trial reads without `thorough`: 0.3 s for a network of 10,000 parameters.
MOST_READ = 400_000
# What lower losses have to be worth: this share of the loss, and of that of a constant answer; standard errors.
PART, OF_CONSTANT, CLEAR = 0.1, 0.02, 3.0
# Batches whose gradients are compared.
BATCHES = 16


@dataclass(frozen=True, slots=True)
class Trial:
    """How a training went on: what was changed, and the loss of each row after it."""

    name: str
    losses: Array

    @property
    def mean(self) -> float:
        return float(self.losses.mean())


@verdict(
    "batch_noise", "the loss stays high by the noise of small batches", needs=("rows", "events"), order=35, once=True
)
def batch_noise(case: Case) -> Iterator[Finding]:
    """A loss that is flat, and lower at once with a larger batch and with a smaller rate alike."""
    job, epochs = case.part.job, case.epochs
    ended = (case.part.run or case.opened.run).ended
    if job is None or len(case.opened.parts) > 1 or len(epochs) < FEWEST:
        return
    if ended is not None and ended.restored_best:
        return
    rows = len(job.train.index) if isinstance(job.train, Rows) else 0
    losses = np.array([one.loss for one in epochs])
    rates = np.array([one.learning_rate for one in epochs])
    rate, batch = float(rates[-1]), job.batch_size
    if isinstance(job.optimizer, Minimiser) or rows < 4 * batch or not np.isfinite(losses).all():
        return
    few = max(4, int(LAST * len(losses)))
    halves = losses[-few : -few // 2].mean(), losses[-(few // 2) :].mean()
    usual = constant_loss(case)
    if halves[0] - halves[1] > FALL * abs(halves[0]) or halves[1] < OF_CONSTANT * usual:
        return
    if rate < FALLEN * np.nanmax(rates):
        return
    scale = noise_scale(case, batch)
    if not scale > batch:
        return
    size = min(LARGER, rows // batch) * batch
    steps = min(STEPS, rows // batch)
    if size * steps > MOST_READ and not case.thorough:
        raise DataError(f"trials of further steps read {size * steps:,} rows; thorough=True makes them")
    optimizer = at_rate(job.optimizer, rate)
    shorter = at_rate(job.optimizer, SHORTER * rate)
    if optimizer is None or shorter is None:
        return
    control = tried(case, job, optimizer, batch, steps, "as before")
    large = tried(case, job, optimizer, size, steps, f"batches of {size:,}")
    short = tried(case, job, shorter, batch, steps, f"a learning rate of {SHORTER * rate:g}")
    where = "validation" if case.has("validation") else "training"
    border = max(PART * control.mean, OF_CONSTANT * usual)
    if any(_gain(control, one) <= border or not _is_clear(control, one) for one in (large, short)):
        return
    yield Finding(
        "batch_noise",
        f"The loss stays high by the noise of batches: it has been flat, and {steps} further steps lower it by "
        f"{100 * _gain(control, large) / control.mean:.0f} % with batches of {size:,} rows, and by "
        f"{100 * _gain(control, short) / control.mean:.0f} % with a tenth of the learning rate.",
        (
            Evidence("gradient noise scale", scale if scale < np.inf else "too many", "rows", f"a batch has {batch}"),
            *(Evidence(f"{steps} steps {one.name}", one.mean, "", told) for one, told in (
                (control, f"on {len(control.losses):,} {where} rows"),
                (large, f"below {control.mean - border:.4g} without noise"),
                (short, ""),
            )),
        ),
        tries=(
            "a schedule that ends near 0: "
            f"{as_typed(case, 'schedule', 'cosine') or f'learning_rate=fl.optim.Cosine({rate:g})'}",
            setting(case, "batch_size", size),
        ),
        part=case.part.name,
    )  # fmt: skip


def _gain(control: Trial, other: Trial) -> float:
    return control.mean - other.mean


def _is_clear(control: Trial, other: Trial) -> bool:
    gap = control.losses - other.losses
    return bool(gap.mean() > CLEAR * gap.std() / np.sqrt(len(gap)))


def noise_scale(case: Case, batch: int) -> float:
    """The batch at which a gradient says as much as it is noise, in rows.

        B = tr(S) / |g|^2        S: the covariance of a row's gradient, g: the gradient over all rows

    Both from the gradients of batches, whose mean square is |g|^2 + tr(S) / batch. Infinite where g is not seen.
    Source: McCandlish, Kaplan, Amodei 2018, An empirical model of large-batch training, arXiv:1812.06162, eq. 2.8 and
    appendix A.1.
    """
    rows, model = case.rows, case.model
    count = min(BATCHES, len(rows) // batch)
    if count < 2:
        return 0.0
    order = np.random.default_rng(0).permutation(len(rows))
    gradient = transforms.compile(transforms.grad(model.objective))
    found = []
    for place in range(count):
        some = order[place * batch : (place + 1) * batch]
        found.append(np.asarray(gradient(model.theta, _taken(rows.x, some), rows.y[some])))
    each = np.stack(found)
    mean = each.mean(axis=0)
    spread = float(np.square(each - mean).sum() / (count - 1))  # tr(S) / batch
    square = float(mean @ mean) - spread / count
    return batch * spread / square if square > 0 else np.inf


def _taken(x: Any, some: Array) -> Any:
    return tree.map(lambda one: one[some].astype(np.float64) if one.dtype.kind == "f" else one[some], x)


def at_rate(optimizer: Optimizer, rate: float) -> Optimizer | None:
    """The same optimizer at a constant rate; None where it has none of its own."""
    return replace(optimizer, learning_rate=rate) if hasattr(optimizer, "learning_rate") else None


def tried(
    case: Case, job: Job, optimizer: Optimizer, batch: int, steps: int, name: str, theta: Array | None = None
) -> Trial:
    """The loss of each row after so many steps in a training of its own, from theta or the run's parameters."""
    model = replace(job.model, theta=(case.part.model.theta if theta is None else theta).copy())
    assert isinstance(job.train, Rows)
    # An epoch cannot be cut, so that of a small batch goes over some of the rows.
    index = job.train.index
    if len(index) > steps * batch:
        index = np.sort(np.random.default_rng(0).permutation(index)[: steps * batch])
    epochs = max(1, round(steps * batch / len(index)))
    settings = replace(
        job.settings, folder=None, resume=False, start=None, early_stopping=None, metrics=(), measures={}, gauges=None
    )
    training = Training(replace(
        job, model=model, optimizer=optimizer, train=replace(job.train, index=index), validation=None,
        batch_size=batch, epochs=epochs,
        settings=settings, measures=NOTHING, steps=None,
    ))  # fmt: skip
    for _ in training:
        pass
    ended = replace(case.part.model, theta=training.run.model.theta)
    # Where there are rows that it does not learn from, less loss has to be less of theirs.
    rows = case.validation if case.has("validation") else case.rows
    losses = ended.loss.rows(ended.outputs(rows.x).astype(np.float64), rows.y)
    return Trial(name, np.asarray(losses, np.float64))


__all__ = ["LARGER", "SHORTER", "at_rate", "noise_scale", "tried"]
