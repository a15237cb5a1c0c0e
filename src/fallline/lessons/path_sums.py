"""A small network in plain Python, and its gradient four ways: by paths, by recursion, by trying, and backward.

Every way counts its multiplications. Knows no lesson.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.graph.op import Array

Weights = list[list[list[float]]]  # [layer][from][to]


@dataclass(frozen=True, eq=False)
class Net:
    """One row in a network without biases. sizes: of the layers, inputs first. values: [layer][unit], after tanh but at
    the output. slopes: of tanh there, [layer][unit], none at inputs and outputs. out: d loss / d output.
    """

    sizes: tuple[int, ...]
    weights: Weights
    values: list[list[float]]
    slopes: list[list[float]]
    out: list[float]

    @property
    def hidden(self) -> int:
        return len(self.sizes) - 2


def network(sizes: Sequence[int], x: Array, y: Array, seed: int) -> Net:
    """A network with weights drawn at random, carried forward."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=pair) / math.sqrt(pair[0]) for pair in itertools.pairwise(sizes)]
    return forward([w.tolist() for w in weights], x.tolist(), y.tolist())


def forward(weights: Weights, x: list[float], y: list[float]) -> Net:
    """One row forward in plain Python."""
    values = [x]
    slopes: list[list[float]] = [[] for _ in range(len(weights) + 1)]
    for layer, w in enumerate(weights, 1):
        sums = [sum(a * w[i][j] for i, a in enumerate(values[-1])) for j in range(len(w[0]))]
        last = layer == len(weights)
        values.append(sums if last else [math.tanh(one) for one in sums])
        slopes[layer] = [] if last else [1 - a * a for a in values[-1]]
    out = [2 * (a - b) for a, b in zip(values[-1], y)]
    return Net((len(x), *(len(w[0]) for w in weights)), weights, values, slopes, out)


def loss_of(weights: Any, x: Any, y: Any) -> Any:
    """The same network as anyone would write it, in NumPy: the sum of squared errors."""
    for w in weights[:-1]:
        x = np.tanh(x @ w)
    return np.sum(np.square(x @ weights[-1] - y))


def paths_of(net: Net, layer: int, start: int, to: int) -> Iterator[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Every path from a weight to the loss: units from its own on, and the factors along it."""
    for rest in itertools.product(*(range(n) for n in net.sizes[layer + 1 :])):
        units = (to, *rest)
        factors = [net.values[layer - 1][start]]
        for place, unit in enumerate(units, layer):
            if place > layer:
                factors.append(net.weights[place - 1][units[place - layer - 1]][unit])
            factors.append(net.slopes[place][unit] if place <= net.hidden else net.out[unit])
        yield units, tuple(factors)


Found = tuple[Weights, int]


def _each(net: Net, find: Callable[[int, int, int], tuple[float, int]]) -> Found:
    """One weight after another; the multiplications of all."""
    count, found = 0, []
    for layer, w in enumerate(net.weights, 1):
        rows = []
        for i in range(len(w)):
            row = [find(layer, i, j) for j in range(len(w[0]))]
            count += sum(one for _, one in row)
            rows.append([value for value, _ in row])
        found.append(rows)
    return found, count


def by_paths(net: Net) -> Found:
    """The gradient as the sum over all paths of each weight."""

    def find(layer: int, i: int, j: int) -> tuple[float, int]:
        total, count = 0.0, 0
        for _, factors in paths_of(net, layer, i, j):
            total += math.prod(factors)
            count += len(factors) - 1
        return total, count

    return _each(net, find)


def anew(net: Net) -> Found:
    """The gradient by deltas, each computed again wherever it is needed."""

    def delta(layer: int, unit: int) -> tuple[float, int]:
        if layer > net.hidden:
            return net.out[unit], 0
        total, count = 0.0, 1
        for k, w in enumerate(net.weights[layer][unit]):
            later, cost = delta(layer + 1, k)
            total += w * later
            count += cost + 1
        return total * net.slopes[layer][unit], count

    def find(layer: int, i: int, j: int) -> tuple[float, int]:
        later, cost = delta(layer, j)
        return net.values[layer - 1][i] * later, cost + 1

    return _each(net, find)


def by_trying(net: Net, step: float = 1e-5) -> Found:
    """The gradient by two forward passes for each weight."""
    each = sum(a * b for a, b in itertools.pairwise(net.sizes))
    x, y = net.values[0], [a - g / 2 for a, g in zip(net.values[-1], net.out)]

    def find(layer: int, i: int, j: int) -> tuple[float, int]:
        old, ends = net.weights[layer - 1][i][j], []
        for sign in (1, -1):
            net.weights[layer - 1][i][j] = old + sign * step
            ends.append(sum(g * g / 4 for g in forward(net.weights, x, y).out))
        net.weights[layer - 1][i][j] = old
        return (ends[0] - ends[1]) / (2 * step), 2 * each

    return _each(net, find)


def deltas_of(net: Net) -> tuple[list[list[float]], int]:
    """d loss / d sum at every unit, from the last layer to the first, each once; and the multiplications."""
    deltas: list[list[float]] = [[] for _ in net.sizes]
    deltas[-1], count = net.out, 0
    for layer in range(net.hidden, 0, -1):
        w, later = net.weights[layer], deltas[layer + 1]
        deltas[layer] = [
            slope * sum(a * d for a, d in zip(row, later)) for slope, row in zip(net.slopes[layer], w)
        ]  # fmt: skip
        count += len(w) * (len(later) + 1)
    return deltas, count


def backward(net: Net) -> Found:
    """The gradient by one backward pass: every delta is computed once and kept."""
    deltas, count = deltas_of(net)
    found = [[[a * d for d in later] for a in before] for before, later in zip(net.values, deltas[1:])]
    return found, count + sum(a * b for a, b in itertools.pairwise(net.sizes))


WAYS: dict[str, Callable[[Net], Found]] = {
    "all paths": by_paths,
    "deltas computed anew": anew,
    "two forward passes a weight": by_trying,
    "one backward pass, deltas kept": backward,
}


def counted(sizes: Sequence[int]) -> tuple[int, int, int]:
    """For these sizes: paths of all weights, multiplications by paths, multiplications by kept deltas.

    A path of a weight into hidden layer l of L has 4 + 2 (L - l) factors, one of a weight into the outputs has two.
    """
    hidden = len(sizes) - 2
    of = [math.prod(sizes[layer - 1 :]) for layer in range(1, hidden + 2)]
    products = sum(n * (3 + 2 * (hidden - layer)) for layer, n in enumerate(of[:-1], 1)) + of[-1]
    back = sum(b * (c + 1) for b, c in itertools.pairwise(sizes[1:]))
    return sum(of), products, back + sum(a * b for a, b in itertools.pairwise(sizes))
