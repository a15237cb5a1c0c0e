"""The metrics of a training or an evaluation: looked up, checked against the kind of targets, and their values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.arguments import shown
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, nearest
from fallline.graph.op import Array
from fallline.nn import class_metrics, number_metrics, scorer  # noqa: F401 - the first two fill the table
from fallline.nn.loss import Loss
from fallline.nn.meaning import Answers, decided, named, probabilities, truth
from fallline.nn.metric import METRICS, Metric
from fallline.nn.metric import named as of_table


def kind_of(task: str, y: Array) -> str:
    """The kind of targets like these, as a loss of this task takes them.

    Two classes as 0 and 1 are binary. In several columns of them, a single 1 in every row names the row's class;
    otherwise they are labels. Numbers between 0 and 1 are come near to, as in a regression.
    """
    if task != "binary":
        return task
    if np.any((y > 0) & (y < 1)):
        return "regression"
    if y.shape[1] == 1:
        return "binary"
    return "classification" if np.all(np.sum(y, axis=1) == 1) else "labels"


def resolve(given: Any) -> tuple[Metric, ...]:
    """The metrics that were requested: None, a name, a Metric, a function, several of these, or a dict of them by name.

    Errors: ArgumentError for an unknown name, with the nearest, and for two of one name; ArgumentTypeError.
    """
    if given is None:
        return ()
    if isinstance(given, Mapping):
        wrong = [name for name in given if not isinstance(name, str) or not name]
        if wrong:
            raise ArgumentTypeError(f"a metric's name is a text, got {shown(wrong[0])}")
        found = [replace(_one(value), name=name) for name, value in given.items()]
    elif isinstance(given, str | Metric) or callable(given):
        found = [_one(given)]
    elif isinstance(given, Sequence | set | frozenset):
        found = [_one(value) for value in given]
    else:
        raise ArgumentTypeError(f"metrics are names, functions or a dict of them, got {shown(given)}\n"
                                "  try: metrics={'name': function}")  # fmt: skip
    names = [one.name for one in found]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1 or name == "loss"]
    if twice:
        reason = "is the number that is minimised" if twice[0] == "loss" else "are two"
        raise ArgumentError(f"metrics: {twice[0]!r} {reason}\n  try: metrics={{'another name': function}}")
    return tuple(found)


def _one(given: Any) -> Metric:
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        return of_name(given)
    if scorer.is_scorer(given):
        return scorer.metric_of(given)
    if callable(given):
        known = next((one for one in METRICS.values() if one.function is given), None)
        return known or Metric(given)
    raise ArgumentTypeError(f"a metric is a name, a function(y_true, y_pred) or nn.Metric, got {shown(given)}")


def of_name(name: str) -> Metric:
    """The metric of this name: of nn.METRICS, with its number where it has one, or a scorer of scikit-learn.

    Errors: ArgumentError for an unknown name, with the nearest.
    """
    found = of_table(name) or scorer.called(name)
    if found is None:
        raise ArgumentError(f"unknown metric {name!r:.80}{nearest(name, [*METRICS, *scorer.names()])}\n"
                            f"  known: {', '.join(sorted(METRICS))}; and scikit-learn's scorers")  # fmt: skip
    return found


def measured_by(requested: Sequence[Metric], kind: str, loss: Loss) -> tuple[Metric, ...]:
    """The metrics of targets of this kind: the usual ones, then those that were requested.

    A requested one takes the place of a usual one of its name.
    Errors: ArgumentError for one that cannot measure such targets, or reads probabilities where there are none.
    """
    for one in requested:
        if not one.measures(kind):
            suits = [name for name, other in METRICS.items() if other.kinds and other.measures(kind)]
            raise ArgumentError(f"the metric {one.name!r} measures {_words(one.kinds)}, and y holds {_words([kind])}"
                                f"\n  try: {', '.join(suits) or 'a function(y_true, y_pred) of your own'}")  # fmt: skip
        if one.reads == "probabilities" and not has_probabilities(loss):
            raise ArgumentError(f"the metric {one.name!r} reads probabilities, and the loss {loss.name} gives none\n"
                                "  try: loss='cross_entropy' or loss='binary_cross_entropy'")  # fmt: skip
    usual = [one for one in METRICS.values() if one.usual and one.measures(kind)]
    return tuple({one.name: one for one in (*usual, *requested)}.values())


def _words(kinds: Sequence[str]) -> str:
    words = {"classification": "classes", "binary": "two classes", "labels": "several labels a row",
             "regression": "numbers", "custom": "what only its loss knows"}  # fmt: skip
    return " or ".join(words[kind] for kind in kinds)


@dataclass(frozen=True)
class Answered:
    """The truth and the answers for some rows, in each form that a metric reads.

    truth, predictions: labels or numbers as `Model.predict` gives them. codes: places among the sorted classes; the
    truth where there are none. probabilities: (N, K), in the order in which the labels sort; None where there are none.
    outputs: the network's own. classes: the labels, sorted; None for numbers.
    """

    truth: Array
    codes: Array
    predictions: Array
    probabilities: Array | None = None
    outputs: Array | None = None
    classes: Array | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: Any) -> "Answered":
        """The same of some rows."""
        p, z = self.probabilities, self.outputs
        return Answered(
            self.truth[rows],
            self.codes[rows],
            self.predictions[rows],
            None if p is None else p[rows],
            None if z is None else z[rows],
            self.classes,
        )

    def value(self, metric: Metric, weight: Array | None = None) -> float:
        """The metric's value over these rows. weight: of the rows; those of weight 0 count for nothing."""
        if weight is not None and not weight.all():
            some = weight > 0
            return self.take(some).value(metric, weight[some])
        return metric.of(self.codes if metric.coded else self.truth, self._read_by(metric), weight)

    def _read_by(self, metric: Metric) -> Any:
        if metric.reads == "predictions":
            return self.predictions
        if metric.reads == "outputs":
            return self.outputs
        p = self.probabilities
        if metric.reads == "probabilities":
            is_of_two = p is not None and p.shape[1] == 2 and self.classes is not None
            return p[:, 1] if p is not None and is_of_two and not metric.coded else p
        z = self.outputs
        decision = z[:, 0] if z is not None and z.ndim == 2 and z.shape[1] == 1 else z
        return scorer.Held(self.predictions, p, decision, self.classes)


