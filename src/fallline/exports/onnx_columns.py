"""The form of each kind of column in ONNX: from raw values to the numbers of the network, in float64 as ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline.exports.onnx_writer import Writer

DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class KindForm:
    """A kind of column. written: from the values of its columns to their numbers, (N, sum of widths) float64.

    The values are (N, k) float64 for numbers, and the names of k arrays (N, 1) of texts for texts. unit: what a number
    is, in words. facts: from a column to what a reader of the file has to know of it.
    """

    written: Callable[[Writer, Any, Sequence[Any]], str]
    texts: bool = False
    missing: str = ""
    unit: str = ""
    facts: Callable[[Any], Mapping[str, Any]] = field(default=lambda one: {})


def standardised(w: Writer, x: str, columns: Sequence[Any]) -> str:
    mean, scale = np.array([(float(one.mean), float(one.scale)) for one in columns]).T
    return w.Div(w.Sub(x, mean), scale)


KIND_FORMS: Mapping[str, KindForm] = {
    "Standardised": KindForm(standardised),
}


def input_names(columns: Sequence[Any]) -> list[str]:
    """The name of the input of each column: its own. One without a name has its place."""
    names: list[str] = []
    taken = {one.name for one in columns}
    for place, one in enumerate(columns):
        name = one.name or f"column {place}"
        while not one.name and name in taken:
            name += "'"
        names.append(name)
    return names


def are_joined(columns: Sequence[Any]) -> bool:
    """Whether the columns are one input, (N, D): they are numbers, and their names only count them."""
    counted = [one.name for one in columns] == [*map(str, range(len(columns)))]
    return counted and not any(KIND_FORMS[type(one).__name__].texts for one in columns)


def encoded(w: Writer, columns: Sequence[Any], inputs: Sequence[str]) -> str:
    """The numbers of the network, (N, sum of widths) float64.

    inputs: the names of the columns' values, (N, 1) each; a single one, (N, D), where they are joined.
    """
    w.dtype = DOUBLE
    joined = len(inputs) == 1 < len(columns)
    starts = np.cumsum([0, *(one.width for one in columns)])
    parts, order = [], []
    for kind in dict.fromkeys(type(one) for one in columns):
        form = KIND_FORMS[kind.__name__]
        places = [i for i, one in enumerate(columns) if type(one) is kind]
        chosen = [columns[i] for i in places]
        values: Any
        if joined:
            values = inputs[0] if len(places) == len(columns) else w.Gather(inputs[0], np.array(places), axis=1)
        elif form.texts:
            values = [inputs[i] for i in places]
        else:
            values = inputs[places[0]] if len(places) == 1 else w.Concat(*(inputs[i] for i in places), axis=1)
        parts.append(form.written(w, values, chosen))
        order += [n for i in places for n in range(starts[i], starts[i + 1])]
    together = parts[0] if len(parts) == 1 else w.Concat(*parts, axis=1)
    return together if order == sorted(order) else w.Gather(together, np.argsort(order), axis=1)
