"""explain: one row, or a small batch, through a network and back, every value and every delta kept.

The numbers come from one run of the library's own graph: the network is traced with a name of its own for what each
layer returns, and backpropagation is asked for the derivative at each of these places. No layer is computed twice in
another path. explanation.py writes it as text.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arguments import takes
from fallline.arrays import as_array
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError, unknown
from fallline.graph.node import Node
from fallline.graph.op import Array, Shape
from fallline.graph.trace import input_like, trace
from fallline.insight.explanation import Explanation, Index, LayerView, Link, Term
from fallline.nn import loss as losses
from fallline.nn.activation import Activation, Softmax
from fallline.nn.context import Context, applied
from fallline.nn.forms import dtypes_of, is_shape, shapes_of
from fallline.nn.frozen import Frozen
from fallline.nn.inputs import are_several, dtypes_to_tree
from fallline.nn.layer import Dense, Function, Layer, is_layer
from fallline.nn.model import Model
from fallline.nn.sequential import Sequential
from fallline.ops.view import alias
from fallline.passes.backprop import backprop
from fallline.program import call
from fallline.ranges import COUNT, SEED
from fallline.source import as_tree, named
from fallline.table import is_table
from fallline.tree import Tree

# Relative step of the central difference: its own error and that of rounding are then both near 1e-10.
STEP = 1e-5


@takes(seed=SEED, terms=COUNT)
def explain(
    model: Any, x: Any, y: Any, *, weight: Any = None, loss: Any = None, seed: int = 0, terms: int = 4
) -> Explanation:
    """The forward pass, the backward pass, and the chain rule for one weight, in numbers.

        delta_l = d loss / d out_l              from the next layer: sum_k  d out_{l+1},k / d out_l  *  delta_{l+1},k
        d loss / d w = sum over rows  of  d out_l / d w  *  delta_l          for a dense layer: input * delta

    model: a Model, trained or not; a Run (its model is used); or a network such as Sequential(...), which is
        initialised from `seed`.
    x, y: one row (D,) with its target, or a batch (N, D) with N targets, as for training; of several inputs, one row
        has a target that is a single number or label.
    weight: which number to follow: "0.weight[3,4]", ("0.weight", 3, 4), or "0.weight" for the one with the largest
        derivative in it; None takes that of the first layer, whose chain runs through the whole network.
    loss: a name, a record or a function(output, y); None takes the model's, for a bare network "cross_entropy" for
        labels and "squared_error" for other numbers. terms: products listed per sum.
    Everything is computed in float64, whatever the model's precision.
    Errors: ShapeError, DataError for rows that do not fit; ArgumentError for an unknown weight, with the nearest name.

    >>> print(explain(nn.Sequential(nn.Dense(3), nn.Tanh(), nn.Dense(1)), [0.5, -1.0], 2.0))
    """
    x, y = x if are_several(x) else as_array(x, "x"), as_array(y, "y")
    chosen = as_model(model, x, y, loss, seed)
    rows, targets = as_batch(chosen, x, y)
    value, inner, deltas, grads = look(chosen, rows, targets)
    names = ["x", *(f"out{i}" for i in range(len(inner) - 1))]
    layers = tuple(
        LayerView(i, names[i + 1], label(layer), inner[i + 1], deltas[i + 1])
        for i, layer in enumerate(layers_of(chosen.network))
    )
    path, index = pick(grads, weight, chosen)
    spot = dict(tree.items(chosen.params))[path][index]
    chain = follow(chosen, rows, targets, layers, path, index, float(grads[path][index]), terms)
    step = STEP * max(1.0, abs(float(spot)))
    return Explanation(
        chosen, rows, targets, value, layers, deltas[0], grads, path, index, float(spot), float(grads[path][index]),
        chain, central_difference(chosen, rows, targets, path, index, step), step,
    )  # fmt: skip


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


@dataclass(frozen=True)
class Tapped:
    """A layer whose output gets a name of its own in the graph and is noted in `taps`."""

    layer: Layer
    taps: list[Node]

    def init(self, rng: np.random.Generator, shape: Shape, dtype: Any) -> tuple[Tree, Shape]:
        return self.layer.init(rng, shape, dtype)

    def apply(self, params: Tree, x: Any, context: Context) -> Any:
        self.taps.append(alias(context.apply(self.layer, params, x)))
        return self.taps[-1]


def layers_of(network: Layer) -> tuple[Layer, ...]:
    """The layers to look at; a frozen one as itself, since its derivatives are asked for here."""
    layers = network.layers if isinstance(network, Sequential) else (network,)
    return tuple(layer.layer if isinstance(layer, Frozen) else layer for layer in layers)


def look(model: Model, x: Tree, y: Array) -> tuple[float, list[Any], list[Any], dict[str, Array]]:
    """One run of forward and backward: the loss; x and each layer's output; their deltas; the gradient by path."""
    paths, leaves = zip(*tree.items(model.params)) if model.theta.size else ((), ())
    taps: list[Node] = []
    watched = [Tapped(layer, taps) for layer in layers_of(model.network)]
    network = Sequential(*watched) if isinstance(model.network, Sequential) else watched[0]
    inputs = tree.leaves(x)
    floats = [one.dtype.kind == "f" for one in inputs]

    def both_passes(*nodes: Node) -> Tree:
        xs, params = [alias(node) for node in nodes[: len(inputs)]], nodes[len(inputs) :]
        context = Context(dtype=model.dtype)
        output = applied(network, tree.unflatten(model.params, list(params)), tree.unflatten(x, xs), context)
        loss = model.loss.function(output, y)
        if np.shape(loss) != () or not isinstance(loss, Node):
            raise ShapeError(f"the loss has to return one number made from the outputs, it returned {loss!r:.80}")
        continuous = [one for one, is_float in zip(xs, floats) if is_float]
        return [loss, *taps, *backprop([loss], [*continuous, *taps, *params])]

    values = [*inputs, *leaves]
    graph, _ = trace(both_passes, [input_like(value) for value in values])
    loss, *rest = call.once(graph, values)
    outputs, rest = rest[: len(taps)], rest[len(taps) :]
    of_x, deltas, grads = iter(rest[: sum(floats)]), rest[sum(floats) : sum(floats) + len(taps)], rest[-len(leaves) :]
    delta = tree.unflatten(x, [next(of_x) if is_float else None for is_float in floats])
    return float(loss), [x, *outputs], [delta, *deltas], dict(zip(paths, grads if leaves else [], strict=True))


