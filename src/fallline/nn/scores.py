"""How well a model does on some rows: its loss, and the metrics of their targets. Knows no training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from fallline import arrays
from fallline.arguments import shown
from fallline.errors import DataError, ShapeError
from fallline.graph.inside import Inside
from fallline.graph.op import Array
from fallline.nn.data_parts import is_stream, parts_of, read_once
from fallline.nn.intake import Problems
from fallline.nn.loss import Loss
from fallline.nn.meaning import Answers
from fallline.nn.measured import kind_of, measured_by, values_of
from fallline.nn.metric import Metric
from fallline.nn.target import Targets
from fallline.ranges import short
from fallline.stored import is_source, parts_of_source

# Rows whose losses are summed in the model's precision; blocks of them in float64, as while training.
_BLOCK = 512


class Evaluated(Answers, Protocol):
    """A model, as far as it is needed to see how well it does."""

    @property
    def task(self) -> str: ...
    @property
    def classes(self) -> Array | None: ...
    def prepare(self, y: Any) -> Targets: ...
    def for_targets(self, targets: Targets) -> "Evaluated": ...
    def outputs(self, x: Any, *, threads: int | None = None) -> Array: ...


def scores(model: Evaluated, data: Any, requested: Sequence[Metric], threads: int | None) -> dict[str, float]:
    """{"loss": the mean over the rows, by their weights where they have some, and each metric by its name}.

    data: (x, y) or (x, y, weight), a Source, or batches of an iterable, as they are given to `fit`.
    Errors: DataError for data in another form; ShapeError where x and y have different lengths; those of `prepare` and
        `outputs`.
    """
    model, z, targets, weights = answers(model, data, threads)
    metrics = measured_by(requested, kind_of(model.task, targets.y), model.loss)
    values = values_of(metrics, model, z, targets.y, weights)
    return {"loss": mean_loss(model.loss, z, targets.y, weights), **values}


def answers(model: Evaluated, data: Any, threads: int | None) -> tuple[Evaluated, Array, Targets, Array | None]:
    """The model in the form of the targets, its outputs for all rows, their targets, and their weights.

    Arguments and errors as for `scores`.
    """
    z, y, weight = _answered(model, data, threads)
    if model.classes is None and model.labels is not None:
        # Else labels would be numbered by those that occur in y.
        model = replace(model, classes=model.labels)  # type: ignore[type-var]
    targets = model.prepare(y)
    model = model.for_targets(targets)
    if len(z) != len(targets.y) or not len(z):
        raise ShapeError(f"evaluate: x has {len(z)} rows and y has {len(targets.y)}; both need as many, one at least")
    return model, z, targets, None if weight is None else checked_weights(weight, len(z), z.dtype)


def _answered(model: Evaluated, data: Any, threads: int | None) -> tuple[Array, Any, Any]:
    """The outputs for all rows, their targets as they are given, and their weights; inputs are read in parts.

    Errors: DataError for batches of which some have weights and others have none, and for none at all.
    """
    if is_source(data):
        x, y, weight = parts_of(parts_of_source(data), "data", Problems())
        return model.outputs(data, threads=threads), y.whole(), None if weight is None else weight.whole()
    found = []
    for number, batch in enumerate(read_once(data, "data") if is_stream(data) else [data]):
        problems = Problems()
        x, y, weight = parts_of(batch, f"batch {number} of data" if is_stream(data) else "data", problems)
        problems.raise_if_any()
        found.append((model.outputs(x, threads=threads), y, weight))
    if len(found) == 1:
        return found[0]
    z, y, weight = ([*parts] for parts in zip(*found, strict=True)) if found else ([], [], [])
    given = [one is not None for one in weight]
    if not found or any(given) != all(given):
        raise DataError("data gave no batch" if not found else "some batches of data have weights and others have none")
    lengths = [(len(a), len(b)) for a, b in zip(z, y, strict=True)]
    wrong = next((number for number, (a, b) in enumerate(lengths) if a != b), None)
    if wrong is not None:
        a, b = lengths[wrong]
        raise ShapeError(f"evaluate: in batch {wrong} of data x has {a} rows and y has {b}")
    y = [arrays.as_array(one, "y") for one in y]
    weight = [arrays.as_array(one, "weight") for one in weight if one is not None]
    wrong = next((number for number, part in enumerate(y) if part.shape[1:] != y[0].shape[1:]), None)
    if wrong is not None:
        raise ShapeError(f"evaluate: y of batch {wrong} of data has rows of shape {y[wrong].shape[1:]}, and that of "
                         f"batch 0 {y[0].shape[1:]}")  # fmt: skip
    return np.concatenate(z), np.concatenate(y), np.concatenate(weight) if all(given) else None


def checked_weights(weight: Any, count: int, dtype: Any) -> Array:
    """The weights of rows as an array. Errors: DataError for other than `count` numbers >= 0, one of them above."""
    weights = arrays.real(weight, "weight")
    if np.shape(weights) != (count,) or not (np.isfinite(weights).all() and np.min(weights) >= 0 and np.any(weights)):
        raise DataError(f"weight has to hold {count} finite numbers >= 0 that are not all 0, one for each row, got "
                        f"{shown(weight)}")  # fmt: skip
    return np.asarray(weights, dtype)


def mean_loss(loss: Loss, z: Array, y: Array, weights: Array | None = None) -> float:
    """The mean of the loss over rows of outputs, by their weights where they have some."""
    own = type(loss).__module__.startswith("fallline.")
    total = mass = 0.0
    for start in range(0, len(z), _BLOCK):
        rows = slice(start, start + _BLOCK)
        with Inside(lambda: f"the loss {short(loss)}", ours_pass=own), np.errstate(all="ignore"):
            if weights is None:
                share, value = float(len(z[rows])), loss.function(z[rows], y[rows])
            else:
                share = float(np.sum(weights[rows], dtype=np.float64))
                value = loss.weighted(z[rows], y[rows], weights[rows])
            total, mass = total + float(value) * share, mass + share
    return total / mass
