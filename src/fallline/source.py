"""Source: rows of named arrays that are read a few at a time. Arrays in memory are one; a file may be another.

Names are "x", or "x.image", "x.age" ... where a row has several inputs, "y", and "weight" where rows have weights.
Knows no files, no models and no training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fallline import tree
from fallline.arguments import record
from fallline.arrays import Array
from fallline.errors import DataError
from fallline.tree import Tree

Shape = tuple[int, ...]
# The first parts of names.
PARTS = ("x", "y", "weight")


@record
@dataclass(frozen=True, slots=True)
class Form:
    """The form of one row under one name. shape: () for one number."""

    shape: Shape
    dtype: np.dtype[Any]


@runtime_checkable
class Source(Protocol):
    """Rows of named arrays.

    rows: how many there are. form: by name, the form of one row: "x" and "y"; "weight" where rows have one; "x.age"
        for each of several inputs. Any class with these three is one, and is given to a training as its data.
    Errors: what `read` raises ends the training, as an error of reading.
    Example:
        class Halves:
            rows, form = 100, {"x": fl.Form((1,), "float32"), "y": fl.Form((), "float64")}

            def read(self, rows, into):
                for name, array in into.items():
                    array[:] = rows[:, None] / 2 if name == "x" else rows
    """

    @property
    def rows(self) -> int: ...

    @property
    def form(self) -> Mapping[str, Form]: ...

    def read(self, rows: Array, into: Mapping[str, Array]) -> None:
        """Write row rows[i] of every name in `into` to into[name][i].

        rows: int64, each in 0 .. self.rows - 1, in any order and as often as wanted. into: arrays of
        len(rows) rows, C-contiguous, of the dtype in `form`.
        """
        ...


# Never a Source, and told apart from one in no time: a protocol is looked up name by name.
_PLAIN = (tuple, list, dict, str, bytes, int, float, np.ndarray, type(None))


def is_source(given: Any) -> bool:
    """Whether data of a caller are a Source."""
    return not isinstance(given, _PLAIN) and isinstance(given, Source)


@dataclass(frozen=True, eq=False, slots=True)
class Arrays:
    """The Source whose rows lie in memory, or are mapped there: arrays by name, (rows, *shape), never copied.

    Errors: DataError where there is no array, or their numbers of rows differ.
    Example: Arrays({"x": x, "y": y}).form["x"]
    """

    arrays: Mapping[str, Array]

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len({*lengths.values()}) != 1:
            lengths_text = ", ".join(f"{name} has {n}" for name, n in lengths.items()) or "there are no arrays"
            raise DataError(f"named arrays have one number of rows: {lengths_text}")

    @property
    def rows(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def form(self) -> Mapping[str, Form]:
        return {name: Form(array.shape[1:], array.dtype) for name, array in self.arrays.items()}

    def read(self, rows: Array, into: Mapping[str, Array]) -> None:
        for name, array in into.items():
            np.take(self.arrays[name], rows, axis=0, out=array, mode="clip")  # other modes copy through a buffer


def named(values: Tree, prefix: str = "x") -> dict[str, Any]:
    """The leaves of a tree by name: {"x": leaf} of a bare one, {"x.age": ..., "x.image": ...} of a dict."""
    return dict(tree.items(values, prefix))


def as_tree(of: Mapping[str, Any], like: Tree, prefix: str = "x") -> Tree:
    """The tree of this structure from its named leaves: the inverse of `named`."""
    return tree.unflatten(like, [of[name] for name in named(like, prefix)])
