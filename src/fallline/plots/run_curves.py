"""Curves of a run over its epochs: the loss, the metrics, the learning rate."""

import numpy as np

from fallline.plots.chart import Axis, Chart, Line, Mark, Panel, Rule
from fallline.plots.plot_table import plot
from fallline.training.run import Run

# The unit of a loss that is a mean of negative logarithms of probabilities.
NATS = ("cross_entropy", "binary_cross_entropy")
RATES = ("accuracy", "exact_match", "f1", "roc_auc", "precision", "recall")


def no_epochs(run: Run) -> str:
    """Why a run has no curve yet."""
    return "" if run.epochs else "no epoch of it has ended"


def loss_axis(run: Run, log: bool | None = None) -> Axis:
    """The axis of a run's loss, named after the loss."""
    name = str(run.model.loss.name)
    return Axis("loss", f"{name.replace('_', ' ')}, nats" if name in NATS else name.replace("_", " "), log)


EPOCHS = Axis("epoch", "passes over the training rows", whole=True)


@plot("loss", of=Run, doc="the loss of the training and the validation rows by epoch", lacks=no_epochs)
def loss(run: Run, *, log: bool | None = None) -> Chart:
    """The loss by epoch with the best epoch marked. log: powers of ten; None where the losses span two decades."""
    columns = run.history
    marks: list[Mark] = [Line(columns["epoch"], columns["loss"], "training rows", 0)]
    if "validation_loss" in columns:
        marks.append(Line(columns["epoch"], columns["validation_loss"], "validation rows", 1))
    marks += best(run)
    return Chart("Loss by epoch", (Panel(EPOCHS, loss_axis(run, log), tuple(marks)),))


def best(run: Run) -> list[Mark]:
    """A rule at the best epoch."""
    return [] if run.best_epoch is None else [Rule(run.best_epoch, "x", f"best epoch, {run.best_epoch}")]


@plot(
    "learning_rate", of=Run, doc="the learning rate of the last step of each epoch",
    lacks=lambda run: no_epochs(run) or ("" if np.isfinite(run.history["learning_rate"]).any() else "it has none"),
)  # fmt: skip
def learning_rate(run: Run, *, log: bool | None = False) -> Chart:
    """The learning rate by epoch. log: powers of ten."""
    columns = run.history
    axis = Axis("learning rate", "per step", log)
    line = Line(columns["epoch"], columns["learning_rate"], slot=0)
    return Chart("Learning rate by epoch", (Panel(EPOCHS, axis, (line,)),))


def metrics_of(run: Run) -> list[str]:
    """The metrics in a run's history."""
    return list(dict.fromkeys(name for epoch in run.epochs for name in epoch.metrics))


@plot(
    "metrics", of=Run, doc="each metric of the validation rows by epoch",
    lacks=lambda run: "" if metrics_of(run) else "it measured none\n  try: validation=0.2 in fl.fit",
)  # fmt: skip
def metrics(run: Run) -> Chart:
    """One panel for each metric."""
    columns, names = run.history, metrics_of(run)
    panels = [
        Panel(EPOCHS, Axis(said(name), unit_of(name), None if positive(columns[name]) else False),
              (Line(columns["epoch"], columns[name], slot=0), *best(run)))
        for name in names
    ]  # fmt: skip
    return Chart("Metrics by epoch", tuple(panels), columns=min(2, len(panels)))


def positive(values: np.ndarray) -> bool:
    return bool((values > 0).all())


def said(name: str) -> str:
    """A metric's name in words, without the rows that all of them are about."""
    return name.removeprefix("validation_").replace("_", " ")


def unit_of(name: str) -> str:
    """The unit of a metric: a share of the rows, nats, or that of the target."""
    short = name.removeprefix("validation_")
    if short in RATES or short.endswith("accuracy") or short.startswith("top_"):
        return "share of 1"
    return {"log_loss": "nats", "rmse": "unit of the target", "mae": "unit of the target"}.get(short, "1")
