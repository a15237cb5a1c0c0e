"""From a table to a data set: leaks, copies, corrections of a person, and rows held out by group, time or file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fallline.data import marks
from fallline.data.dataset import split
from fallline.data.dataset_file import read_dataset, rows_for
from fallline.data.preprocess import decoder_of, robust_encoder_of
from fallline.data.understand import Wishes, columns_of, dataset_of
from fallline.errors import ArgumentError, DataError, FalllineError
from fallline.nn import Quantity
from fallline.table import Table, Texts, as_table

RNG = np.random.default_rng(0)


def table(n: int = 60) -> Table:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, n)
    return as_table({
        "size": rng.normal(size=n) + kind,
        "size again": rng.normal(size=n),
        "person": [f"p{i % 6}" for i in range(n)],
        "day": [f"2024-01-{1 + i % 28:02}" for i in range(n)],
        "weight": np.ones(n),
        "kind": [("no", "yes")[k] for k in kind],
    }, "made.csv")  # fmt: skip


def why(made: Table, target: str = "kind", **wishes: object) -> dict[str, str]:
    data = dataset_of(made, target, Wishes(**wishes))  # type: ignore[arg-type]
    return {column.name: column.left_out for column in data.columns}


def beside(name: str, cells: object) -> Table:
    made = table()
    return Table({name: as_table({name: cells})[name], **made.columns}, made.name)


def test_a_column_that_says_the_target_in_other_words_is_left_out_and_can_be_kept() -> None:
    kind = table()["kind"]
    assert isinstance(kind, Texts)
    alive = Texts(kind.codes, ("dead", "alive"))
    assert why(beside("alive", alive))["alive"] == "says 'kind' in other words"
    assert why(beside("alive", alive), kinds={"alive": "category"})["alive"] == ""
    assert why(Table({"alive": alive, "kind": kind}, "x"))["alive"] == ""  # else there were nothing


def test_a_column_each_of_whose_values_has_one_class_is_marked_and_kept() -> None:
    codes = np.asarray(table()["kind"].codes) * 2 + np.arange(60) % 2  # type: ignore[union-attr]
    data = dataset_of(beside("code", codes), "kind")
    assert "code" in data.features
    assert any("is it known before" in mark for mark in data.columns[0].marks)


def test_a_quantity_given_away_is_left_out_or_marked() -> None:
    made = table()
    size = np.asarray(made["size"])
    data = dataset_of(Table({"same": size, "line": 3 * size + 1, **made.columns}, "x"), "size")
    assert data.columns[0].left_out == "equals 'size' in every row"
    assert "a straight line of 'size'" in data.columns[1].marks[0]


def test_a_copy_of_a_column_is_left_out() -> None:
    assert why(beside("copy", table()["size"]))["size"] == "the same as 'copy' in every row"


def test_copies_are_found_without_comparing_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    count, pairs, same = 200, [], marks._are_same
    monkeypatch.setattr(marks, "_are_same", lambda one, other: pairs.append(1) or same(one, other))
    columns: dict[str, np.ndarray] = {f"x{i}": np.sin(np.arange(60) * (i + 1)) for i in range(count)}
    columns |= {"gap": np.where(np.arange(60) % 7, columns["x3"], np.nan), "zero": np.arange(60) % 3 - 1.0}
    columns |= {"gap again": np.copysign(columns["gap"], columns["x3"]), "minus zero": columns["zero"].copy()}
    columns["minus zero"][columns["zero"] == 0] = -0.0
    found = {one.name: one.left_out for one in dataset_of(Table({**columns, "y": np.arange(60) % 2}), "y").columns}
    assert found["gap again"] == "the same as 'gap' in every row"
    assert found["minus zero"] == "the same as 'zero' in every row"
    assert sum(map(bool, found.values())) == 2 and len(pairs) < count


def test_an_index_without_a_name_is_one_in_any_order_where_the_other_columns_have_names() -> None:
    index, b = np.array([30, 7, 12, 5]), np.array([1.5, 2, 2, 3])
    assert columns_of(Table({"column_1": index, "b": b}))[0].left_out == "a number of its own in every row"
    assert not columns_of(Table({"column_1": index, "column_2": b}))[0].left_out


def test_wishes_name_columns_that_are_there() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'size'") as raised:
        dataset_of(table(), "kind", Wishes(drop=("siez",), kinds={"wieght": "number"}))
    assert "did you mean 'weight'" in str(raised.value)
    with pytest.raises(FalllineError, match="not by both"):
        Wishes(group="person", order_by="day")
    assert why(table(), drop=("size",))["size"] == "dropped"
    assert dataset_of(table(), "kind", Wishes(features=("size",))).features == ("size",)


def test_wishes_come_back_from_plain_values() -> None:
    wishes = Wishes(kinds={"a": "date"}, drop=("b", "c"), group="d", decimal=",")
    assert Wishes.from_config(wishes.to_config()) == wishes
    assert Wishes.from_config(None) == Wishes()


def test_no_group_is_in_two_parts() -> None:
    data = dataset_of(table(), "kind", Wishes(group="person"))
    assert "person" not in data.features and data.groups is not None
    train, test = split(data)
    assert not {*data.groups[train]} & {*data.groups[test]}
    assert 5 <= len(test) <= 20


def test_the_latest_rows_are_the_test_and_rows_of_one_moment_stay_together() -> None:
    data = dataset_of(table(), "kind", Wishes(order_by="day"))
    assert data.order is not None
    train, test = split(data)
    assert data.order[train].max() < data.order[test].min()
    assert 6 <= len(test) <= 18


def test_rows_of_another_file_are_the_test_also_where_their_labels_end_in_points() -> None:
    held = as_table({**table(20).columns}, "held.csv")
    kind = held["kind"]
    assert isinstance(kind, Texts)
    held = Table({**held.columns, "kind": Texts(kind.codes, tuple(f"{level}." for level in kind.levels))}, "held.csv")
    data = dataset_of(table(), "kind", held=held)
    assert data.classes == ("no", "yes")
    assert [len(rows) for rows in split(data)] == [60, 20]
    with pytest.raises(DataError, match=r"held.csv has no column 'day'"):
        dataset_of(table(), "kind", held=held.drop(["day"]))


def test_weights_are_checked() -> None:
    data = dataset_of(table(), "kind", Wishes(weights="weight"))
    assert "weight" not in data.features and data.weights is not None and data.weights.tolist() == [1.0] * 60
    with pytest.raises(DataError, match="weights are numbers >= 0"):
        dataset_of(table(), "kind", Wishes(weights="size"))


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    made = as_table({"a": [1.0, 2, 3, 4, 5, 6], "y": ["x", "z", None, "x", "z", ""]}, "made.csv")
    data = dataset_of(made, "y")
    assert (len(data), data.notes) == (4, ("2 of 6 rows have no 'y' and are left out",))
    with pytest.raises(DataError, match="missing in every row"):
        dataset_of(as_table({"a": [1.0, 2], "y": [None, ""]}), "y")


def test_na_can_be_called_a_label() -> None:
    made = as_table({"a": [1.0, 2, 3, 4], "y": ["NA", "ok", "NA", "ok"]})
    with pytest.raises(DataError, match="the one class 'ok'") as raised:
        dataset_of(made, "y")
    assert "--as 'y=category'), if 'NA' is a label too" in str(raised.value)
    assert dataset_of(made, "y", Wishes(kinds={"y": "category"})).classes == ("NA", "ok")


def test_a_quantity_may_be_written_in_any_notation() -> None:
    made = as_table({"a": np.arange(30.0) ** 2, "y": [f"{i}.{100 + i},5 €" for i in range(1, 31)]})
    data = dataset_of(made, "y")
    assert data.task == "regression"
    assert data.y[:2].tolist() == [1101.5, 2102.5]


def test_a_targets_notation_is_that_of_other_files_too() -> None:
    made = as_table({"a": np.arange(30.0) ** 2, "y": [f"{i}.{100 + i},5 €" for i in range(1, 31)]})
    data = dataset_of(made, "y")
    decoder = decoder_of(data, np.arange(30))
    assert isinstance(decoder, Quantity)
    assert decoder.read(Texts.of(["2.000,25", "7"])).tolist() == [2000.25, 7.0]


def test_the_decimal_mark_of_a_target_follows_the_rest_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a;y\n" + "".join(f"{i},5;{1 + i % 9}.{i * 37 % 1000:03}\n" for i in range(40)))
    data = read_dataset(path, "y")
    assert data.y[1] == 2037.0 and not data.notes


def test_a_column_that_is_missing_where_the_class_is_another_gives_it_away() -> None:
    left = ["no", "yes"] * 30
    ended = np.where(np.array(left) == "yes", np.datetime64("2024-05-01"), np.datetime64("NaT")).astype(
        "datetime64[us]"
    )
    ended[1::2] += np.arange(30) * np.timedelta64(1, "D")
    made = table().drop(["kind"])
    found = why(Table({**made.columns, "ended": ended, "kind": as_table({"kind": left})["kind"]}, made.name))
    assert found["ended"] == "says 'kind' by its missing values"


def test_a_first_column_without_a_name_is_an_index_in_any_order() -> None:
    index = RNG.permutation(40)
    rest = {"a": RNG.normal(size=40), "y": ["p", "q"] * 20}
    assert dataset_of(as_table({"column_1": index, **rest}), "y").features == ("a",)
    assert (
        dataset_of(as_table({"column_1": index, "column_2": rest["a"], "y": rest["y"]}), "y").features[0] == "column_1"
    )
    assert dataset_of(as_table({"__index_level_0__": index, **rest}), "y").features == ("a",)


def test_a_column_counts_the_rows_where_some_rows_have_gone() -> None:
    kept = np.delete(np.arange(1, 61), [0, 7, 30])
    made = dataset_of(as_table({"nr": kept, "a": RNG.normal(size=57), "y": ["p", "q", "r"] * 19}), "y")
    assert made.columns[0].marks == ("counts the rows",)


def test_a_file_from_which_nothing_can_be_learnt_says_why() -> None:
    made = as_table({"id": [f"a{i}" for i in range(30)], "y": ["x", "z"] * 15})
    with pytest.raises(DataError, match=r"(?s)no column from which .y. could be learnt.*a text of its own"):
        dataset_of(made, "y")


def test_a_point_before_three_digits_follows_the_rest_of_the_file_and_is_said_where_that_tells_nothing(
    tmp_path: Path,
) -> None:
    rows = [f"{1 + i % 9}.{i * 37 % 1000:03};{i},5;{'pq'[i % 2]}" for i in range(40)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a;b;y", *rows]) + "\n")
    assert read_dataset(path, "y").columns[0].about.startswith("1000 to ")
    path.write_text("\n".join(["a;b;y", *(row.replace(",", ".") for row in rows)]) + "\n")
    (column, *_) = read_dataset(path, "y").columns
    assert column.about.startswith("1 to ") and not column.marks
    path.write_text("\n".join(["a;b;y", *(row.replace(",5", "") for row in rows)]) + "\n")
    (column, *_) = read_dataset(path, "y").columns
    assert column.about.startswith("1 to ")
    assert "is taken as" in column.marks[0]
    assert read_dataset(path, "y", Wishes(decimal=",")).columns[0].about.startswith("1000 to ")


def test_other_files_are_read_in_the_notation_that_was_understood(tmp_path: Path) -> None:
    path, new = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("a;y\n" + "".join(f"{1 + i % 9}.{i * 37 % 1000:03};{'pq'[i % 2]}\n" for i in range(40)))
    data = read_dataset(path, "y", Wishes(decimal=","))
    encoder = robust_encoder_of(data, np.arange(len(data)))
    new.write_text("a\n1.250\n2.000\n")
    assert encoder.table_numbers(rows_for(encoder, new), "x").tolist() == [[1250.0], [2000.0]]
