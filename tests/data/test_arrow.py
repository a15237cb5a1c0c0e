"""Numbers and texts between Arrow and NumPy are those of pyarrow's own converters."""

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.data.arrow import as_numpy, as_texts


@given(st.lists(st.floats() | st.none(), max_size=9), st.integers(0, 4), st.booleans())
def test_floats_are_those_of_pyarrow(cells: list[float | None], start: int, narrow: bool) -> None:
    column = pyarrow.array(cells, pyarrow.float32() if narrow else pyarrow.float64()).slice(start)
    expected = column.to_numpy(zero_copy_only=False)
    assert as_numpy(column).dtype == expected.dtype and np.array_equal(as_numpy(column), expected, equal_nan=True)


@pytest.mark.parametrize("kind", ["int8", "uint16", "int32", "uint64", "int64"])
def test_whole_numbers_are_those_of_pyarrow(kind: str) -> None:
    for cells in ([1, 2, 100], []):
        column = pyarrow.array(cells, kind)
        assert as_numpy(column).dtype == kind and as_numpy(column).tolist() == cells
    gaps = pyarrow.array([9, 1, None, 3, None] * 3, kind).slice(1)
    assert as_numpy(gaps, 7).dtype == kind and as_numpy(gaps, 7).tolist() == [1, 7, 3, 7] + [9, 1, 7, 3, 7] * 2


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_are_those_of_pyarrow(texts: list[str]) -> None:
    assert as_texts(texts).equals(pyarrow.array(texts, pyarrow.string()))
