"""TrainingLoss: the function that descent minimises, on some training rows, of the trainable parameters alone.

It is the loss as training steps meet it: layers compute as they do while training, members of an average are counted
apart, penalties and the weight decay that is part of the gradient are added. Knows no verdict.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline import transforms
from fallline.arrays import Array, in_float64
from fallline.curvature.lanczos import Product
from fallline.curvature.surface import Surface, kinks_between
from fallline.insight.opened import Part, Sample
from fallline.jobs.job import Job
from fallline.nn.by_member import by_member
from fallline.nn.context import Context, applied
from fallline.nn.model import Model
from fallline.nn.theta import KEPT
from fallline.ops.random import random_bits
from fallline.optim import Minimiser, Optimizer
from fallline.optim.groups import Groups
from fallline.source import as_tree, named
from fallline.steps.step import loss_of
from fallline.tree import Tree


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows that go through the network together, as a step's batch does. key: of the numbers that layers draw."""

    key: Array
    arrays: Mapping[str, Array]
    mass: float

    @property
    def given(self) -> tuple[Any, ...]:
        return self.key, dict(self.arrays)


@dataclass(frozen=True, eq=False)
class Programs:
    """The loss of a piece and its derivatives, compiled once for all networks of one form.

    plain: the loss as it is written, for tracing. Each takes (trainable, whole, decay, key, arrays); whole: all
    parameters, for those that no step of the optimizer moves. decay: the factor of each parameter's square, half of
    which is added.
    """

    plain: Callable[..., Any]
    value: Callable[..., Any]
    gradient: Callable[..., Any]
    product: Callable[..., Any]


def programs(model: Model, batch: int) -> Programs:
    """batch: rows of a training step, which a penalty per row is divided by."""

    def loss(trainable: Any, whole: Any, decay: Any, key: Any, arrays: Mapping[str, Any]) -> Any:
        layout = model.layout
        params = layout.split(layout.unpack(whole, trainable))
        x = as_tree({name: arrays[name] for name in named(model.inputs)}, model.inputs)
        context = Context(True, random_bits(key, 0), np.float64, 1.0)
        output = applied(model.network, params, x, context)
        met = by_member(context.answers(output), output, arrays["y"], arrays.get("weight"))
        value = model.loss.penalised(loss_of(model, *met), params, layout, batch)
        return value + 0.5 * np.sum(decay * np.square(trainable))

    def product(trainable: Any, vector: Any, *rest: Any) -> Any:
        return transforms.hvp(lambda theta: loss(theta, *rest))(trainable, vector)

    compiled = transforms.compile
    return Programs(loss, compiled(loss), compiled(transforms.value_and_grad(loss)), compiled(product))


