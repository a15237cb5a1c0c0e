"""Verdict `weight_decay`: decay that pulls weights to 0 harder than the loss can hold them, proved by training anew."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fallline.diagnosis.batch_noise import tried
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.judged_rows import constant_loss
from fallline.diagnosis.settings_to_try import setting
from fallline.diagnosis.training_loss import decays_apart
from fallline.diagnosis.verdict_table import verdict
from fallline.jobs.named import Rows
from fallline.optim import Minimiser

# A network whose training loss is below this share of a constant answer's has learnt something in spite of the decay.
LEARNT = 0.5
# The same training without decay has to end below this share of the loss.
LOWER = 0.7
CLEAR = 3.0
# Rows that the training anew reads at most: 0.3 s for a network of 10,000 parameters.
MOST_READ = 400_000


@verdict("weight_decay", "weight decay holds the loss high", needs=("rows", "events"), order=6, once=True)
def weight_decay(case: Case) -> Iterator[Finding]:
    """A loss that is high where the same training without decay ends far lower, on rows that it did not learn too."""
    job, epochs = case.part.job, case.epochs
    if job is None or len(case.opened.parts) > 1 or not epochs or not case.opened.replays:
        return
    optimizer = job.optimizer
    strength = getattr(optimizer, "weight_decay", 0.0)
    if isinstance(optimizer, Minimiser) or not strength or not isinstance(job.train, Rows):
        return
    usual = constant_loss(case)
    model = case.part.model
    with np.errstate(all="ignore"):
        now = np.asarray(model.loss.rows(model.outputs(case.rows.x).astype(np.float64), case.rows.y), np.float64)
    # A constant answer is not known for every loss: then the first parameters' loss stands for it.
    high = usual if np.isfinite(usual) else case.standpoint.first_value
    if not now.mean() > LEARNT * high:
        return
    where = case.validation if case.has("validation") else case.rows
    rows, batch = len(job.train.index), job.batch_size
    done = len(epochs) * max(1, rows // batch)
    steps = int(max(1, min(done, MOST_READ // batch)))
    free = tried(case, job, replace(optimizer, weight_decay=0.0), batch, steps, "without decay", job.model.theta)
    before = np.asarray(model.loss.rows(model.outputs(where.x).astype(np.float64), where.y), np.float64)
    gap = before - free.losses
    if not free.mean < LOWER * before.mean() or not gap.mean() > CLEAR * gap.std() / np.sqrt(len(gap)):
        return
    size, first = (float(np.linalg.norm(one)) for one in (model.theta, job.model.theta))
    here, rate = case.standpoint, case.standpoint.rate
    decay = here.loss.weight_decay
    apart = decays_apart(optimizer)
    pull = f"each step takes {100 * min(rate * decay, 1):.2g} % off every weight" if apart else "added to the gradient"
    which = "validation" if case.has("validation") else "training"
    yield Finding(
        "weight_decay",
        f"Weight decay holds the loss high: it pulls weights to 0 harder than the data pull them away. The same "
        f"training without it gets the {which} loss from {before.mean():.4g} to {free.mean:.4g}.",
        (
            Evidence("weight decay", decay, threshold=pull),
            Evidence(f"{which} loss", float(before.mean()), threshold="of the data alone, without the decay's term"),
            Evidence(f"after {steps:,} steps without decay", free.mean, threshold=f"below {LOWER:g} times the loss"),
            Evidence("length of all parameters", size, threshold=f"{first:.3g} before the first step"),
        ),
        tries=(setting(case, "weight_decay", 0),),
        part=case.part.name,
        explains=("saddle", "plateau", "same_answer", "idle_units", "vanishing_gradient", "worse_than_linear",
                  "step_too_short", "converged", "underfitting"),
    )  # fmt: skip
