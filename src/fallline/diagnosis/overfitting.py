"""Verdict `overfitting`: the validation loss rises while the training loss falls, and from which epoch on."""

from collections.abc import Iterator

import numpy as np

from fallline.arrays import Array
from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.verdict_table import verdict
from fallline.errors import DataError, FalllineError
from fallline.runs.events import EpochEnded
from fallline.typesetting import number

# A validation loss this much above its lowest, relative to it. Of healthy runs that keep their last epoch it is less.
RISE = 0.1
# And so many times its unrest from one epoch to the next, and its standard error over rows: one in twenty exceeds that
# by chance.
CLEAR = 1.64
# The last epochs, all of which are that much above it, as a share of all and, where a fifth of all are so many, at
# least: steps bounce, and one epoch may.
LAST, LEAST = 0.05, 3


@verdict("overfitting", "the validation loss rises while the training loss falls", needs=("events",), order=60)
def overfitting(case: Case) -> Iterator[Finding]:
    """Overfitting from the epoch with the lowest validation loss on, if the kept parameters are later ones."""
    epochs = [one for one in case.epochs if one.validation_loss is not None]
    ended = (case.part.run or case.opened.run).ended
    if len(case.opened.parts) > 1:
        raise DataError(
            "each network of an average overfits for itself, and the average need not; its loss was not followed over "
            "the epochs"
        )
    if len(epochs) < 3 or (ended is not None and ended.restored_best):
        return
    held = np.array([one.validation_loss for one in epochs], np.float64)
    if not np.isfinite(held).all():
        return
    at = int(np.argmin(held))
    few = max(1, int(LAST * len(epochs)), min(LEAST, len(epochs) // 5))
    best, last = epochs[at], epochs[-1]
    low, now = float(held[at]), float(held[-few:].mean())
    noise, whence = _noise(case, held[at:])
    if held[-few:].min() - low <= max(RISE * abs(low), CLEAR * noise) or last.loss >= best.loss:
        return
    evidence = [
        Evidence("lowest validation loss", low, threshold=f"in epoch {best.epoch}"),
        Evidence("validation loss at the end", now, threshold=f"at most {1 + RISE:g} times the lowest"),
        Evidence("training loss then and at the end", f"{number(best.loss)}, {number(last.loss)}"),
    ]
    if noise:
        evidence.append(Evidence("the rise by the loss's noise", (now - low) / noise, "times", f"{CLEAR:g}; {whence}"))
    says = f"From epoch {best.epoch} on the network learns its training rows by heart: the validation loss rises while "
    says += "the training loss falls." + _accuracy(case, epochs, best, evidence)
    yield Finding(
        "overfitting",
        says,
        tuple(evidence),
        tries=(
            "fl.fit(..., early_stopping=True), which keeps the best epoch",
            "more rows, weight_decay=0.01, a smaller network",
        ),
        part=case.part.name,
    )


def _noise(case: Case, held: Array) -> tuple[float, str]:
    """The noise of a validation loss: its unrest between epochs, or its standard error over rows, the larger."""
    unrest = float(np.median(np.abs(np.diff(held, 2)))) / 6**0.5 if len(held) > 2 else 0.0
    if not case.has("validation") or case.validation.weight is not None:
        return unrest, "unrest between epochs"
    rows, model = case.validation, case.part.model
    try:
        each = np.asarray(model.loss.rows(model.outputs(rows.x).astype(np.float64), rows.y), np.float64)
    except FalllineError:  # a loss that is defined for a whole batch alone
        return unrest, "unrest between epochs"
    error = float(each.std() / np.sqrt(max(len(each) - 1, 1))) if np.isfinite(each).all() else 0.0
    return (error, f"standard error over {len(each):,} rows") if error > unrest else (unrest, "unrest between epochs")


def _accuracy(case: Case, epochs: list[EpochEnded], best: EpochEnded, evidence: list[Evidence]) -> str:
    """Whether the answers get worse too, or only surer, as a sentence."""
    name, started = "validation_accuracy", (case.part.run or case.opened.run).started
    then, now = best.metrics.get(name), epochs[-1].metrics.get(name)
    if then is None or now is None or started is None or not started.validation_rows:
        return ""
    noise = float(np.sqrt(then * (1 - then) / started.validation_rows))
    told = f"one standard error is {100 * noise:.1f} points"
    evidence.append(
        Evidence("validation accuracy then and at the end", f"{100 * then:.1f}, {100 * now:.1f}", "%", told)
    )
    if now < then - noise:
        return " The accuracy fell as well."
    if now > then + noise:
        return " The accuracy rose still: wrong answers become surer, not more frequent."
    return " The accuracy stays as it was, within its noise: wrong answers become surer, not more frequent."
