"""The rows that pictures of a run look at: its validation rows, its training rows, or rows of the caller's."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.arrays import Array
from fallline.data.origin import Origin
from fallline.errors import ArgumentError
from fallline.insight.opened import Opened, Sample, opened
from fallline.nn.measured import Answered, answered
from fallline.nn.model import Model
from fallline.nn.scores import answers
from fallline.plots.plot_table import NO_ROWS
from fallline.training.run import Run
from fallline.tree import Tree

# Rows that are looked at, at most.
MOST_ROWS = 5000
WHICH = ("validation", "training")


@dataclass(frozen=True, eq=False)
class Seen:
    """Rows with a network that takes them as they are. which: "validation" or "training", or "given"."""

    model: Model
    x: Tree
    y: Array
    which: str

    @property
    def said(self) -> str:
        count = len(tree.leaves(self.x)[0])
        return f"{count:,} {'rows' if self.which == 'given' else f'{self.which} rows'}"


def no_rows(run: Run) -> str:
    """Why a run's rows cannot be had, as far as that can be told without reading them; "" where they may be there."""
    if run.job is not None or Origin.from_config(run.extra.get("source")) is not None:
        return ""
    return NO_ROWS


def seen(run: Run, data: Any = None, rows: str | None = None, most: int = MOST_ROWS) -> list[Seen]:
    """The rows of a run, one entry for each of its networks.

    data: as they were given to the training; None finds them. rows: "validation" or "training"; None takes the first
    of them that is there.
    Errors: ArgumentError where they cannot be had, saying why.
    """
    if rows is not None and rows not in WHICH:
        raise ArgumentError(f"rows has to be 'validation' or 'training', got {rows!r:.40}")
    found = opened(run, data)
    for which in WHICH if rows is None else (rows,):
        samples = _samples(found, which, most)
        parts = [Seen(_answering(part.model, run.model), one.x, one.y, which) for part, one in samples]
        if parts:
            return parts
    why = "; ".join(found.missing) or f"it had no {rows or 'training'} rows"
    raise ArgumentError(f"the rows of this run are not there: {why}\n  try: data=(x, y), as in the training")


def _samples(found: Opened, which: str, most: int) -> Iterator[tuple[Any, Sample]]:
    for part in found.parts:
        sample = part.validation(most) if which == "validation" else part.sample(most)
        if sample is not None and len(sample):
            yield part, sample


def _answering(part: Model, whole: Model) -> Model:
    """A network of a run that takes rows as they are and answers in the words and the unit of the run."""
    return replace(part, decoder=whole.decoder, classes=whole.classes)


def told(run: Run, data: Any = None, rows: str | None = None) -> tuple[Answered, str]:
    """The truth and the answers for rows of a run, and which rows they are.

    data: any rows with their targets, (x, y), for the whole model; None: the run's own, each network on its own.
    """
    if data is not None and rows is None:
        model, z, targets, _ = answers(run.model, data, None)
        return answered(model, z, targets.y), f"{len(z):,} given rows"
    parts = seen(run, None if rows is None else data, rows)
    found = [answered(one.model, one.model.outputs(one.x), one.y) for one in parts]
    said = f"{sum(map(len, found)):,} {parts[0].which} rows"
    return (found[0] if len(found) == 1 else _joined(found)), said


def _joined(parts: list[Answered]) -> Answered:
    first = parts[0]
    shares = [one.probabilities for one in parts if one.probabilities is not None]
    return replace(
        first,
        truth=np.concatenate([one.truth for one in parts]),
        codes=np.concatenate([one.codes for one in parts]),
        predictions=np.concatenate([one.predictions for one in parts]),
        probabilities=np.concatenate(shares) if shares else None,
        outputs=None,
    )
