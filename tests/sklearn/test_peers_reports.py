"""Demands that scikit-learn's tests make of its HistGradientBoosting, and faults that users of other estimators of
tables have reported, rebuilt for TabularClassifier and TabularRegressor.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification, make_regression

from fallline.sklearn import TabularClassifier, TabularRegressor

QUICK = {"preset": "fast", "hidden_layer_sizes": (16,), "max_iter": 30, "batch_size": 16, "learning_rate": 0.02}
BRIEF = {**QUICK, "max_iter": 2}
RNG = np.random.default_rng(0)
CODES = np.c_[RNG.random(200), RNG.integers(4, size=200)]
EVEN = (CODES[:, 1] % 2 == 0).astype(int)


def test_what_is_missing_may_tell_the_class():
    x = RNG.normal(size=(100, 1))
    y = RNG.random(100) < 0.5
    x[y] = np.nan
    assert TabularClassifier(**QUICK).fit(x, y).score(x, y) == 1


@pytest.mark.parametrize(("share", "lowest"), [(0.1, 0.87), (0.2, 0.82)])
def test_a_few_missing_cells_cost_little(share, lowest):
    x, y = make_classification(300, 2, n_informative=2, n_redundant=0, random_state=0)
    mask = np.random.default_rng(0).random(x.shape) < share
    x[mask] = np.nan
    assert TabularClassifier(**QUICK).fit(x, y).score(x, y) > lowest


def test_infinite_cells_are_far_out_and_no_gaps():
    x = np.array([-np.inf, 0, 1, np.inf, np.nan] * 8).reshape(-1, 1)
    for y in (x.ravel() == np.inf, np.isnan(x.ravel()), x.ravel() == -np.inf):
        assert TabularClassifier(**{**QUICK, "max_iter": 100}).fit(x, y).score(x, y) == 1


def test_rows_of_weight_zero_are_ignored():
    x, y, weight = [[1, 0], [1, 0], [1, 0], [0, 1]] * 8, [0, 0, 1, 0] * 8, [0, 0, 1, 1] * 8
    assert TabularRegressor(**{**QUICK, "max_iter": 100}).fit(x, y, weight).predict([[1, 0]])[0] > 0.5
    assert TabularClassifier(**QUICK).fit(x, y, sample_weight=weight).predict([[1, 0]]) == [1]
    y[0] = 2  # a class of weight 0 stays a class
    model = TabularClassifier(**QUICK).fit(x, y, sample_weight=weight)
    assert model.classes_.tolist() == [0, 1, 2] and model.predict([[1, 0]]) == [1]


def test_lengths_that_differ_are_named():
    x = np.arange(8.0).reshape(4, 2)
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\), expected \(4,\)"):
        TabularClassifier(**BRIEF).fit(x, [0, 1, 0, 1], np.ones(3))
    with pytest.raises(ValueError, match="inconsistent numbers of samples: X has 4, y has 3"):
        TabularClassifier(**BRIEF).fit(x, [0, 1, 0])


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
@pytest.mark.parametrize("categorical", [[False, True], [1], np.array([False, True])], ids=str)
def test_unknown_codes_count_as_missing(kind, categorical):
    model = kind(**BRIEF, categorical_features=categorical).fit(CODES, EVEN)
    rows = np.array([[0.0, 30.0], [0.0, -2.0], [0.0, np.nan], [0.0, 2.5]])
    assert len(np.unique(model.predict(rows))) == 1


def test_codes_as_categories_are_learnt_where_their_order_says_nothing():
    model = TabularClassifier(**{**QUICK, "max_iter": 60}, categorical_features=[1]).fit(CODES, EVEN)
    assert model.score(CODES, EVEN) == 1
    frame = pd.DataFrame(CODES, columns=["a", "b"])
    other = TabularClassifier(**{**QUICK, "max_iter": 60}, categorical_features=["b"]).fit(frame, EVEN)
    np.testing.assert_array_equal(other.predict_proba(frame), model.predict_proba(CODES))
    frame["b"] = frame["b"].astype(int).astype("category")
    typed = TabularClassifier(**{**QUICK, "max_iter": 60}).fit(frame, EVEN)
    np.testing.assert_array_equal(typed.predict_proba(frame), model.predict_proba(CODES))


def test_small_unsigned_numbers_are_numbers():
    x = RNG.integers(0, 100, (10, 2)).astype(np.uint8)
    y = np.arange(10).astype(np.uint8) % 2
    model = TabularClassifier(**BRIEF).fit(x, y)
    np.testing.assert_array_equal(model.predict_proba(x), model.predict_proba(x.astype(float)))
    assert model.predict(x).dtype == np.uint8


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_validation_rows_decide_as_a_share_of_the_rows_does(kind):
    make = make_classification if kind is TabularClassifier else make_regression
    x, y = make(n_samples=60, random_state=0)
    model = kind(**BRIEF).fit(x[:30], y[:30], X_val=x[30:], y_val=y[30:], sample_weight_val=np.ones(30))
    assert model.run_.started.validation_rows == 30
    for given, told in (({"X_val": x}, "X_val is provided, but y_val"), ({"y_val": y}, "y_val is provided, but X_val")):
        with pytest.raises(ValueError, match=told):
            kind(**BRIEF).fit(x, y, **given)


def test_numbers_in_a_column_of_objects_are_those_of_an_array():
    frame = pd.DataFrame({"a": CODES[:, 0], "b": CODES[:, 1].astype(int).astype(object)})
    model = TabularClassifier(**BRIEF, categorical_features=["b"]).fit(frame, EVEN)
    np.testing.assert_array_equal(model.predict_proba(frame.astype({"b": "int64"})), model.predict_proba(frame))


def test_gaps_may_begin_at_prediction():
    frame = pd.DataFrame({"number": CODES[:, 0], "text": np.array(["a", "b", "c", "d"])[CODES[:, 1].astype(int)]})
    frame["category"] = frame["text"].astype("category")
    model = TabularClassifier(**BRIEF, kinds={"category": "category"}).fit(frame, EVEN)
    for gone in (None, np.nan, pd.NA):
        gaps = frame.astype(object).assign(number=gone, text=gone)
        gaps["category"] = pd.Categorical([None] * len(gaps), categories=["a", "b"])
        assert np.isfinite(model.predict_proba(gaps[:5])).all()
        assert len(np.unique(model.predict_proba(gaps), axis=0)) == 1


def test_texts_where_training_had_nothing_say_nothing():
    frame = pd.DataFrame({"a": CODES[:, 0], "b": np.nan})
    model = TabularClassifier(**BRIEF).fit(frame, EVEN)
    np.testing.assert_array_equal(model.predict_proba(frame.assign(b="new")), model.predict_proba(frame))


def test_a_table_of_categories_alone_trains():
    frame = pd.DataFrame({"a": list("xyzw") * 10, "b": list("pq") * 20})
    y = frame["a"] == "x"
    assert TabularClassifier(**QUICK).fit(frame, y).score(frame, y) == 1


@pytest.mark.parametrize("order", [list("abcd"), list("dcba"), list("bdac")], ids="".join)
def test_probabilities_stand_in_the_order_of_the_classes(order):
    y = pd.Series(np.array(order)[CODES[:, 1].astype(int)], dtype=pd.CategoricalDtype([*"zdcba"], ordered=True))
    model = TabularClassifier(**QUICK, categorical_features=[1]).fit(CODES, y)
    assert model.classes_.tolist() == list("abcd")
    assert np.mean(model.classes_[model.predict_proba(CODES).argmax(axis=1)] == np.asarray(y)) > 0.95


def test_rows_are_predicted_alike_alone_and_together():
    frame = pd.DataFrame({"a": CODES[:, 0], "b": pd.Categorical(CODES[:, 1].astype(int).astype(str))})
    model = TabularClassifier(**BRIEF).fit(frame, EVEN)
    together = model.predict_proba(frame[:20])
    alone = np.concatenate(
        [model.predict_proba(frame[i : i + 1].assign(b=lambda one: one["b"].astype(str))) for i in range(20)]
    )
    np.testing.assert_array_equal(alone, together)
