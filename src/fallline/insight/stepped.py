"""The step that follows an explanation: what one update makes of the weight that was followed, and of the loss.

theta <- theta - learning_rate * gradient, or what the run's own optimizer makes of the gradient of these rows
"""

from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from fallline.config import from_config
from fallline.errors import ArgumentTypeError, FalllineError
from fallline.graph.op import Array
from fallline.insight.followed import Chosen
from fallline.nn.model import Model
from fallline.optim import GradientDescent, Groups, Minimiser, Optimizer
from fallline.ranges import short
from fallline.steps.step import OPTIMIZER
from fallline.tree import Tree


@dataclass(frozen=True, slots=True)
class Stepped:
    """One update of all parameters by the gradient of the explained rows alone.

    optimizer: in words; source: where it and its state come from. kind: of the followed parameter, "trainable",
    "frozen" or "kept"; "" for an input. gradient, before, after: of the followed parameter; None for an input.
    learning_rate: of this step; None where groups of parameters have one each. loss_before, loss_after: of the rows.
    expected: the change of the loss to first order, <gradient, change of theta>.
    """

    optimizer: str
    source: str
    learning_rate: float | None
    is_plain: bool
    kind: str
    gradient: float | None
    before: float | None
    after: float | None
    loss_before: float
    loss_after: float
    expected: float


@dataclass(frozen=True, eq=False, slots=True)
class _Found:
    """An optimizer with the state to step from. rate: of the next step, None for the optimizer's own."""

    optimizer: Optimizer
    state: dict[str, Array] | None
    step: int
    rate: float | None
    source: str


def stepped(model: Model, x: Tree, y: Array, gradient: dict[str, Array], loss: float, chosen: Chosen, run: Any,
            optimizer: Any) -> Stepped:  # fmt: skip
    """The step after an explanation. run: whose optimizer it is, or None; optimizer: another one, or None."""
    found = _optimizer_of(run, optimizer)
    layout = model.layout
    theta = model.theta
    g = np.concatenate([gradient[path].ravel() for path, _ in layout.items()]) if layout.size else theta.copy()
    packed, its = layout.pack(theta), layout.pack(g)
    fresh = found.optimizer.started(packed, layout.trained)
    state, source = fresh, found.source
    if found.state is not None:
        if {name: array.shape for name, array in found.state.items()} == {k: np.shape(v) for k, v in fresh.items()}:
            state = {name: _double(array) for name, array in found.state.items()}
        else:
            source += "; its state does not fit these parameters, so a fresh one"
    one_rate = not isinstance(found.optimizer, Groups)
    rate = float(found.optimizer.rate_at(found.step)) if found.rate is None else found.rate
    with np.errstate(all="ignore"):
        new, _ = found.optimizer.moved(packed, its, state, np.int64(found.step), layout.trained, np.float64(rate))
    after = layout.unpack(theta, np.asarray(new, np.float64))
    moved = model.with_theta(np.asarray(after, np.float64))
    with np.errstate(all="ignore"):
        then = float(np.asarray(moved.objective(moved.theta, x, y)))
    mine: dict[str, Any] = {"kind": "", "gradient": None, "before": None, "after": None}
    if not chosen.is_input:
        slot = dict(layout.items())[chosen.path]
        at = slot.start + int(np.ravel_multi_index(chosen.index, slot.shape)) if slot.shape else slot.start
        mine = {"kind": slot.kind, "gradient": float(g[at]), "before": float(theta[at]), "after": float(after[at])}
    plain = isinstance(found.optimizer, GradientDescent)
    called = short(_at(found.optimizer, rate) if one_rate else found.optimizer)
    return Stepped(called, source, rate if one_rate else None, plain, **mine, loss_before=loss,
                   loss_after=then, expected=float(g @ (after - theta)))  # fmt: skip


def _at(optimizer: Optimizer, rate: float) -> Optimizer:
    """The optimizer as it is written: with a number in the place of a schedule."""
    return optimizer.at_rate(float(f"{rate:.6g}")) if rate > 0 and callable(optimizer.learning_rate) else optimizer


def _double(array: Any) -> Array:
    given: Array = np.asarray(array)
    return given.astype(np.float64) if given.dtype.kind == "f" else given


def _optimizer_of(run: Any, given: Any) -> _Found:
    if given is not None:
        if not _steps(given):
            raise ArgumentTypeError(
                f"optimizer is a record that steps by one gradient, such as optim.Adam(1e-3), got {given!r:.60}\n"
                "  try: optimizer=fl.optim.GradientDescent(0.1)"
            )
        return _Found(given, None, 0, None, "as given, in a fresh state")
    if run is None:
        return _Found(GradientDescent(0.1), None, 0, None, "plain gradient descent, as no run says otherwise")
    try:
        state = run.state
    except (FalllineError, OSError):
        state = None
    rates = [event.learning_rate for event in run.epochs]
    rate = float(rates[-1]) if rates and rates[-1] > 0 else None
    if state is not None and _steps(state.optimizer):
        arrays = {n.removeprefix(OPTIMIZER): a for n, a in state.arrays.items() if n.startswith(OPTIMIZER)}
        remembers = ", in the state it ended with" if arrays else ""
        at = "each group at its own rate" if isinstance(state.optimizer, Groups) else "at the rate of its last epoch"
        where = f"that of the run, {at}{remembers} (step {state.step:,})"
        return _Found(_resolved(state.optimizer, state.step), arrays, state.step, rate, where)
    form = run.config.get("optimizer")
    try:
        optimizer = from_config(form, Optimizer, "optimizer") if isinstance(form, dict) else None
    except FalllineError:
        optimizer = None
    if not _steps(optimizer):
        return _Found(GradientDescent(0.1), None, 0, None,
                      "plain gradient descent, as the run's own optimizer takes no steps of this kind")  # fmt: skip
    steps = max((event.step for event in run.epochs), default=1)
    where = "that of the run, in a fresh state, as the run kept none"
    return _Found(_resolved(optimizer, steps), None, 0, rate, where)


def _steps(optimizer: Any) -> TypeGuard[Optimizer]:
    """Whether it makes a step from one gradient, which one that searches along its steps does not."""
    return isinstance(optimizer, Optimizer) and not isinstance(optimizer, Minimiser)


def _resolved(optimizer: Optimizer, steps: int) -> Optimizer:
    found: Optimizer = optimizer.resolve(max(steps, 1))
    return found
