"""Tables from whatever holds them: the same columns from pandas, polars, Arrow, dicts, records and arrays."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pytest

import fallline as fl
from fallline import nn
from fallline.errors import ArgumentTypeError, DataError, ShapeError
from fallline.nn.column import Category, Moment, Number
from fallline.table import Table, Texts, as_table, values_of

CELLS: dict[str, list[Any]] = {
    "size": [1.5, None, 3.0, 2.5],
    "count": [3, 1, 2, 2],
    "colour": ["red", "blue", None, "red"],
    "sold": [datetime.datetime(2024, 1, 31), None, datetime.datetime(2024, 2, 29, 12), datetime.datetime(2023, 5, 1)],
    "new": [True, False, True, True],
}


def holders() -> dict[str, Any]:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    arrow = pytest.importorskip("pyarrow")
    return {
        "pandas": pandas.DataFrame(CELLS),
        "polars": polars.DataFrame(CELLS),
        "arrow": arrow.table(CELLS),
        "dict": CELLS,
        "records": [dict(zip(CELLS, row)) for row in zip(*CELLS.values())],
        "array": np.array([*zip(*CELLS.values())], object),
    }


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "dict", "records", "array"])
def test_every_holder_of_cells_gives_the_same_table(kind: str) -> None:
    table = as_table(holders()[kind], names=[*CELLS] if kind == "array" else None)
    assert table.names == tuple(CELLS) and table.rows == len(table) == 4
    assert np.array_equal(table["size"], [1.5, np.nan, 3.0, 2.5], equal_nan=True)
    assert np.array_equal(table["count"], [3, 1, 2, 2])
    colours = table["colour"]
    assert isinstance(colours, Texts) and colours.strings().tolist() == ["red", "blue", None, "red"]
    moments = table["sold"]
    assert moments.dtype.kind == "M" and str(moments[2]) == "2024-02-29T12:00:00.000000" and np.isnat(moments[1])
    assert np.array_equal(table["new"], [1, 0, 1, 1])


def test_rows_and_columns_are_taken_by_place_and_name() -> None:
    table = as_table(CELLS, "data.csv").take(np.array([3, 0]))
    assert table["count"].tolist() == [2, 3] and table["colour"].strings().tolist() == ["red", "red"]
    assert table.select(["new", "size"]).names == ("new", "size")
    assert table.drop(["new"]).names == ("size", "count", "colour", "sold")
    with pytest.raises(DataError, match=r"data\.csv has no column 'colours'; did you mean 'colour'"):
        table.select(["colours"])
    assert Table(table.columns, "data.csv", np.array([2, 9])).place(1) == "data.csv, line 9"


def test_cells_of_another_kind_are_named_with_their_row() -> None:
    with pytest.raises(DataError, match=r"x, column 'a' holds list .* in row 1; columns hold numbers, texts or dates"):
        as_table({"a": [1, [2], 3]})
    with pytest.raises(DataError, match="complex"):
        as_table({"a": np.array([1j])})
    with pytest.raises(DataError, match="one length"):
        as_table({"a": [1], "b": [1, 2]})
    with pytest.raises(ArgumentTypeError, match="a data frame, a dict of columns, or an array"):
        as_table("data.csv")
    assert as_table({"a": [1, 2]}).rows == as_table([[1], [2]]).rows == 2


ENCODER = nn.Columns(
    (
        Number("size", 2.0, 1.0, indicator=True),
        Category("colour", ("blue", "green", "red")),
        Category("new", ("False", "True")),
        Moment("sold", 1.68e9, 1.71e9, ("year",)),
    )
)


def test_each_kind_of_column_turns_cells_into_the_numbers_of_its_formula() -> None:
    rows = {**CELLS, "colour": ["red", "violet", None, "blue"], "size": [2.0, None, 1e300, -1e300]}
    found = ENCODER.encode(ENCODER.table_numbers(rows, "x"))
    assert found.shape == (4, 2 + 3 + 1 + 3)
    # z = (x - 2) / 1, z / sqrt(1 + (z / 3)^2); missing: 0, and 1 in the second number
    assert found[:, :2].tolist() == [[0, 0], [0, 1], [3, 0], [-3, 0]]
    assert found[:, 2:5].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert found[:, 5].tolist() == [1, -1, 1, 1]
    assert not found[1, 6:].any() and found[0, 6] == pytest.approx(2 * (1706659200 - 1.68e9) / 3e7 - 1)


def test_a_training_takes_a_frame_and_its_model_predicts_from_any_holder() -> None:
    columns = {name: CELLS[name] * 5 for name in ("size", "colour", "new", "sold")}
    y = np.array(["yes", "no", "no", "yes"] * 5)
    run = fl.fit(nn.mlp((4,), 2), (columns, y), loss="cross_entropy", encoder=ENCODER, epochs=3, threads=1)
    expected = run.model.predict_proba(columns)
    for given in holders().values():
        if not isinstance(given, np.ndarray):
            assert run.model.predict_proba(given).tobytes() == expected[:4].tobytes()
    with pytest.raises(DataError, match="x has no column 'colour'"):
        run.model.predict({"size": [1.0], "new": [True], "sold": [None]})
    with pytest.raises(ShapeError):
        run.model.predict(np.zeros((2, 3)))
    with pytest.raises(DataError, match="'size' holds numbers, got 'big'"):
        run.model.predict({**{name: cells[:1] for name, cells in columns.items()}, "size": ["big"]})


@pytest.mark.parametrize(
    "cells",
    [
        ["b", "a", "b", "c"],
        ["b", None, "a", math.nan, "b"],
        ["", " ", "nan", "None"],
        [None, "x", 1.5, "x"],
        ["1", 1, True, "1"],
    ],
)
def test_texts_are_the_same_however_their_column_comes(cells: list[Any]) -> None:
    as_they_are = [None if cell is None or cell != cell else str(cell) for cell in cells]
    for given in (cells, tuple(cells), np.array(cells, object)):
        found = values_of(given, "x")
        assert found.strings().tolist() == as_they_are
        assert [*found.levels] == [*dict.fromkeys(cell for cell in as_they_are if cell is not None)]


def test_lists_of_numbers_are_floats_with_nan_for_none() -> None:
    for cells, expected in {
        (1, 2.5, None): [1, 2.5, math.nan],
        (np.float64(1), 2.5): [1, 2.5],
        (10**400, -(10**400), None): [math.inf, -math.inf, math.nan],
    }.items():
        np.testing.assert_array_equal(values_of([*cells], "x"), np.array(expected, np.float64))


def test_half_precision_is_widened_and_numbers_stay_as_they_are() -> None:
    half = values_of(np.array([1.5, np.nan, 60000], np.float16), "x")
    assert isinstance(half, np.ndarray) and half.dtype == np.float64
    np.testing.assert_array_equal(half, [1.5, np.nan, 60000])


def test_records_of_other_names_keep_every_column() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2, "c": "y"}]
    table = as_table(rows)
    assert table.names == ("a", "b", "c")
    assert [table[name].strings().tolist() for name in "bc"] == [["x", None], [None, "y"]]


def test_a_column_of_missing_texts_has_no_level() -> None:
    pd = pytest.importorskip("pandas")
    texts = as_table(pd.DataFrame({"a": pd.array([None] * 3, dtype="str"), "b": [None] * 3}))
    assert texts["a"].levels == () and texts["a"].codes.tolist() == [-1] * 3
    assert getattr(texts["b"], "levels", ()) == ()


def test_spans_of_time_are_seconds() -> None:
    spans = np.array([90, "NaT"], "m8[m]")
    np.testing.assert_array_equal(as_table({"a": spans})["a"], [5400.0, np.nan])
    np.testing.assert_array_equal(as_table({"a": [datetime.timedelta(minutes=90), None]})["a"], [5400.0, np.nan])
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {"a": [datetime.timedelta(minutes=90), None], "b": polars.Series([2**70, 1], dtype=polars.Int128)}
    )
    np.testing.assert_array_equal(as_table(frame)["a"], [5400.0, np.nan])
    np.testing.assert_array_equal(as_table(frame)["b"], [2.0**70, 1])
    with pytest.raises(ArgumentTypeError, match=r"try: x.collect\(\)"):
        as_table(frame.lazy())
    as_table(frame.lazy().collect())


def test_moments_of_frames_are_those_of_their_cells() -> None:
    pandas, polars, arrow = map(pytest.importorskip, ("pandas", "polars", "pyarrow"))
    cells = [
        datetime.datetime(2020, 7, 1, 12, tzinfo=datetime.UTC),
        None,
        datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC),
    ]
    expected = as_table({"a": cells})["a"]
    frame = pandas.DataFrame({"a": pandas.Series(cells, dtype="datetime64[ns, UTC]").dt.tz_convert("Europe/Berlin")})
    for given in (frame, polars.from_pandas(frame), arrow.Table.from_pandas(frame)):
        np.testing.assert_array_equal(as_table(given)["a"], expected)
    days = [datetime.date(2020, 7, 1), None]
    for given in (polars.DataFrame({"a": days}), arrow.table({"a": days}), pandas.DataFrame({"a": days})):
        np.testing.assert_array_equal(as_table(given)["a"], np.array(["2020-07-01", "NaT"], "M8[us]"))
