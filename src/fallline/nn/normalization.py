"""BatchNorm: features normalised over the batch while training, by running statistics otherwise."""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fallline import ranges
from fallline.errors import NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.context import Context
from fallline.nn.layer import Generator
from fallline.ranges import option, short
from fallline.tree import Tree


@table.layer(lambda: [(BatchNorm(), (4,)), (BatchNorm(0.5, eps=0.01), (3, 2))])
@dataclass(frozen=True)
class BatchNorm(NotCalled):
    """Each feature moved and scaled to mean 0 and variance 1 over the batch, then scaled and moved as learned.

        training:    m = mean of x over the batch,  v = mean of (x - m)^2 over the batch
                     y = gamma (x - m) / sqrt(v + eps) + beta
                     mean <- mean + momentum (m - mean)
                     variance <- variance + momentum (n / (n - 1) v - variance)
        otherwise:   y = gamma (x - mean) / sqrt(variance + eps) + beta

    x: (N, ..., D); a feature is a place of the last axis, and n counts all values of it in a batch. Parameters, (D,)
    each: gamma and beta, which the optimizer moves; mean and variance, which this layer keeps. They start at 1, 0, 0
    and 1. A prediction for a row follows from that row alone.
    momentum: share of each batch in the running statistics, 0 < momentum <= 1. eps: > 0, keeps the quotient finite.
    A batch of a single value of each feature has no variance: it is normalised by the running statistics.
    Errors: ArgumentError outside the ranges; ShapeError for rows without features.
    Source: Ioffe & Szegedy 2015, Batch normalization, arXiv:1502.03167, Algorithms 1 and 2; with running averages in
    the place of a pass over the training data at the end (there section 3.1).
    Example: Sequential(Dense(64, bias=False), BatchNorm(), ReLU(), Dense(10))
    """

    momentum: float = option(0.1, "share of each batch in the running statistics", above=0, at_most=1)
    _: KW_ONLY
    eps: float = option(1e-5, "added to the variance", above=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        if not shape:
            raise ShapeError(f"{short(self)} takes features, (N, D), and meets an input of shape (N,)")
        ones, zeros = np.ones(shape[-1:], dtype), np.zeros(shape[-1:], dtype)
        return {"gamma": ones, "beta": zeros, "mean": zeros.copy(), "variance": ones.copy()}, shape

    def apply(self, params: Tree, x: Any, context: Context) -> Any:
        mean, variance = params["mean"], params["variance"]
        n = math.prod(x.shape[:-1])
        if context.training and n > 1:
            axes = tuple(range(len(x.shape) - 1))
            m = np.mean(x, axis=axes)
            centred = x - m
            v = np.mean(np.square(centred), axis=axes)
            context.keep(mean, mean + self.momentum * (m - mean))
            context.keep(variance, variance + self.momentum * (v * (n / (n - 1)) - variance))
        else:
            centred, v = x - mean, variance
        return centred * (params["gamma"] / np.sqrt(v + self.eps)) + params["beta"]
