"""Greedy selection: which of many models to average, by their predictions for rows that none was trained on."""

from collections.abc import Sequence

import numpy as np

from fallline.arrays import Array

# An average that is better by less than this share of its loss is not worth another network.
ENOUGH = 1e-4


def row_losses(predicted: Array, y: Array) -> Array:
    """(N,) -log of the probability of each row's code, from (N, K); or the squared errors of quantities (N,)."""
    if predicted.ndim == 1:
        return np.asarray(np.square(predicted - y))
    own = np.take_along_axis(predicted, y[:, None].astype(np.int64), axis=1)
    return np.asarray(-np.log(np.maximum(own[:, 0], 1e-12)))


def loss_of(predicted: Array, y: Array) -> float:
    """Log-loss of probabilities (N, K) for codes (N,), or the root of the mean squared error of quantities (N,)."""
    mean = float(np.mean(row_losses(predicted, y)))
    return float(np.sqrt(mean)) if predicted.ndim == 1 else mean


def is_better(predicted: Array, other: Array, y: Array) -> bool:
    """Whether predictions are better than others by more than the standard error of the difference, row by row."""
    gain = row_losses(other, y) - row_losses(predicted, y)
    return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def selected(predictions: Sequence[Array], y: Array, most: int) -> list[int]:
    """The places of the models whose average is best on these rows, in the order in which they were taken.

    predictions: of each model, as `loss_of` takes them. The best model comes first; then whichever makes the average
    better by most, until none does, or `most` are taken.
    Source: Caruana et al. 2004, Ensemble selection from libraries of models; without repetitions.
    Example: selected([np.array([0., 1.]), np.array([1., 2.])], np.array([0.5, 1.5]), most=5)
    """
    chosen: list[int] = []
    total, best = np.zeros_like(predictions[0]), np.inf
    while len(chosen) < min(most, len(predictions)):
        losses = {
            place: loss_of((total + one) / (len(chosen) + 1), y)
            for place, one in enumerate(predictions)
            if place not in chosen
        }
        place = min(losses, key=lambda key: losses[key])
        if not losses[place] < best * (1 - ENOUGH):
            break
        chosen.append(place)
        total, best = total + predictions[place], losses[place]
    return chosen or [0]
