"""A training step as two graphs: one that ends with the gradient, one that makes the update from it.

Between them Python may read the gradient or put another in its place: a minimiser decides where to evaluate next, an
all-reduce averages over machines. Knows no single loss, layer or optimizer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fallline.graph.node import Graph
from fallline.graph.op import Array
from fallline.graph.trace import input_like, trace
from fallline.graph.where import part
from fallline.nn.model import Model
from fallline.nn.theta import KEPT, Layout, Slot
from fallline.ops.view import alias, join, reshape
from fallline.optim import Optimizer
from fallline.optim.optimizer import decay
from fallline.steps.measure import Column, Measure
from fallline.steps.step import Evaluation, evaluated, measured, updated

# The place of the loss among the outputs of a gradient graph.
LOSS = 1


def found_at(model: Model, weighted: bool = False) -> dict[str, Array]:
    """Arrays for the results of the first half of a step, which its graph writes over.

    "gradient": with respect to the trainable part of theta, as `layout.pack` lays it. "loss", and "value": the loss
    with the term of weight decay; float64. "kept", where there are such slots: their new values one after the other.
    "mass", where rows have weights: the sum of the batch's.
    """
    kept = model.layout.count(KEPT)
    return {
        "gradient": np.zeros(model.layout.trained.size, model.dtype),
        "loss": np.zeros((), np.float64),
        "value": np.zeros((), np.float64),
        **({"kept": np.zeros(kept, model.dtype)} if kept else {}),
        **({"mass": np.zeros((), np.float64)} if weighted else {}),
    }


def kept_slots(layout: Layout) -> list[Slot]:
    return [slot for _, slot in layout.items() if slot.kind == KEPT]


def kept_by_path(layout: Layout, kept: Any) -> dict[str, Any]:
    """The values of kept slots in a vector of all of them."""
    found, start = {}, 0
    for slot in kept_slots(layout):
        found[slot.path] = reshape(kept[start : start + slot.size], shape=slot.shape)
        start += slot.size
    return found


def gradient_graph(
    model: Model, found: Mapping[str, Array], given: Mapping[str, Array], size: int | None, weight_decay: float = 0.0
) -> Graph:
    """The graph from theta and a batch to `found`, whose arrays are its first inputs and are not read.

    found: as from `found_at`. given: "theta", "step", "cursor", the data, "order" and "seed".
    size: rows of the batch that `order` names from the cursor on; None: all rows of the data as they stand.
    weight_decay: the value is the loss plus weight_decay / 2 times the sum of the squared weights; the gradient is that
    of the value.
    """
    return measured_gradient_graph(model, found, given, size, weight_decay, {})[0]


def measured_gradient_graph(
    model: Model,
    found: Mapping[str, Array],
    given: Mapping[str, Array],
    size: int | None,
    weight_decay: float,
    measures: Mapping[str, Measure],
) -> tuple[Graph, list[Column]]:
    """The same; where there are measures, with the loss once more and the measured values as further outputs."""
    names, layout, columns = [*found, *given], model.layout, list[Column]()

    def evaluate(*values: Any) -> list[Any]:
        of = dict(zip(names, values, strict=True))
        made = evaluated(model, of, size, {one.of for one in measures.values()})
        g = made.gradient
        loss = value = made.loss.astype(np.float64)
        if weight_decay:
            with part("weight decay"):
                theta, mask = layout.pack(of["theta"]), layout.trained.decay_mask(model.dtype)
                g = g + decay(theta, weight_decay, mask)
                value = value + 0.5 * weight_decay * np.sum(np.square(theta) * mask).astype(np.float64)
        kept = [
            reshape(made.kept.get(slot.path, slot.of(of["theta"])), shape=(slot.size,)) for slot in kept_slots(layout)
        ]
        mass = [made.mass] if "mass" in found else []
        made_of = [g, loss, value, *([join(*kept, axis=0)] if kept else []), *mass]
        if not measures:
            return made_of
        taken, columns[:] = measured(measures, made.values)
        return [*made_of, alias(loss), *taken]

    graph, _ = trace(evaluate, [input_like(a, name) for name, a in {**found, **given}.items()], kept=True)
    return graph, columns


def update_graph(
    model: Model,
    optimizer: Optimizer,
    state: Mapping[str, Array],
    found: Mapping[str, Array],
    data: Mapping[str, Array],
    size: int,
) -> Graph:
    """The graph from the state and the first half's findings to the next state; its last output is the loss.

    state, data: as for `training_step`. found: as from `found_at`. size: rows that the loss is the mean of.
    """
    names = [*state, *found, *data]

    def update(*values: Any) -> list[Any]:
        of = dict(zip(names, values, strict=True))
        kept = kept_by_path(model.layout, of["kept"]) if "kept" in found else {}
        # The loss as a step has it, in the model's precision, and a value of its own: to be watched.
        loss = of["loss"].astype(model.dtype)
        new = updated(model, optimizer, of, Evaluation(loss, of["gradient"], kept, of.get("mass")), size)
        return [*(new[name] for name in state), loss]

    graph, _ = trace(update, [input_like(a, name) for name, a in {**state, **found, **data}.items()], kept=True)
    return graph
