"""Estimators of tables: scikit-learn's own checks, and tables of every kind."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from fallline.sklearn import TabularClassifier, TabularRegressor

# One batch of all rows in float64: then rows of weight 2 and rows given twice come to the same.
CHECKED = {
    "preset": "fast",
    "hidden_layer_sizes": (8,),
    "max_iter": 30,
    "batch_size": 32,
    "learning_rate": 0.02,
    "dtype": "float64",
}
QUICK = {"preset": "fast", "hidden_layer_sizes": (8,), "max_iter": 20, "batch_size": 16, "learning_rate": 0.02}


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([TabularClassifier(**CHECKED), TabularRegressor(**CHECKED)])
def test_scikit_learns_checks_hold(estimator, check):
    check(estimator)


def people(rows=60, seed=0):
    """A frame of every kind of column, and a label that follows from two of them."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(18, 80, rows).round(1)
    town = rng.choice(["Rome", "Oslo", "Lima"], rows)
    frame = pd.DataFrame(
        {
            "age": age,
            "town": town,
            "size": pd.Categorical(rng.choice(["S", "M", "L"], rows)),
            "member": rng.random(rows) < 0.5,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
            "visits": rng.integers(0, 9, rows),
            "same": 1.0,
        }
    )
    frame.loc[3, "age"] = np.nan
    frame.loc[5, "town"] = None
    frame.loc[6, "since"] = pd.NaT
    return frame, np.where((age > 50) | (town == "Rome"), "yes", "no")


def test_frames_of_every_library_train_and_predict_alike():
    frame, y = people()
    expected = TabularClassifier(**QUICK).fit(frame, y).predict_proba(frame)
    records = [{k: (None if v is pd.NaT else v) for k, v in row.items()} for row in frame.to_dict("records")]
    for holder in (pl.from_pandas(frame), pa.Table.from_pandas(frame), frame.to_dict("list"), records):
        model = TabularClassifier(**QUICK).fit(holder, y)
        np.testing.assert_array_equal(model.predict_proba(holder), expected)
        np.testing.assert_array_equal(model.predict_proba(frame), expected)
        assert list(model.feature_names_in_) == list(frame)
    array = frame.drop(columns="since").to_numpy(object)
    model = TabularClassifier(**QUICK).fit(array, y)
    np.testing.assert_array_equal(model.predict(array.tolist()), model.predict(array))


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        [3, 7],
        [False, True],
        [1.0, 2.0],
        pd.Categorical(["b", "a"], categories=["a", "b", "never"]),
        np.array(["x", "y"], object),
        np.array([4, 5], object),
        pd.array(["u", "v"], dtype="string"),
        pd.array([1, 2], dtype="Int64"),
        np.array(["2020-01-01", "2021-01-01"], "datetime64[D]"),
    ],
    ids=lambda labels: str(getattr(labels, "dtype", labels)),
)
def test_labels_come_back_as_they_were_given(labels):
    frame, y = people()
    y = pd.Series(labels).take((y == "yes").astype(int)).reset_index(drop=True)
    model = TabularClassifier(**QUICK).fit(frame, y)
    assert set(model.predict(frame).tolist()) <= set(np.asarray(pd.Series(labels)).tolist())
    assert np.mean(model.predict(frame) == np.asarray(y)) > 0.6
    assert pickle.loads(pickle.dumps(model)).predict(frame).tolist() == model.predict(frame).tolist()


def test_levels_not_met_in_training_are_predicted_as_missing_ones():
    frame, y = people()
    model = TabularClassifier(**QUICK).fit(frame, y)
    other = frame.assign(town="Quito", size="XXL")
    missing = frame.assign(town=None, size=pd.Categorical([None] * len(frame)))
    np.testing.assert_array_equal(model.predict_proba(other), model.predict_proba(missing))


def test_columns_are_told_by_name_and_a_wrong_set_is_refused():
    frame, y = people()
    model = TabularClassifier(**QUICK).fit(frame, y)
    with pytest.raises(ValueError, match="yet now missing:\n- town"):
        model.predict(frame.drop(columns="town"))
    with pytest.raises(ValueError, match="same order") as caught:
        model.predict(frame[frame.columns[::-1]])
    assert "feature_names_in_" in str(caught.value)
    with pytest.raises(ValueError, match="'age' holds numbers, got 'old'"):
        model.predict(frame.assign(age="old"))


