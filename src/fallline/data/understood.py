"""Understood: one column of a table, its kind, how its cells are written, and what is noticed about it.

A column's kind follows from its cells alone: `understood` looks at no other column and at no target.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.data.writing import ENOUGH, WORDS, Written, written_as
from fallline.errors import ArgumentError, DataError, nearest
from fallline.nn import dates
from fallline.nn.column import PLAIN, written
from fallline.nn.notation import MISSING, Notation
from fallline.table import Texts, Values

# Rows looked at where there are more: evenly spaced.
MOST_ROWS = 1_000_000
# A column of texts of which fewer rows share theirs with another row has texts of their own.
SHARED = 0.2
# More levels than there are codes of two capital letters; and more than are worth sorting for three that are shown.
MOST_CODES, MOST_SORTED = 1000, 10_000
# What a person may call a column.
WISHES = {
    "number": "number", "category": "category", "date": "moment", "y/m/d": "moment", "d/m/y": "moment",
    "m/d/y": "moment", "time": "moment",
}  # fmt: skip
# Words for truth: those that differ in case alone are one level.
TRUTH = frozenset({"true", "false", "yes", "no", "y", "n", "t", "f", "on", "off", "1", "0"})
# The name of a first column that has none in its file.
UNNAMED = "column_1"
# Names that programs give to a column of names of the rows.
_ROW_NAME = re.compile(r"rownames|row\.names|Unnamed: 0(\.\d+)?")
# A column counts the rows where it rises, and not much beyond their number: some rows may have been left out.
GAPS = 1.1
# Names of columns that number the rows.
_ID = re.compile(
    r"(^|[^a-z])(ids?|uuid|guid|idx|index|row|rows|rownames?|rowid|obs|observation|serial|(unnamed|index level) \d+)$"
)


@dataclass(frozen=True, slots=True)
class Understood:
    """A column as it is understood.

    kind: "number", "category" or "moment". missing: rows without a value. distinct: values that differ. about: its
    range or its levels, in words. notation, form, strange, first_year: as in `writing.Written`. keeps: a text that
    else stands for a missing value and is a level here. left_out: why the network does not get it; "" where it does.
    marks: what a person should look at. asked: whether a person said the kind.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    about: str
    notation: Notation = PLAIN
    form: str = "ymd"
    strange: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    left_out: str = ""
    marks: tuple[str, ...] = ()
    asked: bool = False
    first_year: int = dates.FIRST_YEAR


