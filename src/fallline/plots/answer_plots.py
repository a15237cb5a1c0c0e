"""Answers beside the truth: which classes are taken for which, predicted against true numbers, honest probabilities."""

from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.errors import ArgumentError
from fallline.nn.measured import has_probabilities
from fallline.plots.chart import Axis, Chart, Heat, Line, Mark, Panel, Points
from fallline.plots.plot_table import plot
from fallline.plots.rows_seen import no_rows, told
from fallline.training.run import Run

# Classes of which a table is drawn; of more, those that are mistaken most.
MOST_CLASSES = 25
GROUPS = 10
NUMBERS = "it predicts numbers\n  try: run.plot.predictions()"
CLASSES = "it predicts classes\n  try: run.plot.confusion()"


def no_classes(run: Run) -> str:
    return no_rows(run) or ("" if run.model.labels is not None else NUMBERS)


@plot("confusion", of=Run, doc="how many rows of each class are taken for which", lacks=no_classes)
def confusion(run: Run, *, data: Any = None, rows: str | None = None) -> Chart:
    """True classes down, predicted ones across. data: (x, y) instead of the run's own rows; rows: which of those."""
    found, said = told(run, data, rows)
    if found.classes is None:
        raise ArgumentError("this run predicts numbers, which have no confusion\n  try: run.plot.predictions()")
    labels, k = [str(one) for one in found.classes], len(found.classes)
    answered = np.searchsorted(found.classes, found.predictions)
    counts = np.bincount(found.codes * k + answered, minlength=k * k).reshape(k, k)
    right, note = int(np.trace(counts)), ""
    if k > MOST_CLASSES:
        off = counts.sum(0) + counts.sum(1) - 2 * np.diag(counts)
        kept = np.sort(np.argsort(-off, kind="stable")[:MOST_CLASSES])
        counts, labels = counts[np.ix_(kept, kept)], [labels[i] for i in kept]
        note = f"The {MOST_CLASSES} of {k} classes with the most mistakes."
    total = len(found.codes)
    heat = Heat(counts.astype(float), "rows")
    axes = Axis("predicted class", "1", names=tuple(labels)), Axis("true class", "1", names=tuple(labels))
    return Chart(f"{right:,} of {said} right ({right / total:.1%})", (Panel(*axes, (heat,)),), note=note)


def no_numbers(run: Run) -> str:
    return no_rows(run) or ("" if run.model.labels is None else CLASSES)


@plot("predictions", of=Run, doc="predicted against true numbers", lacks=no_numbers)
def predictions(run: Run, *, data: Any = None, rows: str | None = None) -> Chart:
    """One panel for each number of the target. data, rows: as for `confusion`."""
    found, said = told(run, data, rows)
    if found.classes is not None:
        raise ArgumentError("this run predicts classes\n  try: run.plot.confusion()")
    true, answered = (np.asarray(one, float).reshape(len(found.truth), -1) for one in (found.truth, found.predictions))
    name = getattr(run.model.decoder, "target", "") or "target"
    columns = min(true.shape[1], answered.shape[1], 6)
    panels = []
    for i in range(columns):
        ends = _ends(true[:, i])
        of = name if columns == 1 else f"{name} {i}"
        marks: tuple[Mark, ...] = (Points(true[:, i], answered[:, i], "", 0), Line(ends, ends, "predicted = true", 4))
        across, up = (Axis(f"{what} {of}", "unit of the target") for what in ("true", "predictions"))
        panels.append(Panel(across, up, marks))
    return Chart(f"Predicted against true, {said}", tuple(panels), columns=min(2, columns))


def _ends(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return np.array([low, high if high > low else low + 1])


def no_shares(run: Run) -> str:
    return no_rows(run) or (
        "" if run.model.labels is not None and has_probabilities(run.model.loss) else "it gives no probabilities"
    )


@plot("calibration", of=Run, doc="how often answers are right, by how sure the network is", lacks=no_shares)
def calibration(run: Run, *, data: Any = None, rows: str | None = None) -> Chart:
    """Rows in ten groups by the probability of their answer; the band is twice the standard error of each share."""
    found, said = told(run, data, rows)
    if found.probabilities is None or found.classes is None:
        raise ArgumentError("this run gives no probabilities\n  try: loss='cross_entropy' in fl.fit")
    sure = found.probabilities.max(1)
    right = (found.predictions == found.truth).astype(float)
    groups = [one for one in np.array_split(np.argsort(sure, kind="stable"), GROUPS) if len(one)]
    x = np.array([sure[one].mean() for one in groups])
    y = np.array([right[one].mean() for one in groups])
    sizes = np.array([len(one) for one in groups])
    off = 2 * np.sqrt(np.maximum(y * (1 - y), 0.25 / sizes) / sizes)
    low = min(float(x.min()), float(y.min()))
    ends = np.array([low, 1.0])
    marks = (
        Line(x, y, "groups of rows, +- 2 standard errors", 0, dots=True, low=np.clip(y - off, 0, 1),
             high=np.clip(y + off, 0, 1)),
        Line(ends, ends, "as sure as right", 4),
    )  # fmt: skip
    axes = Axis("probability of the answer", "share of 1"), Axis("answers that are right", "share of 1")
    return Chart(f"Calibration, {said}", (Panel(*axes, marks),))
