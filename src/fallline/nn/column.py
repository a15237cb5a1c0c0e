"""Kinds of column of an encoder: each reads the cells of a table as one number a row, and turns these into the numbers
that the network gets. A kind is one class, entered by `@column`, and saved with the model.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from fallline import ranges
from fallline.config import enter, saved
from fallline.errors import ArgumentError, ArgumentTypeError, DataError
from fallline.graph.op import Array
from fallline.nn import dates
from fallline.nn.notation import NUMBER, Notation
from fallline.ranges import option, required
from fallline.table import Texts, Values

# Levels up to which a category is one-hot; more are codes, for a layer that embeds them.
MOST_ONE_HOT = 8
# Plain numbers with a point.
PLAIN = Notation()
# Numbers beyond so many spreads are all but alike: x / sqrt(1 + (x / 3)^2) stays below 3.
CLIP = 3.0


class Column(Protocol):
    """One column of a table. name: as its file calls it. width: numbers that the network gets for it.

    takes_missing: whether a number may be NaN, for a value that is not there.
    """

    takes_missing: bool

    @property
    def name(self) -> str: ...

    @property
    def width(self) -> int: ...

    def read(self, values: Values) -> Array:
        """One number a row, float64, NaN where the value is missing. Errors: DataError for cells of another kind."""
        ...

    @staticmethod
    def together(columns: Sequence[Any]) -> Callable[[Array], Array]:
        """From the numbers of these columns, (N, k) float64, to those of the network, (N, sum of their widths)."""
        ...


KINDS: dict[str, type[Column]] = {}
C = TypeVar("C", bound=type)


def column(kind: C) -> C:
    """Enter a kind of column, so that tables may have columns of it."""
    enter(KINDS, kind.__name__, kind, "kinds of column")
    return saved(kind)


def named(record: Any, name: Any) -> None:
    """Errors: ArgumentTypeError for a name that is no text."""
    if not isinstance(name, str):
        raise ArgumentTypeError(f"{type(record).__name__}: a name is a text, got {name!r}")


def numbers_of(name: str, values: Values, notation: Notation | None = None) -> Array:
    """A column of numbers, float64. Errors: DataError for texts that are no numbers, and for moments."""
    if isinstance(values, Texts):
        numbers, strange = (notation or PLAIN).numbers(values.levels)
        check_known(name, values, strange, "numbers")
        found: Array = np.append(numbers, np.nan)[values.codes]
        return found
    if values.dtype.kind == "M" and np.isnat(values).all():
        return np.full(len(values), np.nan)
    if values.dtype.kind == "M":
        raise DataError(f"column {name!r} holds numbers, got dates")
    return values.astype(np.float64, copy=False)


def check_known(name: str, values: Texts, strange: Sequence[str], what: str) -> None:
    """Errors: DataError for rows with one of these texts, naming the first."""
    if not strange:
        return
    unknown = {*strange}
    places = np.array([place for place, level in enumerate(values.levels) if level in unknown])
    rows = np.flatnonzero(np.isin(values.codes, places))
    if len(rows):
        kinds = len(np.unique(values.codes[rows]))
        more = f", and {kinds - 1} more texts" if kinds > 1 else ""
        raise DataError(
            f"column {name!r} holds {what}, got {values.levels[values.codes[rows[0]]]!r:.50} in row {rows[0]}{more}"
        )


@column
@dataclass(frozen=True)
class Standardised:
    """A column of numbers, moved and scaled: (value - mean) / scale.

    name: as in the file. mean, scale: in the units of the column; scale is not 0.
    Example: Standardised("length", 5.84, 0.83)
    """

    name: str
    mean: float = required("subtracted first")
    scale: float = required("divided by then", above=0)
    width = 1
    takes_missing = False

    def __post_init__(self) -> None:
        named(self, self.name)
        ranges.check(self)

    def read(self, values: Values) -> Array:
        return numbers_of(self.name, values)

    def strange(self, texts: Sequence[str]) -> list[str]:
        """Those texts that it cannot read."""
        return PLAIN.numbers(texts)[1]

    @staticmethod
    def together(columns: Sequence["Standardised"]) -> Callable[[Array], Array]:
        mean, scale = np.array([(float(one.mean), float(one.scale)) for one in columns]).T
        return lambda x: (x - mean) / scale


@column
@dataclass(frozen=True)
class Number:
    """A column of numbers that may be missing or far out: z / sqrt(1 + (z / 3)^2) of z = (value - centre) / scale.

    name: as in the file. centre, scale: in the units of the column, median and spread between the quartiles.
    indicator: whether a second number tells that the value is missing; a missing value itself is 0, as the centre is.
    notation: how numbers are written where they come as texts.
    Example: Number("price", 129.0, 80.0, indicator=True)
    Source: Holzmueller et al. 2024, arXiv:2407.04491, section 3.
    """

    name: str
    centre: float = required("subtracted first")
    scale: float = required("divided by then", above=0)
    indicator: bool = option(False, "a second number for missing values", number=False, flag=True)
    notation: Notation = PLAIN
    takes_missing = True

    def __post_init__(self) -> None:
        named(self, self.name)
        ranges.check(self)

    @property
    def width(self) -> int:
        return 1 + bool(self.indicator)

    def read(self, values: Values) -> Array:
        return numbers_of(self.name, values, self.notation)

    def strange(self, texts: Sequence[str]) -> list[str]:
        """Those texts that it cannot read."""
        return self.notation.numbers(texts)[1]

    @staticmethod
    def together(columns: Sequence["Number"]) -> Callable[[Array], Array]:
        centre, scale = np.array([(float(one.centre), float(one.scale)) for one in columns]).T
        places = np.cumsum([0, *(one.width for one in columns)])
        told = [i for i, one in enumerate(columns) if one.indicator]

        def encoded(x: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):
                far = (x - centre) / scale
                z: Array = np.where(np.isfinite(far), far / np.hypot(1, far / CLIP), np.sign(far) * CLIP)
            missing = np.isnan(x)
            z[missing] = 0.0
            if not told:
                return z
            out = np.empty((len(x), places[-1]))
            out[:, places[:-1]] = z
            out[:, [places[i] + 1 for i in told]] = missing[:, told]
            return out

        return encoded


@column
@dataclass(frozen=True)
class Unused:
    """A column that the network does not see, such as one that is the same in all training rows: it gives no number.

    name: as in the file.
    Example: Unused("country")
    """

    name: str
    width = 0
    takes_missing = True

    def __post_init__(self) -> None:
        named(self, self.name)

    def read(self, values: Values) -> Array:
        return np.zeros(len(values))

    @staticmethod
    def together(columns: Sequence["Unused"]) -> Callable[[Array], Array]:
        return lambda x: np.empty((len(x), 0))


@column
@dataclass(frozen=True)
class Category:
    """A column of levels: a number for each level that is 1 where the row has it (one-hot); of two levels one number,
    1 or -1; of many the level's code, for a layer that embeds it.

    name: as in the file. levels: texts, each once; a missing or unknown level is 0 in all numbers, and the code 0, so
    that level k has the code k + 1. Numbers in place of texts are looked up by their writing, 3 and 3.0 as "3".
    embedded: whether the network gets the code.
    Example: Category("sex", ("female", "male"))
    """

    name: str
    levels: tuple[str, ...]
    embedded: bool = option(False, "the code alone, for a layer that embeds it", number=False, flag=True)
    takes_missing = True

    def __post_init__(self) -> None:
        named(self, self.name)
        ranges.check(self)
        given = self.levels.tolist() if isinstance(self.levels, np.ndarray) else self.levels
        levels = tuple(given) if isinstance(given, list | tuple) else ()
        if not levels or len({*levels}) < len(levels) or not all(isinstance(one, str) for one in levels):
            raise ArgumentError(f"the levels of the column {self.name!r} are texts, each once, got {given!r:.60}")
        object.__setattr__(self, "levels", levels)

    @property
    def width(self) -> int:
        return 1 if self.embedded or len(self.levels) == 2 else len(self.levels)

    def read(self, values: Values) -> Array:
        texts = values if isinstance(values, Texts) else written(values)
        codes = [self._codes.get(level) or self._code(level) for level in texts.levels]
        read: Array = np.array([*codes, 0], np.float64)[texts.codes]
        return read

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {level: code for code, level in enumerate(self.levels, 1)}

    def _code(self, text: str) -> int:
        """The code of a level; one that differs in blanks, in case, or in the writing of a number from one known level
        alone is that level.
        """
        for known, form in self._lookups:
            found = known.get(form(text))
            if found is not None:
                return found
        return 0

    @cached_property
    def _lookups(self) -> list[tuple[dict[str, int], Callable[[str], str]]]:
        lookups: list[tuple[dict[str, int], Callable[[str], str]]] = [(self._codes, str.strip)]
        folded = Counter(map(_folded, self.levels))
        lookups.append(
            ({_folded(level): code for level, code in self._codes.items() if folded[_folded(level)] == 1}, _folded)
        )
        if all(_plain(level) == level for level in self.levels):
            lookups.append((self._codes, _plain))
        return lookups

    @staticmethod
    def together(columns: Sequence["Category"]) -> Callable[[Array], Array]:
        *places, width = np.cumsum([0, *(one.width for one in columns)]).tolist()
        embedded = [i for i, one in enumerate(columns) if one.embedded]
        pairs = [i for i, one in enumerate(columns) if not one.embedded and len(one.levels) == 2]
        hot = [i for i in range(len(columns)) if i not in {*embedded, *pairs}]
        starts = np.array([places[i] - 1 for i in hot], np.int64)

        def encoded(x: Array) -> Array:
            out = np.zeros((len(x), width))
            codes = np.where(np.isnan(x), 0.0, x)
            if embedded:
                out[:, [places[i] for i in embedded]] = codes[:, embedded]
            if pairs:
                two = codes[:, pairs]
                out[:, [places[i] for i in pairs]] = np.where(two == 0, 0.0, 2 * two - 3)
            if hot:
                its = codes[:, hot].astype(np.int64)
                rows, which = np.nonzero(its)
                out[rows, starts[which] + its[rows, which]] = 1.0
            return out

        return encoded


def _folded(text: str) -> str:
    return text.strip().casefold()


def _plain(text: str) -> str:
    """A number as levels have it: 3 for 3.0; other texts as they are."""
    number = float(text) if NUMBER.fullmatch(text.strip()) else 0.5
    return str(int(number)) if abs(number) < 1e15 and number.is_integer() else text.strip()


def written(values: Array) -> Texts:
    """Numbers and moments as the texts that levels are: whole numbers without a point."""
    if values.dtype.kind == "f":
        numbers, codes = np.unique(values[~np.isnan(values)], return_inverse=True)
        all_codes = np.full(len(values), -1, np.int32)
        all_codes[~np.isnan(values)] = codes
        return Texts(all_codes, tuple(str(int(v)) if v.is_integer() else repr(v) for v in map(float, numbers)))
    kinds, codes = np.unique(values, return_inverse=True)
    texts = tuple(str(kind) for kind in kinds.tolist())
    missing = {"NaT", "None"} & {*texts}
    codes = codes.astype(np.int32)
    if missing:
        codes[codes == texts.index(missing.pop())] = -1
    return Texts(codes, texts)


@column
@dataclass(frozen=True)
class Moment:
    """A column of dates or times: where it lies between two moments, and its place in the year, the week and the day.

    name: as in the file. start, stop: seconds since 1970, the span of the training rows. parts: of "year", "week" and
    "day", each two numbers, sine and cosine of the place in it. A missing moment is 0 in all numbers.
    form: how moments are written where they come as texts or as whole numbers such as 20240229, one of dates.FORMS:
    "ymd" for 2024-02-29 12:30, "dmy" for 29/02/2024, "mdy", "time". missing: texts that stand for no moment.
    first_year: of the hundred years that are written as two digits.
    Example: Moment("sold", 1.4e9, 1.5e9, ("year", "week"))
    """

    name: str
    start: float = required("seconds since 1970 of the first training row")
    stop: float = required("seconds since 1970 of the last training row")
    parts: tuple[str, ...] = ("year", "week")
    form: str = option("ymd", "the order of day, month and year", number=False, words=dates.FORMS)
    missing: tuple[str, ...] = ()
    first_year: int = option(dates.FIRST_YEAR, "of the hundred years that two digits mean", at_least=1800, whole=True)
    takes_missing = True

    def __post_init__(self) -> None:
        named(self, self.name)
        ranges.check(self)
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "missing", tuple(self.missing))
        strange = [part for part in self.parts if part not in PERIODS]
        if strange or self.stop < self.start:
            raise ArgumentError(
                f"the column {self.name!r}: parts are some of {', '.join(PERIODS)}, and stop is not before start"
            )

    @property
    def width(self) -> int:
        return 1 + 2 * len(self.parts)

    def read(self, values: Values) -> Array:
        if not isinstance(values, Texts) and values.dtype.kind in "iuf":
            values = written(values)
        moments = moments_of(self, values) if isinstance(values, Texts) else values
        if moments.dtype.kind != "M":
            raise DataError(f"column {self.name!r} holds dates, got {moments.dtype} numbers")
        seconds = moments.astype("datetime64[us]").astype(np.int64) / 1e6
        return np.where(np.isnat(moments), np.nan, seconds)

    def strange(self, texts: Sequence[str]) -> list[str]:
        """Those texts that it cannot read."""
        return dates.moments(texts, self.form, self.missing, self.first_year)[1]

    @staticmethod
    def together(columns: Sequence["Moment"]) -> Callable[[Array], Array]:
        def encoded(x: Array) -> Array:
            out = []
            for i, one in enumerate(columns):
                span = max(one.stop - one.start, 1.0)
                out.append(np.clip(2 * (x[:, i] - one.start) / span - 1, -CLIP, CLIP))
                for part in one.parts:
                    angle = 2 * np.pi * (x[:, i] / PERIODS[part])
                    out += [np.sin(angle), np.cos(angle)]
            return np.nan_to_num(np.stack(out, axis=1), nan=0.0)

        return encoded


# Seconds.
PERIODS = {"year": 365.2425 * 86_400.0, "week": 7 * 86_400.0, "day": 86_400.0}


def moments_of(column: Moment, texts: Texts) -> Array:
    """The moments that texts mean to a column. Errors: DataError for others, naming the first one."""
    found, strange = dates.moments(texts.levels, column.form, column.missing, column.first_year)
    check_known(column.name, texts, strange, "dates" if column.form != "time" else "times")
    moments: Array = np.append(found, np.datetime64("NaT"))[texts.codes]
    return moments
