"""Notation: how the numbers of a column are written in texts, kept in the model so that new rows are read alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fallline.config import saved
from fallline.graph.op import Array

# Fields, without regard to case, that stand for a value that is not there.
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "#n/a", "<na>", "nat"})
# Fields that say so among numbers and dates, and may be a level among words.
MISSING_NUMBERS = MISSING | {
    "-", "--", "---", ".", "..", "*", "**", "none", "n.a.", "n.a", "nd", "n.d.", "missing", "unknown", "(null)", "nil",
    "undefined", "#null!", "#div/0!", "#value!", "#ref!", "#num!", "#name?",
}  # fmt: skip
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
INFINITE = {"inf": np.inf, "infinity": np.inf, "∞": np.inf}
# Blanks of any width, and the minus of typesetting.
PLAINER = str.maketrans({"\xa0": " ", "\u2009": " ", "\u202f": " ", "−": "-", "’": "'"})


@lru_cache(maxsize=64)
def pattern(decimal: str, group: str) -> re.Pattern[str]:
    """Digits in groups of three (the first ones may be two, as in 12,34,567), a fraction, an exponent."""
    d, g = re.escape(decimal), re.escape(group)
    whole = rf"(?:\d{{1,3}}(?:{g}\d{{2,3}})*{g}\d{{3}}|\d+)" if group else r"\d+"
    return re.compile(rf"(?:{whole}(?:{d}\d*)?|{d}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@saved
@dataclass(frozen=True)
class Notation:
    """How numbers are written.

    decimal: the mark before the fraction, "." or ",". group: the mark between thousands; "" for none. units: texts that
    may stand before or after a number and are left out, such as "$" or "kg"; "%" too. missing: texts that stand for no
    number. Parentheses around a number, and a minus after it, make it negative.
    Example: Notation(",", ".", ("EUR",)) reads "1.234,50 EUR" as 1234.5.
    """

    decimal: str = "."
    group: str = ""
    units: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def number(self, text: str) -> float | None:
        """The number that a text means; NaN for one that stands for a missing value, None where it is no number."""
        text = text.strip()
        if text.lower() in MISSING_NUMBERS or text in self.missing:
            return float("nan")
        text, negative = text.translate(PLAINER), False
        if text.startswith("(") and text.endswith(")"):
            text, negative = text[1:-1].strip(), True
        signed = False
        for _ in range(2):  # a sign may stand before or after a unit in front: -$5, $-5
            if text[:1] in "+-" and text and not signed:
                negative, text, signed = negative != (text[0] == "-"), text[1:].strip(), True
            for unit in self.units:
                text = text.removeprefix(unit).removesuffix(unit).strip()
        if text.endswith("-") and not signed:
            text, negative = text[:-1].strip(), not negative
        if text.lower() in INFINITE:
            return -np.inf if negative else np.inf
        if not pattern(self.decimal, self.group).fullmatch(text):
            return None
        if self.group:
            text = text.replace(self.group, "")
        value = float(text.replace(self.decimal, "."))
        return -value if negative else value

    def numbers(self, texts: Sequence[str]) -> tuple[Array, list[str]]:
        """The numbers of these texts, float64, and the texts that are none, whose numbers are NaN."""
        if self == Notation() and texts:
            joined = "".join(texts)
            # NumPy's parser also reads 1_000 and digits of other scripts.
            if joined.isascii() and "_" not in joined:
                try:
                    return np.array(texts, np.float64), []
                except ValueError:
                    pass
        found = [(text, self.number(text)) for text in texts]
        strange = [text for text, number in found if number is None]
        return np.array([np.nan if number is None else number for _, number in found], np.float64), strange
