"""The inner values of a step that gauges are made of, as nodes of one graph, each made when a gauge first asks for it.

All belong to one point: theta and the optimizer's state as they are before a step, and the batch that the step sees.
Knows no single gauge.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import ArgumentError
from fallline.nn.activation import Activation
from fallline.nn.by_member import by_member
from fallline.nn.context import Context, applied
from fallline.nn.frozen import Frozen
from fallline.nn.model import Model
from fallline.nn.theta import TRAINABLE
from fallline.ops.gather_scatter import gather
from fallline.ops.view import reshape
from fallline.optim import Minimiser, Optimizer
from fallline.passes.backprop import backprop
from fallline.steps.step import (
    Evaluation,
    Forward,
    forward,
    joined_gradients,
    kept_by_layers,
    updated,
    updates,
)
from fallline.transforms import grad, vmap
from fallline.transforms.directional import push

PROBE = "probe."
# Far from 0, where a bounded activation no longer changes.
_FAR = 1e4


class Inner:
    """Nodes by name; what costs something is made once, when it is asked for.

    model, optimizer: of the step. of: nodes by name, as for `training_step`, also "start", theta at the start, and the
    probe's rows under PROBE + name. size: rows of the batch that `order` names from the cursor on; None: all rows.
    most_rows: of the batch whose own gradients are made; None: all.
    """

    def __init__(
        self, model: Model, optimizer: Optimizer, of: Mapping[str, Any], size: int | None, most_rows: int | None = None
    ) -> None:
        self.model, self.optimizer, self.of, self.size, self.most_rows = model, optimizer, of, size, most_rows

    @cached_property
    def at(self) -> Forward:
        """The forward pass of the step."""
        return forward(self.model, self.of, self.size)

    @cached_property
    def paths(self) -> list[str]:
        """Of the parameters that are trained."""
        return [path for path, _ in self.model.layout.trained.items()]

    @cached_property
    def rows(self) -> int:
        """Rows of the batch."""
        return int(self.at.y.shape[0])

    def by_path(self, values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self.paths, values, strict=True))

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Those that are trained, by path."""
        return self.by_path(self.model.layout.trainable(self.at.params))

    @cached_property
    def gradient(self) -> dict[str, Any]:
        """Of the batch's loss with respect to each trained parameter."""
        return self.by_path(backprop([self.at.loss], [*self.parameters.values()]))

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """The layers' outputs in the step, by path."""
        return {path: y for path, y in self.at.context.outputs.items() if y.dtype.kind == "f"}

    @cached_property
    def deltas(self) -> dict[str, Any]:
        """The derivative of the batch's loss with respect to each layer's output."""
        return dict(zip(self.outputs, backprop([self.at.loss], [*self.outputs.values()]), strict=True))

    @cached_property
    def after(self) -> dict[str, Any]:
        """The state after the step, by name.

        Errors: ArgumentError for a minimiser, whose steps are made outside of any program.
        """
        if isinstance(self.optimizer, Minimiser):
            raise ArgumentError(f"{self.optimizer.name} makes its steps outside of a program, so the next is not known")
        kept = kept_by_layers(self.model.layout, self.at.context.kept(self.at.params))
        found = Evaluation(self.at.loss, joined_gradients([*self.gradient.values()]), kept, self.at.mass)
        return updated(self.model, self.optimizer, self.of, found, self.rows)

    @cached_property
    def update(self) -> dict[str, Any]:
        """The change that the step makes to each trained parameter."""
        changes = updates(self.model, self.of["theta"], self.after["theta"])
        return {path: changes[path] for path in self.paths}

    @cached_property
    def moved(self) -> Forward:
        """The forward pass over the same batch once the step is made, with the same random numbers."""
        return forward(self.model, {**self.of, "theta": self.after["theta"]}, self.size)

    # Rows of the batch, one by one. Layers that compute otherwise while training (Dropout, BatchNorm) mix rows or draw
    # numbers, so there rows are looked at as the network predicts.

    @cached_property
    def at_rows(self) -> Forward:
        """The forward pass in which a row's loss depends on that row alone."""
        return forward(self.model, self.of, self.size, training=False) if self.at.context.mode_was_read else self.at

    @cached_property
    def row_weights(self) -> Any:
        """The factor of each row's loss, so that their mean is the batch's: (N,); None where all are 1."""
        weight = self.at.weight
        return None if weight is None else weight * (self.rows / np.sum(weight))

    def losses_of_rows(self, made: Forward) -> Any:
        """The loss of each row in a forward pass, (N,), without weights and penalties.

        Errors: ArgumentError for a loss that is one number for a whole batch.
        """
        output, y, _ = by_member(made.context.answers(made.output), made.output, made.y, None)
        n = made.y.shape[0]
        try:
            found = self.model.loss.rows(output, y)
        except ArgumentError:
            raise ArgumentError("the loss is one number for a whole batch, so rows have none of their own") from None
        members = found.shape[0] // n
        return found if members == 1 else np.mean(reshape(found, shape=(members, n)), axis=0)

    def row_losses(self, made: Forward) -> Any:
        """The share of each row of the batch in its loss, (N,), times N: their mean is the loss, penalties included.

        Errors: as for `losses_of_rows`.
        """
        each = self.losses_of_rows(made)
        each = each if self.row_weights is None else each * self.row_weights
        return self.model.loss.penalised(each, made.params, self.model.layout, self._mass(made))

    @cached_property
    def adds_up(self) -> Any:
        """How far the mean loss of rows, each alone, is from the batch's, relative to it: 0 where a batch is judged row
        by row, as gauges of rows take it to be."""
        made, loss = self.at_rows, self.model.loss
        if self.row_weights is not None or made.context.answers(made.output) is not None:
            return np.zeros((), self.model.dtype)
        each = vmap(lambda output, y: loss.function(alone(output), alone(y)))(made.output, made.y)
        whole = loss.function(made.output, made.y)
        return np.abs(np.mean(each) - whole) / np.maximum(np.abs(whole), 1e-12)

    def _mass(self, made: Forward) -> Any:
        return made.y.shape[0] if made.mass is None else made.mass

    @cached_property
    def row_gradient(self) -> dict[str, Any]:
        """The mean of the rows' gradients: the batch's gradient, in the forward pass that rows are looked at in."""
        if self.at_rows is self.at:
            return self.gradient
        return self.by_path(backprop([self.at_rows.loss], self.model.layout.trainable(self.at_rows.params)))

    def row_slopes(self, made: Forward, direction: Mapping[str, Any]) -> Any:
        """The derivative of each row's loss along a direction in the trained parameters, (N,): a forward pass more."""
        leaves = self.model.layout.trainable(made.params)
        return push([self.row_losses(made)], leaves, [direction[path] for path in self.paths])[0]

    def slope_of(self, made: Forward, direction: Mapping[str, Any]) -> Any:
        """The derivative of a batch's loss along a direction in the trained parameters."""
        grads = backprop([made.loss], self.model.layout.trainable(made.params))
        return sum(np.sum(g * direction[path]) for path, g in zip(self.paths, grads, strict=True))

    @cached_property
    def chosen_rows(self) -> Any:
        """Places in the batch of the rows whose gradients are made: all of them, or evenly spaced ones."""
        most = self.most_rows
        if most is None or self.rows <= most:
            return None
        return np.unique(np.linspace(0, self.rows - 1, most).astype(np.int64))

    def of_each_row(self, function: Callable[[list[Any]], Any]) -> Any:
        """The results of a function of a row's gradients, a list of arrays in the order of the paths, for each row."""
        made, layout = self.at_rows, self.model.layout
        everything, mass = tree.leaves(made.params), self._mass(made)
        trained = [slot.kind == TRAINABLE for slot in layout.leaves]

        def loss(own: list[Any], x: Any, y: Any, weight: Any) -> Any:
            mine = iter(own)
            params = tree.unflatten(
                made.params, [next(mine) if is_own else leaf for is_own, leaf in zip(trained, everything, strict=True)]
            )
            context, one = Context(False, None, self.model.dtype), tree.map(alone, x)
            output = applied(self.model.network, params, one, context)
            value = self.model.loss.function(*by_member(context.answers(output), output, alone(y), None)[:2])
            return self.model.loss.penalised(value if weight is None else value * weight, params, layout, mass)

        def of_row(x: Any, y: Any, weight: Any) -> Any:
            return function(grad(loss)([*self.parameters_of(made).values()], x, y, weight))

        rows = made.x, made.y, self.row_weights
        if self.chosen_rows is not None:
            places = self.chosen_rows
            rows = tree.map(lambda one: None if one is None else gather(one, places, axis=0), rows)
        axes = (0, 0, None if rows[2] is None else 0)
        return vmap(of_row, in_axes=axes)(*rows)

    def parameters_of(self, made: Forward) -> dict[str, Any]:
        return self.by_path(self.model.layout.trainable(made.params))

    @cached_property
    def row_squares(self) -> dict[str, Any]:
        """The squared norm of each row's gradient, for each trained parameter: (N,) by path."""
        return self.by_path(self.of_each_row(lambda grads: [np.sum(np.square(g)) for g in grads]))

    @cached_property
    def sums_of_squares(self) -> dict[str, Any]:
        """The mean over rows of the squares of their gradients' elements, in the shape of each parameter."""
        squares = self.of_each_row(lambda grads: [np.square(g) for g in grads])
        return self.by_path([np.mean(each, axis=0) for each in squares])

    # The probe: rows that stay the same, looked at as the network predicts.

    @cached_property
    def probe(self) -> Forward:
        """The forward pass over the probe's rows."""
        given = {name.removeprefix(PROBE): node for name, node in self.of.items() if name.startswith(PROBE)}
        if not given:
            raise ArgumentError("there are no rows to look at")
        return forward(self.model, {"theta": self.of["theta"], **given}, None, training=False)

    @cached_property
    def activations(self) -> dict[str, Any]:
        """The layers' outputs on the probe's rows, by path."""
        return {path: y for path, y in self.probe.context.outputs.items() if y.dtype.kind == "f"}

    def slopes(self, bounded: bool | None = None) -> dict[str, Any]:
        """The derivative of each activation at its input on the probe's rows, as a share of its steepest, by path.

        bounded: only of those that are so, such as tanh, or only of those that are not, such as ReLU; None: of all.
        """
        found = {}
        for path, (layer, x) in self.probe.context.layers.items():
            layer = layer.layer if isinstance(layer, Frozen) else layer
            if isinstance(layer, Activation) and bends(layer) and bounded in (None, is_bounded(layer)):
                found[path] = backprop([np.sum(self.activations[path])], [x])[0] / steepest(layer)
        return found