def label(layer: Layer) -> str:
    """A layer in a word or two."""
    if isinstance(layer, Function):
        return getattr(layer.function, "__name__", "function")
    if isinstance(layer, Dense):
        return f"Dense({layer.units})"
    text = repr(layer)
    return text if len(text) <= 30 else type(layer).__name__


def pick(grads: dict[str, Array], weight: Any, model: Model) -> tuple[str, Index]:
    """The path and index of the weight that was asked for, or of the one with the largest derivative."""
    if not grads:
        raise ArgumentError("this network has no parameters, so there is no weight to explain")
    if weight is None:
        # Matrices first: in a bias the chain rule is less to look at.
        path = next((p for p, g in grads.items() if g.ndim > 1), next(iter(grads)))
        return path, largest(grads[path])
    path, index = parse(weight)
    if path not in grads:
        raise unknown("weight", path, grads)
    shape = grads[path].shape
    if index is None:
        return path, largest(grads[path])
    if len(index) != len(shape) or any(not -n <= i < n for i, n in zip(index, shape)):
        raise ArgumentError(
            f"there is no {path}[{','.join(map(str, index))}]: {path} has shape {shape}\n"
            f"  try: {path}[{','.join(str(n - 1) for n in shape)}], the last one"
        )
    return path, tuple(i % n for i, n in zip(index, shape))


