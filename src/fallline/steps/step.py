"""One training step, and one block of an evaluation, as graphs: mini-batch, forward, loss, backward, optimizer, sums.

Everything a step does is in its graph, so the program that runs it needs nobody for thousands of steps. Knows no
single loss, layer or optimizer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import ArgumentError, TraceError
from fallline.graph.inside import Inside
from fallline.graph.node import Graph, Node, new_input
from fallline.graph.op import Array
from fallline.graph.trace import as_output, input_like, trace
from fallline.graph.where import part
from fallline.nn.by_member import by_member
from fallline.nn.context import Context, applied
from fallline.nn.model import Model
from fallline.nn.theta import TRAINABLE, Layout
from fallline.ops.gather_scatter import gather
from fallline.ops.random import random_bits
from fallline.ops.view import join, reshape
from fallline.optim import Optimizer
from fallline.passes.backprop import backprop
from fallline.ranges import short
from fallline.source import as_tree, named
from fallline.steps.measure import Column, Measure
from fallline.tree import Tree

# The prefix of the optimizer's arrays within a state.
OPTIMIZER = "optimizer."
# The part of a step's graph that is the gradient as one vector.
GRADIENT = "gradient"


def training_step(
    model: Model,
    optimizer: Optimizer,
    state: Mapping[str, Array],
    data: Mapping[str, Array],
    size: int,
    whole: bool = False,
) -> Graph:
    """The graph of one update on a batch of `size` rows; its last output is the loss before the update.

    state: "theta", "step", "cursor", "loss_sum", "weight_sum" where rows have weights, and the optimizer's arrays under
    OPTIMIZER + name.
    data: named arrays, "x" (or "x.age", "x.image" ... of several inputs), "y", and "weight" where rows have them;
    "order"; "seed", int64, of the numbers that layers draw while training; "steps", float64, of the whole training,
    where they are known; "learning_rate", float64, where it is one number: inputs given with the data are no part of
    the graph, so that trainings that differ in it can share one.
    whole: the batch is all rows of x as they stand, so none are gathered.
    """
    return measured_step(model, optimizer, state, data, size, whole, {})[0]


def measured_step(
    model: Model,
    optimizer: Optimizer,
    state: Mapping[str, Array],
    data: Mapping[str, Array],
    size: int,
    whole: bool,
    measures: Mapping[str, Measure],
) -> tuple[Graph, list[Column]]:
    """The same with one more output for each measured value, and the description of each."""
    names, columns, wanted = [*state, *data], list[Column](), {one.of for one in measures.values()}

    def step(*values: Any) -> list[Any]:
        of = dict(zip(names, values, strict=True))
        found = evaluated(model, of, None if whole else size, wanted)
        # Measured before the update, so that the values need not be kept until after it.
        before, of_before = measured({n: one for n, one in measures.items() if one.of != "update"}, found.values)
        new = updated(model, optimizer, of, found, size)
        changes = {"update": updates(model, of["theta"], new["theta"])} if "update" in wanted else {}
        after, of_after = measured({n: one for n, one in measures.items() if one.of == "update"}, changes)
        columns[:] = [*of_before, *of_after]
        return [*(new[name] for name in state), found.loss, *before, *after]

    graph, _ = trace(step, [input_like(array, name) for name, array in {**state, **data}.items()], kept=True)
    return graph, columns


def measured(
    measures: Mapping[str, Measure], values: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Node], list[Column]]:
    """The measures of these values, and the description of each."""
    nodes, columns = [], []
    with part("measures"):
        for name, one in measures.items():
            for path, node in one.found(values[one.of]).items():
                nodes.append(node)
                columns.append(Column(name, path, node.shape))
    return nodes, columns


def updates(model: Model, before: Any, after: Any) -> dict[str, Any]:
    """The change of each parameter, by path."""
    return {path: slot.of(after) - slot.of(before) for path, slot in model.layout.items()}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The first half of a step: the loss of a batch, its gradient with respect to the trainable part of theta, and the
    values that layers keep, by path.

    mass: the sum of the batch's weights, float64, where rows have weights.
    values: to be measured, by source and path.
    """

    loss: Any
    gradient: Any
    kept: Mapping[str, Any]
    mass: Any = None
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Forward:
    """The forward pass of a step, as nodes.

    params: their tree. context: has the values inside the network. x, y, weight: of the batch; weight is None where
    rows have none, and so is mass, their sum. loss: with penalties on the parameters.
    """

    params: Tree
    context: Context
    x: Tree
    y: Any
    weight: Any
    output: Any
    loss: Any
    mass: Any


