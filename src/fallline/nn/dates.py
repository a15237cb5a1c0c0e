"""Dates and times written in texts: ISO 8601, day or month first, names of months, times of the day."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.nn.notation import MISSING_NUMBERS

# Order of day, month and year; "time" is a time of the day alone.
FORMS = ("ymd", "dmy", "mdy", "time")
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december")  # fmt: skip
# The first of the hundred years that two digits mean where nothing else is known, as in POSIX; and the last year that
# they mean where a column shows that these hundred years cut it in two.
FIRST_YEAR, LAST_YEAR = 1969, 2039
# Years without a date, at least, before a column shows where its hundred years begin.
GAP = 20

_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2})?"
)
_AFTER = rf"(?:(?:T|,?\s+|:){_TIME})?"
_YEAR, _DAY = r"(?P<year>\d{4}|'?\d{2})", r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY, _MONTH = r"(?:[a-z]{3,9}\.?,?\s+)?", r"(?P<name>[a-z]{3,9})\.?"


_NAMED = (
    rf"{_WEEKDAY}{_DAY}[-/ .]+{_MONTH}[-/ ,.]+{_YEAR}{_AFTER}",
    rf"{_TIME},?\s+{_DAY}[-/ .]+{_MONTH}[-/ ,.]+{_YEAR}",
    rf"{_WEEKDAY}{_MONTH}[- ]+{_DAY},?[- ]+(?P<year>\d{{4}}){_AFTER}",
    rf"{_MONTH}[- ,]+(?P<year>\d{{4}})",
)
_DIGITS = r"(?P<{}>\d{{1,2}})(?P<mark>[-/. ])(?P<{}>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d{{2}}){}"
_TEXTS = {
    "ymd": (
        rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d{{1,2}})(?:(?P=mark)(?P<day>\d{{1,2}}){_AFTER})?",
        rf"(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}}){_AFTER}",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})T?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})",
        *_NAMED,
    ),
    "dmy": (_DIGITS.format("day", "month", _AFTER), *_NAMED),
    "mdy": (_DIGITS.format("month", "day", _AFTER), *_NAMED),
    "time": (_TIME,),
}
_ISO = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?"


@cache
def _patterns(form: str) -> tuple[re.Pattern[str], ...]:
    """The ways to write a form. Compiled where dates are read: it takes as long as importing several files."""
    return tuple(re.compile(text, re.ASCII | re.IGNORECASE) for text in _TEXTS[form])


def moment(text: str, form: str, first_year: int = FIRST_YEAR) -> datetime | None:
    """The moment that a text means, in UTC where it names a zone; None where it is none.

    first_year: of the hundred years that two digits mean.
    """
    part = _parts(text, form)
    return None if part is None else _made(part, first_year)


def _parts(text: str, form: str) -> dict[str, Any] | None:
    for one in _patterns(form):
        found = one.fullmatch(text.strip())
        if found is not None:
            return {name: part for name, part in found.groupdict().items() if part is not None}
    return None


def _two_digits(part: dict[str, Any]) -> int | None:
    year = part.get("year", "").lstrip("'")
    return int(year) if len(year) == 2 else None


def first_year_of(texts: Sequence[str], form: str) -> int:
    """The first of the hundred years that the two digits of these dates mean: those in which they lie closest together.

    6/1/62 and 6/1/06 are of 1962 and 2006, and not of 2062.
    """
    found = {_two_digits(part) for text in texts if (part := _parts(text, form)) is not None}
    years = sorted(year for year in found if year is not None)
    if not years:
        return FIRST_YEAR
    gaps = [(after - year) % 100 or 100 for year, after in zip(years, [*years[1:], years[0]])]
    widest = max(range(len(years)), key=gaps.__getitem__)
    if gaps[widest] < GAP:
        return FIRST_YEAR
    end, span = years[widest], 100 - gaps[widest]
    end += 2000 if end + 2000 <= LAST_YEAR else 1900
    if end - span >= FIRST_YEAR and end < FIRST_YEAR + 100:
        return FIRST_YEAR
    return end - span - (100 - span) // 2  # later dates than these are as likely as earlier ones


def _month_of(name: str) -> int:
    """1 to 12 by a month's name or its first three letters and more; 0 for another word."""
    return next((i for i, month in enumerate(MONTHS, 1) if month.startswith(name.lower())), 0)


def _made(part: dict[str, Any], first_year: int) -> datetime | None:
    month = int(part.get("month", 1)) if "name" not in part else _month_of(part["name"])
    year, digits = int(part.get("year", "1970").lstrip("'")), _two_digits(part)
    if digits is not None:
        year = first_year + (digits - first_year) % 100
    hour, half = int(part.get("hour", 0)), part.get("half", "").lower()[:1]
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    microsecond = int(part.get("fraction", "0").ljust(6, "0")[:6])
    try:
        made = datetime(
            year, month, int(part.get("day", 1)), hour, int(part.get("minute", 0)),
            min(int(part.get("second", 0)), 59), microsecond, _zone(part.get("zone")),
        )  # fmt: skip
        return made.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone:
    """Zones other than UTC are a sign, hours and minutes."""
    if text is None or text[0] not in "+-":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-ahead if text[0] == "-" else ahead)


def moments(
    texts: Sequence[str], form: str, missing: Sequence[str] = (), first_year: int = FIRST_YEAR
) -> tuple[Array, list[str]]:
    """The moments of these texts, datetime64[us], and the texts that are none, whose moments are NaT."""
    if form == "ymd" and texts and all(map(re.compile(_ISO, re.ASCII).fullmatch, texts)):
        try:
            return np.array(texts, "datetime64[us]"), []
        except ValueError:
            pass  # a day that is not in its month
    found, strange = np.full(len(texts), np.datetime64("NaT"), "datetime64[us]"), []
    for place, text in enumerate(texts):
        made = moment(text, form, first_year)
        if made is not None:
            found[place] = made
        elif text.strip().lower() not in MISSING_NUMBERS and text.strip() not in missing:
            strange.append(text)
    return found, strange