def test_wrong_targets_are_refused():
    frame, y = people()
    with pytest.raises(ValueError, match="Input y contains NaN: 1 of 60"):
        TabularClassifier(**QUICK).fit(frame, [None, *y[1:]])
    with pytest.raises(ValueError, match="one class, 'yes'"):
        TabularClassifier(**QUICK).fit(frame, ["yes"] * 60)
    with pytest.raises(ValueError, match="several kinds, int and str"):
        TabularClassifier(**QUICK).fit(frame, [1, *y[1:]])
    with pytest.raises(ValueError, match="y holds 'yes', and TabularRegressor predicts numbers"):
        TabularRegressor(**QUICK).fit(frame, ["yes"] * 60)
    with pytest.raises(ValueError, match="Unknown label type: y holds"):
        TabularClassifier(**QUICK).fit(frame, pd.Series([("a", 1), ("b", 2)] * 30))
    with pytest.raises(ValueError, match="should be a 1d array"):
        TabularClassifier(**QUICK).fit(frame, [("a", 1), ("b", 2)] * 30)
    with pytest.warns(DataConversionWarning):
        TabularRegressor(**QUICK).fit(frame, np.arange(60.0)[:, None])


def test_validation_rows_may_be_given():
    frame, y = people()
    model = TabularClassifier(**QUICK).fit(frame[:40], y[:40], X_val=frame[40:], y_val=y[40:])
    assert "validation_loss" in model.run_.history
    with pytest.raises(ValueError, match="label 'maybe'"):
        TabularClassifier(**QUICK).fit(frame, y, X_val=frame[:2], y_val=["maybe", "no"])
    with pytest.raises(ValueError, match="X_val is provided, but y_val was not provided"):
        TabularClassifier(**QUICK).fit(frame, y, X_val=frame)


def test_searches_clone_and_copy_the_arguments():
    frame, y = people()
    frame, y = frame.drop(index=3), np.delete(y, 3)
    search = GridSearchCV(TabularClassifier(**QUICK), {"learning_rate": [0.01, 0.05]}, cv=2).fit(frame, y)
    assert set(search.predict(frame)) <= {"yes", "no"}
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()
    with pytest.raises(TypeError, match="did you mean 'max_iter'"):
        TabularClassifier(max_itr=3)
    with pytest.raises(ValueError, match="max_iter has to be a whole number >= 1"):
        TabularClassifier(max_iter=0).fit(frame, y)


def test_the_advice_of_errors_works():
    frame, y = people()
    quick = TabularClassifier(**QUICK)
    sparse = pytest.importorskip("scipy.sparse").csr_array(np.eye(6, 2))
    for bad, good in (
        (sparse, sparse.toarray()),
        (np.arange(6.0), np.arange(6.0).reshape(-1, 1)),
        (pd.DataFrame({"a": range(6), 1: range(6)}), pd.DataFrame({"a": range(6), "1": range(6)})),
        ("rows", pd.DataFrame({"a": range(6)})),
        (frame[:6].assign(tags=[["x"]] * 6), frame[:6]),
    ):
        with pytest.raises((ValueError, TypeError), match=r"try: |sparse"):
            quick.fit(bad, [0, 1] * 3)
        quick.fit(good, [0, 1] * 3)
    model = quick.fit(frame, y)
    shuffled = frame[frame.columns[::-1]]
    assert model.predict(shuffled[list(model.feature_names_in_)]).tolist() == model.predict(frame).tolist()


def test_probabilities_are_calibrated_on_rows_held_out():
    frame, y = people(120)
    plain = TabularClassifier(**QUICK).fit(frame[:80], y[:80], X_val=frame[80:], y_val=y[80:])
    model = TabularClassifier(**QUICK, calibrate=True).fit(frame[:80], y[:80], X_val=frame[80:], y_val=y[80:])
    np.testing.assert_array_equal(model.predict(frame), plain.predict(frame))
    assert model.row_losses(frame[80:], y[80:]).mean() < plain.row_losses(frame[80:], y[80:]).mean()
    alone = TabularClassifier(**QUICK, calibrate=True).fit(frame, y)
    np.testing.assert_allclose(alone.predict_proba(frame).sum(axis=1), 1, rtol=1e-5)


def test_quantiles_beside_a_search_come_from_the_preset_that_it_begins_with():
    x = np.random.default_rng(0).normal(size=(40, 2))
    model = TabularRegressor(**QUICK, time_limit=1e-6, quantiles=(0.1, 0.9)).fit(x, x[:, 0])
    assert model.predict_quantiles(x).shape == (40, 2)


def test_quantiles_come_from_a_network_of_their_own():
    frame, _ = people(120)
    y = frame["visits"] + np.random.default_rng(0).normal(size=120)
    plain = TabularRegressor(**QUICK).fit(frame[:90], y[:90], X_val=frame[90:], y_val=y[90:])
    model = TabularRegressor(**QUICK, quantiles=True).fit(frame[:90], y[:90], X_val=frame[90:], y_val=y[90:])
    np.testing.assert_array_equal(model.predict(frame), plain.predict(frame))
    low, high = model.predict_interval(frame).T
    assert np.all(low <= high) and np.mean((y[90:] >= low[90:]) & (y[90:] <= high[90:])) >= 0.9
    np.testing.assert_array_equal(model.predict_quantiles(frame, [0.05, 0.95]), np.stack([low, high], axis=1))
    with pytest.raises(ValueError, match=r"try: TabularRegressor\(quantiles="):
        plain.predict_quantiles(frame)
    with pytest.raises(ValueError, match="coverage is a number > 0 and < 1"):
        model.predict_interval(frame, 90)
    with pytest.raises(ValueError, match="quantiles are numbers > 0 and < 1"):
        TabularRegressor(quantiles=(0.5, 95)).fit(frame, y)


