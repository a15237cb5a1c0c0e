"""Metrics of classes and of labels: how often they are right, how well probabilities rank rows, how true they are."""

import math
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.nn.loss import Loss
from fallline.nn.metric import Numbered, Sum, mass, mean, metric
from fallline.ranges import Range

CLASSES = ("classification", "binary")


def _codes(y: Array) -> Array:
    """Labels as they are; rows of numbers for classes as the place of the largest."""
    return y if y.ndim == 1 else np.argmax(y, axis=1)


def _weighed(right: Any, weight: Any) -> Any:
    right = right.astype(np.float64)
    return np.sum(right if weight is None else right * weight.astype(np.float64))


def _hits(loss: Loss, output: Any, y: Any, weight: Any) -> Any:
    truth = y if len(y.shape) == 1 else np.argmax(y, axis=1)
    return _weighed(np.argmax(output, axis=1) == truth, weight)


def _right_side(loss: Loss, output: Any, y: Any, weight: Any) -> Any:
    return _weighed(((output > 0) == (y > 0.5))[:, 0], weight)


def _right_sides(loss: Loss, output: Any, y: Any, weight: Any) -> Any:
    """Rows in which all entries are right, and right entries."""
    right = (output > 0) == (y > 0.5)
    entries = np.sum(right.astype(np.float64), axis=1)
    return np.stack([_weighed(np.all(right, axis=1), weight), _weighed(entries, weight)])


def _share(right: Array, y: Array, weight: Array | None) -> float:
    return float(right) / mass(y, weight)


HITS = {"classification": Sum(_hits, _share), "binary": Sum(_right_side, _share)}


