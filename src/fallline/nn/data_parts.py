"""The parts of data as they are given: x, y, and weights where rows have them; or what to write instead."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from fallline.errors import nearest
from fallline.nn.intake import Problems

PARTS = ("x", "y", "weight")

# What to do with data in another form.
_INSTEAD: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (
        lambda data: isinstance(data, str | os.PathLike),
        "(x, y) of np.loadtxt(...), or `fallline train FILE`",
    ),
    (
        lambda data: isinstance(data, tuple | list) and bool(data) and all(_is_batch(row) for row in data),
        "a function that gives the batches of an epoch, data=lambda: iter(batches)",
    ),
    (
        lambda data: isinstance(data, tuple | list) and len(data) == 4,
        "data=(x, y), validation=(x_validation, y_validation)",
    ),
    (
        lambda data: isinstance(data, tuple | list) and bool(data) and all(_is_pair(row) for row in data),
        "(np.stack([x for x, y in data]), np.stack([y for x, y in data]))",
    ),
)


def _is_pair(row: Any) -> bool:
    return isinstance(row, tuple | list) and len(row) == 2


def _is_batch(row: Any) -> bool:
    """Whether a pair holds the targets of many rows, not of one."""
    return _is_pair(row) and getattr(row[0], "ndim", 0) > 1 and getattr(row[1], "ndim", 0) > 0


def parts_of(data: Any, what: str, problems: Problems) -> tuple[Any, Any, Any]:
    """x, y and weight of (x, y), (x, y, weight), a dict with these names, or anything with these attributes.

    weight is None where there are none; all are None after adding to `problems`.
    """
    if isinstance(data, Mapping) and {"x", "y"} <= data.keys():
        strange = [str(name) for name in data if name not in PARTS]
        if strange:
            problems.data.append(
                f"{what} has x, y and {strange[0]!r}{nearest(strange[0], PARTS)}\n"
                "  try: several inputs in a dict of their own, {'x': {'age': ..., 'image': ...}, 'y': ...}"
            )
        x, y, weight = (data.get(name) for name in PARTS)
    elif hasattr(data, "x") and hasattr(data, "y"):
        return data.x, data.y, getattr(data, "weight", None)
    elif isinstance(data, tuple | list) and len(data) in (2, 3) and not _are_rows(data):
        x, y, weight = (*data, None)[:3]
    else:
        seen = f"{len(data)} things" if isinstance(data, tuple | list) else type(data).__name__
        hint = next((hint for form, hint in _INSTEAD if form(data)), "(x, y), x an array of rows and y their targets")
        problems.data.append(f"{what} has to be a pair (x, y), got {seen}\n  try: {hint}")
        return None, None, None
    for name, part in (("x", x), ("y", y)):
        if part is None:
            problems.data.append(f"{name} of {what} is None")
    return x, y, weight


def _are_rows(data: Any) -> bool:
    """Whether three pairs (x, y) of a row each were given."""
    return len(data) == 3 and all(_is_pair(row) for row in data)
