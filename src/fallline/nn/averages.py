"""Averages of several networks' predictions, as outputs: for each link, the z with link(z) = mean of link(z_i)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fallline.nn.activation import Identity, Sigmoid, Softmax
from fallline.nn.loss import Exp, Loss
from fallline.ops.normalizing import log_softmax, logsumexp


def _mean(z: Any, k: int) -> Any:
    return np.sum(z, axis=0) / k


def _log_mean_softmax(z: Any, k: int) -> Any:
    return logsumexp(log_softmax(z, axis=-1), axis=0) - math.log(k)


def _logit_of_mean_sigmoid(z: Any, k: int) -> Any:
    # log p and log (1 - p) apart: a probability near 1 has no digits left for its distance to 1.
    return logsumexp(-np.logaddexp(-z, 0), axis=0) - logsumexp(-np.logaddexp(z, 0), axis=0)


def _log_mean_exp(z: Any, k: int) -> Any:
    return logsumexp(z, axis=0) - math.log(k)


# From the k members' outputs, stacked in front, to the output that the link turns into their average.
AVERAGES: Mapping[str, Callable[[Any, int], Any]] = {
    "identity": _mean,
    "softmax": _log_mean_softmax,
    "sigmoid": _logit_of_mean_sigmoid,
    "exp": _log_mean_exp,
}
_LINKS: Mapping[type, str] = {Identity: "identity", Softmax: "softmax", Sigmoid: "sigmoid", Exp: "exp"}


def link_of(loss: Loss) -> str:
    """The name in AVERAGES of the link of a loss; "identity" where it has another, or none."""
    return _LINKS.get(type(loss.link), "identity")
