"""Notation: how the numbers of a column are written in texts, kept in the model so that new rows are read alike."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fallline.config import saved
from fallline.graph.op import Array

# Fields, without regard to case, that stand for a value that is not there.
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null"})
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


@saved
@dataclass(frozen=True)
class Notation:
    """How numbers are written.

    decimal: the mark before the fraction, "." or ",". group: the mark between thousands; "" for none. units: texts that
    may stand before or after a number and are left out, such as "$" or "kg"; "%" too.
    Example: Notation(",", ".", ("EUR",)) reads "1.234,50 EUR" as 1234.5.
    """

    decimal: str = "."
    group: str = ""
    units: tuple[str, ...] = ()

    def number(self, text: str) -> float | None:
        """The number that a text means; NaN for one that stands for a missing value, None where it is no number."""
        text = text.strip()
        if text.lower() in MISSING:
            return float("nan")
        for unit in self.units:
            text = text.removeprefix(unit).removesuffix(unit).strip()
        if self.group:
            text = text.replace(self.group, "")
        if self.decimal != ".":
            text = text.replace(self.decimal, ".")
        return float(text) if NUMBER.fullmatch(text) else None

    def numbers(self, texts: Iterable[str]) -> tuple[Array, list[str]]:
        """The numbers of these texts, float64, and the texts that are none, whose numbers are NaN."""
        found = [(text, self.number(text)) for text in texts]
        strange = [text for text, number in found if number is None]
        return np.array([np.nan if number is None else number for _, number in found], np.float64), strange
