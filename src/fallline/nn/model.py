"""Model: a network, its theta, and what its outputs mean. Computes by plain NumPy; knows no training.

Theta is one flat contiguous vector of all parameters; the named arrays are views of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fallline import tree
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from fallline.graph.op import Array, Shape
from fallline.nn import loss as losses
from fallline.nn.layer import Layer, with_batch
from fallline.nn.loss import Loss
from fallline.nn.sequential import Sequential
from fallline.nn.target import Targets
from fallline.ops.view import cut, reshape
from fallline.tree import Tree

# Rows go through the network in blocks of about this many numbers in the widest layer: bounded memory, warm caches.
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one parameter array lies in theta."""

    start: int
    shape: Shape

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tree of parameters lies in theta: its leaves one after the other, in the order of their paths."""

    slots: Tree
    size: int

    @staticmethod
    def of(params: Tree) -> "Layout":
        ends = np.cumsum([0, *(leaf.size for leaf in tree.leaves(params))]).tolist()
        slots = [Slot(start, leaf.shape) for start, leaf in zip(ends, tree.leaves(params), strict=False)]
        return Layout(tree.unflatten(params, slots), ends[-1])

    def split(self, theta: Any) -> Tree:
        """The parameters as views of theta; for a traced theta, as slices of it."""
        return tree.map(
            lambda slot: reshape(cut(theta, 0, slot.start, slot.start + slot.size), shape=slot.shape), self.slots
        )

    def items(self) -> Iterator[tuple[str, Slot]]:
        return tree.items(self.slots)


@dataclass(frozen=True, eq=False)
class Model:
    """A network with its parameters, and what its outputs mean.

    network: the layers. input_shape: of one row of x. theta: all parameters, one vector of `layout.size` numbers.
    loss: says how outputs become predictions. classes: labels, in the order of the outputs; None for numbers.
    flat: predictions come as (N,), as the targets did.
    """

    network: Layer
    input_shape: Shape
    output_shape: Shape
    layout: Layout
    theta: Array = field(repr=False)
    loss: Loss = field(default_factory=losses.SquaredError)
    classes: Array | None = None
    flat: bool = False

    @staticmethod
    def init(
        network: Any, input_shape: Shape | int, *, loss: Any = "squared_error", seed: Any = 0, dtype: Any = "float32"
    ) -> "Model":
        """A model before training, its parameters drawn from the seed.

        network: a Sequential, any other layer, or a list of layers. input_shape: of one row, (D,) or D for D features.
        loss: a name of LOSSES, a record, or a function(output, y). seed: a whole number or a NumPy Generator.
        dtype: "float32" or "float64".
        """
        layer = (
            network if isinstance(network, Layer) and not isinstance(network, type) else Sequential(*_listed(network))
        )
        chosen = losses.get(loss)
        if (
            isinstance(layer, Sequential)
            and layer.layers
            and chosen.link is not None
            and layer.layers[-1] == chosen.link
        ):
            # The loss works on what comes before its link, where it is exact; predict_proba applies the link.
            layer = Sequential(*layer.layers[:-1])
        shape = (int(input_shape),) if isinstance(input_shape, int | np.integer) else tuple(int(n) for n in input_shape)
        params, out = layer.init(np.random.default_rng(seed), shape, _float(dtype))
        layout = Layout.of(params)
        theta = np.concatenate([np.zeros(0, _float(dtype)), *(leaf.ravel() for leaf in tree.leaves(params))])
        return Model(layer, shape, tuple(out), layout, theta.astype(_float(dtype), copy=False), chosen)

    @property
    def params(self) -> Tree:
        """The named parameters: views of theta, so writing into one changes the model."""
        return self.layout.split(self.theta)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.theta.dtype

    @property
    def task(self) -> str:
        return self.loss.task

    @property
    def decay_mask(self) -> Array:
        """1 where weight decay pulls, on arrays with two or more axes (weights), 0 elsewhere (biases)."""
        mask = np.zeros_like(self.theta)
        for _, slot in self.layout.items():
            if len(slot.shape) > 1:
                mask[slot.start : slot.start + slot.size] = 1
        return mask

    def apply(self, theta: Any, x: Any) -> Any:
        """The raw outputs for a batch, as a function of theta: plain NumPy, so it can be traced."""
        return self.network.apply(self.layout.split(theta), x)

    def objective(self, theta: Any, x: Any, y: Any) -> Any:
        """The loss of a batch as a function of theta; y as `prepare` returns it."""
        return self.loss.function(self.apply(theta, x), y)

    def prepare(self, y: Any) -> Targets:
        """Targets as the loss takes them, checked; labels by this model's classes where it has them."""
        outputs = self.output_shape[0] if len(self.output_shape) == 1 else None
        return self.loss.prepare(y, self.dtype, outputs, self.classes)

    def for_targets(self, targets: Targets) -> "Model":
        """The same model that predicts in the form these targets were given in."""
        return replace(self, classes=targets.classes, flat=targets.flat)

    def with_theta(self, theta: Array) -> "Model":
        """The same model with other parameters; theta is not copied."""
        if theta.shape != (self.layout.size,) or theta.dtype != self.dtype:
            raise ShapeError(f"theta has {self.layout.size} {self.dtype} numbers, got {theta.dtype}{list(theta.shape)}")
        return replace(self, theta=theta)

    def outputs(self, x: Any) -> Array:
        """The raw outputs (logits, for a classifier): (N, *output_shape), in blocks of bounded memory."""
        x = self.rows(x)
        y = np.empty((len(x), *self.output_shape), self.dtype)
        widest = max(
            [int(np.prod(self.input_shape)), *(slot.shape[-1] for _, slot in self.layout.items() if slot.shape)]
        )
        step = max(1, BLOCK // max(1, widest))
        compute = forward(self)
        for start in range(0, len(x), step):
            y[start : start + step] = compute(np.ascontiguousarray(x[start : start + step], self.dtype))
        return y

    def predict(self, x: Any) -> Array:
        """Class labels for a classifier, else numbers, in the form the targets had."""
        z = self.outputs(x)
        if self.classes is not None:
            best = (z[:, 0] > 0).astype(np.int64) if z.shape[1] == 1 else z.argmax(axis=1)
            return self.classes[best]
        y = z if self.loss.link is None else np.asarray(self.loss.link(z))
        return y[:, 0] if self.flat and y.ndim == 2 and y.shape[1] == 1 else y

    def predict_proba(self, x: Any) -> Array:
        """The probability of each class: (N, K), in the order of `classes`."""
        if self.classes is None or self.loss.link is None:
            raise ArgumentError(f"the loss {self.loss.name} gives no probabilities of classes\n"
                                "  try: loss='cross_entropy', or predict(x)")  # fmt: skip
        p = np.asarray(self.loss.link(self.outputs(x)))
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def rows(self, x: Any) -> Array:
        """x as rows this model can read, or a DataError that says what is wrong with them."""
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise DataError(f"x holds {array.dtype}, not numbers")
        if array.size == 0 and array.ndim < 2:
            array = array.reshape(0, *self.input_shape)
        if array.shape[1:] != self.input_shape or array.ndim == 0:
            hint = "\n  try: x.reshape(1, -1) for a single row" if array.shape == self.input_shape else ""
            raise ShapeError(
                f"x has shape {array.shape}, and the model was made for {with_batch(self.input_shape)}{hint}"
            )
        return array


def reference(model: Model) -> Callable[[Array], Array]:
    """How a block of rows goes through the network: layer by layer in NumPy."""
    params = model.params

    def compute(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(model.network.apply(params, x))

    return compute


# The one place where another way to compute outputs can be put.
forward: Callable[[Model], Callable[[Array], Array]] = reference


def _listed(network: Any) -> list[Any]:
    if isinstance(network, list | tuple):
        return list(network)
    if callable(network) and not isinstance(network, type):
        return [network]
    raise ArgumentTypeError(f"a network is a layer or a list of layers, got {network!r}")


def _float(dtype: Any) -> np.dtype[Any]:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ArgumentError(f'dtype is "float32" or "float64", got {dtype!r}')
    return found