def understood(name: str, values: Values, wish: str | None = None, decimal: str | None = None) -> Understood:
    """The column with these cells.

    wish: a word of WISHES, where a person says what it is. decimal: the mark before fractions, where it is known.
    Errors: ArgumentError for another word; DataError for dates of which nothing says whether the day or the month comes
    first.
    """
    if wish is not None and wish not in WISHES:
        raise ArgumentError(f"column {name!r} cannot be taken as {wish!r}{nearest(wish, WISHES)}: {', '.join(WISHES)}")
    values = values[:: -(-len(values) // MOST_ROWS)] if len(values) > MOST_ROWS else values
    wished = WISHES.get(wish or "")
    if isinstance(values, Texts):
        return _texts(name, values, wish, decimal)
    if wished == "category" or values.dtype.kind == "b":
        return _texts(name, written(values), "category", None)
    if values.dtype.kind == "M":
        return _moments(name, values)
    if wished == "moment" or (wished is None and _are_days(values)):
        return _texts(name, written(values), wish or "y/m/d", None)
    return _numbers(name, values, asked=wish is not None)


def _numbers(name: str, values: Any, how: Written = WORDS, asked: bool = False) -> Understood:
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    kinds = np.unique(known)
    about = f"{shortly(kinds[0])} to {shortly(kinds[-1])}" if len(kinds) > 5 else ", ".join(map(shortly, kinds))
    left_out = _no_news(len(kinds), len(known), len(values), about) if not asked else ""
    marks = []
    is_name = _ROW_NAME.fullmatch(name) is not None
    if (
        not left_out
        and not asked
        and len(kinds) == len(known) > 2
        and (is_name or bool(np.all(known == np.round(known))))
    ):
        counts = bool(np.all(np.diff(known) > 0)) and known[0] >= 0 and known[-1] <= GAPS * len(known)
        if is_name or _ID.search(_words(name)) or (counts and name in ("", UNNAMED)):
            left_out = "counts the rows" if counts else "a number of its own in every row"
        elif counts:
            marks.append("counts the rows")
    notation = replace(how.notation or PLAIN, missing=how.strange)
    if notation != replace(PLAIN, missing=how.strange) and how.example:
        about += f", as in {how.example}"
    return Understood(
        name, "number", len(values) - len(known), len(kinds), about, notation, strange=how.strange,
        left_out=left_out, marks=(*marks, *_of(how)), asked=asked,
    )  # fmt: skip


def _moments(name: str, values: Any, how: Written = WORDS, asked: bool = False) -> Understood:
    known = values[~np.isnat(values)]
    kinds = np.unique(known)
    unit = "D" if (known == known.astype("datetime64[D]")).all() and how.form != "time" else "m"
    first = (
        [str(moment.astype(f"datetime64[{unit}]")).replace("T", " ") for moment in kinds[[0, -1]]] if len(kinds) else []
    )
    about = " to ".join(first)
    about = about.replace("1970-01-01 ", "") if how.form == "time" else about
    about += f", as in {how.example}" if how.form in ("dmy", "mdy") and how.example else ""
    return Understood(
        name, "moment", len(values) - len(known), len(kinds), about, form=how.form or "ymd",
        strange=how.strange, left_out=_no_news(len(kinds), len(known), len(values), about), marks=_of(how), asked=asked,
        first_year=how.first_year,
    )  # fmt: skip


def _texts(name: str, texts: Texts, wish: str | None, decimal: str | None) -> Understood:
    counts = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.levels))
    there = np.flatnonzero(counts)
    levels = texts.levels if len(there) == len(counts) else tuple(texts.levels[place] for place in there)
    counts = counts[there]
    forms = {"y/m/d": "ymd", "d/m/y": "dmy", "m/d/y": "mdy", "time": "time"}
    wished, form = WISHES.get(wish or ""), forms.get(wish or "")
    how = WORDS
    if wished != "category" and not (texts.categorical and wish is None):
        how = written_as(levels, decimal, form)
    if wish is None and how.strange:
        strays = {*how.strange}
        if sum(n for level, n in zip(levels, counts) if level in strays) > (1 - ENOUGH) * len(texts):
            how = WORDS  # a word in so many rows is no accident
    if how.hard and wish is None:
        raise DataError(f"column {name!r}: {how.doubt}, and no row tells which\n"
                        f"  try: kinds={{{name!r}: 'd/m/y'}} (--as '{name}=d/m/y'), or 'm/d/y'")  # fmt: skip
    if wished == "moment" and how.form is None:
        raise DataError(f"column {name!r} cannot be taken as a date: {(levels or ('nothing',))[0]!r:.40} is none")
    if wished == "number" and how.notation is None:
        strange = Notation(decimal or ".").numbers(levels)[1]
        how = Written(notation=Notation(decimal or "."), strange=tuple(strange))
        if len(strange) == len(levels):
            raise DataError(f"column {name!r} cannot be taken as numbers: {(levels or ('nothing',))[0]!r:.40} is none")
    codes = texts.codes
    if how.form is not None:
        found = np.append(dates.moments(texts.levels, how.form, how.strange, how.first_year)[0], np.datetime64("NaT"))[
            codes
        ]
        return _moments(name, found, how, wish is not None)
    if how.notation is not None:
        found = np.append(how.notation.numbers(texts.levels)[0], np.nan)[codes]
        return _numbers(name, found, how, wish is not None)
    return _category(name, levels, counts, len(codes), wish is not None)


