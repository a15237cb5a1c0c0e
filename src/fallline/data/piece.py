"""Piece: consecutive rows of a file, column by column, before it is known whether all rows of a column are numbers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fallline.arrays import Array
from fallline.data.arrow import as_numpy
from fallline.data.reading import Reading
from fallline.errors import DataError
from fallline.table import MOMENT


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows. columns: numbers and moments as arrays; texts as an Arrow array, null where missing.

    lines: the line at which each row begins, from 1; None where the file has no lines.
    """

    columns: Mapping[str, Any]
    lines: Array | None
    rows: int


def blank_columns(reading: Reading, wanted: Collection[str], rows: int) -> dict[str, Any]:
    """The columns whose cells are not read, all missing."""
    import pyarrow

    return {name: pyarrow.nulls(rows, pyarrow.string()) for name in wanted if name in reading.blank}


def strange(place: str, kind: Any) -> str | None:
    """Why a column of this Arrow type cannot be read, or None."""
    from pyarrow import types

    if types.is_nested(kind) or types.is_interval(kind):
        return f"{place} holds {kind}; columns hold numbers, texts or dates\n  try: leaving the column out (--drop)"
    return None


def cells_of(column: Any, place: str, written: bool = False) -> Any:
    """A typed Arrow array as a Piece holds it: what is text stays text. written: as texts, whatever the type.

    Errors: DataError for cells that are no numbers, texts or dates.
    """
    import pyarrow
    from pyarrow import compute, types

    kind = column.type
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_string(kind):
        return column
    if written and not types.is_nested(kind):
        return compute.cast(column, pyarrow.string())
    if types.is_large_string(kind) or types.is_string_view(kind):
        return compute.cast(column, pyarrow.string())
    if types.is_null(kind):
        return compute.cast(column, pyarrow.string())
    if types.is_boolean(kind) and column.null_count:
        return compute.if_else(column, "true", "false")
    if types.is_timestamp(kind) or types.is_date(kind):
        found: Array = compute.cast(column, pyarrow.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)
        return found.astype(MOMENT)
    if types.is_duration(kind) or types.is_time(kind):
        unit = pyarrow.duration("us") if types.is_duration(kind) else pyarrow.time64("us")
        micro = compute.cast(compute.cast(column, unit), pyarrow.int64())
        return as_numpy(compute.divide(compute.cast(micro, pyarrow.float64()), 1e6))
    if types.is_decimal(kind) or types.is_float16(kind) or (types.is_integer(kind) and column.null_count):
        if types.is_integer(kind) and _wide(column):
            return compute.cast(column, pyarrow.string())
        return as_numpy(compute.cast(column, pyarrow.float64(), safe=False))
    if types.is_integer(kind) or types.is_floating(kind):
        return as_numpy(column)
    if types.is_boolean(kind):
        return column.to_numpy(zero_copy_only=False)
    if types.is_binary(kind) or types.is_large_binary(kind):
        try:
            return compute.cast(column, pyarrow.string())
        except pyarrow.ArrowInvalid:
            pass
    raise DataError(strange(place, kind) or f"{place} holds {kind}, which is no number, text or date")


def _wide(column: Any) -> bool:
    """Whether whole numbers are beyond those that a float64 holds exactly."""
    from pyarrow import compute

    extremes = compute.min_max(column).as_py()
    return any(value is not None and abs(value) > 2**53 for value in extremes.values())
