"""Cases of metrics that go wrong elsewhere: ties, absent classes, weights, scores that are all the same; and names with
a number, scorers of scikit-learn, quantiles."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentError, CodeValueError
from fallline.nn.measured import resolve, values_of
from fallline.nn.metric import METRICS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
WEIGHT = RNG.uniform(size=200)


def two(p: Any) -> Any:
    return np.stack([1 - np.asarray(p, float), p], axis=1)


def value(name: str, y: Any, p: Any, weight: Any = None) -> float:
    return METRICS[name].of(np.asarray(y), np.asarray(p, float), None if weight is None else np.asarray(weight, float))


# (true classes, scores of the second): scikit-learn's own tests of its ranking metrics have them.
RANKED = [
    ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]),
    ([0, 1], [0, 1]),
    ([0, 1], [1, 0]),
    ([1, 0], [1, 1]),
    ([1, 0], [0.5, 0.5]),
    ([0, 0, 0, 1], [0.25, 0.5, 0.5, 0.5]),
    ([0, 1, 1, 0, 1], [0, 0, 0, 0, 0]),
    ([1, 0, 1, 0, 0], [0.9, 0.9, 0.9, 0.1, 0.9]),
    ([0, 1] * 50, [0.1, 0.1000001] * 50),
]


@pytest.mark.parametrize(("y", "score"), RANKED, ids=str)
def test_ranks_with_ties_are_scikit_learns(y: Any, score: Any) -> None:
    assert value("roc_auc", y, two(score)) == pytest.approx(theirs.roc_auc_score(y, score))
    assert value("average_precision", y, two(score)) == pytest.approx(theirs.average_precision_score(y, score))


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.3, 0.6, 1.0]), st.integers(0, 3)), min_size=2, max_size=15
    )
)
def test_a_row_of_weight_three_is_three_rows(rows: list[tuple[bool, float, int]]) -> None:
    y, p, w = (np.array(part) for part in zip(*rows, strict=True))
    y, repeated = y.astype(int), np.repeat(np.arange(len(rows)), w)
    if not len(repeated):
        return
    for name, one in METRICS.items():
        if "binary" in one.kinds and one.reads == "probabilities":
            arguments: list[Any] = [y, two(p)]
            one = one.at(1) if name == "top_k" else one
        elif "binary" in one.kinds:
            arguments = [y, (p > 0.5).astype(int)]
        elif "regression" in one.kinds:
            arguments = [y + p, p]
        else:
            continue
        some = w > 0
        found = one.of(*(part[some] for part in arguments), w[some].astype(float))
        wanted = one.of(*(part[repeated] for part in arguments))
        if name == "r2" and some.sum() < 2:  # one row has none, however heavy
            continue
        assert found == pytest.approx(wanted, nan_ok=True), name


def test_a_class_without_a_row_leaves_a_ranking_undefined_and_no_warning() -> None:
    for name in ("roc_auc", "average_precision"):
        assert math.isnan(value(name, [0, 0], two([0.1, 0.7])))
        assert math.isnan(value(name, [0, 1, 1], np.eye(3)))
    assert math.isnan(value("roc_auc", [1, 1], two([0.1, 0.7])))
    assert value("average_precision", [1, 1], two([0.1, 0.7])) == 1
    assert value("balanced_accuracy", [0, 0, 2], [0, 1, 2]) == 0.75
    assert value("f1_binary", [0, 0], two([0.1, 0.2])) == 0


@pytest.mark.parametrize("name", METRICS)
def test_one_row_has_a_value_or_none_and_never_a_warning(name: str) -> None:
    one = METRICS[name]
    p, y = np.array([[0.2, 0.8]]), np.array([1])
    one = one.at(1) if name == "top_k" else one
    if one.kinds == ("labels",):
        y = p = np.array([[0.0, 1.0]])
    elif one.kinds == ("regression",):
        p = np.array([0.8])
    elif one.reads == "predictions" and "binary" in one.kinds:
        p = np.array([1])
    found = one.of(y, p)
    assert math.isnan(found) == (name in ("roc_auc", "r2"))


def test_scores_that_are_not_finite_rank_nothing() -> None:
    for one in (
        *(METRICS[name] for name in ("roc_auc", "average_precision", "calibration_error")),
        METRICS["top_k"].at(1),
    ):
        assert math.isnan(one.of(np.array([0, 1, 1]), two([0.1, np.nan, 0.3]))), one.name


def test_top_k_of_classes_that_tie_is_no_luck_of_their_order() -> None:
    same = np.full((6, 6), 1 / 6)
    assert METRICS["top_k"].at(2).of(np.arange(6), same) == pytest.approx(2 / 6)
    p, y = RNG.dirichlet(np.ones(7), 50), RNG.integers(0, 7, 50)
    for k in (1, 2, 3, 5):
        found = resolve(f"top_{k}")[0].of(y, p)
        assert found == pytest.approx(theirs.top_k_accuracy_score(y, p, k=k, labels=range(7)))
    with pytest.raises(ArgumentError, match=r"every class\n  try: top_6"):
        resolve("top_7")[0].of(y, p)


def test_calibration_error_by_hand() -> None:
    # Bins of a tenth: .95, .91 share one, half right: |.5 - .93| 2/3; .6 (with its edge) is right: .4 1/3.
    p = two([0.95, 0.09, 0.6])
    assert METRICS["calibration_error"].at(10).of(np.array([1, 1, 1]), p) == pytest.approx((2 * 0.43 + 0.4) / 3)
    assert value("calibration_error", [1, 0], two([1.0, 0.0])) == 0  # the edges 0 and 1 have bins too
    assert value("calibration_error", [0, 1], two([1.0, 0.0])) == 1


def test_slips_that_other_libraries_were_reported_for() -> None:
    # A confidence of exactly 1 had a bin of its own.
    assert value("calibration_error", [1, 0], two([0.95, 1.0])) == pytest.approx(abs(0.5 - 0.975))
    assert value("calibration_error", [0, 0, 1, 1, 1], two([1.0, 1, 1, 1, 0])) == pytest.approx(abs(0.4 - 1))
    # Scores that are all the same: the one positive row of 10,000 counted as found at the top half of the time.
    lone = (np.arange(10_000) == 0).astype(int)
    assert value("average_precision", lone, two(np.zeros(10_000))) == pytest.approx(1e-4)
    # Sums of weights in float32.
    y, p, w = RNG.integers(0, 2, 10**5), RNG.random(10**5), RNG.random(10**5).astype(np.float32)
    single = METRICS["roc_auc"].of(y, two(p), w)
    assert single == pytest.approx(METRICS["roc_auc"].of(y, two(p), w.astype(np.float64)), rel=1e-12)
    # R^2 above 1 where the target is nearly constant.
    near, far = np.array([-5.1608, -5.1609, -5.1608, -5.1608]), np.array([-3.9865, -5.4648, -5.0238, -4.3899])
    for dtype in (np.float64, np.float32):
        found = METRICS["r2"].of(near.astype(dtype), far.astype(dtype))
        assert found == pytest.approx(theirs.r2_score(near.astype(dtype), far.astype(dtype)), rel=1e-3) and found < -1e6


def test_pinball_is_named_by_its_quantile() -> None:
    y, y_hat = X[:, 0], X[:, 1]
    found = resolve(["pinball_0.9", "pinball"])
    assert [one.name for one in found] == ["pinball_0.9", "pinball"]
    assert found[0].of(y, y_hat) == pytest.approx(theirs.mean_pinball_loss(y, y_hat, alpha=0.9))
    assert found[1].of(y, y_hat) == pytest.approx(METRICS["mae"].of(y, y_hat) / 2)
    for wrong in ("pinball_x", "pinball_", "top_2.5.1"):
        with pytest.raises(ArgumentError, match="unknown metric"):
            resolve(wrong)
    with pytest.raises(ArgumentError, match="depends on no number"):
        METRICS["mae"].at(3)
    with pytest.raises(ArgumentError, match="k has to be a whole number"):
        METRICS["top_k"].at(2.5)


def test_coverage_is_of_the_outer_quantiles_in_any_order() -> None:
    y, quantiles = np.array([1.0, 2, 3, 4]), np.array([[2.0, 1, 0], [3, 3, 3], [3, 4, 5], [5, 9, 4]])
    assert METRICS["coverage"].of(y, quantiles) == 0.75
    assert METRICS["coverage"].of(y[:, np.newaxis], quantiles, np.array([1.0, 2, 0, 1])) == 0.5


def test_errors_of_large_numbers_do_not_overflow() -> None:
    assert METRICS["rmse"].of(np.array([1e200, 0]), np.array([0.0, 0])) == pytest.approx(1e200 / math.sqrt(2))


CLASSIFIERS = ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr", "neg_log_loss", "matthews_corrcoef",
               theirs.make_scorer(theirs.cohen_kappa_score)]  # fmt: skip
# Two classes alone have these.
OF_TWO = ["roc_auc", "average_precision", "neg_brier_score", "jaccard"]
REGRESSORS = ["r2", "neg_mean_absolute_error", "neg_root_mean_squared_error", "d2_absolute_error_score",
              theirs.make_scorer(theirs.max_error, greater_is_better=False)]  # fmt: skip


@pytest.mark.parametrize("names", [False, True], ids=["codes", "texts"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scorers_of_classes_are_what_scikit_learn_computes(classes: int, names: bool) -> None:
    y: Any = np.minimum(CODES, classes - 1)
    if names:
        y = np.array(["wolf", "ant", "cat"])[y]
    run = fl.fit(nn.mlp((4,), classes), (X, y), loss="cross_entropy", epochs=2, seed=1)
    scorers = CLASSIFIERS + (OF_TWO if classes == 2 and not names else ["roc_auc"] if classes == 2 else [])
    given = {f"s{i}": one for i, one in enumerate(scorers)}

    class Estimator:
        """The model as scikit-learn sees a classifier."""

        _estimator_type = "classifier"
        classes_ = np.unique(y)

        def fit(self, X: Any, y: Any) -> Any: ...
        def predict(self, X: Any) -> Any:
            return run.model.predict(X)

        def predict_proba(self, X: Any) -> Any:
            return run.model.predict_proba(X)[:, np.argsort(run.model.labels)]

        def __sklearn_tags__(self) -> Any:
            from sklearn.utils import ClassifierTags, Tags, TargetTags

            return Tags("classifier", TargetTags(required=True), classifier_tags=ClassifierTags())

    for weight in (None, WEIGHT):
        found = run.model.evaluate((X, y) if weight is None else (X, y, weight), metrics=given)
        for name, one in given.items():
            its = theirs.get_scorer(one) if isinstance(one, str) else one
            weights = {} if weight is None else {"sample_weight": weight}
            assert found[name] == pytest.approx(its(Estimator(), X, y, **weights), rel=1e-5), one


def test_scorers_of_numbers_are_watched_by_early_stopping() -> None:
    y = 300 + 40 * X[:, 0] * X[:, 1]
    for one in REGRESSORS:
        name = one if isinstance(one, str) else "max_error"
        rule = fl.EarlyStopping(patience=3, watch=name)
        run = fl.fit(nn.mlp((8,), 1), (X, y), loss="squared_error", epochs=6, validation=0.3, metrics=one,
                     early_stopping=rule, decoder=nn.Quantity("price", 300.0, 40.0))  # fmt: skip
        column = run.history["validation_" + name]
        assert run.started is not None and run.started.higher_is_better and run.best_epoch == int(np.argmax(column))
        its = theirs.get_scorer(one) if isinstance(one, str) else one
        assert run.model.evaluate((X, y), metrics=one)[name] == pytest.approx(
            its._sign * its._score_func(y, run.model.predict(X)), rel=1e-5
        )


def test_an_error_of_a_scorer_names_the_metric() -> None:
    with pytest.raises(CodeValueError, match="the metric 'roc_auc_scorer'"):
        model = fl.fit(nn.mlp((4,), 3), (X, CODES), loss="cross_entropy", epochs=1).model
        model.evaluate((X, CODES), metrics={"roc_auc_scorer": theirs.get_scorer("roc_auc")})


def test_weights_of_rows_enter_every_metric_but_functions_that_take_none() -> None:
    def plain(y_true: Any, y_pred: Any) -> float:
        return float(np.mean(y_true == y_pred))

    kinds: Any = {"metrics": {"f1": "f1", "roc": "roc_auc", "plain": plain, "theirs": theirs.accuracy_score}}
    part = (X[100:], CODES[100:], WEIGHT[100:])
    run = fl.fit(nn.mlp((8,), 3), (X[:100], CODES[:100]), loss="cross_entropy", epochs=2, validation=part,
                 early_stopping=False, **kinds)  # fmt: skip
    found, y_hat = run.model.evaluate(part, **kinds), run.model.predict(part[0])
    for name, number in found.items():
        assert number == pytest.approx(run.history[f"validation_{name}"][-1], rel=1e-5), name
    assert found["accuracy"] == pytest.approx(theirs.accuracy_score(part[1], y_hat, sample_weight=part[2]))
    assert found["theirs"] == found["accuracy"] != found["plain"] == np.mean(part[1] == y_hat)


def test_rows_of_weight_zero_are_not_seen() -> None:
    seen = []
    model = fl.fit(nn.mlp((4,), 1), (X, X[:, 0]), loss="squared_error", epochs=1).model
    mine = nn.Metric(lambda y_true, y_pred: seen.append(len(y_true)) or 0.0, name="mine")
    weight = (np.arange(200) < 50).astype(float)
    z, y = model.outputs(X), model.prepare(X[:, 0]).y
    values_of([mine, METRICS["rmse"]], model, z, y, weight)
    assert seen == [50]
    assert model.evaluate((X, X[:, 0], weight))["rmse"] == pytest.approx(model.evaluate((X[:50], X[:50, 0]))["rmse"])


def test_several_labels_are_ranked_each_by_itself() -> None:
    y = (X > 0.2).astype(float)
    model = fl.fit(nn.mlp((4,), 3), (X, y), loss="binary_cross_entropy", epochs=2).model
    p = model.predict_proba(X)
    found = model.evaluate((X, y), metrics=["roc_auc", "average_precision"])
    assert found["roc_auc"] == pytest.approx(theirs.roc_auc_score(y, p))
    assert found["average_precision"] == pytest.approx(theirs.average_precision_score(y, p))


def test_a_number_in_a_name_stays_with_the_metric() -> None:
    one = replace(METRICS["top_k"].at(3), name="mine")
    assert one.name == "mine" and METRICS["top_k"].at(3).name == "top_3" and METRICS["top_k"].name == "top_k"
    assert one.doc == METRICS["top_k"].doc