def _category(name: str, levels: Sequence[str], counts: Any, rows: int, asked: bool) -> Understood:
    keeps = kept_tokens(levels)
    gone = [place for place, level in enumerate(levels) if level.strip().lower() in MISSING and level not in keeps]
    if gone:
        kept = np.delete(np.arange(len(levels)), gone)
        levels, counts = [levels[int(place)] for place in kept], counts[kept]
    known = int(counts.sum())
    about = ", ".join(shown(level) for level in _commonest(levels, counts))
    about = about if len(levels) <= 3 else f"{about} and {len(levels) - 3} more"
    left_out = _no_news(len(levels), known, rows, about)
    marks = [f"{level!r} is a level here" for level in keeps]
    if not left_out and not asked and known > 2:
        shared = counts[counts > 1].sum()
        if shared < SHARED * known:
            left_out = "a text of its own in every row" if not shared else "a text of its own in nearly every row"
    folded = {level.strip().casefold() for level in levels} if not left_out else TRUTH
    if len(folded) < len(levels) and not folded <= TRUTH:
        marks.append("levels differ in blanks or in case alone")
    return Understood(
        name, "category", rows - known, len(levels), about, keeps=keeps, left_out=left_out, marks=tuple(marks),
        asked=asked,
    )  # fmt: skip


def _commonest(levels: Sequence[str], counts: Any) -> list[str]:
    """The three levels of most rows; of as many rows, by their names, where these are not too many to be sorted."""
    if len(levels) > MOST_SORTED:
        most = np.flatnonzero(counts >= np.partition(counts, -3)[-3])
        places = most[np.argsort(-counts[most], kind="stable")[:MOST_SORTED]].tolist()
    else:
        places = [*range(len(levels))]
    return [levels[place] for place in sorted(places, key=lambda place: (-counts[place], levels[place]))[:3]]


def kept_tokens(levels: Sequence[str]) -> tuple[str, ...]:
    """NA among codes of two capital letters, such as countries, is one of them and no missing value."""
    if len(levels) > MOST_CODES:
        return ()
    others = [level for level in levels if level.strip() and level.strip().lower() not in MISSING]
    alike = len(others) >= 4 and all(len(level.strip()) == 2 and level.strip().isupper() for level in others)
    return tuple(level for level in levels if alike and level.strip() == "NA")


def _are_days(values: Any) -> bool:
    """Whether whole numbers are days such as 20240229: all of them are, of several months."""
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if len(known) < 3 or known.min() < 19000101 or known.max() > 21001231:
        return False
    kinds = np.unique(known)
    if (
        len(kinds) < 3
        or len(kinds) > 200_000
        or (kinds != np.round(kinds)).any()
        or kinds[-1] // 100 == kinds[0] // 100
    ):
        return False
    return not dates.moments([str(int(kind)) for kind in kinds], "ymd")[1]


def _no_news(distinct: int, known: int, rows: int, about: str) -> str:
    """Why a column tells nothing: a single value; one that is missing in some rows tells rows apart."""
    if not known:
        return "no value in any row"
    return f"{about} in every row" if distinct == 1 and known == rows else ""


def _of(how: Written) -> tuple[str, ...]:
    marks = [how.doubt] if how.doubt else []
    if how.strange:
        more = f" and {len(how.strange) - 1} more" if len(how.strange) > 1 else ""
        marks.append(f"{how.strange[0]!r:.30}{more} taken as missing")
    return tuple(marks)


def _words(name: str) -> str:
    """PassengerId -> "passenger id"."""
    return re.sub(r"[_\W]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


def shortly(number: Any) -> str:
    """A number in a few characters."""
    return str(int(number)) if abs(number) < 1e9 and float(number).is_integer() else f"{float(number):.4g}"


def shown(level: str) -> str:
    """A level in a list of levels."""
    level = " ".join(level.split())
    return level if len(level) <= 20 else level[:17] + "..."
