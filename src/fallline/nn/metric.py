"""Metrics: how good predictions are, as one number for people. Each is one definition and enters one table.

A metric is a function of true and predicted values, f(y_true, y_pred), as scikit-learn's are, over all rows at once.
One that is a sum over rows may state that sum for the outputs of a network too: it is then added up while a validation
pass runs, and no outputs are kept.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from fallline.arguments import record, shown
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, unknown
from fallline.graph.inside import Inside
from fallline.graph.op import Array
from fallline.nn.encoder import Decoder, Quantity
from fallline.nn.loss import Loss
from fallline.nn.meaning import Answers, decided, named, probabilities, truth

Function = Callable[[Any, Any], Any]
F = TypeVar("F", bound=Function)

# Kinds of targets: classes; two classes; several labels a row, each 0 or 1; numbers; a kind of the user's own.
KINDS = ("classification", "binary", "labels", "regression", "custom")
BETTER, READS = ("higher", "lower"), ("predictions", "probabilities", "outputs")


@dataclass(frozen=True, slots=True)
class Sum:
    """A metric as a sum over rows. add: (loss, outputs, y) -> float64 sums, traced. finish: (sums, y) -> the metric.

    y: targets as the loss takes them; in `finish` those of all rows that were summed.
    in_unit: the metric has the unit of the target, so a decoder's scale multiplies it.
    """

    add: Callable[[Loss, Any, Any], Any]
    finish: Callable[[Array, Array], float]
    in_unit: bool = False

    def of(self, sums: Array, y: Array, decoder: Decoder | None) -> float:
        """The metric, in the unit of the target."""
        with np.errstate(all="ignore"):
            value = self.finish(sums, y)
        return value * decoder.scale if self.in_unit and isinstance(decoder, Quantity) else value


@record
@dataclass(frozen=True)
class Metric:
    """How good predictions are: function(y_true, y_pred) -> a number, over all rows at once.

    function: gets labels or numbers as `Model.predict` gives them, (N,) or (N, M), and returns one number.
    better: "higher" or "lower"; None where neither is better, and then no training can watch it.
    reads: "predictions"; "probabilities", (N, K), classes in the order in which their labels sort, and of two classes
        (N,), those of the last, as scikit-learn's roc_auc_score takes them; "outputs", the network's own.
    name: in events and histories, after "validation_"; by default the function's.
    kinds: of targets that it can measure, among KINDS; () for all.
    usual: measured without being requested. sums: for some kinds of targets, the metric as a sum over rows.
    coded: with probabilities, labels come as places among the columns, 0..K-1, and columns as the outputs stand.
    Errors: ArgumentTypeError for a value that is no function; ArgumentError for an unknown word.
    Example: nn.Metric(sklearn.metrics.matthews_corrcoef, better="higher")
    """

    function: Function
    better: str | None = None
    reads: str = "predictions"
    name: str = ""
    kinds: tuple[str, ...] = ()
    usual: bool = field(default=False, repr=False)
    coded: bool = field(default=False, repr=False)
    sums: Mapping[str, Sum] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ArgumentTypeError(f"a metric is a function(y_true, y_pred), got {shown(self.function)}")
        for what, value, known in (("better", self.better, (*BETTER, None)), ("reads", self.reads, READS)):
            if not isinstance(value, str | None) or value not in known:
                raise ArgumentError(f"Metric: {what} is one of {', '.join(map(repr, known))}, got {shown(value)}")
        if not isinstance(self.name, str):
            raise ArgumentTypeError(f"Metric: name is a text, got {shown(self.name)}")
        if not isinstance(self.kinds, tuple | list) or not all(isinstance(kind, str) for kind in self.kinds):
            raise ArgumentTypeError(f"Metric: kinds are texts in a tuple, got {shown(self.kinds)}")
        object.__setattr__(self, "kinds", tuple(self.kinds))
        object.__setattr__(self, "name", self.name or getattr(self.function, "__name__", "metric"))

    def measures(self, kind: str) -> bool:
        """Whether it has a value for this kind of targets."""
        return not self.kinds or kind in self.kinds

    def of(self, y_true: Array, y_pred: Array) -> float:
        """The function's value, checked to be a number: it may be a user's.

        Errors: those of the function, which say that they came from this metric; ArgumentTypeError for another value.
        """
        own = getattr(self.function, "__module__", "") == __name__
        given = {"y_true": y_true, "y_pred": y_pred}
        with Inside(lambda: f"the metric {self.name!r}", given, ours_pass=own, of=self.function):
            value = self.function(y_true, y_pred)
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise ArgumentTypeError(f"it returns {shown(value)}, not a number") from None
        return number


METRICS: dict[str, Metric] = {}


def metric(
    better: str | None = None,
    reads: str = "predictions",
    kinds: tuple[str, ...] = (),
    usual: bool = False,
    coded: bool = False,
    sums: Mapping[str, Sum] | None = None,
) -> Callable[[F], F]:
    """Enter a function(y_true, y_pred) as a metric under its name; arguments as for Metric."""

    def entered(function: F) -> F:
        made = Metric(function, better, reads, function.__name__, kinds, usual, coded, dict(sums or {}))
        before = METRICS.get(made.name)
        if before is not None and (before.function.__module__, made.name) != (function.__module__, function.__name__):
            raise ArgumentError(f"two metrics are called {made.name!r}: of {before.function.__module__} and of "
                                f"{function.__module__}\n  try: another name")  # fmt: skip
        METRICS[made.name] = made
        return function

    return entered


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
        if given not in METRICS:
            raise unknown("metric", given, METRICS)
        return METRICS[given]
    if callable(given):
        known = next((one for one in METRICS.values() if one.function is given), None)
        return known or Metric(given)
    raise ArgumentTypeError(f"a metric is a name, a function(y_true, y_pred) or nn.Metric, got {shown(given)}")


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


def values_of(metrics: Sequence[Metric], model: Answers, outputs: Array, y: Array) -> dict[str, float]:
    """The value of each metric, by its name, from the outputs for all rows and their targets as the loss takes them.

    Where outputs are not finite, nothing is predicted and every value is NaN.
    Errors: those of a metric's function; ArgumentError where a metric reads probabilities and the model gives none.
    """
    if not metrics:
        return {}
    if not len(outputs):
        raise DataError("metrics of no rows are not defined")
    if not np.isfinite(outputs).all():
        return {one.name: math.nan for one in metrics}
    found = {}
    for one in metrics:
        found[one.name] = one.of(truth(model, y, coded=one.coded), _read(one, model, outputs))
    return found


def _read(metric: Metric, model: Answers, outputs: Array) -> Array:
    """The values that a metric compares with the truth."""
    if metric.reads == "outputs":
        return outputs
    with np.errstate(all="ignore"):
        if metric.reads == "predictions":
            return named(model, np.asarray(decided(model, outputs)))
        p = np.asarray(probabilities(model, outputs))
    if metric.coded or model.labels is None:
        return p
    p = p[:, np.argsort(model.labels, kind="stable")]
    return p[:, 1] if p.shape[1] == 2 else p


def has_probabilities(loss: Loss) -> bool:
    """Whether outputs trained by this loss mean probabilities of classes."""
    return loss.task in ("binary", "classification") and loss.link is not None


# The table.


def _codes(y: Array) -> Array:
    """Labels as they are; rows of numbers for classes as the place of the largest."""
    return y if y.ndim == 1 else np.argmax(y, axis=1)


def _hits(loss: Loss, output: Any, y: Any) -> Any:
    truth = y if len(y.shape) == 1 else np.argmax(y, axis=1)
    return np.sum((np.argmax(output, axis=1) == truth).astype(np.float64))


def _right_side(loss: Loss, output: Any, y: Any) -> Any:
    return np.sum(((output > 0) == (y > 0.5)).astype(np.float64))


def _right_sides(loss: Loss, output: Any, y: Any) -> Any:
    """Rows in which all entries are right, and right entries."""
    right = (output > 0) == (y > 0.5)
    return np.stack([np.sum(np.all(right, axis=1).astype(np.float64)), np.sum(right.astype(np.float64))])


def _squares(loss: Loss, output: Any, y: Any) -> Any:
    y_hat = output if loss.link is None else loss.link(output)
    return np.sum(np.square((y_hat - y).astype(np.float64)), axis=0)


def _table(y: Array) -> Array:
    return np.asarray(y, np.float64).reshape(len(y), -1)


def r2_of(squares: Array, y: Array) -> float:
    """R^2, averaged over the columns of y, from sums of squared errors."""
    if len(y) < 2:
        return math.nan
    spread = np.sum(np.square(y - np.mean(y, axis=0, dtype=np.float64)), axis=0, dtype=np.float64)
    varies = np.min(y, axis=0) != np.max(y, axis=0)  # rounding leaves a constant column some spread
    with np.errstate(all="ignore"):
        return float(np.mean(np.where(varies & (spread > 0), 1 - squares / spread, (squares == 0) * 1.0)))


def rmse_of(squares: Array, y: Array) -> float:
    """The root mean squared error over all entries, from sums of squared errors."""
    return float(np.sqrt(np.sum(squares) / y.size))


def _share(right: Array, y: Array) -> float:
    return float(right) / len(y)


CLASSES = ("classification", "binary")
HITS = {"classification": Sum(_hits, _share), "binary": Sum(_right_side, _share)}


@metric(better="higher", kinds=CLASSES, usual=True, sums=HITS)
def accuracy(y_true: Array, y_pred: Array) -> float:
    """The share of rows whose class is right."""
    return float(np.mean(_codes(y_true) == _codes(y_pred)))


@metric(better="higher", kinds=CLASSES)
def balanced_accuracy(y_true: Array, y_pred: Array) -> float:
    """The share of right rows of each class, averaged over the classes that have rows.

    Source: Brodersen et al. 2010, The balanced accuracy and its posterior distribution.
    """
    y, y_hat = _codes(y_true), _codes(y_pred)
    return float(np.mean([np.mean(y_hat[y == label] == label) for label in np.unique(y)]))


@metric(better="higher", kinds=CLASSES)
def f1(y_true: Array, y_pred: Array) -> float:
    """2 TP / (2 TP + FP + FN) of each class, averaged over the classes that occur in truth or prediction.

    Source: van Rijsbergen 1979, Information retrieval, chapter 7; scikit-learn's f1_score with average="macro".
    """
    y, y_hat = _codes(y_true), _codes(y_pred)
    classes = np.unique(np.concatenate([y, y_hat]))
    right = [np.sum((y == label) & (y_hat == label)) for label in classes]
    either = [np.sum(y == label) + np.sum(y_hat == label) for label in classes]
    return float(np.mean(2 * np.array(right) / np.array(either)))


@metric(better="higher", reads="probabilities", kinds=CLASSES, coded=True)
def roc_auc(y_true: Array, y_pred: Array) -> float:
    """The probability that a row of a class gets a higher probability of it than a row of another; ties count half.

    Of more than two classes, the mean over the classes, each against the rest. NaN where a class has no row, or all.
    Source: Hanley & McNeil 1982; Fawcett 2006, An introduction to ROC analysis, section 7.
    """
    codes = _codes(y_true)
    columns = [1] if y_pred.shape[1] == 2 else range(y_pred.shape[1])
    return float(np.mean([_auc(codes == k, y_pred[:, k]) for k in columns]))


def _auc(inside: Array, score: Array) -> float:
    """The Mann-Whitney statistic as a share, by mean ranks."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, m = int(inside.sum()), int((~inside).sum())
    return float((ranks[inside].sum() - n * (n + 1) / 2) / (n * m)) if n and m else math.nan


