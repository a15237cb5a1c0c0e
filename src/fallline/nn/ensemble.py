"""Ensemble: networks side by side whose predictions are averaged, itself a network; and models put together as one.

Knows no training: the members may come from anywhere.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fallline.arguments import Form, takes
from fallline.errors import ArgumentError, ArgumentTypeError, NotCalled, ShapeError
from fallline.graph.op import Shape
from fallline.nn import layer_table as table
from fallline.nn.averages import AVERAGES, link_of
from fallline.nn.context import Context, applied
from fallline.nn.layer import Dense, Generator, Layer, check_no_model, check_parts, is_layer, with_batch
from fallline.nn.model import MODEL, Model
from fallline.nn.sequential import mlp
from fallline.nn.theta import Layout
from fallline.ranges import check, option, short
from fallline.tree import Tree


@table.layer(lambda: [(Ensemble((Dense(3), mlp((2,), 3)), link="softmax"), (4,)), (Ensemble((Dense(2),)), (4,))])
@dataclass(frozen=True, repr=False)
class Ensemble(NotCalled):
    """Networks that read the same rows, as one network, which averages their predictions.

        y_hat = 1/k (y_hat_1 + ... + y_hat_k)        y_hat_i = link(z_i), z_i the outputs of network i

    The output is the z with link(z) = y_hat, so whatever takes a network takes an ensemble.
    networks: layers, or lists of layers, that give outputs of one shape.
    link: "softmax", "sigmoid" or "exp", that of the loss, so that probabilities (or counts) are averaged; "identity":
        the outputs themselves.
    Errors: ArgumentError for no networks; ShapeError from `init` where their outputs differ in shape.
    Example: Ensemble((mlp((64,), 10), mlp((32, 32), 10)), link="softmax")
    Source: Hansen & Salamon 1990, Neural network ensembles; averaged as in Lakshminarayanan et al. 2017,
    arXiv:1612.01474.
    """

    networks: tuple[Layer, ...]
    link: str = option("identity", "what turns outputs into predictions", number=False, words=tuple(AVERAGES))

    def __post_init__(self) -> None:
        check(self)
        networks = tuple(self.networks) if isinstance(self.networks, list | tuple) else ()
        if not networks:
            raise ArgumentError(f"an ensemble takes one network or more, in a tuple, got {self.networks!r}")
        for place, network in enumerate(networks):
            check_no_model(network, f"network {place} of the ensemble", "nn.averaged(models), for models; or ")
            if not is_layer(network) or isinstance(network, type):
                raise ArgumentTypeError(f"network {place} of the ensemble is no layer: {network!r}")
        object.__setattr__(self, "networks", networks)

    def __repr__(self) -> str:
        counted = Counter(map(repr, self.networks))
        inside = ", ".join(text if n == 1 else f"{n} x {text}" for text, n in counted.items())
        return f"Ensemble({inside}, link={self.link!r})"

    def init(self, rng: Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        drawn = [network.init(rng, shape, dtype) for network in self.networks]
        first = tuple(drawn[0][1])
        for place, (_, out) in enumerate(drawn):
            if tuple(out) != first:
                raise ShapeError(
                    f"network {place} of the ensemble gives {with_batch(tuple(out))}, network 0 {with_batch(first)}"
                )
        return tuple(params for params, _ in drawn), first

    def apply(self, params: Tree, x: Any, context: Context | None = None) -> Any:
        check_parts(params, len(self.networks), "Ensemble")
        contexts = [None if context is None else context.within(place) for place in range(len(self.networks))]
        z = [applied(*each) for each in zip(self.networks, params, itertools.repeat(x), contexts)]
        return z[0] if len(z) == 1 else AVERAGES[self.link](np.stack(z), len(z))


@takes(models=Form("a list of models", lambda given: _all_models(given)))
def averaged(models: Sequence[Model]) -> Model:
    """The model that predicts the average of these: of probabilities where there are any, else of numbers.

    models: trained on the same kind of rows and targets; their networks may differ. Theta is theirs, one after the
        other, copied.
    Errors: ArgumentError for no models, or models that do not predict the same thing.
    Example: averaged([run.model for run in runs]).predict(x)
    """
    models = list(models)
    if not models:
        raise ArgumentError("an ensemble takes one model or more, got none")
    first, wrong = models[0], []
    for place, model in enumerate(models):
        for what, mine, its in zip(WHAT, _kind(first), _kind(model)):
            if mine != its:
                wrong.append(f"{what}: {mine} in model 0, {its} in model {place}")
    if wrong:
        raise ArgumentError("these models do not predict the same thing\n  " + "\n  ".join(wrong))
    network = Ensemble(tuple(model.network for model in models), link_of(first.loss))
    layout = Layout.of(tuple(model.layout.slots for model in models))
    theta = np.concatenate([model.theta for model in models])
    return replace(first, network=network, layout=layout, theta=theta)


@takes(model=MODEL)
def members(model: Model) -> tuple[Model, ...]:
    """The models an ensemble is made of, over its own theta; any other model is its only member."""
    if not isinstance(model.network, Ensemble):
        return (model,)
    found, start = [], 0
    for network, slots in zip(model.network.networks, model.layout.slots, strict=True):
        layout = Layout.of(slots)
        theta = model.theta[start : start + layout.size]
        found.append(replace(model, network=network, layout=layout, theta=theta))
        start += layout.size
    return tuple(found)


def _all_models(given: Any) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(one, Model) for one in given)


WHAT = ("rows", "outputs", "loss", "dtype", "classes", "encoder", "decoder")


def _kind(model: Model) -> tuple[Any, ...]:
    """The properties in which models have to agree, in the order of WHAT."""
    classes = "none" if model.classes is None else str(model.classes.tolist())
    shapes = with_batch(model.input_shape), with_batch(model.output_shape)
    return *shapes, short(model.loss), str(model.dtype), classes, model.encoder, model.decoder
