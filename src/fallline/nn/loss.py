"""Losses: the distance of outputs from targets as one number to minimise. Each is one record and knows no network.

A loss is the mean over the batch (over all entries where outputs are compared number by number), so that a learning
rate means the same for every batch size. Those with `from logits` in their text take raw outputs and are exact where
a probability would round to 0 or 1.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from fallline import ranges
from fallline.arguments import record, shown
from fallline.config import enter, saved
from fallline.errors import ArgumentError, ArgumentTypeError, Attributes, ShapeError, unknown
from fallline.graph.inside import Inside
from fallline.graph.node import Node, new_input, reachable
from fallline.graph.op import Kind
from fallline.nn.activation import Identity, Sigmoid, Softmax
from fallline.nn.target import Targets, as_given, classes_of, counts, numbers, probabilities, signs
from fallline.ops.arithmetic import relu, where
from fallline.ops.transcendental import logistic_loss
from fallline.ops.view import stop_gradient
from fallline.ranges import option, short


@runtime_checkable
class Link(Protocol):
    """The map from a network's outputs to their meaning: numbers, or probabilities."""

    def __call__(self, x: Any) -> Any: ...


@dataclass(frozen=True)
class Exp:
    """exp(x): the outputs are logarithms of the predicted counts."""

    def __call__(self, x: Any) -> Any:
        return np.exp(x)


@record
@dataclass(frozen=True)
class Loss(Attributes):
    """A loss with its task, its link, and its preparation of targets."""

    name: ClassVar[str]
    task: ClassVar[str] = "regression"  # or "binary" (two classes, one output), "classification", "custom"
    link: ClassVar[Link | None] = Identity()  # None: outputs are no probabilities
    prepare: ClassVar[Callable[..., Targets]] = staticmethod(numbers)

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "name"):
            cls.name = cls.__name__

    def __post_init__(self) -> None:
        ranges.check(self)

    def each(self, output: Any, y: Any) -> Any:
        """The loss of every row, (N,), or of every entry, (N, M).

        output: (N, M). y: the targets as `prepare` returns them.
        Errors: ArgumentError for a loss that is defined for a whole batch alone.
        """
        raise ArgumentError(
            f"the loss {short(self)} is one number for a whole batch, and weights need one for each row\n"
            "  try: each(self, output, y) instead of function, which returns (N,) or (N, M) without their mean"
        )

    def function(self, output: Any, y: Any) -> Any:
        """The loss of a batch, a scalar: the mean of `each`."""
        return np.mean(self.each(output, y))

    def rows(self, output: Any, y: Any) -> Any:
        """The loss of every row, (N,): the mean over its entries."""
        each = self.each(output, y)
        return each if len(each.shape) < 2 else np.mean(each, axis=tuple(range(1, len(each.shape))))

    def weighted(self, output: Any, y: Any, weight: Any) -> Any:
        """The weighted mean of the rows' losses, a scalar, as scikit-learn's MLPs have it; 0 where all weights are 0.

        sum_i w_i l_i / sum_i w_i        l_i: `rows`, w_i: weight, (N,), >= 0
        """
        total = np.sum(weight)
        return np.sum(weight * self.rows(output, y)) / where(total > 0, total, 1)

    def penalised(self, loss: Any, params: Any, layout: Any, rows: Any) -> Any:
        """The loss of a training step's batch with penalties on the parameters; nn.Objective has some."""
        return loss

    def __call__(self, output: Any, y: Any) -> Any:
        return self.function(output, y)


def check_weighs(given: Loss) -> None:
    """Raise ArgumentError for a loss that is defined for a whole batch alone, so that its rows have no weights."""
    if type(given).each is Loss.each:
        given.each(None, None)


def in_words(given: Loss) -> str:
    """The loss with its parameters, in text: `cross_entropy, label smoothing 0.1`."""
    options = ((name, value) for name, value in vars(given).items() if isinstance(value, int | float) and value)
    return ", ".join([given.name, *(f"{name.replace('_', ' ')} {value:g}" for name, value in options)])


