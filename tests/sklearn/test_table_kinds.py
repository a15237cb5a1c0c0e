"""Columns of every type that frames have: trained on and predicted from, or refused by name; never misread."""

import datetime
import decimal
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fallline.sklearn import TabularClassifier
from fallline.table import as_table

N = 24
QUICK = {"preset": "fast", "hidden_layer_sizes": (4,), "max_iter": 2}
Y = np.arange(N) % 2
DAYS = [datetime.date(2020, 1, 1 + i) for i in range(N)]

COLUMNS = {
    "string[pyarrow]": pd.array(["a", "b", None] * 8, dtype="string[pyarrow]"),
    "Int64": pd.array([1, 2, None] * 8, dtype="Int64"),
    "boolean": pd.array([True, False, None] * 8, dtype="boolean"),
    "category with unused levels": pd.Categorical(["a", "b"] * 12, categories=list("abcxyz")),
    "category of numbers": pd.Categorical([1, 2] * 12),
    "category with gaps": pd.Categorical(["a", None] * 12),
    "dates with a zone": pd.date_range("2020", periods=N, tz="Europe/Berlin"),
    "dates as objects": np.array(DAYS, object),
    "spans of time": pd.to_timedelta(np.arange(N), "h"),
    "intervals": pd.cut(np.arange(N), 4),
    "decimals": np.array([decimal.Decimal("1.5") * i for i in range(N)], object),
    "arrow timestamps": pd.array(pd.date_range("2020", periods=N), dtype=pd.ArrowDtype(pa.timestamp("us"))),
    "sparse": pd.arrays.SparseArray([0, 0, 1] * 8),
    "texts and numbers": np.array(["a", 1] * 12, object),
    "infinite": np.where(np.arange(N) % 5, 1.0 * np.arange(N), np.inf),
    "huge": np.where(np.arange(N) % 5, 1.0 * np.arange(N), 1e300),
    "unsigned": np.arange(N, dtype=np.uint64) + 2**63,
    "nothing": [None] * N,
    "constant": [1.0] * N,
    "a level a row": [f"u{i}" for i in range(N)],
    "polars enum": pl.Series(["a", "b"] * 12, dtype=pl.Enum(["a", "b", "c"])),
    "polars decimal": pl.Series([decimal.Decimal("1.5"), decimal.Decimal("2")] * 12),
    "polars date": pl.Series(DAYS),
    "polars duration": pl.Series([datetime.timedelta(hours=i) for i in range(N)]),
    "polars null": pl.Series([None] * N),
}
REFUSED = {
    "list": pl.Series([[1, 2]] * N),
    "struct": pl.Series([{"a": 1}] * N),
    "time": pl.Series([datetime.time(i % 24) for i in range(N)]),
    "binary": pl.Series([b"a", b"b"] * 12),
    "period": pd.Series(pd.period_range("2020", periods=N, freq="M")),
    "complex": np.arange(N) * 1j,
}


def frame_of(column):
    number = np.linspace(-1, 1, N)
    if isinstance(column, pl.Series):
        return pl.DataFrame({"z": number, "c": column})
    return pd.DataFrame({"z": number, "c": column})


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_any_kind_predicts_with_it_and_with_gaps(kind):
    frame = frame_of(COLUMNS[kind])
    model = TabularClassifier(**QUICK).fit(frame, Y)
    proba = model.predict_proba(frame)
    assert np.isfinite(proba).all()
    gaps = {"z": frame["z"], "c": [None] * N}
    assert np.isfinite(model.predict_proba(gaps)).all()
    # A row is predicted alike whatever rows stand beside it, and whatever levels these have.
    np.testing.assert_array_equal(model.predict_proba(frame[3:5]), proba[3:5])


@pytest.mark.parametrize("kind", REFUSED)
def test_a_column_of_no_cells_that_can_be_learnt_from_is_refused_by_name(kind):
    with pytest.raises((TypeError, ValueError), match="column 'c' holds"):
        TabularClassifier(**QUICK).fit(frame_of(REFUSED[kind]), Y)


