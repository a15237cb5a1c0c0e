"""From a network's outputs to predictions, and from targets as a loss takes them to the same form. Knows no network.

Each function takes a model, of which only the loss, the labels, the decoder and the form of its targets matter, and an
array with a row for each row of the data.
"""

from typing import Any, Protocol

import numpy as np

from fallline.graph.op import Array
from fallline.nn.encoder import Decoder, Quantity
from fallline.nn.loss import Loss


class Answers(Protocol):
    """A model, as far as its outputs have a meaning."""

    @property
    def loss(self) -> Loss: ...
    @property
    def labels(self) -> Array | None: ...
    @property
    def flat(self) -> bool | None: ...
    @property
    def decoder(self) -> Decoder | None: ...


def as_they_are(model: Answers, z: Any) -> Any:
    """The outputs themselves, (N, *output_shape)."""
    return z


def decided(model: Answers, z: Any) -> Any:
    """The place of each row's label among the classes, -1 where it has none, or numbers in the form the targets had."""
    if model.labels is not None:
        # Probabilities rise with logits, so the comparison is the same and nothing rounds.
        place = (z[:, 0] > 0).astype(np.int64) if z.shape[1] == 1 else np.argmax(z, axis=1)
        return np.where(np.isnan(np.max(z, axis=1)), -1, place)
    return _flat(model, z if model.loss.link is None else model.loss.link(z))


def probabilities(model: Answers, z: Any) -> Any:
    """The probability of each class, (N, K)."""
    assert model.loss.link is not None  # asked before
    p = model.loss.link(z)
    return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p


def named(model: Answers, decided: Array) -> Array:
    """Places among the classes as labels, numbers in the unit of the target: the form of `Model.predict`."""
    labels = model.labels
    if labels is not None:
        return np.asarray(labels[decided])
    return model.decoder.decode(decided) if isinstance(model.decoder, Quantity) else decided


def truth(model: Answers, y: Array, *, coded: bool = False) -> Array:
    """Targets as the loss takes them, in the form of `Model.predict`: labels, or numbers in the unit of the target.

    Rows of probabilities name their likeliest class. coded: places among the classes instead of labels.
    """
    if model.labels is None:
        y = _flat(model, y)
        return model.decoder.in_units(y) if isinstance(model.decoder, Quantity) else y
    if y.ndim > 1:
        # One column tells two classes apart, as 0 and 1 or as -1 and 1.
        y = (y[:, 0] > 0).astype(np.int64) if y.shape[1] == 1 else np.argmax(y, axis=1)
    return y if coded else named(model, y)


def _flat(model: Answers, y: Any) -> Any:
    return y[:, 0] if model.flat and y.ndim == 2 and y.shape[1] == 1 else y
