"""A part of a model as a model: some of its layers, with their parameters where they lie; theta from a tree."""

import operator
from dataclasses import replace
from typing import Any

import numpy as np

from fallline import arrays, tree
from fallline.arguments import shown
from fallline.errors import ArgumentError, ArgumentTypeError, OutOfRangeError
from fallline.graph.op import Array
from fallline.nn import summary
from fallline.nn.loss import SquaredError
from fallline.nn.sequential import Sequential
from fallline.nn.theta import Layout
from fallline.ranges import short
from fallline.tree import Tree


def part_of(model: Any, key: Any) -> Any:
    """The layers of a Sequential from one place up to another, or at one, as a model over the same theta.

    model: a Model, which this file must not import. With the first layer goes the encoder, with the last the meaning
    of the outputs; before the last layer, outputs are numbers.
    """
    network = model.network
    if not isinstance(network, Sequential):
        raise ArgumentTypeError(
            f"only a Sequential has parts by their place, and the network is {short(network)}\n"
            "  try: nn.Model.init(layer, shape).with_params(model.params[name]), for a layer inside it"
        )
    count = len(network.layers)
    first, stop = _bounds(key, count)
    steps = summary.steps(network, model.layout.slots, model.inputs, model.dtype)
    shapes = [model.input_shape, *(out for _, _, out in steps)]
    slots = model.layout.slots[first:stop]
    inside = tree.leaves(slots)
    theta = model.theta[inside[0].start : inside[-1].stop] if inside else np.empty(0, model.dtype)
    part = replace(
        model,
        network=Sequential(*network.layers[first:stop]),
        input_shape=shapes[first],
        output_shape=shapes[stop],
        layout=Layout.of(slots),
        theta=theta,
        encoder=None if first else model.encoder,
        input_dtypes={} if first else model.input_dtypes,
    )
    return part if stop == count else replace(part, loss=SquaredError(), classes=None, flat=False, decoder=None)


def theta_of(layout: Layout, params: Tree, dtype: Any) -> Array:
    """The vector of a tree of parameters, compared with the layout first."""
    given = [(path, np.shape(arrays.real(leaf, f"the parameter {path!r}"))) for path, leaf in tree.items(params)]
    wants = [(path, slot.shape) for path, slot in layout.items()]
    if given != wants:
        raise ArgumentError(f"params has another form than the model's: {given!s:.300}, and the model has "
                            f"{wants!s:.300}\n  try: a tree like model.params")  # fmt: skip
    return layout.join(params, dtype)


def _bounds(key: Any, count: int) -> tuple[int, int]:
    if isinstance(key, slice):
        first, stop, step = key.indices(count)
        if step != 1 or stop <= first:
            raise ArgumentError(f"a part of a model is one layer or more in a row, of the {count} it has, got {key}\n"
                                "  try: model[:2]")  # fmt: skip
        return first, stop
    try:
        place = operator.index(key)
    except TypeError:
        raise ArgumentTypeError(f"a part of a model is taken by places, as model[:2] or model[0], got {shown(key)}\n"
                                "  try: model.params[name], for parameters by their name") from None  # fmt: skip
    if not -count <= place < count:
        raise OutOfRangeError(f"the model has {count} layers, got {place}")
    return place % count, place % count + 1
