"""The loss at many points of a plane in parameter space, on the same rows: one program, run for all points at once.

Where a network begins with a dense layer, its outputs for the rows are sums of those of the centre and the directions,
so the largest product of most networks is made once for each direction and not for each point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.curvature.on_rows import adds_up
from fallline.graph.op import Array
from fallline.insight.opened import Sample
from fallline.nn.context import Context, applied
from fallline.nn.layer import Dense
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.tree import Tree

# Rows of a block: their values of all layers stay in the second-level cache for networks of some hundred units.
BLOCK = 2048


@dataclass(frozen=True, eq=False)
class Losses:
    """The loss at M points, infinite or NaN where the network overflows.

    mean: (M,). error: (M,), its standard error over the rows; NaN where the loss is no mean over rows.
    """

    mean: Array
    error: Array


class Sliced:
    """The loss of a model on rows at points centre + sum_k c_k direction_k.

    centre: (P,), theta. directions: (K, P). Computed in the precision of the model; sums over rows in float64. Layers
    compute as they predict. Penalties of an Objective count; weight decay of an optimizer does not, as in the losses
    that a training reports.
    """

    def __init__(
        self, model: Model, centre: Array, directions: Array, sample: Sample, threads: int | None = None
    ) -> None:
        self.model, self.sample, self.threads = model, sample, threads
        self.thetas = [np.asarray(one, model.dtype) for one in (centre, *directions)]
        self._first = _linear_start(model)
        self.by_rows = adds_up(model, sample.y)
        penalised = getattr(model.loss, "penalty", None) is not None
        self._penalty = transforms.compile(self._penalties, threads=threads) if penalised else None
        self._sweep = transforms.compile(self._swept, threads=threads)

    def losses(self, points: Array) -> Losses:
        """The loss at points, (M, K) coordinates along the directions."""
        points = np.ascontiguousarray(points, self.model.dtype)
        n, sums = len(self.sample), np.zeros((4, len(points)))
        parts = np.array_split(np.arange(n), -(-n // BLOCK)) if self.by_rows else [np.arange(n)]
        rests = [tree.leaves(self._params(theta)[self._first :]) for theta in self.thetas]
        for rows in parts:
            starts = self._starts(rows)
            weight = self._weights(rows)
            found = self._sweep(points, rests, starts, self.sample.y[rows], *([] if weight is None else [weight]))
            sums[:3] += np.stack(found)
            sums[3] += len(rows) if weight is None else float(np.sum(np.square(weight, dtype=np.float64)))
        mean, error = self._moments(sums)
        if self._penalty is not None:
            mean = mean + np.asarray(self._penalty(points, self.thetas), np.float64)
        return Losses(mean, error)

    def _moments(self, sums: Array) -> tuple[Array, Array]:
        """Mean and standard error from sum w l, sum w^2 l, sum w^2 l^2 and sum w^2."""
        if not self.by_rows:
            return sums[0], np.full_like(sums[0], np.nan)
        weight = self.sample.weight
        n = len(self.sample) if weight is None else np.count_nonzero(weight)
        mass = float(n if weight is None else np.sum(weight, dtype=np.float64))
        mean = sums[0] / mass
        with np.errstate(invalid="ignore", over="ignore"):
            squares = sums[2] - 2 * mean * sums[1] + mean**2 * sums[3]
            error = np.sqrt(np.maximum(squares, 0.0) * (n / max(n - 1, 1))) / mass
        return mean, error

    def _weights(self, rows: Array) -> Array | None:
        weight = self.sample.weight
        return None if weight is None else np.asarray(weight[rows], self.model.dtype)

    def _starts(self, rows: Array) -> list[Any]:
        """The inputs of the rest of the network: for the centre and each direction its part, or the rows themselves."""
        x = tree.map(lambda leaf: leaf[rows], self.sample.x)
        if not self._first:
            return [x]
        context = Context(dtype=self.model.dtype)
        starts = []
        for theta in self.thetas:
            h = x
            for layer, params in zip(self._layers[: self._first], self._params(theta), strict=False):
                h = applied(layer, params, h, context)
            starts.append(np.asarray(h))
        return starts

    @property
    def _layers(self) -> Sequence[Any]:
        network = self.model.network
        return network.layers if isinstance(network, Sequential) else (network,)

    def _params(self, theta: Any) -> Sequence[Tree]:
        params = self.model.layout.split(theta)
        return params if isinstance(self.model.network, Sequential) else (params,)

    def _swept(self, points: Any, rests: list[list[Any]], starts: list[Any], y: Any, weight: Any = None) -> Any:
        """For each point the sums of w l, w^2 l and w^2 l^2 over the rows, float64."""
        form = self._params(self.model.theta)[self._first :]

        def turn(carry: Any, c: Any) -> Any:
            leaves = [_moved(parts, c) for parts in zip(*rests, strict=True)]
            params = tree.unflatten(form, leaves)
            h = _moved(starts, c) if self._first else starts[0]
            context = Context(dtype=self.model.dtype)
            for layer, own in zip(self._layers[self._first :], params, strict=True):
                h = applied(layer, own, h, context)
            return carry, self._sums(h, y, weight)

        return transforms.scan(turn, np.float64(0), points)[1]

    def _sums(self, z: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        loss = self.model.loss
        if not self.by_rows:
            value = (loss.function(z, y) if weight is None else loss.weighted(z, y, weight)).astype(np.float64)
            return value, value * 0.0, value * 0.0
        each = loss.rows(z, y).astype(np.float64)
        if weight is None:
            return np.sum(each), np.sum(each), np.sum(np.square(each))
        w = weight.astype(np.float64)
        return np.sum(w * each), np.sum(w * w * each), np.sum(np.square(w * each))

    def _penalties(self, points: Any, thetas: list[Any]) -> Any:
        layout, rows = self.model.layout, len(self.sample)

        def turn(carry: Any, c: Any) -> Any:
            theta = _moved(thetas, c)
            return carry, self.model.loss.penalised(np.sum(theta) * 0.0, layout.split(theta), layout, rows)

        return transforms.scan(turn, np.float64(0), points)[1]

    def rows(self, point: Sequence[float]) -> Array:
        """The loss of each row at one point, (N,) float64; NaN where the loss of many rows is no mean over them."""
        theta = self.thetas[0].copy()
        for c, direction in zip(point, self.thetas[1:], strict=True):
            theta += self.model.dtype.type(c) * direction
        there = replace(self.model, theta=theta, encoder=None, decoder=None)
        if not self.by_rows:
            return np.full(len(self.sample), np.nan)
        z = there.outputs(self.sample.x, threads=self.threads).astype(np.float64)
        found: Array = np.asarray(self.model.loss.rows(z, self.sample.y), np.float64)
        return found


def _moved(parts: Sequence[Any], c: Any) -> Any:
    """parts[0] + sum_k c_k parts[k]."""
    total = parts[0]
    for k, part in enumerate(parts[1:]):
        total = total + c[k] * part
    return total


def _linear_start(model: Model) -> int:
    """How many layers at the start are linear in theta for rows that stand still: layers without parameters, and then
    one dense layer; 0 where the network begins otherwise."""
    if not isinstance(model.network, Sequential):
        return 0
    params = model.layout.split(model.theta)
    for place, layer in enumerate(model.network.layers):
        if type(layer) is Dense:
            return place + 1
        if tree.leaves(params[place]):
            return 0
    return 0


__all__ = ["Losses", "Sliced"]