@metric(better="higher", kinds=CLASSES, usual=True, sums=HITS)
def accuracy(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The share of rows whose class is right."""
    return mean(_codes(y_true) == _codes(y_pred), sample_weight)


def _table(y_true: Array, y_pred: Array, weight: Array | None) -> tuple[Array, Array]:
    """The weight of each pair of true and predicted class, (K, K), and the classes that occur, sorted."""
    y, y_hat = _codes(y_true), _codes(y_pred)
    classes = np.unique(np.concatenate([y, y_hat]))
    place = np.searchsorted(classes, y) * len(classes) + np.searchsorted(classes, y_hat)
    counts = np.bincount(place, None if weight is None else np.asarray(weight, np.float64), len(classes) ** 2)
    return counts.reshape(len(classes), -1).astype(np.float64), classes


@metric(better="higher", kinds=CLASSES)
def balanced_accuracy(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The share of right rows of each class, averaged over the classes that have rows.

    Source: Brodersen et al. 2010, The balanced accuracy and its posterior distribution.
    """
    table, _ = _table(y_true, y_pred, sample_weight)
    rows = table.sum(axis=1)
    return float(np.mean(np.diagonal(table)[rows > 0] / rows[rows > 0]))


@metric(better="higher", kinds=CLASSES)
def f1(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """2 TP / (2 TP + FP + FN) of each class, averaged over the classes that occur in truth or prediction.

    Source: van Rijsbergen 1979, Information retrieval, chapter 7; scikit-learn's f1_score with average="macro".
    """
    table, _ = _table(y_true, y_pred, sample_weight)
    return float(np.mean(2 * np.diagonal(table) / (table.sum(axis=0) + table.sum(axis=1))))


@metric(better="higher", reads="probabilities", kinds=CLASSES, coded=True)
def f1_binary(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """2 TP / (2 TP + FP + FN) of the second of two classes, as their labels sort; 0 where it does not occur.

    Errors: ArgumentError for more classes. Source: scikit-learn's f1_score with average="binary".
    """
    if y_pred.shape[1] != 2:
        raise ArgumentError(f"f1_binary measures two classes, and there are {y_pred.shape[1]}\n  try: f1")
    y, y_hat = _codes(y_true) == 1, y_pred[:, 1] > 0.5
    weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
    both, either = mean(y & y_hat, weight), mean(y, weight) + mean(y_hat, weight)
    return float(2 * both / either) if either else 0.0


def _of_columns(y_true: Array, y_pred: Array, of: Any, weight: Array | None) -> float:
    """The mean over classes, or labels, of a function of (rows that are in it, scores, weights)."""
    if not np.isfinite(y_pred).all():
        return math.nan
    k, y = y_pred.shape[1], y_true
    if y.ndim == 2 and np.allclose(np.sum(y, axis=1), 1):  # shares of classes, not labels
        y = _codes(y)
    inside = y > 0.5 if y.ndim == 2 else y[:, np.newaxis] == np.arange(k)
    columns = [1] if k == 2 and y.ndim == 1 else range(k)
    return float(np.mean([of(inside[:, one], y_pred[:, one], weight) for one in columns]))


@metric(better="higher", reads="probabilities", kinds=(*CLASSES, "labels"), coded=True)
def roc_auc(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The probability that a row of a class gets a higher probability of it than a row of another; ties count half.

    Of more than two classes, the mean over the classes, each against the rest; of several labels, the mean over them.
    NaN where a class has no row, or all.
    Source: Hanley & McNeil 1982; Fawcett 2006, An introduction to ROC analysis, section 7.
    """
    return _of_columns(y_true, y_pred, _auc, sample_weight)


def _at_scores(inside: Array, score: Array, weight: Array | None) -> tuple[Array, Array]:
    """The weights of the rows inside and outside a class at each distinct score, ascending."""
    _, place = np.unique(score, return_inverse=True)
    w = np.ones(len(score)) if weight is None else np.asarray(weight, np.float64)
    return np.bincount(place, w * inside), np.bincount(place, w * ~inside)


def _auc(inside: Array, score: Array, weight: Array | None) -> float:
    """The Mann-Whitney statistic as a share of all pairs."""
    ours, others = _at_scores(inside, score, weight)
    pairs = ours.sum() * others.sum()
    return float(np.sum(ours * (np.cumsum(others) - others / 2)) / pairs) if pairs > 0 else math.nan


@metric(better="higher", reads="probabilities", kinds=(*CLASSES, "labels"), coded=True)
def average_precision(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """sum_n (R_n - R_(n-1)) P_n: the precision P at each distinct probability, by the recall R that it adds.

    Of two classes, that of the second, as labels sort; of more classes or several labels, the mean over them. NaN where
    one has no row. Source: scikit-learn's average_precision_score.
    """
    return _of_columns(y_true, y_pred, _precision, sample_weight)


def _precision(inside: Array, score: Array, weight: Array | None) -> float:
    ours, others = (one[::-1] for one in _at_scores(inside, score, weight))
    found, chosen, every = np.cumsum(ours), np.cumsum(ours + others), ours.sum()
    # Rows of weight 0 alone at the top choose nothing.
    return float(np.sum(ours * found / np.where(chosen > 0, chosen, 1.0)) / every) if every > 0 else math.nan


@metric(better="lower", reads="probabilities", kinds=CLASSES, coded=True)
def log_loss(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The mean of -log p of each row's own class, p in float64 and at least the smallest step of its precision.

    It is the cross-entropy without label smoothing. Source: scikit-learn's log_loss.
    """
    eps = float(np.finfo(y_pred.dtype).eps)
    p = np.clip(y_pred.astype(np.float64), eps, 1 - eps)
    return mean(-np.log(p[np.arange(len(p)), _codes(y_true)] / p.sum(axis=1)), sample_weight)


BINS = 15


@metric(
    better="lower", reads="probabilities", kinds=CLASSES, coded=True,
    numbered=Numbered("bins", "calibration_error_{}", Range(at_least=1, at_most=10_000, whole=True)),
)  # fmt: skip
def calibration_error(y_true: Array, y_pred: Array, sample_weight: Array | None = None, *, bins: int = BINS) -> float:
    """sum_b (n_b / N) |accuracy_b - confidence_b|, over bins of equal width of the likeliest class's probability.

    15 bins of (0, 1], each with its upper edge; calibration_error_10 has 10. n_b: the rows of a bin, or their weight.
    Source: Naeini, Cooper, Hauskrecht 2015; Guo et al. 2017, arXiv:1706.04599, eq. 3.
    """
    p = y_pred.astype(np.float64)
    confidence, right = np.max(p, axis=1), np.argmax(p, axis=1) == _codes(y_true)
    if not np.isfinite(confidence).all():
        return math.nan
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    w = np.ones(len(p)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    return float(np.sum(np.abs(np.bincount(place, w * (right - confidence), bins))) / w.sum())


@metric(
    better="higher", reads="probabilities", kinds=("classification",), coded=True,
    numbered=Numbered("k", "top_{}", Range(at_least=1, whole=True)),
)  # fmt: skip
def top_k(y_true: Array, y_pred: Array, sample_weight: Array | None = None, *, k: int = 5) -> float:
    """The share of rows whose class is among the k likeliest; five, and top_3 has three.

    Classes that tie at the edge share what is left of the k places, so a network that cannot tell them apart is not
    right by the order of its columns. Errors: ArgumentError for k classes or fewer, of which every row is right.
    """
    if k >= y_pred.shape[1]:
        raise ArgumentError(f"among the {k} likeliest of {y_pred.shape[1]} classes is every class\n"
                            f"  try: top_{y_pred.shape[1] - 1}")  # fmt: skip
    own = y_pred[np.arange(len(y_pred)), _codes(y_true)][:, np.newaxis]
    before, tied = np.sum(y_pred > own, axis=1), np.sum(y_pred == own, axis=1)
    return mean(np.clip((k - before) / np.maximum(tied, 1), 0, 1), sample_weight) if tied.all() else math.nan


def _rows(sums: Array, y: Array, weight: Array | None) -> float:
    return float(sums[0]) / mass(y, weight)


def _entries(sums: Array, y: Array, weight: Array | None) -> float:
    return float(sums[1]) / mass(y, weight) / int(y.shape[1])


@metric(better="higher", kinds=("labels",), usual=True, sums={"labels": Sum(_right_sides, _rows)})
def exact_match(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The share of rows in which all entries are right: above a half where the truth is 1."""
    return mean(np.all((y_pred > 0.5) == (y_true > 0.5), axis=1), sample_weight)


@metric(better="higher", kinds=("labels",), usual=True, sums={"labels": Sum(_right_sides, _entries)})
def entry_accuracy(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """The share of entries that are right: above a half where the truth is 1."""
    return mean(np.mean((y_pred > 0.5) == (y_true > 0.5), axis=1), sample_weight)