def alone(row: Any) -> Any:
    """One row as a batch of one."""
    return reshape(row, shape=(1, *row.shape))


def bends(layer: Activation) -> bool:
    """Whether an activation works on each value by itself and is no straight line."""
    at = np.linspace(-4, 4, 33)[:, None]
    with np.errstate(all="ignore"):
        try:
            y = np.asarray(layer(at), np.float64)
            both = np.asarray(layer(np.concatenate([at, -at], axis=1)), np.float64)
        except Exception:  # an activation of somebody's own that takes other shapes
            return False
    if y.shape != at.shape or not np.array_equal(both[:, :1], y):
        return False
    return not np.allclose(np.diff(y[:, 0], 2), 0, atol=1e-9)


def steepest(layer: Activation) -> float:
    """The largest slope of an activation, by differences over a grid."""
    at = np.linspace(-8, 8, 1601)
    with np.errstate(all="ignore"):
        found = float(np.abs(np.gradient(np.asarray(layer(at[:, None]), np.float64)[:, 0], at)).max())
    return found if np.isfinite(found) and found > 0 else 1.0


def is_bounded(layer: Activation) -> bool:
    """Whether an activation stays between two values, however far its input goes."""
    with np.errstate(all="ignore"):
        ends = np.asarray(layer(np.array([[-_FAR, -2 * _FAR], [_FAR, 2 * _FAR]])), np.float64)
    return bool(np.isfinite(ends).all() and np.abs(ends).max() < np.sqrt(_FAR))
