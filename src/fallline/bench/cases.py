"""What is timed: networks, their made-up data, and how far ahead of each peer a training step has to be.

Knows NumPy only: every competitor, ours included, meets the same problem here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LEARNING_RATE = 1e-3
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Case:
    """One dense network with its training: `activation` after each layer but the last, `loss` on the last.

    floors: by the peer's name, how many times our step has to go into the peer's.
    """

    sizes: tuple[int, ...]
    batch: int
    rows: int
    activation: str = "relu"
    loss: str = "cross_entropy"
    optimizer: str = "adam"
    floors: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The network as people write it, with what is not the default: `2-8-8-2 batch 10`."""
        parts = ["-".join(map(str, self.sizes)), f"batch {self.batch}"]
        ordinary = {"activation": "relu", "loss": "cross_entropy", "optimizer": "adam"}
        parts += [getattr(self, key) for key, value in ordinary.items() if getattr(self, key) != value]
        return " ".join(parts).replace("_", " ")

    @property
    def steps_per_epoch(self) -> int:
        return self.rows // self.batch


# One thread each. Rows are those of the data people train such a network on, in whole batches.
CASES: tuple[Case, ...] = (
    Case((2, 8, 8, 2), 10, 1_000, floors={"PyTorch": 100, "JAX scan": 4}),
    Case((30, 64, 64, 2), 32, 544, floors={"PyTorch": 15, "JAX scan": 1.4}),
    Case((784, 100, 10), 10, 10_000, floors={"PyTorch": 5, "JAX scan": 1.8}),
    Case((784, 30, 10), 10, 10_000, "sigmoid", "squared_error", "gradient_descent"),
    Case((784, 512, 512, 10), 128, 12_800, floors={"PyTorch": 1}),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A case with its numbers, float32: the data, in the order in which it is visited, and the first parameters.

    Nobody shuffles, so that all see the same batches: batch i of every epoch is rows i * batch to (i + 1) * batch.
    x: [rows, D].  y: class numbers, int64 [rows], or for squared error numbers [rows, K].
    params: (weight [n_in, n_out], bias [n_out]) for each layer.
    """

    case: Case
    x: Array
    y: Array
    params: tuple[tuple[Array, Array], ...]

    def epochs(self, steps: int) -> Iterator[int]:
        """How many steps of each epoch to take so that they come to `steps`; the last epoch may be cut short."""
        while steps > 0:
            yield min(steps, self.case.steps_per_epoch)
            steps -= self.case.steps_per_epoch

    def whole_epochs(self, steps: int) -> tuple[int, int]:
        """For those who train by the epoch: how many epochs, over how many first rows, are just `steps` steps."""
        *whole, last = self.epochs(steps)
        if whole and last != self.case.steps_per_epoch:
            raise ValueError(f"{steps} steps are not whole epochs of {self.case.steps_per_epoch}")
        return len(whole) + 1, last * self.case.batch


def problem(case: Case) -> Problem:
    """The case's numbers, the same in every process: labels from a random linear teacher with noise."""
    rng = np.random.default_rng(20_260_000 + case.rows)
    n_in, n_out = case.sizes[0], case.sizes[-1]
    x = rng.standard_normal((case.rows, n_in), np.float32)
    scores = x @ rng.standard_normal((n_in, n_out), np.float32) / np.float32(np.sqrt(n_in))
    scores += np.float32(0.5) * rng.standard_normal(scores.shape, np.float32)
    params = []
    for n, m in pairwise(case.sizes):
        weight = rng.standard_normal((n, m), np.float32) * np.float32(np.sqrt(2 / n))
        params.append((weight, np.zeros(m, np.float32)))
    y = scores.argmax(axis=1) if case.loss == "cross_entropy" else np.tanh(scores)
    return Problem(case, x, y, tuple(params))


def short(case: Case, steps_per_epoch: int = 8) -> Case:
    """The same case with so few rows that a check of some dozen steps goes through several epochs."""
    return replace(case, rows=case.batch * steps_per_epoch)
