"""A header of a file: recognised by the columns that stand below it, and the names that it gives them."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from fallline.data.dataset import listed
from fallline.data.fields import is_missing, is_number, shown
from fallline.errors import DataError

DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:\d\d.*)?|\d{1,2}:\d\d(:\d\d.*)?", re.ASCII)

# How many times as many fields have to speak for a header, or for a row, where some speak for the other.
CLEARLY = 3
# Fewer texts than these don't show that a column has few.
FEW = 4


def has_header(
    fields: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str], expects: Sequence[str], place: str
) -> bool:
    """Whether the first record of a file names the columns of the records below it.

    A word over a column of numbers or dates is a name, and so are a number over words and a word that a column of few
    texts doesn't hold. A number over numbers is a value, and so is a text that comes again below. names, expects: known
    names of columns.
    Errors: DataError where both or neither are found.
    """
    if (names and tuple(fields) == tuple(names)) or any(name in fields for name in expects):
        return True
    if not rows:
        return not any(is_number(field) or DATE.fullmatch(field) for field in fields)
    named: list[str] = []
    valued: list[str] = []
    whole: list[str] = []
    for i, field in enumerate(fields):
        cells = [row[i].strip() for row in rows if i < len(row) and not is_missing(row[i])]
        if not cells or is_missing(field):
            continue
        measured = all(is_number(cell) or DATE.fullmatch(cell) for cell in cells)
        value = is_number(field) or DATE.fullmatch(field)
        if measured != bool(value) and (not value or not any(map(is_number, cells))):
            named.append(field)
        elif value:
            (whole if field.isdecimal() else valued).append(field)
        elif field in cells:
            valued.append(field)
        elif len(cells) >= FEW and len(set(cells)) <= len(cells) / 2:
            named.append(field)
    below = [[row[i] for i, field in enumerate(fields) if field in whole and i < len(row)] for row in rows]
    if _is_series(whole, below, len(whole) < len(fields)):
        if len(whole) == len(fields):
            raise doubt(fields, place)
        named += whole
    elif valued or named or len(whole) > 1:
        valued += whole
    elif whole:
        raise doubt(fields, place)
    if named and valued and max(len(named), len(valued)) < CLEARLY * min(len(named), len(valued)):
        raise doubt(fields, place)
    return len(named) >= len(valued)


def _is_series(fields: Sequence[str], rows: Sequence[Sequence[str]], beside: bool) -> bool:
    """Whether whole numbers name columns, as years and wavelengths do: in equal steps, as the numbers of no row are.

    beside: whether there are other fields, beside which a single year is enough where no row has one.
    """
    if len(fields) == 1:
        return beside and len(rows) >= FEW and _are_years(fields) and not any(map(_are_years, rows))
    if len(fields) == 2:
        return _steps(fields) and _are_years(fields) and not all(map(_are_years, rows))
    return len(fields) > 2 and _steps(fields) and not any(map(_steps, rows))


def _are_years(fields: Sequence[str]) -> bool:
    return all(len(field.strip()) == 4 and field.strip()[:2] in ("18", "19", "20") for field in fields)


def _steps(fields: Sequence[str]) -> bool:
    """Whether whole numbers ascend in equal steps."""
    if len(fields) < 2 or not all(field.strip().isdecimal() for field in fields):
        return False
    numbers = [int(field) for field in fields]
    return {b - a for a, b in pairwise(numbers)} == {max(1, numbers[1] - numbers[0])}


def doubt(fields: Sequence[str], place: str) -> DataError:
    told = ", ".join(map(shown, fields[:6])) + (" ..." if len(fields) > 6 else "")
    return DataError(
        f"{place}: does it name the columns, or is it a row? It holds {told}\n"
        "  try: header=True (--header), or header=False (--no-header)"
    )


def column_names(fields: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """Names of all columns, each once: `column_3` for one without, `a_2` for the second `a`."""
    names: list[str] = []
    nameless: list[str] = []
    again: list[str] = []
    times = Counter(fields)
    taken = set(fields)
    for i, field in enumerate(fields, 1):
        name = field or f"column_{i}"
        if field and times[field] > 1 and field in names:
            n = 2
            while f"{field}_{n}" in taken:
                n += 1
            name = f"{field}_{n}"
            again.append(name)
        elif not field and any(fields):
            nameless.append(name)
        taken.add(name)
        names.append(name)
    for called, how in ((nameless, "no name"), (again, "the name of another one")):
        if called:
            have = "column has" if len(called) == 1 else "columns have"
            notes.append(f"{len(called)} {have} {how}: called {listed(called, 3)}")
    return tuple(names)
