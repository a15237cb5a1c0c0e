"""From x as a caller gives it to the arrays of a network's inputs, or all that is wrong with it. Knows no network."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import shown
from fallline.errors import ArgumentError, DataError, ShapeError, nearest
from fallline.graph.op import Array, Shape
from fallline.nn.data_parts import is_stream
from fallline.nn.encoder import Columns
from fallline.nn.forms import Dtypes, is_shape
from fallline.nn.given import as_shape, row_hint
from fallline.nn.intake import Problems, as_numbers
from fallline.nn.layer import with_batch
from fallline.source import Form, named
from fallline.tree import Tree


def are_several(given: Any) -> bool:
    """Whether x is given as several arrays: a dict of them, or a tuple whose every entry is an array with rows.

    A list of arrays is a list of rows, as it is for NumPy.
    """
    if isinstance(given, tuple) and given:
        return all(are_several(one) or (hasattr(one, "dtype") and getattr(one, "ndim", 0) > 0) for one in given)
    return isinstance(given, Mapping) and not hasattr(given, "dtype")


def as_arrays(given: Any, what: str, problems: Problems, like: Tree = None) -> Tree | None:
    """The inputs as arrays of native numbers with one number of rows; None after adding to `problems`.

    like: the forms of a known network's inputs, whose structure this has to have; None takes any.
    """
    found = len(problems.data)
    arrays = _arrays(given, what, problems, like)
    if len(problems.data) > found:
        return None
    names = [name for name, _ in tree.items(arrays, what)]
    twice = [name for name in names if names.count(name) > 1] if len({*names}) < len(names) else []
    if twice:
        problems.data.append(f"two inputs are called {twice[0]!r}, one by a key with a dot\n  try: keys without dots")
        return None
    lengths = {name: len(array) for name, array in named(arrays, what).items()}
    if not lengths:
        problems.data.append(f"{what} holds no arrays, got {shown(given)}")
        return None
    if len({*lengths.values()}) > 1:
        lengths_text = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        problems.data.append(
            f"the inputs of a row stand in the same place of each array, and their lengths differ: {lengths_text}"
        )
        return None
    return arrays


def _arrays(given: Any, what: str, problems: Problems, like: Tree) -> Tree:
    parts = None if like is None else tree.children(like)
    if like is None and are_several(given):
        parts = tree.children(dict(given) if isinstance(given, Mapping) else given)
        like = dict.fromkeys(given) if isinstance(given, Mapping) else given
        if not parts or any(one is None for _, one in parts):
            problems.data.append(f"{what} holds no array under a name, got {shown(given)}")
            return None
        strange = [key for key in given if not isinstance(key, str)] if isinstance(given, Mapping) else []
        if strange:
            told = f"the inputs of {what} are named by texts, got the key {strange[0]!r}"
            problems.data.append(f"{told}\n  try: {{str(key): array for key, array in {what}.items()}}")
            return None
        parts = [(key, None) for key, _ in parts]
    if parts is None:
        return as_numbers(given, what, problems)
    if isinstance(like, dict):
        if not isinstance(given, Mapping):
            names = ", ".join(repr(key) for key, _ in parts)
            problems.data.append(
                f"{what} has several inputs, a dict of arrays with the names {names}, got {shown(given)}"
            )
            return None
        missing = [key for key in like if key not in given]
        if missing:
            strange = [str(key) for key in given if key not in like]
            wrong = nearest(str(missing[0]), strange)
            problems.data.append(f"{what} has no {missing[0]!r}{wrong}")
            return None
        children = [(str(key), given[key]) for key in sorted(like)]
    else:
        if not isinstance(given, tuple | list) or len(given) != len(parts):
            problems.data.append(f"{what} has several inputs, a tuple of {len(parts)} arrays, got {shown(given)}")
            return None
        children = [(str(i), one) for i, one in enumerate(given)]
    made = [
        _arrays(one, f"{what}.{key}", problems, inner) for (key, one), (_, inner) in zip(children, parts, strict=True)
    ]
    return tree.rebuild(like, made)


def cast_whole(array: Array, dtype: np.dtype[Any], what: str, problems: Problems) -> Array | None:
    """Numbers in the dtype in which a network takes them, where they are whole; floats stay as they are.

    dtype: a float's takes all; another takes whole numbers that it holds. None after adding to `problems`.
    """
    if array.dtype.kind == "f" or dtype.kind == "f" or array.dtype == dtype:
        return array
    if not np.can_cast(array.dtype, dtype) and array.size:
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        least, most = int(array.min()), int(array.max())
        if least < low or most > high:
            problems.data.append(
                f"{what} holds {least if least < low else most}, and this model was trained on {dtype} numbers, "
                f"{low}..{high}\n  try: {what}.astype(float), for numbers of any size"
            )
            return None
    return array.astype(dtype)


def as_rows(x: Any, forms: Tree, encoder: Columns | None) -> Tree:
    """x as a model's network reads it: rows of the right form, encoded where there is an encoder.

    Errors: ShapeError for another shape; DataError for a value that is no array of numbers, and for NaN before an
        encoder.
    """
    problems, dtypes = Problems(), {name: form.dtype for name, form in named(forms).items()}
    if encoder is not None:
        numbers = encoder.numbers(x, "x", problems)
        problems.raise_if_any()
        array = _one(numbers, x, (len(encoder.columns),))
        encoder.are_finite(array, "x", problems)
        problems.raise_if_any()
        return encoder.encode(array, *dtypes.values())
    if isinstance(forms, Form):
        arrays: Tree = _one(x, x, forms.shape)
    else:
        arrays = as_arrays(x, "x", problems, forms)
        problems.raise_if_any()
        for (name, array), form in zip(named(arrays).items(), named(forms).values(), strict=True):
            if array.shape[1:] != form.shape:
                raise ShapeError(f"{name} has shape {array.shape}, and this model takes {with_batch(form.shape)}")
    if all(dtype.kind == "f" for dtype in dtypes.values()):
        return arrays
    whole = [cast_whole(array, dtypes[name], name, problems) for name, array in named(arrays).items()]
    problems.raise_if_any()
    return tree.unflatten(arrays, whole)


def _one(x: Any, given: Any, row: Shape) -> Array:
    """x of one input as an array of rows of the right shape, its numbers not looked at."""
    problems = Problems()
    array = as_numbers(x, "x", problems)
    if array is None and is_stream(x):
        raise DataError(f"{problems.data[0]}\n  try: np.concatenate([model.predict(x) for x in batches])")
    problems.raise_if_any()
    assert array is not None  # what as_numbers cannot read is a problem, raised above
    if array.size == 0 and array.shape[:1] == (0,):
        return array.reshape(0, *row)
    if array.shape[1:] != row:
        message = f"x has shape {array.shape}, and this model takes {with_batch(row)}"
        raise ShapeError(message + row_hint(given, array, row))
    return array


def as_dtypes(given: Any, shapes: Tree) -> Dtypes:
    """`input_dtype` of a model's making: None, a dtype, or a dict or tuple of such, None where floats are meant."""
    found: dict[str, str] = {}

    def look(given: Any, shapes: Tree, name: str) -> None:
        if given is None:
            return
        if is_shape(shapes):
            try:
                dtype = np.dtype(given)
            except TypeError:
                raise ArgumentError(f"input_dtype is a dtype such as 'int64' or 'uint8', got {given!r}") from None
            if dtype.kind not in "fiub" or dtype.itemsize > 8:
                raise ArgumentError(f"input_dtype is one of real numbers, got {dtype}")
            if dtype.kind != "f":
                found[name] = dtype.name
            return
        for key, part in tree.children(shapes) or []:
            inner = given.get(key) if isinstance(given, Mapping) else given
            if isinstance(given, tuple | list):
                inner = given[int(key)]
            look(inner, part, f"{name}.{key}")

    look(given, shapes, "x")
    return found


