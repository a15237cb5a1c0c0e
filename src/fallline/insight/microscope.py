"""explain: one row, or a small batch, through a network and back, every value and every delta kept.

The numbers come from one run of the library's own graph, and from the derivatives of its pieces (pieces.py): no layer
is computed twice in another path. Here the parts are put together; explanation.py has the forms to read them in.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.arguments import shown, takes
from fallline.arrays import as_array
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from fallline.graph.op import Array
from fallline.insight.explanation import Explanation, LayerView
from fallline.insight.followed import Chosen, choose, input_names
from fallline.insight.links import Names, follow
from fallline.insight.paths import MOST_LISTED, MOST_SLOPES, Paths, cost, downstream, paths_from, rows_apart
from fallline.insight.pieces import Passes, Pieces
from fallline.insight.pieces import run as once_through
from fallline.insight.stepped import stepped
from fallline.insight.wiring import wired
from fallline.nn import loss as losses
from fallline.nn.forms import dtypes_of, is_shape, shapes_of
from fallline.nn.inputs import are_several, dtypes_to_tree
from fallline.nn.layer import Dense, Function, Layer, is_layer
from fallline.nn.model import Model
from fallline.ranges import COUNT, SEED
from fallline.source import as_tree, named
from fallline.table import is_table
from fallline.tree import Tree

# Relative step of the central difference: its own error and that of rounding are then both near 1e-10.
STEP = 1e-5


def _listed(paths: Any) -> int | None:
    """How many paths to list: None for the usual, -1 for all."""
    if paths is None or paths == "all":
        return None if paths is None else -1
    if isinstance(paths, int | np.integer) and not isinstance(paths, bool) and 0 <= paths <= MOST_LISTED:
        return int(paths)
    raise ArgumentError(f'paths is "all" or a whole number from 0 to {MOST_LISTED:,}, got {shown(paths)}')


@takes(seed=SEED, terms=COUNT)
def explain(
    model: Any,
    x: Any,
    y: Any,
    *,
    weight: Any = None,
    to: Any = None,
    paths: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    seed: int = 0,
    terms: int = 4,
) -> Explanation:
    """The forward pass, the backward pass, the chain rule for one number along all its paths, and the step after it.

        delta_l = d loss / d out_l              from the layers that read it: sum_k  d out_m,k / d out_l  *  delta_m,k
        d loss / d w = sum over rows  of  d out_l / d w  *  delta_l          for a dense layer: input * delta
                     = sum over paths from w to the loss  of  the product of the slopes along the path
        theta <- theta - learning_rate d loss / d theta                      the step, or that of the optimizer

    model: a Model, trained or not; a Run (its model is used, and its optimizer for the step); or a network such as
        Sequential(...), which is initialised from `seed`.
    x, y: one row (D,) with its target, or a batch (N, D) with N targets, as for training; of several inputs, one row
        has a target that is a single number or label.
    weight: which number to follow: "0.weight[3,4]", ("0.weight", 3, 4), or "0.weight" for the one with the largest
        derivative in it; None takes that of the first layer, whose chain runs through the whole network.
    to: the same, and inputs too: "x[3]", of several rows "x[0,3]", or a column's name where the model takes a table.
    paths: how many paths to list, the strongest first; "all"; None: all where they are few, else the strongest three.
    loss: a name, a record or a function(output, y); None takes the model's, for a bare network "cross_entropy" for
        labels and "squared_error" for other numbers. terms: products listed per sum.
    optimizer: of the step, from a fresh state; None takes the run's own, in the state in which the run ended, and
        without a run plain gradient descent.
    Everything is computed in float64, whatever the model's precision, as the network predicts: dropout passes all on,
    running statistics stay. Layers inside other layers are shown too, but not those inside a function given to fl.vmap
    or fl.scan.
    Errors: ShapeError, DataError for rows that do not fit; ArgumentError for an unknown weight or input, with the
        nearest name, and for more slopes or paths than can be listed; ArgumentTypeError.
    Source: paths: Bauer 1974, Computational graphs and rounding error, SIAM Journal on Numerical Analysis 11.

    >>> print(explain(nn.Sequential(nn.Dense(3), nn.Tanh(), nn.Dense(1)), [0.5, -1.0], 2.0))
    """
    with np.errstate(all="ignore"):  # numbers that are not finite are told, not warned of
        return _explained(model, x, y, weight, to, _listed(paths), loss, optimizer, seed, terms)


def _explained(
    model: Any, x: Any, y: Any, weight: Any, to: Any, most: int | None, loss: Any, optimizer: Any, seed: int, terms: int
) -> Explanation:
    if weight is not None and to is not None:
        raise ArgumentError(f"weight and to name the number to follow, and both are given: {weight!r} and {to!r}")
    x, y = x if are_several(x) else as_array(x, "x"), as_array(y, "y")
    run = model if hasattr(model, "epochs") and hasattr(model, "model") else None
    model = as_model(model, x, y, loss, seed)
    rows, targets = as_batch(model, x, y)
    passes = once_through(model, rows, lambda output: model.loss.function(output, targets))
    pieces = Pieces(model, rows, lambda output: model.loss.function(output, targets), passes)
    whole = [name for name, one in named(rows).items() if one.dtype.kind != "f"]
    asked = to if weight is None else weight
    columns = model.encoder if weight is None and to is not None else None
    chosen = choose(asked, passes.gradient, passes.x_deltas, whole, columns, pieces.values)
    names = Names(pieces, {tap.name: tap for tap in passes.taps}, frozenset(passes.gradient), len(targets) == 1)
    chain = follow(model, targets, passes, names, chosen, terms)
    found, left_out = _paths(pieces, passes, chosen, len(targets), most)
    step = STEP * max(1.0, abs(chosen.value))
    layers = tuple(
        LayerView(tap.path, tap.name, label(tap.layer), output, delta)
        for tap, output, delta in zip(passes.taps, passes.outputs, passes.deltas, strict=True)
    )
    deltas = {**passes.x_deltas, **{layer.name: layer.delta for layer in layers}}
    labels = {**dict.fromkeys(named(rows), "input"), **{layer.name: layer.label for layer in layers}}
    strongest = found.listed[0] if found is not None and found.listed else None
    row, entry = 0, None
    if strongest is not None and len(strongest.steps) > 1:
        second = strongest.steps[1]
        row, entry = second.index[0], names.multiplied(chosen.path, chosen.index, second.source, second.index)
    return Explanation(
        model, rows, targets, passes.loss, layers,
        tree.unflatten(rows, [passes.x_deltas.get(name) for name in named(rows)]), passes.gradient, chosen, chain,
        found, left_out, central_difference(model, rows, targets, chosen, step), step,
        stepped(model, rows, targets, passes.gradient, passes.loss, chosen, run, optimizer),
        wired(pieces, labels, deltas, row, strongest, entry), input_names(model.encoder), _notes(model, passes),
    )  # fmt: skip


def _notes(model: Model, passes: Passes) -> tuple[str, ...]:
    """In which the loss that is explained is not the one that a training minimises."""
    notes = []
    if passes.averages:
        notes.append("A training minimises the mean of its members' losses; explained is the loss of their average.")
    if getattr(model.loss, "penalty", None) is not None:
        notes.append("A training adds a penalty on the parameters to the loss; explained is the loss without it.")
    return tuple(notes)


def _paths(pieces: Pieces, passes: Passes, chosen: Chosen, rows: int, most: int | None) -> tuple[Paths | None, str]:
    """The paths, or why there are none."""
    apart = rows_apart(pieces, downstream(pieces, chosen.path), rows)
    slopes = cost(pieces, chosen.path, apart)
    if slopes > MOST_SLOPES:
        why = f"{slopes:,} slopes lie between the number and the loss, more than {MOST_SLOPES:,}"
        if most is not None:
            raise ArgumentError(
                f"paths: {why}\n  try: fewer rows, or a weight of a later layer; paths=None leaves them out"
            )
        return None, f"left out, as {why}."
    found = paths_from(pieces, passes, chosen.path, chosen.index, rows, most)
    if found is None:
        return None, "left out, as their sum is not the derivative: numbers are not finite, or too far apart."
    if most == -1 and not found.are_all:
        raise ArgumentError(
            f"paths: there are {found.count:,.0f}, and at most {MOST_LISTED:,} are listed\n"
            "  try: paths=20, the strongest"
        )
    return found, ""


def as_model(given: Any, x: Any, y: Any, loss: Any, seed: int) -> Model:
    """The given model in float64, with the loss to explain."""
    model = getattr(given, "model", given)
    if not isinstance(model, Model):
        if not is_layer(model) or isinstance(model, type):
            raise ArgumentTypeError(f"explain takes a model, a run, or a network, got {given!r:.80}")
        labels = np.asarray(y).dtype.kind in "iubUS"
        one_row = np.ndim(y) == 0 or (not are_several(x) and np.ndim(x) == 1)
        arrays = tree.map(np.asarray, x)
        shape = tree.map(lambda one: np.zeros((1, *one.shape)), arrays) if one_row else arrays
        loss = ("cross_entropy" if labels else "squared_error") if loss is None else loss
        dtypes = dtypes_to_tree(dtypes_of(arrays), shapes_of(shape)) if are_several(x) else None
        model = Model.init(model, shapes_of(shape), loss=loss, seed=seed, input_dtype=dtypes)
    elif loss is not None:
        model = replace(model, loss=losses.get(loss))
    return as_double(model)


def as_double(model: Model) -> Model:
    """The same model in float64."""
    return replace(model, theta=model.theta.astype(np.float64))


def as_batch(model: Model, x: Any, y: Any) -> tuple[Tree, Array]:
    """Rows and targets as the network and the loss take them; a single row becomes a batch of one."""
    if is_shape(model.row_shape):
        x = np.asarray(x) if model.encoder is None or not is_table(x) else model.encoder.table_numbers(x, "x")
        is_one = x.shape == model.row_shape
    else:
        is_one = np.ndim(y) == 0
        x = tree.map(np.asarray, x)
    if is_one:
        x, y = tree.map(lambda one: one[None], x), np.asarray(y)[None]
    forms, rows = named(model.inputs), model.rows(x)
    whole = {name: form.dtype.kind != "f" and named(rows)[name].dtype.kind != "f" for name, form in forms.items()}
    arrays = {name: one if whole[name] else one.astype(np.float64) for name, one in named(rows).items()}
    rows = as_tree(arrays, rows)
    count = len(next(iter(arrays.values())))
    if not count:
        raise DataError("explain needs one row at least, x is empty")
    for name, one in arrays.items():
        bad = np.flatnonzero(~np.isfinite(one).reshape(count, -1).all(axis=1))
        if bad.size:
            message = f"{name} has NaN or infinite values in {bad.size} of {count} rows"
            raise DataError(f"{message}, the first at row {bad[0]}")
    targets = targets_for(model, y)
    if len(targets) != count:
        raise ShapeError(f"x has {count} rows and y has {len(targets)} targets")
    return rows, targets


def targets_for(model: Model, y: Any) -> Array:
    """Targets as the loss takes them. Without known classes, whole numbers are the classes 0..K-1 themselves."""
    outputs = model.output_shape[0] if len(model.output_shape) == 1 else None
    classes, y = model.classes, model.standard(y)
    if classes is None and outputs is not None and np.asarray(y).dtype.kind in "iub" and np.ndim(y) < 2:
        # One row shows one class only; the network's outputs say how many there are.
        classes = {"classification": np.arange(outputs), "binary": np.arange(2)}.get(model.task)
    return model.loss.prepare(y, model.dtype, outputs, classes).y


def label(layer: Layer) -> str:
    """A layer in a word or two."""
    if isinstance(layer, Function):
        return getattr(layer.function, "__name__", "function")
    if isinstance(layer, Dense):
        return f"Dense({layer.units})"
    text = repr(layer)
    return text if len(text) <= 30 else type(layer).__name__


def central_difference(model: Model, x: Tree, y: Array, chosen: Chosen, step: float) -> float:
    """(loss(w + h) - loss(w - h)) / 2h: two forward passes, no derivative rule."""
    losses_ = []
    for sign in (1, -1):
        moved, there = model.with_theta(model.theta.copy()), tree.map(np.array, x)
        values = named(there) if chosen.is_input else dict(tree.items(moved.params))
        values[chosen.path][chosen.index] += sign * step
        with np.errstate(all="ignore"):
            losses_.append(float(np.asarray(moved.objective(moved.theta, there, y))))
    return (losses_[0] - losses_[1]) / (2 * step)
