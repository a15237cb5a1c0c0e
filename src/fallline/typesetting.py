"""Numbers, lines and tables as text for a terminal: short, aligned, never wider than asked. Knows no picture."""

import math
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def number(value: Any, digits: int = 4) -> str:
    """A number in at most `digits` significant digits, short enough for a table."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | np.integer) and abs(int(value)) < 10**12:
        return f"{int(value):,}" if abs(int(value)) >= 10_000 else str(int(value))
    number_ = float(value) + 0.0  # -0.0 reads as 0
    if not math.isfinite(number_):
        return str(number_)
    if number_ and not 1e-4 <= abs(number_) < 10 ** max(digits, 6):
        mantissa, exponent = f"{number_:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
    text = f"{number_:.{digits}g}"
    return f"{number_:.0f}" if "e" in text else text


def cells(text: str) -> int:
    """How many columns a text takes: East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: object, width: int) -> str:
    """The text on one line of at most `width` columns, an ellipsis where it was cut, control characters as `?`."""
    clean = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in str(text))
    if cells(clean) <= width:
        return clean
    while clean and cells(clean) > width - 2:
        clean = clean[:-1]
    return (clean + "..")[: max(width, 0)]


def pad(text: str, width: int, right: bool = False) -> str:
    space = " " * (width - cells(text))
    return space + text if right else text + space


def words(text: str, width: int) -> str:
    """A paragraph, written in the source over several lines, wrapped to the width."""
    return textwrap.fill(" ".join(text.split()), max(width, 8), break_on_hyphens=False)


def table(
    rows: Iterable[Sequence[object]], headers: Sequence[str] = (), *, width: int = 100, ascii_only: bool = False
) -> str:
    """Rows under headers in aligned columns: numbers to the right, text to the left, the widest columns cut to fit."""
    body = [[number(c) if isinstance(c, int | float | np.number) else str(c) for c in row] for row in rows]
    raw = [list(row) for row in ([headers] if headers else [])] + body
    count = max((len(row) for row in raw), default=0)
    if not count:
        return ""
    raw = [[fit(c, width) for c in row] + [""] * (count - len(row)) for row in raw]
    lines = raw[1:] if headers else raw
    right = [all(_is_number(row[i]) for row in lines) and bool(lines) for i in range(count)]
    widths = [max(cells(row[i]) for row in raw) for i in range(count)]
    gap = 2
    while sum(widths) + gap * (count - 1) > width and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    out = [(" " * gap).join(pad(fit(c, w), w, r) for c, w, r in zip(row, widths, right)) for row in raw]
    out = [fit(line.rstrip(), width) for line in out]
    if headers:
        out.insert(1, (("-" if ascii_only else "─") * min(sum(widths) + gap * (count - 1), width)))
    return "\n".join(out)


def _is_number(text: str) -> bool:
    """A cell that is set to the right: nothing, or a number, perhaps with a sign before it and a unit after it."""
    parts = text.split()
    return not parts or (len(parts) < 3 and parts[0].lstrip("+-~<>=").lower().startswith(_NUMERIC))


_NUMERIC = (*"0123456789.", "nan", "inf")
