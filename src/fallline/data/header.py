"""A header of a file: recognised by the columns that stand below it, and the names that it gives them."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from fallline.data.fields import is_missing, is_number, shown
from fallline.errors import DataError

DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:\d\d.*)?|\d{1,2}:\d\d(:\d\d.*)?", re.ASCII)


def has_header(
    fields: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str], expects: Sequence[str], place: str
) -> bool:
    """Whether the first record of a file names the columns of the records below it.

    A word over a column of numbers or dates is a name, and so is one that a column of few texts doesn't hold. A number
    over numbers is a value, and so is a text that comes again below. names, expects: known names of columns.
    Errors: DataError where both or neither are found.
    """
    if (names and tuple(fields) == tuple(names)) or any(name in fields for name in expects):
        return True
    if not rows:
        return not any(is_number(field) or DATE.fullmatch(field) for field in fields)
    named: list[str] = []
    valued: list[str] = []
    doubtful: list[str] = []
    for i, field in enumerate(fields):
        cells = [row[i].strip() for row in rows if i < len(row) and not is_missing(row[i])]
        if not cells or is_missing(field):
            continue
        measured = all(is_number(cell) or DATE.fullmatch(cell) for cell in cells)
        value = is_number(field) or DATE.fullmatch(field)
        if measured and not value:
            named.append(field)
        elif value:
            (doubtful if field.isdecimal() else valued).append(field)
        elif field in cells:
            valued.append(field)
        elif len(set(cells)) <= len(cells) / 2:
            named.append(field)
    # Years and wavelengths are numbers that name columns: in equal steps, and unlike any row.
    steps = _steps(doubtful)
    if steps and not any(
        _steps([row[fields.index(one)] for one in doubtful if fields.index(one) < len(row)]) for row in rows
    ):
        if named or len(doubtful) < len(fields):
            named += doubtful
        else:
            raise doubt(fields, place)
    elif len(doubtful) > 1 or len(doubtful) == len(fields):
        valued += doubtful
    if named and valued and len(valued) > len(doubtful) + len(named):
        named = []
    if (named and (valued or (doubtful and not steps))) or (doubtful and not valued and not named):
        raise doubt(fields, place)
    return not valued


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
        "  try: header=True, or header=False (--header, --no-header)"
    )


def column_names(fields: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """Names of all columns, each once: `column_3` for one without, `a_2` for the second `a`."""
    names: list[str] = []
    times = Counter(fields)
    taken = set(fields)
    for i, field in enumerate(fields, 1):
        name = field or f"column_{i}"
        if field and times[field] > 1 and field in names:
            n = 2
            while f"{field}_{n}" in taken:
                n += 1
            name = f"{field}_{n}"
            notes.append(f"column {i} is a second {field!r} and is called {name!r}")
        elif not field and any(fields):
            notes.append(f"column {i} has no name and is called {name!r}")
        taken.add(name)
        names.append(name)
    return tuple(names)
