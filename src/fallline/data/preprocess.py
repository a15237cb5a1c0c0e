"""The encoder and the decoder of a data set, from its training rows: columns and target as a network sees them."""

from typing import Any

import numpy as np

from fallline.data.dataset import Dataset, Rows
from fallline.data.fields import is_number
from fallline.nn.column import MOST_ONE_HOT, Category, Moment, Number, Standardised, written
from fallline.nn.encoder import Columns, Decoder, Labels, Quantity, centre_and_spread, standardise
from fallline.table import Table, Texts, Values


def encoder_of(data: Dataset, train: Rows) -> Columns:
    """Columns as they are encoded, measured on the training rows alone: numbers standardised, with `same_unit` by one
    mean and one scale; texts as categories of the levels that these rows have.
    """
    if not isinstance(data.x, Table):
        return standardise(data.x[train], data.features, same_unit=data.same_unit)
    table = data.table.take(train)
    return Columns(tuple(_column_of(name, values, data.kind(name)) for name, values in table.columns.items()))


def _column_of(name: str, values: Values, kind: str) -> Any:
    """The encoder's column of this kind, measured on these rows."""
    if kind == "category":
        texts = values if isinstance(values, Texts) else written(values)
        there = sorted(texts.levels[code] for code in np.unique(texts.codes) if code >= 0)
        return Category(name, tuple(there) or ("",), embedded=len(there) > MOST_ONE_HOT)
    if kind == "moment":
        seconds = Moment(name, 0.0, 0.0).read(values)
        known = seconds[~np.isnan(seconds)]
        start, stop = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        return Moment(name, start, stop)
    numbers = Number(name, 0.0, 1.0).read(values)
    known = numbers[np.isfinite(numbers)]
    mean, scale = centre_and_spread(known) if len(known) else (0.0, 1.0)
    if len(known) == len(numbers):
        return Standardised(name, float(mean), float(scale))
    return Number(name, float(mean), float(scale), indicator=True)


def decoder_of(data: Dataset, train: Rows, *, standard: bool = True) -> Decoder:
    """The labels of a classification; of a regression its quantity, standardised by the training rows where asked.

    Classes that are all whole numbers are labelled by numbers, others by text: a file writes both alike.
    """
    if data.classes:
        return Labels(data.target, labels_of(data.classes))
    mean, scale = centre_and_spread(data.y[train]) if standard else (0.0, 1.0)
    return Quantity(data.target, float(mean), float(scale))


def labels_of(classes: tuple[str, ...]) -> tuple[str, ...] | tuple[int, ...]:
    """Names of classes as labels: whole numbers where each is one as it would be written."""
    whole = all(is_number(name) and name.lstrip("-").isdecimal() and name == str(int(name)) for name in classes)
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