LOSSES: dict[str, Loss] = {}
L = TypeVar("L", bound=type[Loss])


def loss(cls: L) -> L:
    """Enter a loss with its default parameters under its name."""
    enter(LOSSES, cls.name, cls, "losses", cls())
    return saved(cls)


@saved
@dataclass(frozen=True)
class Custom(Loss):
    """A user's function(output, y) -> scalar, or the loss of each row, (N,). Predictions are the outputs.

    Targets come as they were given, but as a column, (N, 1), where the network has one output: like the outputs.
    user_function: the function; a name where the model was read from a file, which holds no code.
    """

    name = "custom"
    task = "custom"
    prepare = staticmethod(as_given)
    user_function: Callable[[Any, Any], Any] | str

    def function(self, output: Any, y: Any) -> Any:
        value = self._value(output, y)
        return value if getattr(value, "shape", ()) == () else np.mean(value)

    def each(self, output: Any, y: Any) -> Any:
        value = self._value(output, y)
        if getattr(value, "shape", ()) == ():
            raise ArgumentError(
                f"the loss {_called(self)} is one number for a whole batch, and weights need one for each row\n"
                "  try: a function that returns (N,), such as np.mean(..., axis=1); its mean is then the loss"
            )
        return value

    def _value(self, output: Any, y: Any) -> Any:
        """The result of the function, checked: a scalar, or the loss of each row, (N,)."""
        if isinstance(self.user_function, str):
            raise ArgumentError(
                f"the loss {self.user_function!r} was a function of the program that trained this model; "
                "a file holds no code\n  try: loss=your_function"
            )
        given = {"its outputs": output, "its targets": y}
        with Inside(lambda: f"the loss {_called(self)}", given, "its outputs", of=self.user_function):
            value = self.user_function(output, y)
        if getattr(value, "shape", ()) not in ((), tuple(output.shape[:1])):
            name = getattr(self.user_function, "__name__", "loss")
            raise ShapeError(
                f"{name}(output, y) returns shape {tuple(value.shape)}, not one number\n  try: np.mean(...)"
            )
        crossed = _crossed(value, output, y)
        if crossed is not None:
            raise ShapeError(
                f"each output meets each target: {[tuple(side.shape) for side in crossed.inputs]} make "
                f"{tuple(crossed.shape)} in a batch of {output.shape[0]}\n  at {crossed.where}\n"
                "  try: output - y, as y is a column like the outputs; or y[:, 0] with output[:, 0]"
            )
        self._refuse_columns_for_rows(value, output, y)
        return value

    def _refuse_columns_for_rows(self, value: Any, output: Any, y: Any) -> None:
        """Raise where (N, K) and (N,) fit one another in this batch alone, since N = K: column k meets row k.

        The mean of a column, (K,), has that shape too; in a batch of another size it still fits.
        """
        for node in _met(value, output, y, _columns_for_rows):
            other = [new_input((side.shape[0] + 1, *side.shape[1:]), side.dtype) for side in (output, y)]
            try:
                self.user_function(*other)  # type: ignore[operator]
            except ShapeError:
                raise ShapeError(
                    f"columns of outputs meet rows of targets: {[tuple(side.shape) for side in node.inputs]} fit one "
                    f"another only in a batch of {output.shape[0]} rows\n  at {node.where}\n"
                    "  try: y[:, None] with output, or one target for each output, (N, K)"
                ) from None

    def _to_fields(self) -> dict[str, Any]:
        function = self.user_function
        return {"user_function": function if isinstance(function, str) else getattr(function, "__name__", "function")}


def _crossed(value: Any, output: Any, y: Any) -> Node | None:
    """The place where (N,) of outputs meets (N, 1) of targets, or the reverse; None where there is none.

    NumPy makes (N, N) of them without a word, and the mean of that is a number like any other.
    """
    return next(
        _met(value, output, y, _rows_for_columns),
        None,
    )


def _rows_for_columns(node: Node, sides: Sequence[Node], n: int) -> bool:
    return node.op.kind is Kind.ELEMENTWISE and n > 1 and {(n,), (n, 1)} <= {side.shape for side in sides}


