"""Rows of named arrays: names and trees are each other's inverse, and rows are read as NumPy takes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.errors import DataError
from fallline.source import Arrays, Form, Source, as_tree, is_source, named

TREES = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, min_size=1) | st.lists(inner, min_size=1).map(tuple),
    max_leaves=8,
)


@given(TREES)
def test_a_tree_comes_back_from_its_named_leaves(values: object) -> None:
    assert as_tree(named(values), values) == values


def test_names_are_paths() -> None:
    assert named(5) == {"x": 5}
    assert named({"image": 1, "age": (2, 3)}) == {"x.age.0": 2, "x.age.1": 3, "x.image": 1}


@given(st.lists(st.integers(0, 6), max_size=12), st.sampled_from(["float32", "int64", "uint8", "bool"]))
def test_rows_are_read_in_any_order_and_as_they_are(rows: list[int], dtype: str) -> None:
    x = (np.arange(21).reshape(7, 3) % 5).astype(dtype)
    source = Arrays({"x": x, "y": np.arange(7)})
    assert isinstance(source, Source)
    assert source.rows == 7
    assert source.form == {"x": Form((3,), np.dtype(dtype)), "y": Form((), np.dtype(np.int64))}
    into = {"x": np.empty((len(rows), 3), dtype), "y": np.empty(len(rows), np.int64)}
    source.read(np.array(rows, np.int64), into)
    assert into["x"].tolist() == x[rows].tolist()
    assert into["y"].tolist() == rows


def test_arrays_of_other_lengths_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="x has 3, y has 2"):
        Arrays({"x": np.zeros(3), "y": np.zeros(2)})
    with pytest.raises(DataError, match="there are no arrays"):
        Arrays({})


def test_a_source_is_known_as_its_protocol_knows_it() -> None:
    x = np.zeros((3, 2))
    for one in [Arrays({"x": x}), x, (x, x), [x], {"x": x}, None, 0.2, "x", iter([x]), np.float32(1)]:
        assert is_source(one) == isinstance(one, Source), one
