"""Targets: labels of every kind become codes and come back; numbers keep their values; others raise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline import nn
from fallline.errors import DataError
from fallline.nn.target import Targets

LABELS = st.one_of(
    st.lists(st.integers(-50, 50), min_size=2, max_size=20),
    st.lists(st.text(max_size=5).filter(lambda s: "\0" not in s), min_size=2, max_size=20),
    st.lists(st.booleans(), min_size=2, max_size=20),
    st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=20),
).filter(lambda y: len(set(y)) > 1)


def prepare(loss: str, y: Any, outputs: int | None = None, classes: Any = None, dtype: Any = np.float32) -> Targets:
    return nn.LOSSES[loss].prepare(y, dtype, outputs, classes)


@given(y=LABELS)
def test_labels_of_any_kind_come_back_from_their_codes(y: list) -> None:
    ready = prepare("cross_entropy", y)
    assert ready.y.dtype == np.int64 and ready.flat
    assert ready.classes.tolist() == sorted(set(y))
    assert ready.outputs == len(set(y))
    assert ready.classes[ready.y].tolist() == y
    np.testing.assert_array_equal(prepare("cross_entropy", np.array(y).reshape(-1, 1)).y, ready.y)
    np.testing.assert_array_equal(prepare("cross_entropy", np.array(y, object)).y, ready.y)
    np.testing.assert_array_equal(prepare("cross_entropy", y[::-1], classes=ready.classes).y, ready.y[::-1])


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "f2", "i1", ">i4", "u8", "?", "<U3", ">U3", "S3", object])
def test_labels_of_any_dtype_and_layout(dtype: str) -> None:
    y = np.array([1, 0, 0, 1, 1, 0]).astype(dtype)[::2]  # 1 0 1, not contiguous
    y.setflags(write=False)
    assert prepare("cross_entropy", y).y.tolist() == [1, 0, 1]
    assert prepare("binary_cross_entropy", y).y.tolist() == [[1], [0], [1]]
    assert prepare("hinge", y).y.tolist() == [[1], [-1], [1]]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge"])
def test_two_classes_become_a_column_in_the_asked_precision(loss: str) -> None:
    ready = prepare(loss, ["no", "yes", "no"], dtype=np.float64)
    assert (ready.y.shape, ready.y.dtype, ready.outputs) == ((3, 1), np.float64, 1)
    assert ready.classes.tolist() == ["no", "yes"]
    # One of two known classes may be missing from further data.
    assert prepare(loss, ["yes", "yes"], classes=["no", "yes"]).y.tolist() == [[1], [1]]


def test_whole_numbers_below_the_number_of_outputs_are_the_classes_themselves() -> None:
    ready = prepare("cross_entropy", [0, 2, 2, 5], outputs=10)
    assert ready.classes.tolist() == list(range(10)) and ready.y.tolist() == [0, 2, 2, 5]
    assert prepare("cross_entropy", [1, 2, 3], outputs=3).y.tolist() == [0, 1, 2]


def test_rows_of_probabilities_are_soft_labels() -> None:
    soft = [[0.2, 0.8, 0], [1, 0, 0]]
    ready = prepare("cross_entropy", soft, outputs=3)
    assert ready.y.dtype == np.float32 and ready.classes.tolist() == [0, 1, 2]
    np.testing.assert_allclose(ready.y, soft, rtol=1e-7)
    assert prepare("cross_entropy", np.eye(3, dtype=int)).y.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_numbers_become_columns_and_remember_how_they_came(loss: str) -> None:
    flat, table = prepare(loss, [1, 2, 3]), prepare(loss, [[1, 4], [2, 5]], outputs=2)
    assert (flat.y.tolist(), flat.flat, flat.outputs, flat.classes) == ([[1], [2], [3]], True, 1, None)
    assert (table.y.tolist(), table.flat, table.outputs) == ([[1, 4], [2, 5]], False, 2)
    assert flat.y.dtype == np.float32 and prepare(loss, [1.5], dtype=np.float64).y.dtype == np.float64


def test_ready_numbers_are_not_copied() -> None:
    y = np.ones((4, 2), np.float32)
    assert np.shares_memory(prepare("squared_error", y).y, y)


def test_binary_cross_entropy_takes_numbers_between_zero_and_one() -> None:
    assert prepare("binary_cross_entropy", [0.25, 1.0]).classes is None
    pixels = np.random.default_rng(0).random((3, 4))
    np.testing.assert_allclose(prepare("binary_cross_entropy", pixels, outputs=4).y, pixels, rtol=1e-7)
    assert prepare("binary_cross_entropy", [0.0, 1.0]).classes.tolist() == [0, 1]


def test_a_users_loss_gets_what_was_given() -> None:
    own = nn.loss.get(lambda output, y: 0.0)
    whole = own.prepare([1, 2, 3], np.float32, 4)
    assert whole.y.dtype == np.int64 and whole.y.shape == (3,)
    single = own.prepare([1.0, 2, 3], np.float32, 1)
    assert single.y.dtype == np.float32 and single.y.shape == (3, 1) and single.flat


@pytest.mark.parametrize(("loss", "y", "outputs", "says"), [
    ("squared_error", ["a", "b"], None, r"y holds text, such as 'a', .*\n  try: loss='cross_entropy'"),
    ("squared_error", [1, np.nan, np.inf], None, "y holds NaN or infinity: 2 of 3 numbers, the first nan in row 1"),
    ("squared_error", [1.0, None], None, "y holds NaN"),
    ("squared_error", [1e300], None, "too large for float32"),
    ("squared_error", np.ones((2, 3)), 1, r"y has 3 numbers a row and the network gives 1\n  try: nn.Dense\(3\)"),
    ("squared_error", np.ones((2, 3, 4)), None, r"y has shape \(2, 3, 4\)"),
    ("squared_error", 3.0, None, "y is float 3.0, not an array of rows"),
    ("squared_error", [1 + 2j], None, "complex128; only real numbers"),
    ("squared_error", [[1, 2], [3]], None, "rows of equal length"),
    ("poisson", [1, -2, 3], None, "counts are >= 0; y has 1 of 3 that are not, the first -2 in row 1"),
    ("binary_cross_entropy", [[0.5, 1.5]], None, "in 0..1; y has 1 of 2 that are not, the first 1.5"),
    ("binary_cross_entropy", ["a", "b", "c"], None, "two classes apart, and y has 3: 'a', 'b', 'c'"),
    ("binary_cross_entropy", [0, 1], 2, r"takes one output a row, and the network gives 2\n  try: nn.Dense\(1\)"),
    ("hinge", [1, 1], None, "y has the one class 1: there is nothing to tell apart"),
    ("cross_entropy", ["a", "a"], None, "y has the one class 'a'"),
    ("cross_entropy", [], None, "y is empty"),
    ("cross_entropy", [0.5, 1.5, 2.0], None, r"class labels are whole numbers or text, and y has 0.5\n  try: loss"),
    ("cross_entropy", [0, np.nan], None, "y holds NaN"),
    ("cross_entropy", ["a", None, "b"], None, "y mixes text with other values: 1 of 3, the first None in row 1"),
    ("cross_entropy", [0, 1, 2, 12], 10, r"y has 4 classes and the network gives 10 outputs.*\n  try: nn.Dense\(4\)"),
    ("cross_entropy", [-1, 0, 1], 4, "y has 3 classes and the network gives 4 outputs"),
    ("cross_entropy", np.arange(20), 10, r"y has 20 classes .*0, 1, 2, 3, 4, 5, ... \(20 in all\)"),
    ("cross_entropy", np.ones((2, 3, 4)), None, "labels come one for each row"),
    ("cross_entropy", [[0.5, 0.5], [0.5, 0.7]], None, "1 of 2 rows are not, the first is row 1 with sum 1.2"),
    ("cross_entropy", [[1.5, -0.5]], None, "1 of 1 rows are not"),
    ("cross_entropy", np.eye(3), 4, r"y has 3 columns and the network gives 4 outputs"),
    ("cross_entropy", [["a", "b"]], None, "text in 2 columns"),
    ("cross_entropy", [{}, {}], None, "dict"),
])  # fmt: skip
def test_what_cannot_be_used_is_reported(loss: str, y: Any, outputs: int | None, says: str) -> None:
    with pytest.raises(DataError, match=f"(?s){says}"):
        prepare(loss, y, outputs)


def test_labels_outside_the_known_classes_are_reported_with_the_nearest() -> None:
    with pytest.raises(
        DataError, match=r"2 of 3 labels in y are none of the classes, the first 'cta'; did you mean 'cat'"
    ):
        prepare("cross_entropy", ["cat", "cta", "cow"], classes=["cat", "dog"])
    with pytest.raises(DataError, match="y holds labels such as 3, and the classes are 'cat', 'dog'"):
        prepare("cross_entropy", [3, 4], classes=["cat", "dog"])


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(DataError, match=r"(?s)2 problems:.*2 numbers a row.*NaN or infinity"):
        prepare("squared_error", [[1.0, np.nan]], outputs=1)
    with pytest.raises(DataError, match=r"(?s)2 problems:.*y has 3.*one output a row"):
        prepare("hinge", [1, 2, 3], outputs=3)