def dtypes_to_tree(dtypes: Dtypes, shapes: Tree, name: str = "x") -> Any:
    """Dtypes by name as a tree like that of the shapes, None for floats."""
    if is_shape(shapes):
        return dtypes.get(name)
    parts = tree.children(shapes) or []
    return tree.rebuild(shapes, [dtypes_to_tree(dtypes, part, f"{name}.{key}") for key, part in parts])


def shapes_to_config(shapes: Tree) -> Any:
    """Shapes as JSON; `forms_of` takes them back, with tuples as lists."""
    if is_shape(shapes):
        return [int(n) for n in shapes]
    parts = [shapes_to_config(part) for _, part in tree.children(shapes) or []]
    return dict(zip(sorted(shapes), parts)) if isinstance(shapes, dict) else parts


def as_shapes(given: Any) -> Tree:
    """`input_shape` as it is kept: a shape as a tuple, or a dict or tuple of shapes; a whole number D is (D,).

    Errors: ArgumentError for anything else.
    """
    if isinstance(given, Mapping) and given and all(isinstance(key, str) for key in given):
        return {key: as_shapes(part) for key, part in given.items()}
    if isinstance(given, tuple | list) and given and not any(isinstance(part, int | np.integer) for part in given):
        return tuple(as_shapes(part) for part in given)
    return as_shape(given)
