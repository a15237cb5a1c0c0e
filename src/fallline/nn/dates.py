"""Dates and times written in texts: ISO 8601, day or month first, names of months, times of the day."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np

from fallline.graph.op import Array
from fallline.nn.notation import MISSING_NUMBERS

# Order of day, month and year; "time" is a time of the day alone.
FORMS = ("ymd", "dmy", "mdy", "time")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Two digits from here on are years of the last century, as in POSIX.
FIRST_TWO_DIGIT_YEAR = 69

_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2})?"
)
_AFTER = rf"(?:(?:T|,?\s+|:){_TIME})?"
_YEAR, _DAY = r"(?P<year>\d{4}|'?\d{2})", r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY, _MONTH = r"(?:[a-z]{3,9}\.?,?\s+)?", r"(?P<name>[a-z]{3,9})\.?"


def _compiled(*forms: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(form, re.ASCII | re.IGNORECASE) for form in forms)


_NAMED = (
    rf"{_WEEKDAY}{_DAY}[-/ .]+{_MONTH}[-/ ,.]+{_YEAR}{_AFTER}",
    rf"{_WEEKDAY}{_MONTH}[- ]+{_DAY},?[- ]+(?P<year>\d{{4}}){_AFTER}",
    rf"{_MONTH}[- ,]+(?P<year>\d{{4}})",
)
_DIGITS = r"(?P<{}>\d{{1,2}})(?P<mark>[-/. ])(?P<{}>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d{{2}}){}"
PATTERNS = {
    "ymd": _compiled(
        rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d{{1,2}})(?:(?P=mark)(?P<day>\d{{1,2}}){_AFTER})?",
        rf"(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}}){_AFTER}",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})T?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})",
        *_NAMED,
    ),
    "dmy": _compiled(_DIGITS.format("day", "month", _AFTER), *_NAMED),
    "mdy": _compiled(_DIGITS.format("month", "day", _AFTER), *_NAMED),
    "time": _compiled(_TIME),
}
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?", re.ASCII)


def moment(text: str, form: str) -> datetime | None:
    """The moment that a text means, in UTC where it names a zone; None where it is none."""
    for one in PATTERNS[form]:
        found = one.fullmatch(text.strip())
        if found is not None:
            return _made({name: part for name, part in found.groupdict().items() if part is not None})
    return None


def _made(part: dict[str, Any]) -> datetime | None:
    month = part.get("month")
    if "name" in part:
        short = part["name"].lower()[:3]
        month = MONTHS.index(short) + 1 if short in MONTHS else 0
    year = int(part.get("year", "1970").lstrip("'"))
    if "year" in part and len(part["year"].lstrip("'")) == 2:
        year += 1900 if year >= FIRST_TWO_DIGIT_YEAR else 2000
    hour, half = int(part.get("hour", 0)), part.get("half", "").lower()[:1]
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    microsecond = int(part.get("fraction", "0").ljust(6, "0")[:6])
    try:
        made = datetime(
            year, int(month or 1), int(part.get("day", 1)), hour, int(part.get("minute", 0)),
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


def moments(texts: Sequence[str], form: str, missing: Sequence[str] = ()) -> tuple[Array, list[str]]:
    """The moments of these texts, datetime64[us], and the texts that are none, whose moments are NaT."""
    if form == "ymd" and texts and all(map(_ISO.fullmatch, texts)):
        try:
            return np.array(texts, "datetime64[us]"), []
        except ValueError:
            pass  # a day that is not in its month
    found, strange = np.full(len(texts), np.datetime64("NaT"), "datetime64[us]"), []
    for place, text in enumerate(texts):
        made = moment(text, form)
        if made is not None:
            found[place] = made
        elif text.strip().lower() not in MISSING_NUMBERS and text.strip() not in missing:
            strange.append(text)
    return found, strange
