"""Verdict `overfitting`: the validation loss rises while the training loss falls, and from which epoch on."""

from collections.abc import Iterator

from fallline.diagnosis.case import Case
from fallline.diagnosis.finding import Evidence, Finding
from fallline.diagnosis.verdict_table import verdict

# A validation loss this much above its lowest is more than its noise where the training loss went on falling.
RISE = 0.1


@verdict("overfitting", "the validation loss rises while the training loss falls", needs=("events",), order=60)
def overfitting(case: Case) -> Iterator[Finding]:
    """Overfitting from the epoch with the lowest validation loss on, if the kept parameters are later ones."""
    epochs = [one for one in case.epochs if one.validation_loss is not None]
    ended = (case.part.run or case.opened.run).ended
    if len(epochs) < 3 or (ended is not None and ended.restored_best):
        return
    best = min(epochs, key=lambda one: one.validation_loss or 0.0)
    last = epochs[-1]
    low, now = best.validation_loss or 0.0, last.validation_loss or 0.0
    if now <= (1 + RISE) * low or last.loss >= best.loss:
        return
    yield Finding(
        "overfitting",
        f"From epoch {best.epoch} on the network learns its training rows by heart: the validation loss rises while "
        "the training loss falls.",
        (
            Evidence("lowest validation loss", low, threshold=f"in epoch {best.epoch}"),
            Evidence("validation loss at the end", now, threshold=f"{1 + RISE:g} times the lowest at most"),
            Evidence("training loss then and at the end", f"{best.loss:.4g}, {last.loss:.4g}"),
        ),
        tries=(
            "fl.fit(..., early_stopping=True), which keeps the best epoch",
            "more rows, weight_decay, a smaller network",
        ),
        part=case.part.name,
    )