class TrainingLoss(Surface):
    """The training loss of one network on pieces of rows, float64: value, gradient and products with the Hessian.

        F(theta) = sum_i m_i F_i(theta) / sum_i m_i + 1/2 sum_j decay_j theta_j^2      over the pieces

    theta: the trainable parameters as the run ended, (P,). pieces: of `piece` rows each. whole: whether they are all
    training rows. rows: in all pieces.
    """

    def __init__(self, part: Part, sample: Sample, piece: int, made: Programs, most: int | None = None) -> None:
        job, model = part.job, part.model
        assert job is not None
        self._whole = model.theta.astype(np.float64)
        self.theta = np.array(model.layout.pack(self._whole))
        self.layout, self._made = model.layout, made
        strength = 0.0 if isinstance(job.optimizer, Groups) else _strength(job.optimizer, last_step(part))
        self.weight_decay = strength
        self.decay = coupled_decay(job.optimizer, model, last_step(part))
        self.pieces = _pieces(sample, model, piece, most)
        self.rows = sum(len(one.arrays["y"]) for one in self.pieces)
        self.whole = sample.whole and self.rows == len(sample)
        self._shares = np.array([one.mass for one in self.pieces])
        self._shares /= self._shares.sum()

    def value(self, theta: Array | None = None) -> float:
        """F, which may be infinite or NaN."""
        theta = self.theta if theta is None else theta
        rest = self._whole, self.decay
        found = [float(self._made.value(theta, *rest, *one.given)) for one in self.pieces]
        return float(self._shares @ found)

    def gradient_of(self, place: int, theta: Array | None = None) -> tuple[float, Array]:
        """Value and gradient of one piece."""
        theta = self.theta if theta is None else theta
        one = self.pieces[place % len(self.pieces)]
        value, gradient = self._made.gradient(theta, self._whole, self.decay, *one.given)
        return float(value), np.asarray(gradient)

    def product(self) -> Product:
        def product(vector: Array) -> Array:
            found = np.zeros(self.size)
            for share, one in zip(self._shares, self.pieces, strict=True):
                found += share * self._made.product(self.theta, vector, self._whole, self.decay, *one.given)
            return found

        return product

    def evaluated(self) -> tuple[float, Array]:
        value, gradient, _ = self.gradients()
        return value, gradient

    def tree_of(self, direction: Array) -> Tree:
        whole = self.layout.unpack(np.zeros_like(self._whole), direction)
        return self.layout.split(np.ascontiguousarray(whole))

    def kinks(self) -> tuple[str, ...]:
        given = self._whole, self.decay, *self.pieces[0].given
        graph = transforms.graph_of(lambda theta: self._made.plain(theta, *given), self.theta)
        return kinks_between(graph.outputs[0], graph.inputs[0])

    def gradients(self) -> tuple[float, Array, float]:
        """F, its gradient, and the sum of the variances of the gradient's elements from piece to piece, which is NaN
        for one piece."""
        value, mean, squares = 0.0, np.zeros(self.size), 0.0
        for place, share in enumerate(self._shares):
            loss, g = self.gradient_of(place)
            value, mean = value + share * loss, mean + share * g
            squares += float(share * (g @ g))
        count = len(self.pieces)
        spread = max(squares - float(mean @ mean), 0.0) * count / (count - 1) if count > 1 else np.nan
        return value, mean, spread


def _pieces(sample: Sample, model: Model, size: int, most: int | None) -> list[Piece]:
    arrays = {**named(sample.x), "y": sample.y}
    if sample.weight is not None:
        arrays["weight"] = sample.weight
    count = len(sample) if most is None else min(len(sample), most)
    # Rows of a file may be sorted by class, and a piece has to be like a shuffled batch.
    order = np.random.default_rng(0).permutation(len(sample))[:count]
    size = min(size, count)
    found = []
    for place in range(count // size):
        rows = order[place * size : (place + 1) * size]
        cut = {name: in_float64(array[rows]) for name, array in arrays.items()}
        mass = float(np.sum(cut["weight"])) if "weight" in cut else float(size)
        if mass > 0:
            found.append(Piece(np.array(place, np.int64), cut, mass))
    return found


def coupled_decay(optimizer: Optimizer, model: Model, step: int) -> Array:
    """The factor by which each trainable parameter is added to its gradient, (P,); 0 where decay is apart from it."""
    layout = model.layout.trained
    if isinstance(optimizer, Groups):
        total = np.zeros(layout.size)
        for made, its in optimizer.parts(layout):
            if its.count():
                total += its.unpack(np.zeros(layout.size), _strength(made, step) * its.trained.decay_mask(np.float64))
        return total
    return _strength(optimizer, step) * layout.decay_mask(np.float64)


def _strength(optimizer: Optimizer, step: int) -> float:
    if optimizer.decoupled:
        return 0.0
    return optimizer.decay_at(np.int64(step))


def decays_apart(optimizer: Optimizer) -> bool:
    """Whether weight decay pulls beside the gradient, so that steps do not end where the gradient is zero."""
    if isinstance(optimizer, Groups):
        return any(decays_apart(made) for _, made in optimizer.groups)
    return optimizer.decoupled and bool(optimizer.weight_decay)


def last_step(part: Part) -> int:
    """The number of the last step of a run, from 0."""
    ended = None if part.run is None else part.run.ended
    return 0 if ended is None else max(ended.step - 1, 0)


def batch_of(job: Job, rows: int) -> int:
    """Rows of a training step: all for a minimiser."""
    return rows if isinstance(job.optimizer, Minimiser) else min(job.batch_size, rows)


def is_by_rows(model: Model) -> bool:
    """Whether a row's loss does not depend on the rows beside it, so that pieces may have any size."""
    return not model.layout.count(KEPT) and model.loss.task != "custom"


__all__ = [
    "Piece", "Programs", "TrainingLoss", "batch_of", "coupled_decay", "decays_apart", "is_by_rows",
    "last_step", "programs",
]  # fmt: skip
