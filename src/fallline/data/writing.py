"""How the texts of a column are written: numbers with which marks and units, dates in which order, or words.

Decided by the whole column, on its distinct texts. Where several readings fit and mean different values, the
decision says so. Knows no table.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fallline.arrays import Array
from fallline.nn import dates
from fallline.nn.notation import INFINITE, MISSING_NUMBERS, PLAINER, Notation, pattern

# Of the distinct texts, the share that has to be numbers, or dates; the others then count as missing.
ENOUGH = 0.9
# Distinct texts that are looked at first, to turn away columns of words.
SAMPLE = 500
# Distinct texts from which on so few of them are enough to tell that these are words.
MANY = 10_000
# Digits of a whole number that float64 holds exactly; longer ones are names.
DIGITS = 15

CURRENCIES = frozenset(
    ("$", "€", "£", "¥", "₹", "₽", "₩", "₺", "₫", "฿", "₦", "₪", "₱", "R$", "US$", "A$", "C$", "Rs", "Rs.", "kr", "zł")
    + ("USD", "EUR", "GBP", "JPY", "CHF", "INR", "CNY", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF")
    + ("RUB", "BRL", "MXN", "ZAR", "KRW", "SGD", "HKD", "TRY")
)
# Signs that a number may have or lack within one column.
FREE_UNITS = CURRENCIES | {"%"}

_SHAPE = re.compile(
    r"[+-]?\s*(?P<before>[^\d\s.,()+-][^\d,()+-]{0,3})?\s*[+-]?\s*"
    r"(?P<core>(?:\d|[.,](?=\d))(?:[\d.,_']|[ ](?=\d))*(?:[eE][+-]?\d+(?![\w.]))?)"
    r"\s*(?P<after>[^\d\s.,()'_-][^\d()]{0,11})?-?"
)
# (decimal, group), the first that fits all is taken unless another one fits as well and means other numbers.
_MARKS = ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))


@dataclass(frozen=True, slots=True)
class Written:
    """A column of texts, understood. notation: of numbers; form: of dates; neither: words.

    strange: texts that are neither and count as missing. doubt: another reading that fits too, in words; hard: it
    would be a guess to take one. example: one of the texts. first_year: of the hundred that two digits mean.
    """

    notation: Notation | None = None
    form: str | None = None
    strange: tuple[str, ...] = ()
    doubt: str = ""
    hard: bool = False
    example: str = ""
    first_year: int = dates.FIRST_YEAR


WORDS = Written()


def written_as(levels: Sequence[str], decimal: str | None = None, form: str | None = None) -> Written:
    """How these distinct texts are written.

    decimal: the mark before a fraction, where a person or the rest of the file says it. form: of dates, where a person
    says it; then all is dates.
    """
    if form is None and len(levels) > MANY and not _looks_written(levels[:: len(levels) // SAMPLE]):
        return WORDS
    texts = [text for text in levels if text.strip().lower() not in MISSING_NUMBERS]
    if not texts:
        return WORDS
    step = max(1, len(texts) // SAMPLE)
    return _dates(texts, texts[::step], form) or (None if form else _numbers(texts, texts[::step], decimal)) or WORDS


def _looks_written(levels: Sequence[str]) -> bool:
    """Whether about half of these texts, or more, may be numbers or dates."""
    texts = [text for text in levels if text.strip().lower() not in MISSING_NUMBERS]
    found = sum(_parts(text) is not None or any(dates.moment(text, one) for one in dates.FORMS) for text in texts)
    return 2 * found >= len(texts)


def _dates(texts: Sequence[str], sample: Sequence[str], form: str | None) -> Written | None:
    forms = [form] if form else [*dates.FORMS]
    fits = {one: sum(dates.moment(text, one) is not None for text in sample) for one in forms}
    most = max(fits.values())
    if not most or (form is None and most < ENOUGH * len(sample)):
        return None
    found = {one: dates.moments(texts, one) for one in forms if fits[one] >= ENOUGH * most}
    fewest = min(len(strange) for _, strange in found.values())
    best = [one for one in found if len(found[one][1]) == fewest]
    if form is None and fewest > (1 - ENOUGH) * len(texts):
        return None
    first, doubt = best[0], ""
    values, strange = found[first]
    others = [one for one in best[1:] if not np.array_equal(found[one][0], values, equal_nan=True)]
    # Points between day, month and year mean that order; and days that are all the first of a month, one of months.
    if others and {first, *others} == {"dmy", "mdy"} and not all(re.match(r"\d+\.", text.strip()) for text in texts):
        monthly = [one for one in (first, *others) if _are_monthly(found[one][0])]
        first = monthly[0] if len(monthly) == 1 else first
        values, strange = found[first]
        others = [] if len(monthly) == 1 else others
    else:
        others = []
    if others:
        row = next(place for place, (a, b) in enumerate(zip(values, found[others[0]][0])) if a != b)
        doubt = f"{texts[row]!r} may be day/month or month/day"
    wrong = {*strange}
    good = [text for text in texts if text not in wrong]
    # A day beyond 12 shows the order.
    other = {"dmy": "mdy", "mdy": "dmy"}.get(first)
    telling = (text for text in good if other and dates.moment(text, other) is None)
    example = next(telling, good[0] if good else "")
    return Written(None, first, tuple(strange), doubt, bool(doubt), example.strip(), dates.first_year_of(sample, first))


def _are_monthly(moments: Array) -> bool:
    """Whether these moments are the first days of several months."""
    days = np.unique(moments[~np.isnat(moments)].astype("datetime64[D]"))
    months = days.astype("datetime64[M]")
    return len(np.unique(months)) > 2 and bool((days == months).all())


def _parts(text: str) -> tuple[str, str, str] | None:
    """Unit before, digits with their marks, unit after."""
    text = text.strip().translate(PLAINER)
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if text.lower().lstrip("+-") in INFINITE:
        return "", "0", ""
    found = _SHAPE.fullmatch(text)
    return ((found["before"] or "").strip(), found["core"], (found["after"] or "").strip()) if found else None


def _numbers(texts: Sequence[str], sample: Sequence[str], decimal: str | None) -> Written | None:
    if sum(_parts(text) is not None for text in sample) < ENOUGH * len(sample):
        return None
    parts = {text: part for text in texts if (part := _parts(text)) is not None}
    units = _units([*parts.values()], len(texts))
    if units is None or len(parts) < ENOUGH * len(texts):
        return None
    cores = [core for _, core, _ in parts.values()]
    if _are_codes(cores):
        return None
    marks, doubt = _marks(cores, decimal)
    if marks is None:
        return None
    notation = Notation(*marks, units)
    strange = notation.numbers(texts)[1]
    if len(strange) > (1 - ENOUGH) * len(texts):
        return None
    example = max((text.strip() for text in texts if text in parts), key=len)
    return Written(notation=notation, strange=tuple(strange), doubt=doubt, example=example)


def _units(parts: Sequence[tuple[str, str, str]], total: int) -> tuple[str, ...] | None:
    """Texts around the numbers that may be left out; None where they tell numbers apart."""
    counts = Counter(unit for before, _, after in parts for unit in {before, after} if unit)
    if any(before and before not in CURRENCIES for before, _, _ in parts):
        return None
    free = [unit for unit in counts if unit in FREE_UNITS]
    other = [unit for unit in counts if unit not in FREE_UNITS]
    if len({unit for unit in free if unit != "%"}) > 1 or ("%" in free and len(counts) > 1):
        return None  # several currencies cannot be compared
    if other and (len(other) > 1 or counts[other[0]] < ENOUGH * total):
        return None
    return tuple(sorted(counts, key=len, reverse=True))


def _are_codes(cores: Sequence[str]) -> bool:
    """Zeros in front, or more digits than a number holds: names, made of digits."""
    plain = [core for core in cores if core.isdigit()]
    return any(len(core) > 1 and core[0] == "0" for core in plain) or any(len(core) > DIGITS for core in plain)


def _marks(cores: Sequence[str], decimal: str | None) -> tuple[tuple[str, str] | None, str]:
    """The decimal mark and the one between thousands that fit most; and a doubt, where others fit too."""
    if not any(mark in core for core in cores for mark in ",. '"):
        return (".", ""), ""
    fits = [sum(pattern(*marks).fullmatch(core) is not None for core in cores) for marks in _MARKS]
    most = max(fits)
    if most < ENOUGH * len(cores):
        return None, ""
    best = [marks for marks, count in zip(_MARKS, fits) if count == most and (decimal is None or marks[0] == decimal)]
    best = best or [marks for marks, count in zip(_MARKS, fits) if count == most]
    for mark in ".,":
        other = {".": ",", ",": "."}[mark]
        as_decimal, as_group = (mark, ""), (other, mark)
        if best[0] in (as_decimal, as_group) and as_decimal in best and as_group in best:
            # 1,234 among 999 and no 0,5: thousands; 1.234 is what programs write.
            example = next(core for core in cores if mark in core)
            split = any(mark not in core for core in cores) and mark == ","
            chosen = as_group if split or mark == "," else as_decimal
            value = example.replace(mark, "" if chosen is as_group else ".")
            return chosen, f"{example!r} is taken as {value}"
    return best[0], ""
