"""Standardisation: measured on the training rows, kept to the last bit, never a division by zero."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fallline.data.dataset import Dataset
from fallline.data.preprocess import from_config, standardise
from fallline.data.sets import load
from fallline.errors import DataError

MATRICES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-1e300, 1e300)
)


def of(x: np.ndarray, y: np.ndarray | None = None, same_unit: bool = False) -> Dataset:
    names = tuple(f"c{i}" for i in range(x.shape[1]))
    return Dataset(
        "made", x, np.arange(len(x), dtype=np.float64) if y is None else y, names, "y", "regression", (), same_unit
    )


def test_standardised_columns_have_mean_zero_and_deviation_one_on_the_training_rows() -> None:
    data = load("wine")
    train = np.arange(0, len(data), 2)
    x = standardise(data, train).inputs(data.x[train])
    assert np.allclose(x.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(x.std(axis=0), 1)


@given(MATRICES)
def test_any_finite_table_stays_finite(x: np.ndarray) -> None:
    out = standardise(of(x), np.arange(len(x))).inputs(x)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= np.sqrt(len(x)) * 1.001


@given(st.floats(-1e300, 1e300), st.integers(1, 9))
def test_a_constant_column_becomes_zero(value: float, n: int) -> None:
    x = np.full((n, 1), value)
    out = standardise(of(x), np.arange(n)).inputs(x)
    assert np.allclose(out, 0, atol=abs(value) * 1e-14)


def test_only_the_training_rows_are_measured() -> None:
    x = np.array([[0.0], [2.0], [1e9]])
    made = standardise(of(x), np.array([0, 1]))
    assert made.mean == (1.0,) and made.scale == (1.0,)


def test_columns_of_one_unit_share_their_mean_and_scale() -> None:
    x = np.array([[0.0, 4.0], [0.0, 4.0]])
    made = standardise(of(x, same_unit=True), np.arange(2))
    assert made.mean == (2.0, 2.0) and made.scale == (2.0, 2.0)


@given(MATRICES, st.booleans())
def test_a_preprocessing_survives_json_to_the_last_bit(x: np.ndarray, target: bool) -> None:
    made = standardise(of(x), np.arange(len(x)), target=target)
    assert from_config(json.loads(json.dumps(made.to_config(), allow_nan=False))) == made


@given(hnp.arrays(np.float64, st.integers(2, 9), elements=st.floats(-1e6, 1e6)))
def test_quantities_come_back_from_their_standardised_form(y: np.ndarray) -> None:
    made = standardise(of(np.zeros((len(y), 1)), y), np.arange(len(y)), target=True)
    assert np.allclose(made.quantities(made.targets(y)), y, atol=1e-9 * (1 + np.abs(y).max()))


def test_classes_are_left_as_codes() -> None:
    data = load("iris")
    made = standardise(data, np.arange(len(data)), target=True)
    assert made.targets(data.y) is data.y
    assert made.classes == data.classes


DAMAGES: list[dict[str, object]] = [
    {"mean": [1.0]},
    {"mean": None},
    {"scale": [0.0, 1.0]},
    {"scale": [float("nan"), 1.0]},
    {"features": ["a"]},
    {"features": [1, 2]},
    {"target_scale": 0.0},
    {"target_mean": "x"},
]


@pytest.mark.parametrize("change", DAMAGES)
def test_a_damaged_preprocessing_is_refused(change: dict[str, object]) -> None:
    config = standardise(of(np.array([[1.0, 2.0], [3.0, 5.0]])), np.arange(2)).to_config()
    with pytest.raises(DataError, match="preprocessing"):
        from_config({**config, **change})
