"""How far a training goes: rows of a step, epochs, and the optimizer, whose schedule may need to know all steps."""

from dataclasses import dataclass, replace
from typing import Any

from fallline.errors import ArgumentError
from fallline.jobs.length import by_default
from fallline.jobs.settings import ResolvedSettings
from fallline.jobs.stopping import EarlyStopping
from fallline.nn.model import Model
from fallline.optim import Minimiser, Optimizer
from fallline.ranges import short

# Rows of a step by default.
BATCH = 32


@dataclass(frozen=True, slots=True)
class Extent:
    """batch_size: at most the rows, where these are known. epochs: those of a training gone on from included.

    settings: with the rule for stopping that holds. steps: of the training, with those of one gone on from; None where
    they are not known.
    """

    batch_size: int
    epochs: int
    optimizer: Optimizer
    settings: ResolvedSettings
    notes: tuple[str, ...]
    steps: int | None = None


def extent_of(resolved: ResolvedSettings, model: Model, rows: int | None, validated: bool) -> Extent:
    """rows: of an epoch, None where it is known only at its end. Errors: ArgumentError for settings that need it."""
    settings, optimizer, notes = resolved.given, resolved.optimizer, []
    assert optimizer is not None
    size = batch_of(settings.batch_size, optimizer, rows)
    if rows is not None and size > rows:
        notes.append(f"batch_size {size} is more than the {rows} rows to train on: every step uses all of them")
        size = rows
    steps = None if rows is None else -(-rows // size)
    if settings.epochs is not None:
        epochs = int(settings.epochs)
    elif steps is None:
        raise ArgumentError(
            "epochs has to be given for data whose number of rows is known only at their end\n  try: epochs=10"
        )
    else:
        rule: Any = False if settings.early_stopping is False else resolved.early_stopping
        length = by_default(model, optimizer, size, steps, validated=validated, rule=rule)
        epochs, resolved = length.epochs, replace(resolved, early_stopping=length.rule)
    check_lowers(resolved.early_stopping, optimizer)
    first_step, first_epoch = (resolved.start.step, resolved.start.epochs) if resolved.start else (0, 0)
    total = None if steps is None else first_step + epochs * steps
    known = _without_end(optimizer) if total is None else optimizer.resolve(total)
    return Extent(size, first_epoch + epochs, known, resolved, tuple(notes), total)


def check_lowers(rule: EarlyStopping | None, optimizer: Optimizer) -> None:
    """Raise ArgumentError for a rule that lowers the learning rate of an optimizer which has no single number."""
    if rule is None or rule.rate_factor is None:
        return
    if isinstance(optimizer, Minimiser) or "learning_rate" not in optimizer.inputs:
        raise ArgumentError(
            f"early stopping lowers the learning rate, and {short(optimizer)} has none that is one number\n"
            "  try: EarlyStopping without rate_factor; or optimizer=optim.Adam(1e-3)"
        )


def _without_end(optimizer: Optimizer) -> Optimizer:
    """The optimizer of a training whose number of steps is not known. Errors: ArgumentError where it has to be."""
    short_one, long_one = optimizer.resolve(1000), optimizer.resolve(2000)
    if short_one != long_one:
        raise ArgumentError(
            f"{short(optimizer)} spans the training, and the number of its steps is known only at the end of data\n"
            "  try: a schedule that is given its number of steps, or an iterable with an attribute `rows`"
        )
    return long_one


def batch_of(requested: int | str | None, optimizer: Optimizer, rows: int | None) -> int:
    """Rows of a step: as requested; "auto" is BATCH rows, or all where the optimizer needs them.

    Errors: ArgumentError for a part of the rows where it needs all, and for all where nobody knows how many.
    """
    needs_all = isinstance(optimizer, Minimiser)
    if requested == "auto" and not needs_all:
        return BATCH if rows is None else min(BATCH, rows)
    if rows is None and needs_all:
        raise ArgumentError(f"{short(optimizer)} needs all rows in every step, and data are an iterable\n"
                            '  try: arrays; or optimizer="adam", for steps from mini-batches')  # fmt: skip
    whole = requested is None or isinstance(requested, str)
    if rows is None:
        if whole:
            raise ArgumentError("batch_size asks for all rows in a step, and their number is known only at their end\n"
                                "  try: batch_size=32")  # fmt: skip
        return int(requested or 0)
    size = rows if whole else int(requested or 0)
    if needs_all and size < rows:
        raise ArgumentError(
            f"batch_size is {size} of {rows} rows, and {short(optimizer)} compares losses, which need the same rows\n"
            '  try: batch_size="full"; or optimizer="adam", for steps from mini-batches'
        )
    return size
