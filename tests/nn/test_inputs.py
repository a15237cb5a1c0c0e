"""Inputs of a network, one or several: whole numbers stay, names are paths, errors give the name of the input."""

from typing import Any

import numpy as np
import pytest

from fallline.nn.forms import dtypes_of, forms_of, shapes_of
from fallline.nn.inputs import are_several, as_arrays, as_dtypes, cast_whole
from fallline.nn.intake import Problems
from fallline.source import Form

AGE, IMAGE = np.zeros((4, 1), np.float32), np.zeros((4, 2, 2), np.uint8)


def taken(given: Any, like: Any = None) -> tuple[Any, list[str]]:
    problems = Problems()
    return as_arrays(given, "x", problems, like), problems.data


def test_forms_are_those_of_the_arrays() -> None:
    arrays, wrong = taken({"image": IMAGE, "age": [[1.5]] * 4})
    assert not wrong and arrays["image"] is IMAGE
    forms = forms_of(shapes_of(arrays), dtypes_of(arrays), np.float32)
    assert forms == {"image": Form((2, 2), np.dtype("uint8")), "age": Form((1,), np.dtype("float32"))}
    assert forms_of((3,), {}, np.float64) == Form((3,), np.dtype("float64"))
    assert forms_of([[3], []], {"x.1": "int64"}, np.float64) == [
        Form((3,), np.dtype("float64")), Form((), np.dtype("int64"))
    ]  # fmt: skip


@pytest.mark.parametrize(("given", "several"), [
    (AGE, False), ([AGE, AGE], False), ((AGE, AGE), True), ({"age": AGE}, True), (([1.0], [2.0]), False), ((), False),
    ({"pair": (AGE, AGE)}, True), ((AGE, {"b": AGE}), True), ((np.float64(1), np.float64(2)), False),
])  # fmt: skip
def test_a_dict_or_a_tuple_of_arrays_is_several_inputs_and_a_list_is_rows(given: Any, several: bool) -> None:
    assert are_several(given) is several


@pytest.mark.parametrize(("given", "like", "says"), [
    ({"age": AGE, "image": IMAGE[:3]}, None, "lengths differ: x.age has 4, x.image has 3"),
    ({"age": None}, None, "no array under a name"),
    ({}, None, "no array under a name"),
    ({"age": [["a"]]}, None, "x.age holds 'a'"),
    (AGE, {"age": 0}, "a dict of arrays with the names 'age'"),
    ({"aeg": AGE}, {"age": 0}, "no 'age'; did you mean 'aeg'"),
    (AGE, (0, 0), "a tuple of 2 arrays"),
    ((AGE,), (0, 0), "a tuple of 2 arrays"),
])  # fmt: skip
def test_what_does_not_fit_is_reported_by_its_name(given: Any, like: Any, says: str) -> None:
    arrays, wrong = taken(given, like)
    assert arrays is None
    assert len(wrong) == 1 and says in wrong[0]


@pytest.mark.parametrize(("array", "dtype", "fits"), [
    (np.array([0, 255]), "uint8", True), (np.array([0, 256]), "uint8", False), (np.array([-1]), "uint64", False),
    (np.array([True]), "int8", True), (np.array([0, 1]), "bool", True), (np.array([2]), "bool", False),
    (np.array([2**24 + 1]), "int32", True), (np.array([], np.int64), "uint8", True),
])  # fmt: skip
def test_whole_numbers_come_in_the_dtype_of_the_training_or_are_refused(array: Any, dtype: str, fits: bool) -> None:
    problems = Problems()
    found = cast_whole(array, np.dtype(dtype), "x", problems)
    assert fits is not bool(problems.data)
    if fits:
        assert found is not None and found.dtype == dtype and found.tolist() == array.tolist()
    else:
        assert "this model was trained on" in problems.data[0]


def test_floats_and_a_network_of_floats_take_each_other_as_they_are() -> None:
    problems = Problems()
    for array, dtype in ((AGE, "int64"), (IMAGE, "float32"), (AGE, "float64")):
        assert cast_whole(array, np.dtype(dtype), "x", problems) is array
    assert not problems.data


def test_dtypes_are_given_as_the_shapes_are() -> None:
    shapes = {"tokens": (5,), "pair": ((1,), ())}
    assert as_dtypes({"tokens": "int64", "pair": (None, np.bool_)}, shapes) == {"x.tokens": "int64", "x.pair.1": "bool"}
    assert as_dtypes(np.uint8, (3,)) == {"x": "uint8"}
    assert as_dtypes(None, shapes) == {} == as_dtypes("float64", (3,))