def _columns_for_rows(node: Node, sides: Sequence[Node], n: int) -> bool:
    """Whether the first axis of one, N long, is stretched over the rows of another and laid along another axis.

    In a product, any axes of that length may have met.
    """
    if node.op.kind is Kind.CONTRACTION:
        return all(n in side.shape for side in sides) and sum(side.shape.count(n) for side in sides) > len(sides)
    if node.op.kind is not Kind.ELEMENTWISE:
        return False
    few, most = sorted((side.shape for side in sides), key=len)[:: len(sides) - 1]
    return 0 < len(few) < len(most) and few[0] == n and most[0] == n and most[len(most) - len(few)] == n


def _met(value: Any, output: Any, y: Any, wrongly: Callable[[Node, Sequence[Node], int], bool]) -> Iterator[Node]:
    """Nodes with one input that depends on outputs and one that depends on targets alone, of these shapes."""
    if not all(isinstance(part, Node) for part in (value, output, y)):
        return
    of_output = {output: True, y: False}
    for node in reachable([value]):
        sides = [side for side in node.inputs if side in of_output]
        if sides:
            of_output.setdefault(node, any(of_output[side] for side in sides))
        if len({of_output[side] for side in sides}) > 1 and wrongly(node, sides, output.shape[0]):
            yield node


def _called(loss: Custom) -> str:
    return str(getattr(loss.user_function, "__name__", loss.user_function))


def get(given: Any) -> Loss:
    """The loss of this name with its default parameters, a user's function as one, or the given loss itself."""
    if isinstance(given, str):
        if given not in LOSSES:
            raise unknown("loss", given, LOSSES)
        return LOSSES[given]
    if isinstance(given, Loss):
        return given
    if isinstance(given, type):
        raise ArgumentTypeError(f"the loss is the class {given.__name__}\n  try: {given.__name__}()")
    if isinstance(given, Attributes) or not callable(given):
        raise ArgumentTypeError(f"a loss is a name, a record such as nn.Huber(1.0), or a function, got {shown(given)}")
    return Custom(given)


@loss
class SquaredError(Loss):
    """mean (o - y)^2 over all entries.

    o, y: (N, M), numbers; one-dimensional targets are a column where the network has one output.
    Errors: DataError for targets that are no numbers or of another shape than the outputs.
    Example: fl.fit(model, (x, y), loss="squared_error")
    Source: Gauss 1809, Theoria motus; Legendre 1805.
    """

    name = "squared_error"

    def each(self, output: Any, y: Any) -> Any:
        return np.square(output - y)


@loss
class AbsoluteError(Loss):
    """mean |o - y| over all entries; the derivative at 0 is 0.

    o, y: (N, M), numbers; one-dimensional targets are a column where the network has one output.
    Errors: DataError for targets that are no numbers or of another shape than the outputs.
    Example: fl.fit(model, (x, y), loss="absolute_error")
    Source: Laplace 1774; the minimum is the conditional median.
    """

    name = "absolute_error"

    def each(self, output: Any, y: Any) -> Any:
        return np.abs(output - y)


@loss
@dataclass(frozen=True)
class Huber(Loss):
    """Squared near the target, straight far from it, so that outliers pull no harder than delta.

        mean over all entries of  r^2 / 2 where |r| <= delta,  delta (|r| - delta / 2) elsewhere,   r = o - y

    o, y: (N, M), numbers; one-dimensional targets are a column where the network has one output.
    Errors: ArgumentError unless delta > 0; DataError as for SquaredError.
    Example: fl.fit(model, (x, y), loss=nn.Huber(0.5))
    Source: Huber 1964, Robust estimation of a location parameter, section 4.
    """

    name = "huber"
    delta: float = option(1.0, "the error, in units of y, from which on the loss is straight", above=0)

    def each(self, output: Any, y: Any) -> Any:
        r = output - y
        size = np.abs(r)
        return where(size <= self.delta, 0.5 * np.square(r), self.delta * (size - 0.5 * self.delta))


