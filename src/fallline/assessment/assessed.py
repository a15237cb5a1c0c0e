"""How well a model does on some rows: loss and metrics with their standard errors, and where it is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.arguments import takes
from fallline.assessment.uncertainty import Estimate, estimate, jackknife
from fallline.graph.op import Array
from fallline.nn import measured
from fallline.nn.column import Category, written
from fallline.nn.encoder import Columns
from fallline.nn.measured import Answered, answered, kind_of, measured_by
from fallline.nn.model import MODEL, Model
from fallline.nn.notation import MISSING
from fallline.nn.scores import answers, mean_loss
from fallline.table import Table, Texts

# Shares of the rows whose absolute error is at most so large.
SHARES = (0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """How well a model does on some rows.

    rows: how many; weighted: whether they have weights. values: the loss and each metric, with its standard error.
    classes: the labels, sorted, and confusion: (K, K), how many rows of each true class (down) are predicted as each
    (across); None for numbers. errors: the largest absolute error of each share of the rows, for one number a row.
    """

    rows: int
    weighted: bool
    values: Mapping[str, Estimate]
    classes: tuple[Any, ...] = ()
    confusion: Array | None = None
    errors: Mapping[float, float] | None = None


@takes(model=MODEL)
def assess(model: Model, data: Any, *, metrics: Any = None, threads: int | None = None) -> Assessment:
    """The loss and the metrics of a model on some rows, with their standard errors, and where it is wrong.

    The values are those of `Model.evaluate`. Standard errors say how much they would change with other rows from the
    same source; they are computed by leaving out a hundredth of the rows at a time.
    data, metrics, threads: as for `Model.evaluate`.
    Errors: as for `Model.evaluate`.
    Example: fl.assess(run.model, (x_test, y_test)).values["accuracy"]
    """
    chosen, z, targets, weight = answers(model, data, threads)
    kind = kind_of(chosen.task, targets.y)
    wanted = measured_by(measured.resolve(metrics), kind, chosen.loss)
    found, y, seen = answered(chosen, z, targets.y), targets.y, len(z)
    finite = bool(np.isfinite(z).all())
    if weight is not None and not weight.all():
        some = weight > 0
        found, z, y, weight = found.take(some), z[some], y[some], weight[some]

    def values(rows: Array) -> Array:
        own = None if weight is None else weight[rows]
        loss = mean_loss(chosen.loss, z[rows], y[rows], own)
        some = found.take(rows)
        return np.array([loss, *(some.value(one, own) if finite else np.nan for one in wanted)])

    every, without = jackknife(values, len(z))
    names = ("loss", *(one.name for one in wanted))
    told = {name: estimate(float(every[i]), without[:, i]) for i, name in enumerate(names)}
    classes = () if found.classes is None else tuple(found.classes.tolist())
    return Assessment(
        rows=seen,
        weighted=weight is not None,
        values=told,
        classes=classes,
        confusion=_confusion(found) if classes and finite else None,
        errors=_errors(found) if kind == "regression" and finite and found.truth.ndim == 1 else None,
    )


def _confusion(found: Answered) -> Array:
    """How many rows of each class are predicted as each."""
    assert found.classes is not None
    k = len(found.classes)
    place = found.codes * k + np.searchsorted(found.classes, found.predictions)
    counts: Array = np.bincount(place, minlength=k * k).reshape(k, k)
    return counts


def _errors(found: Answered) -> Mapping[float, float]:
    off = np.abs(found.truth - found.predictions)
    at = np.quantile(off, SHARES, method="inverted_cdf")  # errors that occur
    return dict(zip(SHARES, map(float, at), strict=True))


def unknown_levels(encoder: Columns, table: Table) -> Mapping[str, tuple[int, tuple[str, ...]]]:
    """The columns of levels in which rows have one that was not trained on: how many rows, and these levels."""
    found = {}
    for one in encoder.columns:
        if not isinstance(one, Category) or one.name not in table.names:
            continue
        values = table[one.name]
        texts = values if isinstance(values, Texts) else written(values)
        known = one.read(Texts(np.arange(len(texts.levels), dtype=np.int32), texts.levels)) > 0
        rows = np.bincount(texts.codes[texts.codes >= 0], minlength=len(known))
        missing = np.array([level.strip().lower() in MISSING for level in texts.levels], bool)
        new = np.flatnonzero(~known & ~missing & (rows > 0))
        if len(new):
            found[one.name] = (int(rows[new].sum()), tuple(texts.levels[i] for i in new))
    return found