@metric(better="lower", reads="probabilities", kinds=CLASSES, coded=True)
def log_loss(y_true: Array, y_pred: Array) -> float:
    """The mean of -log p of each row's own class, p in float64 and at least the smallest step of its precision.

    It is the cross-entropy without label smoothing. Source: scikit-learn's log_loss.
    """
    eps = float(np.finfo(y_pred.dtype).eps)
    p = np.clip(y_pred.astype(np.float64), eps, 1 - eps)
    return float(-np.mean(np.log(p[np.arange(len(p)), _codes(y_true)] / p.sum(axis=1))))


@metric(
    better="higher", kinds=("labels",), usual=True,
    sums={"labels": Sum(_right_sides, lambda right, y: float(right[0]) / len(y))},
)  # fmt: skip
def exact_match(y_true: Array, y_pred: Array) -> float:
    """The share of rows in which all entries are right: above a half where the truth is 1."""
    return float(np.mean(np.all((y_pred > 0.5) == (y_true > 0.5), axis=1)))


@metric(
    better="higher", kinds=("labels",), usual=True,
    sums={"labels": Sum(_right_sides, lambda right, y: float(right[1]) / y.size)},
)  # fmt: skip
def entry_accuracy(y_true: Array, y_pred: Array) -> float:
    """The share of entries that are right: above a half where the truth is 1."""
    return float(np.mean((y_pred > 0.5) == (y_true > 0.5)))


@metric(better="higher", kinds=("regression",), usual=True, sums={"regression": Sum(_squares, r2_of)})
def r2(y_true: Array, y_pred: Array) -> float:
    """R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2, averaged over columns.

    For a constant column 1 if there is no error, else 0; NaN for one row, of which nothing can be explained. So it is
    in scikit-learn's r2_score.
    """
    return r2_of(np.sum(np.square(_table(y_true) - _table(y_pred)), axis=0), _table(y_true))


@metric(better="lower", kinds=("regression",), usual=True, sums={"regression": Sum(_squares, rmse_of, in_unit=True)})
def rmse(y_true: Array, y_pred: Array) -> float:
    """The root mean squared error, sqrt(mean (y - y_hat)^2) over all entries, in the unit of the target."""
    return rmse_of(np.sum(np.square(_table(y_true) - _table(y_pred)), axis=0), _table(y_true))


@metric(better="lower", kinds=("regression",))
def mae(y_true: Array, y_pred: Array) -> float:
    """The mean absolute error, mean |y - y_hat| over all entries, in the unit of the target."""
    return float(np.mean(np.abs(_table(y_true) - _table(y_pred))))
