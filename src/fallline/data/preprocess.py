"""The encoder and the decoder of a data set, from its training rows: columns and target as a network sees them."""

import numpy as np

from fallline.data.csv_table import is_number
from fallline.data.dataset import Dataset, Rows
from fallline.nn.encoder import Columns, Decoder, Labels, Quantity, centre_and_spread, standardise


def encoder_of(data: Dataset, train: Rows) -> Columns:
    """Columns standardised by the training rows alone; with `same_unit` all share one mean and one scale."""
    return standardise(data.x[train], data.features, same_unit=data.same_unit)


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
    return encoder_of(data, every).encode(data.x), decoder.encode(data.y) if isinstance(decoder, Quantity) else data.y
