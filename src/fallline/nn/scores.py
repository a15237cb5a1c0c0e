"""How well a model does on some rows: its loss, and the metrics of their targets. Knows no training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.errors import ArgumentTypeError, ShapeError
from fallline.graph.inside import Inside
from fallline.graph.op import Array
from fallline.nn.loss import Loss
from fallline.nn.metric import Metric, kind_of, measured_by, values_of
from fallline.ranges import short

# Rows whose losses are summed in the model's precision; blocks of them in float64, as while training.
_BLOCK = 512


def scores(model: Any, data: Any, asked: Sequence[Metric], threads: int | None) -> dict[str, float]:
    """{"loss": the mean over the rows, and each metric by its name}.

    model: a Model, which this file must not import. data: (x, y), as they are given to `fit`.
    Errors: ArgumentTypeError for data in another form; ShapeError where x and y have different lengths; those of
        `prepare` and `outputs`.
    """
    if hasattr(data, "x") and hasattr(data, "y"):
        x, y = data.x, data.y
    elif isinstance(data, tuple | list) and len(data) == 2:
        x, y = data
    else:
        raise ArgumentTypeError(f"evaluate: data has to be a pair (x, y), got {shown(data)}\n"
                                "  try: model.evaluate((x, y))")  # fmt: skip
    if model.classes is None and model.labels is not None:
        model = replace(model, classes=model.labels)  # else labels would be numbered by those that occur in y
    targets = model.prepare(y)
    model = model.for_targets(targets)
    z = model.outputs(x, threads=threads)
    if len(z) != len(targets.y) or not len(z):
        raise ShapeError(f"evaluate: x has {len(z)} rows and y has {len(targets.y)}; both need as many, one at least")
    metrics = measured_by(asked, kind_of(model.task, targets.y), model.loss)
    return {"loss": mean_loss(model.loss, z, targets.y), **values_of(metrics, model, z, targets.y)}


def mean_loss(loss: Loss, z: Array, y: Array) -> float:
    """The mean of the loss over rows of outputs."""
    own = type(loss).__module__.startswith("fallline.")
    total = 0.0
    for start in range(0, len(z), _BLOCK):
        rows = slice(start, start + _BLOCK)
        with Inside(lambda: f"the loss {short(loss)}", ours_pass=own), np.errstate(all="ignore"):
            total += float(loss.function(z[rows], y[rows])) * len(z[rows])
    return total / len(z)
