"""The encoder and the decoder of a data set, from its training rows: columns and target as a network sees them."""

from dataclasses import replace
from typing import Any

import numpy as np

from fallline.data.dataset import Dataset, Rows
from fallline.data.understood import TRUTH, Understood
from fallline.errors import DataError
from fallline.nn.column import MOST_ONE_HOT, PLAIN, Category, Moment, Number, Standardised, Unused, written
from fallline.nn.encoder import Columns, Decoder, Labels, Quantity, centre_and_spread, standardise
from fallline.nn.notation import MISSING, NUMBER
from fallline.table import Table, Texts, Values

# Levels of a category that get numbers of their own; all others count as unknown.
MOST_LEVELS = 10_000


def encoder_of(data: Dataset, train: Rows) -> Columns:
    """Columns as they are encoded, measured on the training rows alone: numbers standardised, with `same_unit` by one
    mean and one scale; texts as categories of the levels that these rows have.
    """
    if not isinstance(data.x, Table):
        return standardise(data.x[train], data.features, same_unit=data.same_unit)
    table = data.table.take(data.some(train))
    columns = {name: _column_of(name, values, data) for name, values in table.columns.items()}
    varying = [one for name, one in columns.items() if _varying(one, table[name]) is not None]
    return Columns(tuple(varying or columns.values()))


def levels_of(values: Values, known: Understood | None = None) -> tuple[str, ...]:
    """The levels of a category: texts that do not stand for a missing value, each once without the blanks around it.

    Where there are more than a one-hot code takes, levels of a single row are left to the code of the unknown ones,
    which then is trained too.
    """
    texts = values if isinstance(values, Texts) else written(values)
    keeps = known.keeps if known is not None else ()
    counts: dict[str, int] = {}
    for level, n in zip(texts.levels, np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.levels))):
        text = level.strip()
        if n and (level in keeps or text.lower() not in MISSING):
            counts[text] = counts.get(text, 0) + int(n)
    if {level.casefold() for level in counts} <= TRUTH:
        most = sorted(counts, key=lambda level: (-counts[level], level))
        return tuple(sorted({level.casefold(): level for level in reversed(most)}.values()))
    if len(counts) <= MOST_ONE_HOT:
        return tuple(sorted(counts))
    often = sorted((level for level, n in counts.items() if n > 1), key=lambda level: (-counts[level], level))
    return tuple(sorted(often[:MOST_LEVELS]))


def _column_of(name: str, values: Values, data: Dataset) -> Any:
    """The encoder's column of this kind, measured on these rows."""
    kind, known = data.kind(name), data.understood(name)
    if kind == "category":
        levels = levels_of(values, known)
        return Category(name, levels or ("",), embedded=len(levels) > MOST_ONE_HOT)
    if kind == "moment":
        moment = Moment(name, 0.0, 0.0)
        if known is not None:
            moment = replace(moment, form=known.form, missing=known.strange, first_year=known.first_year)
        seconds = moment.read(values)
        there = seconds[~np.isnan(seconds)]
        start, stop = (float(there.min()), float(there.max())) if len(there) else (0.0, 1.0)
        parts = (
            ("day",)
            if moment.form == "time"
            else ("year", "week", "day")
            if (there % 86_400).any()
            else ("year", "week")
        )
        return replace(moment, start=start, stop=stop, parts=parts)
    notation = data.notation(name)
    numbers = Number(name, 0.0, 1.0, notation=notation).read(values)
    finite = numbers[np.isfinite(numbers)]
    mean, scale = centre_and_spread(finite) if len(finite) else (0.0, 1.0)
    if len(finite) == len(numbers) and notation == PLAIN:
        return Standardised(name, float(mean), float(scale))
    return Number(name, float(mean), float(scale), indicator=len(finite) < len(numbers), notation=notation)


