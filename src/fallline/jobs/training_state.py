"""The state in which a training ended, from which another goes on: parameters, the optimizer's arrays, counts.

Knows no data: those of the next training may be others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fallline.arguments import shown
from fallline.errors import ArgumentError, ArgumentTypeError
from fallline.graph.op import Array
from fallline.nn.model import Model
from fallline.optim import Optimizer
from fallline.ranges import short
from fallline.steps.step import OPTIMIZER


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Where a training stood after its last step.

    model: with the parameters of that step, which are not the best ones. optimizer: as it was given, so a schedule
    whose length was left open may span the steps to come too. arrays: the optimizer's, under OPTIMIZER + name, and
    "step". epochs: begun.
    """

    model: Model
    optimizer: Optimizer
    arrays: Mapping[str, Array]
    epochs: int

    @property
    def step(self) -> int:
        return int(self.arrays["step"])


def is_kept(name: str) -> bool:
    """Whether an array of a stepper's state is one that the next training goes on from."""
    return name == "step" or name.startswith(OPTIMIZER)


def swap(a: Array, b: Array, block: int = 1 << 12) -> None:
    """Exchange the numbers of two vectors, without room for one of them."""
    for start in range(0, len(a), block):
        rows = slice(start, start + block)
        a[rows], b[rows] = b[rows].copy(), a[rows].copy()


def state_of(init: Any) -> TrainingState | None:
    """The state of `init=`: a run, a training, or None.

    Errors: ArgumentTypeError for anything else; ArgumentError for a run that keeps none.
    """
    if init is None or isinstance(init, TrainingState):
        return init
    run = getattr(init, "run", init)
    if not hasattr(run, "stop_reason") or not hasattr(run, "state"):
        raise ArgumentTypeError(f"init is a run, got {shown(init)}\n  try: init=fl.load_run(folder), for one on disk")
    if run.stop_reason == "diverged":
        raise ArgumentError(
            "init is a run that diverged, so its optimizer's state is no place to go on from\n"
            "  try: fl.fit(run.model, data), which begins anew from its last good parameters"
        )
    state: TrainingState | None = run.state
    if state is None:
        raise ArgumentError(
            "init is a run that keeps no state of its optimizer: an ensemble, or one saved without checkpoints\n"
            "  try: fl.fit(run.model, data), which begins anew from its parameters"
        )
    return state


def put_into(state: Mapping[str, Array], start: TrainingState, model: Model, optimizer: Optimizer) -> dict[str, Array]:
    """A stepper's first state with the arrays of an earlier training in it.

    Errors: ArgumentError for an optimizer that keeps other arrays, or a model of which other parameters are trainable.
    """
    wanted = {name: array.shape for name, array in state.items() if is_kept(name)}
    given = {name: array.shape for name, array in start.arrays.items()}
    anew = "fl.fit(run.model, data), which begins anew"
    if wanted.keys() != given.keys():
        mine, theirs = (", ".join(sorted(name.removeprefix(OPTIMIZER) for name in names if name != "step")) or "nothing"
                        for names in (wanted, given))  # fmt: skip
        raise ArgumentError(
            f"init was trained by {short(start.optimizer)}, which remembers {theirs}, and {short(optimizer)} remembers "
            f"{mine}\n  try: leaving optimizer= out, which goes on with that of the run; or {anew}"
        )
    then, now = ({path for path, _ in one.layout.trained.items()} for one in (start.model, model))
    if then != now:
        changed = ", ".join(sorted(then ^ now))
        raise ArgumentError(
            f"init was trained with other parameters frozen, so its optimizer's arrays do not fit: {changed:.200}\n"
            "  try: fl.fit(model, data), which begins anew from the parameters of this model"
        )
    if wanted != given:
        raise ArgumentError(
            f"init was trained by {short(start.optimizer)}, whose arrays have other sizes than those of "
            f"{short(optimizer)}\n  try: {anew}"
        )
    return {**state, **start.arrays}
