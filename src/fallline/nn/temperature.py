"""Temperature: outputs divided by one number, and the calibration of a model, which finds that number on rows held
out.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline import ranges
from fallline.arguments import of, takes
from fallline.errors import ArgumentError, NotCalled, ShapeError
from fallline.graph.op import Array, Shape
from fallline.nn import layer_table as table
from fallline.nn.context import Context
from fallline.nn.layer import Generator
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.nn.theta import Layout
from fallline.ranges import option, short
from fallline.tree import Tree

# Temperatures outside are no calibration any more: rows that are all predicted right have their minimum at 0.
COLDEST, HOTTEST = 0.05, 20.0


@table.layer(lambda: [(Temperature(2.0), (3,))])
@dataclass(frozen=True)
class Temperature(NotCalled):
    """Outputs divided by one fixed number.

        y = x / temperature        x: any shape

    temperature: > 0; above 1 probabilities move towards one another, below 1 apart.
    Errors: ArgumentError outside the range.
    Example: Sequential(Dense(64), ReLU(), Dense(10), Temperature(1.5))
    """

    temperature: float = option(1.0, "divided by", above=0)

    def __post_init__(self) -> None:
        ranges.check(self)

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        return {}, shape

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        return x / float(self.temperature)


@takes(model=of(Model, "a model"))
def calibrated(model: Model, x: Any, y: Any, weight: Any = None, *, threads: int | None = None) -> Model:
    """The same classifier with its probabilities calibrated on rows that it was not trained on.

        p = softmax(z / T),        T = argmin sum_i w_i (-log p_i[y_i]) + log(T)^2 / 2,        mean(w) = 1

    One number cannot change which class is the most probable, so labels and rankings within a row stay. T is part of
    the network that comes back, its last layer, and so of the model's file. It is found between 0.05 and 20. The last
    term, a normal prior of log(T), weighs as much as a row or two: it matters where there are hardly any, all of which
    may be predicted right, and would otherwise make the model certain of everything.

    x, y, weight: held-out rows, as for `Model.evaluate`; those of validation will do.
    Errors: ArgumentError for a model without probabilities; ShapeError for x and y of several lengths.
    Example: calibrated(run.model, x_held, y_held).predict_proba(x)
    Source: Platt 1999; Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599, section 4.2.
        Differs: in the prior.
    """
    if model.task not in ("classification", "binary") or model.loss.link is None:
        raise ArgumentError(f"a model with the loss {short(model.loss)} has no probabilities to calibrate")
    z = model.outputs(x, threads=threads).astype(np.float64)
    y = model.prepare(y).y
    if len(z) != len(y):
        raise ShapeError(f"calibrated: x has {len(z)} rows and y has {len(y)}")
    if model.task == "binary":  # one output z: the logits 0 and z
        z, y = np.stack([np.zeros(z.size), z.ravel()], axis=1), np.stack([1 - y.ravel(), y.ravel()], axis=1)
    network = model.network
    slots = model.layout.slots if isinstance(network, Sequential) else (model.layout.slots,)
    layer = Temperature(best_temperature(z, y, weight))
    return replace(model, network=Sequential(network, layer), layout=Layout.of((*slots, {})))


def best_temperature(z: Array, y: Array, weight: Array | None = None) -> float:
    """The T with the least cross-entropy of softmax(z / T) and the prior, by bisection of the slope in 1 / T.

    z: (N, K) logits. y: (N,) codes, or (N, K) probabilities. weight: (N,) of the rows.
    """
    w = np.ones(len(z)) if weight is None else np.asarray(weight, np.float64) / np.mean(weight)
    truth = np.eye(z.shape[1])[y] if y.ndim == 1 else np.asarray(y, np.float64)
    wanted = float(w @ np.sum(truth * z, axis=1))

    def slope(cold: float) -> float:
        p = np.exp(cold * (z - z.max(axis=1, keepdims=True)))
        return float(w @ (np.sum(p * z, axis=1) / p.sum(axis=1))) - wanted + float(np.log(cold)) / cold

    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(float(np.exp(middle))) > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))
