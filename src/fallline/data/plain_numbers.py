"""A column of fields as numbers, where every field is a plain number whose writing tells nothing more than its value.

`02134`, numbers of 16 digits and more, and anything with a unit or a decimal comma stay texts as they are written.
"""

from typing import Any

import numpy as np

from fallline.arrays import Array
from fallline.data.arrow import as_numpy, as_texts
from fallline.data.fields import is_missing, is_number, shown
from fallline.nn.notation import MISSING

# Digits of a whole number that a float64 surely holds; one with more is rather an id.
MOST_DIGITS = 15
# Fields that are looked at before a whole column is.
GLANCE = 3


class BeyondRange(Exception):
    """A number that no float64 holds, in a row of a column of numbers. The arguments: row, and the field in words."""


def numbers(strings: Any) -> Array | None:
    """float64, or int64 where all fields are whole numbers and none is missing; None where a field is no plain number.

    strings: an Arrow array of texts, null where a field is empty.
    Errors: BeyondRange.
    """
    import pyarrow
    from pyarrow import compute

    for cell in strings.slice(0, GLANCE).to_pylist():
        if cell is not None and not is_number(cell) and not is_missing(cell) and not _is_infinite(cell):
            return None
    try:
        found = compute.cast(strings, pyarrow.float64())
    except pyarrow.ArrowInvalid:
        return _by_levels(strings)
    whole = not found.null_count and not _holds(strings, b".eEnN")
    values = as_numpy(found)
    if leading_zeros(strings):
        return None
    large = np.flatnonzero(np.abs(values) >= 10.0**MOST_DIGITS)
    for row in large.tolist():
        text = strings[row].as_py()
        if np.isinf(values[row]):
            if not _is_infinite(text):
                raise BeyondRange(row, f"{shown(text)} is beyond the largest number")
        elif text.lstrip("+-").isdecimal():
            return None
    return values.astype(np.int64) if whole else values


def _is_infinite(text: str) -> bool:
    return text.strip().lower().lstrip("+-") in ("inf", "infinity")


def _by_levels(strings: Any) -> Array | None:
    """The same where fields have blanks around them or words for missing values: by their distinct texts."""
    import pyarrow
    from pyarrow import compute

    coded = strings.dictionary_encode()
    trimmed = compute.utf8_trim_whitespace(coded.dictionary)
    gone = compute.is_in(compute.utf8_lower(trimmed), value_set=as_texts(sorted(MISSING)))
    levels = compute.if_else(gone, pyarrow.nulls(len(trimmed), pyarrow.string()), trimmed)
    try:
        compute.cast(levels, pyarrow.float64())
    except pyarrow.ArrowInvalid:
        return None
    try:
        found = numbers(levels)
    except BeyondRange as problem:
        row = np.flatnonzero(as_numpy(coded.indices, -1) == problem.args[0])[0]
        raise BeyondRange(int(row), problem.args[1]) from None
    if found is None:
        return None
    places = as_numpy(coded.indices, -1)
    if found.dtype == np.int64 and (places >= 0).all():
        found = np.append(found, 0)
    else:
        found = np.append(found.astype(np.float64), np.nan)
    values: Array = found[places]
    return values


def _parts(strings: Any) -> tuple[Array, Array]:
    """Offsets (N + 1,) and bytes of an Arrow array of texts."""
    _, offsets, data = strings.buffers()
    places = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return places, np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)


def _holds(strings: Any, characters: bytes) -> bool:
    places, data = _parts(strings)
    text = data[places[0] : places[-1]].tobytes() if len(places) > 1 else b""
    return any(code in text for code in (characters[i : i + 1] for i in range(len(characters))))


def leading_zeros(strings: Any) -> bool:
    """Whether a field begins with a zero and another digit, as post codes do."""
    places, data = _parts(strings)
    if len(data) < 2 or len(places) < 2:
        return False
    starts, ends = places[:-1], places[1:]
    first = data[np.minimum(starts, len(data) - 1)]
    signed = (first == ord("-")) | (first == ord("+"))
    if signed.any():
        starts = starts + signed
        first = data[np.minimum(starts, len(data) - 1)]
    zero = np.flatnonzero((first == ord("0")) & (ends - starts > 1))
    second = data[starts[zero] + 1]
    return bool(((second >= ord("0")) & (second <= ord("9"))).any())