@pytest.mark.parametrize(
    ("trained", "later"),
    [
        ([True, False] * 12, np.array([True, None] * 12, object)),
        ([True, False] * 12, ["True", "False"] * 12),
        (pd.Categorical([1, 2] * 12), [1.0, 2.0] * 12),
        (np.arange(N), [str(i) for i in range(N)]),
        (["1", "2"] * 12, [1, 2] * 12),
        (pd.to_datetime(["2020-01-01", "2021-01-01"] * 12), ["2020-01-01", "2021-01-01"] * 12),
    ],
    ids=str,
)
def test_other_types_of_the_same_cells_are_read_alike(trained, later):
    model = TabularClassifier(**QUICK).fit(frame_of(trained), Y)
    expected = model.predict_proba(frame_of(trained))
    given = np.array([cell is not None for cell in later])
    np.testing.assert_array_equal(model.predict_proba(frame_of(later))[given], expected[given])


def test_numbers_where_dates_were_are_refused():
    model = TabularClassifier(**QUICK).fit(frame_of(DAYS), Y)
    with pytest.raises(ValueError, match="column 'c' holds dates, got '0' in row 0"):
        model.predict(frame_of(np.arange(24.0)))


def test_arrays_are_read_by_place_where_the_training_rows_had_names():
    frame = frame_of(np.arange(24.0) ** 2)
    model = TabularClassifier(**QUICK).fit(frame, Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        found = model.predict_proba(frame.to_numpy())
    np.testing.assert_array_equal(found, model.predict_proba(frame))
    with (
        pytest.raises(ValueError, match="X has 1 features, but TabularClassifier is expecting 2"),
        warnings.catch_warnings(),
    ):
        model.predict(frame.to_numpy()[:, :1])


@pytest.mark.parametrize(
    "holder",
    [
        np.array([["a", "1"], ["b", "2"]] * 12),
        np.array([["a", 1], [None, 2.5]] * 12, object),
        np.array([["2020-01-01"], ["2021-01-01"]] * 12, "M8[D]"),
        np.array([(1, "a"), (2, "b")] * 12, dtype=[("x", float), ("t", "U2")]),
        [[1.0, None], [2.0, 3.0]] * 12,
        [("a", 1), ("b", 2)] * 12,
        [{"a": 1}, {"a": 2, "b": "x"}] * 12,
        pa.table({"c": pa.array(["a", "b"] * 12).dictionary_encode()}),
        pd.DataFrame(np.arange(48.0).reshape(24, 2)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_rows_come_in_any_holder(holder):
    model = TabularClassifier(**QUICK).fit(holder, Y)
    assert model.n_features_in_ == len(as_table(holder).names)
    assert np.isfinite(model.predict_proba(holder)).all()


def test_masked_cells_are_missing():
    values = np.arange(24.0).reshape(-1, 1)
    masked = np.ma.masked_array(values, mask=values == 3)
    model = TabularClassifier(**QUICK).fit(masked, Y)
    gone = np.where(values == 3, np.nan, values)
    np.testing.assert_array_equal(model.predict_proba(masked), model.predict_proba(gone))


@pytest.mark.parametrize(
    ("holder", "told"),
    [
        (pd.Series(np.arange(24.0)), "1D array"),
        (np.zeros((24, 2, 2)), "dim 3"),
        (pd.DataFrame(np.zeros((24, 2)), columns=["a", "a"]), "two columns called 'a'"),
        (pd.DataFrame(index=range(24)), "minimum of 1 is required"),
        ({"a": [1, 2], "b": [1]}, "'a' has 2, 'b' has 1"),
        ([[1, 2], [3]] * 12, "inhomogeneous"),
        (pl.DataFrame({"a": np.arange(24)}).lazy(), "holds no rows yet"),
        ((i for i in range(3)), "not a table"),
        (pd.DataFrame({"a": [1.0] * 24}), "could be learnt"),
    ],
    ids=lambda given: type(given).__name__ if not isinstance(given, str) else given[:12],
)
def test_other_holders_are_refused(holder, told):
    with pytest.raises((TypeError, ValueError), match=told):
        TabularClassifier(**QUICK).fit(holder, Y)
