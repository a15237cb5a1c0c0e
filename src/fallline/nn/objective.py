"""Objective: a loss in other units, and penalties on parameters, as one loss to minimise. Knows no network.

The penalty is a term of training alone: validation and `evaluate` measure the loss without it.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

import numpy as np

from fallline import ranges, tree
from fallline.arguments import record, shown
from fallline.config import saved
from fallline.errors import ArgumentError, ArgumentTypeError, Attributes, ShapeError
from fallline.graph.inside import Inside
from fallline.nn import loss as losses
from fallline.nn.loss import Loss
from fallline.nn.theta import TRAINABLE, Layout
from fallline.ops.arithmetic import where
from fallline.ranges import option
from fallline.tree import Tree


class Penalty(Protocol):
    """A term of the loss that sees the parameters."""

    def of(self, params: Tree, layout: Layout, rows: Any) -> Any:
        """The term, a scalar. rows: of the batch, or the sum of their weights."""
        ...


@record
@dataclass(frozen=True)
class _Norm(Attributes):
    """A sum over the elements of all weights, as `each` gives it for one array."""

    strength: float = option(1e-4, "factor of the sum", at_least=0)
    _: KW_ONLY
    per_row: bool = option(False, "divided by the rows of the batch, so that more data count more", flag=True)

    def __post_init__(self) -> None:
        ranges.check(self)

    def of(self, params: Tree, layout: Layout, rows: Any) -> Any:
        pairs = zip(layout.leaves, tree.leaves(params), strict=True)
        terms = [slot.decay * self.each(leaf) for slot, leaf in pairs if slot.kind == TRAINABLE and slot.decay]
        if not terms:
            return 0.0
        total = self.strength * sum(terms[1:], terms[0])
        if not self.per_row:
            return total
        return total / (rows if isinstance(rows, int) else where(rows > 0, rows, 1).astype(total.dtype))

    def each(self, leaf: Any) -> Any:
        raise NotImplementedError


@saved
@dataclass(frozen=True)
class L2(_Norm):
    """A penalty on squared weights: strength / 2 times the sum of w^2, biases left out.

        strength / 2 sum w^2                  per_row: divided by the rows of the batch, or the sum of their weights

    The gradient is that of weight_decay in a coupled optimizer; here the reported loss has the term too.
    per_row: with it the term is that of scikit-learn's `alpha`: a prior of one strength, shared out over the rows.
    Factors of weight decay, where parameters have them, are factors of their part.
    Errors: ArgumentError outside the ranges.
    Example: fl.fit(model, (x, y), loss=nn.Objective("squared_error", penalty=nn.L2(1e-3)))
    Source: Hoerl & Kennard 1970, Ridge regression; Krogh & Hertz 1991, A simple weight decay.
    """

    def each(self, leaf: Any) -> Any:
        return 0.5 * np.sum(np.square(leaf))


@saved
@dataclass(frozen=True)
class L1(_Norm):
    """A penalty on the size of weights: strength times the sum of |w|, biases left out. Many weights end near 0.

        strength sum |w|                      per_row: divided by the rows of the batch, or the sum of their weights

    The derivative at 0 is 0.
    Errors: ArgumentError outside the ranges.
    Example: fl.fit(model, (x, y), loss=nn.Objective("squared_error", penalty=nn.L1(1e-4)))
    Source: Tibshirani 1996, Regression shrinkage and selection via the lasso.
    """

    def each(self, leaf: Any) -> Any:
        return np.sum(np.abs(leaf))


@saved
@dataclass(frozen=True)
class Objective(Loss):
    """A loss times a number, plus a penalty on the parameters.

        factor loss(o, y) + penalty(params)

    loss: a name, a record or a function, as for `fl.fit`; task, predictions and targets are its own.
    factor: > 0. It scales the gradient too, so with plain gradient descent it is a factor of the learning rate.
    penalty: nn.L2, nn.L1, a function(params) -> scalar of the tree of parameters in NumPy, or None. It is part of the
        loss of training steps, and of no other.
    Errors: ArgumentError for a factor out of range; those of the loss.
    Example: fl.fit(model, (x, y), loss=nn.Objective("squared_error", factor=0.5, penalty=nn.L2(1e-3, per_row=True)))
    Source: Tikhonov 1963, Solution of incorrectly formulated problems and the regularization method.
    """

    loss: Any
    _: KW_ONLY
    factor: float = option(1.0, "factor of the loss", above=0)
    penalty: Any = None

    # Those of the loss within; class variables of Loss, properties here.
    name = property(lambda self: self.loss.name)
    task = property(lambda self: self.loss.task)
    link = property(lambda self: self.loss.link)
    prepare = property(lambda self: self.loss.prepare)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "loss", losses.get(self.loss))
        if not (isinstance(self.penalty, str | None) or hasattr(self.penalty, "of") or callable(self.penalty)):
            raise ArgumentTypeError(
                f"Objective: a penalty is nn.L2, nn.L1, a function(params) or None, got {shown(self.penalty)}\n"
                "  try: penalty=nn.L2(1e-4)"
            )

    def each(self, output: Any, y: Any) -> Any:
        return self.factor * self.loss.each(output, y)

    def function(self, output: Any, y: Any) -> Any:
        return self.factor * self.loss.function(output, y)

    def rows(self, output: Any, y: Any) -> Any:
        return self.factor * self.loss.rows(output, y)

    def weighted(self, output: Any, y: Any, weight: Any) -> Any:
        return self.factor * self.loss.weighted(output, y, weight)

    def penalised(self, loss: Any, params: Any, layout: Any, rows: Any) -> Any:
        if isinstance(self.penalty, str):
            raise ArgumentError(
                f"the penalty {self.penalty!r} was a function of the program that trained this model; "
                "a file holds no code\n  try: loss=nn.Objective(loss, penalty=your_function)"
            )
        if self.penalty is None:
            return loss
        if hasattr(self.penalty, "of"):
            return loss + self.penalty.of(params, layout, rows)
        with Inside(lambda: "the penalty", {"the parameters": params}, of=self.penalty):
            term = self.penalty(params)
        if getattr(term, "shape", ()) != ():
            raise ShapeError(f"a penalty is one number, and this one has shape {tuple(term.shape)}\n  try: np.sum(...)")
        return loss + term.astype(loss.dtype) if hasattr(term, "astype") else loss + term

    def _to_fields(self) -> dict[str, Any]:
        penalty = self.penalty
        named = penalty if penalty is None or hasattr(penalty, "of") else getattr(penalty, "__name__", str(penalty))
        return {"loss": self.loss, "factor": self.factor, "penalty": named}
