"""The timed cases: networks, their made-up data, and how far ahead of each peer a training step has to be.

Knows NumPy only: every competitor, ours included, meets the same problem here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


# The name under which a floor stands that is about whoever of these is fastest.
BEST = "the best of the others"
OTHERS = ("JAX scan", "torch.compile", "sklearn fit")
# Shown next to them without a floor: an older version that was faster.
OLDER = ("JAX 0.4.31 scan",)

# For each number of threads from which on they hold: by the peer's name, how many times our step has to go into its.
Floors = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Case:
    """One dense network with its training: `activation` after each layer but the last, `loss` on the last.

    target: the source of y: "teacher", or "x" for a network that reproduces its input.
    """

    sizes: tuple[int, ...]
    batch: int
    rows: int
    activation: str = "relu"
    loss: str = "cross_entropy"
    optimizer: str = "adam"
    target: str = "teacher"
    learning_rate: float = 1e-3
    floors: Floors = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """The network as people write it, with settings that are not the default: `2-8-8-2 batch 10`."""
        parts = ["-".join(map(str, self.sizes)), f"batch {self.batch}"]
        ordinary = {"activation": "relu", "loss": "cross_entropy", "optimizer": "adam"}
        parts += [getattr(self, key) for key, value in ordinary.items() if getattr(self, key) != value]
        return " ".join(parts).replace("_", " ")

    @property
    def steps_per_epoch(self) -> int:
        return self.rows // self.batch

    def whole(self, steps: int) -> int:
        """So many steps, 1 at least; whole epochs if they are more than one."""
        epoch = self.steps_per_epoch
        return max(1, steps) if steps < epoch else -(-steps // epoch) * epoch

    @property
    def parameters(self) -> int:
        return sum(m * (n + 1) for n, m in pairwise(self.sizes))

    @property
    def flops(self) -> int:
        """Of a step's matrix products: three for each layer, less the gradient of the data, which nobody needs."""
        products = [n * m for n, m in pairwise(self.sizes)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    @property
    def check_steps(self) -> int:
        """How many steps of loss curves are compared: whole short epochs, fewer where a step is long."""
        return 64 if self.flops < 3e8 else 16

    def floors_at(self, threads: int) -> Mapping[str, float] | None:
        """The floors that hold for so many threads; None where the case is not for so few."""
        held = [least for least in self.floors if least <= threads]
        return self.floors[max(held)] if held else None


# Rows are those of the data people train such a network on, in whole batches. Floors from two threads on are those of
# the fastest trainer at every size; on one thread they show the cost of steps apart from their products.
CASES: tuple[Case, ...] = (
    Case((2, 8, 8, 2), 10, 1_000, floors={1: {"PyTorch": 100, "JAX scan": 4}, 2: {"PyTorch": 200, BEST: 6}}),
    Case((30, 64, 64, 2), 32, 544, floors={1: {"PyTorch": 15, "JAX scan": 1.4}, 2: {"PyTorch": 20, BEST: 1.7}}),
    Case((30, 256, 256, 256, 2), 256, 10_240, floors={2: {"PyTorch": 1.75, BEST: 1.25}}),
    Case(
        (784, 30, 10), 10, 10_000, "sigmoid", "squared_error", "gradient_descent",
        floors={1: {}, 2: {"PyTorch": 15, BEST: 2}},
    ),
    Case((784, 100, 10), 10, 10_000, floors={1: {"PyTorch": 5, "JAX scan": 1.8}, 2: {"PyTorch": 6.5, BEST: 2.1}}),
    Case((784, 512, 512, 10), 128, 12_800, floors={1: {"PyTorch": 1}, 2: {"PyTorch": 1.5, BEST: 1.1}}),
    Case(
        (784, 1000, 500, 250, 30, 250, 500, 1000, 784), 128, 6_400, loss="squared_error", target="x",
        floors={2: {"PyTorch": 1.4, BEST: 1.1}},
    ),
    # At 1e-3 its losses jump about, and every rounding error with them.
    Case((1024, 1024, 1024, 1024, 10), 256, 10_240, learning_rate=1e-4, floors={2: {"PyTorch": 1.15, BEST: 1.0}}),
)  # fmt: skip


def named(name: str) -> Case:
    """The case of the table with this name."""
    return next(case for case in CASES if case.name == name)


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
    y = x if case.target == "x" else scores.argmax(axis=1) if case.loss == "cross_entropy" else np.tanh(scores)
    return Problem(case, x, y, tuple(params))


def short(case: Case, steps_per_epoch: int = 8) -> Case:
    """The same case with so few rows that a check of some dozen steps goes through several epochs."""
    return replace(case, rows=case.batch * steps_per_epoch)
