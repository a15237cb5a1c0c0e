"""The pair (x, y) in what was given as data, or what to write instead. Knows nothing of rows."""

import os
from collections.abc import Callable
from typing import Any

from fallline.nn.intake import Problems

# What to do with data in another form.
_PAIRS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (
        lambda data: isinstance(data, str | os.PathLike),
        "(x, y) of np.loadtxt(...), or `fallline train FILE`",
    ),
    (lambda data: isinstance(data, dict) and {"x", "y"} <= data.keys(), '(data["x"], data["y"])'),
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


def pair(data: Any, what: str, problems: Problems) -> tuple[Any, Any]:
    """x and y, or None for both, with a problem."""
    if hasattr(data, "x") and hasattr(data, "y"):
        return data.x, data.y
    if isinstance(data, tuple | list) and len(data) == 2:
        for name, part in zip("xy", data, strict=True):
            if part is None:
                problems.data.append(f"{name} of {what} is None")
        return data[0], data[1]
    seen = f"{len(data)} things" if isinstance(data, tuple | list) else type(data).__name__
    way = next((way for form, way in _PAIRS if form(data)), "(x, y), x an array of rows and y their targets")
    problems.data.append(f"{what} has to be a pair (x, y), got {seen}\n  try: {way}")
    return None, None