def answered(model: Answers, outputs: Array, y: Array, *, shares: bool = True) -> Answered:
    """The answers of a model by its outputs for all rows, and their targets as the loss takes them.

    shares: probabilities too, where the loss gives them.
    """
    labels = model.labels
    order = None if labels is None else np.argsort(labels, kind="stable")
    true, p = truth(model, y), None
    with np.errstate(all="ignore"):
        predictions = named(model, np.asarray(decided(model, outputs)))
        if shares and has_probabilities(model.loss):
            p = np.asarray(probabilities(model, outputs))
    if labels is None or order is None:
        return Answered(true, true, predictions, p, outputs)
    codes = np.argsort(order)[truth(model, y, coded=True)]
    return Answered(true, codes, predictions, None if p is None else p[:, order], outputs, labels[order])


def values_of(
    metrics: Sequence[Metric], model: Answers, outputs: Array, y: Array, weight: Array | None = None
) -> dict[str, float]:
    """The value of each metric, by its name, from the outputs for all rows and their targets as the loss takes them.

    weight: of the rows, (N,); those of weight 0 count for nothing. Where outputs are not finite, nothing is predicted
    and every value is NaN.
    Errors: those of a metric's function; DataError for no rows.
    """
    if not metrics:
        return {}
    if not len(outputs):
        raise DataError("metrics of no rows are not defined")
    if not np.isfinite(outputs).all():
        return {one.name: math.nan for one in metrics}
    found = answered(model, outputs, y, shares=any(one.reads in ("probabilities", "estimator") for one in metrics))
    return {one.name: found.value(one, weight) for one in metrics}


def has_probabilities(loss: Loss) -> bool:
    """Whether outputs trained by this loss mean probabilities of classes."""
    return loss.task in ("binary", "classification") and loss.link is not None
