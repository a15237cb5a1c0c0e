"""Metrics: each agrees with an oracle of its own; its sum over rows is its function; users' functions and names are
looked up."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from fallline import nn
from fallline.errors import ArgumentError, ArgumentTypeError, CodeError, CodeValueError
from fallline.nn.measured import kind_of, measured_by, resolve, values_of
from fallline.nn.metric import KINDS, METRICS, metric


def second(p: Any) -> Any:
    """Of two classes the probabilities of the second, else all."""
    return p[:, 1] if p.shape[1] == 2 else p


def binned(y: Any, p: Any, w: Any) -> float:
    """The calibration error, bin by bin."""
    labels = np.unique(y)
    confidence, right, total = p.max(axis=1), labels[p.argmax(axis=1)] == y, 0.0
    w = np.ones(len(y)) if w is None else w
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            own = w[inside]
            total += own.sum() * abs(
                np.average(right[inside], weights=own) - np.average(confidence[inside], weights=own)
            )
    return total / w.sum()


# (true values, predictions as `predict` gives them, probabilities in sorted order, weights) -> number, by scikit-learn.
ORACLES: dict[str, Callable[[Any, Any, Any, Any], float]] = {
    "accuracy": lambda y, y_hat, p, w: theirs.accuracy_score(y, y_hat, sample_weight=w),
    "balanced_accuracy": lambda y, y_hat, p, w: theirs.balanced_accuracy_score(y, y_hat, sample_weight=w),
    "f1": lambda y, y_hat, p, w: theirs.f1_score(y, y_hat, average="macro", zero_division=0, sample_weight=w),
    "f1_binary": lambda y, y_hat, p, w: theirs.f1_score(y, y_hat, pos_label=np.unique(y)[1], sample_weight=w),
    "roc_auc": lambda y, y_hat, p, w: theirs.roc_auc_score(y, second(p), multi_class="ovr", sample_weight=w),
    "average_precision": lambda y, y_hat, p, w: theirs.average_precision_score(
        y, second(p), sample_weight=w, **({"pos_label": np.unique(y)[1]} if p.shape[1] == 2 else {})
    ),
    "log_loss": lambda y, y_hat, p, w: theirs.log_loss(y, p, sample_weight=w),
    "calibration_error": lambda y, y_hat, p, w: binned(y, p, w),
    "top_k": lambda y, y_hat, p, w: theirs.top_k_accuracy_score(y, second(p), k=p.shape[1] - 1, sample_weight=w),
    "exact_match": lambda y, y_hat, p, w: theirs.accuracy_score(y > 0.5, y_hat > 0.5, sample_weight=w),
    "entry_accuracy": lambda y, y_hat, p, w: 1 - theirs.hamming_loss(y > 0.5, y_hat > 0.5, sample_weight=w),
    "r2": lambda y, y_hat, p, w: theirs.r2_score(y, y_hat, sample_weight=w),
    "rmse": lambda y, y_hat, p, w: float(np.sqrt(theirs.mean_squared_error(y, y_hat, sample_weight=w))),
    "mae": lambda y, y_hat, p, w: theirs.mean_absolute_error(y, y_hat, sample_weight=w),
    "pinball": lambda y, y_hat, p, w: theirs.mean_pinball_loss(y, y_hat, sample_weight=w),
    "coverage": lambda y, y_hat, p, w: np.average((y_hat.min(1) <= y) & (y <= y_hat.max(1)), weights=w),
}  # fmt: skip
ROWS, D = 40, 3


def answered(loss: Any, outputs: int, y: Any, decoder: Any = None) -> tuple[Any, Any, Any, Any]:
    """A model that was given these targets, its targets, the rows, and its outputs for them."""
    x = np.random.default_rng(len(y)).normal(size=(len(y), D))
    model = nn.Model.init(nn.mlp((4,), outputs, "tanh"), D, loss=loss, seed=3, dtype="float64")
    if decoder is not None:
        model = model.between(None, decoder)
    targets = model.prepare(y)
    return model.for_targets(targets), targets.y, x, model.outputs(x)


RNG = np.random.default_rng(1)
WEIGHT = np.where(RNG.random(ROWS) < 0.2, 0.0, RNG.uniform(0.5, 3, ROWS))
CODES = RNG.integers(0, 3, ROWS)
SPECIES = np.array(["wolf", "ant", "cat"])[CODES]
CASES: dict[str, tuple[Any, int, Any, Any]] = {
    "classes": ("cross_entropy", 3, CODES, None),
    "named classes": ("cross_entropy", 3, SPECIES, None),
    "classes out of order": ("cross_entropy", 3, SPECIES, nn.Labels("kind", ("wolf", "ant", "cat"))),
    "two of cross-entropy": ("cross_entropy", 2, CODES > 1, nn.Labels("big", (1, 0))),
    "two classes": ("binary_cross_entropy", 1, np.where(CODES > 1, "yes", "no"), None),
    "several labels": ("binary_cross_entropy", 3, (RNG.random((ROWS, 3)) > 0.5).astype(float), None),
    "one-hot": ("binary_cross_entropy", 3, np.eye(3)[CODES], None),
    "numbers": ("squared_error", 1, RNG.normal(size=ROWS), None),
    "numbers in a unit": ("squared_error", 1, RNG.normal(size=ROWS) * 70 + 900, nn.Quantity("price", 900.0, 70.0)),
    "rows of numbers": ("huber", 2, RNG.normal(size=(ROWS, 2)), None),
    "counts": ("poisson", 1, RNG.integers(0, 9, ROWS), None),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True], ids=["each row once", "by weight"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", METRICS)
def test_every_metric_agrees_with_its_oracle_and_its_sum_over_rows_with_both(
    name: str, case: str, weighted: bool
) -> None:
    loss, outputs, y, decoder = CASES[case]
    if case == "two of cross-entropy":
        y = np.asarray(y).astype(int)
    model, targets, x, z = answered(loss, outputs, y, decoder)
    one, kind = METRICS[name], kind_of(model.task, targets)
    if not one.measures(kind):
        with pytest.raises(ArgumentError, match=f"the metric '{name}' measures"):
            measured_by([one], kind, model.loss)
        return
    weight = WEIGHT if weighted else None
    if name == "f1_binary" and z.shape[1] > 2:
        with pytest.raises(ArgumentError, match="measures two classes, and there are 3"):
            values_of([one], model, z, targets)
        return
    if name == "top_k":
        with pytest.raises(ArgumentError, match=f"of {max(z.shape[1], 2)} classes is every class"):
            values_of([one], model, z, targets)
        one = METRICS["top_k"].at(max(z.shape[1], 2) - 1, name)  # as the message advises
    found = values_of([one], model, z, targets, weight)[name]
    y, y_hat, p = np.asarray(y), model.predict(x), None
    if one.reads == "probabilities":
        p = model.predict_proba(x)
        if model.labels is not None:
            p = p[:, np.argsort(model.labels)]
        elif kind == "classification" and name == "log_loss":
            p = p / p.sum(axis=1, keepdims=True)
    if case == "one-hot":
        y, y_hat = y.argmax(axis=1), y_hat.argmax(axis=1)
        if name == "roc_auc":  # its columns are no shares of one
            assert p is not None
            wanted = np.mean([theirs.roc_auc_score(y == k, p[:, k], sample_weight=weight) for k in range(3)])
            assert found == pytest.approx(wanted)
            return
    assert found == pytest.approx(ORACLES[name](y, y_hat, p, weight))
    if kind in one.sums:
        total = one.sums[kind].add(model.loss, z, targets, weight)
        assert one.sums[kind].of(total, targets, model.decoder, weight) == pytest.approx(found)


def test_every_metric_has_an_oracle_and_measures_some_case() -> None:
    assert set(ORACLES) == set(METRICS)
    kinds = {kind_of(model.task, y) for model, y, _, _ in (answered(*CASES[c][:2], *CASES[c][2:]) for c in CASES)}
    assert kinds == set(KINDS) - {"custom"}
    for name, one in METRICS.items():
        assert set(one.sums) <= set(one.kinds) <= set(KINDS) and one.weighs and one.doc.endswith("."), name
        assert (one.better is None) == (name == "coverage")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])), min_size=2, max_size=20))
def test_roc_auc_counts_pairs_and_half_of_the_ties(rows: list[tuple[bool, float]]) -> None:
    y, p = np.array([int(one) for one, _ in rows]), np.array([score for _, score in rows])
    pairs = [(a > b) + (a == b) / 2 for a in p[y == 1] for b in p[y == 0]]
    found = METRICS["roc_auc"].of(y, np.stack([1 - p, p], axis=1))
    assert found == pytest.approx(np.mean(pairs)) if pairs else math.isnan(found)


def test_f1_by_hand() -> None:
    # Class 0: TP 1, FP 1, FN 0 -> 2/3; class 1: TP 1, FP 0, FN 1 -> 2/3.
    assert METRICS["f1"].of(np.array([0, 1, 1]), np.array([0, 0, 1])) == pytest.approx(2 / 3)


def test_metrics_are_given_by_name_as_functions_records_and_dicts() -> None:
    def spread(y_true: Any, y_pred: Any) -> float:
        return float(np.ptp(y_pred))

    names = lambda given: [one.name for one in resolve(given)]
    assert names(None) == names([]) == []
    assert names("mae") == ["mae"] and names(["mae", spread]) == ["mae", "spread"] and names(spread) == ["spread"]
    assert names({"a": "mae", "b": spread, "c": nn.Metric(spread, better="lower")}) == ["a", "b", "c"]
    assert resolve(METRICS["mae"].function) == (METRICS["mae"],)
    assert resolve({"a": "mae"})[0].better == "lower"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("acuracy", "did you mean 'accuracy'"),
        ("neg_log_los", "did you mean 'neg_log_loss'"),
        ("pinball_2", "quantile has to be a number > 0 and < 1"),
        ("top_0", "k has to be a whole number >= 1"),
        (3, "metrics are names, functions or a dict"),
        ([3], "a metric is a name, a function"),
        ({1: len}, "a metric's name is a text"),
        (["mae", "mae"], "'mae' are two"),
        ({"loss": len}, "'loss' is the number that is minimised"),
    ],
)
def test_what_is_no_metric_is_refused(given: Any, told: str) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=told):
        resolve(given)
    assert resolve({"another name": len})[0].name == "another name"  # as the messages advise


def test_one_that_reads_probabilities_needs_a_loss_that_gives_them() -> None:
    with pytest.raises(ArgumentError, match="reads probabilities, and the loss hinge gives none"):
        measured_by([METRICS["roc_auc"]], "binary", nn.LOSSES["hinge"])
    assert METRICS["roc_auc"] in measured_by([METRICS["roc_auc"]], "binary", nn.LOSSES["binary_cross_entropy"])


def test_a_function_gets_what_scikit_learn_takes() -> None:
    model, y, x, z = answered("cross_entropy", 2, SPECIES == "cat", None)
    seen: dict[str, Any] = {}

    def keep(name: str) -> Callable[[Any, Any], float]:
        def function(y_true: Any, y_pred: Any) -> float:
            seen[name] = y_true, y_pred
            return 1.0

        return function

    reads = ("predictions", "probabilities", "outputs")
    values_of([nn.Metric(keep(name), reads=name, name=name) for name in reads], model, z, y)
    truth = SPECIES == "cat"
    assert all(np.array_equal(y_true, truth) for y_true, _ in seen.values())
    assert np.array_equal(seen["predictions"][1], model.predict(x))
    assert np.allclose(seen["probabilities"][1], model.predict_proba(x)[:, 1], rtol=1e-12)
    assert np.array_equal(seen["outputs"][1], z)


def test_where_outputs_are_not_finite_nothing_is_predicted() -> None:
    model, y, _, z = answered("cross_entropy", 3, CODES)
    z = z.copy()
    z[4, 1] = np.nan
    found = values_of([METRICS["f1"], METRICS["log_loss"]], model, z, y)
    assert list(found) == ["f1", "log_loss"] and all(map(math.isnan, found.values()))


def test_an_error_in_a_users_metric_names_it() -> None:
    model, y, _, z = answered("squared_error", 1, CASES["numbers"][2])

    def broken(y_true: Any, y_pred: Any) -> float:
        raise ValueError("no such thing")

    with pytest.raises(CodeValueError, match=r"the metric 'broken': ValueError: no such thing[\s\S]*y_pred: \(40,\)"):
        values_of([nn.Metric(broken)], model, z, y)
    with pytest.raises(ArgumentTypeError, match=r"the metric 'each': it returns .*, not a number"):
        values_of(resolve({"each": lambda y, y_hat: y}), model, z, y)
    assert issubclass(CodeValueError, CodeError)


def test_a_metric_of_ones_own_enters_the_table_and_leaves_no_other_its_name() -> None:
    try:

        @metric(better="lower")
        def worst(y_true: Any, y_pred: Any) -> float:
            """The largest error."""
            return float(np.abs(y_true - y_pred).max())

        assert resolve("worst")[0].function is worst
        with pytest.raises(ArgumentError, match="two metrics are called 'mae'"):
            metric()(replace_name(worst, "mae"))
        assert metric()(replace_name(worst, "another_name")).__name__ in METRICS
    finally:
        METRICS.pop("worst", None)
        METRICS.pop("another_name", None)


def replace_name(function: Any, name: str) -> Any:
    def other(y_true: Any, y_pred: Any) -> float:
        return float(function(y_true, y_pred))

    other.__name__ = name
    return other


@pytest.mark.parametrize("y", [[1.0, 2, 4], [3.0, 3, 3], [0.1] * 10, [5.0], [[1.0, 7], [2, 7]], [[1.0, 2]]], ids=str)
@pytest.mark.parametrize("off", [0.0, 0.25])
def test_r2_is_that_of_scikit_learn(y: Any, off: float) -> None:
    truth = np.array(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that R^2 of one row is not defined
        wanted = theirs.r2_score(truth, truth + off)
    assert METRICS["r2"].of(truth, truth + off) == pytest.approx(wanted, nan_ok=True)
    assert METRICS["rmse"].of(truth, truth + off) == pytest.approx(off)


def test_a_metric_is_checked_when_it_is_made() -> None:
    for wrong in ({"better": "up"}, {"reads": "logits"}):
        with pytest.raises(ArgumentError, match="Metric: "):
            nn.Metric(len, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="a metric is a function"):
        nn.Metric("mae")  # type: ignore[arg-type]
    assert replace(METRICS["mae"], name="other").name == "other"
