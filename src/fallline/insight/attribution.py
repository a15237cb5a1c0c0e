"""Attributions: how much each column of a row moves its prediction away from that of a blank row, by gradients."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from fallline.errors import ArgumentError
from fallline.graph.op import Array
from fallline.insight.importance import numbers_of
from fallline.insight.row_losses import scale_of
from fallline.nn.encoder import Columns
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.ops.normalizing import logsumexp
from fallline.ranges import COUNT
from fallline.transforms import compile, grad

# Points of the integral that go through the network at once.
BLOCK = 1 << 13


@dataclass(frozen=True, eq=False)
class Attributions:
    """The part of each column in each row's prediction, (N, D): base + values.sum(axis=1) is about `output`, (N,).

    base: the output for a blank row.
    """

    names: tuple[str, ...]
    values: Array
    base: Array
    output: Array


def attributions(model: Model, x: Any, *, label: Any = None, points: int = 32) -> Attributions:
    """Integrated gradients of a prediction, summed over the numbers that stand for one column of the table.

        a_ij = sum_{k in column j} (v_ik - b_k) int_0^1 df/dv_k (b + s (v_i - b)) ds
        sum_j a_ij = f(v_i) - f(b)

    v_i: the row as the network sees it; b: a blank row, every number at its centre and every category missing.
    f: of a regression, the prediction in the unit of its target; of a classifier, the log-odds of one class,
    log p / (1 - p). Levels that the network embeds are followed from the output of its first layer, as a code has no
    slope.

    x: rows as the model takes them, (N, D). label: a class; None for the predicted class of each row.
    points: of the integral, by Gauss's rule, >= 1; with kinks in the network the sum is met to a percent or so.
    Errors: ArgumentError for a label that is none of the classes, or a model without one number or classes to explain.
    Example: attributions(run.model, x_test[:10]).values
    Source: Sundararajan et al. 2017, Axiomatic attribution for deep networks, arXiv:1703.01365, equation 1.
    """
    if problem := COUNT.problem(points):
        raise ArgumentError(f"points {problem}")
    numbers, names = numbers_of(model, x)
    chosen = _classes_of(model, numbers, label)
    v = numbers if model.encoder is None else model.encoder.encode(numbers, model.dtype)
    columns, start, tail = _followed(model)
    v, blank = start(np.ascontiguousarray(v, model.dtype)), start(np.zeros((1, v.shape[1]), model.dtype))
    part, slope = _functions(tail, scale_of(model))
    at, weight = np.polynomial.legendre.leggauss(int(points))
    steps = ((at + 1) / 2).astype(model.dtype)[:, np.newaxis, np.newaxis]
    summed = np.empty(v.shape)
    rows = max(1, BLOCK // len(at))
    for first in range(0, len(v), rows):
        block = v[first : first + rows] - blank
        points_there = (blank + steps * block).reshape(-1, v.shape[1])
        picks = np.tile(chosen[first : first + rows], (len(at), 1))
        slopes = np.asarray(slope(tail.theta, points_there, picks)).reshape(len(at), *block.shape)
        summed[first : first + rows] = block * np.tensordot(weight / 2, slopes, 1)
    values = np.stack([summed[:, places].sum(axis=1) for places in columns], axis=1)
    shift = float(getattr(model.decoder, "mean", 0.0))
    base = np.asarray(part(tail.theta, np.repeat(blank, len(v), axis=0), chosen), np.float64) + shift
    return Attributions(names, values, base, np.asarray(part(tail.theta, v, chosen), np.float64) + shift)


def _functions(tail: Model, scale: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """f of each row, and the gradient of its sum: rows do not meet, so row i of it is the gradient of f(v_i)."""

    def part(theta: Any, v: Any, picks: Any) -> Any:
        z = tail.apply(theta, v)
        if z.shape[1] == 1:
            return z[:, 0] * picks[:, 0] * scale
        # log p_k - log(1 - p_k) = z_k - log of the sum of the others
        return np.sum(z * picks, axis=1) - logsumexp(z, axis=1, b=1 - picks)

    return compile(part), compile(grad(lambda theta, v, picks: np.sum(part(theta, v, picks)), argnums=1))


def _classes_of(model: Model, numbers: Array, label: Any) -> Array:
    """(N, outputs) one for the output to explain, zero elsewhere; of two classes with one output, 1 or -1."""
    width, dtype = model.output_shape[0], model.dtype
    if model.task == "regression" and width == 1:
        if label is not None:
            raise ArgumentError(f"label={label!r}, and the model predicts a quantity\n  try: label=None")
        return np.ones((len(numbers), 1), dtype)
    classes = model.labels
    if model.task not in ("classification", "binary") or classes is None:
        raise ArgumentError("attributions explain classes or one quantity, and this model predicts neither")
    if label is None:
        places = np.searchsorted(classes, model.predict(numbers)) if width == 1 else model.outputs(numbers).argmax(1)
    else:
        where = np.flatnonzero(classes == label)
        if not len(where):
            raise ArgumentError(f"label={label!r} is none of the classes {classes[:6].tolist()}")
        places = np.full(len(numbers), where[0])
    if width == 1:
        return np.where(places == 1, 1, -1).astype(dtype)[:, np.newaxis]
    return np.eye(width, dtype=dtype)[places]


def _followed(model: Model) -> tuple[list[Array], Callable[[Array], Array], Model]:
    """Where the integral runs: the places of each column's numbers there, the way there, and the network after it."""
    encoder, bare = model.encoder, replace(model, encoder=None)
    widths = [1] * model.input_shape[0] if encoder is None else [one.width for one in encoder.columns]
    stops = np.cumsum([0, *widths])
    places = [np.arange(start, stop) for start, stop in pairwise(stops)]
    network = model.network
    if encoder is None or not isinstance(network, Sequential) or not _has_codes(encoder):
        return places, lambda v: v, bare
    first, tail = bare[:1], bare[1:]
    return _places_after(first, places, encoder), lambda v: np.asarray(first.apply(first.theta, v)), tail


def _has_codes(encoder: Columns) -> bool:
    return any(getattr(one, "embedded", False) for one in encoder.columns)


def _places_after(first: Model, places: list[Array], encoder: Columns) -> list[Array]:
    """The places of each column's numbers in the output of a layer that keeps columns apart: those that it moves."""
    blank = np.zeros((1, encoder.width), first.dtype)
    out = np.asarray(first.apply(first.theta, blank))
    found = []
    for its in places:
        probe = blank.copy()
        probe[:, its] = 1.0
        found.append(np.flatnonzero(np.asarray(first.apply(first.theta, probe) != out)[0]))
    if np.bincount(np.concatenate(found), minlength=1).max() > 1:
        raise ArgumentError(
            "the first layer mixes columns with those that the network embeds, so that no part is theirs"
        )
    return found
