"""Encoders and decoders of data sets: measured on the training rows, labels as their files write them."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.data.dataset import Dataset
from fallline.data.preprocess import decoder_of, encoder_of, labels_of, standardised, targets_of
from fallline.data.sets import load
from fallline.nn import Labels, Quantity


def of(x: np.ndarray, y: np.ndarray | None = None, same_unit: bool = False) -> Dataset:
    names = tuple(f"c{i}" for i in range(x.shape[1]))
    return Dataset(
        "made", x, np.arange(len(x), dtype=np.float64) if y is None else y, names, "y", "regression", (), same_unit
    )


def test_standardised_columns_have_mean_zero_and_deviation_one_on_the_training_rows() -> None:
    data = load("wine")
    train = np.arange(0, len(data), 2)
    x = encoder_of(data, train).encode(data.x[train])
    assert np.allclose(x.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(x.std(axis=0), 1)


def test_only_the_training_rows_are_measured() -> None:
    (column,) = encoder_of(of(np.array([[0.0], [2.0], [1e9]])), np.array([0, 1])).columns
    assert (column.name, column.mean, column.scale) == ("c0", 1.0, 1.0)


def test_columns_of_one_unit_share_their_mean_and_scale() -> None:
    made = encoder_of(of(np.array([[0.0, 4.0], [0.0, 4.0]]), same_unit=True), np.arange(2))
    assert [(one.mean, one.scale) for one in made.columns] == [(2.0, 2.0)] * 2


def test_a_quantity_is_standardised_where_asked_and_left_alone_where_not() -> None:
    data = of(np.zeros((3, 1)), np.array([1.0, 2.0, 6.0]))
    assert decoder_of(data, np.arange(3), standard=False) == Quantity("y")
    made = decoder_of(data, np.arange(2))
    assert made == Quantity("y", 1.5, 0.5)
    assert standardised(data)[1].mean() == pytest.approx(0)


def test_classes_are_labels_in_the_order_of_their_codes() -> None:
    data = load("breast-cancer")
    decoder = decoder_of(data, np.arange(len(data)))
    assert decoder == Labels(data.target, data.classes)
    assert targets_of(data, np.arange(3), decoder).tolist() == [data.classes[code] for code in data.y[:3]]


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (("0", "1", "10"), (0, 1, 10)),
        (("-1", "1"), (-1, 1)),
        (("1", "2.5"), ("1", "2.5")),
        (("no", "1"), ("no", "1")),
        (("01", "1"), ("01", "1")),
        (("0", str(2**70)), ("0", str(2**70))),
    ],
)
def test_classes_that_are_whole_numbers_are_labelled_by_numbers(classes: tuple[str, ...], labels: object) -> None:
    assert labels_of(classes) == labels
    assert tuple(map(str, labels_of(classes))) == classes