def test_a_fitted_estimator_explains_itself_by_raw_columns():
    frame, y = people(120)
    frame["age"] = frame["age"].fillna(40)
    model = TabularClassifier(**QUICK).fit(frame, y)
    found = model.permutation_importance(frame, y, repeats=2)
    assert {found.names[i] for i in np.argsort(-found.mean)[:2]} == {"age", "town"}
    parts = model.attributions(frame[:4], label="yes")
    p = model.predict_proba(frame[:4])[:, 1]
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), np.log(p / (1 - p)), rtol=0.05, atol=0.02)
    p = model.predict_proba(frame)[np.arange(120), (y == "yes").astype(int)]
    np.testing.assert_allclose(model.row_losses(frame, y), -np.log(p), rtol=1e-3, atol=1e-5)
    assert TabularClassifier(**QUICK).row_losses(frame, y, folds=3).shape == (120,)
    with pytest.raises(ValueError, match="label 'maybe'"):
        model.attributions(frame, label="maybe")


def test_a_column_that_is_understood_wrongly_is_corrected():
    frame, y = people()
    frame["zip"] = np.where(y == "yes", 10115, 80331)
    frame["id"] = np.random.default_rng(0).permutation(60) * 7
    with pytest.warns(UserWarning, match="'zip': says 'y' in other words; 'id': a number of its own in every row"):
        model = TabularClassifier(**QUICK).fit(frame, y)
    assert {"zip", "id"}.isdisjoint(model.model_.encoder.names)
    model = TabularClassifier(**QUICK, kinds={"zip": "category", "id": "number"}).fit(frame, y)
    columns = {one.name: one for one in model.model_.encoder.columns}
    assert columns["zip"].levels == ("10115", "80331") and "id" in columns
    model = TabularClassifier(**QUICK, categorical_features=["visits"], kinds={"id": "number", "zip": "category"})
    assert "visits" in {one.name for one in model.fit(frame, y).model_.encoder.columns if hasattr(one, "levels")}
    with pytest.raises(ValueError, match="kinds: X has no column 'zipp'; did you mean 'zip'"):
        TabularClassifier(kinds={"zipp": "category"}).fit(frame, y)
    with pytest.raises(ValueError, match="categorical_features: X has no column 99"):
        TabularClassifier(categorical_features=[99]).fit(frame, y)
    with pytest.raises(TypeError, match="kinds maps names"):
        TabularClassifier(kinds=["zip"]).fit(frame, y)


def test_texts_are_understood_as_in_a_file():
    rng = np.random.default_rng(0)
    price = rng.uniform(1000, 9000, 60).round(2)
    frame = pd.DataFrame({"price": [f"{p:,.2f} EUR" for p in price], "sold": ["31/12/2020", "01/02/2021"] * 30})
    model = TabularRegressor(**QUICK).fit(frame, np.log(price))
    assert [one.kind for one in model.columns_] == ["number", "moment"]
    numbers = frame.assign(price=price, sold=pd.to_datetime(frame["sold"], dayfirst=True))
    np.testing.assert_array_equal(model.predict(frame), model.predict(numbers))


def test_rows_of_one_group_are_validated_on_together():
    frame, y = people(120)
    groups = np.arange(120) // 10
    model = TabularClassifier(**QUICK, validation_fraction=0.2).fit(frame, y, groups=[f"g{g}" for g in groups])
    assert model.run_.started.validation_rows % 10 == 0
    with pytest.raises(ValueError, match="groups: row 0 has none"):
        TabularClassifier(**QUICK).fit(frame, y, groups=[None, *groups[1:]])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TabularClassifier(**QUICK).fit(frame, y, groups=groups[1:])


@pytest.mark.parametrize("holder", [pa.array, pl.Series, list, np.array, pd.Categorical], ids=lambda one: one.__name__)
def test_targets_come_in_any_holder(holder):
    frame, y = people()
    expected = TabularClassifier(**QUICK).fit(frame, y).predict_proba(frame)
    np.testing.assert_array_equal(TabularClassifier(**QUICK).fit(frame, holder(y)).predict_proba(frame), expected)


def test_a_classifier_without_probabilities_predicts_labels():
    frame, y = people()
    model = TabularClassifier(**QUICK, loss="hinge").fit(frame, y)
    assert np.mean(model.predict(frame) == y) > 0.6
    with pytest.raises(ValueError, match="distances, not probabilities"):
        model.predict_proba(frame)
    with pytest.raises(ValueError, match=r"calibrate=True needs probabilities[^$]*try: loss='cross_entropy'"):
        TabularClassifier(**QUICK, loss="hinge", calibrate=True).fit(frame, y)
