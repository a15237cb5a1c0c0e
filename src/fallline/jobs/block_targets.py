"""Targets that are never in memory all at once: the preparation of a block for the loss follows from the first ones."""

from dataclasses import replace
from typing import Any, cast

import numpy as np

from fallline.errors import DataError
from fallline.graph.op import Array
from fallline.nn.intake import Problems, check_finite
from fallline.nn.model import Model
from fallline.nn.target import Targets
from fallline.stored import Stored

# Rows from which the form of all is inferred.
_FIRST = 1024


def with_classes(model: Model, y: Any) -> Model:
    """The model with the classes that targets like these are of, where it knows none yet and they are labels.

    Errors: DataError for labels from which the classes cannot be inferred.
    """
    array = np.asarray(y)
    is_one_a_row = array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)
    if model.classes is not None or model.task not in ("classification", "binary") or not is_one_a_row:
        return model
    if array.dtype.kind == "f" and (array % 1 != 0).any():
        return model  # probabilities, or a mistake that the loss reports
    found: Array = np.unique(array) if array.dtype.kind in "fiub" else array[:0]
    if model.task == "classification":
        candidates = [np.arange(model.output_shape[-1])]
    else:
        candidates = [np.array([0, 1]), np.array([-1, 1])]
    for classes in candidates:
        if len(found) and np.isin(found, classes).all():
            return replace(model, classes=classes.astype(array.dtype))
    first = repr(array.ravel()[:1].tolist()[0]) if array.size else "nothing"
    raise DataError(
        f"y holds labels such as {first}, and is not read whole, so that its classes are not known\n"
        "  try: whole numbers from 0 on, or decoder=nn.Labels(...), which names the classes"
    )


def stored_targets(model: Model, y: Stored) -> Targets:
    """Targets that stay where they are stored, made ready as they are read. Errors: DataError."""
    first = y[np.arange(min(_FIRST, len(y)))]
    model = with_classes(model, first)
    form = model.prepare(first)

    def ready(rows: Array, numbers: Array) -> Array:
        problems = Problems()
        check_finite(rows, "y", np.float64, problems, numbers)
        problems.raise_if_any()
        return model.prepare(rows).y

    made = replace(y, shape=(len(y), *form.y.shape[1:]), dtype=form.y.dtype, ready=ready)
    return replace(form, y=cast(Array, made), classes=model.classes if form.classes is None else form.classes)