def forward(model: Model, of: Mapping[str, Any], size: int | None, training: bool = True) -> Forward:
    """The forward pass of a step, to the loss of its batch.

    of: nodes by name, as for `training_step`. size: rows of the batch; None: all rows as they stand.
    training: False computes as the network predicts.
    """
    params = model.layout.split(of["theta"])
    done = of["step"] / of["steps"] if training and "steps" in of else None
    key = random_bits(of["step"], of.get("seed", 0)) if training else None
    context = Context(training, key, model.dtype, done)
    with part("batch"):
        xb, yb, weight = batch(model, of, size)
    output = applied(model.network, params, xb, context)
    with part("loss"):
        loss, mass = loss_of(model, *by_member(context.answers(output), output, yb, weight)), mass_of(weight)
        loss = model.loss.penalised(loss, params, model.layout, yb.shape[0] if mass is None else mass)
    return Forward(params, context, xb, yb, weight, output, loss, mass)


def evaluated(model: Model, of: Mapping[str, Any], size: int | None, wanted: Collection[str] = ()) -> Evaluation:
    """The forward and the backward pass of a step.

    of, size: as for `forward`. wanted: sources of values that are to be measured; the others are not looked for.
    """
    made = forward(model, of, size)
    grads = backprop([made.loss], model.layout.trainable(made.params))
    sources: Mapping[str, Callable[[], Mapping[str, Any]]] = {
        "gradient": lambda: dict(zip((path for path, _ in model.layout.trained.items()), grads, strict=True)),
        "parameter": lambda: dict(tree.items(made.params)),
        "activation": lambda: made.context.outputs,
        "note": lambda: made.context.notes,
    }
    values = {name: found() for name, found in sources.items() if name in wanted}
    kept = kept_by_layers(model.layout, made.context.kept(made.params))
    return Evaluation(made.loss, joined_gradients(grads), kept, made.mass, values)


