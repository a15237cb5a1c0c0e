"""The number whose chain rule is written out: how it is named, and which one is taken where none is.

    "0.weight[3,4]", ("0.weight", 3, 4)     a parameter of the model
    "x[3]", "x[0,3]", "x.age[0]"            an input; of several rows, the row comes first
    "petal length"                          a column of a table, by its name

A name without a place means the largest derivative in it.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.errors import ArgumentError, ArgumentTypeError, nearest
from fallline.graph.op import Array
from fallline.insight.pieces import Index
from fallline.nn.column import Category
from fallline.nn.encoder import Columns

FORMS = '"0.weight[3,4]" or ("0.weight", 3, 4), an input "x[3]", or a column\'s name'


@dataclass(frozen=True, slots=True)
class Chosen:
    """One number. path: of its array, index: its place there; value: itself. is_input: not a parameter."""

    path: str
    index: Index
    value: float
    derivative: float
    is_input: bool


def input_names(encoder: Columns | None) -> tuple[str, ...]:
    """The name of each number of a row behind an encoder: its column, and the level or place where it has several.

    () without an encoder, and where columns have no names of their own.
    """
    if encoder is None or encoder.names == tuple(map(str, range(len(encoder.names)))):
        return ()
    found: list[str] = []
    for one in encoder.columns:
        levels = one.levels if isinstance(one, Category) else ()
        if one.width == 1:
            found.append(one.name)
        elif len(levels) == one.width:
            found += [f"{one.name} = {level}" for level in levels]
        else:
            found += [f"{one.name}[{i}]" for i in range(one.width)]
    return tuple(found)


def choose(
    asked: Any, gradient: Mapping[str, Array], x_deltas: Mapping[str, Array], whole: Sequence[str],
    columns: Columns | None, values: Mapping[str, Array],
) -> Chosen:  # fmt: skip
    """The number that is asked for.

    gradient, x_deltas: d loss by path of a parameter, and by name of an input. whole: names of inputs that hold whole
    numbers. values: of all of these.
    Errors: ArgumentError for a name or a place that is not there; ArgumentTypeError for another form.
    """
    path, index = (None, None) if asked is None else parse(asked, {*gradient, *x_deltas, *whole}, columns)
    if path is None:
        if not gradient:
            if not x_deltas:
                raise ArgumentError("this network has no parameters and no continuous input, so there is no number "
                                    "whose derivative could be explained")  # fmt: skip
            path = next(iter(x_deltas))
        else:
            # Matrices first: in a bias the chain rule is less to look at.
            path = next((p for p, g in gradient.items() if g.ndim > 1), next(iter(gradient)))
    # A column may be called as the input or a parameter is: its bare name is the column, a place is the array's.
    is_array = path in gradient or path in x_deltas
    if columns is not None and path in columns.names and (index is None or not is_array):
        path, index = _of_column(path, index, columns, x_deltas)
    if path in whole:
        raise ArgumentError(
            f"{path} holds whole numbers, which have no derivative\n  try: the parameter that they choose from, one of "
            f"{', '.join(gradient):.100}"
        )
    derivatives = {**gradient, **x_deltas}
    if path not in derivatives:
        names = [*gradient, *x_deltas, *(() if columns is None else columns.names)]
        near = nearest(path, names)
        raise ArgumentError(f"unknown weight or input {path!r}{near or ': there are ' + ', '.join(names[:12])}")
    array = derivatives[path]
    index = largest(array) if index is None else _placed(path, index, array.shape, path in x_deltas)
    return Chosen(path, index, float(values[path][index]), float(array[index]), path in x_deltas)


def _of_column(
    name: str, index: Index | None, columns: Columns, x_deltas: Mapping[str, Array]
) -> tuple[str, Index | None]:
    """The input that a column becomes: of several numbers, that with the largest derivative."""
    first = 0
    for one in columns.columns:
        if one.name == name:
            break
        first += one.width
    (path, delta), *_ = x_deltas.items()
    if not one.width:
        raise ArgumentError(f"column {name!r} is not used by the network: it was the same in all training rows")
    if index is not None:
        row, place = (0, index[0]) if len(index) == 1 else (index[0], index[-1])
        if not 0 <= place < one.width:
            raise ArgumentError(f"column {name!r} becomes {one.width} numbers, and there is no {name}[{place}]")
        return path, (row, first + place)
    part = delta[:, first : first + one.width]
    row, place = largest(part)
    return path, (row, first + place)


def _placed(path: str, index: Index, shape: tuple[int, ...], is_input: bool) -> Index:
    if is_input and shape[0] == 1 and len(index) == len(shape) - 1:
        return (0, *_placed(path, index, shape[1:], False))
    if len(index) != len(shape) or any(not -n <= i < n for i, n in zip(index, shape)):
        shown = [str(n - 1) for n in shape]
        raise ArgumentError(
            f"there is no {path}[{','.join(map(str, index))}]: {path} has shape {shape}\n"
            f"  try: {path}[{','.join(shown)}], the last one"
        )
    return tuple(i % n for i, n in zip(index, shape))


def parse(asked: Any, known: set[str], columns: Columns | None) -> tuple[str, Index | None]:
    """("0.weight", (3, 4)) from "0.weight[3,4]" or ("0.weight", 3, 4); no index where none was given."""
    names = known | ({*columns.names} if columns is not None else set())
    if isinstance(asked, tuple | list) and asked and isinstance(asked[0], str):
        path, rest = asked[0], list(asked[1:])
    elif isinstance(asked, str):
        if asked.strip() in names:  # a column's name may hold brackets
            return asked.strip(), None
        path, bracket, inside = (
            asked.strip().rpartition("[") if asked.strip().endswith("]") else (asked.strip(), "", "")
        )
        if not bracket:
            path, bracket, inside = asked.strip().partition("[")
        rest = [part.strip() for part in inside.rstrip("] ").split(",")] if bracket else []
    else:
        raise ArgumentTypeError(f"weight is {FORMS}, got {asked!r}")
    try:
        index = tuple(int(part) if isinstance(part, str) else operator.index(part) for part in rest)
    except (TypeError, ValueError):
        raise ArgumentError(f"weight is {FORMS}, got {asked!r}") from None
    return path, index or None


def largest(array: Array) -> Index:
    return tuple(int(i) for i in np.unravel_index(int(np.abs(array).argmax()), array.shape))