def parse(weight: Any) -> tuple[str, Index | None]:
    """("0.weight", (3, 4)) from "0.weight[3,4]" or ("0.weight", 3, 4); no index where none was given."""
    if isinstance(weight, tuple | list) and weight and isinstance(weight[0], str):
        path, rest = weight[0], list(weight[1:])
    elif isinstance(weight, str):
        path, bracket, inside = weight.strip().partition("[")
        rest = [part.strip() for part in inside.rstrip("] ").split(",")] if bracket else []
    else:
        raise ArgumentTypeError(f'weight is "0.weight[3,4]" or ("0.weight", 3, 4), got {weight!r}')
    try:
        index = tuple(int(part) if isinstance(part, str) else operator.index(part) for part in rest)
    except (TypeError, ValueError):
        raise ArgumentError(f'weight is "0.weight[3,4]" or ("0.weight", 3, 4), got {weight!r}') from None
    return path, index or None


def largest(array: Array) -> Index:
    return tuple(int(i) for i in np.unravel_index(int(np.abs(array).argmax()), array.shape))


def central_difference(model: Model, x: Tree, y: Array, path: str, index: Index, step: float) -> float:
    """(loss(w + h) - loss(w - h)) / 2h: two forward passes, no derivative rule."""
    losses_ = []
    for sign in (1, -1):
        moved = model.with_theta(model.theta.copy())
        dict(tree.items(moved.params))[path][index] += sign * step
        with np.errstate(all="ignore"):
            losses_.append(float(np.asarray(moved.objective(moved.theta, x, y))))
    return (losses_[0] - losses_[1]) / (2 * step)


def along(function: Callable[[Any], Any], at: Array, direction: Array) -> Array:
    """How the function's output changes per unit of a small step in a direction."""
    _, change = transforms.jvp(function)(at, direction)
    return np.asarray(change)


def follow(
    model: Model,
    x: Tree,
    y: Array,
    layers: Sequence[LayerView],
    path: str,
    index: Index,
    derivative: float,
    terms: int,
) -> tuple[Link, ...]:
    """The chain rule from a weight to the loss; each link follows the largest term of the one before."""
    network = layers_of(model.network)
    place = int(path.split(".")[0]) if isinstance(model.network, Sequential) else 0
    params = model.params if isinstance(model.network, Sequential) else (model.params,)
    before = layers[place - 1].output if place else x
    before_name = layers[place - 1].name if place else "x"
    inside = path.partition(".")[2] if isinstance(model.network, Sequential) else path
    own = dict(tree.items(params[place]))[inside]

    def of_weight(array: Any) -> Any:
        leaves = [array if p == inside else leaf for p, leaf in tree.items(params[place])]
        return applied(network[place], tree.unflatten(params[place], leaves), before, Context(dtype=np.float64))

    slopes = along(of_weight, own, one_at(own.shape, index))
    dense = isinstance(network[place], Dense)

    def slope_name(at: Index) -> str:
        if dense:
            return f"{before_name}[{at[0]},{index[0]}]" if len(index) == 2 else "1"
        return f"d {layers[place].name}{at_text(at)}/d w"

    weight_rule = "the input times the delta of the sum it enters" if dense else "slope of the output times its delta"
    chain = [
        link(f"d loss / d {path}{at_text(index)}", weight_rule, derivative, slopes, layers[place], slope_name, terms)
    ]
    spot = strongest(slopes, layers[place].delta)
    while spot is not None and place + 1 < len(layers):
        here, there = layers[place], layers[place + 1]
        layer, its = network[place + 1], params[place + 1]
        output_of = partial(applied, layer, its, context=Context(dtype=np.float64))
        slopes = along(output_of, here.output, one_at(here.output.shape, spot))
        value = float(here.delta[spot])
        name = f"delta{here.place}{at_text(spot)}"
        chain.append(link(name, rule_of(layer), value, slopes, there, namer(layer, here, there, spot), terms))
        spot, place = strongest(slopes, there.delta), place + 1
    if spot is not None:
        chain.append(at_the_loss(model, y, layers[-1], spot))
    return tuple(chain)


