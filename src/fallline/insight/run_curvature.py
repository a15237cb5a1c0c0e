"""The curvature of a run: its loss on a sample of its rows as a surface, and the largest step that it bears."""

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.arguments import Form, takes
from fallline.curvature import borders
from fallline.curvature.borders import Border
from fallline.curvature.on_rows import OnRows, on_rows
from fallline.errors import ArgumentError
from fallline.insight.opened import Opened, Part, Sample, opened
from fallline.nn.theta import KEPT
from fallline.ranges import COUNT, FLAG, SEED
from fallline.steps.step import OPTIMIZER

# Rows that curvature is computed on, unless others are asked for.
ROWS = 2000
ON = ("training", "validation")
ON_ROWS = Form('"training" or "validation"', lambda given: isinstance(given, str) and given in ON)


def part_and_rows(seen: Opened, on: str, rows: int, seed: int) -> tuple[Part, Sample, int]:
    """The network of an opened run, a sample of its rows, and of how many it was drawn.

    Errors: ArgumentError for a run without rows, and for an average of networks.
    """
    if len(seen.parts) > 1:
        raise ArgumentError(f"the run is the average of {len(seen.parts)} networks, each with a loss of its own\n"
                            "  try: the run of one of them, in its folder members")  # fmt: skip
    part = seen.parts[0]
    sample = part.sample(rows, seed) if on == ON[0] else part.validation(rows, seed)
    held = None if part.job is None else part.job.train if on == ON[0] else part.job.validation
    if sample is None or held is None or not len(sample):
        why = "; ".join(seen.missing) or f"it has no {on} rows"
        raise ArgumentError(f"the loss needs {on} rows, and this run has none: {why}\n"
                            "  try: data=(x, y), as for its training")  # fmt: skip
    return part, sample, int(held.meant or len(sample))


def surface_on(part: Part, sample: Sample, training: bool = False) -> OnRows:
    """The loss that descent followed in a training, on these rows: with weights, penalty, and weight decay where the
    optimizer adds it to the gradient. training: layers compute as they do there."""
    optimizer, job = part.optimizer, part.job
    coupled = optimizer is not None and not optimizer.decoupled
    steps = part.run.epochs[-1].step if part.run is not None and part.run.epochs else 0
    decay = optimizer.decay_at(np.int64(max(steps - 1, 0))) if optimizer is not None and coupled else 0.0
    batch = None if job is None else job.batch_size
    given = part.model, sample.x, sample.y, sample.weight
    return on_rows(*given, weight_decay=decay, most=None, batch=batch, training=training)


@takes(rows=COUNT, on=ON_ROWS, training=FLAG, seed=SEED)
def surface_of(
    run: Any, data: Any = None, *, rows: int = ROWS, on: str = "training", training: bool = False, seed: int = 0
) -> OnRows:
    """The loss around the end of a run as a surface, to ask `fl.curvature` for its spectrum.

    run: a run, or the folder of one. data: of a run whose rows are not kept with it, (x, y) as for its training. rows:
    at most so many, drawn from `seed`. on: "training" or "validation".
    It is the loss that descent followed: with weights of rows, penalty, and weight decay where the optimizer adds it to
    the gradient. training: layers compute as in training, on batches of its size in the order of the rows, with one
    draw of random numbers; else as they predict.
    Errors: ArgumentError for a run without rows, and for an average of networks.
    Example: fl.curvature.lambda_max(fl.surface_of(run)).value
    """
    part, sample, _ = part_and_rows(opened(run, data), on, rows, seed)
    return surface_on(part, sample, training)


@takes(rows=COUNT, seed=SEED)
def stable_step(run: Any, data: Any = None, *, rows: int = ROWS, seed: int = 0) -> Border:
    """The largest learning rate that a run's optimizer bears where it ended, beside the one it used last.

    Arguments and errors: as for `surface_of`. The parameters and the moments are those after the last step, also where
    the best epoch's were restored. `str()` of the result tells it in words.
    Example: print(fl.stable_step(run))
    Source: as for `fl.curvature.stable_step`.
    """
    seen = opened(run, data)
    part, sample, of = part_and_rows(seen, "training", rows, seed)
    optimizer, job = part.optimizer, part.job
    if optimizer is None or job is None:
        raise ArgumentError("it is not known with which optimizer this run was trained")
    state, moments, made = seen.run.state, None, 0
    if state is not None:
        part = replace(part, model=part.model.with_theta(np.asarray(state.model.theta, part.model.dtype)))
        moments = {
            name.removeprefix(OPTIMIZER): array for name, array in state.arrays.items() if name.startswith(OPTIMIZER)
        }
        made = int(state.arrays["step"])
    elif seen.run.epochs:
        made = seen.run.epochs[-1].step
    used = seen.run.epochs[-1].learning_rate if seen.run.epochs else None
    # Statistics of the batch are part of the function that descent follows; predicting, they would stand still.
    surface = surface_on(part, sample, training=part.model.layout.count(KEPT) > 0)
    found = borders.stable_step(surface, optimizer, state=moments, step=made, learning_rate=used or None, seed=seed)
    batch, notes = job.batch_size, [found.note] if found.note else []
    if found.border is not None and batch < of:
        notes.append(f"steps were made on {batch:,} of {of:,} rows, whose noise makes the largest stable rate lower")
    return replace(found, note="; ".join(notes))


__all__ = ["ON", "ON_ROWS", "ROWS", "part_and_rows", "stable_step", "surface_of", "surface_on"]
