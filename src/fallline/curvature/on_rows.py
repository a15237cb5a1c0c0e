"""The loss of a model on rows as a surface: what descent minimises, summed over blocks of rows of bounded memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fallline import transforms, tree
from fallline.arguments import shown, takes
from fallline.arrays import as_array, in_float64
from fallline.curvature.lanczos import Product
from fallline.curvature.surface import Surface, kinks_between
from fallline.errors import ArgumentError, ArgumentTypeError, DataError, FalllineError, ShapeError
from fallline.graph.op import Array
from fallline.nn.by_member import by_member
from fallline.nn.context import Context, applied
from fallline.nn.model import MODEL, Model
from fallline.nn.theta import Layout
from fallline.ranges import COUNT, SEED, Range
from fallline.tree import Tree

# Rows of a block: enough for matrix products to be efficient, few enough for their activations to stay in cache.
BLOCK = 512
# Rows from which on a random sample stands for all, unless another number is asked for.
MOST_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class Block:
    """Rows that go through the network together. share: of their loss in the whole, the sum of all shares being 1."""

    arrays: tuple[Array, ...]
    share: float


@dataclass(frozen=True, eq=False, kw_only=True)
class OnRows(Surface):
    """The loss of a model on rows, as its trainable parameters move.

        L(theta) = sum_i w_i l_i / sum_i w_i + penalty + weight_decay / 2 sum_j decay_j theta_j^2

    training: whether layers compute as in training, on batches of `batch` rows in their order: with the statistics of
    the batch, and random numbers that follow from `seed`. Else they compute as they predict: no dropout, running
    statistics as they stand.
    rows, of: how many rows are looked at, and of how many they were drawn. weight_decay: of an optimizer that adds it
    to the gradient. batch: rows that a penalty per row is divided by.
    """

    model: Model
    blocks: Sequence[Block]
    inputs: Tree  # as the network takes them; only their form is read
    weighted: bool
    weight_decay: float
    rows: int
    of: int
    batch: int
    training: bool = False
    seed: int = 0

    @cached_property
    def theta(self) -> Array:  # type: ignore[override]
        return np.array(self.model.layout.pack(self.model.theta))

    @property
    def layout(self) -> Layout:  # type: ignore[override]
        return self.model.layout

    def tree_of(self, direction: Array) -> Tree:
        layout = self.model.layout
        return layout.split(np.ascontiguousarray(layout.unpack(np.zeros_like(self.model.theta), direction)))

    def of_block(self, theta: Any, *arrays: Any) -> Any:
        """The loss of a block as a function of the trainable parameters, written in NumPy."""
        params = self._params(theta)
        *xs, y, weight = arrays if self.weighted else (*arrays, None)
        x = tree.unflatten(self.inputs, xs)
        context, loss = self.context(), self.model.loss
        z = applied(self.model.network, params, x, context)
        z, y, weight = by_member(context.answers(z), z, y, weight)
        return loss.function(z, y) if weight is None else loss.weighted(z, y, weight)

    def context(self) -> Context:
        """The mode in which layers compute; random numbers are the same at every call."""
        if not self.training:
            return Context(dtype=np.float64)
        return Context(True, np.int64(self.seed), np.float64, 1.0)

    def apart(self, theta: Any) -> Any:
        """The penalty and the weight decay: the part of the loss that reads no rows."""
        params, layout = self._params(theta), self.model.layout
        value = self.model.loss.penalised(np.sum(theta) * 0.0, params, layout, self.batch)
        if self.weight_decay:
            mask = layout.trained.decay_mask(np.float64)
            value = value + 0.5 * self.weight_decay * np.sum(mask * np.square(theta))
        return value

    def _params(self, theta: Any) -> Tree:
        layout = self.model.layout
        return layout.split(layout.unpack(self.model.theta, theta))

    @property
    def _is_apart(self) -> bool:
        return bool(self.weight_decay) or getattr(self.model.loss, "penalty", None) is not None

    @cached_property
    def _gradients(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        grad, compiled = transforms.value_and_grad, transforms.compile
        return compiled(grad(self.of_block)), compiled(grad(self.apart))

    @cached_property
    def _products(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        return transforms.compile(transforms.hvp(self.of_block)), transforms.compile(transforms.hvp(self.apart))

    def evaluated(self) -> tuple[float, Array]:
        return self.evaluated_at(self.theta)

    def evaluated_at(self, theta: Array) -> tuple[float, Array]:
        """The value and the gradient at other parameters, (P,) float64."""
        value, gradient = 0.0, np.zeros(self.size)
        of_block, apart = self._gradients
        for block in self.blocks:
            loss, g = of_block(theta, *block.arrays)
            value, gradient = value + block.share * float(loss), gradient + block.share * g
        if self._is_apart:
            term, g = apart(theta)
            value, gradient = value + float(term), gradient + g
        return value, gradient

    def product(self) -> Product:
        return lambda vector: self.product_at(self.theta, vector)

    def product_at(self, theta: Array, vector: Array) -> Array:
        """The Hessian at other parameters times a vector."""
        of_block, apart = self._products
        found = np.zeros(self.size)
        for block in self.blocks:
            found += block.share * of_block(theta, vector, *block.arrays)
        if self._is_apart:
            found += apart(theta, vector)
        return found

    def values_at(self, thetas: Array) -> Array:
        """The values at many parameters, (B, P) -> (B,), without any derivative."""
        of_block, apart = self._many
        found: Array = sum(block.share * of_block(thetas, *block.arrays) for block in self.blocks)
        return found + apart(thetas) if self._is_apart else found

    @cached_property
    def _many(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        axes = (0, *(None for _ in self.blocks[0].arrays))
        return (
            transforms.compile(transforms.vmap(self.of_block, in_axes=axes)),
            transforms.compile(transforms.vmap(self.apart)),
        )

    @property
    def meaning(self) -> str:
        """The meaning of curvature here; also where training computes another function than this one."""
        found = [super().meaning] if super().meaning else []
        if not self.training and self._differs:
            found.append("some layers compute otherwise while training, so descent followed another function")
        return "; ".join(found)

    @property
    def _differs(self) -> bool:
        """Whether a layer has asked for the mode, so that training may be another function."""
        context, seen = self.context(), self.blocks[0].arrays
        xs = tree.unflatten(self.inputs, list(seen[: len(tree.leaves(self.inputs))]))
        transforms.graph_of(lambda theta: applied(self.model.network, self._params(theta), xs, context), self.theta)
        return context.mode_was_read

    def kinks(self) -> tuple[str, ...]:
        graphs = [transforms.graph_of(self.of_block, self.theta, *self.blocks[0].arrays)]
        graphs += [transforms.graph_of(self.apart, self.theta)] if self._is_apart else []
        return tuple(dict.fromkeys(name for one in graphs for name in kinks_between(one.outputs[0], one.inputs[0])))


def on_rows(
    model: Model,
    x: Tree,
    y: Array,
    weight: Array | None = None,
    *,
    weight_decay: float = 0.0,
    most: int | None = MOST_ROWS,
    batch: int | None = None,
    training: bool = False,
    seed: int = 0,
) -> OnRows:
    """The surface of a model's loss on rows that its network can read.

    x, y: rows as the network takes them (`model.rows`) and targets as the loss takes them (`model.prepare(y).y`).
    weight: of each row, >= 0. weight_decay: of an optimizer that adds it to the gradient. most: where there are more
    rows, so many are drawn without replacement, from `seed`; None takes all. batch: rows of a training step, which a
    penalty per row is divided by; None: all rows. training: layers compute as in training, on batches of so many rows.
    Errors: DataError for no rows, or weights that are all 0; ShapeError where lengths differ.
    """
    leaves = [as_array(leaf, "x") for leaf in tree.leaves(x)]
    count = len(leaves[0]) if leaves else 0
    lengths = {len(one) for one in (*leaves, y, *(() if weight is None else (weight,)))}
    if lengths != {count}:
        raise ShapeError(f"x, y and weights have different numbers of rows: {sorted(lengths)}")
    if not count:
        raise DataError("curvature of a loss needs one row at least, and there are none")
    if not model.layout.count():
        raise ArgumentError("the model has no trainable parameters, so there is no direction to look along")
    rows = np.arange(count)
    if most is not None and count > most:
        rows = np.sort(np.random.default_rng(seed).choice(count, int(most), replace=False))
    whole = replace(model, theta=model.theta.astype(np.float64))
    total = float(len(rows)) if weight is None else float(np.sum(weight[rows], dtype=np.float64))
    if total <= 0:
        raise DataError("the weights of all rows are 0, so their loss has no value")
    size = (batch or len(rows)) if training else BLOCK if adds_up(whole, y) else len(rows)
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    if not training:
        parts = np.array_split(rows, len(parts))
    blocks = []
    for part in parts:
        arrays = [in_float64(leaf[part]) for leaf in (*leaves, y)]
        mass = float(len(part))
        if weight is not None:
            arrays.append(np.asarray(weight[part], np.float64))
            mass = float(arrays[-1].sum())
        blocks.append(Block(tuple(arrays), mass / total))
    return OnRows(
        model=whole,
        blocks=blocks,
        inputs=x,
        weighted=weight is not None,
        weight_decay=float(weight_decay),
        rows=len(rows),
        of=count,
        batch=batch or len(rows),
        training=training,
        seed=seed,
    )


@takes(model=MODEL, weight_decay=Range(at_least=0), most=COUNT, seed=SEED)
def of_model(
    model: Model, data: Any, *, weight_decay: float = 0.0, most: int | None = MOST_ROWS, seed: int = 0
) -> OnRows:
    """The surface of a model's loss on rows, to ask for curvature at the model's parameters.

    data: (x, y) as the model takes them, or (x, y, weight). weight_decay: the strength of an optimizer that adds it to
    the gradient. most: where there are more rows, so many are drawn without replacement, from `seed`; None takes all.
    Computed in float64 and in blocks of rows, so memory does not grow with their number. Layers compute as they
    predict: no dropout, running statistics as they stand. Where a loss is not twice differentiable, `meaning` says what
    its curvature is.
    Errors: ArgumentTypeError for data of another form; DataError, ShapeError for rows that the model cannot take.

    >>> here = of_model(run.model, (x, y))
    >>> lambda_max(here).value
    """
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise ArgumentTypeError(f"of_model: data is (x, y) or (x, y, weight), got {shown(data)}\n"
                                "  try: curvature.of_model(model, (x, y))")  # fmt: skip
    x, y, *rest = data
    weight = as_array(rest[0], "weight") if rest and rest[0] is not None else None
    return on_rows(model, model.rows(x), model.prepare(y).y, weight, weight_decay=weight_decay, most=most, seed=seed)


def adds_up(model: Model, y: Array) -> bool:
    """Whether the loss of many rows is the mean of the losses of rows; else all go through the network at once."""
    try:
        z = np.zeros((1, *model.output_shape))
        model.loss.rows(z, y[:1])
    except FalllineError:
        return False
    return True


__all__ = ["BLOCK", "MOST_ROWS", "OnRows", "adds_up", "of_model", "on_rows"]
