"""One field of a file as it is written: whether it is a number, and if not, why."""

import math

from fallline.nn.notation import MISSING, NUMBER

DECIMAL_COMMA_HINT = "; numbers are written with a decimal point"


def is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.strip()) is not None


def is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def problem_of(field: str) -> str | None:
    """Why a field is not a finite number, or None if it is one."""
    text = field.strip()
    if text.lower() in MISSING:
        return "the value is missing" + (f" ({text!r})" if text else "")
    if NUMBER.fullmatch(text):
        return None if math.isfinite(float(text)) else f"{shown(text)} is beyond the largest number"
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return f"{shown(text)} is not finite"
    comma = text.count(",") == 1 and text.lstrip("+-").replace(",", "").isdecimal() and text.isascii()
    return f"{shown(text)} is not a number{DECIMAL_COMMA_HINT if comma else ''}"


def shown(text: str) -> str:
    """A field for a message, quoted and cut."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def count(n: int, noun: str) -> str:
    """`1 field`, `2 fields`."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
