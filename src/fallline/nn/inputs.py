"""The inputs of a network: one array, or a dict or tuple of them, each with the form of a row. Knows no network.

Floats reach a network in the precision of its theta. Whole numbers, of any size, and bool reach it as they are.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import shown
from fallline.errors import ArgumentError, nearest
from fallline.graph.node import Node, new_input
from fallline.graph.op import Array, Shape
from fallline.nn.intake import Problems, as_numbers
from fallline.source import Form, as_tree, named
from fallline.tree import Tree

# Of inputs that stay whole numbers or bool: their dtypes by name. All others are floats.
Dtypes = Mapping[str, str]


def is_shape(given: Any) -> bool:
    """Whether this is the shape of one array: whole numbers, or none."""
    return isinstance(given, tuple | list) and all(isinstance(n, int | np.integer) for n in given)


def forms_of(shapes: Tree, dtypes: Dtypes, floats: Any, name: str = "x") -> Tree:
    """The forms of a network's inputs: those of `shapes`, a shape or a dict or tuple of shapes."""
    if is_shape(shapes):
        return Form(tuple(shapes), np.dtype(dtypes.get(name, floats)))
    parts = tree.children(shapes) or []
    return tree.rebuild(shapes, [forms_of(part, dtypes, floats, f"{name}.{key}") for key, part in parts])


def shapes_of(values: Tree) -> Tree:
    """The shape of one row of each array, or of each form."""
    return tree.map(lambda one: one.shape if isinstance(one, Form) else tuple(one.shape[1:]), values)


def dtypes_of(values: Tree) -> Dtypes:
    """The dtypes of the arrays that hold whole numbers or bool, by name."""
    return {name: one.dtype.name for name, one in named(values).items() if one.dtype.kind in "iub"}


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
    lengths = {name: len(array) for name, array in named(arrays, what).items()}
    if not lengths:
        problems.data.append(f"{what} holds no arrays, got {shown(given)}")
        return None
    if len({*lengths.values()}) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        problems.data.append(
            f"the inputs of a row stand in the same place of each array, and their lengths differ: {told}"
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


def settled(array: Array, dtype: np.dtype[Any], what: str, problems: Problems) -> Array | None:
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


def traced(forms: Tree, rows: int) -> tuple[Tree, list[Node]]:
    """Inputs of a graph in these forms, for so many rows: as the tree that a network takes, and in a list."""
    nodes = [new_input((rows, *form.shape), form.dtype, name) for name, form in named(forms).items()]
    return tree.unflatten(forms, nodes), nodes


def sizes(forms: Tree) -> list[Shape]:
    """The shapes of the inputs' rows, in a list."""
    return [form.shape for form in tree.leaves(forms)]


__all__ = [
    "Dtypes", "Form", "are_several", "as_arrays", "as_dtypes", "as_tree", "dtypes_of", "forms_of", "is_shape", "named",
    "settled", "shapes_of", "sizes", "traced",
]  # fmt: skip
