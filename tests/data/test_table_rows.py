"""Large tables, read a window at a time: the numbers and the training of the same rows in memory."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from fallline.data import dataset
from fallline.data.dataset import Dataset, split
from fallline.data.preprocess import robust_encoder_of
from fallline.data.table_rows import TableRows, numbers_of
from fallline.data.understand import dataset_of
from fallline.recipe import Choices, recipe_of
from fallline.table import as_table


def made(n: int = 300) -> Dataset:
    rng = np.random.default_rng(0)
    size = rng.normal(size=n)
    size[::9] = np.nan
    return dataset_of(as_table({
        "size": size,
        "price": [f"{i % 7},{i % 10}5" for i in range(n)],
        "colour": [("red", "green", "blue", None)[i % 4] for i in range(n)],
        "day": [f"2024-0{1 + i % 9}-1{i % 10}" for i in range(n)],
        "kind": [("no", "yes")[i % 3 == 0] for i in range(n)],
    }), "kind")  # fmt: skip


def test_windows_hold_the_numbers_of_the_whole_table_in_any_order() -> None:
    data = made()
    rows = np.arange(20, 280)
    encoder = robust_encoder_of(data, rows)
    expected = encoder.table_numbers(data.take(rows), "x")
    wanted = np.random.default_rng(1).integers(0, len(rows), 50)
    into = np.empty((50, len(encoder.columns)))
    TableRows(data.table, rows, encoder).read(wanted, {"x": into})
    assert np.array_equal(into, expected[wanted], equal_nan=True)
    assert np.array_equal(numbers_of(data.table, rows, encoder)[np.arange(len(rows))], expected, equal_nan=True)


def test_a_training_of_a_table_read_in_windows_has_the_bits_of_one_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made()
    train, _ = split(data)
    choices = Choices(preset="fast", epochs=2, validation=0.25)
    monkeypatch.setattr(dataset, "LARGE", 0)
    monkeypatch.setattr("fallline.recipe.MOST_HELD", 50)
    large = recipe_of(data, choices, train)
    places = large.validation_rows
    theta = fl.fit(large.network, large.rows, **large.settings).model.theta
    monkeypatch.setattr(dataset, "LARGE", 1 << 40)
    small = recipe_of(data, choices, train)
    expected = fl.fit(small.network, small.rows, **{**small.settings, "validation": places}).model.theta
    assert np.array_equal(theta, expected)


def test_of_large_data_few_rows_are_held_out_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "LARGE", 0)
    monkeypatch.setattr(dataset, "MOST_HELD", 10)
    monkeypatch.setattr(dataset, "MOST_MEASURED", 100)
    data = made()
    assert len(split(data)[1]) == 10
    assert len(data.some(np.arange(300))) == 100