def robust_encoder_of(data: Dataset, train: Rows) -> Columns:
    """Columns as they are encoded, measured on the training rows alone: numbers by median and quartiles, texts as
    categories; what is the same in all of these rows is left to `Unused`, or left out of a Table.

    Errors: DataError where no column is left.
    """
    table, made = data.table.take(data.some(train)), []
    for name, values in table.columns.items():
        one: Any
        if data.kind(name) == "number":
            one = _robust_number(name, values, data)
        else:
            one = _varying(_column_of(name, values, data), values)
        made.append(one or Unused(name))
    if all(isinstance(one, Unused) for one in made):
        raise DataError(f"{data.name}: every column is the same in all training rows: nothing to learn from")
    return Columns(tuple(one for one in made if not isinstance(data.x, Table) or not isinstance(one, Unused)))


def _robust_number(name: str, values: Values, data: Dataset) -> Number | None:
    """A column of numbers by median and the distance of its quartiles. None where it tells nothing: one value, or none.

    Where half of the values and more are one, the scale is the median distance of the others from it. (Half the range,
    as in the source, lets one far value decide: of adult's capital gains, 0 in 92 % of the rows, the usual ones would
    be a seventh of a unit away from 0.)
    Source: Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, section 3.2.
    """
    notation = data.notation(name)
    numbers = Number(name, 0.0, 1.0, notation=notation).read(values)
    known = numbers[np.isfinite(numbers)]
    missing = bool(np.isnan(numbers).any())
    if not len(known):
        return None
    with np.errstate(over="ignore"):  # between numbers near the largest there may be infinitely much
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        away = np.abs(known - middle) if high == low else np.zeros(0)
        spread = np.median(away[away > 0]) if away.any() else high - low
    if spread == 0 and not missing and len(known) == len(numbers):
        return None
    most = np.finfo(np.float64).max / 4
    centre, scale = float(np.clip(middle, -most, most)), float(min(spread, most)) or 1.0
    return Number(name, centre, scale, indicator=missing, notation=notation)


def _varying(one: Any, values: Values) -> Any:
    """The column, or None where it tells nothing: one level, or one moment, in all rows."""
    if isinstance(one, Moment):
        same = one.start == one.stop and not np.isnan(one.read(values)).any()
    else:
        same = len(np.unique(one.read(values))) == 1
    return None if same else one


def decoder_of(data: Dataset, train: Rows, *, standard: bool = True, clamped: bool = False) -> Decoder:
    """The labels of a classification; of a regression its quantity, standardised by the training rows where asked.

    clamped: predictions stay in the range of the training rows.

    Classes that are all whole numbers are labelled by numbers, others by text: a file writes both alike.
    """
    if data.classes:
        return Labels(data.target, labels_of(data.classes))
    mean, scale = centre_and_spread(data.y[train]) if standard else (0.0, 1.0)
    y = data.y[train]
    ends: dict[str, Any] = {"lowest": float(y.min()), "highest": float(y.max())} if clamped else {}
    return Quantity(data.target, float(mean), float(scale), **ends, notation=data.target_notation)


def labels_of(classes: tuple[str, ...]) -> tuple[str, ...] | tuple[int, ...]:
    """Names of classes as labels: whole numbers where each is one as it would be written."""
    whole = all(NUMBER.fullmatch(name) and name.lstrip("-").isdecimal() and name == str(int(name)) for name in classes)
    return tuple(map(int, classes)) if whole and max(abs(int(name)) for name in classes) < 2**62 else classes


def targets_of(data: Dataset, rows: Rows, decoder: Decoder) -> np.ndarray:
    """The target of these rows as the decoder names it: labels, or the quantity."""
    y = data.y[rows]
    return decoder.classes[y] if isinstance(decoder, Labels) else y


def standardised(data: Dataset, *, target: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a whole data set, by the mean and spread of all its rows; target: a quantity too."""
    every = np.arange(len(data))
    decoder = decoder_of(data, every, standard=target)
    encoder = encoder_of(data, every)
    x = encoder.encode(encoder.table_numbers(data.x, data.name) if isinstance(data.x, Table) else data.x)
    return x, decoder.encode(data.y) if isinstance(decoder, Quantity) else data.y