def rule_of(layer: Layer) -> str:
    if isinstance(layer, Dense):
        return "each weight out of it times the delta at that weight's end"
    if isinstance(layer, Activation) and not isinstance(layer, Softmax):
        return f"the slope of {layer.name} there times the delta after it"
    return "each slope of the next layer times its delta"


def namer(layer: Layer, here: LayerView, there: LayerView, spot: Index) -> Callable[[Index], str]:
    """How the slopes of a layer are called, by the place in its output."""
    if isinstance(layer, Dense):
        return lambda at: f"{there.place}.weight[{spot[-1]},{at[-1]}]"
    if isinstance(layer, Activation) and not isinstance(layer, Softmax):
        return lambda at: f"{layer.name}'({here.name}{at_text(spot)})"
    return lambda at: f"d {there.name}{at_text(at)}/d {here.name}{at_text(spot)}"


def link(
    name: str, rule: str, value: float, slopes: Array, there: LayerView, slope_name: Callable[[Index], str], terms: int
) -> Link:
    """A sum of slope times delta, its largest terms listed."""
    products = slopes * there.delta
    places = np.flatnonzero(slopes)
    order = places[np.argsort(-np.abs(products.ravel()[places]), kind="stable")]
    shown = [tuple(int(i) for i in np.unravel_index(int(flat), slopes.shape)) for flat in order[: max(terms, 1)]]
    listed = tuple(
        Term(slope_name(at), float(slopes[at]), f"delta{there.place}{at_text(at)}", float(there.delta[at]))
        for at in shown
    )
    rest = float(products.ravel()[order[len(shown) :]].sum())
    return Link(name, rule, value, listed, int(places.size), rest)


def strongest(slopes: Array, delta: Array) -> Index | None:
    """Where the largest term of a sum is; None if no path leads on."""
    if not slopes.any():
        return None
    products = np.abs(slopes * delta)
    return largest(products if products.any() else slopes)


# Losses whose derivative at the output is (prediction - truth) times a factor: squared error because it is a square,
# the others because their link is the canonical one. The factor follows from the mean, over rows or over entries.
DIFFERENCES: dict[str, Callable[[Array], tuple[str, float]]] = {
    "squared_error": lambda o: ("2 / entries", 2 / o.size),
    "cross_entropy": lambda o: ("1 / rows", 1 / len(o)),
    "binary_cross_entropy": lambda o: ("1 / entries", 1 / o.size),
    "poisson": lambda o: ("1 / entries", 1 / o.size),
}


def at_the_loss(model: Model, y: Array, last: LayerView, spot: Index) -> Link:
    """The last link: the loss's own slope at an output."""
    value = float(last.delta[spot])
    name = f"delta{last.place}{at_text(spot)}"
    plain = Link(name, f"the slope of {model.loss.name} at {last.name}{at_text(spot)}", value, (), 0, value)
    if model.loss.name not in DIFFERENCES or model.loss.link is None:
        return plain
    factor_name, factor = DIFFERENCES[model.loss.name](last.output)
    guess = np.asarray(model.loss.link(last.output))
    truth = y if y.shape == guess.shape else np.eye(guess.shape[-1])[y]
    smoothing, how = float(getattr(model.loss, "label_smoothing", 0.0)), ""
    if smoothing:
        k, target = truth.shape[-1], f"{float(truth[spot]):.6g}"
        truth = (1 - smoothing) * truth + smoothing / k
        how = f", which is {1 - smoothing:g} * {target} + {smoothing:g} / {k} (label smoothing {smoothing:g})"
    gap = float(guess[spot] - truth[spot])
    if not np.isclose(gap * factor, value, rtol=1e-6, atol=1e-12):
        return plain
    words = f"{model.loss.name}: prediction {float(guess[spot]):.6g} minus truth {float(truth[spot]):.6g}{how}"
    return Link(name, words, value, (Term("(prediction - truth)", gap, factor_name, factor),), 1, 0.0)


def one_at(shape: Shape, index: Index) -> Array:
    found = np.zeros(shape)
    found[index] = 1.0
    return found


def at_text(index: Index) -> str:
    return f"[{','.join(map(str, index))}]"