def kept_by_layers(layout: Layout, kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values that layers write in a step. Errors: ArgumentError for a parameter that the optimizer moves."""
    for path, slot in layout.items():
        if slot.kind == TRAINABLE and path in kept:
            raise ArgumentError(
                f"context.keep: a layer writes the parameter {path!r} in this step, and did not while the network was "
                "made, so the optimizer moves it\n  try: context.keep wherever context.training is true, for batches "
                "of two rows and more"
            )
    return kept


def updated(model: Model, optimizer: Optimizer, of: Mapping[str, Any], found: Evaluation, size: int) -> dict[str, Any]:
    """The second half of a step: the next state by name."""
    layout = model.layout
    moments = {name.removeprefix(OPTIMIZER): of[name] for name in of if name.startswith(OPTIMIZER)}
    with part("optimizer"):
        before, rate = layout.pack(of["theta"]), of.get("learning_rate")
        after, moments = optimizer_step(optimizer, before, found.gradient, moments, of["step"], layout.trained, rate)
        theta = layout.unpack(of["theta"], after, found.kept)
    with part("counters"):
        counts = updated_counters(of, found, size)
    return {"theta": theta, **counts, **{OPTIMIZER + name: value for name, value in moments.items()}}


def optimizer_step(optimizer: Optimizer, theta: Any, g: Any, state: Mapping[str, Any], *rest: Any) -> tuple[Any, Any]:
    """theta and the optimizer's state after its step; errors in the rule of a user's optimizer name it."""
    own = type(optimizer).__module__.startswith("fallline.")
    with Inside(lambda: short(optimizer), {"its state": state, "theta": theta}, ours_pass=own):
        return optimizer.moved(theta, g, dict(state), *rest)


def updated_counters(of: Mapping[str, Any], found: Evaluation, size: int) -> dict[str, Any]:
    """The counters after a step: losses are summed by their weights where rows have them."""
    mass = float(size) if found.mass is None else found.mass
    total = of["loss_sum"] + found.loss.astype(np.float64) * mass
    counts = {"step": of["step"] + 1, "cursor": of["cursor"] + size, "loss_sum": total}
    return counts if found.mass is None else {**counts, "weight_sum": of["weight_sum"] + mass}


def mass_of(weight: Node | None) -> Any:
    """The sum of weights, in float64; None where there are none."""
    return None if weight is None else np.sum(weight.astype(np.float64))


def batch(model: Model, of: Mapping[str, Any], size: int | None) -> tuple[Tree, Node, Node | None]:
    """The `size` rows that `order` names from the cursor on, or all: inputs, targets, and weights where rows have them.

    Floats come in the model's precision, whole numbers and bool as they are.
    """
    inputs = [*named(model.inputs)]
    values = {name: of[name] for name in (*inputs, "y", "weight") if name in of}
    if size is not None:
        rows = gather(of["order"], of["cursor"] + np.arange(size), axis=0)
        values = {name: gather(value, rows, axis=0) for name, value in values.items()}

    def cast(value: Node) -> Node:
        return value.astype(model.dtype) if value.dtype.kind == "f" else value

    x = as_tree({name: cast(values[name]) for name in inputs}, model.inputs)
    return x, values["y"], cast(values["weight"]) if "weight" in values else None


def loss_of(model: Model, output: Any, y: Any, weight: Any = None) -> Node:
    """The batch's loss as a node, weighted where there are weights; a function of the user's may return anything."""
    own = type(model.loss).__module__.startswith("fallline.")
    given = {"its outputs": output, "its targets": y}
    with Inside(lambda: f"the loss {short(model.loss)}", given, "its outputs", ours_pass=own):
        value = model.loss.function(output, y) if weight is None else model.loss.weighted(output, y, weight)
        loss = as_output(value, model.loss.function)
    if loss.shape != ():
        raise TraceError(
            f"a loss is one number, and {model.loss!r} returns an array of shape {tuple(loss.shape)}\n"
            "  try: np.mean(...) around it"
        )
    return loss


def joined_gradients(grads: Sequence[Node]) -> Node:
    """The gradients with respect to the trainable parts of theta, one after the other as they lie there."""
    with part(GRADIENT):
        parts = [reshape(g, shape=(g.size,)) for g in grads]
        result: Node = parts[0] if len(parts) == 1 else join(*parts, axis=0)
    return result


def evaluation_step(
    model: Model, data: Mapping[str, Array], size: int, sums: Sequence[Callable[[Any, Any, Any], Any]]
) -> tuple[Graph, list[tuple[int, ...]]]:
    """The graph that adds a block of `size` rows to running sums: the loss, then each of `sums` (outputs, y, weight),
    and last the weights, where rows have them; the loss is summed by them.

    Inputs: the cursor and the sums, which are its state, then "theta", the named arrays and "order". Also returns the
    shapes of the sums.
    """
    names, inputs = list(data), [input_like(array, name) for name, array in data.items()]

    def block(cursor: Any, *values: Any) -> list[Any]:
        of = dict(zip(names, values, strict=True)) | {"cursor": cursor}
        xb, yb, weight = batch(model, of, size)
        output = model.apply(of["theta"], xb)
        loss, others = loss_of(model, output, yb, weight), [function(output, yb, weight) for function in sums]
        mass = mass_of(weight)
        added = [loss * float(size), *others] if mass is None else [loss.astype(np.float64) * mass, *others, mass]
        return [value.astype(np.float64) for value in added]

    cursor = new_input((), np.int64, "cursor")
    first, _ = trace(block, [cursor, *inputs], kept=True)
    totals = [new_input(node.shape, np.float64, "sum") for node in first.outputs]

    def step(cursor: Any, *values: Any) -> list[Any]:
        before, values = values[: len(totals)], values[len(totals) :]
        return [cursor + size, *(a + b for a, b in zip(before, block(cursor, *values), strict=True))]

    graph, _ = trace(step, [cursor, *totals, *inputs])
    return graph, [node.shape for node in totals]