@loss
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Minus the log probability of the true class, from logits.

        mean over rows of  log sum_k exp(z_k) - sum_k q_k z_k
        q = (1 - label_smoothing) onehot(y) + label_smoothing / K

    y: class labels, or rows of probabilities that sum to 1 (soft labels). Predictions: softmax(z).
    z: (N, K) logits.
    Errors: ArgumentError unless 0 <= label_smoothing < 1; DataError for labels that the model does not know, or rows
        that do not sum to 1.
    Example: fl.fit(nn.mlp((64,), 10), (x, labels), loss=nn.CrossEntropy(label_smoothing=0.1))
    Source: Bridle 1990, Probabilistic interpretation of feedforward network outputs; smoothing: Szegedy et al. 2016,
    arXiv:1512.00567, section 7.
    """

    name = "cross_entropy"
    task = "classification"
    link = Softmax()
    prepare = staticmethod(classes_of)
    label_smoothing: float = option(0.0, "share of the truth spread over all classes", at_least=0, below=1)

    def each(self, output: Any, y: Any) -> Any:
        n, k = output.shape
        # Less the maximum itself, the sum of exponentials is at least 1 and no logit above 0: neither term below can
        # be negative. The maximum drops out of the loss, and so out of its derivative.
        z = output - stop_gradient(np.max(output, axis=-1, keepdims=True))
        if len(y.shape) == 1:
            # Comparing with every class is elementwise and so is its gradient; indexing would need a scatter.
            picked = np.sum(where(np.reshape(y, (n, 1)) == np.arange(k), z, 0), axis=1)
        else:
            picked = np.sum(y * z, axis=1)
        if self.label_smoothing:
            picked = (1 - self.label_smoothing) * picked + (self.label_smoothing / k) * np.sum(z, axis=1)
        return np.log(np.sum(np.exp(z), axis=1)) - picked


@loss
class BinaryCrossEntropy(Loss):
    """Minus the log probability of the true one of two classes, from logits, one output each.

        mean over all entries of  log(1 + exp(z)) - y z

    y: labels of two classes, or numbers in 0..1. Predictions: sigmoid(z), the probability of the second class.
    z, y: (N, M).
    Errors: DataError for other than two classes, or numbers outside 0..1.
    Example: fl.fit(nn.mlp((64,), 1), (x, labels), loss="binary_cross_entropy")
    Source: Cox 1958, The regression analysis of binary sequences; Good 1952, Rational decisions.
    """

    name = "binary_cross_entropy"
    task = "binary"
    link = Sigmoid()
    prepare = staticmethod(probabilities)

    def each(self, output: Any, y: Any) -> Any:
        return logistic_loss(output, y)


@loss
class Hinge(Loss):
    """How far outputs are from the right side of a margin of 1: mean of max(0, 1 - y o).

    y: labels of two classes, turned into -1 and 1. Outputs are distances, not probabilities.
    o, y: (N, 1).
    Errors: DataError for other than two classes.
    Example: fl.fit(nn.mlp((64,), 1), (x, labels), loss="hinge")
    Source: Cortes & Vapnik 1995, Support-vector networks.
    """

    name = "hinge"
    task = "binary"
    link = None
    prepare = staticmethod(signs)

    def each(self, output: Any, y: Any) -> Any:
        return relu(1 - y * output)


@loss
class Poisson(Loss):
    """Counts: minus the log likelihood of a Poisson law whose mean is exp(o), without the part that is constant.

        mean over all entries of  exp(o) - y o

    y: counts, >= 0. Predictions: exp(o).
    o, y: (N, M).
    Errors: DataError for negative targets.
    Example: fl.fit(nn.mlp((64,), 1), (x, counts), loss="poisson")
    Source: Nelder & Wedderburn 1972, Generalized linear models, section 3.
    """

    name = "poisson"
    link = Exp()
    prepare = staticmethod(counts)

    def each(self, output: Any, y: Any) -> Any:
        return np.exp(output) - y * output
