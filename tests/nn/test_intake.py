"""The intake of rows: numbers in any form are taken as they are, and errors for other values give their place."""

from typing import Any

import numpy as np
import pytest

from fallline.errors import ArgumentError, DataError
from fallline.nn import intake
from fallline.nn.intake import Problems, as_numbers, check_finite, to_dtype


class Frame:
    """A stand-in for a data frame: columns, and an array."""

    def __init__(self, array: np.ndarray, columns: list[str]) -> None:
        self.array, self.columns = array, columns

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


class Sparse:
    def toarray(self) -> np.ndarray:
        return np.zeros((2, 2))


@pytest.mark.parametrize("given", [[[1, 2]], np.ones((2, 3), ">f4"), np.ones(3, "u2"), np.ones((2, 2), bool),
                                   np.ones(4, np.float16), np.ones(4, np.longdouble), np.array([[1, 2.5]], object),
                                   Frame(np.ones((2, 2)), ["a", "b"])])  # fmt: skip
def test_numbers_in_any_form_are_taken(given: Any) -> None:
    problems = Problems()
    array = as_numbers(given, "x", problems)
    problems.raise_if_any()
    assert array is not None and array.dtype.kind in "fiub" and array.dtype.isnative and array.dtype.itemsize <= 8
    assert array.dtype != np.float16
    np.testing.assert_array_equal(array, np.asarray(given).astype(np.float64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_what_is_ready_is_not_copied(dtype: type) -> None:
    given = np.ones((3, 2), dtype)
    given.setflags(write=False)
    assert as_numbers(given, "x", Problems()) is given
    assert to_dtype(given, dtype) is given


@pytest.mark.parametrize(("given", "says"), [
    (Sparse(), r"x is a sparse matrix.*\n  try: its .toarray\(\)"),
    ([[1, 2], [3]], "x cannot be made an array"),
    (np.ma.masked_equal([1, 2], 2), "x is a masked array"),
    (3, "x is int 3, not an array of rows"),
    (np.zeros(2, [("a", float), ("b", int)]), r"x is a structured array \(a, b\)"),
    (np.zeros(2, complex), "x holds complex128; only real numbers"),
    (np.zeros(2, "M8[s]"), "x holds datetime64"),
    (["a", "b"], "x holds .*'a'.* in row 0"),
    (Frame(np.array([[1, "ten"]], object), ["size", "price"]), r"x holds 'ten' \(str\) in column 1 \('price'\), row 0"),
])  # fmt: skip
def test_what_is_no_number_is_reported_with_its_place(given: Any, says: str) -> None:
    problems = Problems()
    assert as_numbers(given, "x", problems) is None
    with pytest.raises(DataError, match=f"(?s){says}"):
        problems.raise_if_any()


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_number_is_found_in_blocks_of_any_size(
    rows: int, bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.ones((20, 4))
    x[13, 2] = x[13, 3] = x[17, 0] = bad
    monkeypatch.setattr(intake, "_BLOCK_BYTES", rows * x[0].nbytes)
    problems = Problems()
    assert not check_finite(x, "x", np.float64, problems)
    assert problems.data[0].startswith(f"x holds NaN or infinity: 3 of 80 numbers, the first {bad} in row 13, column 2")


def test_numbers_beyond_the_precision_of_training_are_reported() -> None:
    problems = Problems()
    assert check_finite(np.array([1e38, -1e39]), "y", np.float64, problems)
    assert not check_finite(np.array([1e38, -1e39]), "y", np.float32, problems)
    assert "too large for float32: 1 of 2, the first -1e+39 in row 1" in problems.data[0]
    assert check_finite(np.array([np.finfo(np.float32).max]), "y", np.float32, problems)
    assert check_finite(np.zeros((0, 3)), "x", np.float32, problems) and check_finite(
        np.ones(2, int), "x", np.float32, problems
    )


def test_problems_are_raised_together_and_arguments_decide_the_kind() -> None:
    Problems().raise_if_any()
    with pytest.raises(DataError, match=r"^one$"):
        Problems(data=["one"]).raise_if_any()
    with pytest.raises(ArgumentError, match=r"^2 problems:\n- rate\n- one\n    try: two$"):
        Problems(arguments=["rate"], data=["one\n  try: two"]).raise_if_any()
