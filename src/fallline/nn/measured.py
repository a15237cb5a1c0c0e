"""The metrics of a training or an evaluation: looked up, checked against the kind of targets, and their values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
             "regression": "numbers", "quantiles": "numbers of which quantiles are predicted",
             "custom": "what only its loss knows"}  # fmt: skip
    return " or ".join(words[kind] for kind in kinds)


def values_of(
    metrics: Sequence[Metric], model: Answers, outputs: Array, y: Array, weight: Array | None = None
) -> dict[str, float]:
    """The value of each metric, by its name, from the outputs for all rows and their targets as the loss takes them.

    weight: of the rows, (N,); those of weight 0 count for nothing. Where outputs are not finite, nothing is predicted
    and every value is NaN.
    Errors: those of a metric's function; ArgumentError where a metric reads probabilities and the model gives none.
    """
    if not metrics:
        return {}
    if not len(outputs):
        raise DataError("metrics of no rows are not defined")
    if not np.isfinite(outputs).all():
        return {one.name: math.nan for one in metrics}
    if weight is not None and not weight.all():
        some = weight > 0
        outputs, y, weight = outputs[some], y[some], weight[some]
    return {one.name: one.of(_truth(one, model, y), _read(one, model, outputs), weight) for one in metrics}


def _truth(metric: Metric, model: Answers, y: Array) -> Array:
    """The true values, in the form in which a metric reads them."""
    if not metric.coded or model.labels is None:
        return truth(model, y)
    return np.argsort(np.argsort(model.labels, kind="stable"))[truth(model, y, coded=True)]


def _read(metric: Metric, model: Answers, outputs: Array) -> Any:
    """The values that a metric compares with the truth."""
    if metric.reads == "outputs":
        return outputs
    if metric.reads == "probabilities":
        p = _sorted_probabilities(model, outputs)
        return p[:, 1] if p.shape[1] == 2 and model.labels is not None and not metric.coded else p
    with np.errstate(all="ignore"):
        predictions = named(model, np.asarray(decided(model, outputs)))
    if metric.reads == "predictions":
        return predictions
    shares = _sorted_probabilities(model, outputs) if has_probabilities(model.loss) else None
    decision = outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs
    return scorer.Held(predictions, shares, decision, None if model.labels is None else np.sort(model.labels))


def _sorted_probabilities(model: Answers, outputs: Array) -> Array:
    """The probabilities of the classes, in the order in which their labels sort."""
    with np.errstate(all="ignore"):
        p = np.asarray(probabilities(model, outputs))
    return p if model.labels is None else p[:, np.argsort(model.labels, kind="stable")]


def has_probabilities(loss: Loss) -> bool:
    """Whether outputs trained by this loss mean probabilities of classes."""
    return loss.task in ("binary", "classification") and loss.link is not None
