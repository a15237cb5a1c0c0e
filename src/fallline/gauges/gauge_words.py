"""A sample of gauges in words: each gauge in a line of a table, for a person who reads a terminal."""

from collections.abc import Mapping

import numpy as np

from fallline.gauges.gauge_table import GAUGES, Gauge
from fallline.graph.op import Array
from fallline.typesetting import number, table

DIGITS = 3
HEADERS = ("gauge", "least", "largest", "unit", "usual")


def lines_of(values: Mapping[str, Mapping[str, Array]]) -> list[tuple[str, str, str, str, str]]:
    """For each gauge of a sample its name, its least and its largest number with their paths, its unit, and the usual
    range, with a `!` where a number is outside; gauges that are pictures, and no numbers, are left out.

    values: by gauge and path, as an event Gauged has them.
    """
    found = []
    for name, by_path in values.items():
        one = GAUGES.get(name)
        own = numbers_of(one, by_path)
        if own:
            low, high = (at(own, pick) for pick in (min, max))
            unit = "" if one is None else one.unit
            found.append((name, low, high if len(own) > 1 else "", unit, usual(one, own)))
    return found


def numbers_of(one: Gauge | None, values: Mapping[str, Array]) -> dict[str, float]:
    """The single numbers of a gauge by path: the one of the whole network where it has one, of a short vector its ends.
    Parts with names of their own are left out."""
    whole = values.get("")
    if whole is not None and np.ndim(whole) == 1 and 0 < len(whole) <= 5:
        return {"least": float(whole[0]), "largest": float(whole[-1])}
    if whole is not None and np.ndim(whole) == 0:
        return {"": float(whole)}
    known = {} if one is None else one.parts
    return {path: float(value) for path, value in values.items() if np.ndim(value) == 0 and path not in known}


def at(values: Mapping[str, float], pick: object) -> str:
    """The least or the largest number, and where it is."""
    finite = {path: value for path, value in values.items() if np.isfinite(value)}
    if not finite:
        return "nan"
    path = (min if pick is min else max)(finite, key=finite.__getitem__)
    shown = "" if path in ("", "least", "largest") else f" {path}"
    return f"{number(finite[path], DIGITS)}{shown}"


def usual(one: Gauge | None, values: Mapping[str, float]) -> str:
    """The usual range, with a mark where one of the numbers is outside."""
    if one is None or one.healthy is None:
        return ""
    outside = any(one.is_healthy(value) is False for value in values.values() if np.isfinite(value))
    low, high = one.healthy
    return f"{number(low)} to {number(high)}{' !' if outside else ''}"


def read_out(values: Mapping[str, Mapping[str, Array]], *, width: int = 80, ascii_only: bool = False) -> str:
    """A sample as a table, one line a gauge, as `lines_of` gives it."""
    return table(lines_of(values), HEADERS, width=width, ascii_only=ascii_only)


__all__ = ["lines_of", "read_out"]
